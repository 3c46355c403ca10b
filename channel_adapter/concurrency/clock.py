"""Clocks, passed as arguments: wall time, monotonic time and sleeping; and a sleep that an event ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol


class Clock(Protocol):
    """Wall time for signatures, monotonic time for deadlines, and sleeping."""

    def now(self) -> float:
        """Return Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since a fixed time; never decreases."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`; zero or less only yields to other tasks."""
        ...


class SystemClock:
    """The clock of this machine."""

    now: "staticmethod[[], float]" = staticmethod(time.time)
    monotonic: "staticmethod[[], float]" = staticmethod(time.monotonic)
    sleep: "staticmethod[[float], Coroutine[Any, Any, None]]" = staticmethod(asyncio.sleep)


async def wait_or_set(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return after `seconds` of the clock, or as soon as the event is set."""
    waits: list[Callable[[], Awaitable[object]]] = [event.wait, lambda: clock.sleep(seconds)]
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
