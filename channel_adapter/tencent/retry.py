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
from channel_adapter.tencent.catalog import Command, Retry
from channel_adapter.tencent.transport import FAILURES_BEFORE_SWITCH
from channel_adapter.tencent.wire.envelope import (
    TOO_MANY_REQUESTS,
    Answered,
    Dropped,
    Failure,
    Held,
    NotSent,
    Outcome,
    Refused,
    TurnedAway,
    Unclear,
)

FIRST_WAIT: Final = 0.3  # seconds [3.1]
FIRST_WAIT_THROTTLED: Final = 1.0  # seconds; limits count per second [3.1]
GROWTH: Final = 2.0
LONGEST_WAIT: Final = 5.0  # seconds, jitter included [3.1]
JITTER: Final = (0.2, 0.5)  # share of the wait that is added [3.1]

UNCLEAR_ATTEMPTS: Final = 3  # [3.1]
THROTTLED_ATTEMPTS: Final = 8
CONNECT_ATTEMPTS: Final = FAILURES_BEFORE_SWITCH + 1  # the last one reaches the backup
SIGNATURE_ATTEMPTS: Final = 2  # a fresh one once, whatever else happens to the call

NEEDED_SHARE: Final = 0.1  # of the time for a call: an attempt that had less than that would hardly be answered
PASSING_STATUSES: Final = frozenset({408, 500, 502, 503, 504})  # the next attempt may well be answered [3.4]


class Trouble(StrEnum):
    """What stood in the way of an attempt. Each kind has its own count, and its own waits."""

    NO_CONNECTION = "no connection"
    UNCLEAR = "no usable answer"
    THROTTLED = "too fast"
    SIGNATURE = "the signature was refused"


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


def decide(trouble: Trouble | Why, times: int, *, elapsed: float, latest: float, jitter: float) -> Decision:
    """What to do after an attempt that ended in `trouble`, which has happened `times` times in this call, from 1.

    `elapsed` and `latest` are seconds since the call began: no attempt may begin at `latest` or after it. `jitter` is
    a random number in [0, 1].
    """
    if isinstance(trouble, Why):
        return Stop(trouble)
    plan = _PLANS[trouble]
    if times >= plan.attempts:
        return Stop(plan.in_the_end)
    wait = plan.wait(times, jitter)
    if elapsed + wait >= latest:
        return Stop(Why.DEADLINE)
    return Again(wait, fresh_signature=trouble is Trouble.SIGNATURE)


def latest_start(total: float, attempt: float) -> float:
    """Seconds into a call of `total` seconds after which no attempt begins. `attempt` is the timeout of one."""
    return total - min(total * NEEDED_SHARE, attempt)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one kind of trouble is repeated: attempts that may end in it, and the wait after the first of them."""

    attempts: int
    first_wait: float
    in_the_end: Why = Why.ATTEMPTS

    def wait(self, times: int, jitter: float) -> float:
        """Grows each time; the jitter stays even where the growth has ended."""
        lowest, highest = JITTER
        grown = min(self.first_wait * GROWTH ** (times - 1), LONGEST_WAIT / (1 + highest))
        return grown * (1 + lowest + (highest - lowest) * jitter)


_PLANS: Final = {
    Trouble.NO_CONNECTION: _Plan(CONNECT_ATTEMPTS, FIRST_WAIT),
    Trouble.UNCLEAR: _Plan(UNCLEAR_ATTEMPTS, FIRST_WAIT),
    Trouble.THROTTLED: _Plan(THROTTLED_ATTEMPTS, FIRST_WAIT_THROTTLED),
    Trouble.SIGNATURE: _Plan(SIGNATURE_ATTEMPTS, 0.0, Why.SIGNATURE),
}


def trouble_of(command: Command[Any, Any], outcome: Outcome[Any]) -> Trouble | Why:
    """The kind of trouble that another attempt may end, or why none may be made."""
    match outcome:
        case Answered():
            return Why.DONE
        case Held():
            return Why.DEADLINE
        case NotSent(_, lasting):
            return Why.PERMANENT if lasting else Trouble.NO_CONNECTION
        case Dropped():
            return Trouble.THROTTLED
        case TurnedAway(_, http_status):
            return Trouble.THROTTLED if http_status == TOO_MANY_REQUESTS else Why.PERMANENT
        case Unclear(_, http_status):
            passing = http_status is None or http_status in PASSING_STATUSES
            return _if_repeatable(command) if passing else Why.PERMANENT
        case Refused():
            return _trouble_of_refusal(command, outcome)


def _trouble_of_refusal(command: Command[Any, Any], refused: Refused) -> Trouble | Why:
    again = _again(command, refused)
    if again is codes.Again.AFTER_WAIT:
        return Trouble.THROTTLED
    if again is codes.Again.FRESH_SIGNATURE:
        return Trouble.SIGNATURE
    if again is codes.Again.IF_REPEATABLE:
        return _if_repeatable(command)
    return Why.PERMANENT


def _if_repeatable(command: Command[Any, Any]) -> Trouble | Why:
    return Why.UNSAFE if command.retry is Retry.UNSAFE else Trouble.UNCLEAR


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
    return isinstance(outcome, Unclear)


def over_the_ceiling(command: Command[Any, Any], outcome: Failure) -> bool:
    """Does this say that the command as a whole is called too often, rather than for one group or one message?"""
    if isinstance(outcome, TurnedAway):
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
