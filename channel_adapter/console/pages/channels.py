"""The list of channels: search, order, pages; and what needs attention, on top."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.channel_list import MOST
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.webhooks import dead_letters
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.schedule import ScheduledPost, ScheduleState
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.content import excerpt

PER_PAGE: Final = 50
NEXT_POSTS: Final = 3
ORDERS: Final = ("last_post", "name", "subscribers")


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page says on top: failed checks, dead letters, the next scheduled posts by channel and excerpt.

    A number is None where it is not known: before the checks ran, and without a receiver of webhooks.
    """

    failed_checks: int | None
    dead_letters: int | None
    following: tuple[tuple[ScheduledPost, str, str], ...]


async def show(page: View) -> web.Response:
    """Show the channels that match the search, 50 a page."""
    query = page.request.query
    if "overview" in query:
        await page.console.check()
        return page.render("overview.html", overview=await _read_overview(page))
    words = query.get("q", "").strip()
    order = query.get("order", "")
    order = order if order in ORDERS else ORDERS[0]
    everything = await page.console.channels.all()
    if words and len(everything) >= MOST and page.adapter.settings.database_url is not None:
        everything = await _search_directory(page, words)
    found = sorted((each for each in everything if _matches_words(each, words.casefold())), key=lambda each: each.slug)
    found.sort(key=lambda each: _sort_key(each, order))
    start = next((index for index, each in enumerate(found) if each.slug == query.get("from")), 0)
    shown = found[start : start + PER_PAGE]
    following = found[start + PER_PAGE].slug if len(found) > start + PER_PAGE else ""
    return page.render(
        "channels.html", channels=shown, total=len(everything), found=len(found), words=words, order=order,
        following=following, is_first=not start, is_whole=len(everything) < MOST, overview=await _read_overview(page),
        growth=await _read_growth(page, shown), moved=await _read_moved_channels(page),
    )  # fmt: skip


async def _read_overview(page: View) -> Overview:
    """Return what needs attention; a database that does not answer leaves its part out, and is logged."""
    dead: int | None = None
    following: tuple[tuple[ScheduledPost, str, str], ...] = ()
    try:
        dead = await dead_letters(page)
        following = await _read_next_posts(page)
    except ChannelAdapterError as error:
        page.console.log_part_not_read("overview", error)
    return Overview(page.console.failed_checks, dead, following)


async def _read_next_posts(page: View) -> tuple[tuple[ScheduledPost, str, str], ...]:
    found: list[tuple[ScheduledPost, str, str]] = []
    if page.adapter.settings.database_url is None:
        return ()
    async with aclosing(page.adapter.posts.scheduled()) as posts:
        async for post in posts:
            if post.state is ScheduleState.SCHEDULED and not post.problem:
                found.append((post, page.adapter.backend.ids.slug(post.channel), excerpt(post.parts)))
            if len(found) == NEXT_POSTS:
                break
    return tuple(found)


async def _read_growth(page: View, channels: Iterable[Channel]) -> dict[ChannelId, int]:
    """Return the change of subscribers of channels in 7 days, where insights are recorded."""
    settings = page.adapter.settings
    if settings.database_url is None or not settings.insights.record:
        return {}
    try:
        return await page.adapter.insights.growth([each.id for each in channels])
    except ChannelAdapterError as error:
        page.console.log_part_not_read("growth", error)
        return {}


async def _read_moved_channels(page: View) -> frozenset[str]:
    """Return the channels to which a cutover has moved official accounts."""
    if page.adapter.posting_moved is None:
        return frozenset()
    try:
        return await page.adapter.posting_moved.moved()
    except ChannelAdapterError as error:
        page.console.log_part_not_read("moved accounts", error)
        return frozenset()


async def _search_directory(page: View, words: str) -> list[Channel]:
    """Return the channels that the database knows and that match."""
    found = await page.adapter.directory.search(words[:60], limit=PER_PAGE)
    return list((await page.adapter.channels.get_many([each.id for each in found])).values())


def _matches_words(channel: Channel, words: str) -> bool:
    texts = (channel.name, channel.slug, channel.introduction, channel.organization)
    return any(words in text.casefold() for text in texts)


def _sort_key(channel: Channel, order: str) -> tuple[float, str]:
    if order == "name":
        return (0, channel.name.casefold())
    if order == "subscribers":
        return (-channel.subscriber_count, "")
    return (-channel.last_post_at.timestamp() if channel.last_post_at is not None else 0, "")


ROUTES = (PageRoute("GET", "/", "channels", AccessRole.VIEWER, show),)
