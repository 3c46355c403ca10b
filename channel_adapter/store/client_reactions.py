"""Taking in what people wrote into their own keys, each version once, in whatever order it is heard of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, select, update

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.store.reactions import COUNTS, KEYS, POSTS, Chosen, ReactionStore, at


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
    """Merges changes that clients made themselves, one transaction a post."""

    def __init__(self, store: ReactionStore, *, max_per_user: int) -> None:
        self._store = store
        self._max_per_user = max_per_user

    async def known(self, ref: PostRef) -> dict[UserId, KeyRow]:
        """Return what is known of the keys of users on a message."""
        return await self._store.database.read(_key_rows, ref, None)

    async def events(self, ref: PostRef, changes: Sequence[Admitted], *, cleared: int, now: float) -> int:
        """Merge the changes of an event; return how many reactions changed. A clearing takes no reaction back."""
        return await self._store.database.write(self._events, ref, changes, cleared, now)

    def _events(
        self, connection: Connection, ref: PostRef, changes: Sequence[Admitted], cleared: int, now: float
    ) -> int:
        touched = self._store.touch(connection, [ref], now)[ref]
        if touched.dropped:
            return 0
        if cleared > touched.cleared:
            _note_clearing(connection, ref, cleared)
        rows = _key_rows(connection, ref, {each.change.user for each in changes})
        after, verdicts = dict(rows), dict[UserId, tuple[Admitted, str]]()
        for each in sorted(changes, key=lambda item: item.change.seq):
            user = each.change.user
            after[user], verdict = fold_event(after.get(user, KeyRow()), each.change)
            if verdict:
                verdicts[user] = each, verdict
        self._write_keys(connection, ref, rows, after)
        return self._write(connection, ref, verdicts, now, override=True)

    async def snapshot(self, ref: PostRef, seen: Snapshot, *, now: float, override: bool = True) -> tuple[int, int]:
        """Merge a whole read, counts included; return how many reactions changed and how many counts differ.

        The caller holds the post's lease. A key whose row changed since the read began is left for the next one.
        Without `override`, a user who has a reaction already keeps it.
        """
        return await self._store.database.write(self._snapshot, ref, seen, now, override)

    def _snapshot(
        self, connection: Connection, ref: PostRef, seen: Snapshot, now: float, override: bool
    ) -> tuple[int, int]:
        if self._store.touch(connection, [ref], now)[ref].dropped:
            return 0, 0
        rows = _key_rows(connection, ref, None)
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
        self._write_keys(connection, ref, rows, after)
        changed = self._write(connection, ref, verdicts, now, override=override)
        return changed, self._compare(connection, ref, seen.counts) if seen.complete else 0

    def _write_keys(
        self, connection: Connection, ref: PostRef, rows: Mapping[UserId, KeyRow], after: Mapping[UserId, KeyRow]
    ) -> None:
        values = [
            {"channel": ref.channel, "post": ref.seq, "person": user, "folded": row.folded, "own": row.own,
             "present": row.present, "deleting": row.deleting}
            for user, row in sorted(after.items()) if row != rows.get(user)
        ]  # fmt: skip
        if not values:
            return
        upsert = self._store.database.insert(KEYS)
        columns = {name: upsert.excluded[name] for name in ("folded", "own", "present", "deleting")}
        merged = upsert.on_conflict_do_update(index_elements=["channel", "post", "person"], set_=columns)
        connection.execute(merged, values)

    def _write(
        self,
        connection: Connection,
        ref: PostRef,
        verdicts: Mapping[UserId, tuple[Admitted, str]],
        now: float,
        *,
        override: bool,
    ) -> int:
        before = self._store.chosen(connection, {(ref, user) for user in verdicts})
        wanted = {
            (ref, user): found
            for user, (each, verdict) in verdicts.items()
            if (found := self._wanted(before.get((ref, user), {}), each, verdict, now, override)) is not None
        }
        self._store.write(connection, before, wanted)
        return sum(found.keys() != before.get(key, {}).keys() for key, found in wanted.items())

    def _wanted(self, chosen: Chosen, each: Admitted, verdict: str, now: float, override: bool) -> Chosen | None:
        """Return what the user has afterwards; None for "as before"."""
        if not each.counts or (chosen and not override):
            return None
        if verdict == LEAVE:
            return {}
        return {emoji: chosen.get(emoji, now) for emoji in each.change.emoji[-self._max_per_user :]}

    def _compare(self, connection: Connection, ref: PostRef, counts: Mapping[str, int]) -> int:
        """Note what really is on the message, so that the publisher repairs what differs."""
        rows = connection.execute(select(COUNTS).where(at(COUNTS, ref))).all()
        stored = {row.emoji: (row.number, row.published) for row in rows}
        differing = 0
        for emoji in sorted(stored.keys() | counts.keys()):
            count, published = stored.get(emoji, (0, 0))
            there = counts.get(emoji, 0)
            if there == published:
                continue
            differing += there != count
            values = {"channel": ref.channel, "post": ref.seq, "emoji": emoji, "number": 0}
            values["published"] = known = there if there >= 0 else None
            upsert = self._store.database.insert(COUNTS).values(values)
            connection.execute(
                upsert.on_conflict_do_update(index_elements=["channel", "post", "emoji"], set_={"published": known})
            )
        return differing


def _note_clearing(connection: Connection, ref: PostRef, cleared: int) -> None:
    gone = {"present": False, "own": cleared}
    connection.execute(update(KEYS).where(at(KEYS, ref), KEYS.c.folded < cleared).values(gone))
    connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))
    connection.execute(update(POSTS).where(at(POSTS, ref)).values(cleared=cleared))


def _key_rows(connection: Connection, ref: PostRef, users: Collection[UserId] | None) -> dict[UserId, KeyRow]:
    query = select(KEYS).where(at(KEYS, ref))
    if users is not None:
        query = query.where(KEYS.c.person.in_(list(users)))
    rows = connection.execute(query)
    return {UserId(row.person): KeyRow(row.folded, row.own, row.present, row.deleting) for row in rows}
