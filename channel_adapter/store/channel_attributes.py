"""Attributes of channels, for a mode in which the service keeps none: verified, suspended, contact, and others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, Text, and_, delete, select

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
_ATTRIBUTES: Final = Table(
    "channel_attribute",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
SCHEMA: Final = Schema("channel_attributes", 1, _metadata)


class ChannelAttributeRows:
    """Reads and writes attributes. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Mapping[str, str]]:
        """Return the attributes of the channels that have some, in one statement."""
        await self._database.prepare(SCHEMA)
        wanted = self._database.rows({"channel": String()}, [[channel] for channel in channels])
        query = select(_ATTRIBUTES).join(wanted, wanted.c.channel == _ATTRIBUTES.c.channel)
        found: dict[ChannelId, dict[str, str]] = defaultdict(dict)
        for channel, name, value in await self._database.read(lambda connection: connection.execute(query).all()):
            found[ChannelId(channel)][name] = value
        return {**found}

    async def write(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel; None removes one. The others stay, also under concurrent changes."""
        await self._database.prepare(SCHEMA)
        removed = [name for name, value in sorted(changes.items()) if value is None]
        values = [
            {"channel": channel, "name": name, "value": value}
            for name, value in sorted(changes.items())
            if value is not None
        ]

        def transaction(connection: Connection) -> None:
            if removed:
                gone = and_(_ATTRIBUTES.c.channel == channel, _ATTRIBUTES.c.name.in_(removed))
                connection.execute(delete(_ATTRIBUTES).where(gone))
            if values:
                insert = self._database.insert(_ATTRIBUTES)
                keys = [_ATTRIBUTES.c.channel, _ATTRIBUTES.c.name]
                new = insert.on_conflict_do_update(index_elements=keys, set_={"value": insert.excluded.value})
                connection.execute(new, values)

        await self._database.write(transaction)

    async def delete(self, channel: ChannelId) -> None:
        """Delete all attributes of a deleted channel."""
        await self._database.prepare(SCHEMA)
        await self._database.execute(delete(_ATTRIBUTES).where(_ATTRIBUTES.c.channel == channel))

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()
