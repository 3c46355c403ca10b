"""Optional libraries: which extra installs them, and which versions work together."""

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import Final

from channel_adapter.errors import ConfigurationError

_EXTRAS: Final = {
    "sqlalchemy": ("SQLAlchemy", "durable"),
    "dbos": ("DBOS", "durable"),
    "psycopg": ("psycopg", "postgres"),
    "feedparser": ("feedparser", "feeds"),
    "opentelemetry": ("OpenTelemetry", "otel"),
    "prometheus_client": ("prometheus-client", "otel"),
    "segno": ("segno", "invites"),
    "PIL": ("Pillow", "media"),
    "obstore": ("obstore", "media"),
    "anyio": ("anyio", "sync"),
    "aiohttp_jinja2": ("aiohttp-jinja2", "console"),
    "argon2": ("argon2-cffi", "console"),
    "babel": ("Babel", "console"),
    "jinja2": ("Jinja2", "console"),
}
"""Modules of optional libraries: the library's name, and the extra that installs it where none is named."""


def missing_extra(
    error: ModuleNotFoundError,
    subject: str = "this",
    *,
    extra: str | None = None,
    database_url: str | None = None,
    hint: str = "",
    field: str | None = None,
) -> ConfigurationError | None:
    """Return which extra of this package installs the module that an import did not find; None for other modules.

    The message is "`subject` needs LIBRARY`hint`: pip install ...", with the extra of PostgreSQL where `database_url`
    is such a database.
    """
    library, default = _EXTRAS.get((error.name or "").partition(".")[0], (None, ""))
    if library is None:
        return None
    install = extra or default
    if database_url is not None and database_url.startswith("postgresql"):
        install = {"store": "postgres", "durable": "durable,postgres"}.get(install, install)
    return ConfigurationError(f"{subject} needs {library}{hint}: pip install 'channel-adapter[{install}]'", field=field)


@contextmanager
def needs_extra(
    subject: str = "this",
    *,
    extra: str | None = None,
    database_url: str | None = None,
    hint: str = "",
    field: str | None = None,
) -> Iterator[None]:
    """Raise ConfigurationError with the words of `missing_extra` where an import in the block lacks a library."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_extra(error, subject, extra=extra, database_url=database_url, hint=hint, field=field)
        if missing is None:
            raise
        raise missing from None


def needs_store(database_url: str) -> AbstractContextManager[None]:
    """Return `needs_extra` for a block that opens the database of the settings."""
    return needs_extra("database_url", extra="store", database_url=database_url, field="database_url")


def driver_fault(database_url: str) -> str | None:
    """Return which extra the database of the settings needs if its libraries are missing, else None."""
    modules = ("sqlalchemy", "psycopg") if database_url.startswith("postgresql") else ("sqlalchemy",)
    for module in modules:
        if not is_installed(module):
            missing = missing_extra(
                ModuleNotFoundError(name=module), "database_url", extra="store", database_url=database_url
            )
            return missing.message if missing else None
    return None


def is_installed(module: str) -> bool:
    """Return whether an optional module can be imported, without importing it."""
    return find_spec(module) is not None


DBOS_FROM: Final = (3, 4)
DBOS_BELOW: Final = (4, 0)
_SUBSECONDS: Final = (3, 42)
"""From this version on SQLite has `unixepoch('subsec')`, which DBOS uses on Python 3.12 and newer."""


def durable_fault(*, python: tuple[int, ...], sqlite: tuple[int, ...] | None, dbos: str) -> str | None:
    """Return why DBOS cannot run with these versions, None if it can. `sqlite` is None for a PostgreSQL database."""
    found = tuple(int(part) for part in re.findall(r"\d+", dbos)[:2])
    if not DBOS_FROM <= found < DBOS_BELOW:
        return (
            f"durable work needs DBOS {_format_version(DBOS_FROM)} or newer"
            f" and older than {_format_version(DBOS_BELOW)}, and {dbos} is installed:"
            " pip install 'channel-adapter[durable]'"
        )
    if sqlite is not None and python >= (3, 12) and sqlite < _SUBSECONDS:
        return (
            f"durable work in a SQLite file needs SQLite {_format_version(_SUBSECONDS)} or newer"
            f" on Python {_format_version(python[:2])}, which has SQLite {_format_version(sqlite)}:"
            " use another build of Python, or PostgreSQL in database_url"
        )
    return None


def installed_durable_fault(*, sqlite: bool) -> str | None:
    """Return why DBOS cannot run here, on a SQLite file or a PostgreSQL database; None if it can, or is missing."""
    try:
        dbos = metadata.version("dbos")
    except metadata.PackageNotFoundError:
        return None
    return durable_fault(python=sys.version_info[:3], sqlite=sqlite3.sqlite_version_info if sqlite else None, dbos=dbos)


def require_durable(database_url: str) -> None:
    """Raise ConfigurationError if DBOS is missing, or cannot run here in this database. Imports nothing."""
    with needs_extra(extra="durable", database_url=database_url):
        for module in ("sqlalchemy", "dbos"):
            if not is_installed(module):
                raise ModuleNotFoundError(name=module)
    if fault := installed_durable_fault(sqlite=not database_url.startswith("postgresql")):
        raise ConfigurationError(fault, field="database_url")


def _format_version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
