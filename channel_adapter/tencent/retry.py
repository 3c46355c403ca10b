"""Whether a call is sent again, and after what wait, by its outcome, HTTP status and error code.

A pure decision, carried out by `concurrency.retry`. It also depends on the idempotency of the command [rest basics
3]. An attempt that was rejected or lost before it was carried out may always be repeated. One that may have been
carried out is repeated only if a second execution is harmless.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from channel_adapter.concurrency.retry import Backoff
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import Command, Idempotency
from channel_adapter.tencent.transport import FAILURES_BEFORE_SWITCH
from channel_adapter.tencent.wire.envelope import (
    TOO_MANY_REQUESTS,
    Ambiguous,
    ApiError,
    AttemptOutcome,
    Failure,
    HttpRejected,
    NotAttempted,
    NotSent,
    Success,
    Throttled,
)

FIRST_WAIT: Final = 0.3  # seconds [3.1]
FIRST_WAIT_THROTTLED: Final = 1.0  # seconds; limits count per second [3.1]
MAX_WAIT: Final = 5.0  # seconds, jitter included [3.1]
JITTER: Final = (0.2, 0.5)  # share of the wait that is added [3.1]

AMBIGUOUS_ATTEMPTS: Final = 3  # [3.1]
THROTTLED_ATTEMPTS: Final = 8
CONNECT_ATTEMPTS: Final = FAILURES_BEFORE_SWITCH + 1  # the last one reaches the backup
SIGNATURE_ATTEMPTS: Final = 2  # a new signature once, whatever else happens to the call

MIN_ATTEMPT_SHARE: Final = 0.1  # of the time for a call: an attempt with less than that would hardly succeed

TRANSIENT_STATUSES: Final = frozenset({408, 500, 502, 503, 504})  # the next attempt may succeed [3.4]


class FailureClass(StrEnum):
    """Classes of failures that another attempt may end. Each has its own count of attempts and its own waits."""

    NO_CONNECTION = "no connection"
    AMBIGUOUS = "no usable response"
    THROTTLED = "throttled"
    SIGNATURE = "signature refused"


class StopReason(StrEnum):
    """Why a call is not sent again."""

    DONE = "it succeeded"
    PERMANENT = "the same call would get the same answer"
    SIGNATURE = "a new signature was refused as well"
    UNSAFE = "a second execution might not be harmless"
    ATTEMPTS = "its attempts are used up"
    DEADLINE = "its time is up"


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make no further attempt: the outcome is final."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Retry:
    """Make another attempt after `wait` seconds; `new_signature`: with a new UserSig."""

    wait: float
    new_signature: bool = False


Decision = GiveUp | Retry
DONE: Final = GiveUp(StopReason.DONE)


def decide(failure: FailureClass | StopReason, times: int, *, elapsed: float, latest: float, jitter: float) -> Decision:
    """Decide what follows an attempt that ended in `failure`, for the `times`-th time in this call, from 1 on.

    `elapsed` and `latest` are seconds since the call began: no attempt may begin at `latest` or after it. `jitter` is
    a random number in [0, 1].
    """
    if isinstance(failure, StopReason):
        return GiveUp(failure)
    plan = _PLANS[failure]
    if times >= plan.attempts:
        return GiveUp(plan.exhausted)
    wait = plan.backoff.wait_after(times, jitter)
    if elapsed + wait >= latest:
        return GiveUp(StopReason.DEADLINE)
    return Retry(wait, new_signature=failure is FailureClass.SIGNATURE)


def latest_start(total: float, attempt: float) -> float:
    """Return the seconds into a call of `total` seconds after which no attempt begins; `attempt` is its timeout."""
    return total - min(total * MIN_ATTEMPT_SHARE, attempt)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Number of attempts that may end in one class of failure, the waits between them, and the reason at the end."""

    attempts: int
    backoff: Backoff
    exhausted: StopReason = StopReason.ATTEMPTS


_PLANS: Final = {
    FailureClass.NO_CONNECTION: _Plan(CONNECT_ATTEMPTS, Backoff(FIRST_WAIT, MAX_WAIT, JITTER)),
    FailureClass.AMBIGUOUS: _Plan(AMBIGUOUS_ATTEMPTS, Backoff(FIRST_WAIT, MAX_WAIT, JITTER)),
    FailureClass.THROTTLED: _Plan(THROTTLED_ATTEMPTS, Backoff(FIRST_WAIT_THROTTLED, MAX_WAIT, JITTER)),
    FailureClass.SIGNATURE: _Plan(SIGNATURE_ATTEMPTS, Backoff(0.0, MAX_WAIT), StopReason.SIGNATURE),
}


def failure_class(command: Command[Any, Any], outcome: AttemptOutcome[Any]) -> FailureClass | StopReason:
    """Return the class of a failure that another attempt may end, or why no other attempt is made."""
    match outcome:
        case Success():
            return StopReason.DONE
        case NotAttempted():
            return StopReason.DEADLINE
        case NotSent(_, permanent):
            return StopReason.PERMANENT if permanent else FailureClass.NO_CONNECTION
        case Throttled():
            return FailureClass.THROTTLED
        case HttpRejected(_, http_status):
            return FailureClass.THROTTLED if http_status == TOO_MANY_REQUESTS else StopReason.PERMANENT
        case Ambiguous(_, http_status):
            transient = http_status is None or http_status in TRANSIENT_STATUSES
            return _class_if_repeatable(command) if transient else StopReason.PERMANENT
        case ApiError():
            return _class_of_error(command, outcome)


def _class_of_error(command: Command[Any, Any], error: ApiError) -> FailureClass | StopReason:
    match _repeat_rule(command, error):
        case codes.Repeat.AFTER_WAIT:
            return FailureClass.THROTTLED
        case codes.Repeat.NEW_SIGNATURE:
            return FailureClass.SIGNATURE
        case codes.Repeat.IF_REPEATABLE:
            return _class_if_repeatable(command)
        case codes.Repeat.NEVER | codes.Repeat.LATER:
            return StopReason.PERMANENT


def _class_if_repeatable(command: Command[Any, Any]) -> FailureClass | StopReason:
    return StopReason.UNSAFE if command.idempotency is Idempotency.UNSAFE else FailureClass.AMBIGUOUS


def final_outcome(command: Command[Any, Any], ambiguous: Failure | None, last: Failure) -> Failure:
    """Return the outcome to report: an earlier attempt that may have been applied outranks a later one that was not.

    A permanent error of the last attempt is reported nevertheless.
    """
    if ambiguous is None or possibly_applied(command, last):
        return last
    permanent = isinstance(last, ApiError) and _repeat_rule(command, last) is codes.Repeat.NEVER
    return last if permanent else ambiguous


def possibly_applied(command: Command[Any, Any], outcome: Failure) -> bool:
    """Return whether a failed attempt may have been carried out; False for commands that only read."""
    if command.idempotency is Idempotency.READ:
        return False
    if isinstance(outcome, ApiError):
        return _repeat_rule(command, outcome) is codes.Repeat.IF_REPEATABLE
    return isinstance(outcome, Ambiguous)


def exceeds_command_limit(command: Command[Any, Any], outcome: Failure) -> bool:
    """Return whether the command as a whole is called too often, rather than for one group or one message."""
    if isinstance(outcome, HttpRejected):
        return outcome.http_status == TOO_MANY_REQUESTS
    if not isinstance(outcome, ApiError):
        return False
    row = codes.look_up(command.service, command.name, outcome.code)
    return row.repeat is codes.Repeat.AFTER_WAIT and row.service == codes.ANY


def _repeat_rule(command: Command[Any, Any], error: ApiError) -> codes.Repeat:
    return codes.look_up(command.service, command.name, error.code).repeat
