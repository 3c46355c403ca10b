"""Outage guard: repeat throttled attempts, and stop calling a service that has not answered for too long."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final, Generic, TypeVar, cast

from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.retry import retry

PAUSE: Final = 1.0  # seconds before an attempt that was not sent, or was throttled, is repeated

E = TypeVar("E", bound=Exception)
R = TypeVar("R")


class AttemptStatus(Enum):
    """What a failed attempt means for the state of the service."""

    NOT_SENT = auto()
    """Not sent, because of limits of this process: the state of the service is unknown. Repeated."""

    THROTTLED = auto()
    """Refused because of its rate, and not carried out. Repeated."""

    UNANSWERED = auto()
    """No verdict came back, or the service failed. Reported to the caller."""

    ANSWERED = auto()
    """The service refused for a reason of its own, so it works. Reported to the caller."""


class OutageTimeoutError(TimeoutError):
    """An attempt was not made: its time ended while another attempt was testing whether the service is back."""


@dataclass(eq=False, slots=True)
class OutageGuard(Generic[E]):
    """Guard the attempts of one long operation, concurrent ones included, against an outage of the service.

    While attempts succeed they run concurrently. After one without an answer they run one at a time (half-open). When
    nothing was answered for `stall_timeout` seconds, the guard opens: `tripped` holds the last error, every later
    `run` raises it, and no further attempt is made. Of the time between two attempts only the pause before a repetition
    counts, 1 s: a caller that is slow to make the next attempt proves nothing about the service.
    """

    error_type: type[E]
    status_of: Callable[[E], AttemptStatus]
    clock: Clock
    stall_timeout: float
    tripped: E | None = field(default=None, init=False)
    _silent_since: float | None = field(default=None, init=False)
    _running: int = field(default=0, init=False)
    _idle_since: float = field(default=0.0, init=False)  # while nothing is running
    _probe_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def run(
        self,
        attempt: Callable[[float | None], Awaitable[R]],
        error_of: Callable[[R], E | None] = lambda _: None,
        *,
        timeout: float | None = None,
    ) -> R:
        """Return the result of `attempt`, after repeating it for as long as its error is NOT_SENT or THROTTLED.

        `attempt` takes the seconds that are left, None without a `timeout`. It reports a failure by raising an error of
        `error_type`, or in its result: `error_of` returns the error of a result in which nothing was answered. Such a
        result is returned like any other unless the attempt is repeated.

        `timeout` bounds all attempts and waits, in seconds. Raises the errors of `attempt`, `tripped` once the guard is
        open, and OutageTimeoutError.
        """
        now = self.clock.monotonic()
        end = None if timeout is None else now + timeout
        if not self._running and self._silent_since is not None:
            self._silent_since += max(0.0, now - self._idle_since - PAUSE)
        self._running += 1
        probing = False
        try:
            probing = self._silent_since is not None and await self._acquire_probe(timeout)
            attempted = await self._attempt_once(attempt, error_of, end)
            if attempted.repeated:
                next_attempt = partial(self._attempt_once, attempt, error_of, end)
                attempted = await retry(attempted, next_attempt, _pause_after, self.clock.sleep)
        finally:
            if probing:
                self._probe_lock.release()
            self._running -= 1
            self._idle_since = self.clock.monotonic()
        if attempted.error is not None:
            raise attempted.error
        return cast("R", attempted.result)

    async def _acquire_probe(self, timeout: float | None) -> bool:
        """Wait until no other attempt is a probe; return False, without the lock, if the service answered meanwhile."""
        try:
            async with asyncio.timeout(timeout):
                await self._probe_lock.acquire()
        except TimeoutError:
            raise OutageTimeoutError(f"no call was answered within {timeout:g} s") from None
        if self._silent_since is not None:
            return True
        self._probe_lock.release()
        return False

    async def _attempt_once(
        self, attempt: Callable[[float | None], Awaitable[R]], error_of: Callable[[R], E | None], end: float | None
    ) -> "_Attempted[R]":
        if self.tripped is not None:
            return _Attempted(error=self.tripped)
        try:
            result = await attempt(None if end is None else max(0.0, end - self.clock.monotonic()))
        except self.error_type as error:
            return _Attempted(error=error, repeated=self._should_repeat(error, end))
        failure = error_of(result)
        if failure is None:
            self._silent_since = None
            return _Attempted(result)
        return _Attempted(result, repeated=self._should_repeat(failure, end))

    def _should_repeat(self, error: E, end: float | None) -> bool:
        """Record a failed attempt. Return whether it is to be repeated and there is time for it."""
        status = self.status_of(error)
        if status is AttemptStatus.ANSWERED:
            self._silent_since = None
            return False
        if status is not AttemptStatus.NOT_SENT:
            self._record_silence(error)
        if status is AttemptStatus.UNANSWERED:
            return False
        return end is None or self.clock.monotonic() + PAUSE < end

    def _record_silence(self, error: E) -> None:
        now = self.clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since >= self.stall_timeout and self.tripped is None:
            self.tripped = error


@dataclass(frozen=True, slots=True)
class _Attempted(Generic[R]):
    """What an attempt returned or raised, and whether it is repeated."""

    result: R | None = None
    error: Exception | None = None
    repeated: bool = False


def _pause_after(attempted: _Attempted[R]) -> float | None:
    return PAUSE if attempted.repeated else None
