"""Invitations of a channel: create one with its link and QR code, list them, revoke."""

import base64
from datetime import timedelta
from typing import Final

from aiohttp import web

from channel_adapter.config.extras import is_installed
from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.invitation import Invitation
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.text import parse_digits

SHOWN: Final = 200
_MOST_DAYS: Final = 3_650


async def show(page: View) -> web.Response:
    """Show the invitations of the channel."""
    return await _render_invites(page, {"uses": "", "days": ""})


async def create(page: View) -> web.Response:
    """Create an invitation; its link is on this answer and nowhere else."""
    form = await page.form()
    values = {name: str(form.get(name, "")).strip() for name in ("uses", "days")}
    try:
        days = _parse_number(values["days"], "days", _MOST_DAYS)
        created = await page.adapter.invites.create(
            page.slug,
            max_uses=_parse_number(values["uses"], "uses"),
            expires=None if days is None else timedelta(days=days),
        )
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_invites(page, values, error)
    await page.wrote(f"created {created.id}")
    return await _render_invites(page, values, created=created)


async def revoke(page: View) -> web.Response:
    """Revoke an invitation; users who have used it stay subscribed."""
    form = await page.form()
    name = str(form.get("invitation", ""))
    try:
        revoked = await page.adapter.invites.revoke(name, channel=page.slug)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_invites(page, {"uses": "", "days": ""}, error)
    await page.wrote(f"revoked {name[:40]}" if revoked else "unchanged")
    return page.redirect("invites", slug=page.slug, query={"done": "saved" if revoked else "unchanged"})


async def _render_invites(
    page: View, values: dict[str, str], error: ChannelAdapterError | None = None, created: Invitation | None = None
) -> web.Response:
    channel = await page.channel()
    stores = page.adapter.settings.database_url is not None
    found: list[Invitation] = []
    if stores:
        async for each in page.adapter.invites.list(page.slug):
            found.append(each)
            if len(found) == SHOWN:
                break
    picture = ""
    if created is not None and is_installed("segno"):
        image = base64.b64encode(page.adapter.invites.qr(created, scale=4).encode()).decode()
        picture = f"data:image/svg+xml;base64,{image}"
    return page.render(
        "invites.html", error=error, channel_name=channel.name, values=values, created=created, picture=picture,
        invitations=found, stores=stores,
    )  # fmt: skip


def _parse_number(text: str, field: str, highest: int = 1_000_000_000) -> int | None:
    """Return a number of the form; None if it is empty. Raises InvalidError."""
    if not text:
        return None
    number = parse_digits(text, highest)
    if not number:
        raise InvalidError(f"{field} must be a whole number, 1 to {highest:,}", field=field)
    return number


ROUTES = (
    PageRoute("GET", "/c/{slug}/invites", "invites", AccessRole.ADMIN, show),
    PageRoute("POST", "/c/{slug}/invites", "invites", AccessRole.ADMIN, create),
    PageRoute("POST", "/c/{slug}/invites/revoke", "revoke_invite", AccessRole.ADMIN, revoke),
)
