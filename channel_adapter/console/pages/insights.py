"""Insights of a channel: growth and posts by day, views and reactions of posts; drawn by the server."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.i18n import message
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.subscribers import csv_text
from channel_adapter.domain.insights import ChannelInsights, DayInsights
from channel_adapter.errors import ChannelAdapterError

RANGES: Final = (7, 30, 90, 365)
WIDTH: Final = 600
HEIGHT: Final = 160
_WIDEST_BAR: Final = 24
DEFINITIONS: Final = (
    (
        message("Views"),
        message("Subscribers whose read position is at or past the post and who subscribed before it; inferred."),
    ),
    (message("Reach"), message("Subscribers at the time of the scan who subscribed before the post.")),
    (
        message("Subscribers"),
        message("At the end of the day: counted by the service today, else by a scan, else computed from joins."),
    ),
    (
        message("Joins and leaves"),
        message("As webhooks reported them since recording began; joins from before that come from the last scan."),
    ),
    (message("Posts"), message("Posts in the history that the service still keeps, without recalled ones.")),
)
"""What each figure counts. Days are days of UTC."""


@dataclass(frozen=True, slots=True)
class GrowthChart:
    """A line of subscribers by day and bars of posts, as coordinates of an SVG of WIDTH x HEIGHT."""

    points: str
    bars: tuple[tuple[float, float, float, float], ...]
    lowest: int
    highest: int


async def show(page: View) -> web.Response:
    """Show the figures of a number of days."""
    return await _show(page)


async def scan(page: View) -> web.Response:
    """Read the positions of all subscribers, which counts the views of all posts."""
    await page.form()
    try:
        found = await page.adapter.insights.views(page.slug)
    except ChannelAdapterError as error:
        await page.wrote(error.kind)
        return await _show(page, error)
    await page.wrote(f"scanned {found.subscribers}")
    return page.redirect("insights", slug=page.slug, query={"done": "scanned", "days": str(_days(page))})


async def download_csv(page: View) -> web.Response:
    """Send the figures of each day as CSV."""
    found = await _read(page)
    rows = [["day", "subscribers", "joins", "leaves", "posts"]]
    for day in found.days:
        figures = (day.subscribers, day.joins, day.leaves, day.posts)
        rows.append([day.day.isoformat(), *("" if each is None else str(each) for each in figures)])
    name = f'attachment; filename="{page.slug}-insights.csv"'
    return web.Response(text=csv_text(rows), content_type="text/csv", headers={"Content-Disposition": name})


async def download_json(page: View) -> web.Response:
    """Send all figures as JSON."""
    name = f'attachment; filename="{page.slug}-insights.json"'
    body = orjson.dumps(asdict(await _read(page)), option=orjson.OPT_INDENT_2)
    return web.Response(body=body, content_type="application/json", headers={"Content-Disposition": name})


async def _show(page: View, error: ChannelAdapterError | None = None) -> web.Response:
    channel = await page.channel()
    found: ChannelInsights | None = None
    if page.adapter.settings.database_url is not None:
        try:
            found = await _read(page)
        except ChannelAdapterError as wrong:
            error = error or wrong
    return page.render(
        "insights.html", error=error, channel_name=channel.name, found=found, days=_days(page), ranges=RANGES,
        chart=growth_chart(found.days) if found is not None else None, width=WIDTH, height=HEIGHT,
        can_scan=page.adapter.can.views, definitions=DEFINITIONS,
        stores=page.adapter.settings.database_url is not None,
    )  # fmt: skip


async def _read(page: View) -> ChannelInsights:
    since = (datetime.now(UTC) - timedelta(days=_days(page) - 1)).date()
    return await page.adapter.insights.channel(page.slug, since)


def _days(page: View) -> int:
    text = page.request.query.get("days", "")
    return int(text) if text in [str(each) for each in RANGES] else 30


def growth_chart(days: Sequence[DayInsights]) -> GrowthChart:
    """Return the coordinates of a chart; days without a known number of subscribers are left out of the line."""
    known = [(index, day.subscribers) for index, day in enumerate(days) if day.subscribers is not None]
    lowest = min((number for _, number in known), default=0)
    highest = max((number for _, number in known), default=0)
    step = WIDTH / max(1, len(days))
    span = max(1, highest - lowest)
    points = " ".join(
        f"{(index + 0.5) * step:.1f},{HEIGHT - 10 - (number - lowest) / span * (HEIGHT - 20):.1f}"
        for index, number in known
    )
    most = max((day.posts for day in days), default=0)
    width = min(step * 0.6, _WIDEST_BAR)
    bars = tuple(
        (round((index + 0.5) * step - width / 2, 1), round(HEIGHT - day.posts / most * HEIGHT / 3, 1), round(width, 1),
         round(day.posts / most * HEIGHT / 3, 1))
        for index, day in enumerate(days)
        if day.posts
    )  # fmt: skip
    return GrowthChart(points, bars, lowest, highest)


ROUTES = (
    PageRoute("GET", "/c/{slug}/insights", "insights", AccessRole.VIEWER, show),
    PageRoute("POST", "/c/{slug}/insights", "insights", AccessRole.EDITOR, scan),
    PageRoute("GET", "/c/{slug}/insights.csv", "insights_csv", AccessRole.VIEWER, download_csv),
    PageRoute("GET", "/c/{slug}/insights.json", "insights_json", AccessRole.VIEWER, download_json),
)
