"""Who comes next: events of one channel are handled one after the other, in the order in which they happened.

Webhooks of one channel may arrive swapped, so each waits a moment for those that belong before it. Whatever arrives
later than that is handled when it comes: order is kept as far as it can be known.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, NamedTuple

from channel_adapter.tencent.clock import Clock
from channel_adapter.webhooks.inbox import Task

FIRST_PAUSE: Final = 0.03
LONGEST_PAUSE: Final = 1.0
"""Between two questions whether it is an event's turn."""

Ended = Callable[[bool], None]
"""Told once: True when the event has been handled or given up, False when the lines were stopped before that."""


class _Place(NamedTuple):
    sequence: int
    number: int
    ready_at: float
    task: Task
    ended: Ended | None


class Lines:
    """A line for each channel; lines move side by side. `handle` deals with its own failures.

    `may_begin` is asked about the first one of a channel until it says yes: others may have events of it, too.
    """

    def __init__(
        self,
        handle: Callable[[Task], Awaitable[None]],
        *,
        window: float,
        clock: Clock,
        may_begin: Callable[[Task], Awaitable[bool]] | None = None,
    ) -> None:
        self._handle = handle
        self._may_begin = may_begin
        self._window = window
        self._clock = clock
        self._number = 0
        self._lines: dict[tuple[str, int], list[_Place]] = {}
        self._due: deque[tuple[float, tuple[str, int]]] = deque()  # lines that have not begun to move
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._waiting: dict[int, Task] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest(self) -> float | None:
        """When the event that waits longest was received, in unix seconds; None when none waits."""
        return min((task.received.received_at for task in self._waiting.values()), default=None)

    def put(self, task: Task, ended: Ended | None = None) -> None:
        """Let an event wait for its turn; once the lines are stopped it never comes."""
        if self._stopped:
            if ended is not None:
                ended(False)
            return
        self._number += 1
        received = task.received
        ready_at = self._clock.monotonic() + self._window
        place = _Place(received.sequence, self._number, ready_at, task, ended)
        self._waiting[self._number] = task
        key = (received.order_key, 0 if received.order_key else self._number)
        line = self._lines.get(key)
        if line is not None:
            heapq.heappush(line, place)
            return
        self._lines[key] = [place]
        if received.order_key and self._window:
            self._due.append((ready_at, key))
            if self._ticker is None or self._ticker.done():
                self._ticker = self._keep(self._tick())
        else:
            self._keep(self._move(key))

    async def idle(self) -> None:
        """Wait until every line is empty."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def stop(self) -> None:
        """Give up what waits and what is under way."""
        self._stopped = True
        self._due.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for key in list(self._lines):
            self._give_up(key)

    async def _tick(self) -> None:
        """Lines begin in the order in which they came, each a window after its first event."""
        while self._due:
            wait = self._due[0][0] - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
            else:
                self._keep(self._move(self._due.popleft()[1]))

    async def _move(self, key: tuple[str, int]) -> None:
        line = self._lines[key]
        pause = FIRST_PAUSE
        try:
            while line:
                first = line[0]
                wait = first.ready_at - self._clock.monotonic() if key[0] else 0.0
                if wait > 0:
                    await self._clock.sleep(wait)  # somebody may come who belongs before it
                elif key[0] and self._may_begin is not None and not await self._may_begin(first.task):
                    await self._clock.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
                else:
                    _leave_line(line, first)
                    await self._serve(first)
                    pause = FIRST_PAUSE
        finally:
            self._give_up(key)

    async def _serve(self, place: _Place) -> None:
        well = False
        try:
            await self._handle(place.task)
            well = True
        finally:
            self._leave(place, well)

    def _give_up(self, key: tuple[str, int]) -> None:
        for place in self._lines.pop(key, ()):
            self._leave(place, False)

    def _leave(self, place: _Place, well: bool) -> None:
        del self._waiting[place.number]
        if place.ended is not None:
            place.ended(well)

    def _keep(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _leave_line(line: list[_Place], place: _Place) -> None:
    if line[0] is place:
        heapq.heappop(line)
    else:  # somebody came who belongs before it, too late
        line.remove(place)
        heapq.heapify(line)
