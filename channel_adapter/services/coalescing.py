"""Many callers, few calls: wishes that come while one call is under way are carried out together by the next."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
W = TypeVar("W")
R = TypeVar("R")


class Coalescer(Generic[K, W, R]):
    """Carries out at most `most` wishes of one key at a time, in the order in which they were asked.

    `carry_out` gives one result a wish; a result that is an exception is raised to its caller, an exception that
    `carry_out` raises to all of them. Whoever stops waiting does not stop the call.
    """

    def __init__(self, carry_out: Callable[[K, Sequence[W]], Awaitable[Sequence[R | Exception]]], *, most: int) -> None:
        self._carry_out = carry_out
        self._most = most
        self._waiting: dict[K, list[tuple[W, asyncio.Future[R]]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def ask(self, key: K, wish: W) -> R:
        """What came of one wish."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = [(wish, answer)]
            worker = asyncio.ensure_future(self._work(key))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        else:
            queue.append((wish, answer))
        return await answer

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while workers := [worker for worker in self._workers if not worker.done()]:
            await asyncio.gather(*workers)

    async def _work(self, key: K) -> None:
        queue = self._waiting[key]
        while queue:
            batch, queue[:] = queue[: self._most], queue[self._most :]
            answers = [answer for _, answer in batch]
            try:
                results = await self._carry_out(key, [wish for wish, _ in batch])
            except Exception as error:  # noqa: BLE001 - handed on to every caller, none is lost
                results = [error] * len(batch)
            except BaseException:
                for _, answer in [*batch, *queue]:
                    answer.cancel()
                del self._waiting[key]
                raise
            for answer, result in zip(answers, results, strict=True):
                _settle(answer, result)
        del self._waiting[key]


def _settle(answer: "asyncio.Future[R]", result: "R | Exception") -> None:
    if answer.done():  # its caller has gone away
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
