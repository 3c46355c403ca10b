"""Tables of the reactions. One schema for SQLite and PostgreSQL.

A post row is locked by every transaction that touches its post, so everything below it changes in order. `version`
grows with each change; a post whose `published` is behind has something to publish. `due` is when the pace of writes,
or the pause after a failure, allows the next claim; the claim itself is a lease named by `lease_of`. `published` of a
count is the number that stands on the message: 0 for no key, NULL for "not known", which is written again. Rows of a
post whose reactions have not changed for `reactions.keep_days` are removed: its message has expired by then.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    cast,
    literal,
)

from channel_adapter.domain.post import PostRef
from channel_adapter.store.database import Schema

_TABLES: Final = MetaData()
_CHANNEL, _USER, _EMOJI = String(48), String(32), String(40)

POSTS: Final = Table(
    "reaction_posts",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False, default=1),
    Column("published", BigInteger, nullable=False, default=0),
    Column("due", Double, nullable=False, default=0.0),
    Column("changed", Double, nullable=False, default=0.0),  # by a reaction, or when the message was compared
    Column("failures", Integer, nullable=False, default=0),
    Column("rung", String(16), nullable=False, default=""),  # of this post alone, below the app's
    Column("written", String(16), nullable=False, default=""),  # `custom_data` until counts were taken out of it
    Column("cleared", BigInteger, nullable=False, default=0),  # key versions up to this were cleared as a whole
    Column("dropped", Boolean, nullable=False, default=False),  # recalled or deleted: nothing counts any more
    PrimaryKeyConstraint("channel", "post"),
    sqlite_with_rowid=False,
)
Index("reaction_posts_pending", POSTS.c.due, sqlite_where=POSTS.c.version != POSTS.c.published,
      postgresql_where=POSTS.c.version != POSTS.c.published)  # fmt: skip
Index("reaction_posts_changed", POSTS.c.changed)

REACTIONS: Final = Table(
    "reactions",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("person", _USER, nullable=False),
    Column("emoji", _EMOJI, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("channel", "post", "person", "emoji"),
    sqlite_with_rowid=False,
)

COUNTS: Final = Table(
    "reaction_counts",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("emoji", _EMOJI, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=True),
    PrimaryKeyConstraint("channel", "post", "emoji"),
    sqlite_with_rowid=False,
)

KEYS: Final = Table(  # what is known of people's own keys on the message
    "reaction_keys",
    _TABLES,
    Column("channel", _CHANNEL, nullable=False),
    Column("post", BigInteger, nullable=False),
    Column("person", _USER, nullable=False),
    Column("folded", BigInteger, nullable=False),  # newest version that was taken in
    Column("own", BigInteger, nullable=False),  # version of our own latest deletion
    Column("present", Boolean, nullable=False),
    Column("deleting", Boolean, nullable=False),  # we are about to delete it, or have and do not know it yet
    PrimaryKeyConstraint("channel", "post", "person"),
    sqlite_with_rowid=False,
)

FACTS: Final = Table(  # one row a fact: the app this database belongs to, and the rung it stands on
    "reaction_facts",
    _TABLES,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

SCHEMA: Final = Schema("reactions", 2, _TABLES)


def lease_of(ref: PostRef) -> str:
    """Return the name of the lease on publishing a post's counts."""
    return f"post:{ref.channel}:{ref.seq}"


LEASE: Final = literal("post:") + POSTS.c.channel + ":" + cast(POSTS.c.post, String)
"""`lease_of` in SQL."""
