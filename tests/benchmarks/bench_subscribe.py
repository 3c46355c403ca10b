"""100,000 users from a generator: rate against the documented ceiling, and memory of the generator and of a list.

    python -m tests.benchmarks.bench_subscribe [--small]

The stub counts calls a second as the service documents it; a rejected call counts as an attempt over the number of
batches. The ceiling is 200 calls a second of 20 users each.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator

from channel_adapter import ChannelAdapter, OutcomeKind
from channel_adapter.tencent import limits
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import resident_megabytes, settings_for, stub_process

STUB = "[limits]\nmembers_per_community = 1000000\n"
CEILING = limits.CALLS_PER_SECOND * limits.ADD_MEMBERS_PER_CALL


def users(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"reader_{number:07}"


async def main(*, small: bool) -> None:
    count = 4_000 if small else 100_000
    attempts: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        attempts["refused" if attempt.code else "accepted"] += 1

    with stub_process(STUB) as ready:
        async with ChannelAdapter.open(settings_for(ready), observer=observe) as adapter:
            before = resident_megabytes()
            async for _ in adapter.accounts.add_stream(users(count)):
                pass
            await adapter.accounts.add(["owner"])
            channel = await adapter.channels.create(slug="bench", name="bench", owner="owner")
            attempts.clear()
            started = time.perf_counter()
            kinds: Counter[OutcomeKind] = Counter()
            peak = before
            async for outcome in adapter.subscriptions.subscribe_stream(channel.id, users(count)):
                kinds[outcome.kind] += 1
                if kinds.total() % 5000 == 0:
                    peak = max(peak, resident_megabytes())
            took = time.perf_counter() - started
            print(f"subscribed {kinds[OutcomeKind.ADDED]} of {count} in {took:.1f} s: {count / took:.0f} users/s,")
            print(f"  {count / took / CEILING:.1%} of {CEILING}/s; {attempts['refused']} calls rejected;")
            print(f"  {attempts['accepted'] / took:.1f} calls/s; memory grew by {peak - before:.1f} MB")
            before = peak
            listed = 0
            async for _ in adapter.subscriptions.subscribers(channel.id):
                listed += 1
                if listed % 5000 == 0:
                    peak = max(peak, resident_megabytes())
            print(f"listed {listed} subscribers; memory grew by {peak - before:.1f} MB")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
