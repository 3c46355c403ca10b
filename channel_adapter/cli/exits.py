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
    """What a command tells the shell."""

    DONE = 0
    REFUSED = 1  # the service or a rule of ours said no; nothing was done
    USAGE = 2  # wrong options, a file that is not there; settings, console or plan that do not allow it
    PARTLY = 3  # some was done, the rest is reported
    INTERRUPTED = 4  # Ctrl-C; what was done before stays done
    SERVICE = 7  # the service or the network failed


SERVICE_FAILED = (UnavailableError, OutcomeUnknownError, ThrottledError)


class UsageError(Exception):
    """The command line, a file it names, or what stands in it cannot be used. `str()` is one sentence."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@contextmanager
def read_option(field: str | None = None) -> Iterator[None]:
    """Around what takes an option apart: a word that cannot be read is a usage error, not a refusal."""
    try:
        yield
    except InvalidError as wrong:
        raise UsageError(wrong.message, field=field or wrong.field) from None


def for_error(error: ChannelAdapterError | UsageError) -> Exit:
    """By the class of the error alone, wherever it arose: 2 is for who starts the command to mend, 7 mends itself."""
    if isinstance(error, UsageError | ConfigurationError):
        return Exit.USAGE
    return Exit.SERVICE if isinstance(error, SERVICE_FAILED) else Exit.REFUSED


def for_counts(counts: Mapping[OutcomeKind, int], broken_lines: int = 0) -> Exit:
    """0 when everybody is as asked, 3 when some are, else 1, or 7 when it was the service's fault for all."""
    done = sum(count for kind, count in counts.items() if kind in DONE)
    total = sum(counts.values())
    if done == total and not broken_lines:
        return Exit.DONE
    if done:
        return Exit.PARTLY
    return Exit.SERVICE if total and counts.get(OutcomeKind.FAILED, 0) == total else Exit.REFUSED
