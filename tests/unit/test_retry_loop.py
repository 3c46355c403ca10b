"""Loop around attempts, and the waits between them."""

import pytest

from channel_adapter.concurrency.retry import Backoff, retry


async def test_loop_repeats_as_decided_and_returns_the_last_result() -> None:
    slept: list[float] = []
    results: list[float | None] = [0.5, 0.0, None]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def attempt() -> tuple[str, float | None]:
        return f"{len(results)} to go", results.pop(0)

    first: tuple[str, float | None] = ("first", 0.3)
    last = await retry(first, attempt, lambda result: result[1], sleep)
    assert last == ("1 to go", None)
    assert slept == [0.3, 0.5, 0.0]


async def test_exception_of_an_attempt_is_raised() -> None:
    async def sleep(_: float) -> None:
        return

    async def attempt() -> str:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await retry("", attempt, lambda _: 0.0, sleep)


def test_waits_double_up_to_the_maximum() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.wait_after(attempt) for attempt in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.wait_after(10_000) == 3.0


def test_jitter_does_not_exceed_the_maximum_wait() -> None:
    backoff = Backoff(1.0, 6.0, (0.2, 0.5))
    assert backoff.wait_after(1, 0.0) == pytest.approx(1.2)
    assert backoff.wait_after(1, 1.0) == pytest.approx(1.5)
    assert backoff.wait_after(9, 1.0) == pytest.approx(6.0)
