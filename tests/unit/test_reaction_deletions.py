"""Deletions of people's own keys that were begun and never noted: they are finished, and take nothing back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.store.client_reactions import Admitted, Folding, Snapshot
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import Claim, MessageCapacity, Outcome, PublishingStore, Result
from channel_adapter.store.reactions import ReactionStore

REF = PostRef(ChannelId("@TGS#_tides"), 1)
A, B, C = (UserId(name) for name in "abc")
LEASE = 5.0


class Rows:
    """A database where three phones wrote keys, one more than a message keeps."""

    def __init__(self, database: Database) -> None:
        self.store = ReactionStore(database, 1, max_per_user=1)
        self.folding = Folding(self.store, max_per_user=1)
        self.turns = PublishingStore(
            self.store, MessageCapacity(keys=9, per_call=4, people=2, counts=4), lease_seconds=LEASE
        )
        self.now = 1000.0

    async def hear(self, user: UserId, seq: int, *emoji: str, by_phone: bool | None = None) -> None:
        change = Admitted(ReactionChange(user, emoji, seq, by_phone))
        await self.folding.events(REF, [change], cleared=0, now=self.now)

    async def begin(self) -> Claim:
        """The next turn, when the last one's lease has ended."""
        self.now += LEASE + 1
        [turn], _ = await self.turns.claim(1, self.now)
        return turn

    async def publish(self, counts: dict[str, int]) -> Claim:
        """Turns in which these counts are written, and the next one."""
        turn = await self.begin()
        assert turn.plan.sets == counts
        await self.done(turn)
        return await self.begin()

    async def done(self, turn: Claim, versions: dict[UserId, int] | None = None) -> None:
        await self.turns.finish([Outcome(turn, Result.WRITTEN, 0.0, versions)], self.now)

    async def absent(self, *there: tuple[UserId, int]) -> int:
        """A read that finds these keys and no others; gives how many reactions changed."""
        people = [Admitted(ReactionChange(user, ("👍",), seq)) for user, seq in there]
        known = await self.folding.known(REF)
        taken, _ = await self.folding.snapshot(REF, Snapshot(people, {}, 99, 0, True, known), now=self.now)
        return taken

    async def total(self) -> int:
        return sum((await self.store.get(REF, None)).counts.values())


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    database = Database(f"sqlite:///{tmp_path / 'rows.db'}")
    made = Rows(database)
    await made.store.prepare()
    for seq, user in enumerate((A, B, C), start=1):
        await made.hear(user, seq, "👍")
    turn = await made.begin()
    assert turn.plan.sets == {"👍": 3}
    await made.done(turn)
    yield made
    await database.close()


async def test_a_deletion_that_was_begun_is_finished_though_there_is_room_now(rows: Rows) -> None:
    assert (await rows.begin()).plan.people == (A,)  # and its process is killed
    await rows.hear(B, 4)  # a phone takes its reaction back: two keys are left
    turn = await rows.publish({"👍": 2})
    assert turn.plan.people == (A,)
    await rows.done(turn, {A: 5})
    assert await rows.store.pending() == 0


async def test_a_finished_deletion_takes_nothing_back(rows: Rows) -> None:
    turn = await rows.begin()
    await rows.done(turn, {A: 4})
    await rows.hear(A, 4)
    assert await rows.absent((B, 2), (C, 3)) == 0
    assert await rows.total() == 3


async def test_nor_does_one_that_found_no_key_any_more(rows: Rows) -> None:
    await rows.begin()  # its process deletes the key and is killed
    turn = await rows.begin()
    assert turn.plan.people == (A,)
    await rows.done(turn, {A: 0})  # the service says: no such key
    assert await rows.absent((B, 2), (C, 3)) == 0
    assert await rows.total() == 3
    assert (await rows.begin()).plan.people == ()


@pytest.mark.parametrize("emoji", [("❤️",), ()])
async def test_a_deletion_that_was_begun_is_finished_though_its_phone_wrote_again(
    rows: Rows, emoji: tuple[str, ...]
) -> None:
    assert (await rows.begin()).plan.people == (A,)  # and its process is killed
    await rows.hear(A, 4, *emoji, by_phone=True)
    turn = await rows.publish({"👍": 2, **dict.fromkeys(emoji, 1)})
    assert turn.plan.people == (A,)
    await rows.done(turn, {A: 5 if emoji else 0})
    assert await rows.store.pending() == 0
    known = (await rows.folding.known(REF))[A]
    assert (known.folded, known.present, known.deleting) == (4, False, False)
    assert await rows.total() == 2 + len(emoji)
