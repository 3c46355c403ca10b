"""Precision of the limiter's rate in real time, and its cost while no caller has to wait.

python -m tests.benchmarks.bench_limiter [--small]
"""

import asyncio
import sys
import time

from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER
from channel_adapter.tencent.rate_limit import Bucket, CommandLimiter

WORKERS = 50


async def hold(seconds: float) -> list[float]:
    """Return the times at which 50 workers got their slots."""
    limiter = CommandLimiter()
    moments: list[float] = []
    end = time.monotonic() + seconds

    async def worker() -> None:
        while time.monotonic() < end:
            await asyncio.sleep(limiter.reserve(ADD_GROUP_MEMBER, 60))
            moments.append(time.monotonic())

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return [moment for moment in moments if moment < end]


def busiest_second(moments: list[float]) -> int:
    """Return the highest number of slots in any window of one second."""
    busiest = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 1.0:
            first += 1
        busiest = max(busiest, last - first + 1)
    return busiest


def cost_of_a_free_turn(turns: int = 20_000) -> float:
    """Return the microseconds to book a slot in a bucket that is never empty."""
    bucket = Bucket(1e9)
    start = time.perf_counter()
    for _ in range(turns):
        bucket.reserve(time.monotonic(), 0.0)
    return (time.perf_counter() - start) / turns * 1e6


def main() -> None:
    seconds = 1.0 if "--small" in sys.argv else 5.0
    start = time.process_time()
    moments = asyncio.run(hold(seconds))
    busy = time.process_time() - start
    print(f"ceiling                 {ADD_GROUP_MEMBER.calls_per_second} calls/s")
    print(f"held                    {len(moments) / seconds:.1f} calls/s over {seconds:g} s, {WORKERS} workers")
    print(f"busiest second          {busiest_second(moments)} calls")
    print(f"processor               {busy / seconds:.1%} of one core")
    print(f"a turn without waiting  {cost_of_a_free_turn():.1f} us")


if __name__ == "__main__":
    main()
