"""Single flight: concurrent callers with one key share one execution of a coroutine."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(slots=True)
class _Execution(Generic[R]):
    task: asyncio.Future[R]
    callers: int = 0


class SingleFlight(Generic[K, R]):
    """Run `fn` once per key for all callers that ask while it runs; cancel it when the last of them is cancelled."""

    def __init__(self, fn: Callable[[K], Awaitable[R]]) -> None:
        self._fn = fn
        self._running: dict[K, _Execution[R]] = {}

    async def get(self, key: K) -> R:
        """Return the result of `fn(key)`, or raise its exception, for every caller that shares the execution."""
        execution = self._running.get(key)
        if execution is None:
            execution = self._running[key] = _Execution(asyncio.ensure_future(self._fn(key)))
        execution.callers += 1
        try:
            return await asyncio.shield(execution.task)
        finally:
            execution.callers -= 1
            if not execution.callers:
                execution.task.cancel()
            if self._running.get(key) is execution and (execution.task.done() or not execution.callers):
                del self._running[key]

    def forget(self, key: K | None = None) -> None:
        """Let callers from now on start a new execution, for one key or, with None, for all keys."""
        if key is None:
            self._running.clear()
        else:
            self._running.pop(key, None)
