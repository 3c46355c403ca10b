"""The world's time: real until it is frozen, set or moved."""

import time


class StubClock:
    """Unix seconds for everything the stub stamps or lets expire."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        """Unix seconds as the world sees them."""
        return time.time() + self._offset if self._frozen is None else self._frozen

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    def freeze(self, at: float | None = None) -> None:
        """Stand still, at `at` or at the present moment."""
        self._frozen = self.now() if at is None else float(at)

    def set(self, at: float) -> None:
        """Jump to `at`; a frozen clock stays frozen, a running one runs on from there."""
        if self._frozen is None:
            self._offset = at - time.time()
        else:
            self._frozen = float(at)

    def advance(self, seconds: float) -> None:
        """Move by `seconds`, which may be negative."""
        if self._frozen is None:
            self._offset += seconds
        else:
            self._frozen += seconds

    def resume(self) -> None:
        """Follow real time again, without any offset."""
        self._frozen, self._offset = None, 0.0
