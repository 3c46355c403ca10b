"""What an inbox is: it keeps events before they are acknowledged, and has them handled afterwards.

An event is a row of steps, one a handler. A step that succeeded is recorded and never runs again; a step that fails is
tried again after a wait; an event whose attempts are used up goes to the dead letters, and its channel moves on.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from channel_adapter.webhooks.parse import Received


class Step(NamedTuple):
    """One handler for one event. `name` is the same in every attempt and after a restart.

    With `transaction` it is called with a connection to the inbox's database (SQLAlchemy), else with None. What it
    writes there is committed together with the record that it ran: both or neither, whoever is killed.
    """

    name: str
    run: Callable[[Any], Awaitable[None]]
    transaction: bool = False


Plan = Callable[[Received], Awaitable[Sequence[Step]]]
"""The steps of an event. May fail like a step; is asked again in every attempt."""


@dataclass(slots=True)
class Task:
    """An event that waits or is being handled: how often that failed, and which steps are done."""

    received: Received
    attempts: int = 0
    done: set[str] = field(default_factory=set)


class DeadLetter(NamedTuple):
    """An event that was given up. `key` names it for retry and drop."""

    key: str
    command: str
    channel: str
    reason: str
    attempts: int
    received_at: float


class NotStoredError(Exception):
    """The event is not kept: the sender must not be told that it is. The text is for the log."""


class Ledger(Protocol):
    """Where an inbox records how far each event is. All may raise ChannelAdapterError, and may then be repeated."""

    async def advance(self, task: Task, step: Step | None, *, last: bool) -> None:
        """Run `step` and record it; with `last` the event is handled. None: nothing was left to run."""
        ...

    async def failed(self, task: Task, reason: str, *, dead: bool) -> None:
        """Record the attempt in `task.attempts`, and whether it was the last."""
        ...


class Inbox(Protocol):
    """Acknowledged means kept: until the process ends (memory), or for good (durable)."""

    async def start(self, plan: Plan) -> None:
        """Open, and begin to handle what is there. Raises ConfigurationError, UnavailableError."""
        ...

    async def store(self, received: Received) -> bool:
        """Keep an event; False when it is known to be a repeat. Raises NotStoredError."""
        ...

    async def idle(self) -> None:
        """Wait until nothing that this process took in is left to handle."""
        ...

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """What was given up, oldest first."""
        ...

    async def retry(self, key: str) -> bool:
        """Give a dead letter new attempts; False when there is none of this key."""
        ...

    async def drop(self, key: str) -> bool:
        """Forget a dead letter; repeats of it stay repeats. False when there is none of this key."""
        ...

    async def stop(self) -> None:
        """Stop handling and close. A durable inbox goes on at its next start, here or elsewhere."""
        ...
