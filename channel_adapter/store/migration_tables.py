"""Tables of migrations. One schema for SQLite and PostgreSQL.

A job is one migration; its round grows with every run that begins anew, so the first is the move and the others are
deltas. A channel's row says how far it is: `state` what is being done, `standing` whether somebody is at it, `finished`
the round that it has ended. Posts and people stand there as they were moved, the rest is what could not go.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

from channel_adapter.store.database import ForeignText, Schema

_TABLES: Final = MetaData()
_MIGRATION, _SOURCE, _PERSON, _KEY = String(40), String(200), String(32), ForeignText

JOBS: Final = Table(
    "migration_jobs",
    _TABLES,
    Column("migration", _MIGRATION, primary_key=True),
    Column("app", BigInteger, nullable=False),
    Column("plan", ForeignText, nullable=False),
    Column("round", Integer, nullable=False, default=1),
    Column("began", Double, nullable=False),
)

CHANNELS: Final = Table(
    "migration_channels",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("target", String(48), nullable=False),
    Column("place", Integer, nullable=False),
    Column("state", String(24), nullable=False),
    Column("standing", String(8), nullable=False),
    Column("run", Integer, nullable=False, default=0),
    Column("finished", Integer, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False, default=0),
    Column("cursor", ForeignText, nullable=False, default=""),
    Column("people_round", Integer, nullable=False, default=0),  # the round that the cursor belongs to
    Column("people_done", Integer, nullable=False, default=0),  # the round whose people are all there
    Column("post_key", _KEY, nullable=False, default=""),
    Column("last_seq", BigInteger, nullable=False, default=0),
    Column("last_time", BigInteger, nullable=False, default=0),
    Column("posts", BigInteger, nullable=False, default=0),
    Column("subscribers", BigInteger, nullable=False, default=0),
    Column("removed", BigInteger, nullable=False, default=0),
    Column("options", BigInteger, nullable=False, default=0),
    Column("calls", BigInteger, nullable=False, default=0),
    Column("profile", ForeignText, nullable=False, default=""),  # of the source, as it was moved last
    Column("reason", ForeignText, nullable=False, default=""),
    Column("transient", Boolean, nullable=False, default=False),
    Column("changed", Double, nullable=False, default=0.0),
    PrimaryKeyConstraint("migration", "source"),
)

POSTS: Final = Table(
    "migration_posts",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("key", _KEY, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("recalled", Boolean, nullable=False, default=False),
    PrimaryKeyConstraint("migration", "source", "key"),
    sqlite_with_rowid=False,
)

PEOPLE: Final = Table(
    "migration_people",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("person", _PERSON, nullable=False),
    Column("round", Integer, nullable=False),  # in which the source had this person
    Column("standing", String(8), nullable=False),
    Column("notifications", String(8), nullable=False),
    PrimaryKeyConstraint("migration", "source", "person"),
    sqlite_with_rowid=False,
)

QUARANTINE: Final = Table(
    "migration_quarantine",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("what", String(24), nullable=False),
    Column("key", _KEY, nullable=False),
    Column("reason", ForeignText, nullable=False),
    Column("raw", ForeignText, nullable=False),
    Column("retry", ForeignText, nullable=False),
    PrimaryKeyConstraint("migration", "source", "what", "key"),
)

KEPT: Final = Table(  # whole originals of what was cut, by the policy `store`
    "migration_kept",
    _TABLES,
    Column("channel", String(48), nullable=False),
    Column("what", String(24), nullable=False),
    Column("key", _KEY, nullable=False),
    Column("text", ForeignText, nullable=False),
    PrimaryKeyConstraint("channel", "what", "key"),
)

PAGES: Final = Table(  # of an account's history, read and not moved yet
    "migration_pages",
    _TABLES,
    Column("migration", _MIGRATION, nullable=False),
    Column("source", _SOURCE, nullable=False),
    Column("number", Integer, nullable=False),  # 0 is the newest
    Column("asked", _KEY, nullable=False),
    Column("below", _KEY, nullable=False),
    Column("lowest", BigInteger, nullable=False),
    Column("read", Double, nullable=False),
    Column("text", ForeignText, nullable=False),
    PrimaryKeyConstraint("migration", "source", "number"),
)

SCHEMA: Final = Schema("migration", 1, _TABLES)
