"""The exception of a failed call: plain values and one sentence. No URL, no secret, no exception of a lower layer."""

from typing import Any, Final

from channel_adapter.quoting import duration
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import Command, Idempotency
from channel_adapter.tencent.codes import CodeRow, look_up
from channel_adapter.tencent.wire.envelope import (
    Ambiguous,
    ApiError,
    Failure,
    HttpRejected,
    NotAttempted,
    NotSent,
    Throttled,
)

CLOCK_TOLERANCE: Final = 60.0  # seconds; a smaller difference is no reason for a refusal
_TEXT_CHARACTERS: Final = 200  # of the service's text

_WRONG_APP: Final = "the sdkappid is wrong, or this host serves another region"
_PLAIN: Final = {
    codes.SIGNATURE_WRONG_KEY: "the key does not belong to this app",
    codes.SIGNATURE_OF_ANOTHER_APP: _WRONG_APP,
    codes.NO_KEY_ON_RECORD: _WRONG_APP,
    codes.UNKNOWN_APP: _WRONG_APP,
    codes.NOT_APP_ADMIN: "the account that is set as admin is no admin of this app",
}


class CallFailed(Exception):  # noqa: N818
    """The final outcome of a failed call. `row` is the documented meaning of the code, if the service returned one.

    `attempts` counts those that were sent; `ambiguous`: an earlier one of them may have been carried out. `hint` takes
    the place of the meaning of an expired signature in the text.
    """

    def __init__(
        self,
        command: Command[Any, Any],
        outcome: Failure,
        attempts: int,
        *,
        ambiguous: bool = False,
        hint: str | None = None,
    ) -> None:
        self.service = command.service
        self.command = command.name
        self.outcome = outcome
        self.attempts = attempts
        self.ambiguous = ambiguous
        self.row = look_up(command.service, command.name, outcome.code) if isinstance(outcome, ApiError) else None
        count = f" ({attempts} attempts)" if attempts > 1 else ""
        super().__init__(f"{command.name} {_describe_failure(command, outcome, self.row, hint)}{count}")


def _describe_failure(command: Command[Any, Any], outcome: Failure, row: CodeRow | None, hint: str | None) -> str:
    match outcome:
        case ApiError(code, text):
            meaning = _describe_code(code, row, hint)
            return f"was refused: {meaning} [{code}{quoted(text, meaning)}]"
        case Throttled(reason):
            return f"was dropped by the service: too much at once [{reason}]"
        case NotAttempted(reason):
            return f"was not sent: {reason}"
        case NotSent(reason):
            return f"could not be sent: {reason}"
        case HttpRejected(reason):
            return f"was not carried out: {reason}"
        case Ambiguous(reason):
            reads = command.idempotency is Idempotency.READ
            return f"{'failed' if reads else 'may or may not have been carried out'}: {reason}"


def _describe_code(code: int, row: CodeRow | None, hint: str | None) -> str:
    if code == codes.SIGNATURE_EXPIRED and hint:
        return hint
    return _PLAIN.get(code) or (row.meaning if row else "the code is not known")


def clock_hint(clock_skew: float | None) -> str:
    """Return why a signature made just now has expired. `clock_skew` is the server's time minus ours, in seconds."""
    if clock_skew is None or abs(clock_skew) < CLOCK_TOLERANCE:
        return "this machine's clock is wrong, so even a fresh signature has expired"
    side = "behind" if clock_skew > 0 else "ahead of"
    return f"this machine's clock is wrong: it is {duration(abs(clock_skew))} {side} the server's"


def quoted(text: str, meaning: str) -> str:
    """Return the service's text on one line after a colon, cut to 200 characters; "" if it only repeats `meaning`."""
    words = " ".join(text.split())
    if words.casefold() == meaning.casefold():
        return ""
    shown = words if len(words) <= _TEXT_CHARACTERS else f"{words[:_TEXT_CHARACTERS]}…"
    return f": {shown}" if shown else ""
