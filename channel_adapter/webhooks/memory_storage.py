"""Events of a memory inbox: fast, for tests and for apps that accept that a crash loses events."""

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from channel_adapter.concurrency.clock import Clock
from channel_adapter.store.marks import Mark, MarkResult, Recorded, require_plain
from channel_adapter.webhooks.parse import Received
from channel_adapter.webhooks.storage import Backlog, DeadLetter, NotStoredError, Place, Portion, Task, channel_name

REMEMBERED: Final = 100_000
"""Keys by which repeats are known."""
_DEAD: Final = 1_000


class _Waiting(NamedTuple):
    place: Place
    due: float
    task: Task
    size: int


class _Dead(NamedTuple):
    task: Task
    reason: str
    attempts: int
    size: int


class MemoryStorage:
    """Keeps waiting events, dead letters and known keys. What is recorded counts at once."""

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

    async def put(self, event: Received, place: Place, document: bytes, window: float) -> bool:
        """Keep an event; return False for a repeat of one of the last 100,000."""
        key = event.dedupe_key
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._add(_Waiting(place, self._clock.monotonic() + window, Task(key, place, lambda: event), len(document)))
        return True

    async def claim(self, channels: Sequence[str], limit: int) -> list[Portion]:
        """Return the events of channels that are due, except of those that wait after a failure."""
        now = self._clock.monotonic()
        free = [channel for channel in channels if self._not_before.get(channel, 0.0) <= now]
        return [await self.read(channel, limit) for channel in free]

    async def read(self, channel: str, limit: int) -> Portion:
        """Return the first events of a channel that are due."""
        now = self._clock.monotonic()
        tasks: list[Task] = []
        for waiting in self._channels.get(channel, ()):
            if waiting.due > now or len(tasks) == limit:
                return Portion(channel, tasks, max(0.0, waiting.due - now), waiting.task.key)
            tasks.append(waiting.task)
        return Portion(channel, tasks, None)

    def record(self, mark: Mark, recorded: Callable[[MarkResult], None]) -> None:
        """Record something at once; a step with a transaction is called with None."""
        if mark.run is not None:
            try:
                require_plain(mark.run(None))
            except Exception as error:  # noqa: BLE001 - handlers are the app's
                recorded(error)
                return
        if mark.wait is not None:
            self._not_before[mark.channel] = self._clock.monotonic() + mark.wait
        if mark.ended:
            self._remove(mark)
        elif mark.failure is not None and mark.failure.dead:
            waiting = self._remove(mark)
            self._bury(_Dead(waiting.task, mark.failure.reason, mark.failure.attempts, waiting.size))
        elif mark.failure is not None:
            self._find(mark).task.attempts = mark.failure.attempts
        recorded(Recorded.DONE)

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
        dead = self._exhume(key)
        dead.task.attempts = 0
        self._add(_Waiting(dead.task.place, self._clock.monotonic(), dead.task, dead.size))
        return channel_name(dead.task.load()), dead.size

    async def drop(self, key: str) -> bool:
        """Drop a dead letter."""
        if key not in self._dead:
            return False
        self._exhume(key)
        return True

    async def find(self) -> list[str]:
        """Return nothing: no other process leaves events here."""
        return []

    async def renew(self, channels: Sequence[str]) -> set[str]:
        """Return all channels: there are no leases."""
        return set(channels)

    async def handled_elsewhere(self, keys: Sequence[str]) -> set[str]:
        """Return nothing: there are no other processes."""
        return set()

    async def add_counts(self, counts: Mapping[str, int]) -> None:
        """Do nothing: the counters of this process are the only ones."""

    async def catch_up(self) -> None:
        """Do nothing: everything is recorded at once."""

    async def tidy(self) -> bool:
        """Do nothing: events are removed when they are handled."""
        return False

    def _add(self, waiting: _Waiting) -> None:
        insort(self._channels.setdefault(channel_name(waiting.task.load()), []), waiting, key=lambda each: each.place)

    def _find(self, mark: Mark) -> _Waiting:
        return next(waiting for waiting in self._channels[mark.channel] if waiting.task.key == mark.key)

    def _remove(self, mark: Mark) -> _Waiting:
        channel = self._channels[mark.channel]
        waiting = channel[0] if channel[0].task.key == mark.key else self._find(mark)
        channel.remove(waiting)
        if not channel:
            del self._channels[mark.channel]
            self._not_before.pop(mark.channel, None)
        return waiting

    def _bury(self, dead: _Dead) -> None:
        key = dead.task.key
        if key in self._dead:  # given up before, so long ago that it was not known as a repeat
            self._exhume(key)
        while self._dead:
            try:
                self._dead_capacity.check(dead.size)
            except NotStoredError:
                self._exhume(next(iter(self._dead)))
            else:
                break
        self._dead[key] = dead
        self._dead_capacity.add(key, dead.size, 0.0)

    def _exhume(self, key: str) -> _Dead:
        self._dead_capacity.remove(key)
        return self._dead.pop(key)
