"""Whole originals of what was cut, read some at a time: a channel may have a hundred thousand of them."""

from collections.abc import Sequence

from sqlalchemy import select

from channel_adapter.store.engine import Database
from channel_adapter.store.migration_tables import AREA, KEPT


class KeptOriginals:
    """Reads what the policy `store` has kept. Raises what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, channel: str, what: str, keys: Sequence[str]) -> dict[str, str]:
        """Originals of one kind with these keys, as far as they are there; 500 keys at most."""
        await self._database.prepare(AREA)
        wanted = select(KEPT.c.key, KEPT.c.text).where(
            KEPT.c.channel == channel, KEPT.c.what == what, KEPT.c.key.in_(keys)
        )
        async with self._database.reading() as connection:
            return {row.key: row.text for row in await connection.execute(wanted)}

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
