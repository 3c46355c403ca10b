"""The composer: three formats, a link, and the preview beside it."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.content import FORMATS, Composed, preview
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.channel import Channel
from channel_adapter.errors import ChannelAdapterError, NotFoundError


async def show(page: View) -> web.Response:
    """Show an empty composer."""
    return await _form(page, await page.channel(), Composed(), secrets.token_urlsafe(16))


async def publish(page: View) -> web.Response:
    """Publish what the form holds, once however often it is sent; or show it again with its preview."""
    form = await page.form()
    composed = Composed.read(form)
    once = str(form.get("once", "")) or secrets.token_urlsafe(16)
    channel: Channel | None = None
    try:
        if form.get("action") == "preview":
            return await _form(page, await page.channel(), composed, once, quiet="quiet" in form)
        form_key = hashlib.sha256(f"{page.slug}/{once}".encode()).hexdigest()
        if (place := await page.console.rows.led_to(form_key)) is not None:
            return _published(page, place)
        content = composed.content()
        post = await page.adapter.posts.publish(page.slug, content, idempotency_key=once, quiet="quiet" in form)
        await page.console.rows.remember(form_key, str(post.ref.seq))
    except ChannelAdapterError as error:
        await page.wrote(error.kind)
        if isinstance(error, NotFoundError) and error.field == "channel":
            raise
        return await _form(page, channel, composed, once, error=error, quiet="quiet" in form)
    page.console.channels.forget()
    await page.wrote("published")
    return _published(page, str(post.ref.seq))


async def show_preview(page: View) -> web.Response:
    """Return the phone frame for what the form holds, for a part of the page."""
    form = await page.form()
    return page.render(
        "preview.html", **_previewed(page, Composed.read(form)), channel_name=str(form.get("channel_name", ""))
    )


def _published(page: View, number: str) -> web.Response:
    return page.redirect("channel", slug=page.slug, query={"done": "published", "number": number})


async def _form(
    page: View,
    channel: Channel | None,
    composed: Composed,
    once: str,
    *,
    error: ChannelAdapterError | None = None,
    quiet: bool = False,
) -> web.Response:
    """Return the composer. Without a channel, which a service that is down does not return, its slug is shown."""
    return page.render(
        "compose.html", error=error, action=page.url("compose", slug=page.slug), channel=channel,
        channel_name=channel.name if channel else page.slug,
        composed=composed, once=once, quiet=quiet, formats=FORMATS, **_previewed(page, composed),
    )  # fmt: skip


def _previewed(page: View, composed: Composed) -> dict[str, Any]:
    limit = page.adapter.settings.posts.max_bytes
    parts, size, wrong = preview(composed, limit)
    return {
        "parts": parts, "size": size, "limit": limit, "now": datetime.now(UTC),
        "wrong": page.explain(wrong) if wrong is not None else None,
    }  # fmt: skip


ROUTES = (
    PageRoute("GET", "/c/{slug}/compose", "compose", AccessRole.EDITOR, show),
    PageRoute("POST", "/c/{slug}/compose", "compose", AccessRole.EDITOR, publish),
    PageRoute("POST", "/c/{slug}/preview", "preview", AccessRole.EDITOR, show_preview),
)
