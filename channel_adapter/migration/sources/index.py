"""The records of files in order and each once: a temporary SQLite file, so that memory does not grow with them.

It is made when the source is opened and gone when it is closed; nothing else reads it.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from channel_adapter.domain.subscription import Notifications
from channel_adapter.mapping.ids import random_of
from channel_adapter.migration.records import BrokenRecord, SourceChannel, SourcePost, SourceSubscriber
from channel_adapter.migration.sources.schema import FilePost
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.msg_body import Element

ROWS_READ: Final = 200
_RANDOMS: Final = limits.RANDOM_HIGHEST + 1

_TABLES: Final = """
CREATE TABLE channel (place INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, born INTEGER NOT NULL, profile BLOB NOT NULL);
CREATE TABLE person (channel INTEGER NOT NULL, id TEXT NOT NULL, since INTEGER, how TEXT NOT NULL, data TEXT NOT NULL,
    unread INTEGER, PRIMARY KEY (channel, id)) WITHOUT ROWID;
CREATE TABLE post (channel INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL,
    author TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (channel, id), UNIQUE (channel, number));
CREATE INDEX post_in_order ON post (channel, time, id);
CREATE TABLE broken (place INTEGER PRIMARY KEY, at TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL,
    raw TEXT NOT NULL);
"""


class Index:
    """Rows are added first and read afterwards. Raises OSError where the disk is full."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="migration-")
        path = Path(self._folder.name) / "index.sqlite"
        path.touch(0o600)
        self._rows = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._rows.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8000;" + _TABLES)
        self._rows.execute("BEGIN")

    def close(self) -> None:
        """Remove it."""
        self._rows.close()
        self._folder.cleanup()

    def add_channel(self, channel: SourceChannel) -> bool:
        """False when there is one with this id."""
        profile = {name: getattr(channel, name) for name in _PROFILE}
        row = (channel.id, channel.created_at, orjson.dumps(profile))
        return self._insert("INSERT OR IGNORE INTO channel (id, born, profile) VALUES (?, ?, ?)", row)

    def place(self, channel: str) -> tuple[int, int] | None:
        """Number and birth of a channel, if it is there."""
        found: tuple[int, int] | None = self._rows.execute(
            "SELECT place, born FROM channel WHERE id = ?", (channel,)
        ).fetchone()
        return found

    def add_person(self, place: int, person: SourceSubscriber) -> bool:
        """False when this person is among the subscribers of the channel."""
        row = (place, person.user, person.since, person.notifications.value, person.custom_data, person.unread)
        return self._insert("INSERT OR IGNORE INTO person VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_post(self, place: int, channel: str, post: FilePost) -> bool:
        """False when the channel has a post with this id.

        A post's number is drawn from its id, so that it stays the same when the file grows; the next free one is taken
        in the rare case that another post has it.
        """
        body = orjson.dumps([element.to_wire() for element in post.body])
        number = random_of("file", channel, post.key)
        known = "SELECT 1 FROM post WHERE channel = ? AND id = ?"
        if self._rows.execute(known, (place, post.key)).fetchone():
            return False
        row = (post.key, post.time, post.author, body)
        while not self._insert("INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?)", (place, number, *row)):
            number = (number + 1) % _RANDOMS
        return True

    def add_broken(self, record: BrokenRecord) -> None:
        """Keep a record that cannot be used."""
        row = (record.where, record.field, record.reason, record.raw)
        self._insert("INSERT INTO broken (at, field, reason, raw) VALUES (?, ?, ?, ?)", row)

    def channels(self) -> Iterator[SourceChannel]:
        """In the order of the file, each with the number of its subscribers."""
        counted = (
            "SELECT profile, (SELECT count(*) FROM person WHERE channel = place),"
            " (SELECT max(time) FROM post WHERE channel = place) FROM channel ORDER BY place"
        )
        for profile, people, latest in self._rows.execute(counted).fetchall():
            values = orjson.loads(profile)
            admins = tuple(values.pop("admins"))
            yield SourceChannel(**values, admins=admins, subscriber_count=people, last_post_at=latest or 0)

    def people(self, channel: str, after: str) -> list[SourceSubscriber]:
        """The next people by their ids; an empty list at the end."""
        query = "SELECT id, since, how, data, unread FROM person WHERE channel = ? AND id > ? ORDER BY id LIMIT ?"
        rows = self._rows.execute(query, (self._known(channel), after, ROWS_READ)).fetchall()
        return [
            SourceSubscriber(user, since, Notifications(how), data, unread) for user, since, how, data, unread in rows
        ]

    def posts(self, channel: str, after: str) -> Iterator[SourcePost]:
        """By time, then by id; later ones than the post `after`, if there is one with that id."""
        place = self._known(channel)
        found = self._rows.execute("SELECT time, id FROM post WHERE channel = ? AND id = ?", (place, after)).fetchone()
        time, key = found or (0, "")
        query = (
            "SELECT time, id, number, author, body FROM post WHERE channel = ? AND (time, id) > (?, ?)"
            " ORDER BY time, id LIMIT ?"
        )
        while rows := self._rows.execute(query, (place, time, key, ROWS_READ)).fetchall():
            for time, key, number, author, body in rows:
                elements = tuple(Element.model_validate(each) for each in orjson.loads(body))
                yield SourcePost(key, number, time, elements, author)

    def broken(self) -> Iterator[BrokenRecord]:
        """In the order they were found."""
        place = 0
        query = "SELECT place, at, field, reason, raw FROM broken WHERE place > ? ORDER BY place LIMIT ?"
        while rows := self._rows.execute(query, (place, ROWS_READ)).fetchall():
            yield from (BrokenRecord(*row[1:]) for row in rows)
            place = rows[-1][0]

    def _known(self, channel: str) -> int:
        found = self.place(channel)
        if found is None:
            raise KeyError(channel)
        return found[0]

    def _insert(self, statement: str, row: tuple[object, ...]) -> bool:
        try:
            return self._rows.execute(statement, row).rowcount > 0
        except sqlite3.OperationalError as trouble:
            raise OSError(0, f"the temporary index cannot grow: {trouble}", self._folder.name) from None


_PROFILE: Final = (
    "id", "owner", "name", "introduction", "avatar", "organization", "custom_data", "created_at", "max_subscribers",
    "admins",
)  # fmt: skip
