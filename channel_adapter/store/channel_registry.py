"""What events reported of channels, kept over restarts and shared by receivers: one row a channel, one JSON a row.

A field is kept with the time at which it was reported. Merging takes the later of two reports, so the order in which
receivers write makes no difference.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Boolean, Column, Connection, MetaData, String, Table, Text, select, update

from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, Schema

ObservedFields = Mapping[str, tuple[Any, float]]
"""Fields by name: the value, and when it was reported, in Unix seconds. Values are text, numbers or None."""

_metadata = MetaData()
_CHANNELS: Final = Table(
    "channel_registry",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("fields", Text, nullable=False, default="{}"),
    Column("deleted", Boolean, nullable=False, default=False),
)
SCHEMA: Final = Schema("channel_registry", 1, _metadata)
_PER_PAGE: Final = 1_000


class ChannelRows:
    """The rows of one database. `deleted` is the name of the field that is None while a channel exists.

    Raises what Database raises; then nothing was changed.
    """

    def __init__(self, database: Database, *, deleted: str) -> None:
        self._database = database
        self._deleted = deleted

    async def get(self, channel: ChannelId) -> ObservedFields | None:
        """Return what is known of a channel, None without a row."""
        await self._database.prepare(SCHEMA)
        query = select(_CHANNELS.c.fields).where(_CHANNELS.c.channel == channel)
        text = await self._database.read(lambda connection: connection.scalar(query))
        return None if text is None else _read(text)

    async def merge(self, channel: ChannelId, fields: ObservedFields) -> ObservedFields:
        """Store the later report of each field; return all fields that are known then."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> ObservedFields:
            connection.execute(self._database.insert(_CHANNELS).values(channel=channel).on_conflict_do_nothing())
            row = select(_CHANNELS.c.fields).where(_CHANNELS.c.channel == channel).with_for_update()
            known = dict(_read(connection.scalar(row) or "{}"))
            for name, (value, at) in fields.items():
                if name not in known or at >= known[name][1]:
                    known[name] = (value, at)
            is_deleted = known.get(self._deleted, (None, 0.0))[0] is not None
            connection.execute(
                update(_CHANNELS)
                .where(_CHANNELS.c.channel == channel)
                .values(fields=orjson.dumps(known).decode(), deleted=is_deleted)
            )
            return known

        return await self._database.write(transaction)

    async def existing(self) -> AsyncIterator[tuple[ChannelId, ObservedFields]]:
        """Yield the channels that are not deleted, by id; no transaction is open between two pages."""
        await self._database.prepare(SCHEMA)

        async def fetch(after: str) -> Page[tuple[ChannelId, str], str]:
            rows = await self._database.read(_page_after, after)
            return Page(rows, rows[-1][0] if len(rows) == _PER_PAGE else None)

        async for rows in read_pages(fetch, ""):
            for channel, text in rows:
                yield channel, _read(text)

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _page_after(connection: Connection, channel: str) -> list[tuple[ChannelId, str]]:
    page = select(_CHANNELS.c.channel, _CHANNELS.c.fields).where(
        _CHANNELS.c.channel > channel, _CHANNELS.c.deleted.is_(False)
    )
    rows = connection.execute(page.order_by(_CHANNELS.c.channel).limit(_PER_PAGE))
    return [(ChannelId(channel), text) for channel, text in rows]


def _read(text: str) -> ObservedFields:
    return {name: (value, at) for name, (value, at) in orjson.loads(text).items()}
