"""A user's channels: 1,000 joined Communities of which 300 are channels; the stub answers after 20 ms.

    python -m tests.benchmarks.bench_lists [--small]

Prints how much faster `channels.subscribed` is than the same calls one after another, and how many calls a warm tag
cache saves.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter

from channel_adapter import ChannelAdapter
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import settings_for, stub_process

STUB = "[rates]\nenabled = false\n[limits]\ngroups_per_user = 5000\n"
READER = "reader"


async def prepare(adapter: ChannelAdapter, groups: int, channels: int) -> None:
    """Create plain Communities and channels in mixed order, with one reader in all of them."""
    await adapter.accounts.add(["owner", READER])

    async def one(number: int) -> None:
        tag = (
            [{"Key": "ch_tag", "Value": "ch1"}]
            if number * channels // groups != (number - 1) * channels // groups
            else []
        )
        body = {
            "Type": "Community", "GroupId": f"@TGS#_bench_{number}", "Name": f"group {number}",
            "Owner_Account": "owner", "AppDefinedData": tag, "MemberList": [{"Member_Account": READER}],
        }  # fmt: skip
        await adapter.call("group_open_http_svc", "create_group", body)

    for start in range(0, groups, 50):
        await asyncio.gather(*(one(number) for number in range(start, min(start + 50, groups))))


async def listed(adapter: ChannelAdapter) -> tuple[int, float]:
    started = time.perf_counter()
    found = [mine async for mine in adapter.channels.subscribed(READER)]
    return len(found), time.perf_counter() - started


async def warm_up(adapter: ChannelAdapter) -> None:
    """Open the connections, because a long-running server already has them open."""
    await asyncio.gather(*(adapter.accounts.check([READER]) for _ in range(30)))


async def main(*, small: bool) -> None:
    groups, channels, rounds = (300, 90, 2) if small else (1000, 300, 7)
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls[attempt.command] += 1

    slow, fast, warm_times, cold, warm = [], [], [], 0, 0
    with stub_process(STUB, latency=0.02) as ready:
        async with (
            ChannelAdapter.open(settings_for(ready, rate_limits=False, concurrency=1)) as one_by_one,
            ChannelAdapter.open(settings_for(ready, rate_limits=False), observer=observe) as adapter,
        ):
            await prepare(adapter, groups, channels)
            await asyncio.gather(warm_up(one_by_one), warm_up(adapter))
            for _ in range(rounds):
                one_by_one.channels.forget()
                adapter.channels.forget()
                found, took = await listed(one_by_one)
                slow.append(took)
                calls.clear()
                also_found, took = await listed(adapter)
                fast.append(took)
                cold = calls.total()
                calls.clear()
                warm_times.append((await listed(adapter))[1])
                warm = calls.total()
                if not found == also_found == channels:
                    raise SystemExit(f"expected {channels} channels, found {found} and {also_found}")
    one, many, again = (statistics.median(times) for times in (slow, fast, warm_times))
    print(f"one after another: {one * 1000:6.0f} ms (medians of {rounds} rounds)")
    print(f"at once, cold:     {many * 1000:6.0f} ms, {cold} calls, {one / many:.1f} times faster")
    print(f"at once, warm:     {again * 1000:6.0f} ms, {warm} calls, {cold / warm:.1f} times fewer")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
