"""Optional libraries: which extra installs them, and which versions work together."""

import re
import sqlite3
import sys
from importlib import metadata
from typing import Final

from channel_adapter.errors import ConfigurationError

_EXTRAS: Final = {
    "sqlalchemy": ("SQLAlchemy", "durable"),  # reactions, which need `store` alone, say so themselves
    "aiosqlite": ("aiosqlite", "durable"),
    "dbos": ("DBOS", "durable"),
    "psycopg": ("psycopg", "postgres"),
    "feedparser": ("feedparser", "feeds"),
}


def lacking(error: ModuleNotFoundError) -> ConfigurationError | None:
    """What to install when a library of an extra is missing; None for any other module."""
    library, extra = _EXTRAS.get((error.name or "").partition(".")[0], (None, ""))
    if library is None:
        return None
    return ConfigurationError(f"this needs {library}: pip install 'channel-adapter[{extra}]'")


DBOS_FROM: Final = (3, 4)
DBOS_BELOW: Final = (4, 0)
_SUBSECONDS: Final = (3, 42)
"""From this version on SQLite has `unixepoch('subsec')`, which DBOS uses on Python 3.12 and newer."""


def durable_fault(*, python: tuple[int, ...], sqlite: tuple[int, ...] | None, dbos: str) -> str | None:
    """Return why DBOS cannot run with these versions, None if it can. `sqlite` is None for a PostgreSQL database."""
    found = tuple(int(part) for part in re.findall(r"\d+", dbos)[:2])
    if not DBOS_FROM <= found < DBOS_BELOW:
        return (
            f"durable work needs DBOS {_text(DBOS_FROM)} or newer and older than {_text(DBOS_BELOW)}, and {dbos} is"
            " installed: pip install 'channel-adapter[durable]'"
        )
    if sqlite is not None and python >= (3, 12) and sqlite < _SUBSECONDS:
        return (
            f"durable work in a SQLite file needs SQLite {_text(_SUBSECONDS)} or newer on Python {_text(python[:2])},"
            f" which has SQLite {_text(sqlite)}: use another build of Python, or PostgreSQL in database_url"
        )
    return None


def installed_durable_fault(*, sqlite: bool) -> str | None:
    """Return why DBOS cannot run here, on a SQLite file or a PostgreSQL database; None if it can, or is missing."""
    try:
        dbos = metadata.version("dbos")
    except metadata.PackageNotFoundError:
        return None
    return durable_fault(python=sys.version_info[:3], sqlite=sqlite3.sqlite_version_info if sqlite else None, dbos=dbos)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
