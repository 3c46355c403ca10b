"""Batch loading: items that arrive while one batch is running are processed together in the next batch."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


_Item = tuple[T, Callable[[R | Exception], None]]


@dataclass(slots=True)
class _Queue(Generic[T, R]):
    """The waiting items of one key."""

    items: list[_Item[T, R]] = field(default_factory=list)
    running: int = 0  # items of the batch that is being processed
    since: float = 0.0  # the first of them waits since then
    not_before: float = 0.0  # of the next batch, in seconds of the event loop
    worker: asyncio.Task[None] | None = None


class BatchCancelledError(Exception):
    """Raised to the callers of a batch that was cancelled, or that does not begin: it may have been processed."""


class BatchLoader(Generic[K, T, R]):
    """Collect single items of concurrent callers into batches of at most `max_items`, one batch per key at a time.

    The first item of a key starts a batch immediately; later items of that key wait for the next one, in the order of
    their arrival. `batch_fn` takes the key and the items, and returns one result per item. A result that is an
    exception is raised to the caller of its item; an exception raised by `batch_fn` is raised to all callers of the
    batch. Cancelling a caller does not cancel the batch. Callers whose batch is cancelled get BatchCancelledError.

    `spacing` is the least number of seconds between the beginnings of two batches of a key, if the first of them has
    at least `full_batch` items; after a smaller batch it is shorter in proportion. It pays where a batch costs more
    than the items in it, as a commit does.
    """

    def __init__(
        self,
        batch_fn: Callable[[K, list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_items: int,
        spacing: float = 0.0,
        full_batch: int = 1,
    ) -> None:
        self._batch_fn = batch_fn
        self._max_items = max_items
        self._spacing = spacing
        self._full_batch = full_batch
        self._queues: dict[K, _Queue[T, R]] = {}
        self._batch_ended: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return sum(len(queue.items) for queue in self._queues.values())

    @property
    def oldest_seconds(self) -> float:
        """How long the first waiting item has waited for its batch to begin; 0.0 if none waits."""
        return max((time.monotonic() - queue.since for queue in self._queues.values() if queue.items), default=0.0)

    async def load(self, key: K, item: T) -> R:
        """Return the result of one item. Raises the exception that `batch_fn` raised or returned for it."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.add(key, item, partial(_set_result, future))
        return await future

    def add(self, key: K, item: T, done: Callable[[R | Exception], None]) -> None:
        """Process an item without waiting; `done` is called with its result or exception, unless it is discarded."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        if not queue.items:
            queue.since = time.monotonic()
        queue.items.append((item, done))
        if queue.worker is None or queue.worker.done():
            queue.worker = asyncio.ensure_future(self._load_batches(key, queue))

    def discard(self, key: K, item: T) -> None:
        """Do not process an item that still waits."""
        queue = self._queues.get(key)
        if queue is not None:
            queue.items = [waiting for waiting in queue.items if waiting[0] is not item]

    async def batch_ended(self) -> None:
        """Wait until a batch ends; return immediately if no item waits and no batch is running."""
        if self._running_workers():
            if self._batch_ended is None or self._batch_ended.done():
                self._batch_ended = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._batch_ended)

    async def drain(self) -> None:
        """Wait until no item waits and no batch is running."""
        while workers := self._running_workers():
            await asyncio.wait(workers)

    async def stop(self) -> int:
        """Cancel the running batches and drop the waiting items; return how many items were left without a result."""
        left = len(self) + sum(queue.running for queue in self._queues.values())
        workers = self._running_workers()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        queues, self._queues = list(self._queues.values()), {}
        for queue in queues:
            items, queue.items = queue.items, []
            self._end_batch(items, [BatchCancelledError("stopped before its batch began")] * len(items))
        return left

    def _running_workers(self) -> list[asyncio.Task[None]]:
        workers = [queue.worker for queue in self._queues.values()]
        return [worker for worker in workers if worker is not None and not worker.done()]

    async def _load_batches(self, key: K, queue: _Queue[T, R]) -> None:
        loop = asyncio.get_running_loop()
        while queue.items:
            if queue.not_before > loop.time():
                await asyncio.sleep(queue.not_before - loop.time())
                continue  # every item may have been discarded meanwhile
            batch, queue.items = queue.items[: self._max_items], queue.items[self._max_items :]
            queue.since = time.monotonic()
            queue.not_before = loop.time() + self._spacing * min(1.0, len(batch) / self._full_batch)
            queue.running = len(batch)
            results: Sequence[R | Exception] = [BatchCancelledError("the batch was cancelled")] * len(batch)
            try:
                results = await self._load_batch(key, [item for item, _ in batch])
            finally:
                queue.running = 0
                self._end_batch(batch, results)
        if not self._spacing:
            del self._queues[key]

    async def _load_batch(self, key: K, items: list[T]) -> Sequence[R | Exception]:
        """Return one result per item, whatever `batch_fn` does, unless this task is cancelled."""
        try:
            results = await self._batch_fn(key, items)
        except Exception as error:  # noqa: BLE001 - passed to every caller of the batch
            return [error] * len(items)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return [BatchCancelledError("the batch was cancelled")] * len(items)
        if len(results) != len(items):
            return [ValueError(f"{len(results)} results for {len(items)} items")] * len(items)
        return results

    def _end_batch(self, batch: Sequence[_Item[T, R]], results: Sequence[R | Exception]) -> None:
        for (_, done), result in zip(batch, results, strict=True):
            done(result)
        if self._batch_ended is not None and not self._batch_ended.done():
            self._batch_ended.set_result(None)


def _set_result(future: "asyncio.Future[R]", result: "R | Exception") -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
