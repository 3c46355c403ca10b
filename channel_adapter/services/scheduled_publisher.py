"""Publishes one scheduled post: once, whatever happens to the process, and not later than is allowed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import orjson

from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain.post import Content, Post, PostPreview
from channel_adapter.domain.schedule import LATE_SECONDS, ScheduleState
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    ThrottledError,
)
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.services.failpoints import failpoint

if TYPE_CHECKING:
    from channel_adapter.store.schedule import ScheduledRow, ScheduleStore

REPEATABLE_SECONDS: Final = 240.0
"""A post that was first sent longer ago is searched for in history: the service recognises a repetition for 300 s."""
CLOCK_SECONDS: Final = 3_900.0
"""The largest difference between the clocks of processes and of the service that a search in history allows for."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts at most, unless the service names a longer wait."""
_LATEST: Final = 20
_CLAIM_MARGIN: Final = 10.0
_FINAL: Final = (ConflictError, InvalidError, LimitReachedError, NotFoundError, PermissionDeniedError, RefusedError)
"""Errors that another attempt does not change."""

log = get_logger("channel_adapter.schedule")


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """Where scheduled posts are stored, how late in seconds one may be sent, and how long one call may take."""

    database_url: str | None
    max_lateness: float
    total_seconds: float

    @property
    def claim_seconds(self) -> float:
        """For how long other processes leave a post alone that one is sending."""
        return self.total_seconds + _CLAIM_MARGIN


class PostSender(Protocol):
    """How posts are sent and found again."""

    async def publish(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> Post:
        """Publish one post."""
        ...

    async def preview(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> PostPreview:
        """Return what `publish` would send for the same arguments, and send nothing."""
        ...

    def history(
        self, channel: str, *, oldest_first: bool = False, before: int | None = None
    ) -> AsyncGenerator[Post, None]:
        """Yield the posts of a channel, newest first."""
        ...

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """Return the number by which the service knows a post published with this key."""
        ...


class ScheduledPublisher:
    """Publish claimed posts, each once. One object in a process; `lag` is that of the last post, in seconds.

    `kind` is the kind of the jobs that publish what is due.
    """

    def __init__(
        self, store: "ScheduleStore", posts: PostSender, options: ScheduleOptions, clock: Clock, kind: str
    ) -> None:
        self.store = store
        self.kind = kind
        self.lag = 0.0
        self.claim_seconds = options.claim_seconds
        self._posts = posts
        self._max_lateness = options.max_lateness
        self._clock = clock

    @property
    def now(self) -> float:
        """Unix seconds by the clock of this process."""
        return self._clock.now()

    async def publish(self, row: "ScheduledRow", now: float) -> ChannelAdapterError | None:
        """Publish a post that was claimed at `now`, and record how that ended; return why it was not published.

        A cancelled call leaves the claim as it is: the next process finds out whether the post was sent.
        """
        try:
            post = await self._publish_or_find(row, now)
        except _FINAL as error:
            await self._give_up(row, ScheduleState.FAILED, error.message)
            return error
        except ChannelAdapterError as error:
            await self._retry_later(row, now, error)
            return error
        if post is None:
            reason = row.error or "no process published it in time"
            await self._give_up(row, ScheduleState.MISSED, reason)
            return ConflictError(f"scheduled post {row.id} was missed: {reason}")
        failpoint("schedule.sent")
        lag = await self.store.mark(row, self.now, **published_values(post))
        failpoint("schedule.marked")
        if lag is not None:
            self.lag = max(0.0, lag)
            if lag > LATE_SECONDS:
                log.warning("schedule.late", post=row.id, channel=row.channel, seconds=round(lag))
        return None

    async def _publish_or_find(self, row: "ScheduledRow", now: float) -> Post | None:
        """Return the post, sent now or before; None if it is too late to send it."""
        repeated, age = row.attempts > 1, now - row.at
        if repeated or age > REPEATABLE_SECONDS:
            recent = 0 <= now - _first_attempt(row) < REPEATABLE_SECONDS  # the service recognises a repetition
            sent = await self.find_sent(row, limit=_LATEST if recent else None)
            if sent is not None:
                return sent
        if age > self._max_lateness:
            return None
        failpoint("schedule.sending")
        return await self._posts.publish(
            row.channel, parts_of(orjson.loads(row.content)), author=row.author,
            idempotency_key=post_key(row.id, row.key), silent=row.silent,
        )  # fmt: skip

    async def find_sent(self, row: "ScheduledRow", *, limit: int | None = None) -> Post | None:
        """Return the post from history if an attempt has sent it; with `limit` only the latest posts are read."""
        oldest = datetime.fromtimestamp(_first_attempt(row) - CLOCK_SECONDS, UTC)
        count = 0
        async with aclosing(self._posts.history(row.channel)) as posts:
            async for post in posts:
                count += 1
                if post.dedupe == row.dedupe:
                    return post
                if limit is not None and count >= limit:
                    break
                if post.published_at is not None and post.published_at < oldest:
                    break
        return None

    async def _give_up(self, row: "ScheduledRow", state: ScheduleState, reason: str) -> None:
        failpoint("schedule.giving_up")
        if await self.store.mark(row, self.now, state=state, error=reason) is not None:
            log.warning(f"schedule.{state.value}", post=row.id, channel=row.channel, reason=reason[:200])

    async def _retry_later(self, row: "ScheduledRow", now: float, error: ChannelAdapterError) -> None:
        wait = error.retry_after if isinstance(error, ThrottledError) else None
        wait = wait or min(2.0 ** min(row.attempts - 1, 10), LONGEST_WAIT)
        due = now + wait
        last = row.at + self._max_lateness
        if now < last:  # the end of the time in which it may be sent is not slept through
            due = min(due, last + 0.1)
        if await self.store.mark(row, self.now, state=ScheduleState.SCHEDULED, due=due, error=error.message) is None:
            return
        log.warning(
            "schedule.retried", post=row.id, channel=row.channel, seconds=round(due - now), reason=error.message[:200]
        )


def _first_attempt(row: "ScheduledRow") -> float:
    """Return when the post may have been sent first."""
    return row.at if row.attempted is None else min(row.at, row.attempted)


def published_values(post: Post) -> dict[str, object]:
    """Return the columns of a scheduled post that was sent as `post`."""
    seconds = None if post.published_at is None else post.published_at.timestamp()
    return {
        "state": ScheduleState.PUBLISHED, "published": seconds, "seq": post.ref.seq, "message_key": post.ref.key,
        "error": "",
    }  # fmt: skip


def post_key(post_id: str, key: str | None) -> str:
    """Return the idempotency key under which a scheduled post is published."""
    return f"scheduled:{post_id}" if key is None else key


def log_failure(event: str, error: Exception) -> None:
    """Log what kept a look for due posts from succeeding; with a traceback, unless it is an error of ours."""
    if isinstance(error, ChannelAdapterError):
        log.warning(event, reason=error.message[:200])
    else:
        log.exception(event)
