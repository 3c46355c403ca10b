"""Claims of one message that are overtaken by a mode change or, after their lease, by another process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    CarriedReactions,
    DisplayMode,
    DisplayStatus,
    FilteredChange,
    MessageCapacity,
    ReactionChange,
)
from channel_adapter.store.client_reactions import ClientReactionMerge, Snapshot
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import Claim, ClaimEnd, ClaimResult, PublishingStore
from channel_adapter.store.reactions import ReactionStore

REF = PostRef(ChannelId("@TGS#_tides"), 1)
LEASE, PACE = 5.0, 0.34
NOW = 1000.0


class Rows:
    """A database in which one user reacts to one post."""

    def __init__(self, database: Database) -> None:
        self.store = ReactionStore(database, 1, max_per_user=1)
        self.claims = PublishingStore(
            self.store,
            MessageCapacity(keys=9, keys_per_call=4, users=9, counts=4, users_without_store=0, write_interval=0.0),
            lease_seconds=LEASE,
        )
        self.now = NOW

    async def react(self, user: str) -> None:
        change = FilteredChange(ReactionChange(UserId(user), ("👍",), 1, from_client=True))
        await ClientReactionMerge(self.store, max_per_user=1).events(REF, [change], cleared=0, now=self.now)

    async def mode(self, mode: DisplayMode) -> None:
        await self.claims.set_display(DisplayStatus(mode), self.now, setting=None, retry_posts=True)

    async def next(self) -> Claim | None:
        claims, _ = await self.claims.claim(1, self.now)
        return claims[0] if claims else None

    async def begin(self) -> Claim:
        claim = await self.next()
        assert claim is not None
        return claim

    async def done(self, claim: Claim) -> bool:
        [kept] = await self.claims.finish([ClaimResult(claim, ClaimEnd.WRITTEN, PACE)], self.now)
        self.now += PACE
        return kept

    async def failed(self, claim: Claim, *, pause: float) -> None:
        await self.claims.finish([ClaimResult(claim, ClaimEnd.FAILED, pause)], self.now)


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    database = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    made = Rows(database)
    await made.store.prepare()
    await made.react("ann")
    yield made
    await database.close()


async def test_counts_written_late_into_custom_data_are_removed_again(rows: Rows) -> None:
    await rows.mode(DisplayMode.CUSTOM_DATA)
    late = await rows.begin()
    assert late.plan.data == {"👍": 1}
    await rows.mode(DisplayMode.EXTENSIONS)
    assert await rows.next() is None  # no concurrent claim
    assert not await rows.done(late)
    assert (claim := await rows.begin()).plan.sets == {"👍": 1}
    assert await rows.done(claim)
    assert (claim := await rows.begin()).plan.data == {}
    assert await rows.done(claim)
    assert await rows.done(await rows.begin())
    assert await rows.store.pending() == 0
    assert await rows.next() is None


@pytest.mark.parametrize("changes", [1, 2])
async def test_claim_of_killed_writer_blocks_until_its_lease_ends(rows: Rows, changes: int) -> None:
    await rows.mode(DisplayMode.CUSTOM_DATA)
    await rows.begin()
    for mode in (DisplayMode.EXTENSIONS, DisplayMode.STORE)[:changes]:
        await rows.mode(mode)
    rows.now = NOW + LEASE - 0.01
    assert await rows.next() is None
    await rows.mode(DisplayMode.EXTENSIONS)
    rows.now = NOW + LEASE
    assert (claim := await rows.begin()).plan.sets == {"👍": 1}
    assert await rows.done(claim)
    assert (await rows.begin()).plan.data == {}  # possibly written before the kill


@pytest.mark.parametrize("answered", [True, False])
async def test_write_after_its_lease_is_repeated(rows: Rows, answered: bool) -> None:
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
async def test_write_concurrent_with_a_late_one_is_repeated(rows: Rows, answered: bool) -> None:
    late = await rows.begin()
    rows.now += LEASE
    await rows.react("ben")
    newer = await rows.begin()
    if answered:
        assert not await rows.done(late)
    else:
        await rows.failed(late, pause=PACE)
    rows.now += PACE
    assert await rows.next() is None  # the newer claim is held
    assert not await rows.done(newer)  # possibly overwritten by the late one
    claim = await rows.begin()
    assert claim.plan.sets == {"👍": 2}
    assert await rows.done(claim)
    assert await rows.store.pending() == 0


@pytest.mark.parametrize("overtaken", [True, False])
async def test_snapshot_read_before_mode_change_is_ignored_after_it(rows: Rows, overtaken: bool) -> None:
    await rows.mode(DisplayMode.EXTENSIONS)
    assert await rows.done(await rows.begin())
    reading = await rows.claims.claim_for_reading(REF, rows.now)
    assert reading is not None
    if overtaken:
        await rows.mode(DisplayMode.CUSTOM_DATA)
    merge = ClientReactionMerge(rows.store, max_per_user=1)
    seen = Snapshot(CarriedReactions(counts={"👍": 1}, latest=1), users=[], before={})
    await merge.snapshot(REF, seen, now=rows.now)
    await rows.claims.finish([ClaimResult(reading, ClaimEnd.RELEASED, 0.0)], rows.now)
    claim = await rows.next()
    assert (claim.plan.data if claim else None) == ({"👍": 1} if overtaken else None)


async def test_mode_change_ends_the_pause_after_failures(rows: Rows) -> None:
    await rows.failed(await rows.begin(), pause=30.0)
    assert await rows.next() is None
    await rows.mode(DisplayMode.EXTENSIONS)
    assert (await rows.begin()).failures == 0
