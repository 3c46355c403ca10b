"""Retries: growing waits between attempts, and one loop around attempts, which tenacity runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_never

_GROWTH: Final = 2.0

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits in seconds that double from `first` to `longest`, jitter included.

    `jitter` is the lowest and the highest share of a wait that is added to it.
    """

    first: float
    longest: float
    jitter: tuple[float, float] = (0.0, 0.0)

    def wait_after(self, attempt: int, random: float = 0.0) -> float:
        """Return the wait after the attempt of this number, from 1 on; `random` in [0, 1] chooses the jitter."""
        lowest, highest = self.jitter
        grown = min(self.first * _GROWTH ** min(attempt - 1, 64), self.longest / (1 + highest))
        return grown * (1 + lowest + (highest - lowest) * random)


async def retry(
    first: R,
    attempt: Callable[[], Awaitable[R]],
    wait_after: Callable[[R], float | None],
    sleep: Callable[[float], Awaitable[None]],
) -> R:
    """Repeat `attempt` until `wait_after` returns None for its result; return that result.

    `wait_after` decides whether and after how many seconds there is another attempt; it is called once per result.
    `first` is the result of an attempt that the caller has made: setting tenacity up costs a fair share of a call,
    which a call that succeeds immediately need not pay.
    """
    attempts = _Attempts(first, attempt, wait_after)
    retrying = AsyncRetrying(
        retry=retry_if_result(attempts.is_repeated), wait=attempts.wait, stop=stop_never, sleep=sleep
    )
    return await retrying(attempts.next)


class _Attempts(Generic[R]):
    """The callbacks of tenacity for one `retry`."""

    def __init__(self, first: R, attempt: Callable[[], Awaitable[R]], wait_after: Callable[[R], float | None]) -> None:
        self._made = [first]
        self._attempt = attempt
        self._wait_after = wait_after
        self._seconds: float | None = None

    async def next(self) -> R:
        return self._made.pop() if self._made else await self._attempt()

    def is_repeated(self, result: R) -> bool:
        self._seconds = self._wait_after(result)
        return self._seconds is not None

    def wait(self, _: RetryCallState) -> float:
        return self._seconds or 0.0
