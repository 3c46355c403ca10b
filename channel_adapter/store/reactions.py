"""Reactions of users to posts: a row for each, counts that change in the same transaction, and removal of old rows.

One schema for SQLite and PostgreSQL. A post row is locked by every transaction that touches its post, so everything
below it changes in order. `version` grows with each change; a post whose `published` is behind has something to
publish. `due` is when the interval between writes, or the pause after a failure, allows the next claim; the claim
itself is a lease named by `lease_of`. `published` of a count is the number that stands on the message: 0 for no key,
NULL if it is unknown, so that it is written again. Rows of a post whose reactions have not changed for
`reactions.keep_days` are removed: its message has expired by then.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.types import TypeEngine

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Reactor
from channel_adapter.errors import ConfigurationError
from channel_adapter.store import leases
from channel_adapter.store.database import Database, Schema

_TABLES: Final = MetaData()
_CHANNEL, _USER, _EMOJI = String(48), String(32), String(40)
_DAY_SECONDS: Final = 86_400

POSTS: Final = Table(
    "reaction_posts",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False, default=1),
    Column("published", BigInteger, nullable=False, default=0),
    Column("due", Double, nullable=False, default=0.0),
    Column("changed", Double, nullable=False, default=0.0),  # by a reaction, or when the message was compared
    Column("failures", Integer, nullable=False, default=0),
    Column("store_only", Boolean, nullable=False, default=False),  # the message refused counts
    Column("in_custom_data", Boolean, nullable=False, default=False),  # the custom data may contain counts
    Column("cleared", BigInteger, nullable=False, default=0),  # keys up to this version were removed together
    Column("dropped", Boolean, nullable=False, default=False),  # recalled or deleted: it accepts no reactions
    PrimaryKeyConstraint("channel", "post"),
    sqlite_with_rowid=False,
)
Index("reaction_posts_pending", POSTS.c.due, sqlite_where=POSTS.c.version != POSTS.c.published,
      postgresql_where=POSTS.c.version != POSTS.c.published)  # fmt: skip
Index("reaction_posts_changed", POSTS.c.changed)

REACTIONS: Final = Table(
    "reactions",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("emoji", _EMOJI, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("channel", "post", "user_id", "emoji"),
    sqlite_with_rowid=False,
)

COUNTS: Final = Table(
    "reaction_counts",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("emoji", _EMOJI, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=True),
    PrimaryKeyConstraint("channel", "post", "emoji"),
    sqlite_with_rowid=False,
)

KEYS: Final = Table(  # what is known of the keys of users on the message
    "reaction_keys",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("merged", BigInteger, nullable=False),  # newest version that was merged
    Column("deleted", BigInteger, nullable=False),  # version of the latest deletion by an adapter
    Column("present", Boolean, nullable=False),
    Column("deleting", Boolean, nullable=False),  # an adapter deletes it, and the result is not recorded
    PrimaryKeyConstraint("channel", "post", "user_id"),
    sqlite_with_rowid=False,
)

FACTS: Final = Table(  # the app that this database belongs to, and its display mode
    "reaction_facts",
    _TABLES,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

SCHEMA: Final = Schema("reactions", 3, _TABLES)


def lease_of(ref: PostRef) -> str:
    """Return the name of the lease on publishing a post's counts."""
    return f"post:{ref.channel}:{ref.seq}"


LEASE: Final = literal("post:") + POSTS.c.channel + ":" + cast(POSTS.c.post, String)
"""`lease_of` in SQL."""


USERS_PER_PAGE: Final = 1_000
POSTS_REMOVED_TOGETHER: Final = 200
_APP: Final = "app"
_KEY: Final[Mapping[str, TypeEngine[Any]]] = {"channel": String(), "post": BigInteger(), "user_id": String()}


@dataclass(frozen=True, slots=True)
class ReactionCommand:
    """A change that a user asked for: add `emoji`, or with `add` False remove it; no emoji removes all of them."""

    ref: PostRef
    user: UserId
    emoji: str | None
    add: bool = True


class CommandResult(Enum):
    """What a command did."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DROPPED = "dropped"  # the post was recalled or deleted


class StoredCounts(NamedTuple):
    """Counts of one post, and what one user chose there. `dropped` is None for a post without a row."""

    dropped: bool | None
    counts: dict[str, int]
    chosen: tuple[str, ...] = ()


Chosen = dict[str, float]
"""The reactions of one user on one post: emoji, and when each was added."""
Key = tuple[PostRef, UserId]


class ReactionStore:
    """The reactions of one app. `max_per_user` is how many reactions a user may have on a post.

    `own` is the condition for posts of channels whose ids begin with `prefix`: adapters of the other mode, which may
    use the same database, publish the others. Methods raise what Database raises; then nothing was counted.
    """

    def __init__(self, database: Database, app: int, *, max_per_user: int, prefix: str = "") -> None:
        self.database = database
        self.prefix = prefix
        self.own: ColumnElement[bool] = POSTS.c.channel.startswith(prefix, autoescape=True) if prefix else true()
        self._app = app
        self._max_per_user = max_per_user
        touch = database.insert(POSTS).values(
            channel=bindparam("channel"), post=bindparam("post"), changed=bindparam("changed")
        )
        self._touch = touch.on_conflict_do_update(
            index_elements=["channel", "post"],
            set_={
                "version": case((POSTS.c.dropped, POSTS.c.version), else_=POSTS.c.version + 1),
                "changed": touch.excluded.changed,
            },
        ).returning(POSTS.c.channel, POSTS.c.post, POSTS.c.dropped, POSTS.c.cleared)
        wanted = database.rows(_KEY)
        self._chosen = select(REACTIONS).join(wanted, same(REACTIONS, wanted, *_KEY))
        count = database.insert(COUNTS).values(published=0)
        self._count = count.on_conflict_do_update(
            index_elements=["channel", "post", "emoji"], set_={"number": COUNTS.c.number + count.excluded.number}
        )

    async def prepare(self) -> None:
        """Create the tables. Raises ConfigurationError for another schema version and for the data of another app."""
        await self.database.prepare(leases.SCHEMA)
        await self.database.prepare(SCHEMA)
        app = await self.database.write(self._register_app)
        if app != str(self._app):
            raise ConfigurationError(
                f"the database contains the reactions of app {app}, not of {self._app}", field="database_url"
            )

    def _register_app(self, connection: Connection) -> str | None:
        row = {"name": _APP, "value": str(self._app)}
        connection.execute(self.database.insert(FACTS).values(row).on_conflict_do_nothing())
        return connection.scalar(select(FACTS.c.value).where(FACTS.c.name == _APP))

    async def apply(self, commands: Sequence[ReactionCommand], now: float) -> list[CommandResult]:
        """Apply commands in their order, in one transaction of a fixed number of statements; one result each."""
        return await self.database.write(self._apply_commands, commands, now)

    def _apply_commands(
        self, connection: Connection, commands: Sequence[ReactionCommand], now: float
    ) -> list[CommandResult]:
        refs, keys = set[PostRef](), set[Key]()
        for command in commands:
            refs.add(command.ref)
        touched = self.touch(connection, refs, now)
        for command in commands:
            if not touched[command.ref].dropped:
                keys.add((command.ref, command.user))
        before = self.chosen(connection, keys)
        after: dict[Key, Chosen] = dict(before)  # a user's reactions are replaced as a whole
        results = []
        for command in commands:
            if touched[command.ref].dropped:
                results.append(CommandResult.DROPPED)
                continue
            key = command.ref, command.user
            chosen = after.get(key, {})
            if command.add:
                after[key] = _add_emoji(chosen, command.emoji, self._max_per_user, now)
            else:
                after[key] = _remove_emoji(chosen, command.emoji)
            changed = after[key].keys() != chosen.keys()
            results.append(CommandResult.CHANGED if changed else CommandResult.UNCHANGED)
        self.write(connection, before, after)
        return results

    def touch(self, connection: Connection, refs: Collection[PostRef], now: float) -> dict[PostRef, "Touched"]:
        """Lock the rows of posts, made if missing, in one order, and raise the versions of those not dropped."""
        rows = [{"channel": ref.channel, "post": ref.seq, "changed": now} for ref in sorted(refs)]
        touched: dict[PostRef, Touched] = {}
        if rows:
            for channel, post, dropped, cleared in connection.execute(self._touch, rows):
                touched[PostRef(channel, post)] = Touched(dropped, cleared)
        return touched

    def chosen(self, connection: Connection, keys: Collection[Key]) -> dict[Key, Chosen]:
        """Return the reactions of users on posts; users without any are left out."""
        found: dict[Key, Chosen] = defaultdict(dict)
        if not keys:
            return found
        rows: list[tuple[ChannelId, int, UserId]] = []
        for ref, user in sorted(keys):
            rows.append((ref.channel, ref.seq, user))
        for row in connection.execute(self._chosen, self.database.row_parameters(_KEY, rows)):
            found[PostRef(ChannelId(row.channel), row.post), UserId(row.user_id)][row.emoji] = row.since
        return found

    def write(self, connection: Connection, before: Mapping[Key, Chosen], after: Mapping[Key, Chosen]) -> None:
        """Bring the rows of users from `before` to `after`, and the counts with them."""
        counts = Counter[tuple[PostRef, str]]()
        removed, added, changed = [], [], []
        for (ref, user), wanted in sorted(after.items()):
            current = before.get((ref, user), {})
            for emoji in current.keys() - wanted.keys():
                removed.append({"at_channel": ref.channel, "at_post": ref.seq, "by_user": user, "its_emoji": emoji})
                counts[ref, emoji] -= 1
            for emoji in wanted.keys() - current.keys():
                row = {"channel": ref.channel, "post": ref.seq, "user_id": user, "emoji": emoji, "since": wanted[emoji]}
                added.append(row)
                counts[ref, emoji] += 1
        for (ref, emoji), difference in sorted(counts.items()):
            if difference:
                changed.append({"channel": ref.channel, "post": ref.seq, "emoji": emoji, "number": difference})
        for statement, rows in ((_REMOVE, removed), (_ADD, added), (self._count, changed)):
            if rows:
                connection.execute(statement, rows)

    async def get(self, ref: PostRef, viewer: UserId | None) -> StoredCounts:
        """Return the counts of one post, and what the viewer chose, the oldest first."""
        return await self.database.read(self._read_counts, ref, viewer)

    def _read_counts(self, connection: Connection, ref: PostRef, viewer: UserId | None) -> StoredCounts:
        query = (
            select(POSTS.c.dropped, COUNTS.c.emoji, COUNTS.c.number)
            .select_from(POSTS)
            .outerjoin(COUNTS, and_(COUNTS.c.channel == POSTS.c.channel, COUNTS.c.post == POSTS.c.post))
            .where(at(POSTS, ref))
        )
        rows = connection.execute(query).all()
        counts = {row.emoji: row.number for row in rows if row.number}
        if viewer is None or not counts:
            return StoredCounts(rows[0].dropped if rows else None, counts)
        own = select(REACTIONS.c.emoji).where(at(REACTIONS, ref), REACTIONS.c.user_id == viewer)
        chosen = connection.scalars(own.order_by(REACTIONS.c.since, REACTIONS.c.emoji))
        return StoredCounts(rows[0].dropped, counts, tuple(chosen))

    async def get_many(self, refs: Collection[PostRef], viewer: UserId | None) -> dict[PostRef, StoredCounts]:
        """Return the counts of many posts in one statement, and what the viewer chose in one more.

        Posts without reactions are left out.
        """
        return await self.database.read(self._get_many, refs, viewer)

    def _get_many(
        self, connection: Connection, refs: Collection[PostRef], viewer: UserId | None
    ) -> dict[PostRef, StoredCounts]:
        wanted = posts(self.database, refs)
        query = select(COUNTS).join(wanted, same(COUNTS, wanted, "channel", "post")).where(COUNTS.c.number > 0)
        counts: dict[PostRef, dict[str, int]] = defaultdict(dict)
        for row in connection.execute(query):
            counts[PostRef(ChannelId(row.channel), row.post)][row.emoji] = row.number
        chosen: dict[PostRef, tuple[str, ...]] = {}
        if viewer is not None:
            joined = select(REACTIONS).join(wanted, same(REACTIONS, wanted, "channel", "post"))
            own = joined.where(REACTIONS.c.user_id == viewer).order_by(REACTIONS.c.since, REACTIONS.c.emoji)
            for row in connection.execute(own):
                ref = PostRef(ChannelId(row.channel), row.post)
                chosen[ref] = (*chosen.get(ref, ()), row.emoji)
        return {ref: StoredCounts(False, numbers, chosen.get(ref, ())) for ref, numbers in counts.items()}

    async def reactors(
        self, ref: PostRef, emoji: str | None, after: tuple[str, str]
    ) -> tuple[list[Reactor], tuple[str, str] | None]:
        """Return one page of the users who reacted, ordered by user id, behind the pair (user, emoji) `after`."""
        query = select(REACTIONS).where(at(REACTIONS, ref), tuple_(REACTIONS.c.user_id, REACTIONS.c.emoji) > after)
        if emoji is not None:
            query = query.where(REACTIONS.c.emoji == emoji)
        query = query.order_by(REACTIONS.c.user_id, REACTIONS.c.emoji).limit(USERS_PER_PAGE)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        page = [Reactor(UserId(row.user_id), row.emoji, datetime.fromtimestamp(row.since, UTC)) for row in rows]
        return page, (rows[-1].user_id, rows[-1].emoji) if len(rows) == USERS_PER_PAGE else None

    async def by_day(self, ref: PostRef) -> dict[date, int]:
        """Return how many of a post's reactions were set on each day of UTC, the first day first."""
        whole = cast(func.round(REACTIONS.c.since - 0.5), BigInteger)  # no cast alone: PostgreSQL's rounds
        day = (whole // literal(_DAY_SECONDS)).label("day")
        query = select(day, func.count()).where(at(REACTIONS, ref)).group_by(day).order_by(day)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return {datetime.fromtimestamp(day * _DAY_SECONDS, UTC).date(): int(number) for day, number in rows}

    async def drop(self, ref: PostRef, now: float) -> None:
        """Delete every reaction of a post for good; it accepts no new ones."""
        await self.database.write(self._drop_post, ref, now)

    def _drop_post(self, connection: Connection, ref: PostRef, now: float) -> None:
        self.touch(connection, [ref], now)
        leases.remove(connection, [lease_of(ref)])
        for table in (REACTIONS, COUNTS, KEYS):
            connection.execute(delete(table).where(at(table, ref)))
        connection.execute(update(POSTS).where(at(POSTS, ref)).values(dropped=True, published=POSTS.c.version))

    async def drop_channel(self, channel: ChannelId) -> None:
        """Delete everything of a channel; one that is created later with its id has no reactions."""
        await self.database.write(self._drop_channel, channel)

    def _drop_channel(self, connection: Connection, channel: ChannelId) -> None:
        own = POSTS.c.channel == channel
        connection.execute(select(POSTS.c.post).where(own).order_by(POSTS.c.post).with_for_update()).all()
        connection.execute(delete(leases.LEASES).where(leases.LEASES.c.name.in_(select(LEASE).where(own))))
        for table in (POSTS, REACTIONS, COUNTS, KEYS):
            connection.execute(delete(table).where(table.c.channel == channel))

    async def remove_unchanged(self, before: float) -> int:
        """Remove posts whose reactions have not changed since, a few hundred at a time; return how many.

        Posts with something to publish stay.
        """
        return await self.database.write(self._remove_unchanged, before)

    def _remove_unchanged(self, connection: Connection, before: float) -> int:
        old = and_(POSTS.c.changed < before, POSTS.c.version == POSTS.c.published)
        query = select(POSTS.c.channel, POSTS.c.post).where(old).order_by(POSTS.c.changed)
        rows = connection.execute(query.limit(POSTS_REMOVED_TOGETHER).with_for_update(skip_locked=True)).all()
        keys = [{"at_channel": row.channel, "at_post": row.post} for row in rows]
        leases.remove(connection, [lease_of(PostRef(ChannelId(row.channel), row.post)) for row in rows])
        for table in (REACTIONS, COUNTS, KEYS, POSTS):
            if keys:
                this = and_(table.c.channel == bindparam("at_channel"), table.c.post == bindparam("at_post"))
                connection.execute(delete(table).where(this), keys)
        return len(keys)

    async def posts_with(self, channel: ChannelId, users: Collection[UserId]) -> list[tuple[PostRef, UserId]]:
        """Return where in a channel these users have reactions."""
        query = select(REACTIONS.c.post, REACTIONS.c.user_id).distinct()
        query = query.where(REACTIONS.c.channel == channel, REACTIONS.c.user_id.in_(list(users)))
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return [(PostRef(channel, post), UserId(user)) for post, user in rows]

    async def pending(self, *, failing: bool = True) -> int:
        """Return how many posts have counts to publish; without `failing` those that failed last are left out."""
        query = select(func.count()).select_from(POSTS).where(POSTS.c.version != POSTS.c.published)
        query = query.where(self.own, true() if failing else POSTS.c.failures == 0)
        return await self.database.read(lambda connection: connection.scalar(query) or 0)


class Touched(NamedTuple):
    """The row of a post. `cleared`: keys up to this version were removed together."""

    dropped: bool
    cleared: int


_ADD: Final = insert(REACTIONS)
_REMOVE: Final = delete(REACTIONS).where(
    REACTIONS.c.channel == bindparam("at_channel"),
    REACTIONS.c.post == bindparam("at_post"),
    REACTIONS.c.user_id == bindparam("by_user"),
    REACTIONS.c.emoji == bindparam("its_emoji"),
)


def at(table: Any, ref: PostRef) -> ColumnElement[bool]:
    """Return the condition for the rows of one post."""
    return and_(table.c.channel == ref.channel, table.c.post == ref.seq)


def posts(database: Database, refs: Iterable[PostRef]) -> FromClause:
    """Return posts as a table with the columns channel and post."""
    return database.rows({"channel": String(), "post": BigInteger()}, [(ref.channel, ref.seq) for ref in sorted(refs)])


def same(table: Any, other: FromClause, *names: str) -> ColumnElement[bool]:
    """Return the condition that columns of two tables are equal."""
    return and_(*(table.c[name] == other.c[name] for name in names))


def _add_emoji(chosen: Chosen, emoji: str | None, max_per_user: int, now: float) -> Chosen:
    """Add an emoji, and remove the oldest where there are too many; one that is there already changes nothing."""
    if emoji is None or emoji in chosen:
        return chosen
    oldest_first = sorted(chosen.items(), key=lambda item: (item[1], item[0]))
    kept = dict(oldest_first[-(max_per_user - 1) :]) if max_per_user > 1 else {}
    return {**kept, emoji: max(now, *kept.values(), now)}


def _remove_emoji(chosen: Chosen, emoji: str | None) -> Chosen:
    return {each: since for each, since in chosen.items() if emoji is not None and each != emoji}
