"""Work that several tasks want at the same time, done once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(slots=True)
class _Flight(Generic[R]):
    task: asyncio.Future[R]
    waiting: int = 0


class Shared(Generic[K, R]):
    """One piece of work per key for all who ask while it is under way; cancelled when nobody waits for it any more."""

    def __init__(self, work: Callable[[K], Awaitable[R]]) -> None:
        self._work = work
        self._flights: dict[K, _Flight[R]] = {}

    async def get(self, key: K) -> R:
        """What the work gives, or the exception it raises, to everybody alike."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(self._work(key)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                flight.task.cancel()
            if self._flights.get(key) is flight and (flight.task.done() or not flight.waiting):
                del self._flights[key]

    def forget(self, key: K | None = None) -> None:
        """Whoever asks from now on does not share what is under way, for one key or for all."""
        if key is None:
            self._flights.clear()
        else:
            self._flights.pop(key, None)
