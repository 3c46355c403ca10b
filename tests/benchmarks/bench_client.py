"""Client overhead: posts of the adapter compared with bare aiohttp, same bytes, same stub, 20 concurrent calls.

    python -m tests.benchmarks.bench_client [--small]

Prints the ratios of the two rates and of the CPU time of this process for one call. Both run alternately in one
process, the stub in another. Rate limits are off on both sides, because otherwise the limits would be measured.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import NamedTuple

import aiohttp
import orjson

from channel_adapter import ChannelAdapter, Text
from channel_adapter.tencent.usersig import sign
from tests.benchmarks.rig import adapter_on, stub_process

CONCURRENCY = 20
STUB = """
[rates]
enabled = false
[limits]
messages_per_second = 1000000
"""


class Cost(NamedTuple):
    """Calls per second with 20 concurrent calls, and microseconds of CPU time per call."""

    rate: float
    cpu: float


async def cost_of(work: Callable[[], Awaitable[object]], calls: int) -> Cost:
    numbers = count()

    async def worker() -> None:
        while next(numbers) < calls:
            await work()

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return Cost(calls / (time.perf_counter() - started), (time.process_time() - cpu) / calls * 1e6)


def bare(session: aiohttp.ClientSession, ready: dict[str, object], channel: str) -> Callable[[], Awaitable[object]]:
    """Send the same request with bare aiohttp: one signature, a new number per post, the answer parsed as JSON."""
    signature = sign(int(str(ready["sdkappid"])), str(ready["key"]), str(ready["admin"]), now=int(time.time()))
    prefix = (
        f"{ready['url']}/v4/group_open_http_svc/send_group_msg?sdkappid={ready['sdkappid']}"
        f"&identifier={ready['admin']}&usersig={signature}&contenttype=json&random="
    )

    async def post() -> object:
        body = orjson.dumps(
            {
                "GroupId": channel,
                "Random": random.getrandbits(32),
                "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "tide table for Sunday"}}],
                "From_Account": "owner",
                "SupportMessageExtension": 1,
            }
        )
        async with session.post(prefix + str(random.getrandbits(32)), data=body) as answer:
            reply = orjson.loads(await answer.read())
        if reply["ErrorCode"] != 0:
            raise RuntimeError(reply["ErrorInfo"])
        return reply["MsgSeq"]

    return post


async def measure(adapter: ChannelAdapter, ready: dict[str, object], calls: int, rounds: int) -> list[Cost]:
    await adapter.accounts.add(["owner"])
    channel = await adapter.channels.create(slug="bench", name="bench", owner="owner")

    async def publish() -> object:
        return await adapter.posts.publish(channel.id, Text("tide table for Sunday"))

    ratios = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        by_hand = bare(session, ready, channel.id)
        await cost_of(by_hand, 100)
        await cost_of(publish, 100)
        for number in range(rounds):
            hand, ours = await cost_of(by_hand, calls), await cost_of(publish, calls)
            ratios.append(Cost(ours.rate / hand.rate, ours.cpu / hand.cpu))
            print(
                f"round {number + 1}: bare {hand.rate:7.0f}/s {hand.cpu:5.0f} us CPU"
                f"  adapter {ours.rate:7.0f}/s {ours.cpu:5.0f} us CPU"
                f"  ratios {ours.rate / hand.rate:.2f} {ours.cpu / hand.cpu:.2f}"
            )
    return ratios


async def main(*, small: bool) -> None:
    calls, rounds = (200, 2) if small else (600, 35)
    with stub_process(STUB) as ready:
        limits = {"rate_limits": False, "posts": {"per_second": 1_000_000}}
        async with adapter_on(ready, **limits) as adapter:
            ratios = await measure(adapter, ready, calls, rounds)
    rate, cpu = (statistics.median(each) for each in zip(*ratios, strict=True))
    print(f"adapter to bare aiohttp, medians of {rounds}: rate {rate:.2f}, CPU {cpu:.2f}")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
