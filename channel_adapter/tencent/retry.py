"""Whether a call is sent again, and when: a pure decision, which tenacity only carries out.

It follows from what came back, from the class of the command and from the row of the error code [rest basics 3].
What was refused or lost before it was carried out may always be repeated. What may have been carried out is repeated
only if doing it twice is harmless, and never for a command that would do it a second time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_never

from channel_adapter.tencent import codes
from channel_adapter.tencent.command import Command, Retry
from channel_adapter.tencent.hosts import FAILURES_BEFORE_SWITCH
from channel_adapter.tencent.wire.envelope import Answered, Dropped, Failure, Held, NotSent, Outcome, Refused, Unclear

FIRST_WAIT: Final = 0.3  # seconds [3.1]
FIRST_WAIT_THROTTLED: Final = 1.0  # seconds; limits count per second [3.1]
GROWTH: Final = 2.0
LONGEST_WAIT: Final = 5.0  # seconds, jitter included [3.1]
JITTER: Final = (0.2, 0.5)  # share of the wait that is added [3.1]

UNCLEAR_ATTEMPTS: Final = 3  # [3.1]
THROTTLED_ATTEMPTS: Final = 8
CONNECT_ATTEMPTS: Final = FAILURES_BEFORE_SWITCH + 1  # the last one reaches the backup

TOO_MANY_REQUESTS: Final = 429  # not documented, but clear
MAYBE_DONE_STATUS: Final = frozenset({408, 500, 502, 503, 504})  # [3.4]


class Why(StrEnum):
    """Why a call is not sent again."""

    DONE = "it is done"
    PERMANENT = "the same call would get the same answer"
    SIGNATURE = "a fresh signature was refused as well"
    UNSAFE = "sending it again might do it twice"
    ATTEMPTS = "it was tried often enough"
    DEADLINE = "the time for it is up"


@dataclass(frozen=True, slots=True)
class Stop:
    """The outcome stands."""

    why: Why


@dataclass(frozen=True, slots=True)
class Again:
    """Send it once more after `wait` seconds, with a new signature if so said."""

    wait: float
    fresh_signature: bool = False


Decision = Stop | Again
DONE: Final = Stop(Why.DONE)


def decide(
    attempt: int,
    command: Command[Any, Any],
    outcome: Outcome[Any],
    *,
    elapsed: float,
    deadline: float,
    reauthenticated: bool,
    jitter: float,
) -> Decision:
    """What to do after attempt number `attempt` (from 1) of a call.

    `elapsed` and `deadline` are seconds since the call began; a wait that would last until the deadline is not begun.
    `reauthenticated`: the call has already been repeated for its signature. `jitter` is a random number in [0, 1].
    """
    if isinstance(outcome, Answered):
        return DONE
    if isinstance(outcome, Held):
        return Stop(Why.DEADLINE)
    plan = _plan(command, outcome, reauthenticated=reauthenticated)
    if isinstance(plan, Why):
        return Stop(plan)
    if attempt >= plan.attempts:
        return Stop(Why.ATTEMPTS)
    wait = plan.wait(attempt, jitter)
    if elapsed + wait >= deadline:
        return Stop(Why.DEADLINE)
    return Again(wait, plan.fresh_signature)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one kind of trouble is repeated: attempts in all, and the wait after the first of them."""

    attempts: int
    first_wait: float
    fresh_signature: bool = False

    def wait(self, attempt: int, jitter: float) -> float:
        """Grows with each attempt; the jitter stays even where the growth has ended."""
        lowest, highest = JITTER
        grown = min(self.first_wait * GROWTH ** (attempt - 1), LONGEST_WAIT / (1 + highest))
        return grown * (1 + lowest + (highest - lowest) * jitter)


_NO_CONNECTION = _Plan(CONNECT_ATTEMPTS, FIRST_WAIT)
_UNCLEAR = _Plan(UNCLEAR_ATTEMPTS, FIRST_WAIT)
_THROTTLED = _Plan(THROTTLED_ATTEMPTS, FIRST_WAIT_THROTTLED)
_REAUTHENTICATE = _Plan(THROTTLED_ATTEMPTS + 1, 0.0, fresh_signature=True)  # once, whatever came before


def _plan(
    command: Command[Any, Any], outcome: Refused | Dropped | NotSent | Unclear, *, reauthenticated: bool
) -> _Plan | Why:
    """The plan for this kind of trouble, or why there is none."""
    if isinstance(outcome, NotSent):
        return _NO_CONNECTION
    if isinstance(outcome, Dropped):
        return _THROTTLED
    if isinstance(outcome, Unclear):
        return _plan_for_unclear(command, outcome.http_status)
    again = _again(command, outcome)
    if again is codes.Again.AFTER_WAIT:
        return _THROTTLED
    if again is codes.Again.FRESH_SIGNATURE:
        return Why.SIGNATURE if reauthenticated else _REAUTHENTICATE
    if again is codes.Again.IF_REPEATABLE:
        return _if_repeatable(command)
    return Why.PERMANENT


def _plan_for_unclear(command: Command[Any, Any], http_status: int | None) -> _Plan | Why:
    if http_status == TOO_MANY_REQUESTS:
        return _THROTTLED
    if http_status is None or http_status in MAYBE_DONE_STATUS:
        return _if_repeatable(command)
    return Why.PERMANENT


def _if_repeatable(command: Command[Any, Any]) -> _Plan | Why:
    return Why.UNSAFE if command.retry is Retry.UNSAFE else _UNCLEAR


def standing(command: Command[Any, Any], earlier: Failure | None, last: Failure) -> Failure:
    """The outcome to report: one that may have been carried out outlives a later one that surely was not."""
    if earlier is None or maybe_done(command, last):
        return last
    final = isinstance(last, Refused) and _again(command, last) is codes.Again.NEVER
    return last if final else earlier


def maybe_done(command: Command[Any, Any], outcome: Failure) -> bool:
    """May this attempt have been carried out although it failed? Commands that only read leave nothing behind."""
    if command.retry is Retry.READ:
        return False
    if isinstance(outcome, Refused):
        return _again(command, outcome) is codes.Again.IF_REPEATABLE
    return isinstance(outcome, Unclear) and outcome.http_status != TOO_MANY_REQUESTS


def over_the_ceiling(command: Command[Any, Any], outcome: Failure) -> bool:
    """Does this say that the command as a whole is called too often, rather than for one group or one message?"""
    if isinstance(outcome, Unclear):
        return outcome.http_status == TOO_MANY_REQUESTS
    if not isinstance(outcome, Refused):
        return False
    row = codes.look_up(command.service, command.name, outcome.code)
    return row.again is codes.Again.AFTER_WAIT and row.service == codes.ANY


def _again(command: Command[Any, Any], refused: Refused) -> codes.Again:
    return codes.look_up(command.service, command.name, refused.code).again


OutcomeT = TypeVar("OutcomeT")


@dataclass(frozen=True, slots=True)
class Tried(Generic[OutcomeT]):
    """An attempt that was made: what came of it, and what follows."""

    outcome: OutcomeT
    decision: Decision


async def repeat(
    first: Tried[OutcomeT],
    attempt: Callable[[], Awaitable[Tried[OutcomeT]]],
    sleep: Callable[[float], Awaitable[None]],
) -> Tried[OutcomeT]:
    """Have tenacity make attempts for as long as the decision on the last one says so; returns the last one.

    The first attempt comes in as made: setting tenacity up costs a fair share of a call, which a call that succeeds at
    once need not pay.
    """
    made = [first]

    async def next_attempt() -> Tried[OutcomeT]:
        return made.pop() if made else await attempt()

    repeating = AsyncRetrying(
        retry=retry_if_result(lambda tried: isinstance(tried.decision, Again)),
        wait=_decided_wait,
        stop=stop_never,  # the decision says when to stop
        sleep=sleep,
    )
    return await repeating(next_attempt)


def _decided_wait(state: RetryCallState) -> float:
    tried: Tried[Any] = state.outcome.result()  # type: ignore[union-attr]
    return tried.decision.wait if isinstance(tried.decision, Again) else 0.0
