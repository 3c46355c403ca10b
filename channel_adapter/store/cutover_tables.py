"""Tables of cutovers: where posting has moved, what was broadcast twice, whose conversation groups to fill or clear."""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from channel_adapter.store.database import ForeignText, Schema

_TABLES: Final = MetaData()

CUTOVERS: Final = Table(
    "cutovers",
    _TABLES,
    Column("migration", String(40), primary_key=True),
    Column("began", Double, nullable=False),
    Column("verdict", ForeignText, nullable=False, default=""),  # of the last verification, as JSON
    Column("people_listed", Integer, nullable=False, default=0),
    Column("filled_to", String(32), nullable=False, default=""),
    Column("filled", Integer, nullable=False, default=0),
    Column("fill_problems", Integer, nullable=False, default=0),
    Column("fill_done", Integer, nullable=False, default=0),
    Column("fill_wanted", Integer, nullable=False, default=0, server_default="0"),
    Column("fill_run", Integer, nullable=False, default=0, server_default="0"),  # it numbers the workflows
    Column("fill_said", ForeignText, nullable=False, default="", server_default=""),  # why the last one ended too early
)

MOVED: Final = Table(
    "cutover_channels",
    _TABLES,
    Column("source", String(200), primary_key=True),
    Column("migration", String(40), nullable=False),
    Column("channel", String(48), nullable=False),
    Column("guard", String(10), nullable=False, default="refuse"),
    Column("held_until", Double, nullable=False, default=0.0),  # while its last delta is moved and verified
    Column("verified_at", Double, nullable=False, default=0.0),
    Column("moved_at", Double, nullable=False, default=0.0),
    Column("window_end", Double, nullable=False, default=0.0),
    Column("destroying", Integer, nullable=False, default=0),
    Column("destroyed_at", Double, nullable=False, default=0.0),
    Index("cutover_channels_channel", "channel"),
)

COPIES: Final = Table(  # broadcasts on the source of what is published here, and the farewell, which has the number 0
    "cutover_copies",
    _TABLES,
    Column("source", String(200), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("random", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("said", ForeignText, nullable=False, default=""),  # its key, or why it could not be sent
    PrimaryKeyConstraint("source", "seq"),
)

PEOPLE: Final = Table(
    "cutover_people",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("person", String(32), nullable=False),
    PrimaryKeyConstraint("migration", "person"),
    sqlite_with_rowid=False,
)

CLEARING: Final = Table(  # whose groups lose a channel that was rolled back
    "cutover_clearing",
    _TABLES,
    Column("migration", String(40), nullable=False),
    Column("person", String(32), nullable=False),
    Column("channel", String(48), nullable=False),
    PrimaryKeyConstraint("migration", "person", "channel"),
    sqlite_with_rowid=False,
)

SCHEMA: Final = Schema("cutover", 1, _TABLES)
