"""What events said of channels, kept over restarts and shared by receivers: one row a channel, one JSON a row.

A field is kept with the time at which it was said. Merging takes the later of two, so the order in which receivers
write makes no difference.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Boolean, Column, MetaData, String, Table, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.engine import Area, Database

Said = Mapping[str, tuple[Any, float]]
"""Fields by name: the value, and when it was said, in unix seconds. Values are text, numbers or None."""

_TABLES: Final = MetaData()
_CHANNELS: Final = Table(
    "known_channels",
    _TABLES,
    Column("channel", String(48), primary_key=True),
    Column("said", Text, nullable=False, default="{}"),
    Column("deleted", Boolean, nullable=False, default=False),
)
AREA: Final = Area("known_channels", 1, _TABLES)
_PER_PAGE: Final = 1_000


class ChannelRows:
    """The rows. `deleted` is the name of the field that is None while a channel is there.

    Raises what Database raises; then nothing was changed.
    """

    def __init__(self, database: Database, *, deleted: str) -> None:
        self._database = database
        self._deleted = deleted
        self._insert: Any = (sqlite if database.is_sqlite else postgresql).insert

    async def get(self, channel: ChannelId) -> Said | None:
        """What is known of a channel."""
        await self._database.prepare(AREA)
        async with self._database.reading() as connection:
            text = await connection.scalar(select(_CHANNELS.c.said).where(_CHANNELS.c.channel == channel))
        return None if text is None else _read(text)

    async def merge(self, channel: ChannelId, said: Said) -> Said:
        """Take in what was said; gives all that is known since."""
        await self._database.prepare(AREA)
        async with self._database.writing() as connection:
            await connection.execute(self._insert(_CHANNELS).values(channel=channel).on_conflict_do_nothing())
            row = select(_CHANNELS.c.said).where(_CHANNELS.c.channel == channel).with_for_update()
            known = dict(_read(await connection.scalar(row) or "{}"))
            for name, (value, at) in said.items():
                if name not in known or at >= known[name][1]:
                    known[name] = (value, at)
            gone = known.get(self._deleted, (None, 0.0))[0] is not None
            await connection.execute(
                update(_CHANNELS)
                .where(_CHANNELS.c.channel == channel)
                .values(said=orjson.dumps(known).decode(), deleted=gone)
            )
        return known

    async def present(self) -> AsyncIterator[tuple[ChannelId, Said]]:
        """The channels that are there, by id; no transaction is open between two pages."""
        await self._database.prepare(AREA)
        last = ""
        while True:
            page = select(_CHANNELS.c.channel, _CHANNELS.c.said).where(
                _CHANNELS.c.channel > last, _CHANNELS.c.deleted.is_(False)
            )
            async with self._database.reading() as connection:
                rows = (await connection.execute(page.order_by(_CHANNELS.c.channel).limit(_PER_PAGE))).all()
            for channel, text in rows:
                yield ChannelId(channel), _read(text)
            if len(rows) < _PER_PAGE:
                return
            last = rows[-1][0]

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _read(text: str) -> Said:
    return {name: (value, at) for name, (value, at) in orjson.loads(text).items()}
