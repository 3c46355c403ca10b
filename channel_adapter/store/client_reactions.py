"""Merging what client apps write into the keys of users: each version once, in whatever order versions arrive."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from sqlalchemy import Connection, select, update

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import CarriedReactions, FilteredChange, ReactionChange
from channel_adapter.store.reactions import COUNTS, KEYS, POSTS, Chosen, ReactionStore, at


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is known of the key of one user on one message. `merged` and `deleted` are versions."""

    merged: int = 0
    deleted: int = 0
    present: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One read of a message, and what was known of the keys of users before it was made.

    `users` are the users of `carried` with whether their reactions count. `absence_counts`: a key that is gone removes
    the reaction of its user.
    """

    carried: CarriedReactions
    users: Sequence[FilteredChange]
    before: Mapping[UserId, KeyRow]
    absence_counts: bool = True


class Effect(Enum):
    """What a change of a key does to the reaction of its user."""

    SET = "set"  # the value of the change is the reaction now
    UNSET = "unset"  # the user removed it
    NONE = "none"


def merge_event(row: KeyRow, change: ReactionChange) -> tuple[KeyRow, Effect]:
    """Return the row of a key after an event, and the effect on the user's reaction.

    Late and repeated events have a version that was merged already. Deletions by an adapter remove no reaction: they
    are recognised by their version, by who wrote them, or because one is under way.
    """
    if change.emoji:
        if change.seq <= row.merged:
            return row, Effect.NONE
        return replace(row, merged=change.seq, present=change.seq > row.deleted), Effect.SET
    newest = row.merged if change.from_client else max(row.merged, row.deleted)
    by_adapter = change.from_client is False or (row.deleting and not change.from_client)
    if by_adapter or change.seq <= newest:
        return row, Effect.NONE
    return replace(row, merged=change.seq, present=False), Effect.UNSET


def merge_read(row: KeyRow, change: ReactionChange) -> tuple[KeyRow, Effect]:
    """Return the row of a key that was read, and the effect. A read is newer than all that was merged before it."""
    if change.seq == row.merged:
        return replace(row, present=True), Effect.NONE
    return replace(row, merged=change.seq, present=True), Effect.SET


def merge_absence(row: KeyRow, latest: int, cleared: int) -> tuple[KeyRow, Effect]:
    """Return the row of a key that a read did not find, and the effect.

    The user removed it, unless an adapter deleted it or all keys were removed together.
    """
    if not row.present or row.deleting:
        return row, Effect.NONE
    if row.merged <= cleared:
        return replace(row, deleted=max(row.deleted, cleared), present=False), Effect.NONE
    return replace(row, merged=max(row.merged, latest), present=False), Effect.UNSET


class ClientReactionMerge:
    """Merges changes that client apps made themselves, one transaction for each post."""

    def __init__(self, store: ReactionStore, *, max_per_user: int) -> None:
        self._store = store
        self._max_per_user = max_per_user

    async def known(self, ref: PostRef) -> dict[UserId, KeyRow]:
        """Return what is known of the keys of users on a message."""
        return await self._store.database.read(_read_key_rows, ref, None)

    async def events(self, ref: PostRef, changes: Sequence[FilteredChange], *, cleared: int, now: float) -> int:
        """Merge the changes of an event; return how many reactions changed. A clearing takes no reaction back."""
        return await self._store.database.write(self._merge_events, ref, changes, cleared, now)

    def _merge_events(
        self, connection: Connection, ref: PostRef, changes: Sequence[FilteredChange], cleared: int, now: float
    ) -> int:
        touched = self._store.touch(connection, [ref], now)[ref]
        if touched.dropped:
            return 0
        if cleared > touched.cleared:
            _record_clearing(connection, ref, cleared)
        rows = _read_key_rows(connection, ref, {each.change.user for each in changes})
        after, effects = dict(rows), dict[UserId, tuple[FilteredChange, Effect]]()
        for each in sorted(changes, key=lambda item: item.change.seq):
            user = each.change.user
            after[user], effect = merge_event(after.get(user, KeyRow()), each.change)
            if effect is not Effect.NONE:
                effects[user] = each, effect
        self._write_keys(connection, ref, rows, after)
        return self._write_reactions(connection, ref, effects, now, override=True)

    async def snapshot(self, ref: PostRef, seen: Snapshot, *, now: float, override: bool = True) -> tuple[int, int]:
        """Merge a whole read, counts included; return how many reactions changed and how many counts differ.

        The caller holds the post's lease. A key whose row changed since the read began is left for the next one.
        Without `override`, a user who has a reaction already keeps it.
        """
        return await self._store.database.write(self._merge_snapshot, ref, seen, now, override)

    def _merge_snapshot(
        self, connection: Connection, ref: PostRef, seen: Snapshot, now: float, override: bool
    ) -> tuple[int, int]:
        if self._store.touch(connection, [ref], now)[ref].dropped:
            return 0, 0
        rows = _read_key_rows(connection, ref, None)
        after, effects = dict(rows), dict[UserId, tuple[FilteredChange, Effect]]()
        carried = seen.carried
        present = {each.change.user: each for each in seen.users}
        for user in present.keys() | seen.before.keys():
            row = rows.get(user, KeyRow())
            if row != seen.before.get(user, KeyRow()):
                continue
            each = present.get(user)
            if each is not None:
                after[user], effect = merge_read(row, each.change)
            elif carried.complete:
                after[user], effect = merge_absence(row, carried.latest, carried.cleared)
                each = FilteredChange(ReactionChange(user, (), carried.latest), seen.absence_counts)
            else:
                continue
            if effect is not Effect.NONE:
                effects[user] = each, effect
        self._write_keys(connection, ref, rows, after)
        changed = self._write_reactions(connection, ref, effects, now, override=override)
        return changed, self._record_differences(connection, ref, carried.counts) if carried.complete else 0

    def _write_keys(
        self, connection: Connection, ref: PostRef, rows: Mapping[UserId, KeyRow], after: Mapping[UserId, KeyRow]
    ) -> None:
        values = [
            {"channel": ref.channel, "post": ref.seq, "user_id": user, "merged": row.merged, "deleted": row.deleted,
             "present": row.present, "deleting": row.deleting}
            for user, row in sorted(after.items()) if row != rows.get(user)
        ]  # fmt: skip
        if not values:
            return
        upsert = self._store.database.insert(KEYS)
        columns = {name: upsert.excluded[name] for name in ("merged", "deleted", "present", "deleting")}
        merged = upsert.on_conflict_do_update(index_elements=["channel", "post", "user_id"], set_=columns)
        connection.execute(merged, values)

    def _write_reactions(
        self,
        connection: Connection,
        ref: PostRef,
        effects: Mapping[UserId, tuple[FilteredChange, Effect]],
        now: float,
        *,
        override: bool,
    ) -> int:
        before = self._store.chosen(connection, {(ref, user) for user in effects})
        wanted = {
            (ref, user): found
            for user, (each, effect) in effects.items()
            if (found := self._choose_reactions(before.get((ref, user), {}), each, effect, now, override)) is not None
        }
        self._store.write(connection, before, wanted)
        return sum(found.keys() != before.get(key, {}).keys() for key, found in wanted.items())

    def _choose_reactions(
        self, chosen: Chosen, each: FilteredChange, effect: Effect, now: float, override: bool
    ) -> Chosen | None:
        """Return the reactions of the user afterwards; None if they stay as they are."""
        if not each.counts or (chosen and not override):
            return None
        if effect is Effect.UNSET:
            return {}
        return {emoji: chosen.get(emoji, now) for emoji in each.change.emoji[-self._max_per_user :]}

    def _record_differences(self, connection: Connection, ref: PostRef, counts: Mapping[str, int]) -> int:
        """Record what stands on the message, so that the publisher repairs what differs; return how many counts do."""
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


def _record_clearing(connection: Connection, ref: PostRef, cleared: int) -> None:
    removed = {"present": False, "deleted": cleared}
    connection.execute(update(KEYS).where(at(KEYS, ref), KEYS.c.merged < cleared).values(removed))
    connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))
    connection.execute(update(POSTS).where(at(POSTS, ref)).values(cleared=cleared))


def _read_key_rows(connection: Connection, ref: PostRef, users: Collection[UserId] | None) -> dict[UserId, KeyRow]:
    query = select(KEYS).where(at(KEYS, ref))
    if users is not None:
        query = query.where(KEYS.c.user_id.in_(list(users)))
    rows = connection.execute(query)
    return {UserId(row.user_id): KeyRow(row.merged, row.deleted, row.present, row.deleting) for row in rows}
