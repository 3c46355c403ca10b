"""Callbacks of the application whose result and exceptions change nothing."""

import traceback
from collections.abc import Callable
from typing import Generic, ParamSpec

from channel_adapter.concurrency.logs import get_logger
from channel_adapter.tencent.redaction import redact_text

log = get_logger("channel_adapter.callbacks")

P = ParamSpec("P")


class Notifier(Generic[P]):
    """Call a callback; its exceptions are logged, the first one only, and not raised.

    `name` is the parameter by which the application passed it.
    """

    def __init__(self, name: str, callback: Callable[P, object]) -> None:
        self._name = name
        self._callback = callback
        self._failed = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            self._callback(*args, **kwargs)
        except Exception:  # noqa: BLE001 - what was done must not fail when a callback does
            if not self._failed:
                self._failed = True
                trace = redact_text(traceback.format_exc())  # a structlog traceback would show local variables
                log.warning("callback.failed", callback=self._name, traceback=trace)
