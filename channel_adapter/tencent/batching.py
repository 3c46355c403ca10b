"""Many items in few calls, several calls at once: in bounded memory, with nothing left behind when it ends early."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

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
) -> AsyncGenerator[R, None]:
    """Results of `work` on every item, at most `limit` at a time, as they finish or in the order of the items.

    Items are taken only while there is room; a result that nobody has taken yet takes up room. The first exception, of
    the source or of any work, stops everything and is raised. Whoever may leave the loop early should close the
    generator (`contextlib.aclosing`): that cancels the work under way and waits for its end.
    """
    if limit < 1:
        raise ValueError("at least one item must be worked on at a time")
    return _concurrently(source, work, limit, ordered)


async def _batches(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    batch: list[T] = []
    async with aclosing(_stream(items)) as stream:
        async for item in stream:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


async def _concurrently(
    source: Iterable[T] | AsyncIterable[T], work: Callable[[T], Awaitable[R]], limit: int, ordered: bool
) -> AsyncGenerator[R, None]:
    reports: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()  # every task puts itself here when it is done
    line: dict[asyncio.Future[R], None] = {}  # tasks whose results have not been handed out, oldest first
    pulling: asyncio.Future[Any] | None = None
    more = True

    def start(awaitable: Awaitable[Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(awaitable)
        task.add_done_callback(reports.put_nowait)
        return task

    async with aclosing(_stream(source)) as stream:
        try:
            while True:
                if more and pulling is None and len(line) < limit:
                    pulling = start(_next(stream))
                if pulling is None and not line:
                    return
                done = await reports.get()
                if done is pulling:
                    item, pulling = done.result(), None
                    more = item is not _END
                    if more:
                        line[start(work(item))] = None
                else:
                    for task in _ready(line, done, ordered):
                        del line[task]
                        yield task.result()
        finally:
            await _end([*line] if pulling is None else [*line, pulling])


def _ready(line: dict[asyncio.Future[R], None], done: asyncio.Future[R], ordered: bool) -> Iterator[asyncio.Future[R]]:
    """The tasks to hand out now that `done` is done; a failure goes ahead of everything."""
    if not ordered or done.cancelled() or done.exception() is not None:
        yield done
        return
    while line and (oldest := next(iter(line))).done():
        yield oldest


async def _next(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream, _END)


async def _stream(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
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


async def _end(tasks: list[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and wait until it is gone; failures of these tasks have no one left to tell."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
