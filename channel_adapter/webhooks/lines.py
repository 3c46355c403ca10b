"""Who comes next: events of one channel are handled one after the other, in the order in which they happened.

Webhooks of one channel may arrive swapped, so each waits a moment for those that belong before it. Whatever arrives
later than that is handled when it comes: order is kept as far as it can be known.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine
from typing import NamedTuple

from channel_adapter.tencent.clock import Clock
from channel_adapter.webhooks.inbox import Task


class _Place(NamedTuple):
    sequence: int
    number: int
    ready_at: float
    task: Task
    finished: "asyncio.Future[None]"


class Lines:
    """A line for each channel; lines move side by side. `handle` deals with its own failures."""

    def __init__(self, handle: Callable[[Task], Awaitable[None]], *, window: float, clock: Clock) -> None:
        self._handle = handle
        self._window = window
        self._clock = clock
        self._number = 0
        self._lines: dict[tuple[str, int], list[_Place]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, Task] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest(self) -> float | None:
        """When the event that waits longest was received, in unix seconds; None when none waits."""
        return min((task.received.received_at for task in self._waiting.values()), default=None)

    def put(self, task: Task) -> "asyncio.Future[None]":
        """Let an event wait for its turn; the future ends when it has been handled, well or not."""
        self._number += 1
        received = task.received
        ready_at = self._clock.monotonic() + (self._window if received.order_key else 0.0)
        finished = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = task
        number = self._number
        finished.add_done_callback(lambda _: self._waiting.pop(number, None))
        place = _Place(received.sequence, number, ready_at, task, finished)
        key = (received.order_key, 0 if received.order_key else number)
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = [place]
            self._keep(self._move(key))
        else:
            heapq.heappush(line, place)
        return finished

    async def idle(self) -> None:
        """Wait until every line is empty."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def stop(self) -> None:
        """Give up what waits and what is under way; its futures are cancelled."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _move(self, key: tuple[str, int]) -> None:
        line = self._lines[key]
        try:
            while line:
                wait = line[0].ready_at - self._clock.monotonic()
                if wait > 0:
                    await self._clock.sleep(wait)  # somebody may come who belongs before it
                else:
                    await self._serve(heapq.heappop(line))
        finally:
            self._lines.pop(key, None)
            for place in line:
                place.finished.cancel()

    async def _serve(self, place: _Place) -> None:
        try:
            await self._handle(place.task)
        except BaseException:
            place.finished.cancel()
            raise
        if not place.finished.done():
            place.finished.set_result(None)

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
