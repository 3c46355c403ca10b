"""What is known of cutovers: which channels post here now, what was broadcast at the source too, what is filled."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import delete, func, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite

from channel_adapter.store.cutover_tables import AREA, COPIES, CUTOVERS, MOVED, PEOPLE
from channel_adapter.store.engine import Database

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
        self._insert: Any = (sqlite if database.is_sqlite else postgresql).insert

    async def prepare(self) -> None:
        """Make the tables."""
        await self.database.prepare(AREA)

    async def begin(self, migration: str, now: float) -> CutoverRow:
        """The cutover of a migration, begun now if it is new."""
        await self.prepare()
        async with self.database.writing() as connection:
            row = asdict(CutoverRow(migration, now))
            await connection.execute(self._insert(CUTOVERS).values(row).on_conflict_do_nothing())
            found = (await connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration))).one()
        return CutoverRow(**found._asdict())

    async def cutover(self, migration: str) -> CutoverRow | None:
        """The cutover of a migration, if it has begun."""
        await self.prepare()
        async with self.database.reading() as connection:
            found = (await connection.execute(select(CUTOVERS).where(CUTOVERS.c.migration == migration))).one_or_none()
        return CutoverRow(**found._asdict()) if found else None

    async def change(self, migration: str, **values: Any) -> None:
        """Write fields of a cutover."""
        async with self.database.writing() as connection:
            await connection.execute(update(CUTOVERS).where(CUTOVERS.c.migration == migration).values(**values))

    async def unfilled_if_any(self) -> list[CutoverRow]:
        """Cutovers that wait for conversation groups; makes no tables where nothing was ever cut over."""
        async with self.database.reading() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(CUTOVERS.name)):
                return []
        await self.prepare()
        wanted = select(CUTOVERS).where(CUTOVERS.c.fill_wanted != 0, CUTOVERS.c.fill_done == 0)
        async with self.database.reading() as connection:
            return [CutoverRow(**row._asdict()) for row in await connection.execute(wanted)]

    async def filled(self, row: CutoverRow, to: str, people: int, problems: int) -> None:
        """Some more people were filled, behind the row's last one; nothing is written if somebody else did that."""
        same = (CUTOVERS.c.migration == row.migration) & (CUTOVERS.c.filled_to == row.filled_to)
        values = {"filled_to": to, "filled": row.filled + people, "fill_problems": row.fill_problems + problems}
        async with self.database.writing() as connection:
            await connection.execute(update(CUTOVERS).where(same).values(**values))

    async def moved(self) -> list[MovedRow]:
        """Every channel of every cutover."""
        await self.prepare()
        async with self.database.reading() as connection:
            found = await connection.execute(select(MOVED).order_by(MOVED.c.source))
            return [MovedRow(**row._asdict()) for row in found]

    async def moved_if_any(self) -> list[MovedRow]:
        """The same, without making tables where nothing was ever cut over."""
        async with self.database.reading() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(MOVED.name)):
                return []
        return await self.moved()

    async def put(self, rows: Iterable[MovedRow]) -> None:
        """Write channels, all at once or none."""
        values = [asdict(row) for row in rows]
        if not values:
            return
        insert = self._insert(MOVED)
        changed = {column.name: insert.excluded[column.name] for column in MOVED.c if column.name != "source"}
        async with self.database.writing() as connection:
            await connection.execute(insert.on_conflict_do_update(index_elements=["source"], set_=changed), values)

    async def forget(self, migration: str, source: str) -> None:
        """A channel was rolled back. Repeatable."""
        await self.prepare()
        async with self.database.writing() as connection:
            held = (MOVED.c.migration == migration) & (MOVED.c.source == source)
            if (await connection.execute(delete(MOVED).where(held))).rowcount:
                await connection.execute(delete(COPIES).where(COPIES.c.source == source))
            left = await connection.scalar(select(func.count()).where(MOVED.c.migration == migration))
            if not left:
                await connection.execute(delete(CUTOVERS).where(CUTOVERS.c.migration == migration))
                await connection.execute(delete(PEOPLE).where(PEOPLE.c.migration == migration))

    # Copies

    async def begin_copy(self, copy: CopyRow, *, since: float, most: int) -> CopyRow | None:
        """Write down that this broadcast is about to be sent; what is known of it already, if it is.

        Written as not sent when the account had `most` broadcasts of ours since then.
        """
        await self.prepare()
        async with self.database.writing() as connection:
            await connection.execute(select(MOVED.c.source).where(MOVED.c.source == copy.source).with_for_update())
            same = (COPIES.c.source == copy.source) & (COPIES.c.seq == copy.seq)
            found = (await connection.execute(select(COPIES).where(same))).one_or_none()
            if found is not None and found.state != NOT_SENT:
                return CopyRow(**found._asdict())
            recent = (COPIES.c.source == copy.source) & (COPIES.c.at > since) & (COPIES.c.state != NOT_SENT)
            times = list(await connection.scalars(select(COPIES.c.at).where(recent).order_by(COPIES.c.at)))
            full = len(times) >= most
            row = asdict(copy) | ({"state": NOT_SENT, "said": f"{times[-most]}"} if full else {})
            await connection.execute(delete(COPIES).where(same))
            await connection.execute(COPIES.insert(), row)
        return CopyRow(**row) if full else None

    async def end_copy(self, source: str, seq: int, state: str, said: str) -> None:
        """Write down what became of a broadcast."""
        async with self.database.writing() as connection:
            same = (COPIES.c.source == source) & (COPIES.c.seq == seq)
            await connection.execute(update(COPIES).where(same).values(state=state, said=said))

    async def copies(self, state: str | None = None) -> list[CopyRow]:
        """Broadcasts of ours, by account and number."""
        await self.prepare()
        wanted = select(COPIES).order_by(COPIES.c.source, COPIES.c.seq)
        if state is not None:
            wanted = wanted.where(COPIES.c.state == state)
        async with self.database.reading() as connection:
            return [CopyRow(**row._asdict()) for row in await connection.execute(wanted)]

    async def copies_if_any(self, state: str) -> list[CopyRow]:
        """The same, without making tables where nothing was ever cut over."""
        async with self.database.reading() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(COPIES.name)):
                return []
        return await self.copies(state)
