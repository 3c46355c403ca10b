"""What processes of one database tell each other: of which channels, and of whom in them, memories are out of date.

One row for each channel and person, with the time of the last change. Readers ask for what is new since they asked
before, and a little further back: a transaction may be committed later than another one that began after it.
"""

import time
from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import Column, Connection, Float, MetaData, Table, Text, delete, select

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.store.database import Database, Schema

LOOK_BACK_SECONDS: Final = 5.0
KEPT_SECONDS: Final = 86_400.0
_TIDY_SECONDS: Final = 600.0
_LONGEST: Final = 256  # an id of the service is shorter
_EVERYBODY: Final = ""

_TABLES: Final = MetaData()
_CHANGES: Final = Table(
    "memory_change",
    _TABLES,
    Column("channel", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("changed_at", Float, nullable=False, index=True),
)
SCHEMA: Final = Schema("memory_changes", 1, _TABLES)


class Invalidation(NamedTuple):
    """What was remembered of a person in a channel is out of date; `user` None: of the channel, and everybody in it."""

    channel: ChannelId
    user: UserId | None = None


class InvalidationTable:
    """The rows. Raises what Database raises; then nothing was told, or heard."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: set[tuple[str, str, float]] = set()
        self._newest: float | None = None
        self._tidied_at = time.monotonic()

    async def tell(self, changes: Collection[Invalidation]) -> None:
        """Let the others know; back when it is committed. Ids that cannot be any are left out."""
        rows = sorted({(change.channel, change.user or _EVERYBODY) for change in changes if _possible(change)})
        if not rows:
            return
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> float:
            now = self._database.time(connection, time.time())
            told = [{"channel": channel, "person": person, "changed_at": now} for channel, person in rows]
            insert = self._database.insert(_CHANGES)
            keys = [_CHANGES.c.channel, _CHANGES.c.person]
            newer = insert.on_conflict_do_update(index_elements=keys, set_={"changed_at": insert.excluded.changed_at})
            connection.execute(newer, told)
            if time.monotonic() - self._tidied_at > _TIDY_SECONDS:
                connection.execute(delete(_CHANGES).where(_CHANGES.c.changed_at < now - KEPT_SECONDS))
                self._tidied_at = time.monotonic()
            return now

        now = await self._database.write(transaction)
        self._seen.update((channel, person, now) for channel, person in rows)  # nobody need tell us

    async def news(self) -> list[Invalidation]:
        """What others have told since the last time; at first what they told in the last seconds."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> tuple[float, set[tuple[str, str, float]]]:
            newest = self._newest
            if newest is None:
                newest = self._database.time(connection, time.time())
            query = select(_CHANGES.c.channel, _CHANGES.c.person, _CHANGES.c.changed_at)
            found = connection.execute(query.where(_CHANGES.c.changed_at > newest - LOOK_BACK_SECONDS))
            return newest, {(str(channel), str(person), float(at)) for channel, person, at in found}

        newest, rows = await self._database.read(transaction)
        fresh = rows - self._seen
        self._newest = max([newest, *(at for *_, at in rows)])
        self._seen = {row for row in self._seen | rows if row[2] > self._newest - LOOK_BACK_SECONDS}
        return [Invalidation(ChannelId(channel), UserId(person) if person else None) for channel, person, _ in fresh]

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _possible(change: Invalidation) -> bool:
    return all(len(name) <= _LONGEST and "\x00" not in name for name in (change.channel, change.user or ""))
