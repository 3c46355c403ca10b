"""How much may wait in one process: events by number and by bytes. What finds no room is not acknowledged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from channel_adapter.webhooks.inbox import NotStoredError

BYTES: Final = 32_000_000
"""Of the JSON of events, unless the settings say otherwise; what Python makes of it takes a few times as much."""


class Room:
    """Counts what is held. Only newcomers are turned away: what was acknowledged is held, however much it is."""

    def __init__(self, events: int, size: int) -> None:
        self._events = events
        self._size = size
        self.held = 0

    def has(self, waiting: int, size: int) -> bool:
        """Is there room for one of `size` bytes beside `waiting` others?"""
        return waiting < self._events and self.held + size <= self._size

    def admit(self, waiting: int, size: int) -> None:
        """Raises NotStoredError where `has` says no."""
        if not self.has(waiting, size):
            raise NotStoredError(f"{waiting} events and {self.held} bytes wait")

    def take(self, size: int) -> None:
        """So many bytes more are held."""
        self.held += size

    def give_back(self, size: int) -> None:
        """So many are held no more."""
        self.held -= size

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """They are held for the length of a block."""
        self.take(size)
        try:
            yield
        finally:
            self.give_back(size)
