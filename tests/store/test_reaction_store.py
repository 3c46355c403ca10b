"""Reactions in the store: fixed number of statements per batch, reads by primary key, removal of posts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, select, update

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import MessageCapacity
from channel_adapter.store.database import Database
from channel_adapter.store.leases import LEASES
from channel_adapter.store.reaction_publishing import ClaimEnd, ClaimResult, PublishingStore
from channel_adapter.store.reactions import POSTS, CommandResult, ReactionCommand, ReactionStore

NEWS, SPORT = ChannelId("@TGS#_news"), ChannelId("@TGS#_sport")
ANN, BEN = UserId("ann"), UserId("ben")
CAPACITY = MessageCapacity(keys=300, keys_per_call=20, users=200, counts=80, users_without_store=0, write_interval=0.0)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReactionStore]:
    url = f"sqlite:///{tmp_path / 'store.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with Database(url) as database:
        made = ReactionStore(database, 1, max_per_user=1)
        await made.prepare()
        yield made


@contextmanager
def statements(store: ReactionStore) -> Iterator[list[str]]:
    executed: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            executed.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    yield executed
    event.remove(store.database.engine, "before_cursor_execute", note)


def posts(number: int) -> list[PostRef]:
    return [PostRef(channel, seq) for channel in (NEWS, SPORT) for seq in range(1, number + 1)]


def leases(connection: Connection) -> list[str]:
    return list(connection.scalars(select(LEASES.c.name)))


async def test_batch_for_many_posts_uses_fixed_number_of_statements(store: ReactionStore) -> None:
    counted = []
    for number in (1, 100):
        replaced = [ReactionCommand(ref, ANN, "👍") for ref in posts(number)]
        await store.apply(replaced, 1.0)
        with statements(store) as executed:
            await store.apply([ReactionCommand(ref, ANN, "❤️") for ref in posts(number)], 2.0)
        counted.append(len(executed))
    assert counted[0] == counted[1]
    found = await store.get_many(posts(100), ANN)
    assert {(tuple(each.counts.items()), each.chosen) for each in found.values()} == {((("❤️", 1),), ("❤️",))}
    assert len(found) == 200


async def test_commands_of_batch_are_applied_in_order(store: ReactionStore) -> None:
    ref = PostRef(NEWS, 1)
    commands = [
        ReactionCommand(ref, ANN, "👍"), ReactionCommand(ref, ANN, "👍"), ReactionCommand(ref, ANN, "❤️"),
        ReactionCommand(ref, BEN, "👍"), ReactionCommand(ref, BEN, None, add=False),
        ReactionCommand(ref, BEN, "👍", add=False),
    ]  # fmt: skip
    changed, same = CommandResult.CHANGED, CommandResult.UNCHANGED
    assert await store.apply(commands, 1.0) == [changed, same, changed, changed, changed, same]
    assert (await store.get(ref, ANN)).counts == {"❤️": 1}


async def test_dropped_post_accepts_no_reactions(store: ReactionStore) -> None:
    ref, other = PostRef(NEWS, 1), PostRef(NEWS, 2)
    await store.drop(ref, 1.0)
    commands = [ReactionCommand(ref, ANN, "👍"), ReactionCommand(other, ANN, "👍")]
    assert await store.apply(commands, 2.0) == [CommandResult.DROPPED, CommandResult.CHANGED]
    assert (await store.get(ref, ANN)).dropped
    assert set(await store.get_many([ref, other], None)) == {other}


async def test_sqlite_reads_use_primary_key(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'store.db'}") as database:
        store = ReactionStore(database, 1, max_per_user=1)
        await store.prepare()
        explained: list[str] = []

        def explain(connection: object, cursor: object, statement: str, values: object, *_: object) -> None:
            if statement.startswith("SELECT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[attr-defined]
                explained.extend(row[3] for row in cursor.fetchall())  # type: ignore[attr-defined]

        event.listen(database.engine, "before_cursor_execute", explain)
        await store.get_many(posts(10), ANN)
        await store.get(PostRef(NEWS, 1), ANN)
        await store.apply([ReactionCommand(ref, ANN, "👍") for ref in posts(10)], 1.0)
        event.remove(database.engine, "before_cursor_execute", explain)
    tables = [step for step in explained if "reaction" in step]
    assert len(tables) >= 4
    assert [step for step in tables if not step.startswith("SEARCH")] == []


async def test_claims_and_results_of_many_posts_use_fixed_number_of_statements(store: ReactionStore) -> None:
    publishing = PublishingStore(store, CAPACITY, lease_seconds=60)
    counted = []
    for number in (1, 100):
        await store.apply([ReactionCommand(ref, BEN, "👍" if number == 1 else "❤️") for ref in posts(number)], 1.0)
        with statements(store) as executed:
            claims, _ = await publishing.claim(1_000, 10.0 * number)
            assert len(claims) == 2 * number
            outcomes = [ClaimResult(claim, ClaimEnd.WRITTEN, 0.0) for claim in claims]
            assert all(await publishing.finish(outcomes, 10.0 * number))
        counted.append(len(executed))
    # The larger round has one more kind of row: counts of replaced reactions, which are removed.
    assert counted[1] - counted[0] <= 1


async def test_two_publishers_never_claim_same_post(store: ReactionStore) -> None:
    one, two = (PublishingStore(store, CAPACITY, lease_seconds=60) for _ in range(2))
    await store.apply([ReactionCommand(ref, ANN, "👍") for ref in posts(10)], 1.0)
    first, _ = await one.claim(15, 10.0)
    second, _ = await two.claim(15, 10.0)
    assert len(first) == 15
    assert len(second) == 5
    assert {claim.ref for claim in first}.isdisjoint(claim.ref for claim in second)


async def test_posts_with_unchanged_reactions_are_removed_in_batches(store: ReactionStore) -> None:
    publishing = PublishingStore(store, CAPACITY, lease_seconds=60)
    old, pending, fresh = posts(150), PostRef(NEWS, 1_000), PostRef(NEWS, 1_001)
    await store.apply([ReactionCommand(ref, ANN, "👍") for ref in [*old, fresh]], 1.0)
    claims, _ = await publishing.claim(1_000, 2.0)
    await publishing.finish([ClaimResult(claim, ClaimEnd.WRITTEN, 0.0) for claim in claims], 3.0)
    await store.apply([ReactionCommand(pending, ANN, "👍")], 1.0)
    await store.apply([ReactionCommand(fresh, BEN, "👍")], 100.0)
    assert [await store.remove_unchanged(50.0) for _ in range(3)] == [200, 100, 0]
    left = await store.get_many([*old, pending, fresh], ANN)
    assert set(left) == {pending, fresh}


async def test_removed_posts_and_channels_leave_no_leases(store: ReactionStore) -> None:
    publishing = PublishingStore(store, CAPACITY, lease_seconds=60.0)
    await store.apply([ReactionCommand(ref, ANN, "👍") for ref in posts(3)], 1.0)
    claims, _ = await publishing.claim(9, 2.0)
    assert len(await store.database.read(leases)) == len(claims) == 6
    await store.drop_channel(NEWS)
    assert {name.split(":")[1] for name in await store.database.read(leases)} == {SPORT}
    await store.database.write(lambda connection: connection.execute(update(POSTS).values(published=POSTS.c.version)))
    assert await store.remove_unchanged(3.0) == 3
    assert await store.database.read(leases) == []


async def test_reactions_are_counted_by_day(store: ReactionStore) -> None:
    midnight = 20_000 * 86_400.0
    post = PostRef(NEWS, 1)
    for number, at in enumerate([midnight - 0.25, midnight, midnight + 86_399.75, midnight + 86_400.0]):
        await store.apply([ReactionCommand(post, UserId(f"user_{number}"), "👍")], at)
    await store.apply([ReactionCommand(PostRef(NEWS, 2), ANN, "👍")], midnight)
    assert await store.by_day(post) == {date(2024, 10, 3): 1, date(2024, 10, 4): 2, date(2024, 10, 5): 1}
