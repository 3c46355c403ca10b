"""The list of channels: search, order, pages."""

from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.channel_list import MOST
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.channel import Channel

PER_PAGE: Final = 50
ORDERS: Final = ("last_post", "name", "subscribers")


async def show(page: View) -> web.Response:
    """Show the channels that match the search, 50 a page."""
    query = page.request.query
    words = query.get("q", "").strip()
    order = query.get("order", "")
    order = order if order in ORDERS else ORDERS[0]
    everything = await page.console.channels.all()
    if words and len(everything) >= MOST and page.adapter.settings.database_url is not None:
        everything = await _in_directory(page, words)
    found = sorted((each for each in everything if _matches(each, words.casefold())), key=lambda each: each.slug)
    found.sort(key=lambda each: _rank(each, order))
    start = next((index for index, each in enumerate(found) if each.slug == query.get("from")), 0)
    shown = found[start : start + PER_PAGE]
    following = found[start + PER_PAGE].slug if len(found) > start + PER_PAGE else ""
    return page.render(
        "channels.html", channels=shown, total=len(everything), found=len(found), words=words, order=order,
        following=following, is_first=not start, is_whole=len(everything) < MOST,
    )  # fmt: skip


async def _in_directory(page: View, words: str) -> list[Channel]:
    """Return the channels that the database knows and that match."""
    found = await page.adapter.directory.search(words[:60], limit=PER_PAGE)
    return list((await page.adapter.channels.get_many([each.id for each in found])).values())


def _matches(channel: Channel, words: str) -> bool:
    texts = (channel.name, channel.slug, channel.introduction, channel.organization)
    return any(words in text.casefold() for text in texts)


def _rank(channel: Channel, order: str) -> tuple[float, str]:
    if order == "name":
        return (0, channel.name.casefold())
    if order == "subscribers":
        return (-channel.subscriber_count, "")
    return (-channel.last_post_at.timestamp() if channel.last_post_at is not None else 0, "")


ROUTES = (PageRoute("GET", "/", "channels", AccessRole.VIEWER, show),)
