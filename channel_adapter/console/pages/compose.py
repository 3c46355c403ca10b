"""The composer: three formats, a link, and the preview beside it."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.content import FORMATS, Composed, preview
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.media import UPLOAD_BYTES, uploaded
from channel_adapter.console.pages.schedule import ZONE_COOKIE, last_zone, moment
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.schedule import SavedDraft
from channel_adapter.errors import ChannelAdapterError, ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class Sending:
    """A form of the composer: its content, the value that makes it count once, and when and how it is sent.

    `user` is the account that gets a test. `seen` is when the draft was changed last before it was shown.
    """

    composed: Composed
    once: str
    draft: str = ""
    seen: str = ""
    at: str = ""
    zone: str = ""
    silent: bool = False
    user: str = ""

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> "Sending":
        """Return the fields of a form."""
        once = str(form.get("once", "")) or secrets.token_urlsafe(16)
        texts = {name: str(form.get(name, "")).strip() for name in ("draft", "seen", "at", "zone", "user")}
        return cls(Composed.read(form), once, silent="silent" in form, **texts)

    def key(self, slug: str, action: str) -> str:
        """Return the key of what the form asks for, which is done once. Another text or button makes another key."""
        asked = (slug, self.once, action, self.composed, self.at, self.zone, self.silent)
        return hashlib.sha256(repr(asked).encode()).hexdigest()

    def time(self) -> datetime:
        """Return when the post is to be published. Raises InvalidError."""
        return moment(self.at, self.zone)


async def show(page: View) -> web.Response:
    """Show an empty composer, or one with the content of a draft."""
    channel = await page.channel()
    draft_id, once = page.request.query.get("draft", ""), secrets.token_urlsafe(16)
    if not draft_id:
        return await _render_composer(page, channel, Sending(Composed(), once))
    draft = await _find_draft(page, draft_id)
    composed = Composed.of(draft.parts)
    if composed is None:
        raise NotFoundError(f"the composer cannot show draft {draft_id}", field="draft")
    seen = draft.changed_at.isoformat()
    return await _render_composer(page, channel, Sending(composed, once, draft_id, seen, silent=draft.silent))


async def publish(page: View) -> web.Response:
    """Publish, schedule or store what the form holds, once however often it is sent; or show it again."""
    form = await page.form(UPLOAD_BYTES)
    sending = Sending.read(form)
    try:
        sending = replace(sending, composed=await uploaded(page, form, sending.composed))
        if form.get("action") == "preview":
            return await _render_composer(page, await page.channel(), sending)
        if form.get("action") == "test":
            return await _send_test(page, sending)
        return await _perform_action(page, sending, str(form.get("action", "")))
    except ChannelAdapterError as error:
        await page.refused(error)
        if isinstance(error, NotFoundError) and error.field == "channel":
            raise
        if sending.draft and error.field in ("draft", "draft_id"):
            sending = await _with_draft_as_now(page, sending)
        return await _render_composer(page, None, sending, error)


async def _perform_action(page: View, sending: "Sending", action: str) -> web.Response:
    """Do what a button says, unless the same form has done it before."""
    key = sending.key(page.slug, action)
    if (place := await page.console.rows.result_of(key)) is not None:
        return web.Response(status=303, headers={"Location": place})
    posts, content, slug = page.adapter.posts, sending.composed.content(), page.slug
    author, silent = await _read_author(page, sending), sending.silent
    if action == "schedule":
        waiting = await posts.schedule(
            slug, content, at=sending.time(), author=author, idempotency_key=key, silent=silent
        )
        place, outcome = page.url("schedule", query={"done": "scheduled"}), f"scheduled {waiting.id}"
    elif action == "draft":
        draft = await posts.draft(
            slug, content, author=author, silent=silent, replace=sending.draft or None, idempotency_key=key
        )
        place, outcome = page.url("schedule", query={"done": "drafted"}), f"stored draft {draft.id}"
    else:
        post = await posts.publish(slug, content, author=author, idempotency_key=key, silent=silent)
        number = str(post.ref.seq)
        place = page.url("channel", slug=slug, query={"done": "published", "number": number})
        outcome = f"published {number}"
    await page.wrote(outcome)
    await page.remember(key, place)
    if sending.draft and action != "draft":
        await page.discard_draft(sending.draft)
    page.console.channels.forget()
    answer = web.Response(status=303, headers={"Location": place})
    if action == "schedule":
        answer.set_cookie(ZONE_COOKIE, sending.zone, path=page.url("channels"), httponly=True, samesite="Strict")
    return answer


async def _find_draft(page: View, draft_id: str) -> SavedDraft:
    """Return a draft of the channel. Raises NotFoundError, also for one of another channel."""
    draft = await page.adapter.posts.get_draft(draft_id)
    if draft.channel != page.adapter.backend.ids.channel(page.slug):
        raise NotFoundError(f"the channel has no draft {draft_id}", field="draft")
    return draft


async def _read_author(page: View, sending: "Sending") -> str | None:
    """Return the author of the draft that the form replaces, publishes or schedules; None for the owner.

    Raises NotFoundError if the draft has gone, and ConflictError if it was changed after the form had been shown.
    """
    if not sending.draft:
        return None
    draft = await _find_draft(page, sending.draft)
    if sending.seen and draft.changed_at.isoformat() != sending.seen:
        raise ConflictError(
            f"draft {draft.id} was changed meanwhile; what you wrote replaces it when you send it again", field="draft"
        )
    return draft.author


async def _with_draft_as_now(page: View, sending: "Sending") -> "Sending":
    """Return the form with its draft as it is now, for sending it again; without one if the draft has gone."""
    try:
        return replace(sending, seen=(await _find_draft(page, sending.draft)).changed_at.isoformat())
    except NotFoundError:
        return replace(sending, draft="", seen="")


async def _send_test(page: View, sending: "Sending") -> web.Response:
    """Send the content to one account as a one-to-one message, once for each content, and show the composer again."""
    content = sending.composed.content()
    key = hashlib.sha256(f"{sending.once}/{content!r}".encode()).hexdigest()
    channel = await page.channel()
    await page.adapter.messages.send(page.slug, user=sending.user, content=content, idempotency_key=key)
    await page.wrote(f"sent a test to {sending.user}")
    return await _render_composer(page, channel, sending, tested=True)


async def show_preview(page: View) -> web.Response:
    """Return the phone frame for what the form holds, for a part of the page."""
    form = await page.form()
    return page.render(
        "preview.html", **_preview_fields(page, Composed.read(form)), channel_name=str(form.get("channel_name", ""))
    )


async def _render_composer(
    page: View,
    channel: Channel | None,
    sending: "Sending",
    error: ChannelAdapterError | None = None,
    *,
    tested: bool = False,
) -> web.Response:
    """Return the composer. Without a channel, which a service that is down does not return, its slug is shown."""
    name = channel.name if channel else page.slug
    return page.render(
        "compose.html", error=error, action=page.url("compose", slug=page.slug), channel_name=name,
        composed=sending.composed, sending=sending, zone=sending.zone or last_zone(page), formats=FORMATS,
        stores=page.adapter.settings.database_url is not None, tested=tested, **_preview_fields(page, sending.composed),
    )  # fmt: skip


def _preview_fields(page: View, composed: Composed) -> dict[str, Any]:
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
