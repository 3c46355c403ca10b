"""What -v and --debug show, without secrets."""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from channel_adapter.cli.output import Output
from channel_adapter.mapping.text import printable
from channel_adapter.tencent.redaction import redact

if TYPE_CHECKING:
    from channel_adapter.tencent.client import Attempt

LOGGER = "channel_adapter.tencent"


class _PrintableFormatter(logging.Formatter):
    """Formats records for a terminal; only their line breaks, as in a traceback, stay control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def configure_logs(verbose: int) -> None:
    """Log events go to stderr: none without -v, since errors are told once.

    With -v only warnings: the calls are told by an observer. With -vv why each call is repeated or given up too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger(LOGGER).setLevel({0: logging.CRITICAL, 1: logging.WARNING}.get(verbose, logging.DEBUG))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.LogfmtRenderer(key_order=["level", "event"], bool_as_flag=False),
        ]
    )


def tell_attempts(output: Output) -> Callable[["Attempt"], None]:
    """An observer that writes one line for every attempt on the wire: command, outcome and time, no body, no URL."""

    def tell(attempt: "Attempt") -> None:
        code = f" {attempt.code}" if attempt.code is not None else ""
        repeat = f" (attempt {attempt.number})" if attempt.number > 1 else ""
        took = f"{attempt.seconds * 1000:.0f} ms"
        output.note(f"{attempt.service}/{attempt.command}{repeat}: {attempt.outcome_kind}{code}, {took}")

    return tell
