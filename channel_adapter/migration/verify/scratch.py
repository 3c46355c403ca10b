"""One channel while it is compared: a temporary SQLite file, so that memory does not grow with its rows."""

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from channel_adapter.domain.subscription import Notifications
from channel_adapter.migration.sources.source import SourceSubscriber
from channel_adapter.migration.temporary import TemporarySqlite
from channel_adapter.migration.verify.findings import Finding

_ROWS_READ: Final = 500

_TABLES: Final = """
CREATE TABLE subscriber (id TEXT PRIMARY KEY, since INTEGER, how TEXT NOT NULL, data TEXT NOT NULL, unread INTEGER,
    seen INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE extra (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE post (seq INTEGER PRIMARY KEY, number INTEGER, time INTEGER NOT NULL, place INTEGER NOT NULL,
    author TEXT NOT NULL, body BLOB NOT NULL, seen INTEGER NOT NULL DEFAULT 0);
CREATE INDEX post_by_number ON post (number);
CREATE TABLE finding (part INTEGER NOT NULL, place INTEGER PRIMARY KEY, line BLOB NOT NULL);
"""


class TargetPost(NamedTuple):
    """A message on the target. `number` is None for one that is no post, `before` the time of the one before it."""

    seq: int
    number: int | None
    time: int
    place: int
    author: str
    body: bytes
    before: int = 0


class ComparisonScratchDb:
    """Hold the source's subscribers and the target's posts until each is compared. Raises OSError on a full disk."""

    def __init__(self) -> None:
        self._file = TemporarySqlite("verify", _TABLES, cache_kilobytes=4_000)
        self._rows = self._file.connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add_subscribers(self, subscribers: Iterable[SourceSubscriber]) -> int:
        """Add subscribers; return how many were not there yet."""
        rows = [
            (each.user, each.since, each.notifications.value, each.custom_data, each.unread) for each in subscribers
        ]
        return self._file.insert(
            "INSERT OR IGNORE INTO subscriber (id, since, how, data, unread) VALUES (?, ?, ?, ?, ?)", rows
        )

    def take_subscribers(self, users: Sequence[str]) -> dict[str, tuple[SourceSubscriber, bool]]:
        """Return and mark the subscribers among users, each with whether it was taken before."""
        marks = ",".join("?" * len(users))
        query = f"SELECT id, since, how, data, unread, seen FROM subscriber WHERE id IN ({marks})"  # noqa: S608 - question marks only
        found = self._rows.execute(query, users)
        subscribers = {row[0]: (_to_subscriber(row), bool(row[5])) for row in found.fetchall()}
        self._rows.execute(f"UPDATE subscriber SET seen = 1 WHERE id IN ({marks})", users)  # noqa: S608
        return subscribers

    def subscribers_left(self) -> Iterator[list[SourceSubscriber]]:
        """Yield subscribers that were never taken, ordered by id, in batches."""
        query = "SELECT id, since, how, data, unread FROM subscriber WHERE NOT seen AND id > ? ORDER BY id LIMIT ?"
        last = ""
        while rows := self._rows.execute(query, (last, _ROWS_READ)).fetchall():
            yield [_to_subscriber(row) for row in rows]
            last = rows[-1][0]

    def is_new(self, user: str) -> bool:
        """Return True the first time it is called for a user."""
        return self._file.insert("INSERT OR IGNORE INTO extra VALUES (?)", [(user,)]) > 0

    def add_posts(self, posts: Iterable[TargetPost]) -> None:
        """Add posts of the target, in any order."""
        rows = [post[:-1] for post in posts]
        self._file.insert("INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?, 0)", rows)

    def take_post(self, number: int) -> TargetPost | None:
        """Return the first post with this number that was not taken, and mark it; None if there is none."""
        query = "SELECT seq, number, time, place, author, body FROM post WHERE number = ? AND NOT seen ORDER BY seq"
        row = self._rows.execute(query, (number,)).fetchone()
        if row is None:
            return None
        self._rows.execute("UPDATE post SET seen = 1 WHERE seq = ?", (row[0],))
        before = self._rows.execute(
            "SELECT time FROM post WHERE seq < ? ORDER BY seq DESC LIMIT 1", (row[0],)
        ).fetchone()
        return TargetPost(*row)._replace(before=before[0] if before else 0)

    def posts_left(self) -> Iterator[TargetPost]:
        """Yield posts that were never taken, in their order."""
        query = (
            "SELECT seq, number, time, place, author, body FROM post"
            " WHERE NOT seen AND number IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?"
        )
        last = 0
        while rows := self._rows.execute(query, (last, _ROWS_READ)).fetchall():
            yield from (TargetPost(*row) for row in rows)
            last = rows[-1][0]

    def add_findings(self, part: int, findings: Iterable[Finding]) -> None:
        """Add findings; those of a lower part are read first."""
        self._file.insert(
            "INSERT INTO finding (part, line) VALUES (?, ?)", [(part, each.to_json()) for each in findings]
        )

    def findings(self) -> Iterator[Finding]:
        """Yield all findings in order."""
        query = "SELECT part, place, line FROM finding WHERE (part, place) > (?, ?) ORDER BY part, place LIMIT ?"
        part, place = -1, 0
        while rows := self._rows.execute(query, (part, place, _ROWS_READ)).fetchall():
            yield from (Finding.from_json(row[2]) for row in rows)
            part, place = rows[-1][:2]


def _to_subscriber(row: Sequence[Any]) -> SourceSubscriber:
    return SourceSubscriber(row[0], row[1], Notifications(row[2]), row[3], row[4])
