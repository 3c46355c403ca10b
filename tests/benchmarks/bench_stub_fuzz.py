"""100,000 requests that nobody should send: each is answered with an envelope, none breaks the stub, none that is
refused changes its state. Random bytes, mutated bodies of every command, bent request lines. Prints a summary, and ends
with exit code 1 at the first request that is not answered as it should be.

    python -m tests.benchmarks.bench_stub_fuzz [--requests N] [--seed N]
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from random import Random
from typing import Any

import orjson
import TLSSigAPIv2

from channel_adapter.stub.desk import Desk
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.world import World
from channel_adapter.tencent.catalog import COMMANDS
from channel_adapter.tencent.command import Command

SETTINGS = StubSettings.model_validate({"rates": {"enabled": False}})
ODD: list[Any] = [
    *(None, True, 0, -1, 2**31, 2**63, 2**64, 1.5, -1e308, "", " ", "\x00", "\u202e", "😀" * 40, "x" * 5_000),
    *(
        "editor",
        "@TGS#_a",
        "@TGS#_" + "y" * 60,
        "Community",
        "On",
        "TIMTextElem",
        [],
        {},
        [[]],
        [{}],
        [None],
        {"Key": 1},
    ),
]
ROWS = list(COMMANDS.values())
COMPARE_EVERY = 50  # a dump of the state costs more than a request


def names_of(command: Command[Any, Any]) -> list[str]:
    """The JSON names of a request."""
    return [field.alias or name for name, field in command.request.model_fields.items()]


NAMES = sorted({name for row in COMMANDS.values() for name in names_of(row)} | {"Member_Account", "UserID", "MsgType"})


def value(random: Random, depth: int) -> Any:
    choice = random.random()
    if depth and choice < 0.15:
        return [value(random, depth - 1) for _ in range(random.randrange(4))]
    if depth and choice < 0.35:
        return {random.choice(NAMES): value(random, depth - 1) for _ in range(random.randrange(5))}
    return random.choice(ODD)


def body(random: Random, command: Command[Any, Any]) -> bytes:
    """Mostly the fields of the command with odd values, now and then a foreign field, a cut, plain noise."""
    kind = random.random()
    if kind < 0.1:
        return random.randbytes(random.randrange(200))
    if kind < 0.12:
        depth = random.randrange(1, 3_000)
        return b'{"GroupId":' + b"[" * depth + b"]" * depth + b"}"
    names = [name for name in names_of(command) if random.random() < 0.8]
    if random.random() < 0.2:
        names.append(random.choice(NAMES))
    raw = json.dumps({name: value(random, 3) for name in names}).encode()
    return raw if kind < 0.95 else raw[: random.randrange(len(raw))]


def url(random: Random, good: str, command: Command[Any, Any]) -> str:
    path = f"/v4/{command.path}"
    if random.random() < 0.03:
        path = path[: random.randrange(len(path))] + random.choice(["", "/", "%00", "é", "?"])
    if random.random() < 0.03:
        good = good[: random.randrange(len(good))]
    return f"{path}?{good}"


async def run(requests: int, seed: int) -> Counter[int]:
    random, codes = Random(seed), Counter[int]()
    app = SETTINGS.app
    usersig = TLSSigAPIv2.TLSSigAPIv2(app.sdkappid, app.key.get_secret_value()).gen_sig(app.admin)
    good = f"sdkappid={app.sdkappid}&identifier={app.admin}&usersig={usersig}&random=1&contenttype=json"
    desk = Desk(World(SETTINGS))
    for number in range(requests):
        command = random.choice(ROWS)
        where, raw = url(random, good, command), body(random, command)
        before = desk.world.dump() if number % COMPARE_EVERY == 0 else None
        answer = orjson.loads((await desk.answer("POST", where, "127.0.0.1", raw)).body)
        code = answer["ErrorCode"]
        codes[code] += 1
        if answer["ActionStatus"] != ("OK" if code == 0 else "FAIL"):
            raise AssertionError(f"not an envelope: {answer}, for {raw!r}")
        if code and before is not None and desk.world.dump() != before:
            raise AssertionError(f"refused with {code} and changed the state: {where.partition('?')[0]} {raw!r}")
    return codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a short run")
    options = parser.parse_args()
    if options.small:
        options.requests = 2_000
    started = time.perf_counter()
    try:
        codes = asyncio.run(run(options.requests, options.seed))
    except AssertionError as failure:
        sys.exit(str(failure))
    print(f"{options.requests} requests, {time.perf_counter() - started:.0f} s, {codes[0]} of them were in order")
    print("answers: " + ", ".join(f"{code} x {times}" for code, times in codes.most_common(15)))


if __name__ == "__main__":
    main()
