"""What is known of cutovers: which channels post here now, what was broadcast at the source too, what is filled."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, update

from channel_adapter.store.cutover_tables import COPIES, CUTOVERS, MOVED, PEOPLE, SCHEMA
from channel_adapter.store.database import Database

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
