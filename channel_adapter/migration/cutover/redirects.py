"""Official accounts whose posting has moved to channels, and the second broadcast of a post while both are read.

Rows of the database are cached for three seconds, so that a post costs no query; a cutover of another process is seen
then.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from channel_adapter.backends.official.posts import OfficialPosts
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Broadcast, Content, Post
from channel_adapter.errors import ChannelAdapterError, InvalidError, OutcomeUnknownError
from channel_adapter.store.cutover import (
    FINAL_BROADCAST,
    NOT_SENT,
    SENDING,
    SENT,
    BroadcastRow,
    CutoverChannelRow,
    CutoverStore,
)
from channel_adapter.store.database import LOCK_SECONDS, Database
from channel_adapter.tencent import limits

CACHE_SECONDS: Final = 3.0
HOUR: Final = 3_600.0
MIRROR_TIMEOUT: Final = 5.0
"""Seconds for the second broadcast; the post itself is published already."""
CUTOVER_LOCK_SECONDS: Final = 15.0
"""Seconds that a cutover waits for other writers of its database; longer than publishing waits."""

REDIRECT: Final = "redirect"
"""Value of `CutoverChannelRow.guard`: publish broadcasts of the account in its channel instead of refusing them."""
MOVING: Final = "posting moves to a channel just now: try again in a few minutes"

_log = get_logger("channel_adapter.migration")


class AccountRedirects:
    """Accounts that post as channels now, and posts that are still broadcast on the accounts too."""

    def __init__(self, url: str, posts: OfficialPosts, clock: Clock, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """`lock_seconds` is how long it waits for other writers of the database."""
        self._database = Database.shared(url).waiting(lock_seconds)
        self.store: CutoverStore = CutoverStore(self._database)
        self._posts = posts
        self._clock = clock
        self._rows: dict[str, CutoverChannelRow] = {}
        self._channels: dict[str, CutoverChannelRow] = {}
        self._read_at: float | None = None

    async def account(self, account: str) -> CutoverChannelRow | None:
        """Return the row of an account that moves or has moved, read again; None for others. Raises UnavailableError.

        Broadcasts are few, and one that is let through after the last delta is lost to the channel.
        """
        self.forget()
        await self._refresh_rows()
        return self._rows.get(account)

    async def moved(self) -> frozenset[str]:
        """Return the channels to which posting of an official account has moved. Raises UnavailableError."""
        await self._refresh_rows()
        return frozenset(row.channel for row in self._rows.values() if row.moved_at)

    def forget(self) -> None:
        """Read the rows again at the next use."""
        self._read_at = None

    async def mirror(self, post: Post) -> Broadcast | None:
        """Broadcast a new post on the account that its channel comes from; None where its window is not open.

        Never raises ChannelAdapterError: a failure is reported in the result and in the log.
        """
        try:
            await self._refresh_rows()
            row = self._channels.get(post.ref.channel)
            if row is None or not self._clock.now() < row.window_end or not row.moved_at:
                return None
            result = await self._broadcast_once(row.source, post.ref.seq, post.dedupe or 0, post.parts)
        except ChannelAdapterError as error:
            known = self._channels.get(post.ref.channel)
            if known is None:
                _log.warning("migration.copies_unknown", channel=post.ref.channel, error=error.kind)
                return None
            result = Broadcast(known.source, sent=False, reason=error.message)
        if not result.sent:
            _log.warning("migration.not_broadcast", account=result.account, seq=post.ref.seq, reason=result.reason)
        return result

    async def final_broadcast(self, account: str, content: Content | Sequence[Content], random: int) -> Broadcast:
        """Send the last broadcast of an account, once. Raises ChannelAdapterError when the store fails."""
        return await self._broadcast_once(account, FINAL_BROADCAST, random, content)

    async def resolve_pending(self) -> None:
        """Find out whether broadcasts were sent whose process ended in between. Raises ChannelAdapterError."""
        for row in await self.store.broadcasts(SENDING):
            if row.at > self._clock.now() - 2 * MIRROR_TIMEOUT:
                continue  # in progress
            found = await self._posts.find(ChannelId(row.source), row.random)
            state, result = (SENT, found.ref.key) if found else (NOT_SENT, "interrupted before it was sent")
            await self.store.end_broadcast(row.source, row.seq, state, result)

    def hook(self, posts: "PostPublisher") -> "BroadcastHook":
        """Return the hook of the guard for broadcasts of these accounts."""
        return BroadcastHook(self, posts, self._clock)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.close()

    async def _refresh_rows(self) -> None:
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < CACHE_SECONDS:
            return
        rows = await self.store.channels_if_any()
        self._rows = {row.source: row for row in rows}
        self._channels = {row.channel: row for row in rows}
        self._read_at = now

    async def _broadcast_once(
        self, account: str, seq: int, random: int, content: Content | Sequence[Content]
    ) -> Broadcast:
        now = self._clock.now()
        known = await self.store.begin_broadcast(
            BroadcastRow(account, seq, random, now, SENDING),
            since=now - HOUR, max_broadcasts=limits.OFFICIAL_BROADCASTS_PER_HOUR,
        )  # fmt: skip
        if known is not None and known.state == SENT:
            return Broadcast(account, sent=True, key=known.result)
        if known is not None and known.state == NOT_SENT:
            again = datetime.fromtimestamp(float(known.result) + HOUR, UTC).strftime("%H:%M:%S UTC")
            reason = (
                f"{limits.OFFICIAL_BROADCASTS_PER_HOUR} broadcasts an hour are all; the next is possible at {again}"
            )
            await self.store.end_broadcast(account, seq, NOT_SENT, reason)
            return Broadcast(account, sent=False, reason=reason)
        if known is not None:  # an attempt that was interrupted, or is in progress in another process
            found = await self._posts.find(ChannelId(account), random)
            if found:
                await self.store.end_broadcast(account, seq, SENT, found.ref.key)
                return Broadcast(account, sent=True, key=found.ref.key)
        return await self._send_broadcast(account, seq, random, content)

    async def _send_broadcast(
        self, account: str, seq: int, random: int, content: Content | Sequence[Content]
    ) -> Broadcast:
        try:
            sent = await self._posts.broadcast(
                ChannelId(account), content, random, skip_hooks=True, deadline=MIRROR_TIMEOUT
            )  # the guard of this app would refuse it
        except OutcomeUnknownError as error:  # stays SENDING until it is resolved
            return Broadcast(account, sent=False, reason=error.message)
        except ChannelAdapterError as error:
            await self.store.end_broadcast(account, seq, NOT_SENT, error.message)
            return Broadcast(account, sent=False, reason=error.message)
        await self.store.end_broadcast(account, seq, SENT, sent.key)
        return Broadcast(account, sent=True, key=sent.key)


class PostPublisher(Protocol):
    """The post service, as far as a redirected broadcast needs it."""

    async def publish(
        self, channel: ChannelId, content: Content | Sequence[Content], *, idempotency_key: str | None = None
    ) -> Post:
        """Publish in a channel."""


class BroadcastHook:
    """Hook of the guard for broadcasts of official accounts whose posting has moved to a channel."""

    def __init__(self, redirects: AccountRedirects, posts: PostPublisher, clock: Clock) -> None:
        self._redirects = redirects
        self._posts = posts
        self._clock = clock

    async def __call__(self, draft: hooks.PostDraft) -> hooks.HookResponse:
        """Return Allow for accounts that have not moved, Drop for a broadcast that was published in the channel.

        Raises a ChannelAdapterError if the store or the publishing fails.
        """
        if not draft.other_mode:
            return hooks.Allow()
        row = await self._redirects.account(draft.channel)
        if row is None or (not row.moved_at and row.held_until <= self._clock.now()):
            return hooks.Allow()
        if not row.moved_at:
            return hooks.Refuse(MOVING)
        if row.guard != REDIRECT or draft.online_only:
            return hooks.Refuse(f"posting has moved to the channel {row.channel}")
        at = draft.at.isoformat() if draft.at else ""
        digest = hashlib.sha256(repr(draft.parts).encode("utf-8", "surrogatepass")).hexdigest()
        key = f"redirected:{draft.channel}:{at}:{digest}"
        try:
            await self._posts.publish(ChannelId(row.channel), draft.parts, idempotency_key=key)
        except InvalidError as error:
            reason = f"posting has moved to the channel {row.channel}, which cannot take this: {error.message}"
            return hooks.Refuse(reason)
        return hooks.Drop()
