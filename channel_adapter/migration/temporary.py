"""A temporary SQLite file of one object: rows that would not fit into memory. Nothing else reads it."""

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


class TemporarySqlite:
    """A database in a folder of its own, which `close` removes. Use it from one thread at a time."""

    def __init__(self, name: str, tables: str, *, cache_kilobytes: int) -> None:
        """Create `tables`. Raises OSError, and leaves nothing behind, when the disk is full."""
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix=f"{name}-")
        try:
            path = Path(self._folder.name) / f"{name}.sqlite"
            path.touch(0o600)
            self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        except BaseException:
            self._folder.cleanup()
            raise
        try:
            pragmas = f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-{cache_kilobytes};"
            self.connection.executescript(pragmas + tables)
            self.connection.execute("BEGIN")
        except sqlite3.OperationalError as full:
            self.close()
            raise self._disk_full_error(full) from None
        except BaseException:
            self.close()
            raise

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Execute a statement for every row; return the number of rows it changed. Raises OSError."""
        before = self.connection.total_changes
        try:
            self.connection.executemany(statement, rows)
        except sqlite3.OperationalError as full:
            raise self._disk_full_error(full) from None
        return self.connection.total_changes - before

    def close(self) -> None:
        """Close the database and remove its folder."""
        self.connection.close()
        self._folder.cleanup()

    def _disk_full_error(self, full: sqlite3.OperationalError) -> OSError:
        return OSError(0, f"the temporary file {self._name} cannot grow: {full}", self._folder.name)
