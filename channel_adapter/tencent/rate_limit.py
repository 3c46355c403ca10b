"""Client-side rate limits: one bucket per command, and one per key for the limits of one group or one message.

Slots of commands may be shared by all processes of an app, through an object that reserves them by one clock.

GCRA of pyrate-limiter does the arithmetic: one number per bucket. A caller that has to wait reserves its slot by an
arrival dated to that slot, so that callers are served in order and none is woken in vain, and whether a deadline can
be met is known before waiting. A reserved slot is used up even if its caller is cancelled.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from cachetools import LRUCache

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.tencent.catalog import Command

if TYPE_CHECKING:
    from pyrate_limiter import GCRA

_TICKS: Final = 1_000_000  # per second: pyrate counts in its smallest unit, which is a microsecond here
_CALLS_PER_BURST: Final = 100  # one call more without a pause for each 100 calls per second
_MARGIN: Final = 1.01  # between the calls of one window: they do not arrive as evenly as they leave

MIN_RATE: Final = 1.0  # calls per second that frequency refusals can reduce a bucket to
REDUCTION_FACTOR: Final = 0.5  # per reduction
REDUCTION_INTERVAL: Final = 1.0  # seconds within which refusals count once: they answer calls of the same moment
RECOVERY_FACTOR: Final = 1.25  # per step
RECOVERY_INTERVAL: Final = 10.0  # seconds without a refusal


@cache
def _load_gcra() -> "GCRA":
    """Load the library when the first call is made: it loads sqlite3 and multiprocessing."""
    from pyrate_limiter import GCRA  # noqa: PLC0415

    return GCRA()


class RateLimitTimeout(Exception):  # noqa: N818
    """The next free slot is further away than the caller can wait; no slot was reserved."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the next slot is {seconds:.1f} s away")
        self.seconds = seconds


class Bucket:
    """Slots at `ceiling` per second: never more of them in any window of one second."""

    __slots__ = ("_account", "_burst", "_full", "_gcra", "_rate", "_recover_at", "_reduced_at", "_rules")

    def __init__(self, ceiling: float) -> None:
        if not ceiling > 0:
            raise ValueError("a rate limit must be above zero")
        self._gcra = _load_gcra()
        self._burst = max(1, int(ceiling) // _CALLS_PER_BURST)
        self._full = (ceiling + 1 - self._burst) / _MARGIN
        self._set_rate(self._full)
        self._account = self._gcra.initial(self._rules)
        self._recover_at = float("inf")
        self._reduced_at = float("-inf")

    @property
    def rate(self) -> float:
        """Slots per second at present."""
        return self._rate

    @property
    def burst(self) -> int:
        """Slots that may follow one another without a pause."""
        return self._burst

    def current_rate(self, now: float) -> float:
        """Return the slots per second after the recovery that is due."""
        if now >= self._recover_at:
            self._recover_rate(now)
        return self._rate

    def is_reduced(self, now: float) -> bool:
        """Return whether the rate is still below the full one, after the recovery that is due."""
        return self.current_rate(now) < self._full

    def reserve(self, now: float, max_wait: float) -> float:
        """Reserve the next slot and return the seconds until it. Raises RateLimitTimeout above `max_wait`."""
        if now >= self._recover_at:
            self._recover_rate(now)
        ticks = int(now * _TICKS)
        self._account, decision = self._gcra.step(self._rules, self._account, ticks, 1)
        wait = decision.retry_after_ms  # in our ticks
        if wait is None:
            return 0.0
        if wait > max_wait * _TICKS:
            raise RateLimitTimeout(wait / _TICKS)
        self._account, _ = self._gcra.step(self._rules, self._account, ticks + wait, 1)
        return wait / _TICKS

    def reduce_rate(self, now: float) -> None:
        """Halve the rate, at most once a second; it recovers in steps after 10 seconds."""
        if now - self._reduced_at >= REDUCTION_INTERVAL:
            self._set_rate(max(min(MIN_RATE, self._full), self._rate * REDUCTION_FACTOR))
            self._reduced_at = now
        self._recover_at = now + RECOVERY_INTERVAL

    def _recover_rate(self, now: float) -> None:
        steps = 1 + int((now - self._recover_at) / RECOVERY_INTERVAL)
        self._set_rate(min(self._full, self._rate * RECOVERY_FACTOR ** min(steps, 100)))
        self._recover_at = now + RECOVERY_INTERVAL if self._rate < self._full else float("inf")

    def _set_rate(self, rate: float) -> None:
        self._rate = rate
        from pyrate_limiter import Rate  # noqa: PLC0415

        self._rules = [Rate(1, int(_TICKS / rate) + 1, burst=self._burst)]


class SharedSlots(Protocol):
    """Slots of commands for all processes of an app, by one clock."""

    @property
    def processes(self) -> int:
        """How many processes share them, as far as is known; at least 1."""
        ...

    async def reserve(self, command: str, *, interval: float, burst: int, max_wait: float) -> float | None:
        """Reserve the next slot of a command and return the seconds until it; reserve none above `max_wait`.

        Slots are `interval` seconds apart; up to `burst` follow one another without a pause. Returns None while the
        slots cannot be reached, or need not be shared.
        """
        ...

    async def close(self) -> None:
        """Count this process no longer."""
        ...


class CommandLimiter:
    """One bucket per command, at the calls per second of its catalog row or of `overrides` (keys `service/command`).

    With `shared` all processes that share these slots keep to them together. While they cannot be reached, each process
    keeps to its part of the calls per second.
    """

    def __init__(
        self,
        overrides: Mapping[str, float] | None = None,
        *,
        enabled: bool = True,
        clock: Clock | None = None,
        shared: SharedSlots | None = None,
    ) -> None:
        self._enabled = enabled
        self._clock = clock or SystemClock()
        self._shared = shared
        self.is_shared: bool = shared is not None and enabled
        """Whether slots are reserved by `reserve_shared`, together with other processes."""
        self._overrides = dict(overrides or {})
        self._buckets: dict[str, Bucket] = {}
        self._parts: dict[str, tuple[int, Bucket]] = {}  # by command: of one process among so many
        for path, ceiling in self._overrides.items():
            if not ceiling > 0:
                raise ValueError(f"the rate limit of {path} must be above zero")

    async def acquire(self, command: Command[Any, Any], timeout: float) -> None:
        """Wait for a slot of this command. Raises RateLimitTimeout without waiting if that takes over `timeout` s."""
        wait = await self.reserve_shared(command, timeout) if self.is_shared else self.reserve(command, timeout)
        if wait:
            await self._clock.sleep(wait)

    def reserve(self, command: Command[Any, Any], max_wait: float) -> float:
        """Reserve a slot of this process and return the seconds until it. Raises RateLimitTimeout above `max_wait`."""
        if not self._enabled:
            return 0.0
        bucket = self._buckets.get(command.path) or self._get_bucket(command)
        return bucket.reserve(self._clock.monotonic(), max_wait)

    def reduce_rate(self, command: Command[Any, Any]) -> None:
        """Halve the rate of this command for a while: the service reported that it is called too often."""
        if self._enabled:
            now = self._clock.monotonic()
            self._get_bucket(command).reduce_rate(now)
            if command.path in self._parts:
                self._parts[command.path][1].reduce_rate(now)

    def rate(self, command: Command[Any, Any]) -> float:
        """Return the calls per second that this command is limited to at present; infinite without limits."""
        return self._get_bucket(command).rate if self._enabled else float("inf")

    def ceiling(self, command: Command[Any, Any]) -> float:
        """Return the calls per second of this command by its catalog row or the overrides; infinite without limits."""
        return self._overrides.get(command.path, command.calls_per_second) if self._enabled else float("inf")

    def is_reduced(self, command: Command[Any, Any]) -> bool:
        """Return whether this command is limited to less than its ceiling, after refusals."""
        return self._enabled and self._get_bucket(command).is_reduced(self._clock.monotonic())

    async def close(self) -> None:
        """Stop sharing slots with other processes, until the next call."""
        if self._shared is not None:
            await self._shared.close()

    async def reserve_shared(self, command: Command[Any, Any], max_wait: float) -> float:
        """Reserve a slot among all processes that share them, as `reserve` does; without such, one of this process."""
        shared = self._shared
        if shared is None or not self._enabled:
            return self.reserve(command, max_wait)
        bucket, began = self._get_bucket(command), self._clock.monotonic()
        interval = 1 / bucket.current_rate(began)
        try:
            async with asyncio.timeout(max_wait / 2):  # so that there is time left for the call itself
                wait = await shared.reserve(command.path, interval=interval, burst=bucket.burst, max_wait=max_wait)
        except TimeoutError:
            wait = None
        now = self._clock.monotonic()
        left = max_wait - (now - began)
        if wait is None:
            return self._get_process_bucket(command, shared.processes).reserve(now, left)
        if wait and wait > left:
            raise RateLimitTimeout(wait)
        return wait

    def _get_process_bucket(self, command: Command[Any, Any], processes: int) -> Bucket:
        """Return the bucket of one process among so many, which shares nothing with the others."""
        known, bucket = self._parts.get(command.path, (0, None))
        if bucket is None or known != processes:
            bucket = Bucket(self._overrides.get(command.path, command.calls_per_second) / processes)
            self._parts[command.path] = processes, bucket
        return bucket

    def _get_bucket(self, command: Command[Any, Any]) -> Bucket:
        bucket = self._buckets.get(command.path)
        if bucket is None:
            bucket = Bucket(self._overrides.get(command.path, command.calls_per_second))
            self._buckets[command.path] = bucket
        return bucket


class KeyedLimiter:
    """One rate for every key, such as the messages per second of each group; remembers the latest `keys` keys."""

    def __init__(self, rate: float, *, keys: int = 10_000, clock: Clock | None = None) -> None:
        self._rate = rate
        self._clock = clock or SystemClock()
        self._buckets: LRUCache[str, Bucket] = LRUCache(keys)

    async def acquire(self, key: str, *, timeout: float) -> None:
        """Wait for a slot of this key. Raises RateLimitTimeout without waiting if that takes over `timeout` seconds."""
        wait = self.reserve(key, timeout)
        if wait:
            await self._clock.sleep(wait)

    def reserve(self, key: str, max_wait: float) -> float:
        """Reserve a slot of this key and return the seconds until it. Raises RateLimitTimeout above `max_wait`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate)
        return bucket.reserve(self._clock.monotonic(), max_wait)


class WindowLimiter:
    """At most `units` in any window of `seconds`, used in portions of at most `portion` units, evenly spread."""

    def __init__(self, units: int, *, seconds: float, portion: int, clock: Clock) -> None:
        from pyrate_limiter import Rate  # noqa: PLC0415

        self._gcra = _load_gcra()
        self._rules = [Rate(1, int(_TICKS * seconds / (units - portion)) + 1, burst=portion)]
        self._account = self._gcra.initial(self._rules)
        self._clock = clock

    async def acquire(self, units: int) -> None:
        """Wait until these units may be used, for as long as that takes. Callers are served in order."""
        ticks = int(self._clock.monotonic() * _TICKS)
        self._account, decision = self._gcra.step(self._rules, self._account, ticks, units)
        wait = decision.retry_after_ms  # in our ticks
        if wait is not None:
            self._account, _ = self._gcra.step(self._rules, self._account, ticks + wait, units)
            await self._clock.sleep(wait / _TICKS)
