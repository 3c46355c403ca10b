"""Views of the posts of a channel with a million subscribers: one scan against the documented rate, and its memory.

    python -m tests.benchmarks.bench_insights [--small]

The stub is loaded from a state file. A scan makes one call for 100 members; the service documents 200 calls a
second.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from channel_adapter import Text
from channel_adapter.stub.state_file import write_state
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.state import Group
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import limits
from tests.benchmarks.rig import adapter_on, resident_megabytes, stub_process

GROUP = "@TGS#_bench"
POSTS = 100
PER_SECOND = 200


def write_channel(path: Path, members: int) -> None:
    """Write a state file with one channel whose subscribers joined over a year."""
    world = StubState()
    group = Group(GROUP, "Community", "Bench", 1_770_000_000, owner="editor", mute_all=True, fields={"ch_tag": "ch1"})
    world.state.add_account("editor")
    world.state.add_group(group)
    world.state.join(group, "editor", MemberRole.OWNER, 1_770_000_000, 0)
    for number in range(members):
        user = f"reader_{number:07d}"
        world.state.add_account(user)
        world.state.join(group, user, MemberRole.MEMBER, 1_740_000_000 + number * 30, number % POSTS)
    write_state(path, world)


async def main(members: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.json"
        write_channel(state, members)
        with stub_process("[limits]\nmembers_per_community = 2000000\n", words=["--state", str(state)]) as ready:
            async with adapter_on(ready) as adapter:
                for _ in range(POSTS):
                    await adapter.posts.publish(GROUP, Text("news"))
                before = resident_megabytes()
                started, used = time.perf_counter(), time.process_time()
                found = await adapter.insights.views(GROUP)
                took, used = time.perf_counter() - started, time.process_time() - used
                calls = found.subscribers / limits.MEMBERS_PER_PAGE
                print(f"{found.subscribers} subscribers, {len(found.posts)} posts: {took:.1f} s,")
                print(f"{calls / took:.0f} calls/s, {calls / took / PER_SECOND:.1%} of {PER_SECOND}/s")
                print(f"memory grew by {resident_megabytes() - before:.1f} MB; {used / calls * 1e6:.0f} us CPU a call")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="2,000 subscribers")
    asyncio.run(main(2_000 if parser.parse_args().small else 1_000_000))
