"""Figures of a channel: views of posts, and what happened on each day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostRef

DEFINITIONS: Final[Mapping[str, str]] = {
    "views": "subscribers whose read position is at or past the post and who subscribed before it; inferred: opening"
    " the channel reads everything in it, and positions that a migration set count too",
    "reach": "subscribers at the time of the scan who subscribed before the post",
    "subscribers": "subscribers at the end of the day: of today as the service counts them, of a day with a scan as the"
    " last scan counted them, of every other day computed from the day after it by joins and leaves",
    "joins": "subscriptions that webhooks reported, or those of users who are still subscribed by their join times in"
    " the last scan, whichever is more; not known before the first report and after the last scan",
    "leaves": "ended subscriptions that webhooks reported; not known before the first report",
    "posts": "posts in the history that the service still keeps, without recalled ones",
    "reactions": "reactions that stand on the post now",
}
"""What each figure counts. Days are days of UTC."""


@dataclass(frozen=True, slots=True)
class ReadPosition:
    """How far a subscriber has read: the number of the newest post that was read, and since when the user is there.

    `read` is 0 where nothing was read or the service reports no position.
    """

    since: datetime | None
    read: int


@dataclass(frozen=True, slots=True)
class PostViews:
    """Views of one post, and its `reach`: how many subscribers could have viewed it."""

    ref: PostRef
    published_at: datetime
    views: int
    reach: int

    @property
    def share(self) -> float:
        """Views as a part of the reach, 0 to 1."""
        return self.views / self.reach if self.reach else 0.0


@dataclass(frozen=True, slots=True)
class StoredViews:
    """Views and reach of a post as a scan counted them: the last one in which history still had the post."""

    views: int
    reach: int
    at: datetime

    @property
    def share(self) -> float:
        """Views as a part of the reach, 0 to 1."""
        return self.views / self.reach if self.reach else 0.0


@dataclass(frozen=True, slots=True)
class ChannelViews:
    """Views of the posts of a channel, the newest first, from one scan of its subscribers at a time.

    The service reports no views: they are inferred from read positions, which `inferred` marks.
    """

    channel: ChannelId
    at: datetime
    subscribers: int
    posts: tuple[PostViews, ...]
    inferred: bool = True


@dataclass(frozen=True, slots=True)
class DayInsights:
    """Figures of one day of UTC; None is a figure that is not known: nothing was recorded or scanned for that day."""

    day: date
    joins: int | None
    leaves: int | None
    posts: int
    subscribers: int | None


@dataclass(frozen=True, slots=True)
class PostInsights:
    """Figures of one post. `views` and `reach` are None without a scan since it was published."""

    ref: PostRef
    published_at: datetime
    excerpt: str
    reactions: int
    views: int | None = None
    reach: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelInsights:
    """Figures of a channel between two times. DEFINITIONS says what each one counts.

    `since` is the time that was asked for, or the beginning of the channel and of what is known of it if that is later.
    `joins` and `leaves` are sums over the days, None if none of the days is known. `scanned_at` is the time of the scan
    behind `views`, None without one; `recorded_since` is when webhooks began to be recorded for this channel, None
    before the first one. `posts` has the newest first, `best` those with the most views, or the most reactions without
    a scan.
    """

    channel: ChannelId
    since: datetime
    until: datetime
    subscribers: int
    joins: int | None
    leaves: int | None
    days: tuple[DayInsights, ...]
    posts: tuple[PostInsights, ...]
    best: tuple[PostInsights, ...]
    scanned_at: datetime | None = None
    recorded_since: datetime | None = None
