"""The log of DBOS goes into ours, and DBOS creates no console of its own."""

import logging
from typing import Final

from channel_adapter.concurrency.logs import get_logger
from channel_adapter.tencent.redaction import redact_text

_EXPECTED: Final = "Asyncio task cancelled"  # a job that stops with its process and goes on in another one

log = get_logger("channel_adapter.durable")


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        message = redact_text(record.getMessage())[:500]
        level = logging.DEBUG if message.startswith(_EXPECTED) else record.levelno
        log.log(level, "durable.dbos", message=message)


def log_failure(event: str, error: Exception) -> None:
    """Log that something failed which is tried again."""
    log.warning(event, error=redact_text(f"{type(error).__name__}: {error}")[:200])


def redirect_logs() -> None:
    """Send records of the logger `dbos` to the logger `channel_adapter.durable`."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _ToStructlog) for handler in logger.handlers):
        logger.handlers[:] = [_ToStructlog()]
        logger.propagate = False
