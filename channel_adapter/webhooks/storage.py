"""What an inbox needs of a storage, and what both kinds of storage share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson

from channel_adapter.store.marks import Mark, MarkResult
from channel_adapter.webhooks.parse import SEQUENCE_BITS, Received


class DeadLetter(NamedTuple):
    """An event that was given up. `key` names it for retry and drop."""

    key: str
    command: str
    channel: str
    reason: str
    attempts: int
    received_at: float


class NotStoredError(Exception):
    """Raised for an event that is not stored: it must not be acknowledged. The text is for the log."""


Place = tuple[int, int, str]
"""Where an event belongs in its channel."""


@dataclass(slots=True)
class Task:
    """A waiting event: how often it has failed, and which steps are done. `load` returns it, or raises."""

    key: str
    place: Place
    load: Callable[[], Received]
    attempts: int = 0
    done: set[str] = field(default_factory=set)


class Portion(NamedTuple):
    """Events of a channel that are due, in order.

    `wait` is when the next one is due in seconds, None without one; `next_key` is its key, if that was read.
    """

    channel: str
    tasks: list[Task]
    wait: float | None
    next_key: str | None = None


class Storage(Protocol):
    """Where events and leases are. Everything that waits for a database raises ChannelAdapterError."""

    max_events: int
    lease_seconds: float

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def put(self, event: Received, place: Place, document: bytes, window: float) -> bool: ...
    async def find(self) -> list[str]: ...
    async def claim(self, channels: Sequence[str], limit: int) -> list[Portion]: ...
    async def read(self, channel: str, limit: int) -> Portion: ...
    async def renew(self, channels: Sequence[str]) -> set[str]: ...
    def record(self, mark: Mark, recorded: Callable[[MarkResult], None]) -> None: ...
    @property
    def is_behind(self) -> bool: ...
    async def catch_up(self) -> None: ...
    async def handled_elsewhere(self, keys: Sequence[str]) -> set[str]: ...
    async def dead_letters(self, limit: int) -> list[DeadLetter]: ...
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

    def first(self, limit: int) -> list[str]:
        """Return the keys of the first ones."""
        return [key for key, _ in zip(self._pending, range(limit), strict=False)]


def document_of(received: Received) -> bytes:
    """Return an event as it is stored."""
    return orjson.dumps({name: getattr(received, name) for name in Received.__slots__})


def place_of(received: Received) -> Place:
    """Return where an event belongs in its channel."""
    return *divmod(received.sequence, 1 << SEQUENCE_BITS), received.dedupe_key


def channel_name(received: Received) -> str:
    """Return the name under which the events of a channel are one after the other; the key for one without channel."""
    return received.order_key.replace("\x00", "\ufffd")[:200] or received.dedupe_key
