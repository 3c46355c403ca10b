"""Canned replies: texts that operators put into answers to messages."""

from typing import Final
from uuid import uuid4

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.errors import ChannelAdapterError, InvalidError, LimitReachedError
from channel_adapter.mapping.text import require_text
from channel_adapter.store.console import CannedReply

MOST: Final = 50
BYTES: Final = 2_000


async def show(page: View) -> web.Response:
    """Show the replies, and a form for another one."""
    return await _render_replies(page)


async def add(page: View) -> web.Response:
    """Store a reply."""
    typed = str((await page.form()).get("text", "")).replace("\r\n", "\n")
    try:
        text = require_text(typed.strip(), "text", empty=False)
        if (size := len(text.encode())) > BYTES:
            raise InvalidError(f"text has {size} bytes; {BYTES} are allowed", field="text", limit=BYTES, size=size)
        if not await page.console.rows.add_reply(CannedReply(uuid4().hex, text), MOST):
            raise LimitReachedError(f"there are {MOST} canned replies; delete one first", limit=MOST)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_replies(page, typed, error)
    await page.wrote("added a canned reply")
    return page.redirect("replies", query={"done": "saved"})


async def delete(page: View) -> web.Response:
    """Delete a reply."""
    await page.form()
    deleted = await page.console.rows.drop_reply(page.request.match_info["id"])
    await page.wrote("deleted a canned reply" if deleted else "unchanged")
    return page.redirect("replies", query={"done": "saved" if deleted else "unchanged"})


async def _render_replies(page: View, typed: str = "", error: ChannelAdapterError | None = None) -> web.Response:
    return page.render(
        "replies.html", error=error, replies=await page.console.rows.replies(), typed=typed,
        stores=page.adapter.settings.database_url is not None,
    )  # fmt: skip


ROUTES = (
    PageRoute("GET", "/messages/replies", "replies", AccessRole.EDITOR, show),
    PageRoute("POST", "/messages/replies", "replies", AccessRole.EDITOR, add),
    PageRoute("POST", "/messages/replies/{id}/delete", "delete_reply", AccessRole.EDITOR, delete),
)
