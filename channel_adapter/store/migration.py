"""Rows of migrations: jobs, progress of channels, what was moved, what could not be moved, stored originals.

A job is one migration; its round grows with every run that starts again, so the first round is the move and later ones
are deltas. A channel's row says how far it is: `state` is the current step, `status` whether a process works on it,
`finished` the last round that has ended.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)

from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.errors import ConfigurationError, ConflictError
from channel_adapter.store.database import Database, ForeignText, Schema

_TABLES: Final = MetaData()
_MIGRATION, _SOURCE, _USER, _KEY = String(40), String(200), String(32), ForeignText

JOBS: Final = Table(
    "migration_jobs",
    _TABLES,
    Column("migration", _MIGRATION, primary_key=True),
    Column("app", BigInteger, nullable=False),
    Column("plan", ForeignText, nullable=False),
    Column("round", Integer, nullable=False, default=1),
    Column("began", Double, nullable=False),
)

CHANNELS: Final = Table(
    "migration_channels",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("target", String(48), nullable=False),
    Column("place", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("status", String(8), nullable=False),
    Column("run", Integer, nullable=False, default=0),
    Column("finished", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False, default=0),
    Column("cursor", ForeignText, nullable=False, default=""),
    Column("subscribers_round", Integer, nullable=False, default=0),  # the round that the cursor belongs to
    Column("subscribers_done", Integer, nullable=False, default=0),  # the round whose subscribers are all moved
    Column("post_key", _KEY, nullable=False, default=""),
    Column("last_seq", BigInteger, nullable=False, default=0),
    Column("last_time", BigInteger, nullable=False, default=0),
    Column("posts", BigInteger, nullable=False, default=0),
    Column("subscribers", BigInteger, nullable=False, default=0),
    Column("already", BigInteger, nullable=False, default=0),  # users who had subscribed to the target before
    Column("removed", BigInteger, nullable=False, default=0),
    Column("options", BigInteger, nullable=False, default=0),
    Column("profile", ForeignText, nullable=False, default=""),  # of the source, as it was moved last
    Column("reason", ForeignText, nullable=False, default=""),
    Column("transient", Boolean, nullable=False, default=False),
    Column("changed", Double, nullable=False, default=0.0),
    PrimaryKeyConstraint("migration", "source"),
)

POSTS: Final = Table(
    "migration_posts",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("key", _KEY, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("recalled", Boolean, nullable=False, default=False),
    PrimaryKeyConstraint("migration", "source", "key"),
    sqlite_with_rowid=False,
)

USERS: Final = Table(
    "migration_users",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("round", Integer, nullable=False),  # in which the source had this user
    Column("status", String(8), nullable=False),
    Column("notifications", String(8), nullable=False),
    PrimaryKeyConstraint("migration", "source", "user_id"),
    sqlite_with_rowid=False,
)

QUARANTINE: Final = Table(
    "migration_quarantine",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("what", String(24), nullable=False),
    Column("key", _KEY, nullable=False),
    Column("reason", ForeignText, nullable=False),
    Column("raw", ForeignText, nullable=False),
    Column("retry", ForeignText, nullable=False),
    PrimaryKeyConstraint("migration", "source", "what", "key"),
)

ORIGINALS: Final = Table(  # originals of what was cut, by the policy `store`
    "migration_originals",
    _TABLES,
    Column("channel", String(48), nullable=False),
    Column("what", String(24), nullable=False),
    Column("key", _KEY, nullable=False),
    Column("text", ForeignText, nullable=False),
    PrimaryKeyConstraint("channel", "what", "key"),
)

PAGES: Final = Table(  # of an account's history, read and not moved yet
    "migration_pages",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("number", Integer, nullable=False),  # 0 is the newest
    Column("asked", _KEY, nullable=False),
    Column("below", _KEY, nullable=False),
    Column("lowest", BigInteger, nullable=False),
    Column("read", Double, nullable=False),
    Column("text", ForeignText, nullable=False),
    PrimaryKeyConstraint("migration", "source", "number"),
)

SCHEMA: Final = Schema("migration", 4, _TABLES)


PLANNED: Final = "planned"
QUEUED, STOPPED, FAILED, DONE = "queued", "stopped", "failed", "done"
"""Statuses of a channel: it has a job; it was stopped; it failed; its round has ended."""
SENT, MOVED, ALREADY, REFUSED, GONE = "sent", "moved", "already", "refused", "gone"
"""Statuses of a user: a call is in progress; moved; was a member before; refused; gone from the source."""
_ROWS_READ: Final = 500


@dataclass(frozen=True, slots=True)
class JobRow:
    """One migration. `round` is the one in progress, or the last that has ended."""

    migration: str
    app: int
    plan: str
    round: int
    began: float


@dataclass(slots=True)
class ChannelRow:
    """How far one channel is. Only the job that moves it changes it."""

    migration: str
    source: str
    target: str
    place: int
    state: str = PLANNED
    status: str = STOPPED
    run: int = 0
    finished: int = 0
    created_at: int = 0
    cursor: str = ""
    subscribers_round: int = 0
    subscribers_done: int = 0
    post_key: str = ""
    last_seq: int = 0
    last_time: int = 0
    posts: int = 0
    subscribers: int = 0
    already: int = 0
    removed: int = 0
    options: int = 0
    profile: str = ""
    reason: str = ""
    transient: bool = False
    changed: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        return self.migration, self.source


@dataclass(frozen=True, slots=True)
class PostRow:
    """A post that was moved: its key and number in the source, its number and time on the target."""

    migration: str
    source: str
    key: str
    number: int
    seq: int
    time: int
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class UserRow:
    """A subscriber that the source had in `round`, and the notifications then."""

    migration: str
    source: str
    user_id: str
    round: int
    status: str
    notifications: str


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A record that could not be moved: why, the record itself as JSON, and how to try again."""

    migration: str
    source: str
    what: str
    key: str
    reason: str
    raw: str
    retry: str


@dataclass(frozen=True, slots=True)
class ReleasedRow:
    """A record of the quarantine that was moved, or that the source has no more: its row is deleted."""

    migration: str
    source: str
    what: str
    key: str


@dataclass(frozen=True, slots=True)
class OriginalRow:
    """An original of what was cut. `what` is the name of the profile field, "post" or "subscriber"."""

    channel: str
    what: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page of an account's history that waits; number 0 is the newest. `text` is JSON, `read` unix seconds."""

    migration: str
    source: str
    number: int
    asked: str
    below: str
    lowest: int
    read: float
    text: str


Row = PostRow | UserRow | QuarantineRow | ReleasedRow | OriginalRow | PageRow | ChannelRow

_TABLE_OF: Final[Mapping[type, Table]] = {
    PostRow: POSTS, UserRow: USERS, QuarantineRow: QUARANTINE, ReleasedRow: QUARANTINE, OriginalRow: ORIGINALS,
    PageRow: PAGES, ChannelRow: CHANNELS,
}  # fmt: skip


_RELEASE: Final = delete(QUARANTINE).where(
    *(QUARANTINE.c[name] == bindparam(name) for name in ("migration", "source", "what", "key"))
)


class MigrationStore:
    """The tables of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def prepare(self) -> None:
        """Create the tables. Raises ConfigurationError for another version of the schema, UnavailableError."""
        await self.database.prepare(SCHEMA)

    async def write(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction, in place of those with the same keys; a later one wins."""
        by_kind: dict[type, list[dict[str, Any]]] = {}
        for row in rows:
            by_kind.setdefault(type(row), []).append({name: getattr(row, name) for name in _FIELDS[type(row)]})
        if not by_kind:
            return

        def transaction(connection: Connection) -> None:
            for kind, values in by_kind.items():
                statement = _RELEASE if kind is ReleasedRow else self._upsert_statement(_TABLE_OF[kind])
                connection.execute(statement, values)

        await self.database.write(transaction)

    async def begin_job(self, job: JobRow, channels: Sequence[ChannelRow]) -> JobRow:
        """Store a plan; return the job as it is then. Nothing is written when that is refused.

        Raises ConfigurationError for a database of another app, ConflictError for accounts of another migration.
        """

        def transaction(connection: Connection) -> JobRow:
            _refuse_others(connection, job, channels)
            existing = connection.execute(select(JOBS).where(JOBS.c.migration == job.migration)).one_or_none()
            current = job if existing is None else JobRow(**{**existing._asdict(), "plan": job.plan})
            if existing is None:
                connection.execute(JOBS.insert(), asdict(job))
            else:
                connection.execute(update(JOBS).where(JOBS.c.migration == job.migration).values(plan=job.plan))
            there = set(connection.scalars(
                select(CHANNELS.c.source).where(CHANNELS.c.migration == job.migration)
            ))  # fmt: skip
            fresh = [asdict(row) for row in channels if row.source not in there]
            if fresh:
                connection.execute(CHANNELS.insert(), fresh)
            return current

        return await self.database.write(transaction)

    async def next_round(self, migration: str, current: int) -> int:
        """Begin the round after `current`, unless another process has; return the round that is in progress then."""

        def transaction(connection: Connection) -> int:
            same = and_(JOBS.c.migration == migration, JOBS.c.round == current)
            connection.execute(update(JOBS).where(same).values(round=current + 1))
            found: int = connection.execute(select(JOBS.c.round).where(JOBS.c.migration == migration)).scalar_one()
            return found

        return await self.database.write(transaction)

    async def job(self, migration: str) -> JobRow | None:
        """Return the job of a migration; None if there is none."""

        def transaction(connection: Connection) -> JobRow | None:
            found = connection.execute(select(JOBS).where(JOBS.c.migration == migration)).one_or_none()
            return JobRow(**found._asdict()) if found else None

        return await self.database.read(transaction)

    async def has_job(self, migration: str) -> bool:
        """Return whether there is a job of a migration; create no tables, and no file."""
        return await self.database.has_table(JOBS) and await self.job(migration) is not None

    async def jobs(self) -> list[JobRow]:
        """Return all jobs, the oldest first."""

        def transaction(connection: Connection) -> list[JobRow]:
            found = connection.execute(select(JOBS).order_by(JOBS.c.began, JOBS.c.migration))
            return [JobRow(**row._asdict()) for row in found]

        return await self.database.read(transaction)

    async def channels(self, migration: str) -> list[ChannelRow]:
        """Return the channels of a migration, in the order of its plan."""

        def transaction(connection: Connection) -> list[ChannelRow]:
            found = connection.execute(
                select(CHANNELS).where(CHANNELS.c.migration == migration).order_by(CHANNELS.c.place)
            )
            return [ChannelRow(**row._asdict()) for row in found]

        return await self.database.read(transaction)

    async def channel(self, migration: str, source: str) -> ChannelRow | None:
        """Return one channel; None if there is none."""

        def transaction(connection: Connection) -> ChannelRow | None:
            wanted = select(CHANNELS).where(CHANNELS.c.migration == migration, CHANNELS.c.source == source)
            found = connection.execute(wanted).one_or_none()
            return ChannelRow(**found._asdict()) if found else None

        return await self.database.read(transaction)

    async def users(self, migration: str, source: str, users: Sequence[str]) -> dict[str, UserRow]:
        """Return the rows of these users, as far as there are any."""
        wanted = select(USERS).where(
            USERS.c.migration == migration, USERS.c.source == source, USERS.c.user_id.in_(users)
        )
        return await self.database.read(
            lambda connection: {row.user_id: UserRow(**row._asdict()) for row in connection.execute(wanted)}
        )

    async def count_users(self, migration: str, source: str, before: int) -> tuple[int, int]:
        """Return how many moved users the source had last before a round, and how many users it has had since."""
        here = and_(USERS.c.migration == migration, USERS.c.source == source, USERS.c.status != GONE)
        gone = select(func.count()).where(here, USERS.c.round < before, USERS.c.status != REFUSED)
        since = select(func.count()).where(here, USERS.c.round >= before)
        return await self.database.read(
            lambda connection: (connection.scalar(gone) or 0, connection.scalar(since) or 0)
        )

    async def users_not_seen(self, migration: str, source: str, before: int) -> AsyncGenerator[list[UserRow], None]:
        """Yield users that the source has no more and that were moved or refused, in batches.

        Their rows may be rewritten meanwhile.
        """
        here = and_(USERS.c.migration == migration, USERS.c.source == source, USERS.c.round < before)
        wanted = select(USERS).where(here, USERS.c.status.in_((MOVED, SENT, REFUSED)))

        def page(connection: Connection, after: str) -> list[UserRow]:
            rows = wanted.where(USERS.c.user_id > after).order_by(USERS.c.user_id).limit(_ROWS_READ)
            return [UserRow(**row._asdict()) for row in connection.execute(rows)]

        async def fetch(after: str) -> Page[UserRow, str]:
            rows = await self.database.read(page, after)
            return Page(rows, rows[-1].user_id if rows else None)

        async for rows in read_pages(fetch, ""):
            if rows:
                yield list(rows)

    async def posts(self, migration: str, source: str, keys: Sequence[str]) -> dict[str, PostRow]:
        """Return the rows of these posts, as far as there are any."""
        wanted = select(POSTS).where(POSTS.c.migration == migration, POSTS.c.source == source, POSTS.c.key.in_(keys))
        return await self.database.read(
            lambda connection: {row.key: PostRow(**row._asdict()) for row in connection.execute(wanted)}
        )

    async def pages(self, migration: str, source: str) -> list[PageRow]:
        """Return the pages of a channel's history that wait, without their texts, the newest first."""
        wanted = (
            select(*(literal("").label("text") if column is PAGES.c.text else column for column in PAGES.c))
            .where(PAGES.c.migration == migration, PAGES.c.source == source)
            .order_by(PAGES.c.number)
        )
        return await self.database.read(
            lambda connection: [PageRow(**row._asdict()) for row in connection.execute(wanted)]
        )

    async def page(self, migration: str, source: str, number: int) -> str | None:
        """Return the text of a page; None if it is not there."""
        wanted = select(PAGES.c.text).where(
            PAGES.c.migration == migration, PAGES.c.source == source, PAGES.c.number == number
        )
        return await self.database.read(lambda connection: connection.scalar(wanted))

    async def drop_pages(self, migration: str, source: str) -> None:
        """Delete the pages of a channel."""
        await self.database.execute(delete(PAGES).where(PAGES.c.migration == migration, PAGES.c.source == source))

    async def quarantined(
        self, migration: str, source: str | None = None, kinds: Sequence[str] | None = None
    ) -> list[QuarantineRow]:
        """Return the quarantine of a migration, of one channel, of some kinds, in the order of channels and keys."""
        return [row async for rows in self.quarantine_pages(migration, source, kinds) for row in rows]

    async def quarantine_pages(
        self, migration: str, source: str | None = None, kinds: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[QuarantineRow], None]:
        """Yield the rows of `quarantined` in batches. Rows may be rewritten or deleted meanwhile."""
        columns = (QUARANTINE.c.source, QUARANTINE.c.what, QUARANTINE.c.key)
        wanted = select(QUARANTINE).where(QUARANTINE.c.migration == migration).order_by(*columns).limit(_ROWS_READ)
        if source is not None:
            wanted = wanted.where(QUARANTINE.c.source == source)
        if kinds is not None:
            wanted = wanted.where(QUARANTINE.c.what.in_(kinds))

        def page(connection: Connection, after: tuple[str, str, str] | None) -> list[QuarantineRow]:
            rows = wanted
            if after is not None:
                position = (literal(value, column.type) for value, column in zip(after, columns, strict=True))
                rows = wanted.where(tuple_(*columns) > tuple_(*position))
            return [QuarantineRow(**row._asdict()) for row in connection.execute(rows)]

        after: tuple[str, str, str] | None = None
        while rows := await self.database.read(page, after):
            yield rows
            after = (rows[-1].source, rows[-1].what, rows[-1].key)

    async def quarantine_counts(self, migration: str) -> list[tuple[str, str, str, int]]:
        """Return how many records there are by channel, kind and reason."""
        groups = (QUARANTINE.c.source, QUARANTINE.c.what, QUARANTINE.c.reason)
        wanted = (
            select(*groups, func.count())
            .where(QUARANTINE.c.migration == migration)
            .group_by(*groups)
            .order_by(QUARANTINE.c.source, QUARANTINE.c.what, func.min(QUARANTINE.c.key))
        )
        return await self.database.read(lambda connection: [(*row,) for row in connection.execute(wanted)])

    async def has_quarantined(self, migration: str, source: str) -> bool:
        """Return whether the quarantine has a record of a channel."""
        wanted = select(QUARANTINE.c.key).where(QUARANTINE.c.migration == migration, QUARANTINE.c.source == source)
        return await self.database.read(lambda connection: connection.execute(wanted.limit(1)).first() is not None)

    async def count_quarantined(self, migration: str, source: str | None = None) -> int:
        """Return the number of records in the quarantine, of one channel or of all."""
        wanted = select(func.count()).where(QUARANTINE.c.migration == migration)
        if source is not None:
            wanted = wanted.where(QUARANTINE.c.source == source)
        return await self.database.read(lambda connection: connection.scalar(wanted) or 0)

    async def originals(self, channel: str, what: str) -> dict[str, str]:
        """Return the stored originals of one kind by key."""
        wanted = select(ORIGINALS.c.key, ORIGINALS.c.text).where(
            ORIGINALS.c.channel == channel, ORIGINALS.c.what == what
        )
        return await self.database.read(lambda connection: {row.key: row.text for row in connection.execute(wanted)})

    async def forget_channel(self, migration: str, source: str, target: str) -> None:
        """Delete every row of a channel that was rolled back, and the job with its last channel. Repeatable."""
        await self.prepare()

        def transaction(connection: Connection) -> None:
            for table in (PAGES, POSTS, USERS, QUARANTINE, CHANNELS):
                connection.execute(delete(table).where(table.c.migration == migration, table.c.source == source))
            connection.execute(delete(ORIGINALS).where(ORIGINALS.c.channel == target))
            left = connection.scalar(select(func.count()).where(CHANNELS.c.migration == migration))
            if not left:
                connection.execute(delete(JOBS).where(JOBS.c.migration == migration))

        await self.database.write(transaction)

    def _upsert_statement(self, table: Table) -> Any:
        insert = self.database.insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
        return insert.on_conflict_do_update(index_elements=keys, set_=changed)


_FIELDS: Final[Mapping[type, tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in _TABLE_OF
}


def _refuse_others(connection: Connection, job: JobRow, channels: Sequence[ChannelRow]) -> None:
    other_app = connection.scalar(select(JOBS.c.app).where(JOBS.c.app != job.app).limit(1))
    if other_app is not None:
        raise ConfigurationError(
            f"the database belongs to migrations of app {other_app}, and this is app {job.app}", field="database_url"
        )
    wanted = {row.source for row in channels}
    others = connection.execute(
        select(CHANNELS.c.migration, CHANNELS.c.source).where(
            CHANNELS.c.migration != job.migration, CHANNELS.c.finished == 0
        )
    )
    for migration, source in others:
        if source in wanted:
            raise ConflictError(
                f"migration {migration} in this database moves {source} already: roll it back, or use another database",
                field="database_url",
            )


class StoredOriginals:
    """Reads originals that the policy `store` has stored. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel: str, what: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the originals of one kind with these keys, as far as there are any; 500 keys at most."""
        await self._database.prepare(SCHEMA)
        wanted = select(ORIGINALS.c.key, ORIGINALS.c.text).where(
            ORIGINALS.c.channel == channel, ORIGINALS.c.what == what, ORIGINALS.c.key.in_(keys)
        )
        return await self._database.read(lambda connection: {row.key: row.text for row in connection.execute(wanted)})

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
