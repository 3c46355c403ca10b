"""How late answers are."""

from random import Random


class Latency:
    """Seconds by which every answer is late: `base`, and up to `spread` more, drawn from the seed."""

    def __init__(self, base: float = 0.0, spread: float = 0.0, seed: int = 0) -> None:
        self.base = base
        self.spread = spread
        self._random = Random(seed)  # noqa: S311 - a delay that can be repeated

    def next(self) -> float:
        """Seconds to wait before the next answer."""
        return self.base + self._random.random() * self.spread if self.spread else self.base
