"""The inbox: events are stored before they are acknowledged, and handled afterwards, in the order of their channel.

An event has a step for each handler. A step that succeeded is recorded and never runs again; a step that fails is tried
again after a wait; an event whose attempts are used up becomes a dead letter, and its channel goes on. A channel with
events that are due gets a lane: a task that reads its events and handles them one after the other. Where events and
leases are is up to a storage: `MemoryInbox` keeps them in this process, `DurableInbox` in a database.
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.extras import needs_extra
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.store.marks import Failure, InboxBacklog, InboxMark, MarkResult, Recorded
from channel_adapter.tencent.redaction import redact_text, shown_traceback
from channel_adapter.webhooks import counters as names
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.retry import Outages, RetryPolicy
from channel_adapter.webhooks.storage import (
    Backlog,
    DeadLetter,
    EventPosition,
    MemoryStorage,
    NotStoredError,
    Portion,
    QueuedEvent,
    Storage,
    channel_name,
    document_of,
    position_of,
)

if TYPE_CHECKING:
    from channel_adapter.config.settings import Settings

DEFAULT_URL: Final = "sqlite:///channel-adapter.db"
WAITING_BYTES: Final = 32_000_000
"""JSON of events that may wait in one process, unless the settings say otherwise; Python needs a few times as much."""
_MAX_REASON_LENGTH: Final = 300
_IDLE_SECONDS: Final = 0.1  # between two searches for channels that another process left
_SHORT_CLAIM_SPACING, _CLAIM_SPACING = 0.01, 0.025  # a claim of many channels costs little more than one of one
_LARGE_CLAIM: Final = 16
_MAX_SEARCH_PAUSE: Final = 0.3
_SEARCH_SHARE: Final = 0.05  # of the time that searching may take
_RENEWALS: Final = 4  # for the length of a lease
_USABLE: Final = 0.7  # of a lease since its last renewal
_PORTION_SECONDS: Final = 0.05  # after which events that were read are read again: earlier ones may have come
_FIRST_PORTION, _MAX_PORTION = 64, 1_000
_LANE_SECONDS: Final = 0.005  # of a lane, before other tasks of the event loop
_SLICE_SECONDS: Final = 0.25  # after which a channel is released to another process that has stored events of it
_YIELD_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 0.2  # after a failure of a background task
_TRY_AGAIN_SECONDS: Final = 0.05  # to claim a channel that another process works on
_TRIES: Final = 20  # then it is found when it is free
_RECONCILE_SECONDS: Final = 0.5
_RECONCILED: Final = 2_000
_SHARE_SECONDS: Final = 2.0
_TIDY_SECONDS: Final = 60.0
_TIDY_PAUSE: Final = 0.02
_STOP_SECONDS: Final = 1.0  # until what a database that is away has not recorded is left to the next start

_logger = logging.getLogger("channel_adapter.webhooks")
_log = get_logger("channel_adapter.webhooks")


class HandlerStep(NamedTuple):
    """One handler for one event. `name` is the same in every attempt and after a restart.

    `run` returns an awaitable, or, with `transaction`, is a plain function that is called with a SQLAlchemy connection
    to the inbox's database, and with None in a memory inbox. What it writes there is committed together with the
    record that it ran.
    """

    name: str
    run: Callable[[Any], Any]
    transaction: bool = False


StepPlanner = Callable[[WebhookEvent], Awaitable[Sequence[HandlerStep]]]
"""The steps of an event. It may fail as a step may, and is called again in every attempt."""


class Inbox(Protocol):
    """What a receiver needs of an inbox. `counters` are those of the receiver and the inbox together."""

    counters: Counters

    @property
    def lag(self) -> float:
        """Seconds that the oldest event that this process has stored has waited."""
        ...

    async def start(self, plan: StepPlanner) -> None:
        """Open, and begin to handle what waits. Raises ConfigurationError, UnavailableError."""
        ...

    async def store(self, webhook: WebhookEvent) -> bool:
        """Store an event; return False for a repeat. Raises NotStoredError."""
        ...

    async def idle(self) -> None:
        """Wait until no event that this process has stored is left to handle."""
        ...

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        ...

    async def backlog(self) -> InboxBacklog:
        """Return what waits, of all processes that share the inbox. Raises UnavailableError."""
        ...

    async def retry(self, key: str) -> bool:
        """Give a dead letter new attempts; return False if there is none of this key."""
        ...

    async def drop(self, key: str) -> bool:
        """Drop a dead letter; repeats of it stay repeats. Return False if there is none of this key."""
        ...

    async def stop(self) -> None:
        """Stop handling and close. A durable inbox goes on at its next start, here or in another process."""
        ...


@dataclass(frozen=True, slots=True)
class InboxOptions:
    """How events wait and are handled.

    `window` is how many seconds an event waits for earlier ones, `concurrency` how many channels are handled at the
    same time, `remember_seconds` how long a durable inbox knows the keys of handled events.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    window: float = 0.05
    concurrency: int = 64
    waiting_bytes: int = WAITING_BYTES
    remember_seconds: float = 86_400.0


class ChannelSchedule:
    """When channels are to be looked at, in seconds of the event loop's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}

    def add(self, channel: str, at: float) -> None:
        """Look at a channel at a time, unless it is looked at earlier."""
        if at < self._at.get(channel, float("inf")):
            self._at[channel] = at
            heapq.heappush(self._heap, (at, channel))

    def __contains__(self, channel: str) -> bool:
        return channel in self._at

    @property
    def next(self) -> float:
        """When the first channel is to be looked at."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def due(self, now: float, limit: int) -> list[str]:
        """Remove and return up to `limit` channels whose time has come."""
        found: list[str] = []
        while len(found) < limit and self.next <= now:
            found.append(heapq.heappop(self._heap)[1])
            del self._at[found[-1]]
        return found


class Lane:
    """A channel that this process works on."""

    def __init__(self, channel: str, storage: Storage, renewed: float) -> None:
        self.channel = channel
        self.begun = renewed
        self.renewed = renewed  # when the last renewal began that succeeded, in seconds of a steady clock
        self.lost = False
        self.more = False  # events came that are not among those that were read
        self.last: EventPosition | None = None  # of those that were read
        self.overtaken = False  # an event came that belongs before one of those that were read
        self.task: asyncio.Task[None] | None = None
        self._storage = storage
        self._unsettled = 0
        self._settled: asyncio.Future[None] | None = None

    def arrived(self, position: EventPosition) -> None:
        """Note that an event of the channel was stored."""
        self.more = True
        if self.last is not None and position < self.last:
            self.overtaken = True

    def record(self, mark: InboxMark, then: Callable[[], None] | None = None) -> None:
        """Record something; `then` is called once that is committed."""

        def recorded(result: MarkResult) -> None:
            if result is Recorded.DONE and then is not None:
                then()
            self._settle_one(result)

        self._unsettled += 1
        self._storage.record(mark, recorded)

    async def outcome(self, mark: InboxMark, then: Callable[[], None] | None = None) -> MarkResult:
        """Record something and wait until it is committed."""
        result: asyncio.Future[MarkResult] = asyncio.get_running_loop().create_future()

        def recorded(outcome: MarkResult) -> None:
            if outcome is Recorded.DONE and then is not None:
                then()
            self._settle_one(outcome)
            if not result.done():
                result.set_result(outcome)

        self._unsettled += 1
        self._storage.record(mark, recorded)
        return await result

    async def settle(self) -> None:
        """Wait until everything is recorded."""
        if self._unsettled:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _settle_one(self, result: MarkResult) -> None:
        self._unsettled -= 1
        self.lost = self.lost or result is Recorded.LOST
        if not self._unsettled and self._settled is not None and not self._settled.done():
            self._settled.set_result(None)


class _LaneStoppedError(Exception):
    """Raised in a lane whose lease cannot be relied on."""


class EventInbox:
    """Handles the events of a storage: admits them, finds channels with events that are due, and runs their lanes."""

    def __init__(
        self, storage: Storage, options: InboxOptions | None = None, counters: Counters | None = None,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.counters = counters or Counters()
        self._storage = storage
        self._options = options or InboxOptions()
        self._clock = clock or SystemClock()
        self._backlog = Backlog(storage.max_events, self._options.waiting_bytes)
        self._outages = Outages(self._options.retry, self._clock)
        self._schedule = ChannelSchedule()
        self._storing: set[str] = set()
        self._lanes: dict[str, Lane] = {}
        self._tries: dict[str, int] = {}  # to claim channels
        self._plan: StepPlanner | None = None
        self._background: dict[str, asyncio.Task[None]] = {}
        self._worth_logging = LogThrottle()
        self._stopping = False
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._shared = storage.lease_seconds < float("inf")  # with other processes, or with the next one
        self._lease_end = storage.lease_seconds if self._shared else 1.0
        self._search_at = 0.0 if self._shared else float("inf")

    async def start(self, plan: StepPlanner) -> None:
        """Open, and begin to handle what waits. Raises ConfigurationError, UnavailableError."""
        try:
            await self._storage.open()
        except BaseException:
            await self._storage.close()
            raise
        self._plan, self._stopping = plan, False
        if not self._shared:  # what was under way at the last stop; others are looked for regularly
            for channel in await self._storage.find():
                self._schedule_channel(channel, 0.0)
        self._start_task("inbox-pump", self._start_lanes)
        if self._shared:
            self._start_task("inbox-renewal", self._renew_leases)
            self._start_task("inbox-upkeep", self._reconcile_backlog)
            self._start_task("inbox-counts", self._share_counts_regularly)
            self._start_task("inbox-tidying", self._delete_old_events)

    async def store(self, webhook: WebhookEvent) -> bool:
        """Store an event; return False for a repeat. Raises NotStoredError."""
        if self._plan is None or self._stopping:
            raise NotStoredError("the inbox is not running")
        document = document_of(webhook)
        key, position = webhook.dedupe_key, position_of(webhook)
        window = self._options.window if webhook.order_key else 0.0
        added = key not in self._backlog
        if added:
            self._backlog.check(len(document))
            self._backlog.add(key, len(document), webhook.received_at)
            self._storing.add(key)
        new = False
        try:
            new = await self._storage.put(webhook, position, document, window)
        finally:
            if added:
                self._storing.discard(key)
                if not new:
                    self._end_event(key)
        if not new:
            self.counters.add(names.DUPLICATES)
            return False
        self._schedule_channel(channel_name(webhook), window, position)
        return True

    @property
    def lag(self) -> float:
        """Seconds that the oldest event that this process has stored has waited."""
        oldest = self._backlog.oldest()
        return 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)

    async def idle(self) -> None:
        """Wait until no event that this process has stored is left to handle, and none is being handled."""
        while self._plan is not None and (self._backlog or self._lanes):
            self._quiet.clear()
            await self._quiet.wait()

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        return await self._storage.dead_letters(limit)

    async def backlog(self) -> InboxBacklog:
        """Return what waits, of all processes that share the inbox. Raises UnavailableError."""
        return await self._storage.backlog()

    async def retry(self, key: str) -> bool:
        """Give a dead letter new attempts; return False if there is none of this key."""
        found = await self._storage.retry(key)
        if found is None:
            return False
        channel, size = found
        self._backlog.add(key, size, self._clock.now())
        self._schedule_channel(channel, 0.0)
        return True

    async def drop(self, key: str) -> bool:
        """Drop a dead letter; repeats of it stay repeats. Return False if there is none of this key."""
        return await self._storage.drop(key)

    async def stop(self) -> None:
        """Stop handling and close. A durable inbox goes on at its next start, here or in another process.

        Steps that ran and that the database does not record within a second run again then.
        """
        if self._stopping:
            return
        self._stopping = True
        lanes = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in (*self._background.values(), *lanes):
            task.cancel()
        try:
            await asyncio.gather(*self._background.values(), *lanes, return_exceptions=True)
            self._background.clear()
            if self._plan is not None and await self._storage.drain(_STOP_SECONDS):
                with suppress(ChannelAdapterError):  # counts of the last seconds, no events
                    await self.share_counts()
        finally:
            self._plan = None
            self._quiet.set()
            await self._storage.close()

    async def share_counts(self) -> None:
        """Add what was counted here to the counts in the database. Raises ChannelAdapterError."""
        fresh = self.counters.take_unshared()
        if fresh:
            try:
                await self._storage.add_counts(fresh)
            except ChannelAdapterError:
                self.counters.restore(fresh)
                raise

    def _schedule_channel(self, channel: str, wait: float, position: EventPosition | None = None) -> None:
        """Look at a channel after some seconds; a lane of it reads again in any case."""
        lane = self._lanes.get(channel)
        if lane is not None:
            lane.arrived(position) if position is not None else None
            lane.more = True
            return
        at = asyncio.get_running_loop().time() + wait
        if at < self._schedule.next:
            self._wake.set()
        self._schedule.add(channel, at)

    def _end_event(self, key: str) -> None:
        self._backlog.remove(key)
        self._check_quiet()

    def _check_quiet(self) -> None:
        if not self._backlog and not self._lanes:
            self._quiet.set()

    def _start_task(self, name: str, chore: Callable[[], Awaitable[float]]) -> None:
        """Run a chore repeatedly, with the pause that it returns; if the task ends, report it and start it again."""
        log = partial(self._log_failure, name)
        task = asyncio.create_task(repeat(chore, _AGAIN_SECONDS, SystemClock(), log), name=name)
        self._background[name] = task

        def ended(done: "asyncio.Task[None]") -> None:
            if not self._stopping and not done.get_loop().is_closed():
                error = None if done.cancelled() else done.exception()
                _log.error(
                    "webhooks.inbox_task_ended", task=name, reason=_describe_error(error or asyncio.CancelledError())
                )
                self._start_task(name, chore)

        task.add_done_callback(ended)

    def _log_failure(self, name: str, error: Exception) -> None:
        if self._worth_logging(name):
            _log.warning("webhooks.inbox_task_failed", task=name, reason=_describe_error(error))

    async def _start_lanes(self) -> float:
        """Wait until a channel is to be looked at, and begin the lanes of those that can be claimed."""
        loop = asyncio.get_running_loop()
        free = self._options.concurrency - len(self._lanes)
        wait = min(self._schedule.next, self._search_at) - loop.time() if free > 0 else _IDLE_SECONDS
        if wait > 0:
            timer = loop.call_later(wait, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        self._wake.clear()
        free = self._options.concurrency - len(self._lanes)
        if free <= 0:
            return 0.0
        channels = due = self._schedule.due(loop.time(), free)
        if len(channels) < free and loop.time() >= self._search_at:
            begun = loop.time()
            channels = due + [channel for channel in await self._storage.find() if channel not in self._schedule]
            pause = (loop.time() - begun) / _SEARCH_SHARE
            self._search_at = loop.time() + min(max(_IDLE_SECONDS, pause), _MAX_SEARCH_PAUSE)
        wanted = [channel for channel in dict.fromkeys(channels) if channel not in self._lanes][:free]
        if wanted:
            await self._claim_channels(wanted)
        for channel in due:
            tries = self._tries.pop(channel, 0)
            if channel not in self._lanes and tries < _TRIES:
                self._tries[channel] = tries + 1
                self._schedule.add(channel, loop.time() + _TRY_AGAIN_SECONDS)
        if not self._shared or not wanted:
            return 0.0
        return max(_SHORT_CLAIM_SPACING, _CLAIM_SPACING * min(1.0, len(wanted) / _LARGE_CLAIM))

    async def _claim_channels(self, channels: list[str]) -> None:
        renewed = self._clock.monotonic()
        try:
            portions = await self._storage.claim(channels, _FIRST_PORTION * 8)
        except BaseException:
            for channel in channels:
                self._schedule.add(channel, asyncio.get_running_loop().time() + _IDLE_SECONDS)
            raise
        for portion in portions:
            lane = self._lanes[portion.channel] = Lane(portion.channel, self._storage, renewed)
            lane.task = asyncio.create_task(self._run_lane(lane, portion))

    async def _run_lane(self, lane: Lane, portion: Portion) -> None:
        wait: float | None = None
        try:
            wait = await self._handle_until_idle(lane, portion)
            await lane.settle()
        except _LaneStoppedError:
            await lane.settle()
            wait = None if lane.lost else 0.0
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - its lease runs out, and the channel is claimed again
            wait = self._lease_end
            _log.error("webhooks.lane_failed", channel=lane.channel, traceback=_format_traceback(error))
        finally:
            del self._lanes[lane.channel]
            self._check_quiet()
            if not self._stopping:
                if wait is not None or (lane.more and not lane.lost):
                    self._schedule.add(lane.channel, asyncio.get_running_loop().time() + (wait or 0.0))
                self._wake.set()

    async def _handle_until_idle(self, lane: Lane, portion: Portion) -> float | None:
        """Handle the events of a channel until none is due; return after how many seconds to look at it again."""
        limit = _FIRST_PORTION
        while True:
            begun = self._clock.monotonic()
            handled, wait = await self._handle_portion(lane, portion)
            if wait is not None:
                return wait
            complete = handled == len(portion.tasks)
            if complete and not lane.more and portion.wait != 0.0:
                own = portion.wait is not None and portion.next_key in self._backlog
                if not own or portion.wait is None or portion.wait > _IDLE_SECONDS:
                    lane.record(InboxMark(lane.channel, release=True))
                    return portion.wait if own else None  # another process looks at an event that it has stored
            await lane.settle()
            if lane.lost:
                raise _LaneStoppedError
            if (
                self._schedule.next <= asyncio.get_running_loop().time()
                and len(self._lanes) >= self._options.concurrency
            ):
                lane.record(InboxMark(lane.channel, release=True))  # others wait for a lane
                return 0.0
            if complete and portion.wait:
                await asyncio.sleep(portion.wait)
            if handled:
                share = _PORTION_SECONDS / max(self._clock.monotonic() - begun, 0.001)
                limit = int(min(max(handled * share, 8), _MAX_PORTION))
            lane.more = lane.overtaken = False
            lane.last = None
            portion = await self._storage.read(lane.channel, limit)
            if portion.tasks and portion.tasks[0].key not in self._backlog and self._is_shared_long_enough(lane):
                lane.record(
                    InboxMark(lane.channel, release=True)
                )  # the process that has stored the event may handle it
                return _YIELD_SECONDS

    def _is_shared_long_enough(self, lane: Lane) -> bool:
        return self._shared and self._clock.monotonic() - lane.begun > _SLICE_SECONDS

    async def _handle_portion(self, lane: Lane, portion: Portion) -> tuple[int, float | None]:
        """Handle events until one fails or they are to be read again: their number, and the wait after a failure."""
        begun = resumed = self._clock.monotonic()
        if portion.tasks:
            lane.last = portion.tasks[-1].position
        for number, task in enumerate(portion.tasks):
            if lane.overtaken:
                return number, None
            now = self._clock.monotonic()
            if now - resumed > _LANE_SECONDS:
                await asyncio.sleep(0)
                resumed = now
            if number and now - begun > _PORTION_SECONDS:
                return number, None
            if self._storage.is_behind:
                await self._storage.catch_up()
            wait = await self._handle_event(lane, task)
            if wait is not None:
                return number, wait
        return len(portion.tasks), None

    async def _handle_event(self, lane: Lane, task: QueuedEvent) -> float | None:
        """Handle an event; return the seconds until its next attempt, None if it is handled or dead."""
        try:
            await self._run_steps(lane, task)
        except _LaneStoppedError:
            raise
        except (Exception, asyncio.CancelledError) as error:  # handlers are the app's: whatever they raise
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            return await self._record_failure(lane, task, error)
        self._outages.end(task.key)
        return None

    async def _run_steps(self, lane: Lane, task: QueuedEvent) -> None:
        if self._plan is None:
            raise _LaneStoppedError
        self._check_lease(lane)
        received = task.load()
        steps = [step for step in await self._plan(received) if step.name not in task.done]

        def ended() -> None:
            self.counters.add(names.HANDLED)
            self._end_event(task.key)

        if not steps:
            lane.record(InboxMark(lane.channel, task.key, ended=True), ended)
        for step in steps:
            self._check_lease(lane)
            last = step is steps[-1]
            if step.transaction:
                mark = InboxMark(lane.channel, task.key, step.name, step.run, ended=last)
                outcome = await lane.outcome(mark, ended if last else None)
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is Recorded.LOST:
                    raise _LaneStoppedError
            else:
                await step.run(None)
                lane.record(InboxMark(lane.channel, task.key, step.name, ended=last), ended if last else None)
            task.done.add(step.name)

    def _check_lease(self, lane: Lane) -> None:
        """Raise _LaneStoppedError if another process may have the channel by now."""
        if lane.lost or self._clock.monotonic() - lane.renewed > _USABLE * self._storage.lease_seconds:
            raise _LaneStoppedError

    async def _record_failure(self, lane: Lane, task: QueuedEvent, error: BaseException) -> float | None:
        """Record a failure; return the seconds until the next attempt, None if the event is dead."""
        wait = self._outages.wait_after(task.key, error)
        about = {"event_key": task.key, "reason": _describe_error(error)}
        if wait is not None:
            _log.warning("webhooks.dependency_unavailable", **about, retry_in=wait)
            await lane.outcome(InboxMark(lane.channel, wait=wait))
            return wait
        attempt = task.attempts + 1
        wait = self._options.retry.wait_after(attempt)
        failure = Failure(attempt, about["reason"], dead=wait is None)
        if wait is None:
            self.counters.add(names.DEAD)
            _log.error("webhooks.dead", **about, attempt=attempt, traceback=_format_traceback(error))
            await lane.outcome(InboxMark(lane.channel, task.key, failure=failure), lambda: self._end_event(task.key))
        else:
            self.counters.add(names.FAILED)
            _log.warning("webhooks.failed", **about, attempt=attempt, retry_in=wait)
            if _logger.isEnabledFor(logging.DEBUG):
                _log.debug(
                    "webhooks.failed_at", event_key=task.key, attempt=attempt, traceback=_format_traceback(error)
                )
            await lane.outcome(InboxMark(lane.channel, task.key, failure=failure, wait=wait))
        return wait

    async def _renew_leases(self) -> float:
        """Renew the leases of the lanes; those that are lost stop before their next handler."""
        pause = self._storage.lease_seconds / _RENEWALS
        if self._lanes:
            begun = self._clock.monotonic()
            asked = list(self._lanes.values())
            renewed = await self._storage.renew([lane.channel for lane in asked])
            for lane in asked:
                if lane.channel in renewed:
                    lane.renewed = begun
                elif self._lanes.get(lane.channel) is lane:
                    lane.lost = True
        return pause

    async def _reconcile_backlog(self) -> float:
        """Find out which events that were stored here have been handled by other processes."""
        keys = [key for key in self._backlog.next_part(_RECONCILED) if key not in self._storing]
        if keys:
            for key in await self._storage.handled_elsewhere(keys):
                self._end_event(key)
        return _RECONCILE_SECONDS

    async def _share_counts_regularly(self) -> float:
        await self.share_counts()
        return _SHARE_SECONDS

    async def _delete_old_events(self) -> float:
        """Delete some of the events that are old enough."""
        return _TIDY_PAUSE if await self._storage.tidy() else _TIDY_SECONDS


class MemoryInbox(EventInbox):
    """Keeps events in this process alone: the last 100,000 keys against repeats, the last 1,000 dead letters.

    `waiting_bytes` of the options bounds what waits, and once more what is dead.
    """

    def __init__(
        self, options: InboxOptions | None = None, *, counters: Counters | None = None, clock: Clock | None = None
    ) -> None:
        options, clock = options or InboxOptions(), clock or SystemClock()
        super().__init__(MemoryStorage(options.waiting_bytes, clock), options, counters, clock)

    async def start(self, plan: StepPlanner) -> None:
        """Begin to handle events, and warn that they are lost with the process."""
        _log.warning("webhooks.memory_inbox", meaning="acknowledged events are lost when this process ends")
        await super().start(plan)


class DurableInbox(EventInbox):
    """Keeps events in a database: on SQLite for one receiver, on PostgreSQL for several, which share the channels."""

    def __init__(
        self, url: str, options: InboxOptions | None = None, *, counters: Counters | None = None,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        from channel_adapter.webhooks.durable_storage import DurableStorage  # noqa: PLC0415 - an extra

        options, clock = options or InboxOptions(), clock or SystemClock()
        super().__init__(DurableStorage(url, options.remember_seconds, options.window, clock), options, counters, clock)


def open_inbox(settings: "Settings", counters: Counters | None = None) -> EventInbox:
    """Return the inbox of the settings, not yet started. Raises ConfigurationError if its extra is missing."""
    own = settings.inbox
    options = InboxOptions(
        RetryPolicy(own.attempts, own.retry_seconds),
        window=own.reorder_seconds,
        concurrency=own.concurrency,
        waiting_bytes=own.waiting_bytes,
        remember_seconds=own.remember_hours * 3600,
    )
    if own.kind == "memory":
        return MemoryInbox(options, counters=counters)
    with needs_durable_inbox(settings):
        return DurableInbox(database_of(settings), options, counters=counters)


def database_of(settings: "Settings") -> str:
    """Return the URL of the inbox's database."""
    return settings.database_url.get_secret_value() if settings.database_url is not None else DEFAULT_URL


def needs_durable_inbox(settings: "Settings") -> AbstractContextManager[None]:
    """Return `needs_extra` for a block that opens the durable inbox."""
    hint = ', and inbox.kind = "memory" does not'
    url = database_of(settings)
    return needs_extra("the durable inbox", extra="store", database_url=url, hint=hint, field="inbox.kind")


def _describe_error(error: BaseException) -> str:
    """Return an error without secrets, in characters that every log and database takes."""
    return _to_storable_text(redact_text(f"{type(error).__name__}: {error}")[:_MAX_REASON_LENGTH])


def _format_traceback(error: BaseException) -> str:
    return _to_storable_text(shown_traceback(error))


def _to_storable_text(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _is_cancelled() -> bool:
    """Return whether this task is asked to end, or only something that a handler waited for was cancelled."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
