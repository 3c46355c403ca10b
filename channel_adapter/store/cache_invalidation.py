"""Rows by which processes of one database report what is out of date in the caches of the others.

One row for each channel and user, with the time of the last change. Readers ask for rows newer than their last read,
and a little further back: a transaction may be committed later than another one that began after it.
"""

import time
from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, Text, delete, select

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.store.database import Database, Schema, is_storable

LOOK_BACK_SECONDS: Final = 5.0
KEPT_SECONDS: Final = 86_400.0
_TIDY_SECONDS: Final = 600.0
_ID: Final = String(256)  # ids of the service are shorter
_WHOLE_CHANNEL: Final = ""

_metadata = MetaData()
INVALIDATIONS: Final = Table(
    "cache_invalidation",
    _metadata,
    Column("channel", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("changed_at", Float, nullable=False, index=True),
)
SCHEMA: Final = Schema("cache_invalidation", 1, _metadata)


class Invalidation(NamedTuple):
    """What is cached of a user in a channel is out of date; `user` None: of the channel and all its users."""

    channel: ChannelId
    user: UserId | None = None


class InvalidationTable:
    """Publishes and reads invalidations. Raises what Database raises; then nothing was published or read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: set[tuple[str, str, float]] = set()
        self._newest: float | None = None
        self._tidied_at = time.monotonic()

    async def publish(self, invalidations: Collection[Invalidation]) -> None:
        """Store invalidations for the other processes. Impossible ids are left out."""
        rows = sorted({(each.channel, each.user or _WHOLE_CHANNEL) for each in invalidations if _is_possible(each)})
        if not rows:
            return
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> float:
            now = self._database.time(connection, time.time())
            values = [{"channel": channel, "user_id": user, "changed_at": now} for channel, user in rows]
            insert = self._database.insert(INVALIDATIONS)
            keys = [INVALIDATIONS.c.channel, INVALIDATIONS.c.user_id]
            newer = insert.on_conflict_do_update(index_elements=keys, set_={"changed_at": insert.excluded.changed_at})
            connection.execute(newer, values)
            if time.monotonic() - self._tidied_at > _TIDY_SECONDS:
                connection.execute(delete(INVALIDATIONS).where(INVALIDATIONS.c.changed_at < now - KEPT_SECONDS))
                self._tidied_at = time.monotonic()
            return now

        now = await self._database.write(transaction)
        self._seen.update((channel, user, now) for channel, user in rows)  # own ones are not read

    async def published(self) -> list[Invalidation]:
        """Return what other processes published since the last call; at first that of the last few seconds."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> tuple[float, set[tuple[str, str, float]]]:
            now = self._database.time(connection, time.time())
            # what is newer than now was published before a clock was set back
            newest = now if self._newest is None else min(self._newest, now)
            columns = (INVALIDATIONS.c.channel, INVALIDATIONS.c.user_id, INVALIDATIONS.c.changed_at)
            found = connection.execute(select(*columns).where(INVALIDATIONS.c.changed_at > newest - LOOK_BACK_SECONDS))
            rows = {(str(channel), str(user), float(at)) for channel, user, at in found}
            return max([newest, *(at for *_, at in rows if at <= now)]), rows

        newest, rows = await self._database.read(transaction)
        fresh = rows - self._seen
        self._newest = newest
        self._seen = {row for row in self._seen | rows if row[2] > self._newest - LOOK_BACK_SECONDS}
        return [Invalidation(ChannelId(channel), UserId(user) if user else None) for channel, user, _ in fresh]

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _is_possible(invalidation: Invalidation) -> bool:
    ids = (invalidation.channel, invalidation.user or "")
    return all(is_storable(each, _ID) for each in ids)
