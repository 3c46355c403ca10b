"""Optional libraries: which extra installs them, and which versions work together."""

import re
import sqlite3
import sys
from importlib import metadata
from typing import Final

from channel_adapter.errors import ConfigurationError

_EXTRAS: Final = {
    "sqlalchemy": ("SQLAlchemy", "durable"),  # capabilities that need `store` alone report it by `missing_extra`
    "dbos": ("DBOS", "durable"),
    "psycopg": ("psycopg", "postgres"),
    "feedparser": ("feedparser", "feeds"),
}


def missing_extra(
    need: str, extra: str, database_url: str | None = None, *, field: str | None = "database_url"
) -> ConfigurationError:
    """Return the error for a missing extra: `need`, and what to install for it and for the database of the URL."""
    postgres = database_url is not None and database_url.startswith("postgresql") and extra in ("store", "durable")
    install = {"store": "postgres", "durable": "durable,postgres"}[extra] if postgres else extra
    return ConfigurationError(f"{need}: pip install 'channel-adapter[{install}]'", field=field)


def missing_store(database_url: str) -> ConfigurationError:
    """Return the error for a database without SQLAlchemy."""
    return missing_extra("database_url needs SQLAlchemy", "store", database_url)


def lacking(error: ModuleNotFoundError, database_url: str | None = None) -> ConfigurationError | None:
    """Return what to install when a library of an extra is missing; None for any other module."""
    library, extra = _EXTRAS.get((error.name or "").partition(".")[0], (None, ""))
    return missing_extra(f"this needs {library}", extra, database_url, field=None) if library else None


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
