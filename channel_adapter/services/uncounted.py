"""Messages that are never unread posts: recalled ones, those that were sent quietly, and system notices.

The service does not say which they are [conversations 2.2]. So they are remembered where they are made, and found in
history for exact counts: a recalled post and a system notice are marked there, a quiet one has low priority, which is
how `posts.publish` sends it.
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from cachetools import LRUCache

from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId
from channel_adapter.mapping.post_message import is_post
from channel_adapter.services.history import History
from channel_adapter.tencent.wire import messages

CHANNELS = 10_000
"""How many channels are remembered."""

POSTS = 1_000
"""How many posts of each, the newest, and how far back history is read."""


@dataclass(slots=True)
class _Channel:
    numbers: list[int] = field(default_factory=list)  # ascending
    lowest: int = 0  # history was read from here
    highest: int = -1  # to here
    read_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Uncounted:
    """Numbers of such posts, by channel. What was read in history is believed for `seconds`."""

    def __init__(self, history: History, *, seconds: float, clock: Clock) -> None:
        self._history = history
        self._seconds = seconds
        self._clock = clock
        self._channels: LRUCache[ChannelId, _Channel] = LRUCache(CHANNELS)

    def add(self, channel: ChannelId, seq: int) -> None:
        """Remember one post."""
        numbers = self._channel(channel).numbers
        place = bisect_left(numbers, seq)
        if place == len(numbers) or numbers[place] != seq:
            insort(numbers, seq)
            del numbers[:-POSTS]

    def of(self, channel: ChannelId) -> Sequence[int]:
        """The numbers that are known, ascending."""
        known = self._channels.get(channel)
        return known.numbers if known is not None else ()

    def forget(self, channel: ChannelId) -> None:
        """The channel is gone; another one with its id begins at 1."""
        self._channels.pop(channel, None)

    async def look(self, channel: ChannelId, lowest: int, highest: int) -> None:
        """Read these posts in history, the newest 1,000 of them, 20 a call; not what was read a short while ago."""
        known = self._channel(channel)
        async with known.reading:  # who waits here mostly finds everything read
            await self._look(channel, known, max(lowest, highest - POSTS + 1), highest)

    async def _look(self, channel: ChannelId, known: _Channel, lowest: int, highest: int) -> None:
        now = self._clock.monotonic()
        start, began = lowest, now
        if known.read_at > now - self._seconds and known.lowest <= lowest <= known.highest + 1:
            start, lowest, began = known.highest + 1, known.lowest, known.read_at
        if start > highest:
            return
        async for message in self._history.between(channel, start, highest):
            if never_counts(message):
                self.add(channel, message.msg_seq)
        known.lowest, known.highest, known.read_at = lowest, highest, began

    def _channel(self, channel: ChannelId) -> _Channel:
        known = self._channels.get(channel)
        if known is None:
            known = self._channels[channel] = _Channel()
        return known


def never_counts(message: messages.HistoryMessage) -> bool:
    """Return whether the message is no post, recalled, or sent quietly."""
    quiet = message.msg_priority == messages.PRIORITY_NUMBERS[messages.PRIORITY_LOW]
    return quiet or message.is_place_msg == messages.PLACE_RECALLED or not is_post(message)
