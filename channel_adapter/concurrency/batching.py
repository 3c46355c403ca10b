"""Many items in few calls, several calls at once: in bounded memory, with nothing left behind when it ends early."""

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
    """Lists of `size` items, the last one shorter; takes no more items than the batch at hand needs."""
    if size < 1:
        raise ValueError("a batch holds at least one item")
    return _batches(items, size)


def concurrently(
    source: Iterable[T] | AsyncIterable[T],
    work: Callable[[T], Awaitable[R]],
    *,
    limit: int,
    ordered: bool = False,
    until: Callable[[R], bool] | None = None,
) -> AsyncGenerator[R, None]:
    """Results of `work` on every item, at most `limit` at a time, as they finish or in the order of the items.

    Items are taken only while there is room; a result that nobody has taken yet takes up room. The first exception of
    any work stops everything and is raised. A result that `until` is true of, or an exception of the source, stops the
    taking: the work under way ends and its results are handed out, then the exception is raised.

    Whoever may leave the loop early should close the generator (`contextlib.aclosing`): that cancels the work under way
    and waits for its end.
    """
    if limit < 1:
        raise ValueError("at least one item must be worked on at a time")
    return _concurrently(source, _Crew(work, ordered=ordered, until=until), limit)


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
        self._results = concurrently(_skip(items, start), fn, limit=limit, ordered=True)
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


async def _skip(items: Iterable[T] | AsyncIterable[T], count: int) -> AsyncGenerator[T, None]:
    position = 0
    async with aclosing(stream(items)) as source:
        async for item in source:
            if position >= count:
                yield item
            position += 1


async def stream(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Any kind of iterable as an async generator; closing it closes an async source."""
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


async def _batches(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    batch: list[T] = []
    async with aclosing(stream(items)) as source:
        async for item in source:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


async def _concurrently(
    source: Iterable[T] | AsyncIterable[T], crew: "_Crew[T, R]", limit: int
) -> AsyncGenerator[R, None]:
    at_hand = iter(source) if isinstance(source, Sequence) else None
    async with aclosing(stream(source)) as items:
        try:
            while True:
                if at_hand is not None:
                    crew.take(at_hand, limit)
                elif crew.pulling is None and not crew.ended and len(crew.line) < limit:
                    crew.pull(items)
                if crew.pulling is None and not crew.line:
                    break
                crew.note(await crew.reports.get())
                while (task := crew.ready()) is not None:
                    yield task.result()
        finally:
            await crew.end()
    if crew.failure is not None:
        crew.failure.result()


class _Crew(Generic[T, R]):
    """The tasks of one `concurrently`: one that takes the next item, and those at work on earlier ones."""

    def __init__(self, work: Callable[[T], Awaitable[R]], *, ordered: bool, until: Callable[[R], bool] | None) -> None:
        self.reports: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()  # every task that is done
        self.line: dict[asyncio.Future[R], None] = {}  # tasks whose results have not been handed out, oldest first
        self.pulling: asyncio.Future[Any] | None = None
        self.ended = False  # no item is taken any more
        self.failure: asyncio.Future[Any] | None = None  # of the source
        self._latest: asyncio.Future[R] | None = None  # done and to be handed out
        self._work = work
        self._ordered = ordered
        self._until = until

    def take(self, items: Iterator[T], limit: int) -> None:
        """Begin to work on items that cost no time to get and cannot fail, as many as there is room for."""
        while not self.ended and len(self.line) < limit:
            try:
                item = next(items)
            except StopIteration:
                self.ended = True
            else:
                self.line[self._start(self._work(item))] = None

    def pull(self, items: AsyncIterator[T]) -> None:
        """Begin to take the next item."""
        self.pulling = self._start(_next(items))

    def note(self, done: asyncio.Future[Any]) -> None:
        """A task is done: what follows from that? Raises the exception of a task at work."""
        if done is self.pulling:
            self.pulling = None
            self._pulled(done)
            return
        result = done.result()
        self._latest = done
        if self._until is not None and self._until(result):
            self.ended = True
            if self.pulling is not None:
                self.pulling.cancel()

    def ready(self) -> asyncio.Future[R] | None:
        """The next task to hand out, taken out of the line."""
        if self._ordered:
            oldest = next(iter(self.line), None)
            task = oldest if oldest is not None and oldest.done() else None
        else:
            task, self._latest = self._latest, None
        if task is not None:
            del self.line[task]
        return task

    async def end(self) -> None:
        """Cancel what still runs and wait until it is gone; failures of these tasks have no one left to tell."""
        tasks = [*self.line] if self.pulling is None else [*self.line, self.pulling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pulled(self, done: asyncio.Future[Any]) -> None:
        if self.ended:  # in the meantime: what was taken is dropped
            return
        if done.cancelled() or done.exception() is not None:
            self.failure, self.ended = done, True
        elif (item := done.result()) is _END:
            self.ended = True
        else:
            self.line[self._start(self._work(item))] = None

    def _start(self, awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(awaitable)
        task.add_done_callback(self.reports.put_nowait)
        return task


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)
