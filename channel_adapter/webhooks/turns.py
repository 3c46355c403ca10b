"""Whose turn it is in a channel, where several receivers share one PostgreSQL: the event that happened first.

A turn belongs to an event, not to a receiver: it is given when none waits in any receiver that belongs before it and no
other one has the turn, and it ends when the event is handled or given up. So nothing has to be given back, and what a
dead receiver left goes on when somebody takes it over. One statement decides for all that ask at the same time.
"""

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Column, MetaData, String, Table, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from channel_adapter.store.engine import Area, Database
from channel_adapter.webhooks.inbox_schema import EVENTS, TAKEN

SILENCE_SECONDS: Final = 7200.0
"""What nobody has touched for so long holds up nobody: all attempts, and outages that cost none, are over by then."""

_metadata = MetaData()
TURNS: Final = Table(
    "webhook_turn",
    _metadata,
    Column("channel", String(200), primary_key=True),
    Column("key", String(200), nullable=False, index=True),
    prefixes=["UNLOGGED"],  # turns end with a server that crashes; until then they wait for no disk
)
AREA: Final = Area("webhook_turns", 1, _metadata)

# Of two names of channels that are cut to the same one, one event is first. Rows are locked in the order of channels.
# A holder must be seen to have ended: one that the statement cannot see yet may just have begun.
_GIVE: Final = text(f"""
WITH given AS (
    INSERT INTO webhook_turn (channel, key)
    SELECT channel, key FROM (
        SELECT e.channel, e.key, row_number() OVER (PARTITION BY e.channel ORDER BY e.sequence, e.key) AS place
        FROM webhook_event e
        WHERE e.key = ANY(:keys) AND e.state = '{TAKEN}' AND coalesce(e.sequence, 0) <= coalesce((
            SELECT min(o.sequence) FROM webhook_event o
            WHERE o.channel = e.channel AND o.state = '{TAKEN}' AND o.changed_at > :long_ago
        ), e.sequence, 0)
    ) AS candidates WHERE place = 1 ORDER BY channel
    ON CONFLICT (channel) DO UPDATE SET key = excluded.key
    WHERE webhook_turn.key = excluded.key OR EXISTS (
        SELECT 1 FROM webhook_event h
        WHERE h.key = webhook_turn.key AND (h.state <> '{TAKEN}' OR h.changed_at <= :long_ago)
    )
    RETURNING key
)
SELECT key FROM webhook_event
WHERE key = ANY(:keys) AND state = '{TAKEN}' AND key NOT IN (SELECT key FROM given)
""")  # noqa: S608 - a word of ours


async def waiting_of(connection: AsyncConnection, keys: Sequence[str]) -> set[str]:
    """Gives turns to events; those among them that have to wait. What is not under way any more need not."""
    asked = {"keys": list(keys), "long_ago": time.time() - SILENCE_SECONDS}
    return set(await connection.scalars(_GIVE, asked))


class Turns:
    """The table of one PostgreSQL database. All may raise what Database raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self) -> None:
        """Make it."""
        await self._database.prepare(AREA)

    async def end(self, keys: Sequence[str]) -> None:
        """Nobody handles these now: whoever takes them over lets them wait like all others."""
        async with self._database.writing() as connection:
            await connection.execute(delete(TURNS).where(TURNS.c.key.in_(keys)))

    async def forget(self, before: float) -> None:
        """Delete the turns of events that `InboxTable.forget` is about to delete: they would never be over."""
        ended = select(EVENTS.c.key).where(EVENTS.c.state != TAKEN, EVENTS.c.changed_at < before)
        async with self._database.writing() as connection:
            await connection.execute(delete(TURNS).where(TURNS.c.key.in_(ended)))
