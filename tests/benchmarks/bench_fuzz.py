"""100,000 invalid requests over a socket to a stub that has data.

Bodies of golden files with unexpected values in random places, with bytes changed, removed and duplicated, random
bytes, deep nesting, malformed request lines. Every answer must be HTTP 200 with an envelope, and a refused call must
change nothing: the state before and after every 20th request is compared. The seed determines all requests.

    python -m tests.benchmarks.bench_fuzz [--requests N] [--seed N] [--small]

Prints rate and answers by code; ends with exit code 1, and the request, at the first wrong answer.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from random import Random
from typing import Any, Final

import orjson

from channel_adapter.stub.server import StubServer
from tests.golden.loader import Golden
from tests.stub.any_body import QUERY, SETTINGS, exchanges, nodes, with_value, without

ODD: Final[list[Any]] = [
    *(None, True, False, 0, -1, 5, 1.5, -1e308, 2**31, 2**32, 2**63, 2**64, 10**400),
    *("", " ", "5", "0", "\x00", "\x1b[2J\u202e", "\ud800", "😀" * 40, "港" * 5_000, "@TGS#_" + "y" * 60, "x" * 49),
    *("editor", "u_ann", "@TGS#_news_42", "@TOA#_harbor_news", "Community", "On", "Owner", "TIMCustomElem", "Next"),
    *([], {}, [[]], [{}], [None], [5], ["x"] * 600, {"Key": 1}),
]
COMPARE_EVERY: Final = 20  # a dump of the state takes as long as some requests
RESTORE_EVERY: Final = 1_000
SMALL: Final = 2_000


class Wrong(Exception):  # noqa: N818 - it is a finding
    """Raised for a wrong answer."""


class Wire:
    """One connection that is reopened when the server has closed it."""

    def __init__(self, server: StubServer) -> None:
        self._port = int(server.url.rpartition(":")[2])
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> dict[str, Any]:
        """Send one request and return its envelope."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status, _, headers = head.partition(b"\r\n")
        body = await reader.readexactly(int(headers.partition(b"content-length:")[2].split(b"\r\n")[0]))
        if b"connection: close" in headers or status.startswith(b"http/1.0"):
            self.close()
        if status.split()[1] != b"200":
            raise Wrong(f"{status.decode()}: {body[:200]!r}")
        return envelope(body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def envelope(body: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
        code, info, status = answer["ErrorCode"], answer["ErrorInfo"], answer["ActionStatus"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Wrong(f"no envelope: {body[:200]!r}") from None
    if type(code) is not int or type(info) is not str or status != ("FAIL" if code else "OK"):
        raise Wrong(f"no envelope: {body[:200]!r}")
    found: dict[str, Any] = answer
    return found


def body(random: Random, golden: Golden) -> bytes:
    kind = random.random()
    if kind < 0.05:
        return random.randbytes(random.randrange(300))
    if kind < 0.07:
        depth = random.randrange(1, 20_000)
        opened, closed = random.choice([(b"[", b"]"), (b'{"GroupId":', b"}")])
        return b'{"GroupId":' + opened * depth + b"1" + closed * depth + b"}"
    if kind < 0.2:
        return turned_over(random, golden.request_bytes)
    bent: dict[str, Any] = golden.request
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        place = random.choice(list(nodes(bent)) or [("GroupId",)])
        bent = without(bent, place) if random.random() < 0.2 else with_value(bent, place, random.choice(ODD))
    return json.dumps(bent).encode()


def turned_over(random: Random, good: bytes) -> bytes:
    """Return the body with bytes changed, removed and duplicated."""
    raw = bytearray(good)
    for _ in range(random.randrange(1, 4)):
        start = random.randrange(len(raw) + 1)
        piece = raw[start : start + random.randrange(1, 9)]
        raw[start : start + len(piece)] = random.choice([b"", piece * 2, random.randbytes(len(piece)), b"\x00", b'"'])
    return bytes(raw)


def request(random: Random, golden: Golden) -> bytes:
    method, path, query = "POST", f"/v4/{golden.service}/{golden.command}", QUERY
    kind = random.random()
    if kind < 0.01:
        method = random.choice(["GET", "PUT", "DELETE", "OPTIONS"])
    elif kind < 0.03:
        path = path[: random.randrange(1, len(path))] + random.choice(["", "/", "%00", "%c3%a9", "/x", "/../x"])
    elif kind < 0.05:
        query = query[: random.randrange(len(query))] + random.choice(["", "&", "=", "&&identifier=editor", "%"])
    raw = body(random, golden)
    return f"{method} {path}?{query} HTTP/1.1\r\nHost: stub\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw


async def furnish(wire: Wire) -> None:
    """Create everything that golden files presuppose, as far as it can be combined."""
    for call in (call for golden in exchanges() for call in golden.given):
        raw = json.dumps(call.body).encode()
        path = f"/v4/{call.service}/{call.command}?{QUERY}"
        await wire.send(f"POST {path} HTTP/1.1\r\nHost: stub\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)


async def check(server: StubServer, wire: Wire, raw: bytes, *, compare: bool) -> int:
    """Send one request and return its code. Raise Wrong for a wrong answer."""
    before = server.world.dump() if compare else None
    code: int = (await wire.send(raw))["ErrorCode"]
    if server.app.failures:
        raise Wrong("the stub broke down")
    if code and before is not None and server.world.dump() != before:
        raise Wrong(f"refused with {code}, and the state has changed")
    return code


async def run(requests: int, seed: int) -> Counter[int]:
    random, codes = Random(seed), Counter[int]()
    async with StubServer(SETTINGS) as server:
        wire = Wire(server)
        await furnish(wire)
        furnished = server.world.dump()
        for number in range(requests):
            raw = request(random, random.choice(exchanges()))
            try:
                codes[await check(server, wire, raw, compare=number % COMPARE_EVERY == 0)] += 1
            except Wrong as finding:
                shown = raw.replace(QUERY.encode(), b"...")
                raise Wrong(f"request {number} of seed {seed}: {finding}\n{shown[:2_000]!r}") from None
            if number % RESTORE_EVERY == RESTORE_EVERY - 1:
                server.world.load(furnished)
        wire.close()
    return codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help=f"{SMALL} requests")
    options = parser.parse_args()
    requests = SMALL if options.small else options.requests
    started = time.perf_counter()
    try:
        codes = asyncio.run(run(requests, options.seed))
    except Wrong as finding:
        sys.exit(str(finding))
    seconds = time.perf_counter() - started
    print(f"{requests} requests in {seconds:.1f} s, {requests / seconds:.0f}/s; {codes[0]} of them succeeded")
    for code, times in sorted(codes.items(), key=lambda item: (-item[1], item[0])):
        print(f"{code:>7}  {times}")


if __name__ == "__main__":
    main()
