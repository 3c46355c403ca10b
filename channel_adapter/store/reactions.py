"""Who reacted how: rows that are the truth, and counts that are kept in the same transaction."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, insert, select, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Reactor
from channel_adapter.errors import ConfigurationError
from channel_adapter.store.engine import Database
from channel_adapter.store.reaction_tables import AREA, COUNTS, FACTS, KEYS, POSTS, REACTIONS

PEOPLE_PER_PAGE: Final = 1_000
_APP: Final = "app"


@dataclass(frozen=True, slots=True)
class Wish:
    """What one person wants on one post: `emoji` there, or with `there` False gone; no emoji means all of them."""

    ref: PostRef
    user: UserId
    emoji: str | None
    there: bool = True


class Granted(Enum):
    """What came of a wish."""

    CHANGED = "changed"
    SAME = "same"  # it was so before
    DROPPED = "dropped"  # the post was recalled or deleted


Had = dict[str, float]  # emoji of one person on one post, and since when


class ReactionStore:
    """The truth of one app's reactions. `most` is how many reactions a person may have on a post.

    Raises what Database raises; then nothing was counted.
    """

    def __init__(self, database: Database, app: int, *, most: int) -> None:
        self.database = database
        self._app = app
        self._most = most
        dialect = sqlite if database.is_sqlite else postgresql
        self.insert: Any = dialect.insert
        touch = self.insert(POSTS).values(channel=bindparam("channel"), post=bindparam("post"))
        self._touch = touch.on_conflict_do_update(
            index_elements=["channel", "post"],
            set_={"version": case((POSTS.c.dropped, POSTS.c.version), else_=POSTS.c.version + 1)},
        ).returning(POSTS.c.dropped, POSTS.c.cleared)
        count = self.insert(COUNTS).values(published=0)
        self._count = count.on_conflict_do_update(
            index_elements=["channel", "post", "emoji"], set_={"number": COUNTS.c.number + count.excluded.number}
        )

    async def prepare(self) -> None:
        """Make the tables. Raises ConfigurationError for a newer schema, and for the database of another app."""
        await self.database.prepare(AREA)
        async with self.database.writing() as connection:
            row = {"name": _APP, "value": str(self._app)}
            await connection.execute(self.insert(FACTS).values(row).on_conflict_do_nothing())
            held = await connection.scalar(select(FACTS.c.value).where(FACTS.c.name == _APP))
        if held != str(self._app):
            raise ConfigurationError(
                f"the database holds the reactions of app {held}, not of {self._app}", field="database_url"
            )

    async def grant(self, wishes: Sequence[Wish], now: float) -> list[Granted]:
        """Carry wishes out in one transaction, in their order; one outcome each."""
        by_ref: dict[PostRef, list[int]] = defaultdict(list)
        for number, wish in enumerate(wishes):
            by_ref[wish.ref].append(number)
        granted = [Granted.SAME] * len(wishes)
        async with self.database.writing() as connection:
            for ref in sorted(by_ref):  # the same order everywhere: no two transactions wait for each other
                mine = [wishes[number] for number in by_ref[ref]]
                for number, outcome in zip(by_ref[ref], await self._grant(connection, ref, mine, now), strict=True):
                    granted[number] = outcome
        return granted

    async def _grant(
        self, connection: AsyncConnection, ref: PostRef, wishes: Sequence[Wish], now: float
    ) -> list[Granted]:
        dropped, _ = await self.touch(connection, ref)
        if dropped:
            return [Granted.DROPPED] * len(wishes)
        before = await self.people(connection, ref, {wish.user for wish in wishes})
        after = {user: dict(had) for user, had in before.items()}
        granted = []
        for wish in wishes:
            had = after.setdefault(wish.user, {})
            wanted = _with(had, wish.emoji, self._most, now) if wish.there else _without(had, wish.emoji)
            granted.append(Granted.SAME if wanted.keys() == had.keys() else Granted.CHANGED)
            after[wish.user] = wanted
        await self.write(connection, ref, before, after)
        return granted

    async def touch(self, connection: AsyncConnection, ref: PostRef) -> tuple[bool, int]:
        """Lock a post's row, made if there is none, and count its version up unless it was dropped.

        Gives `dropped` and `cleared`.
        """
        row = (await connection.execute(self._touch, _key(ref))).one()
        return row.dropped, row.cleared

    async def people(self, connection: AsyncConnection, ref: PostRef, users: Collection[UserId]) -> dict[UserId, Had]:
        """What these people have on a post."""
        query = select(REACTIONS.c.person, REACTIONS.c.emoji, REACTIONS.c.since)
        rows = await connection.execute(query.where(at(REACTIONS, ref), REACTIONS.c.person.in_(list(users))))
        found: dict[UserId, Had] = defaultdict(dict)
        for person, emoji, since in rows:
            found[UserId(person)][emoji] = since
        return found

    async def write(
        self, connection: AsyncConnection, ref: PostRef, before: Mapping[UserId, Had], after: Mapping[UserId, Had]
    ) -> None:
        """Bring people's rows from `before` to `after`, and the counts with them."""
        key, counts = _key(ref), Counter[str]()
        gone, new = [], []
        for user, wanted in after.items():
            had = before.get(user, {})
            for emoji in had.keys() - wanted.keys():
                gone.append({"at_channel": ref.channel, "at_post": ref.seq, "who": user, "what": emoji})
                counts[emoji] -= 1
            for emoji in wanted.keys() - had.keys():
                new.append({**key, "person": user, "emoji": emoji, "since": wanted[emoji]})
                counts[emoji] += 1
        if gone:
            await connection.execute(_REMOVE, gone)
        if new:
            await connection.execute(insert(REACTIONS), new)
        changed = [{**key, "emoji": emoji, "number": by} for emoji, by in sorted(counts.items()) if by]
        if changed:
            await connection.execute(self._count, changed)

    async def counts(self, ref: PostRef) -> tuple[bool | None, dict[str, int]]:
        """Counts of one post, and whether it was dropped; None for a post that nothing is known of."""
        query = (
            select(POSTS.c.dropped, COUNTS.c.emoji, COUNTS.c.number)
            .select_from(POSTS)
            .outerjoin(COUNTS, and_(COUNTS.c.channel == POSTS.c.channel, COUNTS.c.post == POSTS.c.post))
            .where(at(POSTS, ref))
        )
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return (rows[0].dropped if rows else None), {row.emoji: row.number for row in rows if row.number}

    async def counts_of(self, refs: Iterable[PostRef]) -> dict[PostRef, dict[str, int]]:
        """Counts of many posts in one statement; posts without reactions are left out."""
        query = select(COUNTS).where(_among(COUNTS, refs), COUNTS.c.number > 0)
        found: dict[PostRef, dict[str, int]] = defaultdict(dict)
        async with self.database.reading() as connection:
            for row in await connection.execute(query):
                found[PostRef(ChannelId(row.channel), row.post)][row.emoji] = row.number
        return found

    async def chosen_by(self, user: UserId, refs: Iterable[PostRef]) -> dict[PostRef, tuple[str, ...]]:
        """What one person chose on many posts, the oldest first, in one statement."""
        query = select(REACTIONS).where(_among(REACTIONS, refs), REACTIONS.c.person == user)
        found: dict[PostRef, tuple[str, ...]] = {}
        async with self.database.reading() as connection:
            for row in await connection.execute(query.order_by(REACTIONS.c.since, REACTIONS.c.emoji)):
                ref = PostRef(ChannelId(row.channel), row.post)
                found[ref] = (*found.get(ref, ()), row.emoji)
        return found

    async def reactors(
        self, ref: PostRef, emoji: str | None, after: tuple[str, str]
    ) -> tuple[list[Reactor], tuple[str, str] | None]:
        """One page of the people who reacted, ordered by user id, behind the pair (person, emoji) `after`."""
        query = select(REACTIONS).where(at(REACTIONS, ref), tuple_(REACTIONS.c.person, REACTIONS.c.emoji) > after)
        if emoji is not None:
            query = query.where(REACTIONS.c.emoji == emoji)
        query = query.order_by(REACTIONS.c.person, REACTIONS.c.emoji).limit(PEOPLE_PER_PAGE)
        async with self.database.reading() as connection:
            rows = (await connection.execute(query)).all()
        page = [Reactor(UserId(row.person), row.emoji, datetime.fromtimestamp(row.since, UTC)) for row in rows]
        return page, (rows[-1].person, rows[-1].emoji) if len(rows) == PEOPLE_PER_PAGE else None

    async def drop(self, ref: PostRef) -> None:
        """Forget every reaction of a post for good; it takes no new ones."""
        async with self.database.writing() as connection:
            await self.touch(connection, ref)
            for table in (REACTIONS, COUNTS, KEYS):
                await connection.execute(delete(table).where(at(table, ref)))
            done = {"dropped": True, "published": POSTS.c.version, "lease": ""}
            await connection.execute(update(POSTS).where(at(POSTS, ref)).values(done))

    async def drop_channel(self, channel: ChannelId) -> None:
        """Forget everything of a channel; one that is made anew with its id begins with nothing."""
        async with self.database.writing() as connection:
            for table in (POSTS, REACTIONS, COUNTS, KEYS):
                await connection.execute(delete(table).where(table.c.channel == channel))

    async def posts_with(self, channel: ChannelId, users: Collection[UserId]) -> list[tuple[PostRef, UserId]]:
        """Where in a channel these people have reactions."""
        query = select(REACTIONS.c.post, REACTIONS.c.person).distinct()
        query = query.where(REACTIONS.c.channel == channel, REACTIONS.c.person.in_(list(users)))
        async with self.database.reading() as connection:
            return [(PostRef(channel, post), UserId(user)) for post, user in await connection.execute(query)]

    async def pending(self, *, troubled: bool = True) -> int:
        """How many posts have counts to publish; without those whose latest attempt failed unless `troubled`."""
        query = select(func.count()).select_from(POSTS).where(POSTS.c.version != POSTS.c.published)
        query = query.where(true() if troubled else POSTS.c.failures == 0)
        async with self.database.reading() as connection:
            return int(await connection.scalar(query) or 0)


_REMOVE: Final = delete(REACTIONS).where(
    REACTIONS.c.channel == bindparam("at_channel"),
    REACTIONS.c.post == bindparam("at_post"),
    REACTIONS.c.person == bindparam("who"),
    REACTIONS.c.emoji == bindparam("what"),
)


def at(table: Any, ref: PostRef) -> ColumnElement[bool]:
    """The rows of one post."""
    return and_(table.c.channel == ref.channel, table.c.post == ref.seq)


def newest(had: Had, most: int) -> Had:
    """The `most` newest of a person's reactions."""
    kept = sorted(had.items(), key=lambda item: (item[1], item[0]))[-most:]
    return dict(kept)


def _among(table: Any, refs: Iterable[PostRef]) -> ColumnElement[bool]:
    return tuple_(table.c.channel, table.c.post).in_([(ref.channel, ref.seq) for ref in refs])


def _key(ref: PostRef) -> dict[str, Any]:
    return {"channel": ref.channel, "post": ref.seq}


def _with(had: Had, emoji: str | None, most: int, now: float) -> Had:
    """One more, and the oldest gone where there are too many; choosing again what one has changes nothing."""
    if emoji is None or emoji in had:
        return had
    kept = newest(had, most - 1) if most > 1 else {}
    latest = max(kept.values(), default=now)
    return {**kept, emoji: max(now, latest)}


def _without(had: Had, emoji: str | None) -> Had:
    return {each: since for each, since in had.items() if emoji is not None and each != emoji}
