"""Whose conversation groups a cutover fills, and whose lose a channel when it is rolled back."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, func, inspect, select

from channel_adapter.store.cutover_tables import CLEARING, PEOPLE, SCHEMA
from channel_adapter.store.database import Database


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
