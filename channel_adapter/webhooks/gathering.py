"""Work that costs little more for many than for one: what is asked for at the same time is done together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

GATHER_SECONDS: Final = 0.005
"""How long one waits for others."""
AT_ONCE: Final = 1_000

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Gathering(Generic[ItemT, ResultT]):
    """Calls `work` with all items that came since the last time, one call after the other; a result for each item."""

    def __init__(self, work: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]]) -> None:
        self._work = work
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, item: ItemT) -> ResultT:
        """The result for this item; what `work` raises is raised for all whom it worked for."""
        answer: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._keep_working())
        return await answer

    async def _keep_working(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            asked, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            try:
                results = await self._work([item for item, _ in asked])
            except BaseException as trouble:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(trouble) if isinstance(trouble, Exception) else answer.cancel()
                if not isinstance(trouble, Exception):
                    raise
            else:
                for (_, answer), result in zip(asked, results, strict=True):
                    if not answer.done():
                        answer.set_result(result)
