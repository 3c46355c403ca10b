"""Staying under the service's frequency limits: a bucket per command, and one per key for the limits of one group.

pyrate-limiter's GCRA keeps the account: one number per bucket. A caller that must wait books its turn by an arrival
dated to that turn, so waiters are served in order, none is woken in vain, and whether a deadline can be kept is known
before waiting. A booked turn is spent even if its caller gives up.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.tencent.catalog import Command

if TYPE_CHECKING:
    from pyrate_limiter import GCRA

_TICKS: Final = 1_000_000  # per second: pyrate counts in its smallest unit, which is a microsecond here
_BURST_SHARE: Final = 100  # one call at once for each so many calls per second
_MARGIN: Final = 1.01  # between the calls of one window: they do not arrive as evenly as they leave

SLOWEST: Final = 1.0  # calls per second that frequency refusals can press a bucket down to
SLOW_DOWN: Final = 0.5  # factor on a refusal
REFUSALS_TOGETHER: Final = 1.0  # seconds within which refusals count once: they answer calls of the same moment
RECOVER: Final = 1.25  # factor a step
RECOVER_EVERY: Final = 10.0  # seconds without a refusal


@cache
def _gcra() -> "GCRA":
    """The library loads sqlite3 and multiprocessing: a program pays for that at its first call, not at its start."""
    from pyrate_limiter import GCRA  # noqa: PLC0415

    return GCRA()


class TurnTooLate(Exception):  # noqa: N818
    """The wait for a turn would be longer than the caller has; no turn was booked."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the next turn is {seconds:.1f} s away")
        self.seconds = seconds


class Bucket:
    """Turns at `ceiling` per second: never more of them in any window of one second, a touch fewer for the jitter."""

    __slots__ = ("_account", "_burst", "_full", "_gcra", "_rate", "_recover_at", "_rules", "_slowed_at")

    def __init__(self, ceiling: float) -> None:
        if not ceiling > 0:
            raise ValueError("a rate limit must be above zero")
        self._gcra = _gcra()
        self._burst = max(1, int(ceiling) // _BURST_SHARE)
        self._full = (ceiling + 1 - self._burst) / _MARGIN
        self._set(self._full)
        self._account = self._gcra.initial(self._rules)
        self._recover_at = float("inf")
        self._slowed_at = float("-inf")

    @property
    def rate(self) -> float:
        """Turns per second as it is now."""
        return self._rate

    def book(self, now: float, longest: float) -> float:
        """Seconds until the turn that is booked herewith, 0.0 for at once. Raises TurnTooLate above `longest`."""
        if now >= self._recover_at:
            self._recover(now)
        ticks = int(now * _TICKS)
        self._account, decision = self._gcra.step(self._rules, self._account, ticks, 1)
        wait = decision.retry_after_ms  # in our ticks
        if wait is None:
            return 0.0
        if wait > longest * _TICKS:
            raise TurnTooLate(wait / _TICKS)
        self._account, _ = self._gcra.step(self._rules, self._account, ticks + wait, 1)
        return wait / _TICKS

    def refused(self, now: float) -> None:
        """The service found this too fast: halve, at most once a second."""
        if now - self._slowed_at >= REFUSALS_TOGETHER:
            self._set(max(min(SLOWEST, self._full), self._rate * SLOW_DOWN))
            self._slowed_at = now
        self._recover_at = now + RECOVER_EVERY

    def _recover(self, now: float) -> None:
        steps = 1 + int((now - self._recover_at) / RECOVER_EVERY)
        self._set(min(self._full, self._rate * RECOVER ** min(steps, 100)))
        self._recover_at = now + RECOVER_EVERY if self._rate < self._full else float("inf")

    def _set(self, rate: float) -> None:
        self._rate = rate
        from pyrate_limiter import Rate  # noqa: PLC0415

        self._rules = [Rate(1, int(_TICKS / rate) + 1, burst=self._burst)]


class CommandLimiter:
    """One bucket per command, at the calls per second of its row or of `overrides` (keys `service/command`)."""

    def __init__(
        self, overrides: Mapping[str, float] | None = None, *, enabled: bool = True, clock: Clock | None = None
    ) -> None:
        self._enabled = enabled
        self._clock = clock or SystemClock()
        self._overrides = dict(overrides or {})
        self._buckets: dict[tuple[str, str], Bucket] = {}
        for path, ceiling in self._overrides.items():
            if not ceiling > 0:
                raise ValueError(f"the rate limit of {path} must be above zero")

    def book(self, command: Command[Any, Any], longest: float) -> float:
        """Seconds until the turn of this command that is booked herewith. Raises TurnTooLate above `longest`."""
        return self._bucket(command).book(self._clock.monotonic(), longest) if self._enabled else 0.0

    def refused(self, command: Command[Any, Any]) -> None:
        """The service answered with a frequency code: this command goes slower for a while."""
        if self._enabled:
            self._bucket(command).refused(self._clock.monotonic())

    def rate(self, command: Command[Any, Any]) -> float:
        """Calls per second this command is held to now; infinite when nothing is limited."""
        return self._bucket(command).rate if self._enabled else float("inf")

    def _bucket(self, command: Command[Any, Any]) -> Bucket:
        bucket = self._buckets.get((command.service, command.name))
        if bucket is None:
            bucket = Bucket(self._overrides.get(command.path, command.calls_per_second))
            self._buckets[command.service, command.name] = bucket
        return bucket


class KeyedLimiter:
    """The same rate for every key, such as the messages per second of each group; remembers the last `keys` of them."""

    def __init__(self, rate: float, *, keys: int = 10_000, clock: Clock | None = None) -> None:
        self._rate = rate
        self._clock = clock or SystemClock()
        self._buckets: LRUCache[str, Bucket] = LRUCache(keys)

    async def acquire(self, key: str, *, timeout: float) -> None:
        """Wait for a turn of this key. Raises TurnTooLate at once if that would take over `timeout` seconds."""
        wait = self.book(key, timeout)
        if wait:
            await self._clock.sleep(wait)

    def book(self, key: str, longest: float) -> float:
        """Seconds until the turn of this key that is booked herewith. Raises TurnTooLate above `longest`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate)
        return bucket.book(self._clock.monotonic(), longest)
