"""Loggers of this package: structlog as the app configures it, else one line with date and level once."""

import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import WrappedLogger


def get_logger(name: str) -> Any:
    """Return a structlog logger over the logger of `logging` with this name.

    Where the app has called `structlog.configure`, its processors run. Else an event becomes `event key=value`; the
    handlers of `logging` add date and level, and where there is no handler the line has them itself.
    """
    return structlog.wrap_logger(logging.getLogger(name), processors=[_process_event])


def _process_event(logger: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> Any:
    if not structlog.is_configured():
        return _format_line(logger, method, structlog.processors.format_exc_info(logger, method, event))
    result: Any = event
    for processor in structlog.get_config()["processors"]:
        result = processor(logger, method, result)
    return result


def _format_line(logger: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> str:
    level = "ERROR" if method == "exception" else method.upper()
    if not logger.isEnabledFor(logging.getLevelNamesMapping().get(level, logging.ERROR)):
        raise structlog.DropEvent
    text, exception = str(event.pop("event", "")), event.pop("exception", None)
    line = " ".join([text, *(f"{name}={_format_value(value)}" for name, value in event.items())])
    if not logger.hasHandlers():
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {level} {line}"
    return f"{line}\n{exception}" if exception else line


def _format_value(value: Any) -> str:
    text = str(value)
    return text if isinstance(value, int | float) or (text and not set(text) & set(" \"'=\n")) else repr(text)
