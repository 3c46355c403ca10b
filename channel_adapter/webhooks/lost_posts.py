"""Posts that were asked about, allowed, and never came.

Above 40 messages a second in one group the service throws some away, tells their authors that all is well, and sends
no after-event [webhooks 3; seed 003]. So what was asked about is remembered; when the after-event does not come,
history is read, because another receiver may have got it; what is not there either is lost.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.mapping.callback_event import channel_of
from channel_adapter.services.history import History
from channel_adapter.tencent.wire import callbacks_group as g
from channel_adapter.tencent.wire.callbacks import read
from channel_adapter.webhooks.parse import WebhookEvent

MOST: Final = 1_000
"""Posts that are remembered at once; above that the oldest are forgotten. Each is a message, 12 KB at most."""
LOOK_BACK: Final = 1_000  # posts of history that are read at once; 40 a second are stored
TRIES: Final = 5  # of reading history
_EARLIER: Final = 10.0  # seconds by which the service's clock may be behind ours

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


@dataclass(slots=True)
class _Asked:
    received: WebhookEvent
    channel: ChannelId
    since: float  # on the clock's steady time
    tries: int = 0


_Key = tuple[ChannelId, str, int]


class LostPosts:
    """Remembers the posts that before-events announced, until an after-event or an exception comes.

    The memory is this process's: what was asked just before it died is not missed by anybody.
    """

    def __init__(self, history: History, clock: Clock, *, seconds: float) -> None:
        self._history = history
        self._clock = clock
        self._seconds = seconds
        self._asked: OrderedDict[_Key, _Asked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked)

    def asked(self, received: WebhookEvent) -> None:
        """A before-event was answered so that the message goes on. Others are ignored, as are online messages."""
        key = _key(received, g.BeforeSendMsg)
        if key is not None and self._seconds:
            self._asked[key] = _Asked(received, key[0], self._clock.monotonic())
            if len(self._asked) > MOST:
                self._asked.popitem(last=False)

    def settled(self, received: WebhookEvent) -> None:
        """An after-event or an exception came: the message is not lost in silence. Others are ignored."""
        key = _key(received, g.AfterSendMsg) or _key(received, g.SendMsgException)
        if key is not None:
            self._asked.pop(key, None)

    async def overdue(self) -> list[WebhookEvent]:
        """The before-events whose posts are lost, each once. In an inbox they mean PostLost."""
        oldest = self._clock.monotonic() - self._seconds
        due: dict[ChannelId, list[_Key]] = {}
        for key, asked in self._asked.items():
            if asked.since <= oldest:
                due.setdefault(key[0], []).append(key)
        lost: list[WebhookEvent] = []
        for channel, keys in due.items():
            # what came while history was read for another channel is not there any more
            missed = {key: self._asked.pop(key) for key in keys if key in self._asked}
            lost += await self._missing(channel, missed)
        return lost

    async def watch(self, store: Callable[[WebhookEvent], Awaitable[object]]) -> None:
        """Hand what is lost to `store`, for ever; at once back when this is turned off."""
        while self._seconds:
            await self._clock.sleep(self._seconds / 2)
            for received in await self.overdue():
                await store(received)

    async def _missing(self, channel: ChannelId, missed: dict[_Key, _Asked]) -> list[WebhookEvent]:
        """Those that history does not have either. Where it cannot be read, they are remembered for another time."""
        try:
            await self._strike_out(channel, missed)
        except NotFoundError:  # no channel, or not any more: nobody misses them
            return []
        except ChannelAdapterError as trouble:
            _log.warning("webhooks.lost_posts_unclear", channel=channel, posts=len(missed), error=trouble.kind)
            for key, asked in missed.items():
                asked.tries += 1
                if asked.tries <= TRIES:
                    asked.since = self._clock.monotonic()
                    self._asked[key] = asked
            return []
        return [asked.received for asked in missed.values()]

    async def _strike_out(self, channel: ChannelId, missed: dict[_Key, _Asked]) -> None:
        """Take out of `missed` what history has, read once for all, and what is too far back to be found."""
        early = min((asked.received.received_at for asked in missed.values()), default=0.0) - _EARLIER
        count = 0
        async for post in self._history.posts(channel, oldest_first=False, before=None):
            if post.author is not None and post.dedupe is not None:
                missed.pop((channel, post.author, post.dedupe), None)
            count += 1
            if not missed or (post.published_at is not None and post.published_at.timestamp() < early):
                return
            if count >= LOOK_BACK:
                _log.warning("webhooks.lost_posts_unclear", channel=channel, posts=len(missed), error="too far back")
                missed.clear()
                return


def _key(received: WebhookEvent, model_type: type[g.MessageCallback]) -> _Key | None:
    if received.command != model_type.command:
        return None
    model = read(received.body)
    if not isinstance(model, model_type) or model.topic_id or model.online_only_flag:
        return None
    channel = channel_of(model)
    if channel is None or not model.from_account or not model.random:
        return None
    return channel, model.from_account, model.random
