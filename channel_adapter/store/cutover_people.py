"""Whose conversation groups a cutover fills, and whose lose a channel when it is rolled back."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite

from channel_adapter.store.cutover_tables import AREA, CLEARING, PEOPLE
from channel_adapter.store.engine import Database


class CutoverPeople:
    """People of cutovers in one database. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = (sqlite if database.is_sqlite else postgresql).insert

    async def prepare(self) -> None:
        """Make the tables."""
        await self._database.prepare(AREA)

    # To be filled

    async def add(self, migration: str, people: Sequence[str]) -> None:
        """Add people; who is there already stays."""
        if not people:
            return
        values = [{"migration": migration, "person": person} for person in people]
        async with self._database.writing() as connection:
            await connection.execute(self._insert(PEOPLE).on_conflict_do_nothing(), values)

    async def after(self, migration: str, person: str, most: int) -> list[str]:
        """The next people by their ids."""
        wanted = (
            select(PEOPLE.c.person)
            .where(PEOPLE.c.migration == migration, PEOPLE.c.person > person)
            .order_by(PEOPLE.c.person)
            .limit(most)
        )
        async with self._database.reading() as connection:
            return list(await connection.scalars(wanted))

    async def count_after(self, migration: str, person: str) -> int:
        """How many are behind this one."""
        await self.prepare()
        behind = (PEOPLE.c.migration == migration) & (PEOPLE.c.person > person)
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.count()).select_from(PEOPLE).where(behind)) or 0

    async def drop(self, migration: str) -> None:
        """All of them were filled."""
        async with self._database.writing() as connection:
            await connection.execute(delete(PEOPLE).where(PEOPLE.c.migration == migration))

    # To be cleared

    async def to_clear(self, migration: str, channel: str, people: Sequence[str]) -> None:
        """These people's groups lose a channel when it is gone. Repeatable."""
        if not people:
            return
        values = [{"migration": migration, "person": person, "channel": channel} for person in people]
        async with self._database.writing() as connection:
            await connection.execute(self._insert(CLEARING).on_conflict_do_nothing(), values)

    async def keep(self, migration: str, channels: Sequence[str]) -> None:
        """These channels stay after all."""
        async with self._database.writing() as connection:
            gone = (CLEARING.c.migration == migration) & CLEARING.c.channel.in_(channels)
            await connection.execute(delete(CLEARING).where(gone))

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
        async with self._database.reading() as connection:
            names = list(await connection.scalars(people))
            wanted = (CLEARING.c.migration == migration) & CLEARING.c.person.in_(names)
            rows = select(CLEARING.c.person, CLEARING.c.channel).where(wanted)
            for row in await connection.execute(rows.order_by(CLEARING.c.person, CLEARING.c.channel)):
                found.setdefault(row.person, []).append(row.channel)
        return found

    async def count_clearing_if_any(self, migration: str) -> int:
        """How many people wait for that; makes no tables."""
        wanted = select(func.count(CLEARING.c.person.distinct())).where(CLEARING.c.migration == migration)
        async with self._database.reading() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(CLEARING.name)):
                return 0
            return await connection.scalar(wanted) or 0

    async def cleared(self, migration: str, people: Sequence[str]) -> None:
        """They have lost them."""
        async with self._database.writing() as connection:
            done = (CLEARING.c.migration == migration) & CLEARING.c.person.in_(people)
            await connection.execute(delete(CLEARING).where(done))
