"""One message to 20,000 users from a generator: the rate against the documented ceiling, and the memory used.

    python -m tests.benchmarks.bench_messages [--small]

The stub counts messages a minute as the service documents it: a batch over 12,000 is refused with 90057, which is
counted as a rejected call.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator

from channel_adapter import ChannelAdapter, OutcomeKind, Text
from channel_adapter.tencent import limits
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import resident_megabytes, settings_for, stub_process

CEILING = limits.BATCH_MESSAGES_PER_MINUTE / 60


def users(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"reader_{number:07}"


async def main(*, small: bool) -> None:
    count = 2_000 if small else 20_000
    attempts: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        attempts["refused" if attempt.code else "accepted"] += attempt.command == "batchsendmsg"

    with stub_process() as ready:
        async with ChannelAdapter.open(settings_for(ready), observer=observe) as adapter:
            async for _ in adapter.accounts.add_stream(users(count)):
                pass
            await adapter.accounts.add(["owner"])
            await adapter.channels.create(slug="bench", name="bench", owner="owner")
            await adapter.messages.send("bench", user="reader_0000000", content=Text("warm"))
            before = peak = resident_megabytes()
            kinds: Counter[OutcomeKind] = Counter()
            started, used = time.perf_counter(), time.process_time()
            async for outcome in adapter.messages.send_many_stream("bench", users(count), Text("tides")):
                kinds[outcome.kind] += 1
                if kinds.total() % 500 == 0:
                    peak = max(peak, resident_megabytes())
            took, used = time.perf_counter() - started, time.process_time() - used
            print(f"sent to {kinds[OutcomeKind.SENT]} of {count} in {took:.1f} s: {count / took:.0f} messages/s,")
            print(f"  {count / took / CEILING:.1%} of {CEILING:.0f}/s; {attempts['accepted']} calls,")
            print(f"  {attempts['refused']} rejected; memory grew by {peak - before:.1f} MB; {used:.2f} s of CPU")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
