"""Cost of the stub in a test suite: start, reset of a state with 10,000 objects, stop; prints medians only.

python -m tests.benchmarks.bench_stub_life [--rounds N]
"""

import argparse
import asyncio
import statistics
import time

from channel_adapter.stub.routes import find
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

ACCOUNTS, GROUPS, MESSAGES = 4_000, 1_000, 5_000
SETTINGS = StubSettings.model_validate({"limits": {"messages_per_second": MESSAGES}})
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Tide table"}}]


def fill(server: StubServer) -> None:
    """Create ten thousand objects: users, Communities, messages."""

    def call(name: str, **body: object) -> None:
        command = find(name)
        if command is None:
            raise RuntimeError(f"the catalog has no {name}")
        server.world.execute(command, body, caller=server.admin)

    for number in range(ACCOUNTS):
        call("account_import", UserID=f"user_{number}")
    for number in range(GROUPS):
        group = f"@TGS#_group_{number}"
        call("create_group", Type="Community", GroupId=group, Name="Bench", Owner_Account=f"user_{number}")
    for number in range(MESSAGES):
        call("send_group_msg", GroupId=f"@TGS#_group_{number % GROUPS}", Random=number, MsgBody=TEXT)


async def measure(rounds: int, *, tls: bool) -> dict[str, list[float]]:
    """Return the milliseconds of each step; a client keeps a connection open while the server stops."""
    times: dict[str, list[float]] = {"start": [], "reset": [], "stop": []}
    for _ in range(rounds):
        began = time.perf_counter()
        server = StubServer(SETTINGS, tls=tls)
        await server.start()
        times["start"].append(time.perf_counter() - began)
        fill(server)
        began = time.perf_counter()
        server.reset()
        times["reset"].append(time.perf_counter() - began)
        _, idle = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        began = time.perf_counter()
        await server.stop()
        times["stop"].append(time.perf_counter() - began)
        idle.close()
    return {step: [seconds * 1000 for seconds in measured] for step, measured in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--small", action="store_true", help="a short run")
    options = parser.parse_args()
    if options.small:
        options.rounds = 3
    for tls in (False, True):
        for step, measured in asyncio.run(measure(options.rounds, tls=tls)).items():
            print(f"{'https' if tls else 'http':5} {step:5} {statistics.median(measured):7.2f} ms (median)")


if __name__ == "__main__":
    main()
