"""Requests that come together are committed together: one write for all that came since the last one.

A write costs much more than an event in it, so writes keep a distance: a lone event is written at once, the next one a
moment later, with those that came meanwhile.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from channel_adapter.tencent.redaction import redact_text
from channel_adapter.webhooks.inbox import NotStoredError
from channel_adapter.webhooks.seldom import Seldom

AT_ONCE: Final = 200
"""Events in one write."""
REMEMBERED: Final = 50_000
STORE_SECONDS: Final = 1.5
"""The sender waits two seconds; what is not stored by then gets an honest answer [doc 34354]."""

DISTANCE_SECONDS: Final = 0.025
"""Between the beginnings of two writes."""

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


class _Waiting(NamedTuple):
    key: str
    document: str
    stored: "asyncio.Future[bool]"


class Intake:
    """Hands batches of documents to `write`, one batch after the other. Repeats of what it wrote are left out."""

    def __init__(self, write: Callable[[list[str]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[_Waiting] = []
        self._stored: OrderedDict[str, None] = OrderedDict()
        self._writer: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._worth_telling = Seldom()

    async def store(self, key: str, document: str) -> bool:
        """Back when it is written; False when it was written before. Raises NotStoredError."""
        if key in self._stored:
            return False
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(key, document, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.ensure_future(self._work())
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return bool(await stored)
        except TimeoutError:
            self._waiting = [waiting for waiting in self._waiting if not waiting.stored.done()]
            raise NotStoredError(f"the database did not answer within {STORE_SECONDS:g} s") from None

    async def idle(self) -> None:
        """Wait until nothing waits to be written."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])

    async def stop(self) -> None:
        """Give up what is not written."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(self._not_before - loop.time())
            self._not_before = loop.time() + DISTANCE_SECONDS
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            batch = [waiting for waiting in batch if not waiting.stored.done()]
            fresh = {waiting.key: waiting for waiting in reversed(batch) if waiting.key not in self._stored}
            try:
                if fresh:
                    await self._write([waiting.document for waiting in fresh.values()])
            except Exception as trouble:  # noqa: BLE001 - whatever it was, nothing is stored, and all must hear it
                if self._worth_telling():
                    _log.error("webhooks.not_stored", events=len(batch), reason=_said(trouble))
                for waiting in batch:
                    _settle(waiting, NotStoredError(type(trouble).__name__))
            else:
                self._remember(fresh)
                for waiting in batch:
                    _settle(waiting, fresh.get(waiting.key) is waiting)

    def _remember(self, keys: dict[str, _Waiting]) -> None:
        self._stored.update(dict.fromkeys(keys))
        while len(self._stored) > REMEMBERED:
            self._stored.popitem(last=False)


def _settle(waiting: _Waiting, outcome: bool | NotStoredError) -> None:
    if waiting.stored.done():
        return
    if isinstance(outcome, NotStoredError):
        waiting.stored.set_exception(outcome)
    else:
        waiting.stored.set_result(outcome)


def _said(trouble: Exception) -> str:
    return redact_text(" ".join(str(getattr(trouble, "orig", None) or trouble).split()))[:300]
