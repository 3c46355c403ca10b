"""What a reaction costs: against one bare insert, for 100 posts at once, and in direct mode at its limit.

    python -m tests.benchmarks.bench_reactions [--small] [--full]

The insert is committed in the same SQLite file, through the same engine, one after the other, as the reactions are.
`--full` adds 10,000 people who react to one post through four processes on one PostgreSQL.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Column, Double, MetaData, String, Table, event, insert

from channel_adapter import ChannelAdapter, PostRef, Text
from channel_adapter.store.engine import Database
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import adapter_on, stub_process

STUB = "[limits]\nmembers_per_community = 1000000\n"
EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"]


async def stage(adapter: ChannelAdapter, people: int, posts: int) -> list[PostRef]:
    users = [f"reader_{number:06}" for number in range(people)]
    await adapter.accounts.add(["owner", *users])
    await adapter.channels.create(slug="bench", name="bench", owner="owner")
    await adapter.subscriptions.subscribe("bench", users, file=False)
    return [(await adapter.posts.publish("bench", Text(f"post {number}"))).ref for number in range(posts)]


async def single_reactions(ready: dict[str, object], folder: Path, *, rounds: int) -> None:
    """One reaction after the other beside one insert after the other, in turns, so that both see the same machine."""
    url = f"sqlite:///{folder / 'reactions.db'}"
    bare = Table("bare", MetaData(), Column("person", String, primary_key=True), Column("at", Double))
    async with adapter_on(ready, database_url=SecretStr(url)) as adapter:
        ref, *_ = await stage(adapter, rounds, 1)
        for number in range(rounds):  # membership is asked for once a person, and remembered
            await adapter.reactions.react(ref, f"reader_{number:06}", "😂")
        await adapter.reactions.flush(30)
        database = Database(url)
        async with database.writing() as connection:
            await connection.run_sync(bare.create)
        costs: dict[str, list[float]] = {"insert": [], "react": []}
        for number in range(rounds):
            user = f"reader_{number:06}"
            started = time.perf_counter()
            async with database.writing() as connection:
                await connection.execute(insert(bare).values(person=user, at=started))
            middle = time.perf_counter()
            await adapter.reactions.react(ref, user, "👍")
            costs["insert"].append(middle - started)
            costs["react"].append(time.perf_counter() - middle)
        await database.close()
        plain, full = (statistics.median(costs[name]) * 1000 for name in ("insert", "react"))
        print(f"react in store mode {full:.2f} ms, bare committed insert {plain:.2f} ms: {full / plain:.2f} times")
        together = [f"reader_{number:06}" for number in range(rounds)]
        started = time.perf_counter()
        await asyncio.gather(*(adapter.reactions.react(ref, user, "🙏") for user in together))
        took = time.perf_counter() - started
        print(f"  {rounds} people at once: {rounds / took:.0f} reactions/s")


async def many_posts(ready: dict[str, object], folder: Path, *, posts: int) -> None:
    """Statements that `of_many` needs."""
    statements: Counter[str] = Counter()
    async with adapter_on(ready, database_url=SecretStr(f"sqlite:///{folder / 'many.db'}")) as adapter:
        refs = [PostRef((await adapter.channels.get("bench")).id, number) for number in range(1, posts + 1)]
        stored = await adapter.reactions._required()
        event.listen(
            stored._store.database._engine.sync_engine,
            "before_cursor_execute",
            lambda *given: statements.update([str(given[2]).split()[0]]),
        )
        started = time.perf_counter()
        await adapter.reactions.of_many(refs, "reader_000001")
        took = (time.perf_counter() - started) * 1000
        print(f"of_many of {posts} posts with a viewer: {statements['SELECT']} statements, {took:.1f} ms")


async def direct_reads(ready: dict[str, object]) -> None:
    """Calls that `of` needs in direct mode for as many people as it takes."""
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls[attempt.command] += 1

    async with ChannelAdapter.open(settings(ready), observer=observe) as adapter:
        ref = (await adapter.posts.publish("bench", Text("direct"))).ref
        started = time.perf_counter()
        await asyncio.gather(
            *(adapter.reactions.react(ref, f"reader_{number:06}", EMOJI[number % 6]) for number in range(250))
        )
        took = time.perf_counter() - started
        written = calls["group_set_key_values"]
        calls.clear()
        found = await adapter.reactions.of(ref)
        print(f"direct mode: {found.total} people in {written} set calls and {took:.1f} s;")
        print(f"  of: {calls['group_get_key_values']} calls")


def settings(ready: dict[str, object]) -> object:
    from tests.benchmarks.rig import settings_for  # noqa: PLC0415

    return settings_for(ready)


async def main(*, small: bool, full: bool) -> None:
    with stub_process(STUB) as ready, tempfile.TemporaryDirectory() as folder:
        await single_reactions(ready, Path(folder), rounds=300 if small else 2000)
        await many_posts(ready, Path(folder), posts=100)
        await direct_reads(ready)


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv, full="--full" in sys.argv))
