"""Local images: stored without metadata, refused with a sentence, published and uploaded."""

import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image as Pictures
from PIL import ImageSequence

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    Image,
    InvalidError,
    PostRef,
    TextAndImage,
    UnavailableError,
)
from channel_adapter.config.settings import ConsoleSettings
from channel_adapter.console import application
from channel_adapter.stub.server import StubServer
from tests.console.conftest import OWNER, Browser, Served, authorise, settings_for

PUBLIC = "https://pictures.example.org/media"
COMPOSE = "/c/harbor_news/compose"


def picture(kind: str = "JPEG", size: tuple[int, int] = (640, 360), **options: Any) -> bytes:
    out = io.BytesIO()
    Pictures.new("RGB", size, (20, 90, 160)).save(out, kind, **options)
    return out.getvalue()


def with_place() -> bytes:
    """Return a rotated photograph with the location where it was taken."""
    exif = Pictures.Exif()
    exif[0x0112] = 6  # must be rotated by 90 degrees
    exif[0x010F] = "Camera of Ada"
    exif.get_ifd(0x8825)[1] = "N"
    return picture(exif=exif, comment=b"At home")


def bomb() -> bytes:
    """Return a PNG of 30,000 x 30,000 pixels in 200 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


REFUSED: dict[str, tuple[bytes, str]] = {
    "broken": (b"GIF89a no picture", "no picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
    "cut": (picture()[:400], "damaged"),
    "bomb": (bomb(), "pixels"),
    "large": (bytes(50 << 20), "more than 20 MB"),
}


@pytest.fixture
def media_settings(tmp_path: Path) -> ConsoleSettings:
    return ConsoleSettings(media_dir=tmp_path / "media", media_public_url=f"{PUBLIC}/")


@pytest.fixture
async def adapter_with_media(
    stub: StubServer, adapter: ChannelAdapter, media_settings: ConsoleSettings
) -> AsyncIterator[ChannelAdapter]:
    async with ChannelAdapter.open(settings_for(stub, console=media_settings)) as opened:
        yield opened


@pytest.fixture
async def with_media(stub: StubServer, adapter_with_media: ChannelAdapter) -> AsyncIterator[Served]:
    async with TestClient(TestServer(application(adapter_with_media, authorise))) as client:
        yield Served(adapter_with_media, stub, client)


async def test_image_is_stored_upright_without_metadata(adapter_with_media: ChannelAdapter, tmp_path: Path) -> None:
    image = await adapter_with_media.media.add(with_place())
    assert image.url.startswith(f"{PUBLIC}/")
    assert (image.width, image.height) == (360, 640)
    stored = tmp_path / "media" / image.url.rpartition("/")[2]
    assert stored.stat().st_size == image.size
    assert b"Ada" not in stored.read_bytes()
    with Pictures.open(stored) as opened:
        assert not opened.getexif()
        assert "comment" not in opened.info
    with Pictures.open(tmp_path / "media" / image.thumbnail_url.rpartition("/")[2]) as small:
        assert small.size == (180, 320)
    assert await adapter_with_media.media.add(io.BytesIO(with_place())) == image


async def test_first_frame_of_multi_picture_photograph_is_stored(
    adapter_with_media: ChannelAdapter, tmp_path: Path
) -> None:
    first, second = (Pictures.new("RGB", (width, 16), (0, 0, 200)) for width in (64, 32))
    first.save(tmp_path / "source", "MPO", save_all=True, append_images=[second])
    image = await adapter_with_media.media.add(tmp_path / "source")
    with Pictures.open(tmp_path / "media" / image.url.rpartition("/")[2]) as stored:
        assert (stored.format, stored.size) == ("JPEG", (64, 16))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
async def test_animated_image_keeps_its_frames(kind: str, adapter_with_media: ChannelAdapter, tmp_path: Path) -> None:
    source = tmp_path / "source"
    frames = [Pictures.new("RGB", (32, 16), (each * 100, 0, 0)) for each in range(2)]
    frames[0].save(source, kind, save_all=True, append_images=frames[1:], duration=90)
    image = await adapter_with_media.media.add(source)
    with Pictures.open(tmp_path / "media" / image.url.rpartition("/")[2]) as stored:
        assert (stored.format, stored.n_frames, stored.size) == (kind, 2, (32, 16))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
async def test_every_frame_of_an_animated_image_keeps_its_time(
    kind: str, adapter_with_media: ChannelAdapter, tmp_path: Path
) -> None:
    source, milliseconds = tmp_path / "source", [100, 500, 900]
    frames = [Pictures.new("RGB", (32, 16), (each * 60, 0, 0)) for each in range(3)]
    frames[0].save(source, kind, save_all=True, append_images=frames[1:], duration=milliseconds)
    image = await adapter_with_media.media.add(source)
    with Pictures.open(tmp_path / "media" / image.url.rpartition("/")[2]) as stored:
        assert [frame.copy().info["duration"] for frame in ImageSequence.Iterator(stored)] == milliseconds


async def test_what_is_no_picture_source_is_refused(adapter_with_media: ChannelAdapter) -> None:
    source: Any
    for source in (None, 7, io.StringIO("text")):
        with pytest.raises(InvalidError, match="image must be a path, bytes or a binary file; got a"):
            await adapter_with_media.media.add(source)


@pytest.mark.parametrize("name", REFUSED)
async def test_invalid_image_is_refused_with_one_sentence(
    name: str, adapter_with_media: ChannelAdapter, tmp_path: Path
) -> None:
    data, message = REFUSED[name]
    with pytest.raises(InvalidError, match=message) as caught:
        await adapter_with_media.media.add(data)
    assert caught.value.field == "image"
    assert "\n" not in caught.value.message
    assert not (tmp_path / "media").exists()


async def test_missing_file_and_failing_store_are_reported(stub: StubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own = ConsoleSettings(media_dir=tmp_path / "file" / "media", media_public_url=PUBLIC)
    async with ChannelAdapter.open(settings_for(stub, console=own)) as opened:
        with pytest.raises(InvalidError, match="No such file"):
            await opened.media.add(tmp_path / "missing.png")
        with pytest.raises(UnavailableError, match="could not be stored"):
            await opened.media.add(picture())
        with pytest.raises(ConfigurationError, match="media_dir"):
            application(opened, authorise)


async def test_image_is_stored_in_bucket(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, int] = {}

    async def put(request: web.Request) -> web.Response:
        found[request.path] = len(await request.read())
        return web.Response(headers={"ETag": '"1"'})

    app = web.Application()
    app.router.add_put("/{path:.*}", put)
    async with TestServer(app) as server:
        names = {"ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
        for name, value in {**names, "REGION": "eu"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        own = ConsoleSettings(media_bucket="s3://pictures/channels", media_public_url=PUBLIC)
        async with ChannelAdapter.open(settings_for(stub, console=own)) as opened:
            image = await opened.media.add(picture())
    assert found[f"/pictures/channels/{image.url.rpartition('/')[2]}"] == image.size
    assert len(found) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"media_dir": "/m"},
        {"media_public_url": PUBLIC},
        {"media_dir": "/m", "media_bucket": "s3://b", "media_public_url": PUBLIC},
        {"media_bucket": "ftp://b", "media_public_url": PUBLIC},
        {"media_dir": "/m", "media_public_url": "pictures.example.org"},
    ],
)
def test_incompatible_media_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="media_"):
        ConsoleSettings(**values)


async def test_images_without_store_need_an_address(browser: Browser, served: Served) -> None:
    with pytest.raises(ConfigurationError, match=r"console\.media_public_url"):
        await served.adapter.media.add(picture())
    for place in (COMPOSE, "/new", "/c/harbor_news/settings"):
        page = (await browser.get(place)).text
        assert 'type="file"' not in page
        assert "console.media_dir" in page


def form_with(fields: dict[str, str], name: str, data: bytes) -> FormData:
    form = FormData()
    for field, value in fields.items():
        if field != name:
            form.add_field(field, value)
    form.add_field(name, io.BytesIO(data), filename="a.jpg", content_type="image/jpeg")
    return form


async def test_uploaded_image_is_published_and_served_publicly(with_media: Served) -> None:
    browser = with_media.browser("editor")
    fields = (await browser.get(COMPOSE)).form(COMPOSE) | {"text": "Ferries", "action": "publish"}
    sent = await browser.post(COMPOSE, form_with(fields, "image", picture()))
    assert (sent.status, sent.place) == (303, "/c/harbor_news?done=published&number=1")
    content = (await with_media.adapter.posts.get(PostRef.parse("harbor_news/1"))).content
    assert isinstance(content, TextAndImage)
    assert (content.image.width, content.image.height) == (640, 360)
    place = content.image.url.removeprefix("https://pictures.example.org")
    async with with_media.client.get(place) as answer:
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert len(await answer.read()) == content.image.size


@pytest.mark.parametrize("name", ["bomb", "large"])
async def test_refused_image_keeps_fields_of_the_form(name: str, with_media: Served) -> None:
    data, message = REFUSED[name]
    browser = with_media.browser()
    fields = (await browser.get(COMPOSE)).form(COMPOSE) | {"text": "Ferries & tides", "action": "publish"}
    sent = await browser.post(COMPOSE, form_with(fields, "image", data))
    assert sent.status == 422
    assert message in sent.text
    assert sent.form(COMPOSE)["text"] == "Ferries & tides"
    fields = {"name": "Night Bus", "slug": "night_bus", "owner": OWNER}
    sent = await browser.post("/new", form_with(fields, "avatar_file", data))
    assert (sent.status, sent.form("/new")["name"]) == (422, "Night Bus")
    async with with_media.client.post(
        "/uploads", data=form_with({}, "image", data), headers={**browser.headers, "Sec-Fetch-Site": "same-origin"}
    ) as answer:
        assert answer.status == 422
        assert message in (await answer.json())["error"]


async def test_avatar_is_uploaded_and_changed(with_media: Served) -> None:
    browser = with_media.browser()
    fields = {"name": "Night Bus", "slug": "night_bus", "owner": OWNER}
    assert (await browser.post("/new", form_with(fields, "avatar_file", picture("PNG")))).status == 303
    first = (await with_media.adapter.channels.get("night_bus")).avatar
    assert first.startswith(PUBLIC)
    place = "/c/night_bus/settings"
    fields = (await browser.get(place)).form(place)
    assert (await browser.post(place, form_with(fields, "avatar_file", picture("WEBP")))).status == 303
    assert (await with_media.adapter.channels.get("night_bus")).avatar not in ("", first)


async def test_upload_of_an_unknown_sender_is_not_read(with_media: Served) -> None:
    fields = {"text": "Ferries and tides", "format": "text"}
    sent = await with_media.browser("").post(COMPOSE, form_with(fields, "image", picture()))
    assert sent.status == 401
    assert "Ferries and tides" not in sent.text


async def test_image_sizes_of_form_apply_to_their_image_only(with_media: Served) -> None:
    browser = with_media.browser()
    fields = (await browser.get(COMPOSE)).form(COMPOSE)
    fields |= {"format": "image", "image_url": "https://example.org/a.png", "picture": f"9 9 9 {PUBLIC}/b.png"}
    assert (await browser.post(COMPOSE, fields)).status == 303
    content = (await with_media.adapter.posts.get(PostRef.parse("harbor_news/1"))).content
    assert content == Image("https://example.org/a.png")
