"""Exit codes, in one place."""

from collections.abc import Mapping
from enum import IntEnum

from channel_adapter.domain.subscription import DONE, OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)


class Exit(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    REFUSED = 1  # the service or a rule of ours said no; nothing was done
    USAGE = 2  # wrong options, a file that is not there, settings that cannot be used
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


class SettingsError(UsageError):
    """The settings file or the environment cannot be used."""


def for_error(error: ChannelAdapterError) -> Exit:
    """1 or 7: nothing here was found out before the service was asked, except broken rules."""
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
