"""How often events are tried again: attempts of an event, and outages, which use up none."""

from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.retry import Backoff
from channel_adapter.errors import ThrottledError, UnavailableError

MAX_WAIT: Final = 60.0
_MAX_OUTAGE_WAIT: Final = 10.0  # so that handling continues soon after an outage
_OUTAGES_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an event is tried, and the wait after the first failure in seconds; it doubles, to a minute at most.

    While the service or a store is unavailable, for `away_seconds` at most, no attempt is used up.
    """

    attempts: int = 5
    first_wait: float = 1.0
    away_seconds: float = 3600.0

    def wait_after(self, attempt: int) -> float | None:
        """Return the seconds to wait after the attempt of this number, from 1 on; None if it was the last."""
        if attempt >= self.attempts:
            return None
        return Backoff(self.first_wait, MAX_WAIT).wait_after(attempt)


class Outages:
    """Since when events have met nothing but an unavailable service or store."""

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._since: LRUCache[str, tuple[float, int]] = LRUCache(_OUTAGES_KNOWN)

    def wait_after(self, key: str, error: BaseException) -> float | None:
        """Return the seconds to wait; None for a failure that uses up an attempt."""
        if not isinstance(error, (UnavailableError, ThrottledError)):
            self._since.pop(key, None)
            return None
        now = self._clock.monotonic()
        since, times = self._since.get(key, (now, 0))
        if now - since >= self._policy.away_seconds:
            return None
        self._since[key] = since, times + 1
        return Backoff(self._policy.first_wait, _MAX_OUTAGE_WAIT).wait_after(times + 1)

    def end(self, key: str) -> None:
        """Forget an event that is handled."""
        if self._since:
            self._since.pop(key, None)
