"""Batch loading: items that arrive while one batch is running are processed together in the next batch."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


class BatchLoader(Generic[K, T, R]):
    """Collect single items of concurrent callers into batches of at most `max_items`, one batch per key at a time.

    The first item of a key starts a batch immediately; later items of that key wait for the next one, in the order of
    their arrival. `batch_fn` takes the key and the items, and returns one result per item. A result that is an
    exception is raised to the caller of its item; an exception raised by `batch_fn` is raised to all callers of the
    batch. Cancelling a caller does not cancel the batch.
    """

    def __init__(
        self, batch_fn: Callable[[K, Sequence[T]], Awaitable[Sequence[R | Exception]]], *, max_items: int
    ) -> None:
        self._batch_fn = batch_fn
        self._max_items = max_items
        self._queues: dict[K, list[tuple[T, asyncio.Future[R]]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def load(self, key: K, item: T) -> R:
        """Return the result of one item. Raises the exception that `batch_fn` raised or returned for it."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = [(item, future)]
            worker = asyncio.ensure_future(self._work(key))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        else:
            queue.append((item, future))
        return await future

    async def drain(self) -> None:
        """Wait until no item is queued and no batch is running."""
        while workers := [worker for worker in self._workers if not worker.done()]:
            await asyncio.gather(*workers)

    async def _work(self, key: K) -> None:
        queue = self._queues[key]
        while queue:
            batch, queue[:] = queue[: self._max_items], queue[self._max_items :]
            try:
                results = await self._batch_fn(key, [item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - raised again in every caller of the batch
                results = [error] * len(batch)
            except BaseException:
                for _, future in [*batch, *queue]:
                    future.cancel()
                del self._queues[key]
                raise
            for (_, future), result in zip(batch, results, strict=True):
                _set_result(future, result)
        del self._queues[key]


def _set_result(future: "asyncio.Future[R]", result: "R | Exception") -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
