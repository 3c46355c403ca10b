"""What would fill the log while something is down is told once in a while."""

import time
from collections.abc import Callable
from typing import Final

QUIET_SECONDS: Final = 10.0


class Seldom:
    """True for a kind of news that was not told in the last ten seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: dict[str, float] = {}

    def __call__(self, kind: str = "") -> bool:
        now = self._now()
        if now - self._told.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._told[kind] = now
        return True
