"""One-to-one messages: threads of all channels and of one, a thread on a phone, and replies."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.content import FORMATS, IMAGE, TEXT, Composed
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.message import Message, MessageRef, Thread
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.content import excerpt
from channel_adapter.mapping.ids import receiver_id

PER_PAGE: Final = 50
CHANNELS: Final = 50
"""Channels whose latest threads the inbox of all shows."""
_EACH: Final = 10
_SHOWN: Final = 50


async def show_all(page: View) -> web.Response:
    """Show the latest threads of the channels, the latest first."""
    found: list[tuple[Channel, Thread, str]] = []
    error: ChannelAdapterError | None = None
    everything = await page.console.channels.all()
    if page.adapter.settings.database_url is not None:
        try:
            for channel in sorted(everything, key=lambda each: each.slug)[:CHANNELS]:
                count = 0
                async for thread in page.adapter.messages.threads(channel.id):
                    found.append((channel, thread, excerpt(thread.last.parts)))
                    count += 1
                    if count == _EACH:
                        break
        except ChannelAdapterError as failed:
            error = failed
    found.sort(key=lambda each: each[1].last.sent_at or datetime.min.replace(tzinfo=UTC), reverse=True)
    return page.render(
        "messages.html", error=error, threads=found[:PER_PAGE], stores=page.adapter.settings.database_url is not None,
        left_out=max(0, len(everything) - CHANNELS),
    )  # fmt: skip


async def show_threads(page: View) -> web.Response:
    """Show the threads of one channel."""
    channel = await page.channel()
    stores = page.adapter.settings.database_url is not None
    found: list[tuple[Thread, str]] = []
    following = None
    if stores:
        pages = page.adapter.messages.threads(page.slug, cursor=page.request.query.get("cursor", ""))
        async for thread in pages:
            found.append((thread, excerpt(thread.last.parts)))
            if len(found) == PER_PAGE:
                following = pages.cursor
                break
    contact = await page.adapter.messages.contact(page.slug)
    return page.render(
        "threads.html", channel=channel, channel_name=channel.name, threads=found, following=following,
        contact=contact, stores=stores,
    )  # fmt: skip


async def look_up(page: View) -> web.Response:
    """Lead to the thread of the user that was typed."""
    user = page.request.query.get("user", "").strip()
    if not user:
        return page.redirect("threads", slug=page.slug)
    return page.redirect("thread", slug=page.slug, user=user)


async def show_thread(page: View) -> web.Response:
    """Show the messages of a channel with a user, the latest last."""
    return await _render_thread(page, Composed(format="text"), secrets.token_urlsafe(16))


async def reply(page: View) -> web.Response:
    """Send a message to the user, once however often the form is sent."""
    form = await page.form()
    composed, once = Composed.read(form), str(form.get("once", "")) or secrets.token_urlsafe(16)
    user = page.request.match_info["user"]
    if "reply" in form:
        return await _insert_reply(page, composed, once, str(form["reply"]))
    try:
        content = composed.content()
        await page.adapter.messages.send(page.slug, user=user, content=content, idempotency_key=once)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_thread(page, composed, once, error)
    await page.wrote(f"sent to {user}")
    return page.redirect("thread", slug=page.slug, user=user, query={"done": "sent"})


async def _insert_reply(page: View, composed: Composed, once: str, reply: str) -> web.Response:
    """Show the form with a canned reply behind what was written; nothing is sent."""
    texts = [each.text for each in await page.console.rows.replies() if each.id == reply]
    text = "\n".join([*([composed.text] if composed.text.strip() else []), *texts])
    chosen = TEXT if composed.format == IMAGE else composed.format
    return await _render_thread(page, replace(composed, text=text, format=chosen), once, inserted=True)


async def mark_read(page: View) -> web.Response:
    """Mark the messages of the user as read."""
    await page.form()
    user = page.request.match_info["user"]
    await page.adapter.messages.mark_read(page.slug, user=user)
    await page.wrote(f"read {user}")
    return page.redirect("thread", slug=page.slug, user=user, query={"done": "saved"})


async def recall(page: View) -> web.Response:
    """Recall a message that the channel sent."""
    form = await page.form()
    user, key = page.request.match_info["user"], str(form.get("key", ""))
    try:
        await page.adapter.messages.recall(
            MessageRef(page.adapter.backend.ids.channel(page.slug), receiver_id(user), key)
        )
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_thread(page, Composed(format="text"), secrets.token_urlsafe(16), error)
    await page.wrote(f"recalled a message to {user}")
    return page.redirect("thread", slug=page.slug, user=user, query={"done": "saved"})


async def _render_thread(
    page: View, composed: Composed, once: str, error: ChannelAdapterError | None = None, *, inserted: bool = False
) -> web.Response:
    channel, user = await page.channel(), page.request.match_info["user"]
    found: list[Message] = []
    try:
        async for message in page.adapter.messages.thread(page.slug, user=user):
            found.append(message)
            if len(found) == _SHOWN:
                break
    except ChannelAdapterError as failed:
        error = error or failed
    return page.render(
        "thread.html", error=error, channel=channel, channel_name=channel.name, user=user, messages=found[::-1],
        composed=composed, once=once, formats=FORMATS, inserted=inserted,
        replies=await page.console.rows.replies() if page.may(AccessRole.EDITOR) else [],
    )  # fmt: skip


ROUTES = (
    PageRoute("GET", "/messages", "messages", AccessRole.VIEWER, show_all),
    PageRoute("GET", "/c/{slug}/messages", "threads", AccessRole.VIEWER, show_threads),
    PageRoute("GET", "/c/{slug}/messages/to", "look_up_thread", AccessRole.VIEWER, look_up),
    PageRoute("GET", "/c/{slug}/messages/with/{user}", "thread", AccessRole.VIEWER, show_thread),
    PageRoute("POST", "/c/{slug}/messages/with/{user}", "thread", AccessRole.EDITOR, reply),
    PageRoute("POST", "/c/{slug}/messages/with/{user}/read", "read_thread", AccessRole.EDITOR, mark_read),
    PageRoute("POST", "/c/{slug}/messages/with/{user}/recall", "recall_message", AccessRole.EDITOR, recall),
)
