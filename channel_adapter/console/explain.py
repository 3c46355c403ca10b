"""Errors of the adapter in words for operators: what happened, what to do, and the status of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from channel_adapter.console.i18n import message
from channel_adapter.domain.subscription import DONE
from channel_adapter.errors import ChannelAdapterError


class _Words(NamedTuple):
    status: int
    heading: str
    advice: str


_WORDS: Final = {
    "configuration": _Words(
        500, message("The settings do not allow this"), message("Correct the settings, the console or the plan.")
    ),
    "unsupported": _Words(
        409, message("The service cannot do this in this mode"), message("Nothing was done; the reason is below.")
    ),
    "authentication": _Words(
        500,
        message("The service does not accept the key, the app or the clock"),
        message("The doctor page says which."),
    ),
    "permission": _Words(403, message("The account may not do this"), message("Choose its owner or an administrator.")),
    "not_found": _Words(404, message("This does not exist"), message("It may have been deleted meanwhile.")),
    "conflict": _Words(
        409,
        message("This is taken, or was changed meanwhile"),
        message("Compare, then choose another value or repeat."),
    ),
    "invalid": _Words(422, message("A value cannot be used"), message("Correct the field; nothing was sent.")),
    "limit": _Words(409, message("A limit of the plan is reached"), message("Free some room or change the plan.")),
    "refused": _Words(409, message("The service refused this"), message("The reason is below; nothing was changed.")),
    "throttled": _Words(
        503, message("The service is asking for fewer calls"), message("Nothing was done. Try again in a moment.")
    ),
    "unavailable": _Words(
        503, message("The service does not answer"), message("Nothing was done. Try again; the doctor page has more.")
    ),
    "outcome_unknown": _Words(
        503,
        message("It is not known whether this was done"),
        message("Sending the form again unchanged is safe: nothing is published twice."),
    ),
}
_DONE: Final = message(
    "It was done, as the log says; only this page failed. Look at the log before you send the form again."
)
_PARTLY: Final = message("It was done for some of the users. Sending the form again is safe: it is done for the rest.")
_OTHER: Final = _Words(500, message("This failed"), message("The log has more."))


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An error as a page shows it. `field` is the field of the form that is wrong; `detail` is in English."""

    status: int
    heading: str
    advice: str
    detail: str
    field: str
    code: int | None


def explain(error: ChannelAdapterError, gettext: Callable[[str], str], *, is_done: bool = False) -> ErrorText:
    """Return an error in the words of a language; `is_done`: it came after the write that the request asked for."""
    words = _WORDS.get(error.kind, _OTHER)
    advice = words.advice
    if is_done:
        advice = _DONE
    elif any(each.kind in DONE for each in error.outcomes or ()):
        advice = _PARTLY
    return ErrorText(
        words.status, gettext(words.heading), gettext(advice), error.message, error.field or "", error.code
    )
