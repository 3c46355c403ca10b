"""Unread counts of a user in 1,000 groups, and a sync of 10,000 users: round trips, rates, memory.

    python -m tests.benchmarks.bench_unread [--small]

Counts are measured on a stub that answers after 20 ms, where a round trip is measured too. The sync runs at the
documented limits; its ceiling is 200 users a second, one call of each command for each user.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator

from channel_adapter import ChannelAdapter, Text
from channel_adapter.tencent import limits
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.bench_lists import READER, prepare, warm_up
from tests.benchmarks.rig import resident_megabytes, settings_for, stub_process

LATENCY = 0.02
SLOW_STUB = "[rates]\nenabled = false\n[limits]\ngroups_per_user = 5000\n"


async def counted(adapter: ChannelAdapter) -> float:
    """Return the seconds of one count."""
    started = time.perf_counter()
    await adapter.unread.get(READER)
    return time.perf_counter() - started


async def round_trip(adapter: ChannelAdapter, rounds: int) -> float:
    """Return the median seconds of the smallest possible call."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await adapter.accounts.check([READER])
        times.append(time.perf_counter() - started)
    return statistics.median(times)


async def bench_counts(*, small: bool) -> None:
    """Measure a cold count, a warm count, and calls in sequence."""
    groups, channels, rounds = (300, 90, 2) if small else (1000, 300, 9)
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls[attempt.command] += 1

    slow, cold, warm, costs = [], [], [], []
    with stub_process(SLOW_STUB, latency=LATENCY) as ready:
        async with (
            ChannelAdapter.open(settings_for(ready, rate_limits=False, concurrency=1)) as one_by_one,
            ChannelAdapter.open(settings_for(ready, rate_limits=False), observer=observe) as adapter,
        ):
            await prepare(adapter, groups, channels)
            await asyncio.gather(warm_up(one_by_one), warm_up(adapter))
            trip = await round_trip(adapter, 10 * rounds)
            for _ in range(rounds):
                one_by_one.channels.forget()
                adapter.channels.forget()
                slow.append(await counted(one_by_one))
                cold.append(await counted(adapter))
                calls.clear()
                warm.append(await counted(adapter))
                costs.append(dict(calls))
    print(f"{groups} joined groups, {channels} of them channels; a round trip takes {trip * 1000:.1f} ms")
    for what, of in ((f"medians of {rounds} rounds", statistics.median), ("the best of them", min)):
        one, many, again = of(slow), of(cold), of(warm)
        print(f"{what}: one after another {one * 1000:.0f} ms; at once, cold {many * 1000:.0f} ms,")
        print(f"  {one / many:.1f} times faster; at once, warm {again * 1000:.0f} ms, {again / trip:.1f} round trips")
    print(f"calls of a warm count: {costs[-1]}")


def users(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"reader_{number:07}"


async def bench_sync(*, small: bool) -> None:
    """Sync users of one channel that is in no group yet, and once more when it is in all of them."""
    count = 200 if small else 10_000
    ceiling = limits.CALLS_PER_SECOND
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls["refused" if attempt.code else attempt.command] += 1

    with stub_process() as ready:
        async with ChannelAdapter.open(settings_for(ready), observer=observe) as adapter:
            async for _ in adapter.accounts.add_stream(users(count)):
                pass
            await adapter.accounts.add(["owner"])
            channel = await adapter.channels.create(slug="bench", name="bench", owner="owner")
            await adapter.posts.publish(channel.id, Text("hello"))
            async for _ in adapter.subscriptions.subscribe_stream(channel.id, users(count), assign=False):
                pass
            for what in ("none assigned", "all assigned"):
                calls.clear()
                before = peak = resident_megabytes()
                started, changed, done = time.perf_counter(), 0, 0
                async for synced in adapter.unread.sync_many_stream(users(count)):
                    changed += synced.changed
                    done += 1
                    if done % 500 == 0:
                        peak = max(peak, resident_megabytes())
                took = time.perf_counter() - started
                print(f"sync of {done:,} users, {what}: {took:.1f} s, {done / took:.1f} users/s,")
                print(f"  {done / took / ceiling:.1%} of {ceiling}/s; {changed:,} changed; {dict(calls)};")
                print(f"  memory grew by {peak - before:.1f} MB")


async def main(*, small: bool) -> None:
    await bench_counts(small=small)
    await bench_sync(small=small)


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
