"""One-to-one messages: a log for each pair of accounts that has some, and what is unread.

A pair is two users, or a user and an official account. A pair without messages takes no memory.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from channel_adapter.stub.world.message_log import Recent, StoredMessage

_NUMBER_DIGITS: Final = 10  # of the highest number with 32 bits
_NO_LOGS: Final[Mapping[str, "PairLog"]] = MappingProxyType({})


class MessageNumbers(NamedTuple):
    """What names a message in its pair, in the order of history: by time, then by MsgSeq [doc 34920]."""

    time: int
    seq: int
    random: int

    @property
    def key(self) -> str:
        """Return the MsgKey, `{MsgSeq}_{MsgRandom}_{seconds}` [doc 34919]."""
        return f"{self.seq}_{self.random}_{self.time}"

    @classmethod
    def read(cls, key: str) -> Self | None:
        """Return the numbers of a MsgKey, None for a text that is none."""
        parts = key.split("_")
        if len(parts) != 3 or not all(p.isascii() and p.isdecimal() and len(p) <= _NUMBER_DIGITS for p in parts):
            return None
        seq, random, time = map(int, parts)
        return cls(time, seq, random)


@dataclass(slots=True, eq=False)
class PairMessage(StoredMessage):
    """A stored one-to-one message, from `sender` to `receiver`. `receipt`: the receiver confirmed it."""

    receiver: str = ""
    unread: bool = False
    receipt: bool = False
    hidden_from: tuple[str, ...] = ()

    @property
    def numbers(self) -> MessageNumbers:
        """Return what names this message."""
        return MessageNumbers(self.time, self.seq, self.random)


_NUMBERS: Final = attrgetter("numbers")


class PairLog:
    """The messages of two accounts in both directions, in the order of history."""

    __slots__ = ("_first", "_messages", "_unread")

    def __init__(self, first: str) -> None:
        """`first` is one of the two accounts."""
        self._first = first
        self._messages: list[PairMessage] = []
        self._unread = [0, 0]

    def __iter__(self) -> Iterator[PairMessage]:
        return iter(self._messages)

    def insert(self, message: PairMessage) -> None:
        """Store a message at its place."""
        insort(self._messages, message, key=_NUMBERS)

    def find(self, numbers: MessageNumbers, sender: str | None = None) -> PairMessage | None:
        """Return the message with these numbers, from `sender` if given."""
        index = bisect_left(self._messages, numbers, key=_NUMBERS)
        while index < len(self._messages) and (message := self._messages[index]).numbers == numbers:
            if sender in (None, message.sender):
                return message
            index += 1
        return None

    def downwards(self, below: MessageNumbers | None, until: int) -> Iterator[PairMessage]:
        """Yield messages up to a time in seconds, and before `below` if given, newest first."""
        messages = self._messages
        end = bisect_right(messages, until, key=lambda message: message.time)
        if below is not None:
            end = min(end, bisect_left(messages, below, key=_NUMBERS))
        return (messages[index] for index in range(end - 1, -1, -1))

    def last_time(self, user: str) -> int:
        """Return the time of the latest message in the user's list of recent conversations, 0 without one."""
        return next((m.time for m in reversed(self._messages) if m.listed and user not in m.hidden_from), 0)

    def last_sent(self, user: str) -> int:
        """Return when the user sent the latest message, 0 without one."""
        return next((message.time for message in reversed(self._messages) if message.sender == user), 0)

    def unread(self, user: str) -> int:
        """Return how many messages the user has not read."""
        return self._unread[user != self._first]

    def count_unread(self, user: str, change: int) -> None:
        """Add to the number of messages that the user has not read."""
        self._unread[user != self._first] += change


class Conversations:
    """The logs of all pairs, found from either side, and the number of unread messages of each account."""

    def __init__(self) -> None:
        self._logs: dict[str, dict[str, PairLog]] = {}
        self._unread: dict[str, int] = {}
        self.recent: Recent = {}
        """What makes a message a repeat -> (moment, MsgSeq, MsgTime)."""
        self.batches: deque[tuple[float, int]] = deque()
        """Moments and numbers of receivers of the batches of the last minute."""

    def get(self, user: str, peer: str) -> PairLog | None:
        """Return the log of a pair, None while it has no messages."""
        return self._logs.get(user, _NO_LOGS).get(peer)

    def logs(self, user: str) -> Mapping[str, PairLog]:
        """Return the logs of a user by the other account, in the order of the first messages."""
        return self._logs.get(user, _NO_LOGS)

    def add(self, message: PairMessage) -> None:
        """Store a message; the first one of a pair creates its log."""
        log = self.get(message.sender, message.receiver)
        if log is None:
            log = PairLog(message.sender)
            self._logs.setdefault(message.sender, {})[message.receiver] = log
            self._logs.setdefault(message.receiver, {})[message.sender] = log
        log.insert(message)
        if message.unread:
            self._count_unread(log, message.receiver, 1)

    def unread(self, user: str) -> int:
        """Return how many messages of all conversations the user has not read."""
        return self._unread.get(user, 0)

    def read(self, user: str, peer: str, until: int) -> None:
        """Mark what the peer sent up to a time in seconds as read."""
        log = self.get(user, peer)
        if log is None or not log.unread(user):
            return
        for message in log.downwards(None, until):
            if message.unread and message.receiver == user:
                self.settle(log, message)
                if not log.unread(user):
                    break

    def settle(self, log: PairLog, message: PairMessage) -> None:
        """Let a message no longer be unread."""
        if message.unread:
            message.unread = False
            self._count_unread(log, message.receiver, -1)

    def hide(self, log: PairLog, message: PairMessage, user: str) -> None:
        """Take a message out of the history of one of the two accounts; for its receiver it is no longer unread."""
        if user not in message.hidden_from:
            message.hidden_from = (*message.hidden_from, user)
        if user == message.receiver:
            self.settle(log, message)

    def remove(self, user: str) -> None:
        """Forget all conversations of an account, for the other accounts too, and which messages it sent lately."""
        for peer, log in self._logs.pop(user, {}).items():
            self._count_unread(log, peer, -log.unread(peer))
            others = self._logs.get(peer, {})
            others.pop(user, None)
            if not others:
                self._logs.pop(peer, None)
        self._unread.pop(user, None)
        self.recent = {key: seen for key, seen in self.recent.items() if not _names(key, user)}

    def messages(self) -> Iterator[PairMessage]:
        """Yield all messages, pair by pair."""
        seen = set[int]()
        for logs in self._logs.values():
            for log in logs.values():
                if id(log) not in seen:
                    seen.add(id(log))
                    yield from log

    def _count_unread(self, log: PairLog, user: str, change: int) -> None:
        log.count_unread(user, change)
        total = self._unread.get(user, 0) + change
        if total:
            self._unread[user] = total
        else:
            self._unread.pop(user, None)


def _names(key: Hashable, user: str) -> bool:
    """Return whether an account is part of what makes a message a repeat."""
    return any(_names(part, user) for part in key) if isinstance(key, tuple) else key == user
