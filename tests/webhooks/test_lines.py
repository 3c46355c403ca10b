"""The order in which events are handled."""

import asyncio
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from channel_adapter.tencent.clock import SystemClock
from channel_adapter.webhooks.inbox import Task
from channel_adapter.webhooks.lines import Lines
from channel_adapter.webhooks.parse import Received
from tests.webhooks.events_made import followed, who_of


def event(account: str, at: int) -> Received:
    return followed(f"{account}{at}", account=account, at=at)


async def served(events: list[Received], *, window: float) -> list[str]:
    seen: list[str] = []

    async def handle(task: Task) -> None:
        await asyncio.sleep(0)
        seen.append(who_of(task.received))

    lines = Lines(handle, window=window, clock=SystemClock())
    for each in events:
        lines.put(Task(each))
    await lines.idle()
    assert (len(lines), lines.oldest) == (0, None)
    return seen


@settings(max_examples=25)
@given(st.permutations(range(6)), st.permutations(range(6)))
def test_what_comes_within_the_window_is_handled_in_its_own_order(first: list[int], second: list[int]) -> None:
    events = [
        event(account, at) for pair in zip(first, second, strict=True) for account, at in zip("ab", pair, strict=True)
    ]
    seen = asyncio.run(served(events, window=0.01))
    for account in "ab":
        assert [name for name in seen if name.startswith(account)] == [f"{account}{n}" for n in range(6)]


async def test_what_comes_too_late_is_handled_when_it_comes() -> None:
    seen: list[str] = []

    async def handle(task: Task) -> None:
        seen.append(who_of(task.received))

    lines = Lines(handle, window=0.01, clock=SystemClock())
    lines.put(Task(event("a", 2)))
    await lines.idle()
    lines.put(Task(event("a", 1)))
    await lines.idle()
    assert seen == ["a2", "a1"]


async def test_a_slow_event_holds_up_its_own_channel_alone() -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def handle(task: Task) -> None:
        if who_of(task.received) == "a1":
            await go.wait()
        seen.append(who_of(task.received))

    lines = Lines(handle, window=0.0, clock=SystemClock())
    for each in (event("a", 1), event("a", 2), event("b", 1)):
        lines.put(Task(each))
    async with asyncio.timeout(60):
        while not seen:  # noqa: ASYNC110 - it has no waiters
            await asyncio.sleep(0)
    assert seen == ["b1"]
    assert len(lines) == 2
    go.set()
    await lines.idle()
    assert seen == ["b1", "a1", "a2"]


async def test_events_of_no_channel_wait_for_nobody() -> None:
    begun = time.monotonic()
    alone = [followed(f"u{n}", account="", at=n) for n in range(5)]
    assert sorted(await served(alone, window=10.0)) == [f"u{n}" for n in range(5)]
    assert time.monotonic() - begun < 9


async def test_whoever_waits_is_told_when_the_lines_stop() -> None:
    ended: list[bool] = []

    async def handle(task: Task) -> None:
        await asyncio.sleep(60)

    lines = Lines(handle, window=0.01, clock=SystemClock())
    for at in range(3):
        lines.put(Task(event("a", at)), ended.append)
    await asyncio.sleep(0.03)
    await lines.stop()
    assert ended == [False] * 3
    assert len(lines) == 0
