"""Rate limits: never above the ceiling, close below it, reduced after a refusal, known before waiting."""

import asyncio
import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER, COMMANDS, GET_GROUP_INFO
from channel_adapter.tencent.rate_limit import (
    RECOVERY_INTERVAL,
    Bucket,
    CommandLimiter,
    KeyedLimiter,
    RateLimitTimeout,
    WindowLimiter,
)

FOREVER = float("inf")


class SteppedClock:
    """Time that passes only while all tasks sleep."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return 1_700_000_000 + self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.time + seconds, self._count, woken))
        await woken

    async def run_until(self, end: float) -> None:
        while True:
            for _ in range(3):
                await asyncio.sleep(0)
            if not self._sleepers or self._sleepers[0][0] > end:
                self.time = end
                return
            self.time, _, woken = heapq.heappop(self._sleepers)
            if not woken.cancelled():
                woken.set_result(None)


def busiest_window(moments: list[float], seconds: float = 1.0) -> int:
    """Return the largest number of moments in any half-open window of that length."""
    busiest = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        busiest = max(busiest, last - first + 1)
    return busiest


def booked(ceiling: float, arrivals: list[float]) -> list[float]:
    bucket = Bucket(ceiling)
    return [now + bucket.reserve(now, FOREVER) for now in arrivals]


@pytest.mark.parametrize("ceiling", [0.5, 1, 2, 40, 99, 100, 150, 200, 1000])
def test_bucket_reaches_its_ceiling_and_never_exceeds_it(ceiling: float) -> None:
    turns = booked(ceiling, [0.0] * int(ceiling * 5 + 5))
    assert busiest_window(turns) <= max(1, ceiling)
    assert busiest_window(turns, 1.005) <= max(1, ceiling)
    assert turns == sorted(turns)
    assert (len(turns) - 1) / turns[-1] >= ceiling * 0.975


def test_default_ceiling_yields_195_to_200_calls_per_second() -> None:
    turns = booked(limits.CALLS_PER_SECOND, [0.0] * 1001)
    assert 195 <= 1000 / turns[-1] <= 200


@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=600), st.sampled_from([1, 40, 100, 200]))
def test_no_pattern_of_arrivals_exceeds_the_ceiling(gaps: list[float], ceiling: int) -> None:
    arrivals, now = [], 0.0
    for gap in gaps:
        now += gap
        arrivals.append(now)
    turns = booked(ceiling, arrivals)
    assert busiest_window(turns) <= ceiling
    assert all(turn >= arrival for turn, arrival in zip(turns, arrivals, strict=True))


def test_free_bucket_reserves_an_immediate_slot() -> None:
    bucket = Bucket(200)
    assert [bucket.reserve(moment, 0.0) for moment in (0.0, 1.0, 1.5, 9.0)] == [0.0] * 4


def test_slot_beyond_the_deadline_is_not_reserved() -> None:
    bucket = Bucket(1)
    assert bucket.reserve(0.0, 0.0) == 0.0
    for _ in range(5):
        with pytest.raises(RateLimitTimeout) as caught:
            bucket.reserve(0.0, 0.5)
        assert 1.0 <= caught.value.seconds < 1.1
    assert 1.0 <= bucket.reserve(0.0, 2.0) < 1.1


def test_reduction_halves_rate_at_most_once_a_second() -> None:
    bucket = Bucket(200)
    full = bucket.rate
    for moment in (0.0, 0.1, 0.5, 0.9):
        bucket.reduce_rate(moment)
    assert bucket.rate == full / 2
    bucket.reduce_rate(1.0)
    assert bucket.rate == full / 4
    turns = [1.0 + bucket.reserve(1.0, FOREVER) for _ in range(100)]
    assert busiest_window(turns) <= full / 4 + 2


def test_rate_never_falls_below_one_per_second() -> None:
    bucket = Bucket(200)
    for moment in range(20):
        bucket.reduce_rate(float(moment))
    assert bucket.rate == 1.0
    slow = Bucket(0.5)
    unpressed = slow.rate
    slow.reduce_rate(0.0)
    assert slow.rate == unpressed


def test_rate_recovers_in_steps_of_a_quarter() -> None:
    bucket = Bucket(200)
    full = bucket.rate
    bucket.reduce_rate(0.0)
    bucket.reserve(RECOVERY_INTERVAL - 0.1, FOREVER)
    assert bucket.rate == full / 2
    bucket.reserve(RECOVERY_INTERVAL, FOREVER)
    assert bucket.rate == pytest.approx(full * 0.625)
    bucket.reduce_rate(RECOVERY_INTERVAL + 5)
    bucket.reserve(2 * RECOVERY_INTERVAL + 4, FOREVER)
    assert bucket.rate == pytest.approx(full * 0.3125)
    bucket.reserve(1000.0, FOREVER)
    assert bucket.rate == full


def test_recovery_steps_of_a_pause_are_applied_together() -> None:
    bucket = Bucket(200)
    full = bucket.rate
    bucket.reduce_rate(0.0)
    bucket.reduce_rate(1.0)
    bucket.reserve(1.0 + 2 * RECOVERY_INTERVAL, FOREVER)
    assert bucket.rate == pytest.approx(full / 4 * 1.25**2)


@pytest.mark.parametrize("ceiling", [0, -1, float("nan")])
def test_ceiling_of_zero_or_less_is_refused(ceiling: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Bucket(ceiling)


async def test_concurrent_workers_take_turns_within_the_limit_of_one_bucket() -> None:
    clock = SteppedClock()
    limiter = CommandLimiter(clock=clock)
    turns: list[float] = []
    served: list[int] = []

    async def worker(number: int) -> None:
        while True:
            await clock.sleep(limiter.reserve(ADD_GROUP_MEMBER, 30))
            turns.append(clock.time)
            served.append(number)

    workers = [asyncio.create_task(worker(number)) for number in range(50)]
    await clock.run_until(5.0)
    for task in workers:
        task.cancel()
    assert 195 * 5 <= len(turns) <= 200 * 5
    assert busiest_window(turns) <= limits.CALLS_PER_SECOND
    assert served == [number % 50 for number in range(len(served))]


def test_each_command_has_its_own_bucket_with_its_own_ceiling() -> None:
    clock = SteppedClock()
    limiter = CommandLimiter({GET_GROUP_INFO.path: 10}, clock=clock)
    for row in COMMANDS.values():
        assert limiter.reserve(row, 0) == 0
        expected = 10 if row is GET_GROUP_INFO else row.calls_per_second
        assert expected * 0.97 < limiter.rate(row) <= expected


def test_reserving_beyond_deadline_raises_without_waiting() -> None:
    limiter = CommandLimiter({GET_GROUP_INFO.path: 1}, clock=SteppedClock())
    limiter.reserve(GET_GROUP_INFO, 0)
    with pytest.raises(RateLimitTimeout, match=r"the next slot is 1\.0 s away"):
        limiter.reserve(GET_GROUP_INFO, 0.9)


async def test_reduction_applies_to_its_command_only() -> None:
    limiter = CommandLimiter(clock=SteppedClock())
    limiter.reduce_rate(GET_GROUP_INFO)
    assert limiter.rate(GET_GROUP_INFO) == limiter.rate(ADD_GROUP_MEMBER) / 2


def test_disabled_limiter_limits_nothing() -> None:
    limiter = CommandLimiter({GET_GROUP_INFO.path: 1}, enabled=False, clock=SteppedClock())
    limiter.reduce_rate(GET_GROUP_INFO)
    for _ in range(1000):
        assert limiter.reserve(GET_GROUP_INFO, 0) == 0
    assert limiter.rate(GET_GROUP_INFO) == FOREVER


async def test_keys_do_not_share_slots() -> None:
    clock = SteppedClock()
    limiter = KeyedLimiter(limits.MESSAGES_PER_SECOND_PER_GROUP, clock=clock)
    turns: dict[str, list[float]] = {"a": [], "b": []}

    async def send(group: str) -> None:
        await limiter.acquire(group, timeout=30)
        turns[group].append(clock.time)

    sending = [asyncio.create_task(send(group)) for _ in range(200) for group in turns]
    await clock.run_until(30)
    assert all(task.done() for task in sending)
    for moments in turns.values():
        assert busiest_window(moments) <= limits.MESSAGES_PER_SECOND_PER_GROUP
        assert 5.0 <= moments[-1] <= 5.1
    await limiter.acquire("c", timeout=0)
    with pytest.raises(RateLimitTimeout):
        await limiter.acquire("c", timeout=0)


async def test_limiter_remembers_only_the_latest_keys() -> None:
    limiter = KeyedLimiter(1, keys=2, clock=SteppedClock())
    await limiter.acquire("a", timeout=0)
    await limiter.acquire("b", timeout=0)
    with pytest.raises(RateLimitTimeout):
        await limiter.acquire("a", timeout=0)
    await limiter.acquire("c", timeout=0)
    await limiter.acquire("b", timeout=0)


class AdvancingClock(SteppedClock):
    """Time that advances as soon as a task sleeps."""

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.mark.parametrize("sizes", [[500] * 80, [500, 1, 499, 20] * 60, [25] * 800], ids=["full", "mixed", "small"])
async def test_window_limiter_never_exceeds_its_units_and_uses_95_percent(sizes: list[int]) -> None:
    clock = AdvancingClock()
    limiter = WindowLimiter(12_000, seconds=60, portion=500, clock=clock)
    sent: list[tuple[float, int]] = []
    for size in sizes:
        await limiter.acquire(size)
        sent.append((clock.monotonic(), size))
    for number, (start, _) in enumerate(sent):
        within = sum(size for at, size in sent[number:] if at - start < 60)
        assert within <= 12_000
    took = sent[-1][0] - sent[0][0]
    assert sum(sizes) / took > 0.95 * 200
