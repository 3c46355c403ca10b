"""A person's channels: 1,000 joined Communities of which 300 are channels, the stub answering 20 ms late.

    python -m tests.benchmarks.bench_lists [--small]

Prints how much faster `channels.subscribed` is than the same calls one after another, and how many calls a warm tag
cache saves.
"""

import asyncio
import sys
import time
from collections import Counter

from channel_adapter import ChannelAdapter
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import settings_for, stub_process

STUB = "[rates]\nenabled = false\n[limits]\ngroups_per_user = 5000\n"
READER = "reader"


async def prepare(adapter: ChannelAdapter, groups: int, channels: int) -> None:
    """Plain Communities and channels, one reader in all of them, in mixed order."""
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


async def main(*, small: bool) -> None:
    groups, channels = (300, 90) if small else (1000, 300)
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls[attempt.command] += 1

    with stub_process(STUB, latency=0.02) as ready:
        settings = settings_for(ready, rate_limits=False)
        async with ChannelAdapter.open(settings) as adapter:
            await prepare(adapter, groups, channels)
        async with ChannelAdapter.open(settings_for(ready, rate_limits=False, concurrency=1)) as one_by_one:
            await one_by_one.accounts.check([READER])
            found, slow = await listed(one_by_one)
        async with ChannelAdapter.open(settings, observer=observe) as adapter:
            await adapter.accounts.check([READER])
            calls.clear()
            also_found, fast = await listed(adapter)
            cold = calls.total()
            calls.clear()
            _, warm_time = await listed(adapter)
            warm = calls.total()
    if not found == also_found == channels:
        raise SystemExit(f"expected {channels} channels, found {found} and {also_found}")
    print(f"one after another: {slow * 1000:6.0f} ms")
    print(f"at once, cold:     {fast * 1000:6.0f} ms, {cold} calls, {slow / fast:.1f} times faster")
    print(f"at once, warm:     {warm_time * 1000:6.0f} ms, {warm} calls, {cold / warm:.1f} times fewer")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
