"""The database that DBOS keeps jobs in.

SQLite: a file beside the given one (`adapter.db` -> `adapter.dbos.db`), so that the two never wait for each other.
PostgreSQL: the schema `dbos` of the given database.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from channel_adapter.config.extras import installed_durable_fault
from channel_adapter.errors import ConfigurationError, UnavailableError
from channel_adapter.quoting import shown_text
from channel_adapter.store.database import driver_message, libpq_options, parse_url, use_write_ahead_log
from channel_adapter.tencent.redaction import redact_text

P = ParamSpec("P")
R = TypeVar("R")

_CONNECTIONS: Final = 8
_CONNECT_SECONDS: Final = 5
_THREADS: Final = 3
_ROOM: Final = 65_536  # bytes; more than the outcome of a job takes


class JobDatabase:
    """Connections and threads for calls of DBOS. Opens nothing before `open`."""

    def __init__(self, url: str) -> None:
        """Raise ConfigurationError for a bad URL and for versions that DBOS cannot run with."""
        self.url = _job_url(parse_url(url))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if fault := installed_durable_fault(sqlite=self.is_sqlite):
            raise ConfigurationError(fault, field="database_url")
        self.engine: Engine | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="jobs")

    @property
    def name(self) -> str:
        """The URL without password and query."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    async def open(self) -> Engine:
        """Connect. Raises UnavailableError."""
        self.engine = await self.run(_create_engine, self.url)
        return self.engine

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function that waits for the database in a thread. Raises UnavailableError."""
        with self.explained():
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Translate errors of the database in a block into UnavailableError with its name and the cause."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError(self.explain(error)) from None

    def explain(self, error: Exception) -> str:
        """Return a message with the name of the database and what the driver says, without statement and values."""
        cause = redact_text(driver_message(error))
        return f"the database for durable work, {shown_text(self.name)}, cannot be used: {cause}"

    async def check_room(self) -> None:
        """Raise UnavailableError if a SQLite file cannot grow: DBOS repeats a write without an end.

        A server with a full disk refuses all its clients, so it is not asked.
        """
        if self.engine is not None and self.is_sqlite:
            await self.run(_fill_and_empty, self.engine)

    async def close(self) -> None:
        """Close every connection: idle ones now, each of the others when it is returned."""
        if self.engine is not None:
            await self.run(_dispose_engine, self.engine)
            self.engine = None
        self._threads.shutdown(wait=False)


def _job_url(url: URL) -> URL:
    if url.get_backend_name() != "sqlite":
        return url
    root, suffix = os.path.splitext(str(url.database))  # noqa: PTH122 - text in, text out
    return url.set(drivername="sqlite", database=f"{root}.dbos{suffix}")


def _create_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        engine = create_engine(
            url,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args=libpq_options(url),
        )
    else:
        # SQLite has one writer: waiting for the only connection takes less than finding the file locked.
        engine = create_engine(url, pool_size=1, max_overflow=0, hide_parameters=True)
        if Path(str(url.database)).parent.is_dir():  # a missing folder is reported by SQLite
            os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR, 0o600))
        event.listen(engine, "connect", _set_up_connection)
    engine.connect().close()
    return engine


def _set_up_connection(connection: Any, _: object) -> None:
    connection.isolation_level = "IMMEDIATE"  # as DBOS has it for engines of its own
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")
    use_write_ahead_log(connection, _CONNECT_SECONDS)


def _dispose_engine(engine: Engine) -> None:
    event.listen(engine.pool, "checkin", lambda _, record: record.invalidate())
    engine.dispose()


def _fill_and_empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))  # the driver itself begins none before a table is created
        connection.execute(text("CREATE TABLE channel_adapter_room (filler BLOB)"))
        connection.execute(text("INSERT INTO channel_adapter_room VALUES (zeroblob(:size))"), {"size": _ROOM})
        connection.execute(text("DROP TABLE channel_adapter_room"))
