"""Messages of a channel by number, in pages of 20, and the numbers of those that do not count as unread."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from cachetools import LRUCache

from channel_adapter.backends.caller import Caller
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post
from channel_adapter.mapping.content import is_post, to_post
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import GROUP_MSG_GET_SIMPLE
from channel_adapter.tencent.wire import messages

PAGE = limits.HISTORY_PER_CALL
_NEWEST: Final = -1


class History:
    """Reads pages downwards; the service offers no other direction."""

    def __init__(self, caller: Caller, channels: ChannelCache) -> None:
        self._caller = caller
        self._channels = channels

    async def posts(self, channel: ChannelId, *, oldest_first: bool, before: int | None) -> AsyncGenerator[Post, None]:
        """Yield every post below `before` once, without system messages."""
        await self._channels.require(channel)
        top = before - 1 if before is not None else None
        if oldest_first:
            found = self._read_oldest_first(channel, await self._find_newest_number(channel, top))
        else:
            found = self._read_newest_first(channel, top, lowest=1)
        async with aclosing(found):
            async for message in found:
                if is_post(message):
                    yield to_post(channel, message)

    async def message(
        self, channel: ChannelId, seq: int, *, deadline: float | None = None
    ) -> messages.HistoryMessage | None:
        """Return the message with this number, if history has it. `deadline` is in seconds from now."""
        page = await self._read_page(channel, seq, 1, deadline)
        return next((message for message in page if message.msg_seq == seq and is_post(message)), None)

    def between(self, channel: ChannelId, lowest: int, top: int) -> AsyncGenerator[messages.HistoryMessage, None]:
        """Yield messages of every kind from `top` down to `lowest`, as far as history reaches."""
        return self._read_newest_first(channel, top, lowest)

    async def number_at(self, channel: ChannelId, seconds: float) -> int:
        """Return the number of the newest message at a time in Unix seconds; 0 if history has none.

        The newest page first, then halves of what is left: 20 calls for a million posts.
        """
        found, lowest, highest = 0, 1, None
        while highest is None or lowest <= highest:
            top = None if highest is None else (lowest + highest) // 2
            page = await self._read_page(channel, top, PAGE)
            old = [message.msg_seq for message in page if message.msg_time_stamp <= seconds]
            found = max(found, *old, 0)
            if 0 < len(old) < len(page) or (top is None and len(old) == len(page)):
                break
            if top is not None and len(old) == len(page):  # all of it, or nothing, because it is forgotten
                lowest = top + 1
            else:
                highest = min(message.msg_seq for message in page) - 1
        return found

    async def latest(self, channel: ChannelId) -> list[messages.HistoryMessage]:
        """Return the newest page of messages."""
        return await self._read_page(channel, None, PAGE)

    async def _read_newest_first(
        self, channel: ChannelId, top: int | None, lowest: int
    ) -> AsyncGenerator[messages.HistoryMessage, None]:
        """Yield messages from `top` (None: the newest) down to `lowest`."""
        async with aclosing(pages_downwards(partial(self._read_page, channel), top, lowest)) as pages:
            async for page in pages:
                for message in page:
                    yield message

    async def _read_oldest_first(
        self, channel: ChannelId, newest: int
    ) -> AsyncGenerator[messages.HistoryMessage, None]:
        """Yield messages oldest first: windows of 20 numbers from below, each read downwards and reversed.

        Where a window is empty, the service has forgotten it and perhaps much more: the next message is searched for.
        """
        lowest: int | None = 1
        while lowest is not None and lowest <= newest:
            top = min(lowest + PAGE - 1, newest)
            window = [message async for message in self._read_newest_first(channel, top, lowest)]
            for message in reversed(window):
                yield message
            lowest = top + 1 if window else await self._find_first_above(channel, top, newest)

    async def _find_first_above(self, channel: ChannelId, floor: int, newest: int) -> int | None:
        """Return the number of the first message above `floor`, found by halving; None if there is none."""
        lowest, highest = floor + 1, await self._find_highest_number(channel, newest)
        if highest < lowest:
            return None
        while lowest < highest:
            middle = (lowest + highest) // 2
            found = await self._find_highest_number(channel, middle)
            if found > floor:
                highest = found
            else:
                lowest = middle + 1
        return highest

    async def _find_highest_number(self, channel: ChannelId, top: int) -> int:
        """Return the highest number at or below `top` that history has; 0 if there is none."""
        page = await self._read_page(channel, top, 1)
        return max((message.msg_seq for message in page if message.msg_seq <= top), default=0)

    async def _find_newest_number(self, channel: ChannelId, top: int | None) -> int:
        if top is not None:
            return top
        page = await self._read_page(channel, None, 1)
        return max((message.msg_seq for message in page), default=0)

    async def _read_page(
        self, channel: ChannelId, top: int | None, number: int, deadline: float | None = None
    ) -> list[messages.HistoryMessage]:
        request = messages.GroupMsgGetSimpleRequest(
            group_id=channel, req_msg_number=number, req_msg_seq=top, with_recalled_msg=1
        )
        return (await self._caller.call(GROUP_MSG_GET_SIMPLE, request, deadline=deadline)).rsp_msg_list


async def pages_downwards(
    read: Callable[[int | None, int], Awaitable[Sequence[messages.HistoryMessage]]], top: int | None, lowest: int = 1
) -> AsyncGenerator[Sequence[messages.HistoryMessage], None]:
    """Yield pages of messages from `top` (None: the newest) down to `lowest`, which is 1 or more, newest first.

    `read` returns a page from a number downwards of at most so many messages. The end is an empty page, or one without
    a lower number; `IsFinished` is about the page.
    """

    async def fetch(start: int) -> Page[messages.HistoryMessage, int]:
        newest = start == _NEWEST
        page = await read(None if newest else start, PAGE if newest else min(PAGE, start - lowest + 1))
        fresh = [message for message in page if lowest <= message.msg_seq and (newest or message.msg_seq <= start)]
        fresh.sort(key=lambda message: -message.msg_seq)
        return Page(fresh, fresh[-1].msg_seq - 1 if fresh and fresh[-1].msg_seq > lowest else None)

    if top is None or top >= lowest:
        async with aclosing(read_pages(fetch, _NEWEST if top is None else top)) as pages:
            async for page in pages:
                yield page


CHANNELS = 10_000
"""Cached channels."""

POSTS = 1_000
"""Cached posts of each channel, the newest, and how many posts of history are read."""


@dataclass(slots=True)
class _Channel:
    numbers: list[int] = field(default_factory=list)  # ascending
    lowest: int = 0  # history was read from here
    highest: int = -1  # to here
    read_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class SilentPosts:
    """Numbers of posts that do not count as unread, by channel. What was read in history is cached for `seconds`."""

    def __init__(self, history: History, *, seconds: float, clock: Clock) -> None:
        self._history = history
        self._seconds = seconds
        self._clock = clock
        self._channels: LRUCache[ChannelId, _Channel] = LRUCache(CHANNELS)

    def add(self, channel: ChannelId, seq: int) -> None:
        """Add one post."""
        numbers = self._get_or_add_channel(channel).numbers
        place = bisect_left(numbers, seq)
        if place == len(numbers) or numbers[place] != seq:
            insort(numbers, seq)
            del numbers[:-POSTS]

    def get(self, channel: ChannelId) -> Sequence[int]:
        """Return the known numbers, ascending."""
        known = self._channels.get(channel)
        return known.numbers if known is not None else ()

    def forget(self, channel: ChannelId) -> None:
        """Drop a channel that was deleted; another one with its id begins at 1."""
        self._channels.pop(channel, None)

    async def read(self, channel: ChannelId, lowest: int, highest: int) -> None:
        """Read these posts in history, the newest 1,000, 20 a call; not those that were read within `seconds`."""
        known = self._get_or_add_channel(channel)
        async with known.reading:  # after the wait, everything has mostly been read
            await self._read_silent_numbers(channel, known, max(lowest, highest - POSTS + 1), highest)

    async def _read_silent_numbers(self, channel: ChannelId, known: _Channel, lowest: int, highest: int) -> None:
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

    def _get_or_add_channel(self, channel: ChannelId) -> _Channel:
        known = self._channels.get(channel)
        if known is None:
            known = self._channels[channel] = _Channel()
        return known


def never_counts(message: messages.HistoryMessage) -> bool:
    """Return whether the message is no post, recalled, or sent silently."""
    silent = message.msg_priority == messages.PRIORITY_NUMBERS[messages.PRIORITY_LOW]
    return silent or message.is_place_msg == messages.PLACE_RECALLED or not is_post(message)
