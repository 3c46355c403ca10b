"""The storage of an inbox: its interface, what both kinds share, and the one in memory."""

import asyncio
from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Protocol

import orjson

from channel_adapter.concurrency.clock import Clock
from channel_adapter.store.marks import InboxBacklog, InboxMark, MarkResult, Recorded, require_plain
from channel_adapter.webhooks.parse import SEQUENCE_BITS, WebhookEvent


class DeadLetter(NamedTuple):
    """An event whose attempts are used up. `key` identifies it for retry and drop."""

    key: str
    command: str
    channel: str
    reason: str
    attempts: int
    received_at: float


class NotStoredError(Exception):
    """Raised for an event that is not stored: it must not be acknowledged. The text is for the log."""


EventPosition = tuple[int, int, str]
"""The place of an event in the order of its channel."""


@dataclass(slots=True)
class QueuedEvent:
    """A waiting event: how often it has failed, and which steps are done. `load` returns it, or raises."""

    key: str
    position: EventPosition
    load: Callable[[], WebhookEvent]
    attempts: int = 0
    done: set[str] = field(default_factory=set)


class Portion(NamedTuple):
    """Events of a channel that are due, in order.

    `wait` is when the next one is due in seconds, None without one; `next_key` is its key, if that was read.
    """

    channel: str
    tasks: list[QueuedEvent]
    wait: float | None
    next_key: str | None = None


class Storage(Protocol):
    """Where events and leases are. Everything that waits for a database raises ChannelAdapterError."""

    max_events: int
    lease_seconds: float

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def put(self, event: WebhookEvent, position: EventPosition, document: bytes, window: float) -> bool: ...
    async def find(self) -> list[str]: ...
    async def claim(self, channels: Sequence[str], limit: int) -> list[Portion]: ...
    async def read(self, channel: str, limit: int) -> Portion: ...
    async def renew(self, channels: Sequence[str]) -> set[str]: ...
    def record(self, mark: InboxMark, recorded: Callable[[MarkResult], None]) -> None: ...
    @property
    def is_behind(self) -> bool: ...
    async def catch_up(self) -> None: ...
    async def drain(self, seconds: float) -> bool: ...
    async def handled_elsewhere(self, keys: Sequence[str]) -> set[str]: ...
    async def dead_letters(self, limit: int) -> list[DeadLetter]: ...
    async def backlog(self) -> InboxBacklog: ...
    async def retry(self, key: str) -> tuple[str, int] | None: ...
    async def drop(self, key: str) -> bool: ...
    async def add_counts(self, counts: Mapping[str, int]) -> None: ...
    async def tidy(self) -> bool: ...


class _Pending(NamedTuple):
    size: int
    received_at: float


class Backlog:
    """The events that this process has stored and that are not handled, oldest first, with their bytes."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._pending: dict[str, _Pending] = {}
        self._place = 0  # of the next part
        self.size = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, key: object) -> bool:
        return key in self._pending

    def check(self, size: int) -> None:
        """Raise NotStoredError if there is no capacity for an event of `size` bytes."""
        if len(self._pending) >= self._max_events or self.size + size > self._max_bytes:
            raise NotStoredError(f"{len(self._pending)} events and {self.size} bytes wait")

    def add(self, key: str, size: int, received_at: float) -> None:
        """Add an event."""
        self._pending[key] = _Pending(size, received_at)
        self.size += size

    def remove(self, key: str) -> None:
        """Remove an event, if it is there."""
        if (pending := self._pending.pop(key, None)) is not None:
            self.size -= pending.size

    def oldest(self) -> float | None:
        """Return when the first of them was received, in Unix seconds."""
        return next((pending.received_at for pending in self._pending.values()), None)

    def next_part(self, limit: int) -> list[str]:
        """Return the keys of the next ones, up to `limit`; the first ones again after the last."""
        found = list(islice(self._pending, self._place, self._place + limit))
        self._place = self._place + limit if len(found) == limit else 0
        return found


def document_of(webhook: WebhookEvent) -> bytes:
    """Return an event as it is stored."""
    return orjson.dumps({name: getattr(webhook, name) for name in WebhookEvent.__slots__})


def position_of(webhook: WebhookEvent) -> EventPosition:
    """Return the place of an event in the order of its channel."""
    return *divmod(webhook.sequence, 1 << SEQUENCE_BITS), webhook.dedupe_key


def channel_name(webhook: WebhookEvent) -> str:
    """Return the name of the channel whose events are handled one after the other; the key for an event without one."""
    return webhook.order_key.replace("\x00", "\ufffd")[:200] or webhook.dedupe_key


MAX_KNOWN_KEYS: Final = 100_000
"""Keys by which repeats are known."""
_DEAD: Final = 1_000


class _Waiting(NamedTuple):
    position: EventPosition
    due: float
    task: QueuedEvent
    size: int


class _Dead(NamedTuple):
    task: QueuedEvent
    reason: str
    attempts: int
    size: int


class MemoryStorage:
    """Stores waiting events, dead letters and known keys. What is recorded counts immediately."""

    max_events = 10_000
    lease_seconds = float("inf")
    is_behind = False

    def __init__(self, dead_bytes: int, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._channels: dict[str, list[_Waiting]] = {}
        self._not_before: dict[str, float] = {}
        self._dead: dict[str, _Dead] = {}
        self._dead_capacity = Backlog(_DEAD, dead_bytes)

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: the events end with the object."""

    async def put(self, event: WebhookEvent, position: EventPosition, document: bytes, window: float) -> bool:
        """Keep an event; return False for a repeat of one of the last 100,000."""
        key = event.dedupe_key
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > MAX_KNOWN_KEYS:
            self._seen.popitem(last=False)
        self._add_waiting(
            _Waiting(
                position, self._clock.monotonic() + window, QueuedEvent(key, position, lambda: event), len(document)
            )
        )
        return True

    async def claim(self, channels: Sequence[str], limit: int) -> list[Portion]:
        """Return the events of channels that are due, except of those that wait after a failure."""
        now = self._clock.monotonic()
        free = [channel for channel in channels if self._not_before.get(channel, 0.0) <= now]
        return [await self.read(channel, limit) for channel in free]

    async def read(self, channel: str, limit: int) -> Portion:
        """Return the first events of a channel that are due."""
        now = self._clock.monotonic()
        tasks: list[QueuedEvent] = []
        for waiting in self._channels.get(channel, ()):
            if waiting.due > now or len(tasks) == limit:
                return Portion(channel, tasks, max(0.0, waiting.due - now), waiting.task.key)
            tasks.append(waiting.task)
        return Portion(channel, tasks, None)

    def record(self, mark: InboxMark, recorded: Callable[[MarkResult], None]) -> None:
        """Record something immediately; a step with a transaction is called with None."""
        if mark.run is not None:
            try:
                require_plain(mark.run(None))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - handlers are the app's
                recorded(error)
                return
        if mark.wait is not None:
            self._not_before[mark.channel] = self._clock.monotonic() + mark.wait
        if mark.ended:
            self._remove_waiting(mark)
        elif mark.failure is not None and mark.failure.dead:
            waiting = self._remove_waiting(mark)
            self._add_dead(_Dead(waiting.task, mark.failure.reason, mark.failure.attempts, waiting.size))
        elif mark.failure is not None:
            self._find_waiting(mark).task.attempts = mark.failure.attempts
        recorded(Recorded.DONE)

    async def backlog(self) -> InboxBacklog:
        """Return what waits."""
        received = [each.task.load().received_at for waiting in self._channels.values() for each in waiting]
        lag = max(0.0, self._clock.now() - min(received)) if received else 0.0
        return InboxBacklog(len(received), len(self._dead), lag)

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        found = []
        for dead in list(self._dead.values())[:limit]:
            event = dead.task.load()
            found.append(
                DeadLetter(dead.task.key, event.command, event.order_key, dead.reason, dead.attempts, event.received_at)
            )
        return found

    async def retry(self, key: str) -> tuple[str, int] | None:
        """Let a dead letter wait again; return its channel and size."""
        if key not in self._dead:
            return None
        dead = self._remove_dead(key)
        dead.task.attempts = 0
        self._add_waiting(_Waiting(dead.task.position, self._clock.monotonic(), dead.task, dead.size))
        return channel_name(dead.task.load()), dead.size

    async def drop(self, key: str) -> bool:
        """Drop a dead letter."""
        if key not in self._dead:
            return False
        self._remove_dead(key)
        return True

    async def find(self) -> list[str]:
        """Return all channels with events that wait."""
        return list(self._channels)

    async def renew(self, channels: Sequence[str]) -> set[str]:
        """Return all channels: there are no leases."""
        return set(channels)

    async def handled_elsewhere(self, keys: Sequence[str]) -> set[str]:
        """Return nothing: there are no other processes."""
        return set()

    async def add_counts(self, counts: Mapping[str, int]) -> None:
        """Do nothing: the counters of this process are the only ones."""

    async def catch_up(self) -> None:
        """Do nothing: everything is recorded immediately."""

    async def drain(self, seconds: float) -> bool:
        """Return True: everything is recorded immediately."""
        return True

    async def tidy(self) -> bool:
        """Do nothing: events are removed when they are handled."""
        return False

    def _add_waiting(self, waiting: _Waiting) -> None:
        insort(
            self._channels.setdefault(channel_name(waiting.task.load()), []), waiting, key=lambda each: each.position
        )

    def _find_waiting(self, mark: InboxMark) -> _Waiting:
        return next(waiting for waiting in self._channels[mark.channel] if waiting.task.key == mark.key)

    def _remove_waiting(self, mark: InboxMark) -> _Waiting:
        channel = self._channels[mark.channel]
        waiting = channel[0] if channel[0].task.key == mark.key else self._find_waiting(mark)
        channel.remove(waiting)
        if not channel:
            del self._channels[mark.channel]
            self._not_before.pop(mark.channel, None)
        return waiting

    def _add_dead(self, dead: _Dead) -> None:
        key = dead.task.key
        if key in self._dead:  # dead before, so long ago that its key was not known any more
            self._remove_dead(key)
        while self._dead:
            try:
                self._dead_capacity.check(dead.size)
            except NotStoredError:
                self._remove_dead(next(iter(self._dead)))
            else:
                break
        self._dead[key] = dead
        self._dead_capacity.add(key, dead.size, 0.0)

    def _remove_dead(self, key: str) -> _Dead:
        self._dead_capacity.remove(key)
        return self._dead.pop(key)
