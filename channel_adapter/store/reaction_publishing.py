"""What is to be written on messages: claims under a lease, planned from the rows, noted before and after the write.

Before a write its counts are set to "not known", so that whatever happens to the writer they are written again. After
it the numbers that were written are noted, if the lease is still held. Counts are absolute: writing twice is harmless.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    String,
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
from channel_adapter.domain.reaction import Rung
from channel_adapter.store import leases
from channel_adapter.store.leases import Leases
from channel_adapter.store.reactions import COUNTS, FACTS, KEYS, LEASE, POSTS, ReactionStore, at, lease_of, posts, same


@dataclass(frozen=True, slots=True)
class MessageCapacity:
    """How many keys a message takes in all and in one call, how many keys of users stay, how many counts are shown."""

    keys: int
    per_call: int
    people: int
    counts: int


class Count(NamedTuple):
    """One emoji's number, and what stands on the message: None when that is not known."""

    emoji: str
    number: int
    published: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One call's worth of writing. `whole`: nothing is left to write after it."""

    sets: dict[str, int] = field(default_factory=dict)
    removals: tuple[str, ...] = ()
    people: tuple[UserId, ...] = ()
    data: dict[str, int] | None = None  # for custom data: all counts, or none to take ours out of it
    whole: bool = True

    @property
    def empty(self) -> bool:
        """Is there nothing to call for?"""
        return not (self.sets or self.removals or self.people) and self.data is None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write on one message until its lease ends."""

    ref: PostRef
    owner: str  # of the lease; no two claims share one
    version: int
    rung: Rung | None
    failures: int
    plan: Plan


class Outcome(NamedTuple):
    """How a claim ended. The next one may begin after `pause` seconds.

    `versions` are those of the keys of users that were deleted. `rung`: the message alone goes down to it.
    """

    claim: Claim
    result: "Result"
    pause: float
    versions: Mapping[UserId, int] | None = None
    rung: Rung | None = None


class Result(Enum):
    """What became of what a claim planned."""

    WRITTEN = "written"
    FAILED = "failed"  # or unknown: what was announced stays "not known"
    RELEASED = "released"  # a claim for reading
    DOWNGRADED = "downgraded"  # the counts are written on a lower rung


def plan_keys(counts: Sequence[Count], surplus: Sequence[UserId], people: int, capacity: MessageCapacity) -> Plan:
    """The next call for a message with extensions, where `people` have a key, and those of `surplus` are to go.

    New counts come first, unless there might be no place for them.
    """
    shown = _shown(counts, capacity)
    wrong = [each for each in counts if each.emoji in shown and each.published != each.number]
    sets = {each.emoji: each.number for each in wrong[: capacity.per_call]}
    leaving = [each.emoji for each in counts if each.emoji not in shown and each.published != 0]
    adding = sum(not each.published for each in wrong)
    standing = sum(each.published != 0 for each in counts)
    crowded = people + standing + adding > capacity.keys
    if sets and not (crowded and (leaving or surplus)):
        return Plan(sets=sets, whole=not leaving and not surplus and len(wrong) <= capacity.per_call)
    removals = tuple(leaving[: capacity.per_call])
    gone = tuple(surplus[: capacity.per_call - len(removals)])
    done = len(removals) == len(leaving) and len(gone) == len(surplus)
    return Plan(removals=removals, people=gone, whole=done and not sets)


def plan_data(counts: Sequence[Count], capacity: MessageCapacity) -> Plan:
    """The next call for a message whose custom data holds the counts: all of them, when one differs."""
    shown = _shown(counts, capacity)
    if all(each.published == shown.get(each.emoji, 0) for each in counts):
        return Plan()
    return Plan(data=shown)


def _shown(counts: Sequence[Count], capacity: MessageCapacity) -> dict[str, int]:
    ordered = sorted((each for each in counts if each.number > 0), key=lambda each: (-each.number, each.emoji))
    return {each.emoji: each.number for each in ordered[: capacity.counts]}


def fills_data(rung: Rung | None, plan: Plan) -> bool:
    """Return whether a plan puts counts into custom data; on a better rung it takes them out."""
    return plan.data is not None and rung is Rung.CUSTOM_DATA


RUNG: Final = "rung"
FARTHEST: Final = 60.0
"""Seconds; a post that is due later was dated by a clock that has been set back since."""


class PublishingStore:
    """Claims of messages to publish counts on, for any number of processes on one database.

    Rows of posts are locked before leases, each in one order.
    """

    def __init__(self, store: ReactionStore, capacity: MessageCapacity, *, lease_seconds: float) -> None:
        self._store = store
        self._database = store.database
        self._capacity = capacity
        self._lease_seconds = lease_seconds

    async def claim(self, limit: int, here: float) -> tuple[list[Claim], float | None]:
        """Claim posts with something to publish; return them, and in how many seconds the next one is due.

        What is about to be written is noted in the same transaction. The seconds are None if no other post waits.
        """
        return await self._database.write(self._claim_due, limit, here)

    async def claim_for_reading(self, ref: PostRef, here: float) -> Claim | None:
        """Claim one post, whatever is pending, so that no process writes on it; None while another one does."""
        return await self._database.write(self._claim_one, ref, here)

    async def finish(self, outcomes: Sequence[Outcome], here: float) -> list[bool]:
        """Note how claims ended, in one transaction. False for a claim whose lease was lost.

        Then another process may have written something newer before, so everything is written once more.
        """
        return await self._database.write(self._finish, outcomes, here)

    async def remove_unchanged(self, before: float) -> int:
        """Remove posts whose reactions have not changed since; see ReactionStore.remove_unchanged."""
        return await self._store.remove_unchanged(before)

    async def rung(self) -> str | None:
        """Return what was remembered of the app's rung, as it was given to `climb`."""
        query = select(FACTS.c.value).where(FACTS.c.name == RUNG)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def climb(self, remembered: str, here: float, *, everywhere: bool, fallen: bool = False) -> None:
        """Remember a rung. With `everywhere` it is another one than before, and every post is written again on it.

        With `fallen` posts that went down below the app's rung are, in any case. A claim under way loses its lease, so
        that what it writes on the old rung counts for nothing; the next one waits until the lease would have ended.
        """
        await self._database.write(self._climb, remembered, here, everywhere, fallen)

    def _claim_due(self, connection: Connection, limit: int, here: float) -> tuple[list[Claim], float | None]:
        now = self._database.time(connection, here)
        pending = and_(POSTS.c.version != POSTS.c.published, ~leases.live(LEASE, literal(now)))
        due = or_(POSTS.c.due <= now, POSTS.c.due > now + FARTHEST)
        query = select(POSTS).where(pending, due).order_by(POSTS.c.due).limit(limit)
        rows = connection.execute(query.with_for_update(of=POSTS, skip_locked=True)).all()
        later = connection.scalar(select(func.min(POSTS.c.due)).where(pending, POSTS.c.due > now))
        seconds = None if later is None or later > now + FARTHEST else later - now
        if not rows:
            return [], seconds
        owner = secrets.token_hex(16)
        lease = Leases(self._database, owner, seconds=self._lease_seconds)
        refs = [PostRef(ChannelId(row.channel), row.post) for row in rows]
        acquired = lease.acquire(connection, [lease_of(ref) for ref in refs], here)
        app = self._app_rung(connection)
        mine = {ref: row for ref, row in zip(refs, rows, strict=True) if lease_of(ref) in acquired}
        rungs = {ref: _lower(app, row.rung) for ref, row in mine.items()}
        plans = self._plans(connection, {ref: (rungs[ref], row.written) for ref, row in mine.items()})
        self._announce(connection, plans, rungs)
        claims = [Claim(ref, owner, row.version, rungs[ref], row.failures, plans[ref]) for ref, row in mine.items()]
        return claims, 0.0 if len(rows) == limit else seconds

    def _claim_one(self, connection: Connection, ref: PostRef, here: float) -> Claim | None:
        owner = secrets.token_hex(16)
        self._store.touch(connection, [ref], self._database.time(connection, here))
        lease = Leases(self._database, owner, seconds=self._lease_seconds)
        if not lease.acquire(connection, [lease_of(ref)], here):
            return None
        row = connection.execute(select(POSTS).where(at(POSTS, ref))).one()
        rung = _lower(self._app_rung(connection), row.rung)
        return Claim(ref, owner, row.version, rung, row.failures, Plan(whole=False))

    def _finish(self, connection: Connection, outcomes: Sequence[Outcome], here: float) -> list[bool]:
        now = self._database.time(connection, here)
        refs = sorted({outcome.claim.ref for outcome in outcomes})
        these = posts(self._database, refs)
        locked = select(POSTS.c.channel).join(these, same(POSTS, these, "channel", "post"))
        connection.execute(locked.order_by(POSTS.c.channel, POSTS.c.post).with_for_update(of=POSTS)).all()
        owners = leases.owners(connection, [lease_of(ref) for ref in refs])
        kept = [owners.get(lease_of(each.claim.ref)) == each.claim.owner for each in outcomes]
        ended = [each for each, held in zip(outcomes, kept, strict=True) if held]
        leases.remove(connection, [lease_of(each.claim.ref) for each in ended])
        if ended:
            connection.execute(_END, [_ending(each, now) for each in ended])
            self._note(connection, [each for each in ended if each.result is Result.WRITTEN])
        for each, held in zip(outcomes, kept, strict=True):
            if not held:
                self._lost(connection, each, owners.get(lease_of(each.claim.ref)), now)
            if each.rung is not None:
                self._downgrade(connection, each.claim.ref, each.rung)
            self._note_deletions(connection, each)
        return kept

    def _climb(self, connection: Connection, remembered: str, here: float, everywhere: bool, fallen: bool) -> None:
        if everywhere or fallen:
            these = and_(~POSTS.c.dropped, true() if everywhere else POSTS.c.rung != "")
            names = select(LEASE).where(these)
            connection.execute(update(leases.LEASES).where(leases.LEASES.c.name.in_(names)).values(owner=None))
            paused = and_(POSTS.c.failures > 0, ~leases.live(LEASE, self._database.now(here)))
            due = case((paused, 0.0), else_=POSTS.c.due)
            again = {"version": POSTS.c.version + 1, "due": due, "failures": 0}
            connection.execute(update(POSTS).where(these).values(again))
            counts = exists().where(POSTS.c.channel == COUNTS.c.channel, POSTS.c.post == COUNTS.c.post, these)
            connection.execute(update(COUNTS).where(counts).values(published=None))
            connection.execute(update(POSTS).where(these).values(rung=""))
        upsert = self._database.insert(FACTS).values(name=RUNG, value=remembered)
        connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_={"value": remembered}))

    def _app_rung(self, connection: Connection) -> str:
        return (connection.scalar(select(FACTS.c.value).where(FACTS.c.name == RUNG)) or "").partition(" ")[0]

    def _plans(self, connection: Connection, wanted: Mapping[PostRef, tuple[Rung | None, str]]) -> dict[PostRef, Plan]:
        """Plan one call for each post, from its rung and from what was written on it."""
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
            present.order_by(case((KEYS.c.deleting, 0), else_=1), KEYS.c.folded, KEYS.c.person)
        ):
            users[PostRef(ChannelId(row.channel), row.post)].append((UserId(row.person), row.deleting))
        return {ref: self._plan(rung, written, counts[ref], users[ref]) for ref, (rung, written) in wanted.items()}

    def _plan(
        self, rung: Rung | None, written: str, counts: Sequence[Count], users: Sequence[tuple[UserId, bool]]
    ) -> Plan:
        if rung is Rung.STORE:
            return Plan()
        if rung is Rung.CUSTOM_DATA:
            return plan_data(counts, self._capacity)
        begun = sum(deleting for _, deleting in users)  # deletions whose end was not noted
        surplus = [user for user, _ in users[: max(begun, len(users) - self._capacity.people)]]
        plan = plan_keys(counts, surplus, len(users), self._capacity)
        if written != Rung.CUSTOM_DATA.value:
            return plan
        return Plan(data={}, whole=False) if plan.empty else replace(plan, whole=False)

    def _announce(
        self, connection: Connection, plans: Mapping[PostRef, Plan], rungs: Mapping[PostRef, Rung | None]
    ) -> None:
        """Note what is about to be written: whatever becomes of the writer, it is written again."""
        data = [_row(ref) for ref, plan in plans.items() if fills_data(rungs[ref], plan)]
        counts = [{**_row(ref), "what": emoji} for ref, plan in plans.items() for emoji in (*plan.sets, *plan.removals)]
        users = [{**_row(ref), "who": user} for ref, plan in plans.items() for user in plan.people]
        for statement, rows in (
            (_FILL_DATA, data), (_FORGET_COUNTS, data), (_FORGET_COUNT, counts), (_DELETE_KEY, users),
        ):  # fmt: skip
            if rows:
                connection.execute(statement, rows)

    def _note(self, connection: Connection, written: Sequence[Outcome]) -> None:
        """Note what is on the messages now."""
        counts: list[dict[str, Any]] = []
        data = [_row(each.claim.ref) for each in written if fills_data(each.claim.rung, each.claim.plan)]
        for each in written:
            plan, ref = each.claim.plan, each.claim.ref
            numbers = plan.data if fills_data(each.claim.rung, plan) else None
            if numbers is None:
                numbers = {**plan.sets, **dict.fromkeys(plan.removals, 0)}
            counts += [{**_row(ref), "what": emoji, "there": number} for emoji, number in numbers.items()]
        # Below the rung of extensions a key may still be there from before.
        zero = [_row(each.claim.ref) for each in written if each.claim.rung in (None, Rung.EXTENSION)]
        for statement, rows in ((_EMPTY_COUNTS, data), (_NOTE_COUNT, counts), (_REMOVE_ZEROS, zero)):
            if rows:
                connection.execute(statement, rows)

    def _note_deletions(self, connection: Connection, outcome: Outcome) -> None:
        for user, version in (outcome.versions or {}).items():
            gone: dict[str, Any] = {"deleting": False, "present": False}
            if version:  # else it was not there any more: an earlier deletion of ours succeeded
                gone |= {"own": version, "present": KEYS.c.folded > version}
            connection.execute(update(KEYS).where(at(KEYS, outcome.claim.ref), KEYS.c.person == user).values(gone))

    def _lost(self, connection: Connection, outcome: Outcome, owner: str | None, now: float) -> None:
        """End a claim whose lease was lost: what it wrote, or noted, may have come after something newer.

        Nothing of the message is known any more. A process that writes beside it loses its lease, too: it is unknown
        whose write came last.
        """
        claim, name = outcome.claim, lease_of(outcome.claim.ref)
        again: dict[str, Any] = {"version": case((POSTS.c.dropped, POSTS.c.version), else_=POSTS.c.version + 1)}
        if owner is None:
            leases.remove(connection, [name])
            again["due"] = now + outcome.pause
        else:
            leases.revoke(connection, [name])
        if fills_data(claim.rung, claim.plan):
            again["written"] = Rung.CUSTOM_DATA.value
        connection.execute(update(COUNTS).where(at(COUNTS, claim.ref)).values(published=None))
        connection.execute(update(POSTS).where(at(POSTS, claim.ref)).values(again))

    def _downgrade(self, connection: Connection, ref: PostRef, rung: Rung) -> None:
        values = {"rung": rung.value, "version": POSTS.c.version + 1}
        connection.execute(update(POSTS).where(at(POSTS, ref)).values(values))
        connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))


def _row(ref: PostRef) -> dict[str, Any]:
    return {"at_channel": ref.channel, "at_post": ref.seq}


def _this(table: Any) -> ColumnElement[bool]:
    return and_(table.c.channel == bindparam("at_channel"), table.c.post == bindparam("at_post"))


_END: Final = (
    update(POSTS)
    .where(_this(POSTS))
    .values(
        due=bindparam("next_due"),
        failures=bindparam("next_failures"),
        published=func.coalesce(bindparam("now_published", type_=BigInteger), POSTS.c.published),
        written=func.coalesce(bindparam("now_written", type_=String), POSTS.c.written),
    )
)
_FILL_DATA: Final = update(POSTS).where(_this(POSTS)).values(written=Rung.CUSTOM_DATA.value)
_FORGET_COUNTS: Final = update(COUNTS).where(_this(COUNTS)).values(published=None)
_FORGET_COUNT: Final = update(COUNTS).where(_this(COUNTS), COUNTS.c.emoji == bindparam("what")).values(published=None)
_DELETE_KEY: Final = update(KEYS).where(_this(KEYS), KEYS.c.person == bindparam("who")).values(deleting=True)
_EMPTY_COUNTS: Final = update(COUNTS).where(_this(COUNTS)).values(published=0)
_NOTE_COUNT: Final = (
    update(COUNTS).where(_this(COUNTS), COUNTS.c.emoji == bindparam("what")).values(published=bindparam("there"))
)
_REMOVE_ZEROS: Final = delete(COUNTS).where(
    _this(COUNTS), COUNTS.c.number == 0, func.coalesce(COUNTS.c.published, 1) == 0
)


def _ending(outcome: Outcome, now: float) -> dict[str, Any]:
    claim, plan = outcome.claim, outcome.claim.plan
    written = outcome.result is Result.WRITTEN
    failures = {Result.WRITTEN: 0, Result.FAILED: claim.failures + 1}.get(outcome.result, claim.failures)
    emptied = written and plan.data is not None and not fills_data(claim.rung, plan)
    return {
        **_row(claim.ref),
        "next_due": now + outcome.pause,
        "next_failures": failures,
        "now_published": claim.version if written and plan.whole else None,
        "now_written": Rung.EXTENSION.value if emptied else None,
    }


def _lower(app: str, own: str) -> Rung | None:
    """The lower of the app's rung and a message's own; None while neither is known."""
    order = list(Rung)
    known = [Rung(each) for each in (app, own) if each]
    return max(known, key=order.index) if known else None
