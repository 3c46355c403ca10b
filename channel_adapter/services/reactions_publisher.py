"""The publisher: a background task that brings counts from the store onto messages, beside those of other processes."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from channel_adapter.domain.post import PostRef
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services.reactions_turns import TurnWriter
from channel_adapter.services.resting import rest
from channel_adapter.tencent.clock import Clock

if TYPE_CHECKING:
    from channel_adapter.store.publishing import PublishingStore

log = structlog.wrap_logger(logging.getLogger("channel_adapter.reactions"))

AT_ONCE: Final = 16
LOOK_EVERY: Final = 1.0
"""Seconds after which it looks for what other processes left."""
SHORTEST: Final = 0.02


class Publisher:
    """Claims posts whose counts changed and has them written; what it does not get to stays in the store."""

    def __init__(self, store: "PublishingStore", writer: TurnWriter, clock: Clock) -> None:
        self._store = store
        self.writer = writer
        self._clock = clock
        self._woken = asyncio.Event()
        self._turns: dict[PostRef, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def wake(self) -> None:
        """Something changed; the first call starts the task."""
        self._woken.set()
        if self._task is None and not self._stopping:
            self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Let the turns under way end, and stop. Nothing is cancelled: a transaction that is cut off blocks others."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*self._turns.values(), return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                pause = await self._begin_turns()
            except ChannelAdapterError as trouble:
                log.warning("reactions.store_failed", reason=trouble.message)
                pause = LOOK_EVERY
            if not self._stopping:
                await rest(self._clock, pause, self._woken)

    async def _begin_turns(self) -> float:
        """Begin as many turns as may be; gives how long to rest."""
        free = AT_ONCE - len(self._turns)
        if free <= 0:
            return LOOK_EVERY
        ready, later = await self._store.due(AT_ONCE, self._clock.now())
        for ref in ready[:AT_ONCE]:
            if ref not in self._turns and len(self._turns) < AT_ONCE:
                turn = asyncio.ensure_future(self._turn(ref))
                self._turns[ref] = turn
                turn.add_done_callback(partial(self._ended, ref))
        return min(LOOK_EVERY, max(SHORTEST, later)) if later is not None else LOOK_EVERY

    def _ended(self, ref: PostRef, turn: "asyncio.Task[None]") -> None:
        if not turn.cancelled() and (fault := turn.exception()) is not None:
            log.error("reactions.turn_broke", channel=ref.channel, post=ref.seq, fault=type(fault).__name__)
        self._turns.pop(ref, None)
        self._woken.set()

    async def _turn(self, ref: PostRef) -> None:
        try:
            turn = await self._store.begin(ref, self._clock.now())
            if turn is not None:
                self.writer.checkpoint("publisher: claimed")
                await self.writer.take(turn)
        except ChannelAdapterError as trouble:
            log.warning("reactions.turn_failed", channel=ref.channel, post=ref.seq, reason=trouble.message)
            await self._clock.sleep(LOOK_EVERY)
