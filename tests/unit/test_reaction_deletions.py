"""Unrecorded deletions of users' keys: they are finished and remove no reaction."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import CarriedReactions, FilteredChange, MessageCapacity, ReactionChange
from channel_adapter.store.client_reactions import ClientReactionMerge, Snapshot
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import Claim, ClaimEnd, ClaimResult, PublishingStore
from channel_adapter.store.reactions import ReactionStore

REF = PostRef(ChannelId("@TGS#_tides"), 1)
A, B, C = (UserId(name) for name in "abc")
LEASE = 5.0


class Rows:
    """A database where three client apps wrote keys, one more than a message keeps."""

    def __init__(self, database: Database) -> None:
        self.store = ReactionStore(database, 1, max_per_user=1)
        self.merge = ClientReactionMerge(self.store, max_per_user=1)
        self.claims = PublishingStore(
            self.store,
            MessageCapacity(keys=9, keys_per_call=4, users=2, counts=4, users_without_store=0, write_interval=0.0),
            lease_seconds=LEASE,
        )
        self.now = 1000.0

    async def event(self, user: UserId, seq: int, *emoji: str, from_client: bool | None = None) -> None:
        change = FilteredChange(ReactionChange(user, emoji, seq, from_client))
        await self.merge.events(REF, [change], cleared=0, now=self.now)

    async def begin(self) -> Claim:
        """Return the next claim after the lease of the last one."""
        self.now += LEASE + 1
        [claim], _ = await self.claims.claim(1, self.now)
        return claim

    async def publish(self, counts: dict[str, int]) -> Claim:
        """Write these counts and return the next claim."""
        claim = await self.begin()
        assert claim.plan.sets == counts
        await self.done(claim)
        return await self.begin()

    async def done(self, claim: Claim, versions: dict[UserId, int] | None = None) -> None:
        await self.claims.finish([ClaimResult(claim, ClaimEnd.WRITTEN, 0.0, versions)], self.now)

    async def absent(self, *present: tuple[UserId, int]) -> int:
        """Merge a read that finds only these keys; return how many reactions changed."""
        changes = {user: ReactionChange(user, ("👍",), seq) for user, seq in present}
        users = [FilteredChange(change) for change in changes.values()]
        known = await self.merge.known(REF)
        changed, _ = await self.merge.snapshot(
            REF, Snapshot(CarriedReactions(changes, {}, 99), users, known), now=self.now
        )
        return changed

    async def total(self) -> int:
        return sum((await self.store.get(REF, None)).counts.values())


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    database = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    made = Rows(database)
    await made.store.prepare()
    for seq, user in enumerate((A, B, C), start=1):
        await made.event(user, seq, "👍")
    claim = await made.begin()
    assert claim.plan.sets == {"👍": 3}
    await made.done(claim)
    yield made
    await database.close()


async def test_begun_deletion_is_finished_after_room_became_free(rows: Rows) -> None:
    assert (await rows.begin()).plan.users == (A,)  # then its process is killed
    await rows.event(B, 4)  # a client app removes its reaction; two keys remain
    claim = await rows.publish({"👍": 2})
    assert claim.plan.users == (A,)
    await rows.done(claim, {A: 5})
    assert await rows.store.pending() == 0


async def test_finished_deletion_removes_no_reaction(rows: Rows) -> None:
    claim = await rows.begin()
    await rows.done(claim, {A: 4})
    await rows.event(A, 4)
    assert await rows.absent((B, 2), (C, 3)) == 0
    assert await rows.total() == 3


async def test_deletion_that_found_no_key_removes_no_reaction(rows: Rows) -> None:
    await rows.begin()  # the key is deleted, then the process is killed
    claim = await rows.begin()
    assert claim.plan.users == (A,)
    await rows.done(claim, {A: 0})  # the service returned that the key does not exist
    assert await rows.absent((B, 2), (C, 3)) == 0
    assert await rows.total() == 3
    assert (await rows.begin()).plan.users == ()


@pytest.mark.parametrize("emoji", [("❤️",), ()])
async def test_begun_deletion_is_finished_after_its_user_wrote_again(rows: Rows, emoji: tuple[str, ...]) -> None:
    assert (await rows.begin()).plan.users == (A,)  # then its process is killed
    await rows.event(A, 4, *emoji, from_client=True)
    claim = await rows.publish({"👍": 2, **dict.fromkeys(emoji, 1)})
    assert claim.plan.users == (A,)
    await rows.done(claim, {A: 5 if emoji else 0})
    assert await rows.store.pending() == 0
    known = (await rows.merge.known(REF))[A]
    assert (known.merged, known.present, known.deleting) == (4, False, False)
    assert await rows.total() == 2 + len(emoji)
