"""Whole originals of what was cut, read some at a time: a channel may have a hundred thousand of them."""

from collections.abc import Sequence

from sqlalchemy import select

from channel_adapter.store.database import Database
from channel_adapter.store.migration_tables import KEPT, SCHEMA


class KeptOriginals:
    """Reads what the policy `store` has kept. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, channel: str, what: str, keys: Sequence[str]) -> dict[str, str]:
        """Originals of one kind with these keys, as far as they are there; 500 keys at most."""
        await self._database.prepare(SCHEMA)
        wanted = select(KEPT.c.key, KEPT.c.text).where(
            KEPT.c.channel == channel, KEPT.c.what == what, KEPT.c.key.in_(keys)
        )
        return await self._database.read(lambda connection: {row.key: row.text for row in connection.execute(wanted)})

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
