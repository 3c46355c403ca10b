"""What -v and --debug show, without secrets."""

import logging
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from channel_adapter.cli.output import Output

if TYPE_CHECKING:
    from channel_adapter.tencent.client import Attempt

_SIGNATURE = re.compile(r"(usersig=)[^&\s'\"]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """`text` without signatures."""
    return _SIGNATURE.sub(r"\1***", text)


def configure_logs(verbose: int) -> None:
    """Log events go to stderr: warnings always off, since errors are told once; -v shows them, -vv all."""
    level = {0: logging.CRITICAL, 1: logging.WARNING}.get(verbose, logging.DEBUG)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def tell_attempts(output: Output) -> Callable[["Attempt"], None]:
    """An observer that writes one line for every attempt on the wire: command, outcome and time, no body, no URL."""

    def tell(attempt: "Attempt") -> None:
        code = f" {attempt.code}" if attempt.code is not None else ""
        repeat = f" (attempt {attempt.number})" if attempt.number > 1 else ""
        took = f"{attempt.seconds * 1000:.0f} ms"
        output.note(f"{attempt.service}/{attempt.command}{repeat}: {attempt.outcome_kind}{code}, {took}")

    return tell
