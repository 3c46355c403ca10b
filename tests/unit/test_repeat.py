"""Work repeated in the background: pauses, failures, ends."""

import asyncio
from collections.abc import Iterator

import pytest

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.repeat import repeat


class FakeClock(SystemClock):
    """Sleeps as long as the event loop takes, and records how long that should have been."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Chore:
    """Ends each run as a list says, and sets an event in the last one."""

    def __init__(self, *ends: float | Exception | None) -> None:
        self._ends: Iterator[float | Exception | None] = iter(ends)
        self._left = len(ends)
        self.ended = asyncio.Event()

    async def __call__(self) -> float | None:
        self._left -= 1
        if not self._left:
            self.ended.set()
        end = next(self._ends)
        if isinstance(end, Exception):
            raise end
        return end


async def test_failed_chore_is_logged_and_repeated() -> None:
    chore, clock = Chore(None, LookupError("first"), 0.25, MemoryError("second"), None), FakeClock()
    failures: list[Exception] = []
    await asyncio.wait_for(repeat(chore, 3.0, clock, failures.append, first=1.5, until=chore.ended), 60)
    assert [str(each) for each in failures] == ["first", "second"]
    assert clock.slept == [1.5, 3.0, 3.0, 0.25, 3.0]


async def test_chore_is_repeated_until_its_task_is_cancelled() -> None:
    chore, clock = Chore(*[None] * 3), FakeClock()
    failures: list[Exception] = []
    task = asyncio.ensure_future(repeat(chore, 2.0, clock, failures.append))
    await chore.ended.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (failures, clock.slept[:3]) == ([], [0.0, 2.0, 2.0])


async def test_end_is_not_delayed_by_a_pause() -> None:
    chore, ended = Chore(None, None), asyncio.Event()
    task = asyncio.ensure_future(repeat(chore, 3_600.0, SystemClock(), print, until=ended))
    await asyncio.sleep(0.01)
    ended.set()
    await asyncio.wait_for(task, 60)
    assert not chore.ended.is_set()
