"""The publisher: a background task that brings counts from the store onto messages, beside those of other processes."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from channel_adapter.concurrency.clock import Clock, wait_or_set
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain.post import PostRef
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services.reactions.writer import ClaimWriter
from channel_adapter.store.reaction_publishing import Claim

if TYPE_CHECKING:
    from channel_adapter.store.reaction_publishing import PublishingStore

log = get_logger("channel_adapter.reactions")

CONCURRENCY: Final = 32
CLAIM_EVERY: Final = 0.02
"""Seconds between two claims, so that one transaction claims many posts."""
LOOK_EVERY: Final = 1.0
"""Seconds after which it looks for what other processes left."""
TIDY_EVERY: Final = 600.0


class Publisher:
    """Claims posts whose counts changed and writes them; what it does not get to stays in the store.

    `keep_seconds` is how long posts stay whose reactions do not change; None keeps them forever.
    """

    def __init__(
        self, store: "PublishingStore", writer: ClaimWriter, clock: Clock, *, keep_seconds: float | None
    ) -> None:
        self._store = store
        self.writer = writer
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._woken = asyncio.Event()
        self._writes: dict[PostRef, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._tidied = clock.monotonic()
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return bool(self._writes)

    def wake(self) -> None:
        """Report that something changed; the first call starts the task."""
        self._woken.set()
        if self._task is None and not self._stopping:
            self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Let the writes under way end, and stop."""
        self._stopping = True
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*self._writes.values(), return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                pause = await self._claim()
                await self._tidy()
            except ChannelAdapterError as error:
                log.warning("reactions.store_failed", reason=error.message)
                pause = LOOK_EVERY
            if not self._stopping:
                await wait_or_set(self._clock, pause, self._woken)
            if not self._stopping:
                await self._clock.sleep(CLAIM_EVERY)

    async def _claim(self) -> float:
        """Claim as many posts as may be written on; return how long to wait before the next claim."""
        free = CONCURRENCY - len(self._writes)
        if free <= 0:
            return LOOK_EVERY
        claims, later = await self._store.claim(free, self._clock.now())
        for claim in claims:
            write = asyncio.ensure_future(self._write(claim))
            self._writes[claim.ref] = write
            write.add_done_callback(partial(self._ended, claim.ref))
        return LOOK_EVERY if later is None else min(LOOK_EVERY, later)

    def _ended(self, ref: PostRef, write: "asyncio.Task[None]") -> None:
        if not write.cancelled() and (fault := write.exception()) is not None:
            log.error("reactions.write_broke", channel=ref.channel, post=ref.seq, fault=type(fault).__name__)
        if self._writes.get(ref) is write:
            del self._writes[ref]
        self._woken.set()

    async def _write(self, claim: Claim) -> None:
        try:
            self.writer.checkpoint("publisher: claimed")
            await self.writer.write(claim)
        except ChannelAdapterError as error:
            log.warning("reactions.write_failed", channel=claim.ref.channel, post=claim.ref.seq, reason=error.message)
            await self._clock.sleep(LOOK_EVERY)

    async def _tidy(self) -> None:
        now = self._clock.monotonic()
        if self._keep_seconds is None or now - self._tidied < TIDY_EVERY:
            return
        while await self._store.remove_unchanged(self._clock.now() - self._keep_seconds) and not self._stopping:
            await self._clock.sleep(CLAIM_EVERY)  # writers of other processes go on in between
        self._tidied = now
