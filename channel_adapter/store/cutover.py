"""Rows of cutovers: moved channels, second broadcasts of posts, users of conversation groups to fill or clean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    func,
    inspect,
    select,
    update,
)

from channel_adapter.store.database import Database, ForeignText, Schema

_TABLES: Final = MetaData()

CUTOVERS: Final = Table(
    "cutovers",
    _TABLES,
    Column("migration", String(40), primary_key=True),
    Column("began", Double, nullable=False),
    Column("verdict", ForeignText, nullable=False, default=""),  # of the last verification, as JSON
    Column("users_listed", Integer, nullable=False, default=0),
    Column("filled_to", String(32), nullable=False, default=""),
    Column("filled", Integer, nullable=False, default=0),
    Column("fill_problems", Integer, nullable=False, default=0),
    Column("fill_done", Integer, nullable=False, default=0),
    Column("fill_wanted", Integer, nullable=False, default=0, server_default="0"),
    Column("fill_run", Integer, nullable=False, default=0, server_default="0"),  # it numbers the workflows
    Column(
        "fill_error", ForeignText, nullable=False, default="", server_default=""
    ),  # why the last one ended too early
)

CHANNELS: Final = Table(
    "cutover_channels",
    _TABLES,
    Column("source", String(200), primary_key=True),
    Column("migration", String(40), nullable=False),
    Column("channel", String(48), nullable=False),
    Column("guard", String(10), nullable=False, default="refuse"),
    Column("held_until", Double, nullable=False, default=0.0),  # while its last delta is moved and verified
    Column("verified_at", Double, nullable=False, default=0.0),
    Column("moved_at", Double, nullable=False, default=0.0),
    Column("window_end", Double, nullable=False, default=0.0),
    Column("destroying", Integer, nullable=False, default=0),
    Column("destroyed_at", Double, nullable=False, default=0.0),
    Index("cutover_channels_channel", "channel"),
)

BROADCASTS: Final = Table(  # on accounts: mirrored posts by their number, and the final broadcast, number 0
    "cutover_copies",
    _TABLES,
    Column("source", String(200), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("random", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("result", ForeignText, nullable=False, default=""),  # its key, or why it could not be sent
    PrimaryKeyConstraint("source", "seq"),
)

USERS: Final = Table(
    "cutover_users",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("user_id", String(32), nullable=False),
    PrimaryKeyConstraint("migration", "user_id"),
    sqlite_with_rowid=False,
)

CLEANING: Final = Table(  # whose groups lose a channel that was rolled back
    "cutover_cleaning",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("user_id", String(32), nullable=False),
    Column("channel", String(48), nullable=False),
    PrimaryKeyConstraint("migration", "user_id", "channel"),
    sqlite_with_rowid=False,
)

SCHEMA: Final = Schema("cutover", 2, _TABLES)


SENDING, SENT, NOT_SENT = "sending", "sent", "not_sent"
FINAL_BROADCAST: Final = 0
"""The number of the last broadcast of an account."""


@dataclass(frozen=True, slots=True)
class CutoverRow:
    """One migration's cutover. `filled_to` is the last user whose conversation group was synchronized.

    `fill_run` numbers the jobs that synchronize; `fill_error` is why the last one ended early.
    """

    migration: str
    began: float
    verdict: str = ""
    users_listed: int = 0
    filled_to: str = ""
    filled: int = 0
    fill_problems: int = 0
    fill_done: int = 0
    fill_wanted: int = 0
    fill_run: int = 0
    fill_error: str = ""


@dataclass(frozen=True, slots=True)
class CutoverChannelRow:
    """One channel of a cutover. Times are unix seconds, 0 for what has not happened."""

    source: str
    migration: str
    channel: str
    guard: str = "refuse"
    held_until: float = 0.0
    verified_at: float = 0.0
    moved_at: float = 0.0
    window_end: float = 0.0
    destroying: int = 0
    destroyed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class BroadcastRow:
    """A broadcast of an account. `result` is its key there, or why it could not be sent."""

    source: str
    seq: int
    random: int
    at: float
    state: str
    result: str = ""


class CutoverStore:
    """Rows of cutovers in one database. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def prepare(self) -> None:
        """Create the tables."""
        await self.database.prepare(SCHEMA)

    async def begin(self, migration: str, now: float) -> CutoverRow:
        """Return the cutover of a migration, begun now if it is new."""
        await self.prepare()

        def transaction(connection: Connection) -> CutoverRow:
            row = asdict(CutoverRow(migration, now))
            connection.execute(self.database.insert(CUTOVERS).values(row).on_conflict_do_nothing())
            found = connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration)).one()
            return CutoverRow(**found._asdict())

        return await self.database.write(transaction)

    async def cutover(self, migration: str) -> CutoverRow | None:
        """Return the cutover of a migration; None if none has begun."""
        await self.prepare()

        def transaction(connection: Connection) -> CutoverRow | None:
            found = connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration)).one_or_none()
            return CutoverRow(**found._asdict()) if found else None

        return await self.database.read(transaction)

    async def change(self, migration: str, **values: Any) -> None:
        """Write fields of a cutover."""
        await self.database.execute(update(CUTOVERS).where(CUTOVERS.c.migration == migration).values(**values))

    async def unfilled_if_any(self) -> list[CutoverRow]:
        """Return cutovers that wait for conversation groups; create no tables where nothing was ever cut over."""
        if not await self.database.has_table(CUTOVERS):
            return []
        await self.prepare()
        wanted = select(CUTOVERS).where(CUTOVERS.c.fill_wanted != 0, CUTOVERS.c.fill_done == 0)
        return await self.database.read(
            lambda connection: [CutoverRow(**row._asdict()) for row in connection.execute(wanted)]
        )

    async def advance_fill(self, row: CutoverRow, to: str, users: int, problems: int) -> None:
        """Record users that were synchronized behind the row's last one; nothing if another process did that."""
        same = (CUTOVERS.c.migration == row.migration) & (CUTOVERS.c.filled_to == row.filled_to)
        values = {"filled_to": to, "filled": row.filled + users, "fill_problems": row.fill_problems + problems}
        await self.database.execute(update(CUTOVERS).where(same).values(**values))

    async def channels(self) -> list[CutoverChannelRow]:
        """Return every channel of every cutover."""
        await self.prepare()

        def transaction(connection: Connection) -> list[CutoverChannelRow]:
            found = connection.execute(select(CHANNELS).order_by(CHANNELS.c.source))
            return [CutoverChannelRow(**row._asdict()) for row in found]

        return await self.database.read(transaction)

    async def channels_if_any(self) -> list[CutoverChannelRow]:
        """Return every channel of every cutover; create no tables where nothing was ever cut over."""
        if not await self.database.has_table(CHANNELS):
            return []
        return await self.channels()

    async def put(self, rows: Iterable[CutoverChannelRow]) -> None:
        """Write channels in one transaction."""
        values = [asdict(row) for row in rows]
        if not values:
            return
        insert = self.database.insert(CHANNELS)
        changed = {column.name: insert.excluded[column.name] for column in CHANNELS.c if column.name != "source"}
        await self.database.execute(insert.on_conflict_do_update(index_elements=["source"], set_=changed), values)

    async def forget(self, migration: str, source: str) -> None:
        """Delete a channel that was rolled back, and its cutover with its last channel. Repeatable."""
        await self.prepare()

        def transaction(connection: Connection) -> None:
            same = (CHANNELS.c.migration == migration) & (CHANNELS.c.source == source)
            if (connection.execute(delete(CHANNELS).where(same))).rowcount:
                connection.execute(delete(BROADCASTS).where(BROADCASTS.c.source == source))
            left = connection.scalar(select(func.count()).where(CHANNELS.c.migration == migration))
            if not left:
                connection.execute(delete(CUTOVERS).where(CUTOVERS.c.migration == migration))
                connection.execute(delete(USERS).where(USERS.c.migration == migration))

        await self.database.write(transaction)

    # Broadcasts

    async def begin_broadcast(
        self, broadcast: BroadcastRow, *, since: float, max_broadcasts: int
    ) -> BroadcastRow | None:
        """Record that this broadcast is about to be sent; return the row that exists already, if there is one.

        It is recorded, and returned, as not sent when the account had `max_broadcasts` of ours after `since`.
        """
        await self.prepare()

        def transaction(connection: Connection) -> BroadcastRow | None:
            connection.execute(select(CHANNELS.c.source).where(CHANNELS.c.source == broadcast.source).with_for_update())
            same = (BROADCASTS.c.source == broadcast.source) & (BROADCASTS.c.seq == broadcast.seq)
            found = connection.execute(select(BROADCASTS).where(same)).one_or_none()
            if found is not None and found.state != NOT_SENT:
                return BroadcastRow(**found._asdict())
            recent = (
                (BROADCASTS.c.source == broadcast.source) & (BROADCASTS.c.at > since) & (BROADCASTS.c.state != NOT_SENT)
            )
            times = list(connection.scalars(select(BROADCASTS.c.at).where(recent).order_by(BROADCASTS.c.at)))
            full = len(times) >= max_broadcasts
            row = asdict(broadcast) | ({"state": NOT_SENT, "result": f"{times[-max_broadcasts]}"} if full else {})
            connection.execute(delete(BROADCASTS).where(same))
            connection.execute(BROADCASTS.insert(), row)
            return BroadcastRow(**row) if full else None

        return await self.database.write(transaction)

    async def end_broadcast(self, source: str, seq: int, state: str, result: str) -> None:
        """Record the state and result of a broadcast."""

        def transaction(connection: Connection) -> None:
            same = (BROADCASTS.c.source == source) & (BROADCASTS.c.seq == seq)
            connection.execute(update(BROADCASTS).where(same).values(state=state, result=result))

        await self.database.write(transaction)

    async def broadcasts(self, state: str | None = None) -> list[BroadcastRow]:
        """Return broadcasts by account and number."""
        await self.prepare()
        wanted = select(BROADCASTS).order_by(BROADCASTS.c.source, BROADCASTS.c.seq)
        if state is not None:
            wanted = wanted.where(BROADCASTS.c.state == state)
        return await self.database.read(
            lambda connection: [BroadcastRow(**row._asdict()) for row in connection.execute(wanted)]
        )

    async def broadcasts_if_any(self, state: str) -> list[BroadcastRow]:
        """Return broadcasts in a state; create no tables where nothing was ever cut over."""
        if not await self.database.has_table(BROADCASTS):
            return []
        return await self.broadcasts(state)


class CutoverUsers:
    """Users whose conversation groups are synchronized or cleaned. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Create the tables."""
        await self._database.prepare(SCHEMA)

    # To synchronize

    async def add(self, migration: str, users: Sequence[str]) -> None:
        """Add users; those that are there stay."""
        if not users:
            return
        values = [{"migration": migration, "user_id": user} for user in users]
        await self._database.execute(self._database.insert(USERS).on_conflict_do_nothing(), values)

    async def after(self, migration: str, user: str, max_users: int) -> list[str]:
        """Return the next users by their ids."""
        wanted = (
            select(USERS.c.user_id)
            .where(USERS.c.migration == migration, USERS.c.user_id > user)
            .order_by(USERS.c.user_id)
            .limit(max_users)
        )
        return await self._database.read(lambda connection: list(connection.scalars(wanted)))

    async def count_after(self, migration: str, user: str) -> int:
        """Return the number of users behind this one."""
        await self.prepare()
        behind = (USERS.c.migration == migration) & (USERS.c.user_id > user)
        return await self._database.read(
            lambda connection: connection.scalar(select(func.count()).select_from(USERS).where(behind)) or 0
        )

    async def drop(self, migration: str) -> None:
        """Delete all users of a cutover that is done."""
        await self._database.execute(delete(USERS).where(USERS.c.migration == migration))

    # To clean

    async def add_to_clean(self, migration: str, channel: str, users: Sequence[str]) -> None:
        """Record that the groups of these users lose a channel. Repeatable."""
        if not users:
            return
        values = [{"migration": migration, "user_id": user, "channel": channel} for user in users]
        await self._database.execute(self._database.insert(CLEANING).on_conflict_do_nothing(), values)

    async def keep(self, migration: str, channels: Sequence[str]) -> None:
        """Delete what was recorded of channels that stay."""

        def transaction(connection: Connection) -> None:
            gone = (CLEANING.c.migration == migration) & CLEANING.c.channel.in_(channels)
            connection.execute(delete(CLEANING).where(gone))

        await self._database.write(transaction)

    async def to_clean_after(self, migration: str, user: str, max_users: int) -> Mapping[str, list[str]]:
        """Return the next users by their ids, and the channels that the groups of each lose."""
        names = (
            select(CLEANING.c.user_id)
            .distinct()
            .where(CLEANING.c.migration == migration, CLEANING.c.user_id > user)
            .order_by(CLEANING.c.user_id)
            .limit(max_users)
        )

        def transaction(connection: Connection) -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            wanted = (CLEANING.c.migration == migration) & CLEANING.c.user_id.in_(list(connection.scalars(names)))
            rows = select(CLEANING.c.user_id, CLEANING.c.channel).where(wanted)
            for row in connection.execute(rows.order_by(CLEANING.c.user_id, CLEANING.c.channel)):
                found.setdefault(row.user_id, []).append(row.channel)
            return found

        return await self._database.read(transaction)

    async def count_to_clean_if_any(self, migration: str) -> int:
        """Return how many users are recorded; create no tables."""
        wanted = select(func.count(CLEANING.c.user_id.distinct())).where(CLEANING.c.migration == migration)

        def transaction(connection: Connection) -> int:
            if not inspect(connection).has_table(CLEANING.name):
                return 0
            return connection.scalar(wanted) or 0

        return await self._database.read(transaction)

    async def cleaned(self, migration: str, users: Sequence[str]) -> None:
        """Delete users whose groups were cleaned."""

        def transaction(connection: Connection) -> None:
            done = (CLEANING.c.migration == migration) & CLEANING.c.user_id.in_(users)
            connection.execute(delete(CLEANING).where(done))

        await self._database.write(transaction)
