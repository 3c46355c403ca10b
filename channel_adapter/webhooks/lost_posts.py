"""Posts that a before-webhook announced, that were allowed, and that never arrived.

Above 40 messages a second in one group the service discards some, reports success to their authors, and sends no
after-webhook. So announced posts are remembered; if the after-webhook does not come, history is read, because another
receiver may have got it; what is not there either is lost.
"""

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

from channel_adapter.backends.callbacks import PendingPost
from channel_adapter.backends.protocols import PostBackend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.webhooks.modes import CallbackTables
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.storage import position_of

MAX_EXPECTED: Final = 1_000
"""Posts that are remembered at the same time; above that the oldest are forgotten. Each is a message of up to 12 KB."""
LOOK_BACK: Final = 1_000  # posts of history that are read in one search; the service stores 40 a second
TRIES: Final = 5  # to read history
_CLOCK_SKEW_SECONDS: Final = 10.0  # by which clocks of the service may differ

_log = get_logger("channel_adapter.webhooks")


@dataclass(slots=True)
class _ExpectedPost:
    webhook: WebhookEvent
    channel: ChannelId
    since: float  # seconds of the steady clock
    tries: int = 0


class LostPosts:
    """Remembers the posts that before-webhooks announced, until an after-webhook or an exception comes.

    It is the memory of this process: posts that were announced just before it died are not missed.
    """

    def __init__(self, callbacks: CallbackTables, posts: PostBackend, clock: Clock, *, seconds: float) -> None:
        self._callbacks = callbacks
        self._posts = posts
        self._clock = clock
        self._seconds = seconds
        self._expected: OrderedDict[PendingPost, _ExpectedPost] = OrderedDict()
        self._unstored: deque[WebhookEvent] = deque(maxlen=MAX_EXPECTED)
        self._worth_logging = LogThrottle(clock.monotonic)

    def __len__(self) -> int:
        return len(self._expected)

    def expect(self, webhook: WebhookEvent) -> None:
        """Remember a post that a before-webhook announced and that was allowed. Others are ignored.

        Messages for users who are online only are ignored too: history never has them.
        """
        post = self._callbacks.pending_post(webhook.body) if webhook.is_before else None
        if post is not None and self._seconds:
            self._expected[post] = _ExpectedPost(webhook, post.channel, self._clock.monotonic())
            if len(self._expected) > MAX_EXPECTED:
                self._expected.popitem(last=False)

    def confirm(self, webhook: WebhookEvent) -> None:
        """Forget the post of an after-webhook or an exception: it is not lost without notice. Others are ignored."""
        post = None if webhook.is_before else self._callbacks.pending_post(webhook.body)
        if post is not None:
            self._expected.pop(post, None)

    async def overdue(self) -> list[WebhookEvent]:
        """Return the before-webhooks whose posts are lost, each once. Stored in an inbox they mean PostLost."""
        oldest = self._clock.monotonic() - self._seconds
        due: dict[ChannelId, list[PendingPost]] = {}
        for key, expected in self._expected.items():
            if expected.since <= oldest:
                due.setdefault(key.channel, []).append(key)
        lost: list[WebhookEvent] = []
        for channel, keys in due.items():
            # a post that arrived while history was read for another channel is no longer expected
            missing = {key: self._expected.pop(key) for key in keys if key in self._expected}
            lost += await self._find_lost(channel, missing)
        return lost

    async def watch(self, store: Callable[[WebhookEvent], Awaitable[object]]) -> None:
        """Pass what is lost to `store`, until cancelled. Return immediately if the settings turn this off.

        What `store` raises an exception for is passed to it again later.
        """
        if self._seconds:
            pause = self._seconds / 2
            await repeat(partial(self._store_lost, store), pause, self._clock, self._log_failure, first=pause)

    async def _store_lost(self, store: Callable[[WebhookEvent], Awaitable[object]]) -> None:
        self._unstored += await self.overdue()
        for _ in range(len(self._unstored)):
            webhook = self._unstored.popleft()
            try:
                await store(webhook)
            except BaseException:
                self._unstored.append(webhook)
                raise

    def _log_failure(self, error: Exception) -> None:
        if self._worth_logging(type(error).__name__):
            reason = redact_text(f"{type(error).__name__}: {error}")[:300]
            _log.error("webhooks.lost_post_not_stored", posts=len(self._unstored), reason=reason)

    async def _find_lost(self, channel: ChannelId, missing: dict[PendingPost, _ExpectedPost]) -> list[WebhookEvent]:
        """Return those that history does not have. If it cannot be read, they are expected again."""
        try:
            lost = await self._search_history(channel, missing)
        except NotFoundError:  # no channel, or no longer
            return []
        except ChannelAdapterError as error:
            _log.warning("webhooks.lost_posts_unclear", channel=channel, posts=len(missing), error=error.kind)
            for key, expected in missing.items():
                expected.tries += 1
                if expected.tries <= TRIES:
                    expected.since = self._clock.monotonic()
                    self._expected[key] = expected
            return []
        return [expected.webhook for expected in lost]

    async def _search_history(
        self, channel: ChannelId, missing: dict[PendingPost, _ExpectedPost]
    ) -> list[_ExpectedPost]:
        """Return the posts that history does not have; none if they may be too far back to be found."""
        left = dict(missing)
        early = (
            min((position_of(each.webhook)[0] for each in missing.values()), default=0) / 1_000 - _CLOCK_SKEW_SECONDS
        )
        count = 0
        async with aclosing(self._posts.history(channel)) as history:
            async for post in history:
                if post.author is not None and post.dedupe is not None:
                    left.pop(PendingPost(channel, post.author, post.dedupe), None)
                count += 1
                if not left or (post.published_at is not None and post.published_at.timestamp() < early):
                    break
                if count >= LOOK_BACK:
                    _log.warning("webhooks.lost_posts_unclear", channel=channel, posts=len(left), error="too far back")
                    return []
        return list(left.values())
