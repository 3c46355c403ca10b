"""One channel while it is verified: a temporary SQLite file, so that memory does not grow with people and posts."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from channel_adapter.domain.subscription import Notifications
from channel_adapter.migration.sources.source import SourceSubscriber
from channel_adapter.migration.verify.findings import Finding

_ROWS_READ: Final = 500

_TABLES: Final = """
CREATE TABLE person (id TEXT PRIMARY KEY, since INTEGER, how TEXT NOT NULL, data TEXT NOT NULL, unread INTEGER,
    seen INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE stranger (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE post (seq INTEGER PRIMARY KEY, number INTEGER, time INTEGER NOT NULL, place INTEGER NOT NULL,
    author TEXT NOT NULL, body BLOB NOT NULL, seen INTEGER NOT NULL DEFAULT 0);
CREATE INDEX post_by_number ON post (number);
CREATE TABLE finding (part INTEGER NOT NULL, place INTEGER PRIMARY KEY, line BLOB NOT NULL);
"""


class HeldPost(NamedTuple):
    """A message on the target. `number` is None for one that is no post, `before` the time of the one before it."""

    seq: int
    number: int | None
    time: int
    place: int
    author: str
    body: bytes
    before: int = 0


class Ledger:
    """The source's people and the target's posts are put in first; each is taken out once. Raises OSError."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="verify-")
        path = Path(self._folder.name) / "ledger.sqlite"
        path.touch(0o600)
        self._rows = sqlite3.connect(path, isolation_level=None)
        self._rows.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4000;" + _TABLES)
        self._rows.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        self._folder.cleanup()

    def add_people(self, people: Iterable[SourceSubscriber]) -> int:
        """Put people in; how many of them were not there yet."""
        rows = [(each.user, each.since, each.notifications.value, each.custom_data, each.unread) for each in people]
        return self._insert("INSERT OR IGNORE INTO person (id, since, how, data, unread) VALUES (?, ?, ?, ?, ?)", rows)

    def take_people(self, users: Sequence[str]) -> dict[str, tuple[SourceSubscriber, bool]]:
        """Who of these follows at the source, and whether they were taken out before."""
        marks = ",".join("?" * len(users))
        query = f"SELECT id, since, how, data, unread, seen FROM person WHERE id IN ({marks})"  # noqa: S608 - question marks only
        found = self._rows.execute(query, users)
        people = {row[0]: (_person(row), bool(row[5])) for row in found.fetchall()}
        self._rows.execute(f"UPDATE person SET seen = 1 WHERE id IN ({marks})", users)  # noqa: S608
        return people

    def people_left(self) -> Iterator[list[SourceSubscriber]]:
        """Who was never taken out, by their ids, some at a time."""
        query = "SELECT id, since, how, data, unread FROM person WHERE NOT seen AND id > ? ORDER BY id LIMIT ?"
        last = ""
        while rows := self._rows.execute(query, (last, _ROWS_READ)).fetchall():
            yield [_person(row) for row in rows]
            last = rows[-1][0]

    def is_new(self, user: str) -> bool:
        """Has nobody asked this before of somebody who is not at the source?"""
        return self._insert("INSERT OR IGNORE INTO stranger VALUES (?)", [(user,)]) > 0

    def add_posts(self, posts: Iterable[HeldPost]) -> None:
        """Put posts of the target in, in any order."""
        rows = [post[:-1] for post in posts]
        self._insert("INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?, 0)", rows)

    def take_post(self, number: int) -> HeldPost | None:
        """The first post with this number, taken out."""
        query = "SELECT seq, number, time, place, author, body FROM post WHERE number = ? AND NOT seen ORDER BY seq"
        row = self._rows.execute(query, (number,)).fetchone()
        if row is None:
            return None
        self._rows.execute("UPDATE post SET seen = 1 WHERE seq = ?", (row[0],))
        before = self._rows.execute(
            "SELECT time FROM post WHERE seq < ? ORDER BY seq DESC LIMIT 1", (row[0],)
        ).fetchone()
        return HeldPost(*row)._replace(before=before[0] if before else 0)

    def posts_left(self) -> Iterator[HeldPost]:
        """Posts that were never taken out, in their order."""
        query = (
            "SELECT seq, number, time, place, author, body FROM post"
            " WHERE NOT seen AND number IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?"
        )
        last = 0
        while rows := self._rows.execute(query, (last, _ROWS_READ)).fetchall():
            yield from (HeldPost(*row) for row in rows)
            last = rows[-1][0]

    def note(self, part: int, findings: Iterable[Finding]) -> None:
        """Keep findings; those of a lower part come out first."""
        self._insert("INSERT INTO finding (part, line) VALUES (?, ?)", [(part, each.to_json()) for each in findings])

    def findings(self) -> Iterator[Finding]:
        """All of them in order."""
        query = "SELECT part, place, line FROM finding WHERE (part, place) > (?, ?) ORDER BY part, place LIMIT ?"
        part, place = -1, 0
        while rows := self._rows.execute(query, (part, place, _ROWS_READ)).fetchall():
            yield from (Finding.from_json(row[2]) for row in rows)
            part, place = rows[-1][:2]

    def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        before = self._rows.total_changes
        try:
            self._rows.executemany(statement, rows)
        except sqlite3.OperationalError as trouble:
            raise OSError(0, f"the temporary ledger cannot grow: {trouble}", self._folder.name) from None
        return self._rows.total_changes - before


def _person(row: Sequence[Any]) -> SourceSubscriber:
    return SourceSubscriber(row[0], row[1], Notifications(row[2]), row[3], row[4])
