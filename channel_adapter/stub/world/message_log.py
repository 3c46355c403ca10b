"""The messages of one group, and those that do not count as unread.

Seqs start at 1 and have no gaps, so the index of a message is its seq minus 1 [docS 1502].
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from channel_adapter.tencent.wire.msg_body import Element

SECONDS_PER_DAY = 86_400


@dataclass(slots=True)
class Extensions:
    """Pairs on one message: key -> (value, seq); a deleted key keeps its seq, with the value None [messages 9.5]."""

    pairs: dict[str, tuple[str | None, int]] = field(default_factory=dict)
    seq: int = 0
    clear_seq: int = 0
    writes: deque[float] = field(default_factory=deque)  # moments of the changes of the last minute


@dataclass(slots=True, eq=False)
class StoredMessage:
    """One stored message; whether it has expired is decided when it is read.

    `listed` False: it does not move the conversation in lists of recent ones.
    """

    seq: int
    time: int
    random: int
    sender: str
    priority: int
    packed: bytes
    """The body as JSON: one object for the garbage collector, where elements are five each."""
    cloud_custom_data: str | None = None
    supports_extensions: bool = False
    recalled: bool = False
    system: bool = False  # a notice that the service wrote
    listed: bool = True
    extensions: Extensions | None = None

    @property
    def body(self) -> list[Element]:
        """Return the elements; to change them, assign a new list."""
        return [Element.model_validate(element) for element in self.body_json()]

    @body.setter
    def body(self, elements: Sequence[Element]) -> None:
        self.packed = pack(elements)

    def body_json(self) -> list[dict[str, Any]]:
        """Return the elements as JSON values."""
        elements: list[dict[str, Any]] = orjson.loads(self.packed)
        return elements


def pack(elements: Sequence[Element]) -> bytes:
    """Return elements as they are stored in a message."""
    return b"[%b]" % b",".join([element.to_json() for element in elements])


Recent = dict[Hashable, tuple[float, int, int]]  # what makes a message a repeat -> (moment, seq, time)


def repeated(recent: Recent, key: Hashable, now: float, window: float) -> tuple[int, int] | None:
    """Return seq and time of the message with this key within the last `window` seconds."""
    seen = recent.get(key)
    return seen[1:] if seen is not None and 0 <= now - seen[0] < window else None


def remember(recent: Recent, key: Hashable, now: float, window: float, message: tuple[int, int]) -> None:
    """Let `repeated` find a message, seq and time, and forget older ones."""
    while recent:
        oldest = next(iter(recent))
        if 0 <= now - recent[oldest][0] < window:
            break
        del recent[oldest]
    recent.pop(key, None)
    recent[key] = (now, *message)


class MessageLog:
    """Messages in the order of their seqs."""

    def __init__(self) -> None:
        self._messages: list[StoredMessage] = []
        self._uncounted: list[int] = []  # seqs that are never unread: NoUnread and recalled ones, ascending
        self._recent: Recent = {}
        self._window: tuple[int, int] = (0, 0)  # (second, messages in it)

    @property
    def next_seq(self) -> int:
        return len(self._messages) + 1

    @property
    def last_time(self) -> int:
        """Return when the latest message was sent, 0 without any."""
        return self._messages[-1].time if self._messages else 0

    @property
    def last_listed_time(self) -> int:
        """Return when the latest message was sent that lists of recent conversations show, 0 without any."""
        return next((message.time for message in reversed(self._messages) if message.listed), 0)

    def append(self, message: StoredMessage, *, counted: bool = True) -> None:
        """Store a message that has the next seq."""
        if message.seq != self.next_seq:
            raise ValueError(f"seq {message.seq} where {self.next_seq} is due")
        self._messages.append(message)
        if not counted:
            self._uncounted.append(message.seq)

    def __iter__(self) -> Iterator[StoredMessage]:
        return iter(self._messages)

    def get(self, seq: int) -> StoredMessage | None:
        return self._messages[seq - 1] if 1 <= seq <= len(self._messages) else None

    def newest(self, seq: int | None, maximum: int) -> list[StoredMessage]:
        """Return up to `maximum` messages at or below `seq`, newest first."""
        end = len(self._messages) if seq is None else min(seq, len(self._messages))
        return self._messages[max(0, end - maximum) : max(0, end)][::-1]

    def seq_at(self, time: int) -> int:
        """Return the highest seq sent at or before a moment, 0 if none."""
        return bisect_right(self._messages, time, key=lambda message: message.time)

    def recall(self, message: StoredMessage) -> None:
        """Mark as recalled; it no longer counts as unread."""
        message.recalled = True
        place = bisect_right(self._uncounted, message.seq)
        if place == 0 or self._uncounted[place - 1] != message.seq:
            insort(self._uncounted, message.seq)

    def unread(self, read: int) -> int:
        """Return the unread count of a member who has read up to seq `read`."""
        uncounted = len(self._uncounted) - bisect_right(self._uncounted, read)
        return max(0, self.next_seq - 1 - read - uncounted)

    def repeated(self, key: Hashable, now: float, window: float) -> tuple[int, int] | None:
        """Return seq and time of the message with this key within the last `window` seconds."""
        return repeated(self._recent, key, now, window)

    def remember(self, key: Hashable, now: float, window: float, seq: int, time: int) -> None:
        """Let `repeated` find this message, and forget older ones."""
        remember(self._recent, key, now, window, (seq, time))

    def sent_in(self, second: int) -> int:
        """Return the number of messages sent within one second of the clock."""
        return self._window[1] if self._window[0] == second else 0

    def count(self, second: int) -> None:
        """Count one more message in that second."""
        self._window = (second, self.sent_in(second) + 1)

    @property
    def uncounted(self) -> Sequence[int]:
        """Return the seqs that are never unread."""
        return self._uncounted

    @property
    def recent(self) -> Mapping[Hashable, tuple[float, int, int]]:
        """Return what `repeated` uses: key -> (moment, seq, time)."""
        return self._recent

    def restore(self, messages: Iterable[StoredMessage], uncounted: Iterable[int]) -> None:
        """Fill an empty log."""
        for message in messages:
            self.append(message)
        self._uncounted = sorted(uncounted)
