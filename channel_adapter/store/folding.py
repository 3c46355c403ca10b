"""Taking in what people wrote into their own keys, each version once, in whatever order it is heard of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.store.reaction_tables import COUNTS, KEYS, POSTS
from channel_adapter.store.reactions import Had, ReactionStore, at


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is known of one person's key on one message."""

    folded: int = 0
    own: int = 0
    present: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """A change, and whether it counts: not so for people who may not react, and for emoji that are not taken."""

    change: ReactionChange
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one read of a message's keys said, and what was known of people's keys before it was made.

    `cleared`: versions up to this are gone, because all keys were cleared at once. `complete`: nothing was left out.
    `absence_counts`: a key that is gone takes its owner's reaction back.
    """

    people: Sequence[Admitted]
    counts: Mapping[str, int]
    latest: int
    cleared: int
    complete: bool
    before: Mapping[UserId, KeyRow]
    absence_counts: bool = True


TAKE: Final = "take"  # the value of the change is the person's reaction now
LEAVE: Final = "leave"  # the person took it back


def fold_event(row: KeyRow, change: ReactionChange) -> tuple[KeyRow, str]:
    """What an event makes of a key: the row afterwards, and TAKE, LEAVE or "" for nothing.

    Late and repeated events have a version that was folded already. Deletions of our own are no opinion of anybody's:
    they are known by their version, by who wrote them, or because we are just about it.
    """
    if change.emoji:
        if change.seq <= row.folded:
            return row, ""
        return replace(row, folded=change.seq, present=change.seq > row.own), TAKE
    floor = row.folded if change.by_phone else max(row.folded, row.own)
    ours = change.by_phone is False or (row.deleting and not change.by_phone)
    if ours or change.seq <= floor:
        return row, ""
    return replace(row, folded=change.seq, present=False), LEAVE


def fold_read(row: KeyRow, change: ReactionChange) -> tuple[KeyRow, str]:
    """What a key that was read makes of its row. A read is newer than all that was folded before it began."""
    if change.seq == row.folded:
        return replace(row, present=True), ""
    return replace(row, folded=change.seq, present=True), TAKE


def fold_absence(row: KeyRow, latest: int, cleared: int) -> tuple[KeyRow, str]:
    """What the absence of a key makes of its row: taken back by its owner, unless we or a clearing deleted it."""
    if not row.present or row.deleting:
        return row, ""
    if row.folded <= cleared:
        return replace(row, own=max(row.own, cleared), present=False), ""
    return replace(row, folded=max(row.folded, latest), present=False), LEAVE


class Folding:
    """Takes changes into the truth, one transaction a post."""

    def __init__(self, store: ReactionStore, *, most: int) -> None:
        self._store = store
        self._most = most

    async def known(self, ref: PostRef) -> dict[UserId, KeyRow]:
        """What is known of people's keys on a message."""
        async with self._store.database.reading() as connection:
            return await self._rows(connection, ref, None)

    async def events(self, ref: PostRef, changes: Sequence[Admitted], *, cleared: int, now: float) -> int:
        """Take in the changes of an event; gives how many reactions changed. A clearing takes nothing back."""
        async with self._store.database.writing() as connection:
            dropped, before_cleared = await self._store.touch(connection, ref)
            if dropped:
                return 0
            if cleared > before_cleared:
                await self._note_clearing(connection, ref, cleared)
            rows = await self._rows(connection, ref, {each.change.user for each in changes})
            after, verdicts = dict(rows), dict[UserId, tuple[Admitted, str]]()
            for each in sorted(changes, key=lambda item: item.change.seq):
                user = each.change.user
                after[user], verdict = fold_event(after.get(user, KeyRow()), each.change)
                if verdict:
                    verdicts[user] = each, verdict
            return await self._write(connection, ref, rows, after, verdicts, now)

    async def snapshot(self, ref: PostRef, seen: Snapshot, *, now: float, override: bool = True) -> tuple[int, int]:
        """Take in a whole read, counts included; gives how many reactions changed and how many counts differ.

        The caller holds the post's lease. A key whose row changed since the read began is left for the next one.
        Without `override`, who has a reaction already keeps it.
        """
        async with self._store.database.writing() as connection:
            dropped, _ = await self._store.touch(connection, ref)
            if dropped:
                return 0, 0
            rows = await self._rows(connection, ref, None)
            after, verdicts = dict(rows), dict[UserId, tuple[Admitted, str]]()
            present = {each.change.user: each for each in seen.people}
            for user in present.keys() | seen.before.keys():
                row = rows.get(user, KeyRow())
                if row != seen.before.get(user, KeyRow()):
                    continue
                each = present.get(user)
                if each is not None:
                    after[user], verdict = fold_read(row, each.change)
                elif seen.complete:
                    after[user], verdict = fold_absence(row, seen.latest, seen.cleared)
                    each = Admitted(ReactionChange(user, (), seen.latest), seen.absence_counts)
                if each is not None and verdict:
                    verdicts[user] = each, verdict
            taken = await self._write(connection, ref, rows, after, verdicts, now, override=override)
            return taken, await self._compare(connection, ref, seen.counts) if seen.complete else 0

    async def _write(
        self,
        connection: AsyncConnection,
        ref: PostRef,
        rows: Mapping[UserId, KeyRow],
        after: Mapping[UserId, KeyRow],
        verdicts: Mapping[UserId, tuple[Admitted, str]],
        now: float,
        *,
        override: bool = True,
    ) -> int:
        changed = [(user, row) for user, row in after.items() if row != rows.get(user)]
        if changed:
            values = [
                {"channel": ref.channel, "post": ref.seq, "person": user, "folded": row.folded, "own": row.own,
                 "present": row.present, "deleting": row.deleting}
                for user, row in sorted(changed)
            ]  # fmt: skip
            upsert = self._store.insert(KEYS)
            columns = {name: upsert.excluded[name] for name in ("folded", "own", "present", "deleting")}
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=["channel", "post", "person"], set_=columns), values
            )
        before = await self._store.people(connection, ref, verdicts.keys()) if verdicts else {}
        wanted = {
            user: found
            for user, (each, verdict) in verdicts.items()
            if (found := self._wanted(before.get(user, {}), each, verdict, now, override)) is not None
        }
        await self._store.write(connection, ref, before, wanted)
        return sum(found.keys() != before.get(user, {}).keys() for user, found in wanted.items())

    def _wanted(self, had: Had, each: Admitted, verdict: str, now: float, override: bool) -> Had | None:
        """What the person has afterwards; None for "as before"."""
        if not each.counts or (had and not override):
            return None
        if verdict == LEAVE:
            return {}
        return {emoji: had.get(emoji, now) for emoji in each.change.emoji[-self._most :]}

    async def _compare(self, connection: AsyncConnection, ref: PostRef, counts: Mapping[str, int]) -> int:
        """Note what really stands on the message, so that the publisher mends what differs."""
        rows = (await connection.execute(select(COUNTS).where(at(COUNTS, ref)))).all()
        held = {row.emoji: (row.number, row.published) for row in rows}
        differing = 0
        for emoji in sorted(held.keys() | counts.keys()):
            count, published = held.get(emoji, (0, 0))
            there = counts.get(emoji, 0)
            if there == published:
                continue
            differing += there != count
            values = {"channel": ref.channel, "post": ref.seq, "emoji": emoji, "number": 0}
            values["published"] = known = there if there >= 0 else None
            upsert = self._store.insert(COUNTS).values(values)
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=["channel", "post", "emoji"], set_={"published": known})
            )
        return differing

    async def _note_clearing(self, connection: AsyncConnection, ref: PostRef, cleared: int) -> None:
        gone = {"present": False, "own": cleared}
        await connection.execute(update(KEYS).where(at(KEYS, ref), KEYS.c.folded < cleared).values(gone))
        await connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))
        await connection.execute(update(POSTS).where(at(POSTS, ref)).values(cleared=cleared))

    async def _rows(
        self, connection: AsyncConnection, ref: PostRef, users: Collection[UserId] | None
    ) -> dict[UserId, KeyRow]:
        query = select(KEYS).where(at(KEYS, ref))
        if users is not None:
            query = query.where(KEYS.c.person.in_(list(users)))
        rows = await connection.execute(query)
        return {UserId(row.person): KeyRow(row.folded, row.own, row.present, row.deleting) for row in rows}
