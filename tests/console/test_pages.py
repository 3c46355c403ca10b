"""Pages and their forms, used without JavaScript."""

import asyncio
from html import escape
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from channel_adapter import (
    Article,
    ChannelAdapter,
    ChannelId,
    File,
    Image,
    PostRef,
    Settings,
    Text,
    TextAndImage,
    Video,
)
from channel_adapter.console import application
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.server import StubServer
from tests.console.conftest import OWNER, Browser, Served, authorise

PICTURE = "https://example.org/a.png"
COMPOSE = "/c/harbor_news/compose"


async def test_channel_list_has_links_and_finds_channels_by_name(browser: Browser, served: Served) -> None:
    await served.adapter.channels.create(slug="market", name="市场大厅", owner=OWNER)
    page = await browser.get("/")
    main = page.text.partition("<main")[2]
    assert 'href="/c/harbor_news"' in main
    assert 'href="/c/market"' in main
    found = await browser.get("/?q=市场")
    assert "/c/market" in found.text
    assert "/c/harbor_news" not in found.text


async def test_created_channel_has_values_of_the_form(browser: Browser, served: Served) -> None:
    sent = await browser.submit("/new", name="Night Bus", slug="night_bus", owner=OWNER, introduction="Lines & times")
    assert (sent.status, sent.place) == (303, "/c/night_bus?done=created")
    assert "The channel is created." in (await browser.get(sent.place)).text
    assert (await served.adapter.channels.get("night_bus")).introduction == "Lines & times"


async def test_invalid_form_is_shown_again_with_its_values(browser: Browser) -> None:
    sent = await browser.submit("/new", name="N" * 101, slug="night_bus", owner=OWNER)
    assert sent.status == 422
    assert sent.form("/new")["name"] == "N" * 101
    assert 'aria-invalid="true"' in sent.text
    assert "101 bytes" in sent.text


CONTENTS = [
    ({"format": "text", "text": "Tide table\n<b>"}, Text("Tide table\n<b>")),
    ({"format": "image", "image_url": PICTURE}, Image(PICTURE)),
    ({"format": "text_and_image", "text": "Tide", "image_url": PICTURE}, TextAndImage("Tide", Image(PICTURE))),
    (
        {"format": "text", "text": "Tide", "link_text": "Table", "link_url": "https://example.org"},
        Article("Table", "Tide", "https://example.org"),
    ),
    (
        {"format": "text_and_image", "text": "Tide", "image_url": PICTURE, "link_url": "https://example.org"},
        Article("https://example.org", "Tide", "https://example.org", PICTURE),
    ),
]


@pytest.mark.parametrize(("fields", "content"), CONTENTS)
async def test_published_post_equals_preview(
    fields: dict[str, str], content: object, browser: Browser, served: Served
) -> None:
    form = (await browser.get(COMPOSE)).form(COMPOSE)
    preview = await browser.post("/c/harbor_news/preview", {**form, **fields})
    sent = await browser.post(COMPOSE, {**form, **fields})
    assert (sent.status, sent.place) == (303, "/c/harbor_news?done=published&number=1")
    assert (await served.adapter.posts.get(PostRef("harbor_news", 1))).content == content  # type: ignore[arg-type]
    assert escape(fields.get("text", ""), quote=False) in preview.text
    assert fields.get("image_url", "") in preview.text
    assert "Preview: not published" in preview.text
    listed = (await browser.get(sent.place)).text
    assert "Published as number 1." in listed
    assert escape(fields.get("text", "").split("\n")[0], quote=False) in listed


VIDEO = {"attachment": "video", "attachment_url": "https://example.org/a.mp4", "attachment_seconds": "12"}
FILE = {"attachment": "file", "attachment_url": "https://example.org/a.pdf", "attachment_name": "Plan.pdf"}


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"format": "text", **VIDEO}, (Video("https://example.org/a.mp4", 12),)),
        ({"format": "text", "text": "Tide", **FILE}, (Text("Tide"), File("https://example.org/a.pdf", "Plan.pdf"))),
        (
            {"format": "text_and_image", "text": "Tide", "image_url": PICTURE, **FILE},
            (Text("Tide"), Image(PICTURE), File("https://example.org/a.pdf", "Plan.pdf")),
        ),
    ],
)
async def test_attachment_is_published_and_kept_when_the_post_is_edited(
    fields: dict[str, str], parts: tuple[object, ...], browser: Browser, served: Served
) -> None:
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), **fields}
    assert fields["attachment_url"] in (await browser.post("/c/harbor_news/preview", form)).text
    assert (await browser.post(COMPOSE, form)).status == 303
    post = PostRef(ChannelId("harbor_news"), 1)
    assert (await served.adapter.posts.get(post)).parts == parts
    assert (await browser.submit("/c/harbor_news/p/1/edit")).status == 303
    assert (await served.adapter.posts.get(post)).parts == parts


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"attachment_url": "x"}, "attachment_url"),
        ({"attachment_seconds": "-1"}, "attachment_seconds"),
        ({"attachment_seconds": "9" * 5_000}, "attachment_seconds"),
    ],
)
async def test_attachment_that_cannot_be_used_is_shown_again(
    change: dict[str, str], field: str, browser: Browser
) -> None:
    sent = await browser.submit(COMPOSE, **{"format": "text", "text": "Tide", **VIDEO, **change})
    assert sent.status == 422
    assert f'id="{field}-hint" class="wrong"' in sent.text
    assert sent.form(COMPOSE)["text"] == "Tide"


async def test_form_sent_twice_publishes_once(browser: Browser, served: Served) -> None:
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Once"}
    assert (await browser.post(COMPOSE, form)).place == (await browser.post(COMPOSE, form)).place
    assert len([post async for post in served.adapter.posts.history("harbor_news")]) == 1


async def test_concurrent_clicks_publish_once(browser: Browser, served: Served) -> None:
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Once"}
    first, second = await asyncio.gather(browser.post(COMPOSE, form), browser.post(COMPOSE, form))
    assert first.place == second.place == "/c/harbor_news?done=published&number=1"
    assert len([post async for post in served.adapter.posts.history("harbor_news")]) == 1


async def test_pages_of_official_accounts_omit_unsupported_actions(tmp_path: Path) -> None:
    async with StubServer() as stub:
        settings = Settings(
            sdkappid=stub.sdkappid, key=SecretStr(stub.key), admin=stub.admin, base_url=stub.url, mode=Mode.OFFICIAL,
            database_url=SecretStr(f"sqlite:///{tmp_path / 'a.db'}"),
        )  # fmt: skip
        async with ChannelAdapter.open(settings) as adapter:
            await adapter.accounts.add([OWNER, "reader_1"])
            await adapter.channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.subscriptions.subscribe("harbor_news", ["reader_1"])
            async with TestClient(TestServer(application(adapter, authorise))) as client:
                browser = Browser(client, "admin")
                composer = await browser.get(COMPOSE)
                assert 'name="silent"' not in composer.text
                sent = await browser.submit(COMPOSE, format="text", text="Tide")
                assert "Published as number 1." in (await browser.get(sent.place)).text
                assert "/p/1/edit" not in (await browser.get("/c/harbor_news/p/1")).text
                found = await browser.get("/c/harbor_news/subscribers?user=reader_1")
                assert "reader_1 is a subscriber" in found.text
                for page in ("", "/settings", "/staff", "/insights", "/invites", "/messages"):
                    assert (await browser.get(f"/c/harbor_news{page}")).status == 200, page
                assert 'href="/c/harbor_news"' in (await browser.get("/")).text


async def test_post_of_an_official_account_cannot_be_edited() -> None:
    async with StubServer() as stub:
        settings = Settings(
            sdkappid=stub.sdkappid, key=SecretStr(stub.key), admin=stub.admin, base_url=stub.url, mode=Mode.OFFICIAL
        )
        async with ChannelAdapter.open(settings) as adapter:
            await adapter.accounts.add([OWNER])
            await adapter.channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.posts.publish("harbor_news", Text("Tide"))
            async with TestClient(TestServer(application(adapter, authorise))) as client:
                browser, place = Browser(client, "admin"), "/c/harbor_news/p/1/edit"
                page = await browser.get(place)
                assert "The service cannot edit posts of official accounts." in page.text
                assert 'name="text"' not in page.text
                refused = await browser.post(place, {"format": "text", "text": "High tide"})
                assert refused.status == 409
                assert "The service cannot do this in this mode" in refused.text
