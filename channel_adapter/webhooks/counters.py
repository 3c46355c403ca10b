"""What a receiver counts, and the lag of its inbox. Counts only grow; whoever wants a rate subtracts."""

from collections import Counter
from collections.abc import Mapping

from channel_adapter.webhooks.verify import Reason

RECEIVED, STORED, DECIDED = "received", "stored", "decided"
DUPLICATES, HANDLED, FAILED, DEAD = "duplicates", "handled", "failed", "dead"
_REFUSED = "refused."


class Counters:
    """received = stored + decided (before-events) + duplicates known at once + refused: each got one answer."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Count something by one of the names above."""
        if number:
            self._counts[name] += number

    def refuse(self, reason: Reason) -> None:
        """Count a refused request by its reason."""
        self._counts[f"{_REFUSED}{reason.value}"] += 1

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    @property
    def refused(self) -> dict[str, int]:
        """Refused requests by reason."""
        return {name.removeprefix(_REFUSED): n for name, n in self._counts.items() if name.startswith(_REFUSED)}

    def snapshot(self) -> dict[str, int]:
        """All counts by name."""
        return dict(self._counts)

    def news(self) -> Mapping[str, int]:
        """What was counted since the last time this was asked."""
        fresh = self._counts - self._told
        self._told = self._counts.copy()
        return fresh

    def give_back(self, news: Mapping[str, int]) -> None:
        """What `news` gave out could not be told: give it out again."""
        self._told.subtract(news)
