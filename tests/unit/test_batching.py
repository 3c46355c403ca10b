"""Batches and concurrent work: order, limits, failures, and no tasks left running."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.concurrency.batching import batches, concurrently


async def collect(stream: AsyncIterator[object]) -> list[object]:
    return [item async for item in stream]


async def numbers(count: int) -> AsyncGenerator[int, None]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def others() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


class Gauge:
    """Counter of work that is running concurrently."""

    def __init__(self) -> None:
        self.now = self.most = self.cancelled = 0

    async def double(self, number: int) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.0005 * (number % 3))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return number * 2


class Turns:
    """Work that ends in the order of the numbers, in whatever order it was started."""

    def __init__(self) -> None:
        self._ended: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def take(self, number: int) -> int:
        if number:
            await self._ended[number - 1].wait()
        self._ended[number].set()
        return number


@given(st.lists(st.integers(), max_size=50), st.integers(1, 12))
def test_batches_keep_items_and_order(items: list[int], size: int) -> None:
    found = asyncio.run(collect(batches(items, size)))
    assert [item for batch in found for item in batch] == items  # type: ignore[attr-defined]
    assert all(len(batch) == size for batch in found[:-1])  # type: ignore[arg-type]
    assert all(1 <= len(batch) <= size for batch in found[-1:])  # type: ignore[arg-type]


async def test_batches_accept_async_source() -> None:
    assert await collect(batches(numbers(5), 2)) == [[0, 1], [2, 3], [4]]
    assert await collect(batches(numbers(0), 2)) == []


async def test_batches_consume_no_more_items_than_needed() -> None:
    taken = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    async with aclosing(batches(endless(), 3)) as stream:
        assert await anext(stream) == [0, 1, 2]
        assert taken == [0, 1, 2]


async def test_closing_batches_closes_source() -> None:
    closed = []

    async def source() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    async with aclosing(batches(source(), 2)) as stream:
        await anext(stream)
    assert closed == [True]


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused_before_start(size: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        batches([1], size)
    with pytest.raises(ValueError, match="at least one"):
        concurrently([1], Gauge().double, limit=size)


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("ordered", [True, False])
async def test_every_item_is_processed_once_within_limit(limit: int, ordered: bool) -> None:
    gauge = Gauge()
    found = await collect(concurrently(numbers(40), gauge.double, limit=limit, ordered=ordered))
    expected = [number * 2 for number in range(40)]
    assert (found if ordered else sorted(found)) == expected  # type: ignore[type-var]
    assert gauge.most == min(limit, gauge.most) > 0
    assert limit == 1 or gauge.most > 1
    assert not others()


async def test_results_are_yielded_as_they_finish() -> None:
    assert await collect(concurrently([2, 0, 1], Turns().take, limit=3)) == [0, 1, 2]
    assert await collect(concurrently([2, 0, 1], Turns().take, limit=3, ordered=True)) == [2, 0, 1]


@pytest.mark.parametrize("ordered", [True, False])
async def test_slow_consumer_limits_items_consumed(ordered: bool) -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    given_out = 0
    async with aclosing(concurrently(source(), Gauge().double, limit=4, ordered=ordered)) as results:
        async for _ in results:
            given_out += 1
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(taken) <= given_out + 4 + 1
            if given_out == 30:
                break
    assert not others()


async def test_slow_source_does_not_delay_results() -> None:
    async def source() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(60)

    async with aclosing(concurrently(source(), Gauge().double, limit=5)) as results:
        assert await asyncio.wait_for(anext(results), 30) == 2
    assert not others()


@pytest.mark.parametrize("ordered", [True, False])
async def test_exception_of_work_cancels_other_work(ordered: bool) -> None:
    cancelled = []

    async def work(number: int) -> int:
        if number == 3:
            raise LookupError("three")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    with pytest.raises(LookupError, match="three"):
        await collect(concurrently(range(10), work, limit=5, ordered=ordered))
    assert set(cancelled) >= {0, 1, 2}
    assert not others()


async def test_results_before_failure_are_yielded() -> None:
    async def work(number: int) -> int:
        if number == 2:
            raise LookupError("two")
        return number

    found = []
    with pytest.raises(LookupError):  # noqa: PT012 - the loop is what raises
        async for result in concurrently(range(10), work, limit=1):
            found.append(result)  # noqa: PERF401
    assert found == [0, 1]


async def test_exception_of_source_is_raised() -> None:
    gauge = Gauge()

    async def source() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await collect(concurrently(source(), gauge.double, limit=2))
    assert gauge.now == 0
    assert not others()


async def test_early_exit_cancels_work_and_closes_source() -> None:
    gauge, closed = Gauge(), []

    async def source() -> AsyncGenerator[int, None]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append(True)

    async with aclosing(concurrently(source(), gauge.double, limit=6)) as results:
        await anext(results)
    assert gauge.now == 0
    assert closed == [True]
    assert not others()


async def test_cancelled_consumer_cancels_all_tasks() -> None:
    full, ended = asyncio.Barrier(5), []

    async def forever(number: int) -> int:
        try:
            await full.wait()
            await asyncio.sleep(60)
        finally:
            ended.append(number)
        return number

    consumer = asyncio.create_task(collect(concurrently(numbers(10), forever, limit=4)))
    await full.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert sorted(ended) == [0, 1, 2, 3]
    assert not others()


@pytest.mark.parametrize("ordered", [True, False])
async def test_running_work_ends_after_last_result_and_no_item_is_consumed(ordered: bool) -> None:
    taken, asked, turns = [], asyncio.Event(), Turns()

    async def source() -> AsyncGenerator[int, None]:
        for number in range(4):
            taken.append(number)
            yield number
        asked.set()
        await asyncio.sleep(60)

    async def work(number: int) -> int:
        await asked.wait()
        return await turns.take(number)

    results = concurrently(source(), work, limit=5, ordered=ordered, until=lambda number: number in (0, 2))
    assert [result async for result in results] == [0, 1, 2, 3]
    assert taken == [0, 1, 2, 3]
    assert not others()


@pytest.mark.parametrize("ordered", [True, False])
async def test_running_work_ends_after_error_of_source(ordered: bool) -> None:
    async def source() -> AsyncGenerator[int, None]:
        yield 0
        yield 1
        raise LookupError("no more")

    found, turns = [], Turns()
    with pytest.raises(LookupError, match="no more"):  # noqa: PT012 - the loop is what raises
        async for result in concurrently(source(), turns.take, limit=5, ordered=ordered):
            found.append(result)  # noqa: PERF401
    assert found == [0, 1]
