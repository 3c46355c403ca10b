"""Rows of pinned posts. `dedupe` tells a post from another one with its number in a channel that was created again."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    func,
    select,
)

from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
_PINS: Final = Table(
    "post_pin",
    _metadata,
    Column("channel", String(48), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("message_key", Text, nullable=False),
    Column("dedupe", BigInteger),
    Column("pinned", Double, nullable=False),
    PrimaryKeyConstraint("channel", "seq"),
)
SCHEMA: Final = Schema("pins", 1, _metadata)
_PIN_KEY: Final = 7_235_002
"""First key of the advisory lock under which PostgreSQL pins a post of a channel; the second is the channel's hash."""


@dataclass(frozen=True, slots=True)
class PinRow:
    """One pinned post; `pinned` is when, in Unix seconds."""

    channel: str
    seq: int
    message_key: str
    dedupe: int | None
    pinned: float


class PinStore:
    """The pinned posts of one database. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: PinRow, most: int) -> bool | None:
        """Pin a post; return False if it is pinned already, None if its channel has `most` pins."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> bool | None:
            if not self._database.is_sqlite:  # concurrent pins do not see each other's rows
                connection.execute(select(func.pg_advisory_xact_lock(_PIN_KEY, func.hashtext(row.channel))))
            query = select(_PINS.c.seq).where(_PINS.c.channel == row.channel)
            pinned = set(connection.scalars(query))
            if row.seq in pinned or len(pinned) >= most:
                return False if row.seq in pinned else None
            values = {name: getattr(row, name) for name in PinRow.__dataclass_fields__}
            new = self._database.insert(_PINS).values(**values).on_conflict_do_nothing()
            return connection.scalar(new.returning(_PINS.c.seq)) is not None

        return await self._database.write(transaction)

    async def remove(self, channel: str, seq: int) -> bool:
        """Unpin a post; return whether it was pinned."""
        await self._database.prepare(SCHEMA)
        return await self._database.execute(delete(_PINS).where(_PINS.c.channel == channel, _PINS.c.seq == seq)) > 0

    async def pinned(self, channel: str) -> list[PinRow]:
        """Return the pinned posts of a channel, the last pinned first."""
        await self._database.prepare(SCHEMA)
        query = select(_PINS).where(_PINS.c.channel == channel).order_by(_PINS.c.pinned.desc(), _PINS.c.seq.desc())
        return await self._database.read(
            lambda connection: [PinRow(**row) for row in connection.execute(query).mappings()]
        )
