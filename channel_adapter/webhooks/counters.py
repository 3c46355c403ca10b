"""Counters of a receiver and its inbox. Counts only grow."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from channel_adapter.webhooks.verify import Reason

RECEIVED, STORED, DECIDED = "received", "stored", "decided"
DUPLICATES, HANDLED, FAILED, DEAD = "duplicates", "handled", "failed", "dead"
COUNTS: Final = (RECEIVED, STORED, DECIDED, DUPLICATES, HANDLED, FAILED, DEAD)
"""Names of counters, in the order in which they are shown."""
_REFUSED = "refused."


class Counters:
    """Counts by name: received = stored + decided (before-webhooks) + duplicates + refused, as each gets one answer."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._shared: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Add to the counter of one of the names above."""
        if number:
            self._counts[name] += number

    def refuse(self, reason: Reason) -> None:
        """Count a refused request by its reason."""
        self._counts[f"{_REFUSED}{reason.value}"] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    @property
    def refused(self) -> dict[str, int]:
        """The number of refused requests by reason."""
        return {name.removeprefix(_REFUSED): n for name, n in self._counts.items() if name.startswith(_REFUSED)}

    def snapshot(self) -> dict[str, int]:
        """Return all counts by name."""
        return dict(self._counts)

    def take_unshared(self) -> Mapping[str, int]:
        """Return what was counted since the last call."""
        fresh = self._counts - self._shared
        self._shared = self._counts.copy()
        return fresh

    def restore(self, counts: Mapping[str, int]) -> None:
        """Make the next `take_unshared` return these counts again: they could not be shared."""
        self._shared.subtract(counts)
