"""Batches of items and concurrent work on items, in bounded memory; no task is left when the caller ends early."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_CONSECUTIVE_FAILURES: Final = 5
"""Failed items in a row after which a ConcurrentMap ends: the cause does not lie in the items then."""

_END: Final = object()


def batches(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    """Yield lists of `size` items, the last one shorter; consume no more items than the next list needs."""
    if size < 1:
        raise ValueError("a batch holds at least one item")
    return _yield_batches(items, size)


def concurrently(
    source: Iterable[T] | AsyncIterable[T],
    work: Callable[[T], Awaitable[R]],
    *,
    limit: int,
    ordered: bool = False,
    until: Callable[[R], bool] | None = None,
) -> AsyncGenerator[R, None]:
    """Yield the results of `work` on every item, at most `limit` at a time, as they finish or in item order.

    An item is consumed only while fewer than `limit` are running or finished and not yet yielded. The first exception
    of `work` stops everything and is raised. A result for which `until` returns True, or an exception of the source,
    stops the consumption: work that is running is finished and yielded, then the exception is raised.

    Close the generator (`contextlib.aclosing`) if the loop may end early: that cancels the running work and waits for
    its end.
    """
    if limit < 1:
        raise ValueError("limit must be at least one item")
    return _yield_results(source, _TaskPool(work, ordered=ordered, until=until), limit)


async def map_concurrently(items: Iterable[T], work: Callable[[T], Awaitable[R]], *, limit: int) -> list[R]:
    """Return the results of `work` in the order of the items, at most `limit` at a time.

    The first exception of `work` is raised when no other work goes on.
    """
    async with aclosing(concurrently(items, work, limit=limit, ordered=True)) as results:
        return [result async for result in results]


@dataclass(frozen=True, slots=True)
class MapResult(Generic[R]):
    """One result of a ConcurrentMap; `error` says that the item failed and `value` only describes the failure."""

    value: R
    error: Exception | None = None


class ConcurrentMap(AsyncIterator[R], Generic[T, R]):
    """Results of `fn` on the items from number `start` on, in the order of the items, at most `limit` at a time.

    `cursor` is where to start another time: every item before it has a result that is not a failure. After
    `max_failures` consecutive failures the error of the last one is raised, and the cursor stays before the first of
    them. An exception of `fn` or of the source is raised immediately.
    """

    def __init__(
        self,
        items: Iterable[T] | AsyncIterable[T],
        fn: Callable[[T], Awaitable[MapResult[R]]],
        *,
        limit: int,
        start: int = 0,
        max_failures: int = MAX_CONSECUTIVE_FAILURES,
    ) -> None:
        self._results = concurrently(_skip_first(items, start), fn, limit=limit, ordered=True)
        self._max_failures = max_failures
        self._returned = start
        self._failures = 0  # consecutive ones, up to the latest result

    @property
    def cursor(self) -> int:
        """Number of items, from the beginning of the source, whose results are final."""
        return self._returned - self._failures

    async def __anext__(self) -> R:
        result = await anext(self._results)
        self._returned += 1
        self._failures = 0 if result.error is None else self._failures + 1
        if result.error is not None and self._failures >= self._max_failures:
            await self.aclose()
            raise result.error
        return result.value

    async def aclose(self) -> None:
        """Cancel the work that is still running, and wait until it has ended."""
        await self._results.aclose()


async def _skip_first(items: Iterable[T] | AsyncIterable[T], count: int) -> AsyncGenerator[T, None]:
    position = 0
    async with aclosing(stream(items)) as source:
        async for item in source:
            if position >= count:
                yield item
            position += 1


async def stream(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield the items of any kind of iterable; closing the generator closes an async source."""
    if isinstance(items, AsyncIterable):
        iterator = aiter(items)
        try:
            async for item in iterator:
                yield item
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
    else:
        for item in items:
            yield item


async def _yield_batches(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    batch: list[T] = []
    async with aclosing(stream(items)) as source:
        async for item in source:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


async def _yield_results(
    source: Iterable[T] | AsyncIterable[T], pool: "_TaskPool[T, R]", limit: int
) -> AsyncGenerator[R, None]:
    sequence = iter(source) if isinstance(source, Sequence) else None
    async with aclosing(stream(source)) as items:
        try:
            while True:
                if sequence is not None:
                    pool.start_next(sequence, limit)
                elif pool.fetching is None and not pool.exhausted and len(pool.pending) < limit:
                    pool.fetch_next(items)
                if pool.fetching is None and not pool.pending:
                    break
                pool.on_done(await pool.done.get())
                while (task := pool.take_finished()) is not None:
                    yield task.result()
        finally:
            await pool.cancel()
    if pool.source_failure is not None:
        pool.source_failure.result()


class _TaskPool(Generic[T, R]):
    """The tasks of one `concurrently`: one that fetches the next item, and those that work on earlier ones."""

    def __init__(self, work: Callable[[T], Awaitable[R]], *, ordered: bool, until: Callable[[R], bool] | None) -> None:
        self.done: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()  # every task that has ended
        self.pending: dict[asyncio.Future[R], None] = {}  # tasks whose results were not yielded yet, oldest first
        self.fetching: asyncio.Future[Any] | None = None
        self.exhausted = False  # no further item is consumed
        self.source_failure: asyncio.Future[Any] | None = None
        self._finished: asyncio.Future[R] | None = None  # to be yielded next, if results are not ordered
        self._work = work
        self._ordered = ordered
        self._until = until

    def start_next(self, items: Iterator[T], limit: int) -> None:
        """Start work on items of a sequence until `limit` tasks are pending."""
        while not self.exhausted and len(self.pending) < limit:
            try:
                item = next(items)
            except StopIteration:
                self.exhausted = True
            else:
                self.pending[self._start_task(self._work(item))] = None

    def fetch_next(self, items: AsyncIterator[T]) -> None:
        """Start to fetch the next item."""
        self.fetching = self._start_task(_next_or_end(items))

    def on_done(self, task: asyncio.Future[Any]) -> None:
        """Process a task that has ended. Raises the exception of the work on an item."""
        if task is self.fetching:
            self.fetching = None
            self._on_fetched(task)
            return
        result = task.result()
        self._finished = task
        if self._until is not None and self._until(result):
            self.exhausted = True
            if self.fetching is not None:
                self.fetching.cancel()

    def take_finished(self) -> asyncio.Future[R] | None:
        """Remove and return the next task whose result is to be yielded."""
        if self._ordered:
            oldest = next(iter(self.pending), None)
            task = oldest if oldest is not None and oldest.done() else None
        else:
            task, self._finished = self._finished, None
        if task is not None:
            del self.pending[task]
        return task

    async def cancel(self) -> None:
        """Cancel the running tasks and wait for their end; their exceptions are dropped, as no caller is left."""
        tasks = [*self.pending] if self.fetching is None else [*self.pending, self.fetching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_fetched(self, task: asyncio.Future[Any]) -> None:
        if self.exhausted:  # in the meantime: the item is dropped
            return
        if task.cancelled() or task.exception() is not None:
            self.source_failure, self.exhausted = task, True
        elif (item := task.result()) is _END:
            self.exhausted = True
        else:
            self.pending[self._start_task(self._work(item))] = None

    def _start_task(self, awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(awaitable)
        task.add_done_callback(self.done.put_nowait)
        return task


async def _next_or_end(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)
