"""One post: what is really stored, its reactions, and editing and recalling it."""

import dataclasses
import secrets
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.charts import bar_chart
from channel_adapter.console.content import FORMATS, Composed, preview
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.media import UPLOAD_BYTES, uploaded
from channel_adapter.console.pages.webhooks import report_of
from channel_adapter.domain.post import Post, PostRef, PostState
from channel_adapter.errors import ChannelAdapterError, NotFoundError

REACTORS: Final = 200
"""Names of users who reacted that one page shows."""


async def show(page: View) -> web.Response:
    """Show the post as readers see it, read back from the service."""
    return await _render_post(page)


async def edit(page: View) -> web.Response:
    """Show the composer with the content of the post."""
    post = await page.adapter.posts.get(_post_ref(page))
    composed = Composed.of(post.parts)
    if composed is None or not page.adapter.can.edit_posts:
        return page.render("post_fixed.html", post=post, channel_name=(await page.channel()).name)
    return _render_edit_form(page, (await page.channel()).name, composed)


async def save(page: View) -> web.Response:
    """Replace the content of the post for every reader."""
    form = await page.form(UPLOAD_BYTES)
    composed = Composed.read(form)
    name = str(form.get("channel_name", page.slug))
    try:
        composed = await uploaded(page, form, composed)
        stored = await page.adapter.posts.get(_post_ref(page))
        before = Composed.of(stored.parts)
        if before is not None and before.image_url == composed.image_url:
            known = {name: getattr(before, name) for name in ("sizes", "thumbnail_url", "large_url")}
            composed = dataclasses.replace(composed, **known)
        if form.get("action") == "preview":
            return _render_edit_form(page, name, composed)
        await page.adapter.posts.edit(_post_ref(page), composed.content())
    except ChannelAdapterError as error:
        await page.refused(error)
        return _render_edit_form(page, name, composed, error)
    await page.edited(stored)
    await page.wrote(f"edited {_post_ref(page).seq}")
    return page.redirect("post", slug=page.slug, number=str(_post_ref(page).seq), query={"done": "edited"})


async def confirm(page: View) -> web.Response:
    """Show the post and the question whether to recall it."""
    return await _render_recall_form(page)


async def recall(page: View) -> web.Response:
    """Recall the post for every reader."""
    reason = str((await page.form()).get("reason", "")).strip()
    try:
        await page.adapter.posts.recall(_post_ref(page), reason)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_recall_form(page, reason, error)
    await page.wrote(f"recalled {_post_ref(page).seq}")
    return page.redirect("post", slug=page.slug, number=str(_post_ref(page).seq), query={"done": "recalled"})


async def react(page: View) -> web.Response:
    """Set a reaction of the channel's owner."""
    emoji = str((await page.form()).get("emoji", "")).strip()
    try:
        owner = (await page.channel()).owner
        if owner is None:
            raise NotFoundError("the channel has no owner", field="emoji")
        await page.adapter.reactions.react(_post_ref(page), owner, emoji)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_post(page, error, emoji)
    await page.wrote(f"reacted to {_post_ref(page).seq}")
    return page.redirect("post", slug=page.slug, number=str(_post_ref(page).seq), query={"done": "reacted"})


async def set_pin(page: View) -> web.Response:
    """Pin or unpin the post."""
    form = await page.form()
    posts = page.adapter.posts
    try:
        changed = await (posts.unpin(_post_ref(page)) if "unpin" in form else posts.pin(_post_ref(page)))
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_post(page, error)
    await page.wrote(f"{'unpinned' if 'unpin' in form else 'pinned'} {_post_ref(page).seq}")
    query = {"done": "saved" if changed else "unchanged"}
    return page.redirect("post", slug=page.slug, number=str(_post_ref(page).seq), query=query)


async def copy(page: View) -> web.Response:
    """Store the content of the post as a draft, once however often the form is sent, and lead to the composer."""
    once = str((await page.form()).get("once", "")) or None
    try:
        post = await page.adapter.posts.get(_post_ref(page))
        draft = await page.adapter.posts.draft(page.slug, post.parts, idempotency_key=once)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_post(page, error)
    await page.wrote(f"stored draft {draft.id}")
    return page.redirect("compose", slug=page.slug, query={"draft": draft.id, "done": "drafted"})


async def unreact(page: View) -> web.Response:
    """Remove the reaction of a user."""
    form = await page.form()
    user, emoji = str(form.get("user", "")), str(form.get("emoji", ""))
    try:
        removed = await page.adapter.reactions.unreact(_post_ref(page), user, emoji or None)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_post(page, error)
    await page.wrote(f"removed a reaction to {_post_ref(page).seq}")
    query = {"done": "removed", "number": "1"} if removed else {"done": "unchanged"}
    return page.redirect("post", slug=page.slug, number=str(_post_ref(page).seq), query=query)


async def _render_post(page: View, error: ChannelAdapterError | None = None, emoji: str = "") -> web.Response:
    ref = _post_ref(page)
    channel, post = await page.channel(), await page.adapter.posts.get(ref)
    found = await page.reactions([ref]) if post.state is PostState.PUBLISHED else {}
    reactions = found.get(ref)
    reactors = []
    if page.may(AccessRole.ADMIN) and reactions is not None and reactions.total:
        async for each in page.adapter.reactions.reactors(ref):
            reactors.append(each)
            if len(reactors) == REACTORS:
                break
    views, stores = (await page.views([ref])).get(ref), page.adapter.settings.database_url is not None
    days = await _reaction_days(page, post) if stores and reactions is not None and reactions.total else []
    pinned = any(each.ref.seq == ref.seq for each in await page.pinned())
    return page.render(
        "post.html", error=error, pinned=pinned, stores=stores, days=days,
        chart=bar_chart([number for _, number in days]), report=await report_of(page, post),
        hours=page.adapter.settings.inbox.remember_hours,
        channel=channel, channel_name=channel.name, post=post, reactions=reactions,
        reactors=reactors, emoji=emoji, views=views, document=_to_json(post),
        edited=(await page.edits([post])).get(ref.seq),
        can_edit=page.adapter.can.edit_posts and Composed.of(post.parts) is not None,
        can_copy=Composed.of(post.parts) is not None and stores, once=secrets.token_urlsafe(16),
    )  # fmt: skip


async def _reaction_days(page: View, post: Post) -> list[tuple[date, int]]:
    """Return how many reactions were set on each day of UTC, from the first day to the last one."""
    found = await page.adapter.reactions.by_day(_post_ref(page))
    if not found:
        return []
    first = min([*found, *([post.published_at.date()] if post.published_at else [])])
    days = [first + timedelta(days=offset) for offset in range((max(found) - first).days + 1)]
    return [(day, found.get(day, 0)) for day in days]


async def _render_recall_form(page: View, reason: str = "", error: ChannelAdapterError | None = None) -> web.Response:
    channel, post = await page.channel(), await page.adapter.posts.get(_post_ref(page))
    return page.render("recall.html", error=error, channel=channel, channel_name=channel.name, post=post, reason=reason)


def _render_edit_form(
    page: View, channel_name: str, composed: Composed, error: ChannelAdapterError | None = None
) -> web.Response:
    limit = page.adapter.settings.posts.max_bytes
    parts, size, wrong = preview(composed, limit)
    return page.render(
        "edit.html", error=error, channel_name=channel_name, composed=composed, formats=FORMATS, parts=parts, size=size,
        limit=limit, now=datetime.now(UTC), wrong=page.explain(wrong) if wrong is not None else None, sending=None,
        number=_post_ref(page).seq, action=page.request.path,
    )  # fmt: skip


def _post_ref(page: View) -> PostRef:
    """Return the post of the address. Raises NotFoundError for what is no number."""
    return PostRef.parse(f"{page.slug}/{page.request.match_info['number']}")


def _to_json(post: Post) -> str:
    found: dict[str, Any] = dataclasses.asdict(post)
    return orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str).decode()


ROUTES = (
    PageRoute("GET", r"/c/{slug}/p/{number:\d{1,18}}", "post", AccessRole.VIEWER, show),
    PageRoute("GET", r"/c/{slug}/p/{number:\d{1,18}}/edit", "edit", AccessRole.EDITOR, edit),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/edit", "edit", AccessRole.EDITOR, save),
    PageRoute("GET", r"/c/{slug}/p/{number:\d{1,18}}/recall", "recall", AccessRole.EDITOR, confirm),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/recall", "recall", AccessRole.EDITOR, recall),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/react", "react", AccessRole.EDITOR, react),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/unreact", "unreact", AccessRole.EDITOR, unreact),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/copy", "copy_post", AccessRole.EDITOR, copy),
    PageRoute("POST", r"/c/{slug}/p/{number:\d{1,18}}/pin", "pin", AccessRole.EDITOR, set_pin),
)
