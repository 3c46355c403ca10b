"""What events said of channels, kept over restarts and shared by receivers: one row a channel, one JSON a row.

A field is kept with the time at which it was said. Merging takes the later of two, so the order in which receivers
write makes no difference.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Boolean, Column, Connection, MetaData, String, Table, Text, select, update

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, Schema

ObservedFields = Mapping[str, tuple[Any, float]]
"""Fields by name: the value, and when it was said, in unix seconds. Values are text, numbers or None."""

_TABLES: Final = MetaData()
_CHANNELS: Final = Table(
    "known_channels",
    _TABLES,
    Column("channel", String(48), primary_key=True),
    Column("said", Text, nullable=False, default="{}"),
    Column("deleted", Boolean, nullable=False, default=False),
)
SCHEMA: Final = Schema("known_channels", 1, _TABLES)
_PER_PAGE: Final = 1_000


class ChannelRows:
    """The rows. `deleted` is the name of the field that is None while a channel is there.

    Raises what Database raises; then nothing was changed.
    """

    def __init__(self, database: Database, *, deleted: str) -> None:
        self._database = database
        self._deleted = deleted

    async def get(self, channel: ChannelId) -> ObservedFields | None:
        """What is known of a channel."""
        await self._database.prepare(SCHEMA)
        query = select(_CHANNELS.c.said).where(_CHANNELS.c.channel == channel)
        text = await self._database.read(lambda connection: connection.scalar(query))
        return None if text is None else _read(text)

    async def merge(self, channel: ChannelId, said: ObservedFields) -> ObservedFields:
        """Take in what was said; gives all that is known since."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> ObservedFields:
            connection.execute(self._database.insert(_CHANNELS).values(channel=channel).on_conflict_do_nothing())
            row = select(_CHANNELS.c.said).where(_CHANNELS.c.channel == channel).with_for_update()
            known = dict(_read(connection.scalar(row) or "{}"))
            for name, (value, at) in said.items():
                if name not in known or at >= known[name][1]:
                    known[name] = (value, at)
            gone = known.get(self._deleted, (None, 0.0))[0] is not None
            connection.execute(
                update(_CHANNELS)
                .where(_CHANNELS.c.channel == channel)
                .values(said=orjson.dumps(known).decode(), deleted=gone)
            )
            return known

        return await self._database.write(transaction)

    async def present(self) -> AsyncIterator[tuple[ChannelId, ObservedFields]]:
        """The channels that are there, by id; no transaction is open between two pages."""
        await self._database.prepare(SCHEMA)
        last = ""
        while True:
            rows = await self._database.read(_page_after, last)
            for channel, text in rows:
                yield channel, _read(text)
            if len(rows) < _PER_PAGE:
                return
            last = rows[-1][0]

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _page_after(connection: Connection, channel: str) -> list[tuple[ChannelId, str]]:
    page = select(_CHANNELS.c.channel, _CHANNELS.c.said).where(
        _CHANNELS.c.channel > channel, _CHANNELS.c.deleted.is_(False)
    )
    rows = connection.execute(page.order_by(_CHANNELS.c.channel).limit(_PER_PAGE))
    return [(ChannelId(channel), text) for channel, text in rows]


def _read(text: str) -> ObservedFields:
    return {name: (value, at) for name, (value, at) in orjson.loads(text).items()}
