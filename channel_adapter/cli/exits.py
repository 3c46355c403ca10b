"""Exit codes, in one place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from channel_adapter.domain.subscription import DONE, OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    InvalidError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)


class Exit(IntEnum):
    """Exit codes of all commands."""

    DONE = 0
    REFUSED = 1  # refused by the service or by a rule of ours; a difference was found; or a fault in this program
    USAGE = 2  # wrong options, a file that is not there; settings, console or plan that do not allow it
    PARTLY = 3  # some was done, the rest is reported
    INTERRUPTED = 4  # Ctrl-C; what was done before stays done
    SERVICE = 7  # the service or the network failed


SERVICE_FAILED = (UnavailableError, OutcomeUnknownError, ThrottledError)


class UsageError(Exception):
    """Raised for a command line, or a file that it names, that cannot be used. `str()` is one sentence."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@contextmanager
def read_option(field: str | None = None) -> Iterator[None]:
    """Raise UsageError for an InvalidError in the block, which parses an option."""
    try:
        yield
    except InvalidError as wrong:
        raise UsageError(wrong.message, field=field or wrong.field) from None


def for_error(error: ChannelAdapterError | UsageError) -> Exit:
    """Return the exit code by the class of the error: 2 is for the caller to correct, 7 ends by itself."""
    if isinstance(error, UsageError | ConfigurationError):
        return Exit.USAGE
    return Exit.SERVICE if isinstance(error, SERVICE_FAILED) else Exit.REFUSED


def for_counts(counts: Mapping[OutcomeKind, int], broken_lines: int = 0) -> Exit:
    """Return 0 when all users are as asked, 3 when some are, 7 when the service failed for all, else 1."""
    done = sum(count for kind, count in counts.items() if kind in DONE)
    total = sum(counts.values())
    if done == total and not broken_lines:
        return Exit.DONE
    if done:
        return Exit.PARTLY
    failed = counts.get(OutcomeKind.FAILED, 0) + counts.get(OutcomeKind.UNKNOWN, 0)
    return Exit.SERVICE if total and failed == total else Exit.REFUSED
