"""Outage guard for results that carry their error, as batches do; for calls see tests/faults/test_patience.py."""

import asyncio
from dataclasses import dataclass

import pytest

from channel_adapter.concurrency.outage import AttemptStatus, OutageGuard, OutageTimeoutError
from tests.faults.conftest import FakeClock

STALL_TIMEOUT = 60.0


class ScriptedError(Exception):
    def __init__(self, status: AttemptStatus) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True)
class Result:
    done: int
    error: ScriptedError | None = None


def status_of(error: ScriptedError) -> AttemptStatus:
    return error.status


def unanswered_error(result: Result) -> ScriptedError | None:
    """Return the error of a batch in which nothing was answered."""
    return None if result.done else result.error


class ScriptedBatch:
    """Return the given results one after the other."""

    def __init__(self, *results: Result) -> None:
        self._results = list(results)
        self.timeouts: list[float | None] = []

    async def __call__(self, timeout: float | None) -> Result:
        self.timeouts.append(timeout)
        return self._results.pop(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def guard(clock: FakeClock) -> OutageGuard[ScriptedError]:
    return OutageGuard(ScriptedError, status_of, clock, STALL_TIMEOUT)


@pytest.mark.parametrize("status", [AttemptStatus.NOT_SENT, AttemptStatus.THROTTLED])
async def test_unsent_or_throttled_result_is_repeated(
    guard: OutageGuard[ScriptedError], clock: FakeClock, status: AttemptStatus
) -> None:
    batch = ScriptedBatch(*[Result(0, ScriptedError(status))] * 3, Result(7))
    assert await guard.run(batch, unanswered_error) == Result(7)
    assert clock.waits == [1.0] * 3


async def test_partial_result_is_returned_and_not_repeated(guard: OutageGuard[ScriptedError]) -> None:
    partial = Result(3, ScriptedError(AttemptStatus.THROTTLED))
    batch = ScriptedBatch(partial)
    assert await guard.run(batch, unanswered_error) is partial
    assert guard.tripped is None


@pytest.mark.parametrize("status", [AttemptStatus.UNANSWERED, AttemptStatus.ANSWERED])
async def test_result_with_conclusive_error_is_returned(
    guard: OutageGuard[ScriptedError], status: AttemptStatus
) -> None:
    failed = Result(0, ScriptedError(status))
    assert await guard.run(ScriptedBatch(failed), unanswered_error) is failed


async def test_guard_opens_after_stall_timeout_and_stops_further_attempts(
    guard: OutageGuard[ScriptedError], clock: FakeClock
) -> None:
    error = ScriptedError(AttemptStatus.UNANSWERED)
    await guard.run(ScriptedBatch(Result(0, ScriptedError(AttemptStatus.UNANSWERED))), unanswered_error)

    async def late(_: float | None) -> Result:
        clock.elapsed += STALL_TIMEOUT
        return Result(0, error)

    await guard.run(late, unanswered_error)
    assert guard.tripped is error
    batch = ScriptedBatch()
    with pytest.raises(ScriptedError) as raised:
        await guard.run(batch, unanswered_error)
    assert raised.value is error
    assert batch.timeouts == []


async def test_time_between_attempts_does_not_open_the_guard(
    guard: OutageGuard[ScriptedError], clock: FakeClock
) -> None:
    """Only the pause before a repetition counts."""
    for _ in range(int(STALL_TIMEOUT)):
        await guard.run(ScriptedBatch(Result(0, ScriptedError(AttemptStatus.UNANSWERED))), unanswered_error)
        assert guard.tripped is None
        clock.elapsed += 10 * STALL_TIMEOUT
    await guard.run(ScriptedBatch(Result(0, ScriptedError(AttemptStatus.UNANSWERED))), unanswered_error)
    assert guard.tripped is not None


async def test_unsent_attempts_never_open_the_guard(guard: OutageGuard[ScriptedError], clock: FakeClock) -> None:
    batch = ScriptedBatch(*[Result(0, ScriptedError(AttemptStatus.NOT_SENT))] * 1000, Result(1))
    assert await guard.run(batch, unanswered_error) == Result(1)
    assert clock.elapsed > 10 * STALL_TIMEOUT


async def test_timeout_is_passed_to_every_attempt_and_ends_repetitions(
    guard: OutageGuard[ScriptedError],
) -> None:
    throttled = Result(0, ScriptedError(AttemptStatus.THROTTLED))
    batch = ScriptedBatch(*[throttled] * 1000)
    assert await guard.run(batch, unanswered_error, timeout=3.5) is throttled
    assert batch.timeouts == [3.5, 2.5, 1.5, 0.5]


async def test_timeout_limits_the_wait_for_the_probe(guard: OutageGuard[ScriptedError]) -> None:
    await guard.run(ScriptedBatch(Result(0, ScriptedError(AttemptStatus.UNANSWERED))), unanswered_error)
    probing = asyncio.Event()

    async def never(timeout: float | None) -> Result:
        probing.set()
        await asyncio.Event().wait()
        raise AssertionError(timeout)

    probe = asyncio.create_task(guard.run(never, unanswered_error))
    await probing.wait()
    with pytest.raises(OutageTimeoutError, match=r"no call was answered within 0\.01 s"):
        await guard.run(ScriptedBatch(), unanswered_error, timeout=0.01)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
