"""Events for a loop: each is held until the loop asks for the next one, or is left."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar, cast

from channel_adapter.domain.events import Event

EventT = TypeVar("EventT", bound=Event)


class Offers:
    """What waits for a loop. It knows nothing of its stream, so that a stream that is forgotten can end."""

    def __init__(self) -> None:
        self.ended = False
        self._waiting: asyncio.Queue[tuple[Event, asyncio.Future[None]] | None] = asyncio.Queue()
        self._taken: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: Callable[[], None] | None = None

    def on_leaving(self, leave: Callable[[], None]) -> None:
        """What is done once, at the end."""
        self._leave = leave

    async def hand_over(self, event: Event) -> None:
        """Back when the loop is through with the event, or when there is no loop any more."""
        if self.ended:
            return
        self._loop = asyncio.get_running_loop()
        taken = self._loop.create_future()
        self._waiting.put_nowait((event, taken))
        await taken

    async def next(self) -> Event | None:
        """The next event; the one before it counts as handled now. None at the end."""
        self._settle(self._taken)
        item = None if self.ended else await self._waiting.get()
        if item is None:
            return None
        event, self._taken = item
        return event

    def end(self) -> None:
        """Nobody waits for the loop any more."""
        if self.ended:
            return
        self.ended = True
        if self._leave is not None:
            self._leave()
        self._settle(self._taken)
        while not self._waiting.empty():
            item = self._waiting.get_nowait()
            self._settle(item[1] if item is not None else None)
        self._waiting.put_nowait(None)

    def end_soon(self) -> None:
        """The same from wherever an object is collected."""
        if self._loop is None or self._loop.is_closed():
            self.end()
        else:
            self._loop.call_soon_threadsafe(self.end)

    @staticmethod
    def _settle(taken: "asyncio.Future[None] | None") -> None:
        if taken is not None and not taken.done():
            taken.set_result(None)


class EventStream(AsyncIterator[EventT], Generic[EventT]):
    """For `async for` in one task. It ends with `aclose`, and when nobody holds it any more."""

    def __init__(self, offers: Offers) -> None:
        self._offers = offers

    async def __anext__(self) -> EventT:
        event = await self._offers.next()
        if event is None:
            raise StopAsyncIteration
        return cast("EventT", event)

    async def aclose(self) -> None:
        """End it; the event that the loop has counts as handled."""
        self._offers.end()

    def __del__(self) -> None:
        self._offers.end_soon()
