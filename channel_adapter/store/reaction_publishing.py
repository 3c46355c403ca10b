"""Counts to be written on messages: claims under a lease, planned from the rows, recorded before and after the write.

Before a write its counts are set to "unknown", so that they are written again whatever happens to the writer. After it
the numbers that were written are recorded, if the lease is still held. Counts are absolute: writing twice is harmless.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import DisplayMode, DisplayStatus, MessageCapacity
from channel_adapter.store import leases
from channel_adapter.store.leases import Leases
from channel_adapter.store.reactions import COUNTS, FACTS, KEYS, LEASE, POSTS, ReactionStore, at, lease_of, posts, same


class Count(NamedTuple):
    """The number of one emoji, and what stands on the message: None if that is unknown."""

    emoji: str
    number: int
    published: int | None


@dataclass(frozen=True, slots=True)
class PublishingPlan:
    """The content of one write. `complete`: nothing is left to write after it."""

    sets: dict[str, int] = field(default_factory=dict)
    removals: tuple[str, ...] = ()
    users: tuple[UserId, ...] = ()
    data: dict[str, int] | None = None  # for custom data: all counts, or none to remove ours
    complete: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.sets or self.removals or self.users) and self.data is None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write on one message until its lease ends. `mode` is None while the app's mode is unknown."""

    ref: PostRef
    owner: str  # of the lease; no two claims share one
    version: int
    mode: DisplayMode | None
    failures: int
    plan: PublishingPlan


class ClaimEnd(Enum):
    """What became of what a claim planned."""

    WRITTEN = "written"
    FAILED = "failed"  # or unknown: what was announced stays unknown
    RELEASED = "released"  # a claim for reading
    STORE_ONLY = "store_only"  # the message accepts no counts


class ClaimResult(NamedTuple):
    """How a claim ended. The next one may begin after `pause` seconds.

    `versions` are those of the keys of users that were deleted, 0 for a key that was gone already.
    """

    claim: Claim
    end: ClaimEnd
    pause: float
    versions: Mapping[UserId, int] | None = None


def plan_keys(
    counts: Sequence[Count], surplus: Sequence[UserId], users: int, capacity: MessageCapacity
) -> PublishingPlan:
    """Return the next write on a message with extensions, where `users` have a key and those of `surplus` must go.

    New counts come first, unless there might be no room for them.
    """
    shown = _largest_counts(counts, capacity)
    wrong = [each for each in counts if each.emoji in shown and each.published != each.number]
    sets = {each.emoji: each.number for each in wrong[: capacity.keys_per_call]}
    leaving = [each.emoji for each in counts if each.emoji not in shown and each.published != 0]
    adding = sum(not each.published for each in wrong)
    present = sum(each.published != 0 for each in counts)
    crowded = users + present + adding > capacity.keys
    if sets and not (crowded and (leaving or surplus)):
        return PublishingPlan(sets=sets, complete=not leaving and not surplus and len(wrong) <= capacity.keys_per_call)
    removals = tuple(leaving[: capacity.keys_per_call])
    removed = tuple(surplus[: capacity.keys_per_call - len(removals)])
    done = len(removals) == len(leaving) and len(removed) == len(surplus)
    return PublishingPlan(removals=removals, users=removed, complete=done and not sets)


def plan_data(counts: Sequence[Count], capacity: MessageCapacity) -> PublishingPlan:
    """Return the next write on a message whose custom data contains the counts: all of them, if one differs."""
    shown = _largest_counts(counts, capacity)
    if all(each.published == shown.get(each.emoji, 0) for each in counts):
        return PublishingPlan()
    return PublishingPlan(data=shown)


def _largest_counts(counts: Sequence[Count], capacity: MessageCapacity) -> dict[str, int]:
    ordered = sorted((each for each in counts if each.number > 0), key=lambda each: (-each.number, each.emoji))
    return {each.emoji: each.number for each in ordered[: capacity.counts]}


def _fills_data(mode: DisplayMode | None, plan: PublishingPlan) -> bool:
    """Return whether a plan writes counts into custom data; in other modes it removes them."""
    return plan.data is not None and mode is DisplayMode.CUSTOM_DATA


_DISPLAY: Final = "display"
_MAX_PAUSE: Final = 60.0
"""Seconds. A post that is due later was dated by a clock that has been set back since."""


class PublishingStore:
    """Claims of messages on which counts are written, for any number of processes on one database.

    Rows of posts are locked before leases, each in one order.
    """

    def __init__(self, store: ReactionStore, capacity: MessageCapacity, *, lease_seconds: float) -> None:
        self._store = store
        self._database = store.database
        self._capacity = capacity
        self._lease_seconds = lease_seconds
        self._fact = f"{_DISPLAY} {store.prefix}".rstrip()

    async def claim(self, limit: int, here: float) -> tuple[list[Claim], float | None]:
        """Claim posts with something to publish; return them, and in how many seconds the next one is due.

        What is about to be written is recorded in the same transaction. The seconds are None if no other post waits.
        """
        return await self._database.write(self._claim_due, limit, here)

    async def claim_for_reading(self, ref: PostRef, here: float) -> Claim | None:
        """Claim one post, whatever is pending, so that no process writes on it; None while another one does."""
        return await self._database.write(self._claim_one, ref, here)

    async def finish(self, results: Sequence[ClaimResult], here: float) -> list[bool]:
        """Record how claims ended, in one transaction. False for a claim whose lease was lost.

        Then another process may have written something newer before, so everything is written once more.
        """
        return await self._database.write(self._finish_claims, results, here)

    async def remove_unchanged(self, before: float) -> int:
        """Remove posts whose reactions have not changed since; see ReactionStore.remove_unchanged."""
        return await self._store.remove_unchanged(before)

    async def display(self) -> DisplayStatus:
        """Return the display mode that is stored for the app."""
        return (await self._database.read(self._read_display))[1]

    async def set_display(
        self, status: DisplayStatus, here: float, *, setting: DisplayMode | None, retry_posts: bool = False
    ) -> None:
        """Store the display mode of the app, found with this setting (None: automatic).

        Every post is written again if the mode is another one than before. With `retry_posts` the posts are that keep
        their counts in the store only, or whose latest write failed. A claim under way loses its lease then, so that
        what it writes in the old mode is not recorded; the next one waits until the lease would have ended.
        """
        await self._database.write(self._set_display, status, here, setting, retry_posts)

    async def apply_setting(self, setting: DisplayMode | None, here: float) -> None:
        """Store the mode that a setting demands; do nothing if it is the setting with which the mode was stored.

        After a change to the automatic setting the mode is unknown.
        """
        stored, _ = await self._database.read(self._read_display)
        if stored != (setting or _AUTO):
            await self._database.write(self._apply_setting, setting, here)

    def _claim_due(self, connection: Connection, limit: int, here: float) -> tuple[list[Claim], float | None]:
        now = self._database.time(connection, here)
        pending = and_(self._store.own, POSTS.c.version != POSTS.c.published, ~leases.live(LEASE, literal(now)))
        due = or_(POSTS.c.due <= now, POSTS.c.due > now + _MAX_PAUSE)
        query = select(POSTS).where(pending, due).order_by(POSTS.c.due).limit(limit)
        rows = connection.execute(query.with_for_update(of=POSTS, skip_locked=True)).all()
        later = connection.scalar(select(func.min(POSTS.c.due)).where(pending, POSTS.c.due > now))
        seconds = None if later is None or later > now + _MAX_PAUSE else later - now
        if not rows:
            return [], seconds
        owner = secrets.token_hex(16)
        lease = Leases(self._database, owner, seconds=self._lease_seconds)
        refs = [PostRef(ChannelId(row.channel), row.post) for row in rows]
        acquired = lease.acquire(connection, [lease_of(ref) for ref in refs], here)
        app = self._read_display(connection)[1].mode
        mine = {ref: row for ref, row in zip(refs, rows, strict=True) if lease_of(ref) in acquired}
        modes = {ref: DisplayMode.STORE if row.store_only else app for ref, row in mine.items()}
        plans = self._plan_writes(connection, {ref: (modes[ref], row.in_custom_data) for ref, row in mine.items()})
        self._record_planned(connection, plans, modes)
        claims = [Claim(ref, owner, row.version, modes[ref], row.failures, plans[ref]) for ref, row in mine.items()]
        return claims, 0.0 if len(rows) == limit else seconds

    def _claim_one(self, connection: Connection, ref: PostRef, here: float) -> Claim | None:
        owner = secrets.token_hex(16)
        self._store.touch(connection, [ref], self._database.time(connection, here))
        lease = Leases(self._database, owner, seconds=self._lease_seconds)
        if not lease.acquire(connection, [lease_of(ref)], here):
            return None
        row = connection.execute(select(POSTS).where(at(POSTS, ref))).one()
        mode = DisplayMode.STORE if row.store_only else self._read_display(connection)[1].mode
        return Claim(ref, owner, row.version, mode, row.failures, PublishingPlan(complete=False))

    def _finish_claims(self, connection: Connection, results: Sequence[ClaimResult], here: float) -> list[bool]:
        now = self._database.time(connection, here)
        refs = sorted({result.claim.ref for result in results})
        these = posts(self._database, refs)
        locked = select(POSTS.c.channel).join(these, same(POSTS, these, "channel", "post"))
        connection.execute(locked.order_by(POSTS.c.channel, POSTS.c.post).with_for_update(of=POSTS)).all()
        owners = leases.owners(connection, [lease_of(ref) for ref in refs])
        kept = [owners.get(lease_of(each.claim.ref)) == each.claim.owner for each in results]
        ended = [each for each, held in zip(results, kept, strict=True) if held]
        leases.remove(connection, [lease_of(each.claim.ref) for each in ended])
        if ended:
            connection.execute(_END, [_ending_parameters(each, now) for each in ended])
            self._record_written(connection, [each for each in ended if each.end is ClaimEnd.WRITTEN])
        for each, held in zip(results, kept, strict=True):
            if not held:
                self._record_lost(connection, each, owners.get(lease_of(each.claim.ref)), now)
            if each.end is ClaimEnd.STORE_ONLY:
                self._keep_in_store(connection, each.claim.ref)
            self._record_deletions(connection, each)
        return kept

    def _apply_setting(self, connection: Connection, setting: DisplayMode | None, here: float) -> None:
        stored, _ = self._read_display(connection)
        if stored != (setting or _AUTO):
            reason = f"reactions.display = {setting}" if setting else ""
            status = DisplayStatus(setting, reason, datetime.fromtimestamp(here, UTC) if setting else None)
            self._set_display(connection, status, here, setting, retry_posts=stored is not None)

    def _set_display(
        self,
        connection: Connection,
        status: DisplayStatus,
        here: float,
        setting: DisplayMode | None,
        retry_posts: bool,
    ) -> None:
        before = self._read_display(connection)[1].mode
        everywhere = (before or DisplayMode.EXTENSIONS) is not (status.mode or DisplayMode.EXTENSIONS)
        if everywhere or retry_posts:
            self._write_again(connection, here, everywhere=everywhere)
        value = json.dumps(
            {
                "setting": setting or _AUTO,
                "mode": status.mode,
                "reason": status.reason,
                "checked_at": status.checked_at.timestamp() if status.checked_at else None,
            }
        )
        upsert = self._database.insert(FACTS).values(name=self._fact, value=value)
        connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_={"value": value}))

    def _read_display(self, connection: Connection) -> tuple[str | None, DisplayStatus]:
        """Return the setting with which the display mode was stored, None if none is, and the mode."""
        text = connection.scalar(select(FACTS.c.value).where(FACTS.c.name == self._fact))
        if text is None:
            return None, DisplayStatus()
        stored = json.loads(text)
        mode, checked_at = stored["mode"], stored["checked_at"]
        return stored["setting"], DisplayStatus(
            DisplayMode(mode) if mode else None,
            stored["reason"],
            datetime.fromtimestamp(checked_at, UTC) if checked_at else None,
        )

    def _write_again(self, connection: Connection, here: float, *, everywhere: bool) -> None:
        these = and_(
            self._store.own, ~POSTS.c.dropped, true() if everywhere else or_(POSTS.c.store_only, POSTS.c.failures > 0)
        )
        names = select(LEASE).where(these)
        connection.execute(update(leases.LEASES).where(leases.LEASES.c.name.in_(names)).values(owner=None))
        paused = and_(POSTS.c.failures > 0, ~leases.live(LEASE, self._database.now(here)))
        due = case((paused, 0.0), else_=POSTS.c.due)
        again = {"version": POSTS.c.version + 1, "due": due, "failures": 0}
        connection.execute(update(POSTS).where(these).values(again))
        counts = exists().where(POSTS.c.channel == COUNTS.c.channel, POSTS.c.post == COUNTS.c.post, these)
        connection.execute(update(COUNTS).where(counts).values(published=None))
        connection.execute(update(POSTS).where(these).values(store_only=False))

    def _plan_writes(
        self, connection: Connection, wanted: Mapping[PostRef, tuple[DisplayMode | None, bool]]
    ) -> dict[PostRef, PublishingPlan]:
        """Plan one write for each post, from its mode and from whether its custom data may contain counts."""
        these = posts(self._database, wanted)
        counts: dict[PostRef, list[Count]] = defaultdict(list)
        query = select(COUNTS).join(these, same(COUNTS, these, "channel", "post"))
        for row in connection.execute(query.order_by(COUNTS.c.emoji)):
            ref = PostRef(ChannelId(row.channel), row.post)
            counts[ref].append(Count(row.emoji, row.number, row.published))
        users: dict[PostRef, list[tuple[UserId, bool]]] = defaultdict(list)
        present = (
            select(KEYS).join(these, same(KEYS, these, "channel", "post")).where(or_(KEYS.c.present, KEYS.c.deleting))
        )
        for row in connection.execute(
            present.order_by(case((KEYS.c.deleting, 0), else_=1), KEYS.c.merged, KEYS.c.user_id)
        ):
            users[PostRef(ChannelId(row.channel), row.post)].append((UserId(row.user_id), row.deleting))
        return {ref: self._plan_one(*wanted[ref], counts[ref], users[ref]) for ref in wanted}

    def _plan_one(
        self,
        mode: DisplayMode | None,
        in_custom_data: bool,
        counts: Sequence[Count],
        users: Sequence[tuple[UserId, bool]],
    ) -> PublishingPlan:
        if mode is DisplayMode.CUSTOM_DATA:
            return plan_data(counts, self._capacity)
        plan = PublishingPlan()
        if mode is not DisplayMode.STORE:
            begun = sum(deleting for _, deleting in users)  # deletions whose result was not recorded
            surplus = [user for user, _ in users[: max(begun, len(users) - self._capacity.users)]]
            plan = plan_keys(counts, surplus, len(users), self._capacity)
        if not in_custom_data:
            return plan
        return PublishingPlan(data={}, complete=False) if plan.empty else replace(plan, complete=False)

    def _record_planned(
        self,
        connection: Connection,
        plans: Mapping[PostRef, PublishingPlan],
        modes: Mapping[PostRef, DisplayMode | None],
    ) -> None:
        """Record what is about to be written, so that it is written again whatever happens to the writer."""
        data = [_post_parameters(ref) for ref, plan in plans.items() if _fills_data(modes[ref], plan)]
        counts = [
            {**_post_parameters(ref), "its_emoji": emoji}
            for ref, plan in plans.items()
            for emoji in (*plan.sets, *plan.removals)
        ]
        users = [{**_post_parameters(ref), "its_user": user} for ref, plan in plans.items() for user in plan.users]
        for statement, rows in (
            (_FILL_DATA, data), (_FORGET_COUNTS, data), (_FORGET_COUNT, counts), (_DELETE_KEY, users),
        ):  # fmt: skip
            if rows:
                connection.execute(statement, rows)

    def _record_written(self, connection: Connection, written: Sequence[ClaimResult]) -> None:
        """Record what is on the messages now."""
        counts: list[dict[str, Any]] = []
        data = [_post_parameters(each.claim.ref) for each in written if _fills_data(each.claim.mode, each.claim.plan)]
        for each in written:
            plan, ref = each.claim.plan, each.claim.ref
            numbers = plan.data if _fills_data(each.claim.mode, plan) else None
            if numbers is None:
                numbers = {**plan.sets, **dict.fromkeys(plan.removals, 0)}
            counts += [
                {**_post_parameters(ref), "its_emoji": emoji, "there": number} for emoji, number in numbers.items()
            ]
        # In other modes a key may still be there from before.
        zero = [
            _post_parameters(each.claim.ref) for each in written if each.claim.mode in (None, DisplayMode.EXTENSIONS)
        ]
        for statement, rows in ((_EMPTY_COUNTS, data), (_RECORD_COUNT, counts), (_REMOVE_ZEROS, zero)):
            if rows:
                connection.execute(statement, rows)

    def _record_deletions(self, connection: Connection, result: ClaimResult) -> None:
        for user, version in (result.versions or {}).items():
            values: dict[str, Any] = {"deleting": False, "present": False}
            if version:  # else it was gone already: an earlier deletion of an adapter succeeded
                values |= {"deleted": version, "present": KEYS.c.merged > version}
            connection.execute(update(KEYS).where(at(KEYS, result.claim.ref), KEYS.c.user_id == user).values(values))

    def _record_lost(self, connection: Connection, result: ClaimResult, owner: str | None, now: float) -> None:
        """End a claim whose lease was lost: what it wrote, or recorded, may have come after something newer.

        Nothing of the message is known any more. A process that writes beside it loses its lease, too: it is unknown
        whose write came last.
        """
        claim, name = result.claim, lease_of(result.claim.ref)
        again: dict[str, Any] = {"version": case((POSTS.c.dropped, POSTS.c.version), else_=POSTS.c.version + 1)}
        if owner is None:
            leases.remove(connection, [name])
            again["due"] = now + result.pause
        else:
            leases.revoke(connection, [name])
        if _fills_data(claim.mode, claim.plan):
            again["in_custom_data"] = True
        connection.execute(update(COUNTS).where(at(COUNTS, claim.ref)).values(published=None))
        connection.execute(update(POSTS).where(at(POSTS, claim.ref)).values(again))

    def _keep_in_store(self, connection: Connection, ref: PostRef) -> None:
        values = {"store_only": True, "version": POSTS.c.version + 1}
        connection.execute(update(POSTS).where(at(POSTS, ref)).values(values))
        connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))


_AUTO: Final = "auto"


def _post_parameters(ref: PostRef) -> dict[str, Any]:
    return {"at_channel": ref.channel, "at_post": ref.seq}


def _is_post(table: Any) -> ColumnElement[bool]:
    return and_(table.c.channel == bindparam("at_channel"), table.c.post == bindparam("at_post"))


_END: Final = (
    update(POSTS)
    .where(_is_post(POSTS))
    .values(
        due=bindparam("next_due"),
        failures=bindparam("next_failures"),
        published=func.coalesce(bindparam("now_published", type_=BigInteger), POSTS.c.published),
        in_custom_data=func.coalesce(bindparam("still_in_custom_data", type_=Boolean), POSTS.c.in_custom_data),
    )
)
_FILL_DATA: Final = update(POSTS).where(_is_post(POSTS)).values(in_custom_data=True)
_FORGET_COUNTS: Final = update(COUNTS).where(_is_post(COUNTS)).values(published=None)
_FORGET_COUNT: Final = (
    update(COUNTS).where(_is_post(COUNTS), COUNTS.c.emoji == bindparam("its_emoji")).values(published=None)
)
_DELETE_KEY: Final = update(KEYS).where(_is_post(KEYS), KEYS.c.user_id == bindparam("its_user")).values(deleting=True)
_EMPTY_COUNTS: Final = update(COUNTS).where(_is_post(COUNTS)).values(published=0)
_RECORD_COUNT: Final = (
    update(COUNTS)
    .where(_is_post(COUNTS), COUNTS.c.emoji == bindparam("its_emoji"))
    .values(published=bindparam("there"))
)
_REMOVE_ZEROS: Final = delete(COUNTS).where(
    _is_post(COUNTS), COUNTS.c.number == 0, func.coalesce(COUNTS.c.published, 1) == 0
)


def _ending_parameters(result: ClaimResult, now: float) -> dict[str, Any]:
    claim, plan = result.claim, result.claim.plan
    written = result.end is ClaimEnd.WRITTEN
    failures = {ClaimEnd.WRITTEN: 0, ClaimEnd.FAILED: claim.failures + 1}.get(result.end, claim.failures)
    emptied = written and plan.data is not None and not _fills_data(claim.mode, plan)
    return {
        **_post_parameters(claim.ref),
        "next_due": now + result.pause,
        "next_failures": failures,
        "now_published": claim.version if written and plan.complete else None,
        "still_in_custom_data": False if emptied else None,
    }
