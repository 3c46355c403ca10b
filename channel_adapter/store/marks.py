"""States of events in an inbox, and what is recorded about them. It needs no database, as a memory inbox does not."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, NamedTuple

from channel_adapter.errors import ConfigurationError

WAITING, HANDLED, DEAD, DROPPED = "waiting", "handled", "dead", "dropped"


class Failure(NamedTuple):
    """A failed attempt: how many there were, and whether this was the last."""

    attempts: int
    reason: str
    dead: bool


class InboxBacklog(NamedTuple):
    """What an inbox holds: waiting events, dead letters, and the seconds that the oldest waiting event has waited."""

    waiting: int
    dead: int
    lag: float


class InboxMark(NamedTuple):
    """Something to record about a channel that this process works on.

    `step` has run, or is `run` within the transaction; with `ended` the event is handled. `release` releases the
    channel, `wait` does so and keeps it free for some seconds.
    """

    channel: str
    key: str = ""
    step: str = ""
    run: Callable[[Any], object] | None = None
    ended: bool = False
    failure: Failure | None = None
    release: bool = False
    wait: float | None = None


class Recorded(Enum):
    """What became of a mark: LOST if the channel belongs to another process, LATER if it is to be recorded again."""

    DONE = "done"
    LOST = "lost"
    LATER = "later"


MarkResult = Recorded | BaseException
"""An exception is one that `run` has raised; what it wrote is undone, and nothing is recorded."""


def require_plain(result: object) -> None:
    """Raise ConfigurationError if a handler with a transaction has returned an awaitable."""
    if isinstance(result, Awaitable):
        if asyncio.iscoroutine(result):
            result.close()
        raise ConfigurationError("a handler with transaction=True is a plain function, not a coroutine function")
