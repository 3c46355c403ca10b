"""The posts of a channel, newest first, with reactions and views; and those that are scheduled, failed or drafts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.content import picture
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.schedule import ScheduleLine, draft_lines, last_zone, scheduled_lines
from channel_adapter.domain.insights import StoredViews
from channel_adapter.domain.post import Post, PostRef, PostState
from channel_adapter.domain.reaction import Reactions
from channel_adapter.domain.schedule import ScheduleState
from channel_adapter.mapping.content import excerpt
from channel_adapter.mapping.text import parse_digits

PER_PAGE: Final = 20
SCANNED: Final = 400
"""Posts that one search looks through; the next page goes on behind them."""

DRAFT: Final = "draft"
WAITING: Final = (ScheduleState.SCHEDULED.value, DRAFT, ScheduleState.FAILED.value)
"""States of the filter that the service does not know."""
FAILED: Final = (ScheduleState.FAILED, ScheduleState.MISSED)
_STATES: Final = (*PostState, *WAITING)


@dataclass(frozen=True, slots=True)
class ListedPost:
    """One post of the list."""

    post: Post
    excerpt: str
    picture: str
    reactions: Reactions
    views: StoredViews | None
    edited: datetime | None


async def show(page: View) -> web.Response:
    """Show 20 posts that match the search."""
    query = page.request.query
    if "chips" in query:
        return await _render_chips(page, query["chips"])
    words, state = query.get("q", "").strip(), query.get("state", "")
    below = query.get("before", "")
    before = parse_digits(below) or None
    channel = await page.channel()
    stores = page.adapter.settings.database_url is not None
    if stores and state in WAITING:
        lines = [each for each in await _list_waiting(page, state) if words.casefold() in each.excerpt.casefold()]
        return page.render(
            "posts.html", channel=channel, rows=[], lines=lines, pinned=[], words=words, state=state, states=_STATES,
            following=None, is_first=True, stores=stores, zone=last_zone(page),
        )  # fmt: skip
    found, following = await _search_history(page, words.casefold(), state, before)
    refs = [post.ref for post in found if post.state is PostState.PUBLISHED]
    reactions, views, edits = await page.reactions(refs), await page.views(refs), await page.edits(found)
    rows = [
        ListedPost(
            post, excerpt(post.parts), picture(post.parts), reactions.get(post.ref, Reactions(ref=post.ref)),
            views.get(post.ref), edits.get(post.ref.seq),
        )
        for post in found
    ]  # fmt: skip
    pinned = await page.pinned() if before is None and not words and not state else []
    return page.render(
        "posts.html", channel=channel, rows=rows, lines=[], pinned=[(post, excerpt(post.parts)) for post in pinned],
        words=words, state=state, states=_STATES if stores else list(PostState), following=following,
        is_first=before is None, stores=stores,
    )  # fmt: skip


async def _list_waiting(page: View, state: str) -> list[ScheduleLine]:
    """Return the scheduled posts of the channel, those that failed or were missed, or its drafts."""
    if state == DRAFT:
        return await draft_lines(page, page.slug)
    is_failed = state == ScheduleState.FAILED
    wanted = FAILED if is_failed else (ScheduleState.SCHEDULED, ScheduleState.PUBLISHING)
    return await scheduled_lines(page, page.slug, wanted=lambda post: post.state in wanted, ended=is_failed)


async def _render_chips(page: View, numbers: str) -> web.Response:
    """Return the reactions of some posts, which replace those on the page."""
    seqs = [parse_digits(each) for each in numbers.split(",")[:PER_PAGE]]
    channel = page.adapter.backend.ids.channel(page.slug)
    found = await page.adapter.reactions.get_many([PostRef(channel, seq) for seq in seqs if seq])
    return page.render("chips.html", found=found)


async def _search_history(page: View, words: str, state: str, before: int | None) -> tuple[list[Post], int | None]:
    """Return the posts of one page, and the number below which the next begins; None at the end."""
    found: list[Post] = []
    scanned = 0
    async for post in page.adapter.posts.history(page.slug, before=before):
        scanned += 1
        if (not state or post.state == state) and (not words or words in excerpt(post.parts).casefold()):
            found.append(post)
        if len(found) == PER_PAGE or scanned == SCANNED:
            return found, post.ref.seq if post.ref.seq > 1 else None
    return found, None


ROUTES = (PageRoute("GET", "/c/{slug}", "channel", AccessRole.VIEWER, show),)
