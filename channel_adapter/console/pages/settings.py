"""Settings of a channel: its profile, contact and categories, the reactions that it accepts, and its deletion."""

from dataclasses import fields
from typing import Any, Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.media import UPLOAD_BYTES, uploaded_avatar
from channel_adapter.domain.channel import CONTACT, Channel, ChannelProfile
from channel_adapter.domain.reaction import BASIC, PolicyKind, ReactionPolicy
from channel_adapter.domain.subscription import Subscriber
from channel_adapter.errors import ChannelAdapterError, ConflictError, InvalidError
from channel_adapter.mapping.content import excerpt
from channel_adapter.mapping.text import parse_digits

CATEGORIES: Final = "categories"
USUAL: Final = (*BASIC, "🔥", "🎉", "👏", "💯", "😍", "🤔", "✅", "👎")
"""Emoji that the form offers as checkboxes."""
FIELDS: Final = (*(each.name for each in fields(ChannelProfile)), CONTACT, CATEGORIES)


async def show(page: View) -> web.Response:
    """Show the settings as they are now."""
    channel = await page.channel()
    return await _render_settings_form(page, channel, await _form_values(page, channel))


async def save(page: View) -> web.Response:
    """Change the fields that were edited; a field that another operator changed meanwhile is shown instead."""
    form = await page.form(UPLOAD_BYTES)
    channel = await page.channel()
    now = await _form_values(page, channel)
    sent = {name: _with_line_feeds(str(form.get(name, now[name]))).strip() for name in FIELDS}
    seen = {name: _with_line_feeds(str(form.get(f"seen_{name}", now[name]))) for name in FIELDS}
    try:
        sent["avatar"] = await uploaded_avatar(page, form, sent["avatar"])
    except ChannelAdapterError as wrong:
        await page.refused(wrong)
        return await _render_settings_form(page, channel, sent, wrong)
    edited = [name for name in FIELDS if sent[name] != seen[name].strip()]
    conflicts = [name for name in edited if now[name] != seen[name] and now[name] != sent[name]]
    kept = {name: sent[name] if name in edited else now[name] for name in FIELDS}
    if conflicts:
        await page.refused("conflict")
        error = ConflictError(f"changed meanwhile: {', '.join(conflicts)}", field=conflicts[0])
        return await _render_settings_form(page, channel, kept, error, conflicts)
    try:
        change = {name: _parse_field(name, sent[name]) for name in edited if sent[name] != now[name]}
        if change:
            await page.adapter.channels.update(page.slug, **change)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_settings_form(page, channel, kept, error)
    page.console.channels.forget()
    await page.wrote(f"changed {', '.join(sorted(change))}" if change else "unchanged")
    return page.redirect("settings", slug=page.slug, query={"done": "saved" if change else "unchanged"})


async def set_policy(page: View) -> web.Response:
    """Set which reactions the channel accepts."""
    form = await page.form()
    kind, marked = str(form.get("policy", "")), [str(each) for each in form.getall("usual", [])]
    emoji = list(dict.fromkeys([*marked, *str(form.get("emoji", "")).split()]))
    try:
        if kind not in set(PolicyKind):
            raise InvalidError(f"policy must be one of {', '.join(PolicyKind)}", field="policy")
        if kind == PolicyKind.SOME and not emoji:
            raise InvalidError("emoji is empty; name the reactions that are allowed", field="emoji")
        await page.adapter.reactions.set_policy(page.slug, emoji if kind == PolicyKind.SOME else kind)
    except ChannelAdapterError as error:
        await page.refused(error)
        channel = await page.channel()
        policy = ReactionPolicy(PolicyKind(kind) if kind in set(PolicyKind) else PolicyKind.ALL, tuple(emoji))
        return await _render_settings_form(page, channel, await _form_values(page, channel), error, policy=policy)
    await page.wrote(f"policy {kind}")
    return page.redirect("settings", slug=page.slug, query={"done": "saved"})


async def finish(page: View) -> web.Response:
    """Finish an interrupted creation."""
    finished = await page.adapter.channels.finish(page.slug)
    page.console.channels.forget()
    await page.wrote("finished" if finished else "unchanged")
    return page.redirect("settings", slug=page.slug, query={"done": "finished" if finished else "unchanged"})


async def delete(page: View) -> web.Response:
    """Delete the channel, if its short name was typed."""
    form = await page.form()
    channel = await page.channel()
    if str(form.get("confirm", "")).strip() != channel.slug:
        await page.refused("not confirmed")
        error = InvalidError(f"type {channel.slug} to delete the channel", field="confirm")
        return await _render_settings_form(page, channel, await _form_values(page, channel), error)
    try:
        await page.adapter.channels.delete(page.slug)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_settings_form(page, channel, await _form_values(page, channel), error)
    page.console.channels.forget()
    await page.wrote("deleted")
    return page.redirect("channels", query={"done": "deleted"})


async def _render_settings_form(
    page: View,
    channel: Channel,
    values: dict[str, str],
    error: ChannelAdapterError | None = None,
    conflicts: list[str] | None = None,
    *,
    policy: ReactionPolicy | None = None,
) -> web.Response:
    own = page.adapter.settings.channels
    staff: tuple[Subscriber, ...] = ()
    try:
        staff = await page.adapter.channels.staff(page.slug)
    except ChannelAdapterError as wrong:
        error = error or wrong
    policy = policy or await page.adapter.reactions.policy(page.slug)
    return page.render(
        "settings.html", error=error, channel=channel, values=values, seen=await _form_values(page, channel),
        staff=staff, pinned=[(post, excerpt(post.parts)) for post in await page.pinned()],
        conflicts=conflicts or [], kinds=list(PolicyKind),
        policy=policy, usual=USUAL, typed_emoji=[each for each in policy.emoji if each not in USUAL],
        has_organization=bool(own.organization_key), has_custom_data=bool(own.custom_data_keys),
        stores=page.adapter.settings.database_url is not None,
    )  # fmt: skip


async def _form_values(page: View, channel: Channel) -> dict[str, str]:
    found = {name: getattr(channel, name) for name in FIELDS if name != CATEGORIES}
    if page.adapter.settings.database_url is not None:
        entry = await page.adapter.directory.get(channel.id)
        found[CATEGORIES] = "\n".join(entry.categories) if entry is not None else ""
    return {name: "" if (value := found.get(name)) is None else _with_line_feeds(str(value)) for name in FIELDS}


def _with_line_feeds(text: str) -> str:
    """Return a text with the line ends that browsers show and compare, however it was stored or sent."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse_field(name: str, value: str) -> Any:
    if name == CATEGORIES:
        return [line.strip() for line in value.splitlines() if line.strip()]
    if name != "max_subscribers":
        if name == "name" and not value:
            raise InvalidError("name is empty", field="name")
        return value
    number = parse_digits(value)
    if not number:
        raise InvalidError("max_subscribers must be a whole number, 1 or more", field="max_subscribers")
    return number


ROUTES = (
    PageRoute("GET", "/c/{slug}/settings", "settings", AccessRole.ADMIN, show),
    PageRoute("POST", "/c/{slug}/settings", "settings", AccessRole.ADMIN, save),
    PageRoute("POST", "/c/{slug}/policy", "policy", AccessRole.ADMIN, set_policy),
    PageRoute("POST", "/c/{slug}/finish", "finish", AccessRole.ADMIN, finish),
    PageRoute("POST", "/c/{slug}/delete", "delete", AccessRole.ADMIN, delete),
)
