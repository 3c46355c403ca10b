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
    Column("people_listed", Integer, nullable=False, default=0),
    Column("filled_to", String(32), nullable=False, default=""),
    Column("filled", Integer, nullable=False, default=0),
    Column("fill_problems", Integer, nullable=False, default=0),
    Column("fill_done", Integer, nullable=False, default=0),
    Column("fill_wanted", Integer, nullable=False, default=0, server_default="0"),
    Column("fill_run", Integer, nullable=False, default=0, server_default="0"),  # it numbers the workflows
    Column("fill_said", ForeignText, nullable=False, default="", server_default=""),  # why the last one ended too early
)

MOVED: Final = Table(
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

COPIES: Final = Table(  # broadcasts on the source of what is published here, and the farewell, which has the number 0
    "cutover_copies",
    _TABLES,
    Column("source", String(200), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("random", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("said", ForeignText, nullable=False, default=""),  # its key, or why it could not be sent
    PrimaryKeyConstraint("source", "seq"),
)

PEOPLE: Final = Table(
    "cutover_people",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("person", String(32), nullable=False),
    PrimaryKeyConstraint("migration", "person"),
    sqlite_with_rowid=False,
)

CLEARING: Final = Table(  # whose groups lose a channel that was rolled back
    "cutover_clearing",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("person", String(32), nullable=False),
    Column("channel", String(48), nullable=False),
    PrimaryKeyConstraint("migration", "person", "channel"),
    sqlite_with_rowid=False,
)

SCHEMA: Final = Schema("cutover", 1, _TABLES)


SENDING, SENT, NOT_SENT = "sending", "sent", "not_sent"
FAREWELL: Final = 0
"""The number of the copy that is the last broadcast of an account."""


@dataclass(frozen=True, slots=True)
class CutoverRow:
    """One migration's cutover. `filled_to` is the last person whose conversation group was filled.

    `fill_run` numbers the workflows that fill; `fill_said` is why the last one ended before its end.
    """

    migration: str
    began: float
    verdict: str = ""
    people_listed: int = 0
    filled_to: str = ""
    filled: int = 0
    fill_problems: int = 0
    fill_done: int = 0
    fill_wanted: int = 0
    fill_run: int = 0
    fill_said: str = ""


@dataclass(frozen=True, slots=True)
class MovedRow:
    """One channel. Times are unix seconds, 0 for what has not happened."""

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
class CopyRow:
    """A broadcast at the source. `said` is its key there, or why it could not be sent."""

    source: str
    seq: int
    random: int
    at: float
    state: str
    said: str = ""


class CutoverStore:
    """Rows of cutovers in one database. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def prepare(self) -> None:
        """Make the tables."""
        await self.database.prepare(SCHEMA)

    async def begin(self, migration: str, now: float) -> CutoverRow:
        """The cutover of a migration, begun now if it is new."""
        await self.prepare()

        def transaction(connection: Connection) -> CutoverRow:
            row = asdict(CutoverRow(migration, now))
            connection.execute(self.database.insert(CUTOVERS).values(row).on_conflict_do_nothing())
            found = connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration)).one()
            return CutoverRow(**found._asdict())

        return await self.database.write(transaction)

    async def cutover(self, migration: str) -> CutoverRow | None:
        """The cutover of a migration, if it has begun."""
        await self.prepare()

        def transaction(connection: Connection) -> CutoverRow | None:
            found = connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration)).one_or_none()
            return CutoverRow(**found._asdict()) if found else None

        return await self.database.read(transaction)

    async def change(self, migration: str, **values: Any) -> None:
        """Write fields of a cutover."""
        await self.database.execute(update(CUTOVERS).where(CUTOVERS.c.migration == migration).values(**values))

    async def unfilled_if_any(self) -> list[CutoverRow]:
        """Cutovers that wait for conversation groups; makes no tables where nothing was ever cut over."""
        if not await self.database.has_table(CUTOVERS):
            return []
        await self.prepare()
        wanted = select(CUTOVERS).where(CUTOVERS.c.fill_wanted != 0, CUTOVERS.c.fill_done == 0)
        return await self.database.read(
            lambda connection: [CutoverRow(**row._asdict()) for row in connection.execute(wanted)]
        )

    async def filled(self, row: CutoverRow, to: str, people: int, problems: int) -> None:
        """Some more people were filled, behind the row's last one; nothing is written if somebody else did that."""
        same = (CUTOVERS.c.migration == row.migration) & (CUTOVERS.c.filled_to == row.filled_to)
        values = {"filled_to": to, "filled": row.filled + people, "fill_problems": row.fill_problems + problems}
        await self.database.execute(update(CUTOVERS).where(same).values(**values))

    async def moved(self) -> list[MovedRow]:
        """Every channel of every cutover."""
        await self.prepare()

        def transaction(connection: Connection) -> list[MovedRow]:
            found = connection.execute(select(MOVED).order_by(MOVED.c.source))
            return [MovedRow(**row._asdict()) for row in found]

        return await self.database.read(transaction)

    async def moved_if_any(self) -> list[MovedRow]:
        """The same, without making tables where nothing was ever cut over."""
        if not await self.database.has_table(MOVED):
            return []
        return await self.moved()

    async def put(self, rows: Iterable[MovedRow]) -> None:
        """Write channels, all at once or none."""
        values = [asdict(row) for row in rows]
        if not values:
            return
        insert = self.database.insert(MOVED)
        changed = {column.name: insert.excluded[column.name] for column in MOVED.c if column.name != "source"}
        await self.database.execute(insert.on_conflict_do_update(index_elements=["source"], set_=changed), values)

    async def forget(self, migration: str, source: str) -> None:
        """A channel was rolled back. Repeatable."""
        await self.prepare()

        def transaction(connection: Connection) -> None:
            held = (MOVED.c.migration == migration) & (MOVED.c.source == source)
            if (connection.execute(delete(MOVED).where(held))).rowcount:
                connection.execute(delete(COPIES).where(COPIES.c.source == source))
            left = connection.scalar(select(func.count()).where(MOVED.c.migration == migration))
            if not left:
                connection.execute(delete(CUTOVERS).where(CUTOVERS.c.migration == migration))
                connection.execute(delete(PEOPLE).where(PEOPLE.c.migration == migration))

        await self.database.write(transaction)

    # Copies

    async def begin_copy(self, copy: CopyRow, *, since: float, most: int) -> CopyRow | None:
        """Write down that this broadcast is about to be sent; what is known of it already, if it is.

        Written as not sent when the account had `most` broadcasts of ours since then.
        """
        await self.prepare()

        def transaction(connection: Connection) -> CopyRow | None:
            connection.execute(select(MOVED.c.source).where(MOVED.c.source == copy.source).with_for_update())
            same = (COPIES.c.source == copy.source) & (COPIES.c.seq == copy.seq)
            found = connection.execute(select(COPIES).where(same)).one_or_none()
            if found is not None and found.state != NOT_SENT:
                return CopyRow(**found._asdict())
            recent = (COPIES.c.source == copy.source) & (COPIES.c.at > since) & (COPIES.c.state != NOT_SENT)
            times = list(connection.scalars(select(COPIES.c.at).where(recent).order_by(COPIES.c.at)))
            full = len(times) >= most
            row = asdict(copy) | ({"state": NOT_SENT, "said": f"{times[-most]}"} if full else {})
            connection.execute(delete(COPIES).where(same))
            connection.execute(COPIES.insert(), row)
            return CopyRow(**row) if full else None

        return await self.database.write(transaction)

    async def end_copy(self, source: str, seq: int, state: str, said: str) -> None:
        """Write down what became of a broadcast."""

        def transaction(connection: Connection) -> None:
            same = (COPIES.c.source == source) & (COPIES.c.seq == seq)
            connection.execute(update(COPIES).where(same).values(state=state, said=said))

        await self.database.write(transaction)

    async def copies(self, state: str | None = None) -> list[CopyRow]:
        """Broadcasts of ours, by account and number."""
        await self.prepare()
        wanted = select(COPIES).order_by(COPIES.c.source, COPIES.c.seq)
        if state is not None:
            wanted = wanted.where(COPIES.c.state == state)
        return await self.database.read(
            lambda connection: [CopyRow(**row._asdict()) for row in connection.execute(wanted)]
        )

    async def copies_if_any(self, state: str) -> list[CopyRow]:
        """The same, without making tables where nothing was ever cut over."""
        if not await self.database.has_table(COPIES):
            return []
        return await self.copies(state)


class CutoverPeople:
    """People of cutovers in one database. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Make the tables."""
        await self._database.prepare(SCHEMA)

    # To be filled

    async def add(self, migration: str, people: Sequence[str]) -> None:
        """Add people; who is there already stays."""
        if not people:
            return
        values = [{"migration": migration, "person": person} for person in people]
        await self._database.execute(self._database.insert(PEOPLE).on_conflict_do_nothing(), values)

    async def after(self, migration: str, person: str, most: int) -> list[str]:
        """The next people by their ids."""
        wanted = (
            select(PEOPLE.c.person)
            .where(PEOPLE.c.migration == migration, PEOPLE.c.person > person)
            .order_by(PEOPLE.c.person)
            .limit(most)
        )
        return await self._database.read(lambda connection: list(connection.scalars(wanted)))

    async def count_after(self, migration: str, person: str) -> int:
        """How many are behind this one."""
        await self.prepare()
        behind = (PEOPLE.c.migration == migration) & (PEOPLE.c.person > person)
        return await self._database.read(
            lambda connection: connection.scalar(select(func.count()).select_from(PEOPLE).where(behind)) or 0
        )

    async def drop(self, migration: str) -> None:
        """All of them were filled."""
        await self._database.execute(delete(PEOPLE).where(PEOPLE.c.migration == migration))

    # To be cleared

    async def to_clear(self, migration: str, channel: str, people: Sequence[str]) -> None:
        """These people's groups lose a channel when it is gone. Repeatable."""
        if not people:
            return
        values = [{"migration": migration, "person": person, "channel": channel} for person in people]
        await self._database.execute(self._database.insert(CLEARING).on_conflict_do_nothing(), values)

    async def keep(self, migration: str, channels: Sequence[str]) -> None:
        """These channels stay after all."""

        def transaction(connection: Connection) -> None:
            gone = (CLEARING.c.migration == migration) & CLEARING.c.channel.in_(channels)
            connection.execute(delete(CLEARING).where(gone))

        await self._database.write(transaction)

    async def clearing_after(self, migration: str, person: str, most: int) -> Mapping[str, list[str]]:
        """The next people by their ids, and the channels that each is to lose."""
        people = (
            select(CLEARING.c.person)
            .distinct()
            .where(CLEARING.c.migration == migration, CLEARING.c.person > person)
            .order_by(CLEARING.c.person)
            .limit(most)
        )
        found: dict[str, list[str]] = {}

        def transaction(connection: Connection) -> None:
            names = list(connection.scalars(people))
            wanted = (CLEARING.c.migration == migration) & CLEARING.c.person.in_(names)
            rows = select(CLEARING.c.person, CLEARING.c.channel).where(wanted)
            for row in connection.execute(rows.order_by(CLEARING.c.person, CLEARING.c.channel)):
                found.setdefault(row.person, []).append(row.channel)

        await self._database.read(transaction)
        return found

    async def count_clearing_if_any(self, migration: str) -> int:
        """How many people wait for that; makes no tables."""
        wanted = select(func.count(CLEARING.c.person.distinct())).where(CLEARING.c.migration == migration)

        def transaction(connection: Connection) -> int:
            if not inspect(connection).has_table(CLEARING.name):
                return 0
            return connection.scalar(wanted) or 0

        return await self._database.read(transaction)

    async def cleared(self, migration: str, people: Sequence[str]) -> None:
        """They have lost them."""

        def transaction(connection: Connection) -> None:
            done = (CLEARING.c.migration == migration) & CLEARING.c.person.in_(people)
            connection.execute(delete(CLEARING).where(done))

        await self._database.write(transaction)
