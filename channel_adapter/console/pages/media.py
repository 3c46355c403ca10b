"""Pictures that operators upload: stored where readers can load them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.content import Composed, write_picture
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.post import Image
from channel_adapter.errors import ChannelAdapterError, InvalidError

UPLOAD_BYTES: Final = 64 << 20
"""The largest form that is read, to be shown again with what was written; a picture has its own, smaller limit."""


async def add(page: View) -> web.Response:
    """Store a picture and return its address; the page shows it in its form."""
    form = await page.form(UPLOAD_BYTES)
    try:
        image = await _store_file(page, form, "image")
        if image is None:
            raise InvalidError("no file was chosen", field="image")
    except ChannelAdapterError as error:
        await page.refused(error)
        explained = page.explain(error)
        return web.json_response({"error": explained.detail}, status=explained.status)
    await page.wrote(f"stored {Path(image.url).name}")
    answer = {"url": image.url, "picture": write_picture(image)}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def uploaded(page: View, form: Mapping[str, Any], composed: Composed) -> Composed:
    """Return the fields of the composer with the picture of its form, which is stored; the same without one."""
    image = await _store_file(page, form, "image")
    return composed if image is None else composed.with_picture(image)


async def uploaded_avatar(page: View, form: Mapping[str, Any], address: str) -> str:
    """Return the address of the avatar of a form, which is stored; without one the address that was written."""
    image = await _store_file(page, form, "avatar_file")
    return address if image is None else image.url


async def _store_file(page: View, form: Mapping[str, Any], name: str) -> Image | None:
    """Store the file of a field. Raises InvalidError with the name of the field."""
    file = form.get(name)
    if not isinstance(file, web.FileField) or not file.filename:
        return None
    try:
        return await page.adapter.media.add(file.file)
    except InvalidError as wrong:
        raise InvalidError(wrong.message, field=name, limit=wrong.limit, size=wrong.size) from None


ROUTES = (PageRoute("POST", "/uploads", "upload", AccessRole.EDITOR, add),)
