"""A million members in one Community: memory of the stub's process, loading and saving, and the cost of calls.

    python -m tests.benchmarks.bench_members [--members N] [--rounds N] [--small]

Two stubs are loaded from state files, one with 1,000 members and one with a million, and alternately receive the
same calls: pages of members, a query of roles, a page of admins, posts. Prints megabytes, seconds and ratios of
medians.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from channel_adapter.stub.state_file import write_state
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.state import Group
from channel_adapter.stub.world.stub_state import StubState
from tests.benchmarks.bench_stub import GROUP, SEND, exchange, message, request_bytes
from tests.benchmarks.rig import resident_megabytes, stub_process

FEW = 1_000
CALLS = 100  # calls of each kind in one round
ROLES_A_CALL = 100
ROOMY = "[rates]\nenabled = false\n[limits]\nmembers_per_community = 2000000\nmessages_per_second = 1000000\n"
MEMBERS = "group_open_http_svc/get_group_member_info"
ROLES = "group_open_http_svc/get_role_in_group"
Body = Callable[[], tuple[str, dict[str, Any]]]


def write_members(path: Path, members: int) -> float:
    """Write a state file with one Community; return the seconds that saving took."""
    world = StubState()
    group = Group(GROUP, "Community", "Bench", 1_770_000_000, owner="editor", max_members=2_000_000)
    world.state.add_account("editor")
    world.state.add_group(group)
    world.state.join(group, "editor", MemberRole.OWNER, 1_770_000_000, 0)
    for number in range(members - 1):
        user = f"reader_{number:07d}"
        world.state.add_account(user)
        world.state.join(group, user, MemberRole.MEMBER, 1_770_000_000 + number // 100, 0)
    began = time.perf_counter()
    write_state(path, world)
    return time.perf_counter() - began


class Caller:
    """One connection to one stub, and calls that match its number of members."""

    def __init__(self, port: int, members: int) -> None:
        self._port = port
        self._random = random.Random(members)
        self._members = members
        self._numbers = itertools.count(1)
        self._next = ""
        self.kinds: dict[str, Body] = {
            "a page of members": self._page,
            "a query of roles": self._roles,
            "a page of admins": lambda: (MEMBERS, {"GroupId": GROUP, "Next": "", "MemberRoleFilter": ["Owner"]}),
            "a post": lambda: (SEND, message(next(self._numbers))),
        }

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def seconds(self, kind: str) -> float:
        """Return the seconds of CALLS calls in sequence, counting only the time between request and answer."""
        total = 0.0
        for _ in range(CALLS):
            request = request_bytes(*self.kinds[kind]())
            began = time.perf_counter()
            answer = await exchange(self._reader, self._writer, request)
            total += time.perf_counter() - began
            read = orjson.loads(answer)
            if read["ErrorCode"]:
                raise RuntimeError(answer.decode())
            self._next = read.get("Next", self._next)
        return total

    def _page(self) -> tuple[str, dict[str, Any]]:
        return MEMBERS, {"GroupId": GROUP, "Limit": 100, "Next": self._next}

    def _roles(self) -> tuple[str, dict[str, Any]]:
        users = [f"reader_{self._random.randrange(self._members - 1):07d}" for _ in range(ROLES_A_CALL)]
        return ROLES, {"GroupId": GROUP, "User_Account": users}


async def compare(ports: dict[int, int], rounds: int) -> dict[str, dict[int, float]]:
    """Return the median seconds of CALLS calls by kind and number of members."""
    callers = {members: Caller(port, members) for members, port in ports.items()}
    for caller in callers.values():
        await caller.connect()
    times: dict[str, dict[int, list[float]]] = {}
    for _ in range(rounds):
        for (members, caller), kind in itertools.product(callers.items(), next(iter(callers.values())).kinds):
            times.setdefault(kind, {}).setdefault(members, []).append(await caller.seconds(kind))
    return {
        kind: {members: statistics.median(found) for members, found in each.items()} for kind, each in times.items()
    }


def started(stack: ExitStack, folder: Path, sizes: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Start stubs with these numbers of members; print the cost of saving, loading and holding them."""
    for members in sizes:
        path = folder / f"{members}.state"
        saving = write_members(path, members)
        began = time.perf_counter()
        ready = stack.enter_context(stub_process(ROOMY, words=["--state", str(path), "--save-every", "3600"]))
        loading = time.perf_counter() - began
        print(
            f"{members:9,} members: file {path.stat().st_size / 1e6:5.1f} MB, saved in {saving:5.2f} s, stub ready in"
            f" {loading:5.2f} s, {resident_megabytes(ready['pid']):5.0f} MB resident"
        )
        yield members, ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="20,000 members, two rounds")
    options = parser.parse_args()
    if options.small:
        options.members, options.rounds = 20_000, 2
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stubs = dict(started(stack, Path(folder), [FEW, options.members]))
        ports = {members: int(ready["url"].rpartition(":")[2]) for members, ready in stubs.items()}
        for kind, seconds in asyncio.run(compare(ports, options.rounds)).items():
            few, many = seconds[FEW] / CALLS * 1000, seconds[options.members] / CALLS * 1000
            print(f"{kind:18} {few:6.2f} ms with {FEW:,}, {many:6.2f} ms with {options.members:,}: {many / few:.2f}")
        print(f"after the calls: {resident_megabytes(stubs[options.members]['pid']):.0f} MB resident")


if __name__ == "__main__":
    main()
