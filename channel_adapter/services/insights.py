"""Insights: views of posts from read positions, and the growth of a channel from webhooks and scans."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import CursorLoopGuard, read_pages
from channel_adapter.domain.events import ChannelEvent, Subscribed, Unsubscribed
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.insights import (
    ChannelInsights,
    ChannelViews,
    DayInsights,
    PostInsights,
    PostViews,
    StoredViews,
)
from channel_adapter.domain.post import PostRef
from channel_adapter.errors import InvalidError, UnavailableError, needs_database
from channel_adapter.mapping.content import excerpt
from channel_adapter.mapping.times import from_seconds, to_utc
from channel_adapter.quoting import shown_value
from channel_adapter.services.reactions.service import ReactionService

if TYPE_CHECKING:
    from channel_adapter.store.insights import InsightRows, StoredFigures

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 36_500
BEST_POSTS: Final = 5
_REACTIONS_PER_READ: Final = 500


class _ListedPost(NamedTuple):
    """A post in history, without its content."""

    ref: PostRef
    published_at: datetime
    excerpt: str


@dataclass(frozen=True, slots=True)
class _Scan:
    """What a scan counted: subscribers, joins by day, views and reach of each post, the oldest first."""

    subscribers: int
    joins: Mapping[str, int]
    views: Sequence[int]
    reach: Sequence[int]


class Insights:
    """Figures of channels. `views` needs no database; the other methods raise ConfigurationError without one."""

    def __init__(
        self, backend: Backend, reactions: ReactionService, rows: "InsightRows | None", clock: Clock, keep_days: int
    ) -> None:
        self._backend = backend
        self._reactions = reactions
        self._rows = rows
        self._clock = clock
        self._keep_days = keep_days

    async def views(self, channel: str) -> ChannelViews:
        """Return the views of all posts in a channel's history, from one scan of its subscribers.

        The service reports no views: a subscriber counts whose read position is at or past the post and who subscribed
        before it. The scan takes a call for 100 subscribers, and memory for the posts alone. With a database its result
        is stored for `channel`. Raises UnsupportedError without `can.views`, and NotFoundError.
        """
        wanted = self._backend.ids.channel(channel)
        if not self._backend.can.views:  # raises before history is read
            await self._backend.members.read_positions(wanted, "")
        posts = await self._list_posts(wanted, None)
        at = self._current_time()
        scan = await self._scan_positions(wanted, posts)
        found = tuple(
            PostViews(post.ref, post.published_at, views, reach)
            for post, views, reach in zip(posts, scan.views, scan.reach, strict=True)
        )
        if self._rows is not None:
            await self._store_scan(wanted, at, scan, found)
        return ChannelViews(wanted, at, scan.subscribers, tuple(reversed(found)))

    async def channel(self, channel: str, since: datetime | date | None = None) -> ChannelInsights:
        """Return the figures of a channel since a time, of 30 days without one, as DEFINITIONS describes each.

        Joins and leaves come from webhooks, with the setting `insights.record`; views, and joins from before that, from
        the last scan by `views`. Days begin when the channel was created, or with what is known of it if that is
        earlier. Costs a call for 20 posts and one for the channel. Raises InvalidError for a time that has no zone or
        is in the future, and NotFoundError.
        """
        wanted = self._backend.ids.channel(channel)
        rows = self._require_rows()
        until = self._current_time()
        start = _require_start(since, until)
        found = await self._backend.channels.get(wanted)
        posts = await self._list_posts(wanted, start)
        stored = await rows.read(wanted, start.date().isoformat())
        start = max(start, _find_beginning(found.created_at, stored, posts, until))
        published = Counter(each.published_at.date() for each in posts)
        days = _compute_days(start.date(), until.date(), found.subscriber_count, stored, published)
        figures = [
            PostInsights(*post, total, *stored.views.get(post.ref.seq, ()))
            for post, total in zip(posts, await self._read_reaction_totals([post.ref for post in posts]), strict=True)
        ]
        figures.reverse()
        return ChannelInsights(
            channel=wanted,
            since=start,
            until=until,
            subscribers=found.subscriber_count,
            joins=_sum_known(day.joins for day in days),
            leaves=_sum_known(day.leaves for day in days),
            days=days,
            posts=tuple(figures),
            best=tuple(sorted(figures, key=lambda post: (post.views or 0, post.reactions), reverse=True)[:BEST_POSTS]),
            scanned_at=from_seconds(stored.scanned_at),
            recorded_since=from_seconds(stored.recorded_since),
        )

    async def growth(self, channels: Iterable[str], days: int = 7) -> dict[ChannelId, int]:
        """Return joins minus leaves in the last days of UTC, today included, as webhooks reported them.

        Channels without any are left out. One query for all channels, no call to the service. Raises InvalidError for
        `days` that are not 1 to 36,500.
        """
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
            size = days if isinstance(days, int) and not isinstance(days, bool) else None
            raise InvalidError(
                f"days must be 1 to {MAX_DAYS:,}; got {shown_value(days)}", field="days", limit=MAX_DAYS, size=size
            )
        first = self._current_time().date() - timedelta(days=days - 1)
        return await self._require_rows().growth(self._backend.ids.channels(channels), first.isoformat())

    async def stored_views(self, refs: Iterable[PostRef]) -> dict[PostRef, StoredViews]:
        """Return the views of those posts that a scan by `views` has counted; no call to the service."""
        wanted = self._backend.ids.posts(refs)
        by_channel: dict[ChannelId, set[int]] = {}
        for post in wanted.values():
            by_channel.setdefault(post.channel, set()).add(post.seq)
        found: dict[PostRef, StoredViews] = {}
        for channel, numbers in by_channel.items():
            for seq, (views, reach, at) in (await self._require_rows().views(channel, sorted(numbers))).items():
                found[PostRef(channel, seq)] = StoredViews(views, reach, from_seconds(at))
        return {ref: found[post] for ref, post in wanted.items() if post in found}

    async def record(self, event: ChannelEvent) -> None:
        """Store a join or leave that a webhook reported; other events are ignored. Repeating changes nothing."""
        if not isinstance(event, Subscribed | Unsubscribed) or event.other_mode:
            return
        from channel_adapter.store.insights import JOIN, LEAVE, InsightEvent  # noqa: PLC0415 - needs a database

        at = event.at or self._current_time()
        kind = JOIN if isinstance(event, Subscribed) else LEAVE
        key = f"{at.timestamp():.3f}" if event.at is not None else "no time"
        day = at.astimezone(UTC).date().isoformat()
        await self._require_rows().record(
            [InsightEvent(event.channel, day, kind, f"{user} {key}", at.timestamp()) for user in event.users]
        )

    async def drop(self, channel: ChannelId) -> None:
        """Delete what is stored of a channel that is gone."""
        await self._require_rows().prune(channel, None)

    async def _list_posts(self, channel: ChannelId, since: datetime | None) -> list[_ListedPost]:
        """Return the posts that history keeps with their times, the oldest first, without recalled ones."""
        found: list[_ListedPost] = []
        async with aclosing(self._backend.posts.history(channel, before=None, oldest_first=False)) as posts:
            async for post in posts:
                if post.published_at is None or post.state != "published":
                    continue
                if since is not None and post.published_at < since:
                    break
                found.append(_ListedPost(post.ref, post.published_at, excerpt(post.parts)))
        found.reverse()
        return found

    async def _scan_positions(self, channel: ChannelId, posts: Sequence[_ListedPost]) -> _Scan:
        """Read the positions of all subscribers, and count for each post those who could see it, and who did.

        What a subscriber could see is an interval of the posts, and what was viewed is the beginning of it, so adding
        at two ends is enough: memory does not grow with the subscribers.
        """
        times, numbers = [post.published_at for post in posts], [post.ref.seq for post in posts]
        views, reach = [0] * (len(posts) + 1), [0] * (len(posts) + 1)
        joins: Counter[str] = Counter()
        subscribers = 0
        fetch = partial(self._backend.members.read_positions, channel)
        guard: CursorLoopGuard[str] = CursorLoopGuard("insights.views", UnavailableError)
        async with aclosing(read_pages(fetch, "", guard)) as pages:
            async for page in pages:
                subscribers += len(page)
                for each in page:
                    first = 0 if each.since is None else bisect_left(times, each.since)
                    last = bisect_right(numbers, each.read)
                    reach[first] += 1
                    if last > first:
                        views[first] += 1
                        views[last] -= 1
                    if each.since is not None:
                        joins[each.since.date().isoformat()] += 1
        return _Scan(subscribers, joins, list(accumulate(views[:-1])), list(accumulate(reach[:-1])))

    async def _store_scan(self, channel: ChannelId, at: datetime, scan: _Scan, found: Iterable[PostViews]) -> None:
        from channel_adapter.store.insights import ScanRows  # noqa: PLC0415 - needs a database

        rows, day = self._require_rows(), at.date()
        views = {post.ref.seq: (post.views, post.reach) for post in found}
        await rows.store(ScanRows(channel, day.isoformat(), at.timestamp(), scan.subscribers, scan.joins, views))
        await rows.prune(channel, (day - timedelta(days=self._keep_days)).isoformat())

    async def _read_reaction_totals(self, refs: Sequence[PostRef]) -> list[int]:
        totals: list[int] = []
        for start in range(0, len(refs), _REACTIONS_PER_READ):
            found = await self._reactions.get_many(refs[start : start + _REACTIONS_PER_READ])
            totals += [each.total for each in found.values()]
        return totals

    def _require_rows(self) -> "InsightRows":
        if self._rows is None:
            raise needs_database("insights are kept in a database")
        return self._rows

    def _current_time(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)


def _require_start(since: datetime | date | None, until: datetime) -> datetime:
    """Return the beginning of the figures in UTC. Raises InvalidError."""
    if since is None:
        since = (until - timedelta(days=DEFAULT_DAYS - 1)).date()
    if not isinstance(since, datetime):
        if not isinstance(since, date):
            raise InvalidError(f"since must be a time with a zone, or a date; got {shown_value(since)}", field="since")
        since = datetime(since.year, since.month, since.day, tzinfo=UTC)
    start = to_utc(since, "since")
    if start > until:
        raise InvalidError(f"since is in the future: {since.isoformat()}", field="since")
    return start


def _find_beginning(
    created_at: datetime | None, stored: "StoredFigures", posts: Sequence[_ListedPost], until: datetime
) -> datetime:
    """Return when a channel began: its creation, or what is known of it if that is earlier."""
    known = [
        created_at,
        from_seconds(stored.recorded_since),
        *map(_to_midnight, (stored.first_scan, stored.first_join)),
    ]
    known += [post.published_at for post in posts[:1]]
    first = min([each for each in known if each is not None], default=until)
    if created_at is not None and created_at.date() == first.date():
        first = created_at
    return min(first, until)  # the clock of the service may be ahead


def _compute_days(
    first: date, last: date, subscribers: int, stored: "StoredFigures", posts: Mapping[date, int]
) -> tuple[DayInsights, ...]:
    """Return the figures of each day, the oldest first; subscribers are computed backwards from today."""
    recorded, scanned = _to_day(stored.recorded_since), _to_day(stored.scanned_at)
    counted = min([each for each in (recorded, stored.first_scan) if each is not None], default=last.isoformat())
    found: list[DayInsights] = []
    at_end = subscribers
    for offset in range((last - first).days + 1):
        day = last - timedelta(days=offset)
        name = day.isoformat()
        if offset:
            at_end = stored.scans.get(name, at_end)
        joins = max(stored.events.get(("join", name), 0), stored.joins.get(name, 0))
        leaves = stored.events.get(("leave", name), 0)
        was_recorded = recorded is not None and name >= recorded
        was_scanned = scanned is not None and name <= scanned
        found.append(
            DayInsights(
                day=day,
                joins=joins if was_recorded or was_scanned else None,
                leaves=leaves if was_recorded else None,
                posts=posts.get(day, 0),
                subscribers=at_end if name >= counted else None,
            )
        )
        at_end = max(0, at_end - joins + leaves)
    found.reverse()
    return tuple(found)


def _sum_known(figures: Iterable[int | None]) -> int | None:
    """Return the sum of what is known; None if nothing is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _to_day(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _to_midnight(day: str | None) -> datetime | None:
    return None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC)
