"""Pictures of this machine, stored where readers can load them: a directory that is served, or a bucket."""

import asyncio
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import obstore
from obstore import store as stores
from obstore.exceptions import BaseError
from PIL import Image as Pictures
from PIL import ImageOps, ImageSequence, UnidentifiedImageError

from channel_adapter.domain.post import Image
from channel_adapter.errors import ConfigurationError, InvalidError, UnavailableError
from channel_adapter.mapping.text import with_article
from channel_adapter.quoting import shown_text

MAX_BYTES: Final = 20 << 20
"""The largest picture that is accepted, in bytes."""
MAX_PIXELS: Final = 50_000_000
"""The most pixels of a picture, of all frames together."""
THUMBNAIL_PIXELS: Final = 320
_FORMATS: Final = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif"}
_KEPT: Final = ("transparency", "background", "duration", "loop")  # of the values of a picture: how it is drawn
_TIMEOUT: Final = "30s"
_BOMB: Final = (Pictures.DecompressionBombError, Pictures.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture without metadata, its thumbnail, and how it is published."""

    image: Image
    files: tuple[tuple[str, bytes], ...]


class Media:
    """Pictures for posts and avatars. Metadata such as the place in EXIF is removed, and a thumbnail is made."""

    def __init__(self, directory: Path | None, bucket: str | None, public_url: str | None) -> None:
        self._directory = directory
        self._bucket = bucket
        self._public_url = None if public_url is None else public_url.rstrip("/")
        self._opened: stores.ObjectStore | None = None

    async def add(self, source: str | os.PathLike[str] | bytes | IO[bytes]) -> Image:
        """Store a picture, given as a path, bytes or a binary file, and return it with its address and sizes.

        The same picture has the same address. PNG, JPEG, WebP and GIF are accepted, up to 20 MB and 50 million pixels.
        Raises InvalidError with the field `image` for anything else, UnavailableError if it cannot be stored, and
        ConfigurationError without `console.media_public_url` and one of `console.media_dir` and `console.media_bucket`.
        """
        prepared = await asyncio.to_thread(_prepare_picture, source, self._require_public_url())
        try:
            store = self._open_store()
            for name, data in prepared.files:
                await obstore.put_async(store, name, data)
        except (BaseError, OSError) as wrong:
            where = self._directory or self._bucket
            raise UnavailableError(f"the picture could not be stored in {where}: {_failure_reason(wrong)}") from None
        return prepared.image

    async def inspect(self, source: str | os.PathLike[str] | bytes | IO[bytes]) -> Image:
        """Return what `add` would return, and store nothing. Raises InvalidError and ConfigurationError."""
        return (await asyncio.to_thread(_prepare_picture, source, self._require_public_url())).image

    def _require_public_url(self) -> str:
        if self._public_url is None:
            raise ConfigurationError(
                "pictures of this machine need a place from which readers load them: set console.media_public_url and"
                " console.media_dir or console.media_bucket, or give the address of a picture",
                field="image",
            )
        return self._public_url

    def _open_store(self) -> stores.ObjectStore:
        if self._opened is None:
            if self._directory is not None:
                self._opened = stores.LocalStore(self._directory, mkdir=True)
            else:
                options: Any = {"timeout": _TIMEOUT, "allow_http": True}  # for an endpoint of one's own
                self._opened = stores.from_url(self._bucket or "", client_options=options)
        return self._opened


def _prepare_picture(source: str | os.PathLike[str] | bytes | IO[bytes], public_url: str) -> PreparedPicture:
    data = _read_source(source)
    try:
        with Pictures.open(io.BytesIO(data), formats=tuple(_FORMATS)) as opened:
            kind = opened.format if opened.format in _FORMATS else "JPEG"  # MPO: a JPEG of several, as phones make
            frames = getattr(opened, "n_frames", 1) if kind != "JPEG" else 1
            if opened.width * opened.height * frames > MAX_PIXELS:
                raise InvalidError(
                    f"the picture has {opened.width} x {opened.height} pixels"
                    + (f" in {frames} frames" if frames > 1 else "")
                    + f"; {MAX_PIXELS:,} pixels are allowed",
                    field="image", limit=MAX_PIXELS, size=opened.width * opened.height * frames,
                )  # fmt: skip
            return _rewrite_picture(opened, kind, animated=frames > 1, public_url=public_url)
    except _BOMB:
        raise InvalidError(f"the picture has too many pixels; {MAX_PIXELS:,} are allowed", field="image") from None
    except UnidentifiedImageError:
        raise InvalidError("the file is no picture: PNG, JPEG, WebP and GIF are accepted", field="image") from None
    except (OSError, SyntaxError, ValueError, EOFError) as wrong:
        raise InvalidError(f"the picture is damaged: {wrong}", field="image") from None


def _read_source(source: str | os.PathLike[str] | bytes | IO[bytes]) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, str | os.PathLike):
        try:
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as wrong:
            raise InvalidError(f"{shown_text(os.fspath(source))}: {_failure_reason(wrong)}", field="image") from None
    else:
        read = getattr(source, "read", None)
        found = None if read is None else read(MAX_BYTES + 1)
        if not isinstance(found, bytes):
            raise InvalidError(
                f"image must be a path, bytes or a binary file; got {with_article(type(source).__name__)}",
                field="image",
            )
        data = found
    if len(data) > MAX_BYTES:
        raise InvalidError(
            f"the picture has more than {MAX_BYTES >> 20} MB; make it smaller", field="image", limit=MAX_BYTES
        )
    return data


def _rewrite_picture(opened: Pictures.Image, kind: str, *, animated: bool, public_url: str) -> PreparedPicture:
    """Return a picture written again from its pixels: nothing else of the file is kept but its colour profile."""
    options: dict[str, Any] = {"quality": 90} if kind in ("JPEG", "WEBP") else {}
    profile = opened.info.get("icc_profile")
    if animated:
        frames = [_strip_metadata(frame.copy()) for frame in ImageSequence.Iterator(opened)]
        upright = frames[0]
        times = [frame.info.get("duration", 0) for frame in frames]  # WebP has no time of a frame but this
        options |= {"save_all": True, "append_images": frames[1:], "duration": times}
    else:
        upright = _strip_metadata(ImageOps.exif_transpose(opened))
    data = _encode_picture(upright, kind, profile, **options)
    small = upright.copy()
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    thumbnail = _encode_picture(small, kind, profile)
    name, ending = hashlib.sha256(data).hexdigest()[:32], _FORMATS[kind]
    files = ((f"{name}.{ending}", data), (f"{name}-small.{ending}", thumbnail))
    urls = [f"{public_url}/{file}" for file, _ in files]
    image = Image(urls[0], upright.width, upright.height, len(data), thumbnail_url=urls[1])
    return PreparedPicture(image, files)


def _strip_metadata(picture: Pictures.Image) -> Pictures.Image:
    picture.info = {name: value for name, value in picture.info.items() if name in _KEPT}
    return picture


def _encode_picture(picture: Pictures.Image, kind: str, profile: bytes | None, **options: Any) -> bytes:
    out = io.BytesIO()
    if profile is not None:
        options["icc_profile"] = profile
    picture.save(out, kind, **options)
    return out.getvalue()


def _failure_reason(wrong: Exception) -> str:
    reason = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else str(wrong)
    return reason.splitlines()[0][:200] if reason else type(wrong).__name__
