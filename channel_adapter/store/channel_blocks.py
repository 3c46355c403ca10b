"""Users who are blocked in channels: one row for each, read by every process of the database."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Executable,
    MetaData,
    Select,
    String,
    Table,
    delete,
    literal,
    select,
)

from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import BlockedUser
from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
_BLOCKS: Final = Table(
    "channel_block",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("blocked_at", Double, nullable=False),
)
SCHEMA: Final = Schema("channel_blocks", 1, _metadata)
_PER_PAGE: Final = 1_000


class BlockRows:
    """The rows of one database. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def among(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Return which of these users are blocked in a channel."""
        await self._database.prepare(SCHEMA)
        named = self._select_users(users)
        query = select(_BLOCKS.c.user_id).where(_BLOCKS.c.channel == channel, _BLOCKS.c.user_id.in_(named))
        return frozenset(map(UserId, await self._database.read(_read_scalars, query)))

    async def add(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Block users; return those who were not blocked before."""
        await self._database.prepare(SCHEMA)
        named = self._select_users(users).subquery()
        # SQLite needs the WHERE clause to parse ON CONFLICT after a SELECT.
        rows = select(literal(channel), named.c.user_id, literal(time.time())).where(named.c.user_id.is_not(None))
        new = self._database.insert(_BLOCKS).from_select(["channel", "user_id", "blocked_at"], rows)
        returned = new.on_conflict_do_nothing().returning(_BLOCKS.c.user_id)
        return frozenset(map(UserId, await self._database.write(_read_scalars, returned)))

    async def remove(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Unblock users; return those who were blocked."""
        await self._database.prepare(SCHEMA)
        gone = delete(_BLOCKS).where(_BLOCKS.c.channel == channel, _BLOCKS.c.user_id.in_(self._select_users(users)))
        return frozenset(map(UserId, await self._database.write(_read_scalars, gone.returning(_BLOCKS.c.user_id))))

    async def all(self, channel: ChannelId) -> AsyncIterator[BlockedUser]:
        """Yield the blocked users of a channel by id; no transaction is open between two pages."""
        await self._database.prepare(SCHEMA)

        async def fetch(after: str) -> Page[BlockedUser, str]:
            page = select(_BLOCKS.c.user_id, _BLOCKS.c.blocked_at).where(
                _BLOCKS.c.channel == channel, _BLOCKS.c.user_id > after
            )
            rows = await self._database.read(
                lambda connection: connection.execute(page.order_by(_BLOCKS.c.user_id).limit(_PER_PAGE)).all()
            )
            found = [BlockedUser(UserId(user), datetime.fromtimestamp(at, UTC)) for user, at in rows]
            return Page(found, found[-1].user if len(found) == _PER_PAGE else None)

        async for users in read_pages(fetch, ""):
            for user in users:
                yield user

    async def drop(self, channel: ChannelId) -> None:
        """Delete the rows of a deleted channel."""
        await self._database.prepare(SCHEMA)
        await self._database.execute(delete(_BLOCKS).where(_BLOCKS.c.channel == channel))

    def _select_users(self, users: Sequence[UserId]) -> Select[tuple[str]]:
        """Return a query of these users in the order of their ids, in which rows are locked."""
        rows = self._database.rows({"user_id": String()}, [[user] for user in sorted(users)])
        return select(rows.c.user_id)


def _read_scalars(connection: Connection, statement: Executable) -> Sequence[str]:
    return connection.scalars(statement).all()
