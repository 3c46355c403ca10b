"""The log of what operators wrote."""

from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.mapping.text import parse_digits

PER_PAGE: Final = 50


async def show(page: View) -> web.Response:
    """Show 50 writes, newest first, of all or of one operator or channel."""
    query = page.request.query
    operator, channel, before = (query.get(name, "").strip() for name in ("operator", "channel", "before"))
    rows = await page.console.rows.logged(
        PER_PAGE + 1,
        before=parse_digits(before),
        operator=operator,
        channel=channel,
    )
    shown = [(row, datetime.fromtimestamp(row.at, UTC)) for row in rows[:PER_PAGE]]
    following = str(rows[PER_PAGE - 1].number) if len(rows) > PER_PAGE else ""
    return page.render(
        "log.html", rows=shown, operator=operator, channel=channel, following=following, is_first=not before,
        kept=page.adapter.settings.database_url is not None,
    )  # fmt: skip


ROUTES = (PageRoute("GET", "/log", "log", AccessRole.VIEWER, show),)
