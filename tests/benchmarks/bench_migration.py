"""Planning the migration of 100 official accounts: rate of reading their history against the documented ceiling.

    python -m tests.benchmarks.bench_migration [--small]

The ceiling is 200 calls a second of the command that reads broadcasts, 20 a page. The stub counts calls as the
service documents it, and a rejected call counts as an attempt beyond the pages. Memory is that of the planning
process.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from channel_adapter import ChannelAdapter
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import OFFICIAL_ACCOUNT_MSG_GET_SIMPLE
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import resident_megabytes, settings_for, stub_process
from tests.migration import worlds

ACCOUNTS = 100


def world(path: Path, posts: int) -> tuple[str, ...]:
    """Return a saved state of accounts with `posts` posts each."""
    made = StubState()
    ids = tuple(f"@TOA#_bench_{number:03}" for number in range(ACCOUNTS))
    worlds.build(made, worlds.Size(subscribers=10, posts=posts * 6), ids)
    worlds.save(made, path)
    return ids


async def main(*, small: bool) -> None:
    posts = 40 if small else 1_000
    attempts: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        if attempt.command == OFFICIAL_ACCOUNT_MSG_GET_SIMPLE.name:
            attempts["refused" if attempt.code else "accepted"] += 1

    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.json"
        ids = world(state, posts)
        with stub_process(words=["--state", str(state)]) as ready:
            async with ChannelAdapter.open(settings_for(ready), observer=observe) as adapter:
                await adapter.accounts.check(["nobody"])
                before = resident_megabytes()
                began = time.perf_counter()
                async with adapter.migration.accounts_source(Discovered(ids)) as source:
                    plan = await adapter.migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])))
                took = time.perf_counter() - began
                grown = resident_megabytes() - before
    read = sum(channel.source.posts.reachable for channel in plan.channels)
    rate = attempts["accepted"] / took
    print(f"planned {len(plan.channels)} accounts with {read} posts in {took:.1f} s: {rate:.0f} calls/s,")
    print(
        f"  {rate / limits.CALLS_PER_SECOND:.1%} of {limits.CALLS_PER_SECOND}/s; {attempts['refused']} calls rejected;"
    )
    print(f"  memory grew by {grown:.1f} MB")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
