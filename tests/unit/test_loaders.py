"""Single flight and batch loader: shared executions and shared batches."""

import asyncio
from collections.abc import Sequence

import pytest

from channel_adapter.concurrency.batch_loader import BatchCancelledError, BatchLoader
from channel_adapter.concurrency.single_flight import SingleFlight


class SharedDraw:
    """Record executions, which end when `open` is set."""

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
        for _ in range(10):  # until all tasks wait
            await asyncio.sleep(0)
        return tasks


async def test_concurrent_callers_share_one_result_or_exception() -> None:
    draw = SharedDraw()
    tasks = await draw.tasks("a", "a", "b", "dry", "dry")
    assert draw.asked == ["a", "b", "dry"]
    draw.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:3] == [3, 3, 3]
    assert all(isinstance(result, LookupError) for result in results[3:])


async def test_caller_after_end_or_forget_starts_new_execution() -> None:
    draw = SharedDraw()
    tasks = await draw.tasks("a")
    draw.shared.forget("a")
    tasks += await draw.tasks("a")
    draw.shared.forget()
    tasks += await draw.tasks("a")
    assert draw.asked == ["a"] * 3
    draw.open.set()
    await asyncio.gather(*tasks)
    assert await draw.shared.get("a") == 4


async def test_execution_is_cancelled_with_its_last_caller() -> None:
    draw = SharedDraw()
    first, second = await draw.tasks("a", "a")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert draw.ended == []
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await asyncio.sleep(0)
    assert draw.ended == ["a"]
    assert len(asyncio.all_tasks()) == 1
    (third,) = await draw.tasks("a")
    draw.open.set()
    assert await third == 2


async def test_drain_returns_while_a_finished_worker_is_still_listed() -> None:
    """From Python 3.12 on, waiting for tasks that are done does not let their callbacks run."""

    async def double(_: str, wishes: Sequence[int]) -> list[int | Exception]:
        return [2 * wish for wish in wishes]

    loader = BatchLoader(double, max_items=10)
    assert await loader.load("key", 4) == 8
    await loader.drain()


async def test_items_added_during_a_batch_are_in_the_next_one() -> None:
    batches: list[list[int]] = []
    may_end = asyncio.Event()

    async def double(_: str, items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        await may_end.wait()
        return [2 * item if item != 3 else LookupError("three") for item in items]

    loader: BatchLoader[str, int, int] = BatchLoader(double, max_items=3)
    tasks = [asyncio.create_task(loader.load("key", number)) for number in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    discarded: list[object] = []
    loader.add("key", 1_000, discarded.append)
    loader.discard("key", 1_000)
    assert len(loader) == 3
    may_end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) if isinstance(result, Exception) else result for result in results] == [
        0, 2, 4, LookupError, 8, 10,
    ]  # fmt: skip
    assert batches == [[0, 1, 2], [3, 4, 5]]
    await loader.drain()
    assert (len(loader), loader.oldest_seconds, discarded) == (0, 0.0, [])


async def test_spacing_separates_batches_and_is_shorter_after_small_batch() -> None:
    begun: list[float] = []
    loop = asyncio.get_running_loop()

    async def same(_: None, items: Sequence[int]) -> list[int | Exception]:
        begun.append(loop.time())
        return list(items)

    loader: BatchLoader[None, int, int] = BatchLoader(same, max_items=100, spacing=0.2, full_batch=4)
    await loader.load(None, 1)
    await asyncio.gather(*(loader.load(None, number) for number in range(4)))
    await loader.load(None, 2)
    first, second = begun[1] - begun[0], begun[2] - begun[1]
    assert first >= 0.05
    assert second >= 0.2


async def test_stopped_loader_drops_waiting_items() -> None:
    async def never(_: None, items: Sequence[int]) -> list[int | Exception]:
        await asyncio.Event().wait()
        return []

    loader: BatchLoader[None, int, int] = BatchLoader(never, max_items=1)
    results: list[object] = []
    loader.add(None, 1, results.append)
    loader.add(None, 2, results.append)
    await asyncio.sleep(0)
    assert loader.oldest_seconds >= 0.0
    assert await loader.stop() == 2
    await loader.batch_ended()
    assert [type(result) for result in results] == [BatchCancelledError] * 2
    assert (len(loader), await loader.stop()) == (0, 0)


async def test_callers_of_a_stopped_loader_do_not_wait_forever() -> None:
    async def never(_: str, items: Sequence[int]) -> list[int | Exception]:
        await asyncio.Event().wait()
        return []

    loader: BatchLoader[str, int, int] = BatchLoader(never, max_items=1)
    running = [asyncio.create_task(loader.load(key, number)) for key in "ab" for number in range(2)]
    await asyncio.sleep(0)
    just_added = asyncio.create_task(loader.load("c", 1))
    await asyncio.sleep(0)
    await loader.stop()
    results = await asyncio.gather(*running, just_added, return_exceptions=True)
    assert [type(result) for result in results] == [BatchCancelledError] * 5


async def test_batch_is_not_processed_without_items() -> None:
    batches: list[list[int]] = []

    async def same(_: None, items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        return list(items)

    loader: BatchLoader[None, int, int] = BatchLoader(same, max_items=9, spacing=0.05)
    await loader.load(None, 1)
    discarded: list[object] = []
    loader.add(None, 1_000, discarded.append)
    await asyncio.sleep(0)  # its worker waits for the end of the spacing
    loader.discard(None, 1_000)
    await loader.drain()
    assert await loader.load(None, 2) == 2
    assert (batches, discarded) == ([[1], [2]], [])


@pytest.mark.parametrize("fault", ["cancelled", "short"])
async def test_callers_get_an_error_if_a_batch_has_no_results(fault: str) -> None:
    async def process(_: None, items: Sequence[int]) -> list[int | Exception]:
        if 0 not in items:
            return list(items)
        if fault == "short":
            return []
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits.cancel()
        await waits
        return []

    loader: BatchLoader[None, int, int] = BatchLoader(process, max_items=2)
    tasks = [asyncio.create_task(loader.load(None, number)) for number in range(4)]
    expected = ValueError if fault == "short" else BatchCancelledError
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) if isinstance(each, BaseException) else each for each in results] == [expected, expected, 2, 3]
