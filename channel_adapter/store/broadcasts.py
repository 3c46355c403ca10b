"""What a database keeps of broadcasts of official accounts: their keys by number, and the times of the last hour.

Every call of the command line is a process of its own, so that the posts an hour can be counted here only.
"""

import time
from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    Text,
    delete,
    select,
    update,
)

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostKey
from channel_adapter.store.database import Database, Schema

HOUR: Final = 3_600.0
_MAX_WAIT: Final = 120.0
KEPT_SECONDS: Final = 100 * 86_400.0
"""Longer than the longest roaming time, 90 days: the key of an older broadcast names nothing."""

_metadata = MetaData()
_KEYS: Final = Table(
    "broadcast_keys",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("key", String(50), nullable=False),
    Column("dedupe", BigInteger),
    Column("added_at", Float, nullable=False),
)
_SENT: Final = Table(
    "broadcasts_sent",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("times", Text, nullable=False, default="[]"),
)
SCHEMA: Final = Schema("broadcasts", 1, _metadata)


class BroadcastStore:
    """The rows of one database. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel: ChannelId, seq: int) -> PostKey | None:
        """Return the key of a broadcast, None if it is not known."""
        await self._database.prepare(SCHEMA)
        query = select(_KEYS.c.seq, _KEYS.c.key, _KEYS.c.dedupe).where(_KEYS.c.channel == channel, _KEYS.c.seq == seq)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else PostKey(row.seq, row.key, row.dedupe)

    async def add(self, channel: ChannelId, keys: Sequence[PostKey]) -> None:
        """Keep keys of broadcasts, in one transaction, and drop those that are older than any history.

        A later key of the same number replaces it: the channel was deleted and created again.
        """
        if not keys:
            return
        await self._database.prepare(SCHEMA)
        await self._database.write_relaxed(self._add_keys, channel, keys)  # history has them too

    async def forget(self, channel: ChannelId) -> None:
        """Drop the keys of a channel, and the count of its posts."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> None:
            connection.execute(delete(_KEYS).where(_KEYS.c.channel == channel))
            connection.execute(delete(_SENT).where(_SENT.c.channel == channel))

        await self._database.write(transaction)

    async def reserve(self, channel: ChannelId, here: float, per_hour: int) -> float | None:
        """Count a post; return None, or the seconds until one is possible if there were `per_hour` within an hour.

        `here` is the time of this process; PostgreSQL has its own.
        """
        await self._database.prepare(SCHEMA)
        return await self._database.write(self._reserve_post, channel, here, per_hour)

    async def release(self, channel: ChannelId) -> None:
        """Do not count the post that was reserved last: it was not sent."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> None:
            times = self._lock_times(connection, channel)
            self._store_times(connection, channel, sorted(times)[:-1])

        await self._database.write(transaction)

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()

    def _add_keys(self, connection: Connection, channel: ChannelId, keys: Sequence[PostKey]) -> None:
        now = self._database.time(connection, time.time())
        rows = [
            {"channel": channel, "seq": each.seq, "key": each.key, "dedupe": each.dedupe, "added_at": now}
            for each in sorted(keys, key=lambda each: each.seq)
        ]
        insert = self._database.insert(_KEYS)
        replaced = {name: insert.excluded[name] for name in ("key", "dedupe", "added_at")}
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["channel", "seq"], set_=replaced, where=_KEYS.c.key != insert.excluded.key
            ),
            rows,
        )
        connection.execute(delete(_KEYS).where(_KEYS.c.channel == channel, _KEYS.c.added_at < now - KEPT_SECONDS))

    def _reserve_post(self, connection: Connection, channel: ChannelId, here: float, per_hour: int) -> float | None:
        sent = self._lock_times(connection, channel)
        now = self._database.time(connection, here)
        # what lies further in the future than a transaction waits was written before a clock was set back
        times = [at for at in sent if now - HOUR < at <= now + _MAX_WAIT]
        if len(times) >= per_hour:
            return sorted(times)[-per_hour] + HOUR - now
        self._store_times(connection, channel, [*times, now])
        return None

    def _lock_times(self, connection: Connection, channel: ChannelId) -> list[float]:
        """Return the times of the posts of a channel; the row is locked until the end of the transaction."""
        connection.execute(self._database.insert(_SENT).values(channel=channel).on_conflict_do_nothing())
        row = select(_SENT.c.times).where(_SENT.c.channel == channel).with_for_update()
        return list(orjson.loads(connection.scalar(row) or "[]"))

    def _store_times(self, connection: Connection, channel: ChannelId, times: Sequence[float]) -> None:
        connection.execute(update(_SENT).where(_SENT.c.channel == channel).values(times=orjson.dumps(times).decode()))
