"""What is to be written on messages: turns under a lease, planned from the rows, noted before and after the write.

Before a write its counts are set to "not known", so that whatever happens to the writer they are written again. After
it the numbers that were written are noted, if the lease still held. Counts are absolute: writing twice is harmless.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, case, delete, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Rung
from channel_adapter.store.reaction_tables import COUNTS, FACTS, KEYS, POSTS
from channel_adapter.store.reactions import ReactionStore, at

RUNG: Final = "rung"
FARTHEST: Final = 60.0
"""Seconds; a turn that is due later was dated by a clock that has been set back since."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a message takes. `people`: their keys are compacted above it; `counts`: so many emoji are shown."""

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
class Turn:
    """The right to write on one message until the lease ends."""

    ref: PostRef
    lease: str
    version: int
    rung: Rung | None
    failures: int
    plan: Plan


def plan_keys(counts: Sequence[Count], surplus: Sequence[UserId], people: int, room: Room) -> Plan:
    """The next call for a message with extensions, where `people` have a key, and those of `surplus` are to go.

    New counts come first, unless there might be no place for them.
    """
    shown = _shown(counts, room)
    wrong = [each for each in counts if each.emoji in shown and each.published != each.number]
    sets = {each.emoji: each.number for each in wrong[: room.per_call]}
    leaving = [each.emoji for each in counts if each.emoji not in shown and each.published != 0]
    adding = sum(not each.published for each in wrong)
    standing = sum(each.published != 0 for each in counts)
    crowded = people + standing + adding > room.keys
    if sets and not (crowded and (leaving or surplus)):
        return Plan(sets=sets, whole=not leaving and not surplus and len(wrong) <= room.per_call)
    removals = tuple(leaving[: room.per_call])
    gone = tuple(surplus[: room.per_call - len(removals)])
    done = len(removals) == len(leaving) and len(gone) == len(surplus)
    return Plan(removals=removals, people=gone, whole=done and not sets)


def plan_data(counts: Sequence[Count], room: Room) -> Plan:
    """The next call for a message whose custom data holds the counts: all of them, when one differs."""
    shown = _shown(counts, room)
    if all(each.published == shown.get(each.emoji, 0) for each in counts):
        return Plan()
    return Plan(data=shown)


def _shown(counts: Sequence[Count], room: Room) -> dict[str, int]:
    ordered = sorted((each for each in counts if each.number > 0), key=lambda each: (-each.number, each.emoji))
    return {each.emoji: each.number for each in ordered[: room.counts]}


class PublishingStore:
    """Turns at messages, for any number of processes on one database."""

    def __init__(self, store: ReactionStore, room: Room, *, lease_seconds: float) -> None:
        self._store = store
        self._database = store.database
        self._room = room
        self._lease_seconds = lease_seconds

    async def due(self, limit: int, here: float) -> tuple[list[PostRef], float | None]:
        """Posts that may be claimed now, and in how many seconds the next one may; None when there is no other."""
        pending = POSTS.c.version != POSTS.c.published
        columns = (POSTS.c.channel, POSTS.c.post, POSTS.c.due)
        query = select(*columns).where(pending).order_by(POSTS.c.due).limit(limit + 1)
        async with self._database.reading() as connection:
            now = await self._database.now(connection, here)
            rows = (await connection.execute(query)).all()
        ready = [PostRef(ChannelId(row.channel), row.post) for row in rows if not now < row.due <= now + FARTHEST]
        later = [row.due - now for row in rows if now < row.due <= now + FARTHEST]
        return ready[:limit], (min(later) if later else None)

    async def begin(self, ref: PostRef, here: float, *, reading: bool = False) -> Turn | None:
        """Claim a post and note what is about to be written; None when it is somebody else's or nothing is pending.

        With `reading`, claim it whatever is pending, for a read that nobody may disturb.
        """
        lease = secrets.token_hex(16)
        async with self._database.writing() as connection:
            now = await self._database.now(connection, here)
            if reading:
                await self._store.touch(connection, ref)
            claim = update(POSTS).where(at(POSTS, ref), or_(POSTS.c.due <= now, POSTS.c.due > now + FARTHEST))
            if not reading:
                claim = claim.where(POSTS.c.version != POSTS.c.published)
            claimed = claim.values(lease=lease, due=now + self._lease_seconds).returning(POSTS)
            row = (await connection.execute(claimed)).one_or_none()
            if row is None:
                return None
            rung = _lower(await self._app_rung(connection), row.rung)
            plan = Plan(whole=False) if reading else await self._plan(connection, ref, rung, row.written)
            await self._announce(connection, ref, plan, rung)
            return Turn(ref, lease, row.version, rung, row.failures, plan)

    async def done(
        self, turn: Turn, here: float, *, pause: float, versions: Mapping[UserId, int] | None = None
    ) -> bool:
        """Note that a turn's plan was written; the next turn may begin after `pause` seconds.

        `versions` are those of the people's keys that were deleted. False when the lease was lost in between: then
        somebody else may have written something newer before ours, and everything is written once more.
        """
        plan, ref = turn.plan, turn.ref
        async with self._database.writing() as connection:
            now = await self._database.now(connection, here)
            values: dict[str, Any] = {"due": now + pause, "lease": "", "failures": 0}
            if plan.whole:
                values["published"] = turn.version
            if plan.data is not None and not _fills_data(turn.rung, plan):
                values["written"] = Rung.EXTENSION.value
            kept = await self._give_back(connection, turn, values)
            if kept:
                await self._note(connection, turn)
            for user, version in (versions or {}).items():
                gone: dict[str, Any] = {"deleting": False, "present": False}
                if version:  # else it was not there any more: an earlier deletion of ours came through
                    gone |= {"own": version, "present": KEYS.c.folded > version}
                await connection.execute(update(KEYS).where(at(KEYS, ref), KEYS.c.person == user).values(gone))
        return kept

    async def failed(self, turn: Turn, here: float, *, pause: float) -> None:
        """Give a turn back that came to nothing, or to nobody knows what: what it announced stays "not known"."""
        async with self._database.writing() as connection:
            now = await self._database.now(connection, here)
            values = {"due": now + pause, "lease": "", "failures": POSTS.c.failures + 1}
            await self._give_back(connection, turn, values)

    async def release(self, turn: Turn, here: float, *, pause: float) -> None:
        """Give back a claim that was for reading; what was read without a lease may be of before a newer write."""
        async with self._database.writing() as connection:
            now = await self._database.now(connection, here)
            await self._give_back(connection, turn, {"due": now + pause, "lease": ""})

    async def fall(self, turn: Turn, rung: Rung, here: float, *, pause: float) -> None:
        """This message alone goes down to `rung`; its counts are written there."""
        async with self._database.writing() as connection:
            now = await self._database.now(connection, here)
            values = {"due": now + pause, "lease": "", "rung": rung.value, "version": POSTS.c.version + 1}
            await connection.execute(update(POSTS).where(at(POSTS, turn.ref)).values(values))
            await connection.execute(update(COUNTS).where(at(COUNTS, turn.ref)).values(published=None))

    async def rung(self) -> str | None:
        """What was remembered of the app's rung, as it was given to `climb`."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(FACTS.c.value).where(FACTS.c.name == RUNG))

    async def climb(self, remembered: str, *, everywhere: bool, fallen: bool = False) -> None:
        """Remember a rung; `everywhere`: it is another one than before, so every post is written anew on it.

        `fallen`: posts that fell below the app's rung by themselves are, in any case.
        A turn under way loses its lease, so that what it writes on the old rung counts for nothing on the new one; the
        next turn waits until it ended, or until its lease would have.
        """
        async with self._database.writing() as connection:
            if everywhere or fallen:
                these = and_(~POSTS.c.dropped, true() if everywhere else POSTS.c.rung != "")
                resting = and_(POSTS.c.lease == "", POSTS.c.failures > 0)
                due = case((resting, 0.0), else_=POSTS.c.due)
                anew = {"version": POSTS.c.version + 1, "lease": "", "due": due, "failures": 0}
                await connection.execute(update(POSTS).where(these).values(anew))
                counts = exists().where(POSTS.c.channel == COUNTS.c.channel, POSTS.c.post == COUNTS.c.post, these)
                await connection.execute(update(COUNTS).where(counts).values(published=None))
                await connection.execute(update(POSTS).where(these).values(rung=""))
            upsert = self._store.insert(FACTS).values(name=RUNG, value=remembered)
            await connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_={"value": remembered}))

    async def _app_rung(self, connection: AsyncConnection) -> str:
        return (await connection.scalar(select(FACTS.c.value).where(FACTS.c.name == RUNG)) or "").partition(" ")[0]

    async def _plan(self, connection: AsyncConnection, ref: PostRef, rung: Rung | None, written: str) -> Plan:
        if rung is Rung.STORE:
            return Plan()
        query = select(COUNTS.c.emoji, COUNTS.c.number, COUNTS.c.published).where(at(COUNTS, ref))
        counts = [Count(*row) for row in await connection.execute(query.order_by(COUNTS.c.emoji))]
        if rung is Rung.CUSTOM_DATA:
            return plan_data(counts, self._room)
        present = and_(at(KEYS, ref), or_(KEYS.c.present, KEYS.c.deleting))
        order = (case((KEYS.c.deleting, 0), else_=1), KEYS.c.folded, KEYS.c.person)
        rows = await connection.execute(select(KEYS.c.person, KEYS.c.deleting).where(present).order_by(*order))
        people = [(UserId(person), deleting) for person, deleting in rows]
        begun = sum(deleting for _, deleting in people)  # whose end nobody has noted
        surplus = [person for person, _ in people[: max(begun, len(people) - self._room.people)]]
        plan = plan_keys(counts, surplus, len(people), self._room)
        if written != Rung.CUSTOM_DATA.value:
            return plan
        return Plan(data={}, whole=False) if plan.empty else replace(plan, whole=False)

    async def _give_back(self, connection: AsyncConnection, turn: Turn, values: dict[str, Any]) -> bool:
        """End a turn. False when its lease was lost: what it wrote, or noted, may have come after something newer.

        Then nothing of the message is known any more, and the next turn begins when this one's pause is over. Whoever
        writes beside it loses the lease, too: nobody knows whose write came last.
        """
        this = at(POSTS, turn.ref)
        ended = update(POSTS).where(this, POSTS.c.lease == turn.lease).values(values)
        if (await connection.execute(ended)).rowcount == 1:
            return True
        await connection.execute(update(COUNTS).where(at(COUNTS, turn.ref)).values(published=None))
        again: dict[str, Any] = {
            "version": case((POSTS.c.dropped, POSTS.c.version), else_=POSTS.c.version + 1),
            "due": case((POSTS.c.lease == "", values["due"]), else_=POSTS.c.due),
            "lease": "",
        }
        if _fills_data(turn.rung, turn.plan):
            again["written"] = Rung.CUSTOM_DATA.value
        await connection.execute(update(POSTS).where(this).values(again))
        return False

    async def _announce(self, connection: AsyncConnection, ref: PostRef, plan: Plan, rung: Rung | None) -> None:
        """Note what is about to be written, before it is."""
        emoji = [*plan.sets, *plan.removals]
        if _fills_data(rung, plan):
            await connection.execute(update(POSTS).where(at(POSTS, ref)).values(written=Rung.CUSTOM_DATA.value))
            await connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=None))
        elif emoji:
            await connection.execute(
                update(COUNTS).where(at(COUNTS, ref), COUNTS.c.emoji.in_(emoji)).values(published=None)
            )
        if plan.people:
            await connection.execute(
                update(KEYS).where(at(KEYS, ref), KEYS.c.person.in_(plan.people)).values(deleting=True)
            )

    async def _note(self, connection: AsyncConnection, turn: Turn) -> None:
        """Note what stands on the message now."""
        plan, ref = turn.plan, turn.ref
        written = {**plan.sets, **dict.fromkeys(plan.removals, 0)}
        if plan.data is not None and _fills_data(turn.rung, plan):
            await connection.execute(update(COUNTS).where(at(COUNTS, ref)).values(published=0))
            written = plan.data
        for emoji, number in written.items():
            await connection.execute(
                update(COUNTS).where(at(COUNTS, ref), COUNTS.c.emoji == emoji).values(published=number)
            )
        if turn.rung in (None, Rung.EXTENSION):  # below it a key may still stand there from better times
            nothing = (COUNTS.c.number == 0, func.coalesce(COUNTS.c.published, 1) == 0)
            await connection.execute(delete(COUNTS).where(at(COUNTS, ref), *nothing))


def _fills_data(rung: Rung | None, plan: Plan) -> bool:
    """Does it put counts into custom data? On a better rung it takes them out."""
    return plan.data is not None and rung is Rung.CUSTOM_DATA


def _lower(app: str, own: str) -> Rung | None:
    """The lower of the app's rung and a message's own; None while neither is known."""
    order = list(Rung)
    known = [Rung(each) for each in (app, own) if each]
    return max(known, key=order.index) if known else None
