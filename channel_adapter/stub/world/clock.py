"""The time of the stub: real until it is frozen, set or moved."""

import time
from typing import Final

LATEST: Final = 2**32 - 1  # seconds: the times of the wire are unsigned numbers of 32 bits [java-sdk]


class StubClock:
    """The time of the stub: real until it is frozen, set or moved.

    Times are Unix seconds from 0 to `LATEST`; for others the methods raise ValueError and change nothing.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        """Return the time of the stub in unix seconds."""
        return time.time() + self._offset if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def freeze(self, at: float | None = None) -> None:
        """Freeze the time at `at` or at the present moment."""
        self._frozen = self.now() if at is None else _checked(at)

    def set(self, at: float) -> None:
        """Jump to `at`; a frozen clock stays frozen, a running one runs on from there."""
        if self._frozen is None:
            self._offset = _checked(at) - time.time()
        else:
            self._frozen = _checked(at)

    def advance(self, seconds: float) -> None:
        """Move by `seconds`, which may be negative."""
        self.set(self.now() + seconds)

    def resume(self) -> None:
        """Follow real time again, without any offset."""
        self._frozen, self._offset = None, 0.0


def _checked(at: float) -> float:
    if not 0 <= at <= LATEST:
        raise ValueError(f"the clock takes Unix seconds from 0 to {LATEST}, not {at:g}")
    return float(at)
