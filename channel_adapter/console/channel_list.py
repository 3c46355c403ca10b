"""The channels of the app, kept for a few seconds: the service allows one such list a second."""

import asyncio
from contextlib import aclosing
from typing import Final

from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.channel import Channel
from channel_adapter.services.channels import Channels

SECONDS: Final = 15.0
"""How long a list is kept. A change made on the console makes it read again."""
MOST: Final = 5_000
"""Channels that are read; of more, the search of the directory finds the others."""


class ChannelList:
    """Reads the channels of the app, once for requests that come together."""

    def __init__(self, channels: Channels, clock: Clock) -> None:
        self._channels = channels
        self._clock = clock
        self._found: list[Channel] | None = None
        self._changed = False
        self._until = 0.0
        self._reading = asyncio.Lock()

    async def all(self) -> list[Channel]:
        """Return the first 5,000 channels, in no order. Raises what `channels.all` raises."""
        async with self._reading:
            if self._found is None or self._clock.monotonic() >= self._until:
                self._changed = False
                found = []
                async with aclosing(self._channels.all()) as channels:
                    async for channel in channels:
                        found.append(channel)
                        if len(found) == MOST:
                            break
                if self._changed:  # while it was read: the next request reads it again
                    return found
                self._found = found
                self._until = self._clock.monotonic() + SECONDS
            return self._found

    def forget(self) -> None:
        """Read the list again when it is needed next."""
        self._found, self._changed = None, True
