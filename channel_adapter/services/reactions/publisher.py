"""Publishing counts: a background task that writes them from the store onto messages, and the display mode of the app.

Any number of processes publish from one database. A process claims posts whose counts changed, writes on each message
what its claim planned, and records the result.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from channel_adapter.backends.protocols import ReactionCarrier
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock, wait_or_set
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    CarrierChange,
    CarrierResult,
    CarrierStatus,
    DisplayMode,
    DisplayStatus,
    MessageCapacity,
)
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.reactions.reconciler import Reconciler
from channel_adapter.store.reaction_publishing import Claim, ClaimEnd, ClaimResult, PublishingStore

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.reactions"))

LEASE_SECONDS: Final = 5.0
_WRITE_TIMEOUT: Final = 3.0  # seconds of all attempts of a call that sets keys: it ends before the lease does
_DATA_TIMEOUT: Final = 4.0  # of the two calls that change custom data
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds after the first, second ... failure in a row
_MAX_REFUSALS: Final = 3  # of one message whose keys were read after each
_RESULTS_PER_BATCH: Final = 200
_CONCURRENCY: Final = 32
_CLAIM_INTERVAL: Final = 0.02
"""Seconds between two claims, so that one transaction claims many posts."""
_POLL_INTERVAL: Final = 1.0
"""Seconds after which the publisher looks for posts that other processes left."""
_REMOVAL_INTERVAL: Final = 600.0


class DisplayModes:
    """The display mode of the app: fixed by the setting, or automatic if that is None.

    The automatic mode is extensions, and the store only after the service has refused a message of a probe. It is
    stored, and applies to every process.
    """

    def __init__(
        self, carrier: ReactionCarrier, store: PublishingStore, setting: DisplayMode | None, clock: Clock
    ) -> None:
        self._carrier = carrier
        self._store = store
        self._setting = setting
        self._clock = clock
        self._probing = asyncio.Lock()

    async def open(self) -> None:
        """Store the mode that the setting demands, if it is another setting than before."""
        await self._store.apply_setting(self._setting, self._clock.now())

    async def confirm(self) -> None:
        """Store that a message accepted a count as an extension, if the mode is unknown."""
        if (await self._store.display()).mode is None:
            await self._store_status(DisplayStatus(DisplayMode.EXTENSIONS, "a count was written as an extension"))

    async def recheck(self, believed: DisplayMode | None) -> DisplayMode | None:
        """Return the mode after a refusal: probe, unless the mode is fixed or has changed since it was believed."""
        if self._setting is not None:
            return self._setting
        async with self._probing:
            current = (await self._store.display()).mode
            return current if current is not believed else (await self.probe()).mode

    async def probe(self, *, retry_posts: bool = False) -> DisplayStatus:
        """Check on a message of a group of its own what the service accepts; store the result if the mode is automatic.

        If the mode is another one than before, every post is written again; with `retry_posts` the posts are, too, that
        keep their counts in the store only or whose latest write failed. Raises UnavailableError and ThrottledError;
        then nothing changed.
        """
        found = await self._carrier.probe(self._setting or DisplayMode.EXTENSIONS)
        await self._store_status(found if self._setting is None else replace(found, mode=self._setting), retry_posts)
        return found

    async def _store_status(self, status: DisplayStatus, retry_posts: bool = False) -> None:
        await self._store.set_display(status, self._clock.now(), setting=self._setting, retry_posts=retry_posts)


class ClaimWriter:
    """Writes on a message what a claim planned, and records the result."""

    def __init__(
        self,
        carrier: ReactionCarrier,
        capacity: MessageCapacity,
        claims: PublishingStore,
        display: DisplayModes,
        reconciler: Reconciler,
        clock: Clock,
    ) -> None:
        self._carrier = carrier
        self._interval = capacity.write_interval
        self._claims = claims
        self._display = display
        self._reconciler = reconciler
        self._clock = clock
        self._results: BatchLoader[None, ClaimResult, bool] = BatchLoader(
            self._record_batch, max_items=_RESULTS_PER_BATCH
        )

    async def write(self, claim: Claim) -> None:
        """Write what a claim planned, and end the claim. Raises what the store raises."""
        try:
            result = await self._write_plan(claim)
        except ChannelAdapterError as error:
            _log.debug("reactions.write_failed", channel=claim.ref.channel, post=claim.ref.seq, reason=error.message)
            await self._end_failed(claim, _pause_after_failure(claim))
            return
        if result.status is not CarrierStatus.WRITTEN:
            await self._handle_refusal(claim, result)
            return
        failpoint("publisher: written, not recorded")
        if claim.mode is None and claim.plan.sets:
            await self._display.confirm()
        await self._end_written(claim, result.versions)

    async def _write_plan(self, claim: Claim) -> CarrierResult:
        plan = claim.plan
        if plan.data is not None:
            return await self._carrier.write_custom_data(claim.ref, plan.data, timeout=_DATA_TIMEOUT)
        if plan.empty:
            return CarrierResult(CarrierStatus.WRITTEN)
        change = CarrierChange(set_counts=plan.sets, remove_counts=plan.removals, remove_users=plan.users)
        return await self._carrier.write(claim.ref, change, timeout=_WRITE_TIMEOUT)

    async def _handle_refusal(self, claim: Claim, result: CarrierResult) -> None:
        """End a claim whose write the service refuses, as it would refuse it again."""
        if result.status is CarrierStatus.MISSING:
            await self._handle_missing(claim)
        elif claim.mode is DisplayMode.CUSTOM_DATA:
            await self._end_claim(claim, ClaimEnd.STORE_ONLY, self._interval)
        elif claim.plan.data is not None:  # counts that another mode left in custom data cannot be removed: they stay
            await self._end_written(claim, {})
        elif result.status is CarrierStatus.FULL:
            await self._make_room(claim)
        elif claim.mode is None or result.status is CarrierStatus.EDITION:
            await self._recheck_mode(claim, result)
        elif result.status is CarrierStatus.REFUSED:
            await self._make_room(claim)
        else:
            await self._end_claim(claim, ClaimEnd.STORE_ONLY, self._interval)

    async def _recheck_mode(self, claim: Claim, result: CarrierResult) -> None:
        """Find out whether the refusal concerns the app or this message alone."""
        try:
            mode = await self._display.recheck(claim.mode)
        except ChannelAdapterError:
            await self._end_failed(claim, _pause_after_failure(claim))
            return
        if mode is not DisplayMode.EXTENSIONS:  # the next claim has the new mode
            await self._end_failed(claim, _pause_after_failure(claim) if claim.failures else 0.0)
        elif result.status is CarrierStatus.REFUSED:
            await self._make_room(claim)
        else:
            await self._end_claim(claim, ClaimEnd.STORE_ONLY, self._interval)

    async def _make_room(self, claim: Claim) -> None:
        """Read the keys of the message, so that the next claim removes those that need not stay."""
        if claim.failures >= _MAX_REFUSALS:
            await self._end_claim(claim, ClaimEnd.STORE_ONLY, self._interval)
            return
        await self._end_failed(claim, self._interval)
        try:
            await self._reconciler.reconcile(claim.ref)
        except ChannelAdapterError as error:  # the next claim meets the same failure
            _log.debug("reactions.read_failed", channel=claim.ref.channel, post=claim.ref.seq, reason=error.message)

    async def _handle_missing(self, claim: Claim) -> None:
        """Remove the reactions of a post that is deleted; else keep its counts in the store only."""
        try:
            deleted = await self._reconciler.is_deleted(claim.ref)
        except ChannelAdapterError:
            await self._end_failed(claim, _pause_after_failure(claim))
            return
        if deleted:
            return
        if claim.mode is DisplayMode.STORE:
            await self._end_written(claim, {})
        else:
            await self._end_claim(claim, ClaimEnd.STORE_ONLY, self._interval)

    async def _end_written(self, claim: Claim, versions: Mapping[UserId, int]) -> None:
        await self._end_claim(claim, ClaimEnd.WRITTEN, 0.0 if claim.plan.empty else self._interval, versions)
        failpoint("publisher: recorded")

    async def _end_failed(self, claim: Claim, pause: float) -> None:
        await self._end_claim(claim, ClaimEnd.FAILED, pause)

    async def _end_claim(
        self, claim: Claim, end: ClaimEnd, pause: float, versions: Mapping[UserId, int] | None = None
    ) -> None:
        """Record how a claim ended, together with others that end meanwhile."""
        await self._results.load(None, ClaimResult(claim, end, pause, versions))

    async def _record_batch(self, _: None, results: Sequence[ClaimResult]) -> Sequence[bool]:
        return await self._claims.finish(results, self._clock.now())


class Publisher:
    """Claims posts whose counts changed and writes them; what it does not write stays in the store.

    `keep_seconds` is how long posts stay in the store whose reactions do not change; None keeps them for ever.
    """

    def __init__(
        self, claims: PublishingStore, writer: ClaimWriter, clock: Clock, *, keep_seconds: float | None
    ) -> None:
        self._claims = claims
        self._writer = writer
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._woken = asyncio.Event()
        self._writes: dict[PostRef, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._removed_at = clock.monotonic()
        self._stopping = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether `wake` was called."""
        return self._task is not None

    @property
    def busy(self) -> bool:
        """Whether a write is running."""
        return bool(self._writes)

    def wake(self) -> None:
        """Report that something changed; the first call starts the task."""
        self._woken.set()
        if self._task is None and not self._stopping.is_set():
            self._task = asyncio.ensure_future(
                repeat(self._publish_changes, _POLL_INTERVAL, self._clock, _log_failure, until=self._stopping)
            )

    async def close(self) -> None:
        """Wait for the writes that are running, and stop."""
        self._stopping.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*self._writes.values(), return_exceptions=True)

    async def _publish_changes(self) -> float:
        """Publish what has changed, and wait for the next change; return the seconds until the next claim."""
        self._woken.clear()
        pause = await self._claim_and_write()
        await self._remove_unchanged()
        if not self._stopping.is_set():
            await wait_or_set(self._clock, pause, self._woken)
        return _CLAIM_INTERVAL

    async def _claim_and_write(self) -> float:
        """Claim as many posts as may be written; return the seconds until the next claim."""
        free = _CONCURRENCY - len(self._writes)
        if free <= 0:
            return _POLL_INTERVAL
        claims, later = await self._claims.claim(free, self._clock.now())
        for claim in claims:
            write = asyncio.ensure_future(self._write_claim(claim))
            self._writes[claim.ref] = write
            write.add_done_callback(partial(self._on_written, claim.ref))
        return _POLL_INTERVAL if later is None else min(_POLL_INTERVAL, later)

    def _on_written(self, ref: PostRef, write: "asyncio.Task[None]") -> None:
        if not write.cancelled() and (fault := write.exception()) is not None:
            _log.error("reactions.write_broke", channel=ref.channel, post=ref.seq, fault=type(fault).__name__)
        if self._writes.get(ref) is write:
            del self._writes[ref]
        self._woken.set()

    async def _write_claim(self, claim: Claim) -> None:
        try:
            failpoint("publisher: claimed")
            await self._writer.write(claim)
        except ChannelAdapterError as error:
            _log.warning("reactions.write_failed", channel=claim.ref.channel, post=claim.ref.seq, reason=error.message)
            await self._clock.sleep(_POLL_INTERVAL)

    async def _remove_unchanged(self) -> None:
        now = self._clock.monotonic()
        if self._keep_seconds is None or now - self._removed_at < _REMOVAL_INTERVAL:
            return
        while (
            await self._claims.remove_unchanged(self._clock.now() - self._keep_seconds) and not self._stopping.is_set()
        ):
            await self._clock.sleep(_CLAIM_INTERVAL)  # writers of other processes go on in between
        self._removed_at = now


def _log_failure(error: Exception) -> None:
    if isinstance(error, ChannelAdapterError):
        _log.warning("reactions.store_failed", reason=error.message)
    else:
        _log.exception("reactions.publisher_failed")


def _pause_after_failure(claim: Claim) -> float:
    return _PAUSES[min(claim.failures, len(_PAUSES) - 1)]
