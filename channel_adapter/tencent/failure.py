"""A call that failed: plain values and one sentence. No URL, no secret, no exception of a lower layer."""

from typing import Any, Final

from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import Command, Retry
from channel_adapter.tencent.codes import CodeRow
from channel_adapter.tencent.retry import Decision, Stop, Why
from channel_adapter.tencent.wire.envelope import Dropped, Failure, Held, NotSent, Refused, TurnedAway, Unclear

CLOCK_TOLERANCE: Final = 60.0  # seconds; a smaller difference is no reason for a refusal
_TEXT_CHARACTERS: Final = 200  # of the service's own words

_WRONG_APP: Final = "the sdkappid is wrong, or this host serves another region"
_PLAIN: Final = {
    codes.SIGNATURE_WRONG_KEY: "the key does not belong to this app",
    codes.SIGNATURE_OF_ANOTHER_APP: _WRONG_APP,
    codes.NO_KEY_ON_RECORD: _WRONG_APP,
    codes.UNKNOWN_APP: _WRONG_APP,
    codes.NOT_APP_ADMIN: "the account that is set as admin is no admin of this app",
}


class CallFailed(Exception):  # noqa: N818
    """The last word on a call. `row` is what is known about the code, when the service named one.

    `attempts` counts those that went to the network; `in_doubt`: an earlier one of them may have been carried out.
    """

    def __init__(
        self,
        command: Command[Any, Any],
        outcome: Failure,
        attempts: int,
        row: CodeRow | None,
        decision: Decision,
        *,
        in_doubt: bool = False,
        clock_skew: float | None = None,
    ) -> None:
        self.service = command.service
        self.command = command.name
        self.outcome = outcome
        self.attempts = attempts
        self.row = row
        self.in_doubt = in_doubt
        renewed = decision == Stop(Why.SIGNATURE)
        what = _sentence(command, outcome, row, _clock_problem(clock_skew) if renewed else None)
        tries = f" ({attempts} attempts)" if attempts > 1 else ""
        super().__init__(f"{command.name} {what}{tries}")


def _sentence(command: Command[Any, Any], outcome: Failure, row: CodeRow | None, clock_problem: str | None) -> str:
    match outcome:
        case Refused(code, text):
            meaning = _meaning(code, row, clock_problem)
            return f"was refused: {meaning} [{code}{quoted(text, meaning)}]"
        case Dropped(reason):
            return f"was dropped by the service: too much at once [{reason}]"
        case Held(reason):
            return f"was not sent: {reason}"
        case NotSent(reason):
            return f"could not be sent: {reason}"
        case TurnedAway(reason):
            return f"was not carried out: {reason}"
        case Unclear(reason):
            return f"{'failed' if command.retry is Retry.READ else 'may or may not have been carried out'}: {reason}"


def _meaning(code: int, row: CodeRow | None, clock_problem: str | None) -> str:
    if code == codes.SIGNATURE_EXPIRED and clock_problem:
        return clock_problem
    return _PLAIN.get(code) or (row.meaning if row else "the code is not known")


def _clock_problem(clock_skew: float | None) -> str:
    """Why a signature made just now counts as expired. `clock_skew` is the server's time minus ours, in seconds."""
    if clock_skew is None or abs(clock_skew) < CLOCK_TOLERANCE:
        return "this machine's clock is wrong, so even a fresh signature has expired"
    side = "behind" if clock_skew > 0 else "ahead of"
    return f"this machine's clock is wrong: it is {duration(abs(clock_skew))} {side} the server's"


def duration(seconds: float) -> str:
    """A span in words: the largest unit that fits, to one place at most."""
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = round(seconds / unit, 1)
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    whole = round(seconds)
    return f"{whole} second{'' if whole == 1 else 's'}"


def quoted(text: str, meaning: str) -> str:
    """The service's own words on one line, cut to a readable length; nothing when they only say it again."""
    words = " ".join(text.split())
    if words.casefold() == meaning.casefold():
        return ""
    shown = words if len(words) <= _TEXT_CHARACTERS else f"{words[:_TEXT_CHARACTERS]}…"
    return f": {shown}" if shown else ""
