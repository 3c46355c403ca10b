"""A channel that was rolled back leaves the journal, so that its account may be moved again."""

from typing import Final

from sqlalchemy import Connection, Table, delete, func, select

from channel_adapter.store.database import Database
from channel_adapter.store.migration_tables import CHANNELS, JOBS, KEPT, PAGES, PEOPLE, POSTS, QUARANTINE, SCHEMA

_OF_A_CHANNEL: Final[tuple[Table, ...]] = (PAGES, POSTS, PEOPLE, QUARANTINE, CHANNELS)


class Forgetting:
    """Deletes rows of one channel. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self, migration: str, source: str, target: str) -> None:
        """Everything about one channel, in one transaction; the job too when this was its last one. Repeatable."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> None:
            for table in _OF_A_CHANNEL:
                connection.execute(delete(table).where(table.c.migration == migration, table.c.source == source))
            connection.execute(delete(KEPT).where(KEPT.c.channel == target))
            left = connection.scalar(select(func.count()).where(CHANNELS.c.migration == migration))
            if not left:
                connection.execute(delete(JOBS).where(JOBS.c.migration == migration))

        await self._database.write(transaction)
