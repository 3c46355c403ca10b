"""Cost of the stub: 20 concurrent `send_group_msg` calls, against an aiohttp handler that only parses JSON.

Both servers run in their own processes and alternately serve the same client, which writes the same bytes to each
over plain sockets, so that the client uses little CPU time. Prints rates, CPU time per call and their ratios; asserts
nothing. Ratios of CPU time depend less on the load of the machine.

    python -m tests.benchmarks.bench_stub [--calls N] [--rounds N] [--profile]
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import pstats
import statistics
import time
from collections.abc import Callable, Coroutine
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeAlias

import orjson
import psutil
import TLSSigAPIv2
from aiohttp import web

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

Pipe: TypeAlias = "Connection[Any, Any]"  # generic in type stubs only
Main = Callable[[Pipe], Coroutine[object, object, None]]

AT_ONCE = 20
SEND = "group_open_http_svc/send_group_msg"
SETTINGS = StubSettings.model_validate({"rates": {"enabled": False}, "limits": {"messages_per_second": 1_000_000}})
GROUP = "@TGS#_bench"
SETUP = [
    ("im_open_login_svc/account_import", {"UserID": "editor"}),
    (
        "group_open_http_svc/create_group",
        {"Type": "Community", "Name": "Bench", "GroupId": GROUP, "Owner_Account": "editor"},
    ),
]


def message(number: int) -> dict[str, object]:
    element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": f"Tide table for day {number}"}}
    return {"GroupId": GROUP, "Random": number, "From_Account": "editor", "MsgBody": [element]}


async def parse_and_answer(request: web.Request) -> web.Response:
    """Do the minimum of any handler, as the baseline."""
    body = await request.json()
    return web.json_response({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "MsgSeq": body["Random"]})


async def run_yardstick(ready: Pipe) -> None:
    app = web.Application()
    app.router.add_post("/v4/{service}/{command}", parse_and_answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready.send(runner.addresses[0][1])
    await asyncio.Event().wait()


async def run_stub(ready: Pipe) -> None:
    async with StubServer(SETTINGS) as server:
        ready.send(int(server.url.rpartition(":")[2]))
        await asyncio.Event().wait()


async def run_profiled(ready: Pipe) -> None:
    """Run the stub with a profiler until its client reports that it is done."""
    async with StubServer(SETTINGS) as server:
        profiler = cProfile.Profile()
        profiler.enable()
        ready.send(int(server.url.rpartition(":")[2]))
        await asyncio.to_thread(ready.recv)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


def in_process(main: Main) -> tuple[multiprocessing.Process, Pipe, int]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_run, args=(main, there), daemon=True)
    process.start()
    port: int = here.recv()
    return process, here, port


def _run(main: Main, ready: Pipe) -> None:
    asyncio.run(main(ready))


@cache
def usersig() -> str:
    """Return one signature for all calls."""
    app = SETTINGS.app
    signature: str = TLSSigAPIv2.TLSSigAPIv2(app.sdkappid, app.key.get_secret_value()).gen_sig(app.admin)
    return signature


def request_bytes(path: str, body: object) -> bytes:
    app = SETTINGS.app
    raw = orjson.dumps(body)
    url = f"/v4/{path}?sdkappid={app.sdkappid}&identifier={app.admin}&usersig={usersig()}&random=1&contenttype=json"
    head = f"POST {url} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}"
    return f"{head}\r\n\r\n".encode() + raw


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))


async def rate(port: int, requests: list[bytes]) -> float:
    """Return the calls per second with AT_ONCE connections permanently in use."""
    queue = iter(requests)

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in queue:
            answer = await exchange(reader, writer, request)
            if b'"ErrorCode":0' not in answer.replace(b" ", b"") or b"MsgDropReason" in answer:
                raise RuntimeError(answer.decode())
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return len(requests) / (time.perf_counter() - started)


async def prepare(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path, body in SETUP:
        await exchange(reader, writer, request_bytes(path, body))
    writer.close()


class Round(NamedTuple):
    """Calls per second, and CPU seconds of one call."""

    rate: float
    cpu: float


async def compare(calls: int, rounds: int, servers: dict[str, tuple[int, int]]) -> dict[str, list[Round]]:
    """Measure the servers alternately; `servers` has the process id and the port of each."""
    await prepare(servers["stub"][1])
    measured: dict[str, list[Round]] = {name: [] for name in servers}
    numbers = iter(range(1, 2**31))
    for _ in range(rounds):
        requests = [request_bytes_of_message(next(numbers)) for _ in range(calls)]
        for name, (pid, port) in servers.items():
            before = cpu_seconds(pid)
            reached = await rate(port, requests)
            measured[name].append(Round(reached, (cpu_seconds(pid) - before) / calls))
    return measured


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


_TEMPLATE = request_bytes(SEND, message(1_000_000))


def request_bytes_of_message(number: int) -> bytes:
    return _TEMPLATE.replace(b"1000000", b"%d" % (1_000_000 + number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4_000, help="calls per round and server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="show where the stub spends its time instead")
    parser.add_argument("--small", action="store_true", help="a short run")
    options = parser.parse_args()
    if options.small:
        options.calls, options.rounds = 200, 2
    if options.profile:
        process, pipe, port = in_process(run_profiled)
        asyncio.run(compare(options.calls, options.rounds, {"stub": (process.pid or 0, port)}))
        pipe.send(None)
        process.join()
        return
    (one, _, stub), (two, _, yardstick) = in_process(run_stub), in_process(run_yardstick)
    servers = {"yardstick": (two.pid or 0, yardstick), "stub": (one.pid or 0, stub)}
    measured = asyncio.run(compare(options.calls, options.rounds, servers))
    for name, found in measured.items():
        reached, cpu = statistics.median(each.rate for each in found), statistics.median(each.cpu for each in found)
        print(f"{name:10} {reached:8.0f} calls/s {cpu * 1e6:8.0f} us CPU a call (median of {options.rounds} rounds)")
    pairs = list(zip(measured["stub"], measured["yardstick"], strict=True))
    print(f"ratio      {statistics.median(ours.rate / bare.rate for ours, bare in pairs):8.2f} of the rate", end=", ")
    print(f"{statistics.median(bare.cpu / ours.cpu for ours, bare in pairs):.2f} of the CPU time", end=", ")
    print(f"{AT_ONCE} at once, signature checked")
    for process in (one, two):
        process.terminate()


if __name__ == "__main__":
    main()
