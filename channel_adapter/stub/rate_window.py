"""Calls per second: one token bucket per command, filled and drained on the world's clock [rest basics 1.7].

How the real service counts (sliding or fixed window) is not documented. A bucket of one second's calls never refuses
a caller that keeps to the documented rate, whatever second it starts in.
"""

from collections.abc import Mapping


class RateWindow:
    """A bucket that holds one second of calls and refills at the same rate."""

    __slots__ = ("_at", "_capacity", "_per_second", "_tokens")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._capacity = max(1.0, per_second)
        self._tokens = self._capacity
        self._at = now

    def take(self, now: float) -> bool:
        """True when a call at `now` (seconds) is within the rate; a refused call costs nothing."""
        elapsed = now - self._at
        self._at = now
        tokens = self._tokens
        if elapsed > 0:  # a clock that was set back gives nothing and takes nothing
            tokens = min(self._capacity, tokens + elapsed * self._per_second)
        allowed = tokens >= 1.0
        self._tokens = tokens - 1.0 if allowed else tokens
        return allowed


class RateWindows:
    """The buckets of an app by command path (`service/command`); a command without a rate is not limited."""

    def __init__(self, calls_per_second: Mapping[str, float]) -> None:
        self._rates = dict(calls_per_second)
        self._windows: dict[str, RateWindow] = {}

    def take(self, path: str, now: float) -> bool:
        """Count one call of `path` at `now`; False when it is over the rate."""
        window = self._windows.get(path)
        if window is None:
            rate = self._rates.get(path)
            if rate is None:
                return True
            window = self._windows[path] = RateWindow(rate, now)
        return window.take(now)

    def rate(self, path: str) -> float | None:
        """Calls per second allowed for `path`, None when it is not limited."""
        return self._rates.get(path)
