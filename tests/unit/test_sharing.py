"""Work that is shared: done once, told to all, and ended when nobody wants it."""

import asyncio
from collections.abc import Sequence

import pytest

from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.single_flight import SingleFlight


class Well:
    """Counts how often it is asked; answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.open = asyncio.Event()
        self.shared: SingleFlight[str, int] = SingleFlight(self.draw)

    async def draw(self, key: str) -> int:
        self.asked.append(key)
        try:
            await self.open.wait()
        finally:
            self.ended.append(key)
        if key == "dry":
            raise LookupError(key)
        return len(self.asked)

    async def tasks(self, *keys: str) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(self.shared.get(key)) for key in keys]
        for _ in range(10):  # until all of them wait
            await asyncio.sleep(0)
        return tasks


async def test_all_who_ask_at_once_share_one_answer_or_one_exception() -> None:
    well = Well()
    tasks = await well.tasks("a", "a", "b", "dry", "dry")
    assert well.asked == ["a", "b", "dry"]
    well.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:3] == [3, 3, 3]
    assert all(isinstance(result, LookupError) for result in results[3:])


async def test_who_asks_later_or_after_forgetting_asks_anew() -> None:
    well = Well()
    tasks = await well.tasks("a")
    well.shared.forget("a")
    tasks += await well.tasks("a")
    well.shared.forget()
    tasks += await well.tasks("a")
    assert well.asked == ["a"] * 3
    well.open.set()
    await asyncio.gather(*tasks)
    assert await well.shared.get("a") == 4


async def test_one_who_gives_up_leaves_the_work_to_the_others_and_the_last_one_ends_it() -> None:
    well = Well()
    first, second = await well.tasks("a", "a")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert well.ended == []
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await asyncio.sleep(0)
    assert well.ended == ["a"]
    assert len(asyncio.all_tasks()) == 1
    (third,) = await well.tasks("a")
    well.open.set()
    assert await third == 2


async def test_settle_ends_while_a_worker_is_done_and_still_listed() -> None:
    """From Python 3.12 on, waiting for tasks that are done does not let their callbacks run."""

    async def double(_: str, wishes: Sequence[int]) -> list[int | Exception]:
        return [2 * wish for wish in wishes]

    loader = BatchLoader(double, max_items=10)
    assert await loader.load("key", 4) == 8
    await loader.drain()
