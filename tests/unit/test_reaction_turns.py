"""Turns at one message that are overtaken: by a change of rung, or by somebody else after their lease."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange, Rung
from channel_adapter.store.client_reactions import Admitted, Folding, Snapshot
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import Claim, MessageCapacity, Outcome, PublishingStore, Result
from channel_adapter.store.reactions import ReactionStore

REF = PostRef(ChannelId("@TGS#_tides"), 1)
LEASE, PACE = 5.0, 0.34
NOW = 1000.0


class Rows:
    """A database in which one person reacts to one post."""

    def __init__(self, database: Database) -> None:
        self.store = ReactionStore(database, 1, max_per_user=1)
        self.turns = PublishingStore(
            self.store, MessageCapacity(keys=9, per_call=4, people=9, counts=4), lease_seconds=LEASE
        )
        self.now = NOW

    async def react(self, user: str) -> None:
        change = Admitted(ReactionChange(UserId(user), ("👍",), 1, by_phone=True))
        await Folding(self.store, max_per_user=1).events(REF, [change], cleared=0, now=self.now)

    async def rung(self, rung: Rung) -> None:
        await self.turns.climb(rung.value, self.now, everywhere=True)

    async def next(self) -> Claim | None:
        claims, _ = await self.turns.claim(1, self.now)
        return claims[0] if claims else None

    async def begin(self) -> Claim:
        turn = await self.next()
        assert turn is not None
        return turn

    async def done(self, turn: Claim) -> bool:
        [kept] = await self.turns.finish([Outcome(turn, Result.WRITTEN, PACE)], self.now)
        self.now += PACE
        return kept

    async def failed(self, turn: Claim, *, pause: float) -> None:
        await self.turns.finish([Outcome(turn, Result.FAILED, pause)], self.now)


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    database = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    made = Rows(database)
    await made.store.prepare()
    await made.react("ann")
    yield made
    await database.close()


async def test_counts_that_a_late_write_put_into_custom_data_are_taken_out_again(rows: Rows) -> None:
    await rows.rung(Rung.CUSTOM_DATA)
    late = await rows.begin()
    assert late.plan.data == {"👍": 1}
    await rows.rung(Rung.EXTENSION)
    assert await rows.next() is None  # nobody writes beside it
    assert not await rows.done(late)
    assert (turn := await rows.begin()).plan.sets == {"👍": 1}
    assert await rows.done(turn)
    assert (turn := await rows.begin()).plan.data == {}
    assert await rows.done(turn)
    assert await rows.done(await rows.begin())
    assert await rows.store.pending() == 0
    assert await rows.next() is None


@pytest.mark.parametrize("climbs", [1, 2])
async def test_a_writer_that_was_killed_is_waited_for_no_longer_than_its_lease(rows: Rows, climbs: int) -> None:
    await rows.rung(Rung.CUSTOM_DATA)
    await rows.begin()
    for rung in (Rung.EXTENSION, Rung.STORE)[:climbs]:
        await rows.rung(rung)
    rows.now = NOW + LEASE - 0.01
    assert await rows.next() is None
    await rows.rung(Rung.EXTENSION)
    rows.now = NOW + LEASE
    assert (turn := await rows.begin()).plan.sets == {"👍": 1}
    assert await rows.done(turn)
    assert (await rows.begin()).plan.data == {}  # it may have written before it was killed


@pytest.mark.parametrize("answered", [True, False])
async def test_who_comes_after_its_lease_has_everything_written_once_more(rows: Rows, answered: bool) -> None:
    late = await rows.begin()
    rows.now += LEASE
    await rows.react("ben")
    assert (newer := await rows.begin()).plan.sets == {"👍": 2}
    assert await rows.done(newer)
    assert await rows.store.pending() == 0
    if answered:
        assert not await rows.done(late)
    else:
        await rows.failed(late, pause=PACE)
    assert await rows.store.pending() == 1
    rows.now += PACE
    assert (await rows.begin()).plan.sets == {"👍": 2}


@pytest.mark.parametrize("answered", [True, False])
async def test_who_wrote_beside_a_late_one_writes_once_more(rows: Rows, answered: bool) -> None:
    late = await rows.begin()
    rows.now += LEASE
    await rows.react("ben")
    newer = await rows.begin()
    if answered:
        assert not await rows.done(late)
    else:
        await rows.failed(late, pause=PACE)
    rows.now += PACE
    assert await rows.next() is None  # the newer one is still at it
    assert not await rows.done(newer)  # its numbers may have been written over
    turn = await rows.begin()
    assert turn.plan.sets == {"👍": 2}
    assert await rows.done(turn)
    assert await rows.store.pending() == 0


@pytest.mark.parametrize("overtaken", [True, False])
async def test_what_was_read_before_a_change_of_rung_counts_for_nothing_after_it(rows: Rows, overtaken: bool) -> None:
    await rows.rung(Rung.EXTENSION)
    assert await rows.done(await rows.begin())
    reading = await rows.turns.claim_for_reading(REF, rows.now)
    assert reading is not None
    if overtaken:
        await rows.rung(Rung.CUSTOM_DATA)
    folding = Folding(rows.store, max_per_user=1)
    seen = Snapshot(people=[], counts={"👍": 1}, latest=1, cleared=0, complete=True, before={}, absence_counts=True)
    await folding.snapshot(REF, seen, now=rows.now)
    await rows.turns.finish([Outcome(reading, Result.RELEASED, 0.0)], rows.now)
    turn = await rows.next()
    assert (turn.plan.data if turn else None) == ({"👍": 1} if overtaken else None)


async def test_a_pause_after_failures_ends_with_a_change_of_rung(rows: Rows) -> None:
    await rows.failed(await rows.begin(), pause=30.0)
    assert await rows.next() is None
    await rows.rung(Rung.EXTENSION)
    assert (await rows.begin()).failures == 0
