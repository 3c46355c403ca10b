"""Calls per second: one token bucket per command on the clock of the stub [rest basics 1.7], and the rate alarm.

How the real service counts (sliding or fixed window) is not documented. A bucket of one second's calls never refuses
a caller that keeps to the documented rate, whatever second it starts in. The alarm is the webhook that the app gets
when a command is called at over 80 % of its rate [doc 60256].
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from channel_adapter.stub.world.context import CallbackEvent
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire.callbacks_other import RequestOverLimit


class RateWindow:
    """A bucket that holds one second of calls and refills at the same rate."""

    __slots__ = ("_at", "_capacity", "_per_second", "_tokens")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._capacity = max(1.0, per_second)
        self._tokens = self._capacity
        self._at = now

    def acquire(self, now: float) -> bool:
        """Return whether a call at `now` (seconds) is within the rate; a refused call does not count."""
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

    def acquire(self, path: str, now: float) -> bool:
        """Count one call of `path` at `now`; False when it is over the rate."""
        window = self._windows.get(path)
        if window is None:
            rate = self._rates.get(path)
            if rate is None:
                return True
            window = self._windows[path] = RateWindow(rate, now)
        return window.acquire(now)

    def rate(self, path: str) -> float | None:
        """Return the calls per second allowed for `path`, None when it is not limited."""
        return self._rates.get(path)


SHARE: Final = 0.8  # of the calls per second allowed [rest basics 5.3]
QUIET_SECONDS: Final = 60.0  # between two alarms about one command; the real interval is unknown [webhooks 8]


class _CallCount:
    """Calls of one command in the running second, and when the last alarm went off."""

    __slots__ = ("alarm_at", "calls", "second")

    def __init__(self, second: int) -> None:
        self.second = second
        self.calls = 0
        self.alarm_at: float | None = None


class RateLimitAlarm:
    """Counts calls by whole seconds of the stub's clock, refused ones too, and emits an event above the limit."""

    def __init__(self, calls_per_second: Mapping[str, float], emit: Callable[[CallbackEvent], None]) -> None:
        self._rates = calls_per_second
        self._tell = emit
        self._counts: dict[str, _CallCount] = {}

    def count(self, command: Command[Any, Any], now: float) -> None:
        """Count one more call at `now`, in unix seconds."""
        limit, second = self._rates.get(command.path), int(now)
        if limit is None:
            return
        count = self._counts.get(command.path)
        if count is None:
            count = self._counts[command.path] = _CallCount(second)
        if count.second != second:
            count.second, count.calls = second, 0
        count.calls += 1
        if count.calls > SHARE * limit and not self._is_in_quiet_time(count, now):
            count.alarm_at = now
            self._tell(_alarm_event(command, count.calls, limit))

    @staticmethod
    def _is_in_quiet_time(count: _CallCount, now: float) -> bool:
        return count.alarm_at is not None and 0 <= now - count.alarm_at < QUIET_SECONDS


def _alarm_event(command: Command[Any, Any], calls: int, limit: float) -> CallbackEvent:
    """Return the event; it has no EventTime. A limit below one call a second is reported as 1 [inferred]."""
    alarm = RequestOverLimit(
        callback_command=RequestOverLimit.command,
        service_name=command.service,
        command_name=command.name,
        request=calls,
        limit=max(1, round(limit)),
    )
    return CallbackEvent(RequestOverLimit.command, alarm.to_wire())
