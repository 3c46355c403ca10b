"""Insights of a channel: growth and posts by day, views and reactions of posts; drawn by the server."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Final

import orjson
from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.charts import growth_chart
from channel_adapter.console.csv_file import CsvDownload
from channel_adapter.console.i18n import message
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.insights import ChannelInsights, PostInsights
from channel_adapter.errors import ChannelAdapterError

RANGES: Final = (7, 30, 90, 365)
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
class PublicationHour:
    """Posts published in one hour of the day, and views and reactions of one on average; None without a scan."""

    hour: int
    posts: int
    views: float | None
    reactions: float

    @property
    def span(self) -> str:
        """The hour as `08:00–09:00`."""
        return f"{self.hour:02}:00–{(self.hour + 1) % 24:02}:00"


async def show(page: View) -> web.Response:
    """Show the figures of a number of days."""
    return await _render_insights(page)


async def scan(page: View) -> web.Response:
    """Read the positions of all subscribers, which counts the views of all posts."""
    await page.form()
    try:
        found = await page.adapter.insights.views(page.slug)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_insights(page, error)
    await page.wrote(f"scanned {found.subscribers}")
    return page.redirect("insights", slug=page.slug, query={"done": "scanned", "days": str(_read_days(page))})


async def download_csv(page: View) -> web.StreamResponse:
    """Send the figures of each day as CSV."""
    found = await _read_insights(page)
    rows = [["day", "subscribers", "joins", "leaves", "posts"]]
    for day in found.days:
        figures = (day.subscribers, day.joins, day.leaves, day.posts)
        rows.append([day.day.isoformat(), *("" if each is None else str(each) for each in figures)])
    file = CsvDownload(page, f"{page.slug}-insights.csv")
    await file.write(rows)
    return await file.end()


async def download_json(page: View) -> web.Response:
    """Send all figures as JSON."""
    name = f'attachment; filename="{page.slug}-insights.json"'
    body = orjson.dumps(asdict(await _read_insights(page)), option=orjson.OPT_INDENT_2)
    return web.Response(body=body, content_type="application/json", headers={"Content-Disposition": name})


async def _render_insights(page: View, error: ChannelAdapterError | None = None) -> web.Response:
    channel = await page.channel()
    found: ChannelInsights | None = None
    if page.adapter.settings.database_url is not None:
        try:
            found = await _read_insights(page)
        except ChannelAdapterError as wrong:
            error = error or wrong
    return page.render(
        "insights.html", error=error, channel_name=channel.name, found=found, days=_read_days(page), ranges=RANGES,
        chart=growth_chart(found.days) if found is not None else None,
        hours=publication_hours(found.posts) if found is not None else [],
        can_scan=page.adapter.can.views, definitions=DEFINITIONS,
        stores=page.adapter.settings.database_url is not None,
    )  # fmt: skip


async def _read_insights(page: View) -> ChannelInsights:
    since = (datetime.now(UTC) - timedelta(days=_read_days(page) - 1)).date()
    return await page.adapter.insights.channel(page.slug, since)


def _read_days(page: View) -> int:
    text = page.request.query.get("days", "")
    return int(text) if text in [str(each) for each in RANGES] else 30


def publication_hours(posts: Iterable[PostInsights]) -> list[PublicationHour]:
    """Return the hours of UTC in which posts were published."""
    by_hour: dict[int, list[PostInsights]] = {}
    for post in posts:
        by_hour.setdefault(post.published_at.astimezone(UTC).hour, []).append(post)
    found = []
    for hour, each in sorted(by_hour.items()):
        views = [post.views for post in each if post.views is not None]
        reactions = [post.reactions for post in each]
        found.append(PublicationHour(hour, len(each), fmean(views) if views else None, fmean(reactions)))
    return found


ROUTES = (
    PageRoute("GET", "/c/{slug}/insights", "insights", AccessRole.VIEWER, show),
    PageRoute("POST", "/c/{slug}/insights", "insights", AccessRole.EDITOR, scan),
    PageRoute("GET", "/c/{slug}/insights.csv", "insights_csv", AccessRole.VIEWER, download_csv),
    PageRoute("GET", "/c/{slug}/insights.json", "insights_json", AccessRole.VIEWER, download_json),
)
