"""SyncChannelAdapter against ChannelAdapter, on a stub in another process: single calls, concurrent calls, a list.

    python -m tests.benchmarks.bench_sync [--small]

Prints the blocking rate divided by the asynchronous one, measured alternately, and the CPU time of a call of each.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from channel_adapter import ChannelAdapter, SyncChannelAdapter
from tests.benchmarks.rig import settings_for, stub_process

STUB = "[rates]\nenabled = false\n"
SLUG = "harbor_news"
THREADS = 16


class Asynchronous:
    """The three workloads in an event loop; each method returns when all calls are done."""

    def __init__(self, adapter: ChannelAdapter, calls: int) -> None:
        self._adapter = adapter
        self._calls = calls

    async def single(self) -> int:
        for _ in range(self._calls):
            await self._adapter.accounts.check(["editor_7"])
        return self._calls

    async def concurrent(self) -> int:
        async def one() -> None:
            for _ in range(self._calls // THREADS):
                await self._adapter.accounts.check(["editor_7"])

        await asyncio.gather(*(one() for _ in range(THREADS)))
        return self._calls

    async def list(self) -> int:
        return len([each async for each in self._adapter.subscriptions.subscribers(SLUG)])


class Blocking:
    """The three workloads in threads."""

    def __init__(self, adapter: SyncChannelAdapter, calls: int) -> None:
        self._adapter = adapter
        self._calls = calls

    def single(self) -> int:
        for _ in range(self._calls):
            self._adapter.accounts.check(["editor_7"])
        return self._calls

    def concurrent(self) -> int:
        def one(_: int) -> None:
            for _ in range(self._calls // THREADS):
                self._adapter.accounts.check(["editor_7"])

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(one, range(THREADS)))
        return self._calls

    def list(self) -> int:
        return len(list(self._adapter.subscriptions.subscribers(SLUG)))


def timed(job: Callable[[], int]) -> tuple[float, float]:
    """Return the rate, and the CPU time of one unit in microseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = job()
    return done / (time.perf_counter() - wall), (time.process_time() - cpu) / done * 1e6


def main(*, small: bool) -> None:
    calls, subscribers, rounds = (160, 500, 1) if small else (1600, 5000, 5)
    with (
        stub_process(STUB) as ready,
        asyncio.Runner() as runner,
        SyncChannelAdapter.open(settings_for(ready, rate_limits=False)) as blocking,
    ):
        adapter = ChannelAdapter.open(settings_for(ready, rate_limits=False))
        runner.run(adapter.__aenter__())
        users = [f"reader_{number}" for number in range(subscribers)]
        blocking.accounts.add(["editor_7", *users])
        blocking.channels.create(slug=SLUG, name="Harbour News", owner="editor_7")
        blocking.subscriptions.subscribe(SLUG, users, assign=False)
        both = Asynchronous(adapter, calls), Blocking(blocking, calls)
        for name, unit in (("single", "calls, one after another"), ("concurrent", f"calls, {THREADS} at once"),
                           ("list", "subscribers listed")):  # fmt: skip
            measured: list[tuple[tuple[float, float], tuple[float, float]]] = []
            for _ in range(rounds):
                awaited: Callable[[], Coroutine[Any, Any, int]] = getattr(both[0], name)
                measured.append((timed(lambda run=awaited: runner.run(run())), timed(getattr(both[1], name))))  # type: ignore[misc]
            ratio = median(twin[0] / own[0] for own, twin in measured)
            own_cpu, twin_cpu = (median(pair[side][1] for pair in measured) for side in (0, 1))
            print(
                f"{unit}: {ratio:.2f} of the asynchronous rate, CPU {twin_cpu:.0f} against {own_cpu:.0f} microseconds"
            )
        runner.run(adapter.aclose())


if __name__ == "__main__":
    main(small="--small" in sys.argv)
