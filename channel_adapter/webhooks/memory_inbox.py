"""An inbox that forgets: fast, for tests and for those who accept that a crash loses events."""

import logging
from collections import OrderedDict
from typing import Final, NamedTuple

import orjson
import structlog

from channel_adapter.tencent.clock import Clock, SystemClock
from channel_adapter.webhooks import counters as names
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.handling import Handling, Patience
from channel_adapter.webhooks.inbox import DeadLetter, NotStoredError, Plan, Step, Task
from channel_adapter.webhooks.lines import Lines
from channel_adapter.webhooks.parse import Received
from channel_adapter.webhooks.room import BYTES, Room

REMEMBERED: Final = 100_000
"""Keys by which repeats are known."""
WAITING: Final = 10_000
"""Events that may wait before more are refused."""
_DEAD: Final = 1_000

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


class MemoryInbox:
    """Keeps events in this process alone: the last 100,000 keys against repeats, the last 1,000 dead letters.

    `waiting_bytes` bounds what waits, and once more what is dead.
    """

    def __init__(
        self,
        *,
        patience: Patience | None = None,
        window: float = 0.05,
        at_once: int = 64,
        waiting_bytes: int = BYTES,
        counters: Counters | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self._patience = patience or Patience()
        self._window = window
        self._at_once = at_once
        self._room = Room(WAITING, waiting_bytes)
        self._dead_room = Room(_DEAD, waiting_bytes)
        self._clock = clock or SystemClock()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._dead: OrderedDict[str, _Dead] = OrderedDict()
        self._lines: Lines | None = None

    async def start(self, plan: Plan) -> None:
        """See Inbox."""
        _log.warning("webhooks.memory_inbox", meaning="acknowledged events are lost when this process ends")
        handling = Handling(self, plan, self._patience, self.counters, self._clock, at_once=self._at_once)
        self._lines = Lines(handling.handle, window=self._window, clock=self._clock)

    async def store(self, received: Received) -> bool:
        """See Inbox."""
        key = received.dedupe_key
        if key in self._seen:
            self._seen.move_to_end(key)
            self.counters.add(names.DUPLICATES)
            return False
        if self._lines is None:
            raise NotStoredError("the inbox is not running")
        size = _size(received)
        self._room.admit(len(self._lines), size)
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._put(self._lines, Task(received), size)
        return True

    def _put(self, lines: Lines, task: Task, size: int) -> None:
        self._room.take(size)
        lines.put(task, lambda _: self._room.give_back(size))

    @property
    def lag(self) -> float:
        """Seconds that the oldest waiting event has waited."""
        oldest = self._lines.oldest if self._lines is not None else None
        return 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)

    async def idle(self) -> None:
        """See Inbox."""
        if self._lines is not None:
            await self._lines.idle()

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """See Inbox."""
        found = [dead.letter() for dead in self._dead.values()]
        return found[:limit]

    async def retry(self, key: str) -> bool:
        """See Inbox."""
        if key not in self._dead or self._lines is None:
            return False
        task = self._forget(key).task
        self._put(self._lines, Task(task.received, 0, task.done), _size(task.received))
        return True

    async def drop(self, key: str) -> bool:
        """See Inbox."""
        if key not in self._dead:
            return False
        self._forget(key)
        return True

    async def stop(self) -> None:
        """See Inbox."""
        if self._lines is not None:
            await self._lines.stop()
            self._lines = None

    async def advance(self, task: Task, step: Step | None, *, last: bool) -> None:
        """See Ledger: there is nothing to write to, so a step with a transaction gets None too."""
        if step is not None:
            await step.run(None)

    async def failed(self, task: Task, reason: str, *, dead: bool) -> None:
        """See Ledger."""
        if dead:
            key, size = task.received.dedupe_key, _size(task.received)
            if key in self._dead:  # so long ago that it was not known as a repeat
                self._forget(key)
            while self._dead and not self._dead_room.has(len(self._dead), size):
                self._forget(next(iter(self._dead)))
            self._dead[key] = _Dead(task, reason, size)
            self._dead_room.take(size)

    def _forget(self, key: str) -> "_Dead":
        dead = self._dead.pop(key)
        self._dead_room.give_back(dead.size)
        return dead


class _Dead(NamedTuple):
    task: Task
    reason: str
    size: int

    def letter(self) -> DeadLetter:
        r = self.task.received
        return DeadLetter(r.dedupe_key, r.command, r.order_key, self.reason, self.task.attempts, r.received_at)


def _size(received: Received) -> int:
    return len(orjson.dumps(received.body))
