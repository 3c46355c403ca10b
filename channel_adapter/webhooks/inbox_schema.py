"""The tables of the durable inbox: one row an event, and what receivers counted."""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, text

from channel_adapter.store.engine import Area

TAKEN, HANDLED, DEAD, DROPPED = "taken", "handled", "dead", "dropped"

_metadata = MetaData()
EVENTS: Final = Table(
    "webhook_event",
    _metadata,
    Column("key", String(200), primary_key=True),
    Column("batch", String(80), nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("done", Text, nullable=False, default=""),  # names of steps, one a line
    Column("reason", Text),
    Column("command", String(200), nullable=False),
    Column("channel", String(200), nullable=False),
    Column("document", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("sequence", BigInteger),  # None: stored by an earlier version; it is before and after nobody
    Index("webhook_event_by_state", "state", "changed_at"),
)
_IN_LINE: Final = Index(
    "webhook_event_in_line", EVENTS.c.channel, EVENTS.c.sequence, postgresql_where=EVENTS.c.state == TAKEN
).ddl_if(dialect="postgresql")  # SQLite has one receiver, which knows its lines
COUNTS: Final = Table(
    "webhook_count",
    _metadata,
    Column("name", String(80), primary_key=True),
    Column("number", BigInteger, nullable=False),
)


def _number_events(connection: Any) -> None:
    connection.execute(text(f"ALTER TABLE {EVENTS.name} ADD COLUMN {EVENTS.c.sequence.name} BIGINT"))
    if connection.dialect.name == "postgresql":
        _IN_LINE.create(connection)


AREA: Final = Area("webhooks", 2, _metadata, (_number_events,))
