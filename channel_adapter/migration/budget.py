"""The calls of a migration: counted, bounded by a budget, limited with other processes, repeated during an outage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.protocols import attempt_status
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.outage import PAUSE, OutageGuard, OutageTimeoutError
from channel_adapter.errors import ChannelAdapterError, OutcomeUnknownError, ThrottledError, UnavailableError
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.rate_limit import CommandLimiter, RateLimitTimeout
from channel_adapter.tencent.wire.envelope import Reply, WireModel

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)

TRANSIENT: Final = (OutcomeUnknownError, ThrottledError, UnavailableError)
"""Errors after which the work may be repeated."""
_UNBOUNDED_SECONDS: Final = 3_600.0

ProgressCallback = Callable[[str, int], None]
"""Called with what has progressed and by how many more: "channels", "posts", "subscribers" that were read or compared.

A cutover also reports "delta" when one begins, "moved" for each of its channels, "again" before the verification that
destroying takes, "final_broadcast", "destroyed", and "to_fill" and "filled" for users. A rollback reports each channel
by its status, and "to_clear" and "cleared" for users.
"""


def noop_progress(*_: object) -> None:
    """Ignore progress."""


class BudgetExhausted(Exception):  # noqa: N818
    """The work ends here: it was interrupted, or its calls or its time are used up.

    `attempted`: the call that is not made any more was attempted before, with an unknown outcome.
    """

    def __init__(self, reason: str, *, attempted: bool = False) -> None:
        super().__init__(reason)
        self.attempted = attempted


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """How many calls and how many seconds one run may take; None is no limit."""

    calls: int | None = None
    seconds: float | None = None


NO_LIMITS: Final = BudgetLimits()


class Budget:
    """What one run has used of its limits. Time counts from now."""

    def __init__(self, clock: Clock, limits: BudgetLimits | None = None, *, calls: int = 0) -> None:
        """`calls` were made before and count."""
        self._limits = limits or NO_LIMITS
        self._clock = clock
        self._began = clock.monotonic()
        self._calls = calls
        self._reason = ""

    @property
    def calls(self) -> int:
        """Calls that were made."""
        return self._calls

    @property
    def reason(self) -> str:
        """Why no further call is made; empty while calls are possible."""
        return self._reason

    @property
    def exhausted(self) -> bool:
        """Return whether no further call is made."""
        seconds = self._limits.seconds
        if not self._reason and seconds is not None and self._clock.monotonic() >= self._began + seconds:
            self._reason = "its time is used up"
        return bool(self._reason)

    @property
    def left(self) -> BudgetLimits:
        """What a part of this run may use. Raises BudgetExhausted."""
        self.check()
        calls, seconds = self._limits.calls, self._limits.seconds
        return BudgetLimits(
            calls=None if calls is None else max(1, calls - self._calls),
            seconds=None if seconds is None else seconds - (self._clock.monotonic() - self._began),
        )

    def check(self, *, attempted: bool = False) -> None:
        """Raise BudgetExhausted when no further call is made."""
        if self.exhausted:
            raise BudgetExhausted(self._reason, attempted=attempted)

    def stop(self, reason: str) -> None:
        """Make no further call."""
        self._reason = self._reason or reason

    def acquire(self, *, attempted: bool = False) -> None:
        """Count one more call; `attempted` if it repeats one. Raises BudgetExhausted."""
        most = self._limits.calls
        if not self.exhausted and most is not None and self._calls >= most:
            self._reason = f"its {most:,} calls are used up"
        self.check(attempted=attempted)
        self._calls += 1

    def add(self, calls: int) -> None:
        """Count calls that a part of this run has made."""
        self._calls += calls


class BudgetedApi(ApiCaller):
    """Make the calls of a migration, all of which may be repeated.

    A call is repeated while the service answers others. When nothing was answered for `stall_timeout` seconds, it
    raises the last error of the service, and so do all other calls until `renew`.
    """

    def __init__(
        self,
        api: ApiCaller,
        budget: Budget,
        clock: Clock,
        stall_timeout: float,
        limiter: CommandLimiter | None = None,
    ) -> None:
        """`limiter` keeps to the calls per second together with other processes."""
        self.budget = budget
        self._api = api
        self._clock = clock
        self._stall_timeout = stall_timeout
        self._guard = self._new_guard()
        self._limiter = limiter

    def renew(self) -> None:
        """Try again after an outage."""
        if self._guard.tripped is not None:
            self._guard = self._new_guard()

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply. Raises BudgetExhausted, and ChannelAdapterError as the gateway does.

        `deadline` is in seconds from now and bounds all attempts and waits.
        """
        end = None if deadline is None else self._clock.monotonic() + deadline
        attempted = False
        while True:
            self.budget.acquire(attempted=attempted)
            await self._wait_for_slot(command, end)
            guard = self._guard
            left = None if end is None else max(0.0, end - self._clock.monotonic())
            try:
                return await guard.run(lambda seconds: self._api.call(command, request, deadline=seconds), timeout=left)
            except OutageTimeoutError as late:
                raise UnavailableError(f"{command.name} was not sent: {late}") from None
            except TRANSIENT:
                attempted = True
                if guard.tripped is not None or (end is not None and self._clock.monotonic() + PAUSE >= end):
                    raise
                await self._clock.sleep(PAUSE)

    async def call_raw(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call any command, once. Raises BudgetExhausted and ChannelAdapterError."""
        self.budget.acquire()
        return await self._api.call_raw(service, command, body)

    def _new_guard(self) -> OutageGuard[ChannelAdapterError]:
        return OutageGuard(ChannelAdapterError, attempt_status, self._clock, self._stall_timeout)

    async def _wait_for_slot(self, command: Command[Any, Any], end: float | None) -> None:
        """Wait until the limit of all processes allows one more call. Raises ThrottledError after `end`."""
        if self._limiter is None:
            return
        longest = _UNBOUNDED_SECONDS if end is None else max(0.0, end - self._clock.monotonic())
        try:
            await self._limiter.acquire(command, longest)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"{command.name} was not sent: the rate limit of all processes allows it in {late.seconds:.1f} s,"
                " and the time for it is up before that"
            ) from None
