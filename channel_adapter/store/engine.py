"""One database of an adapter, SQLite or PostgreSQL: transactions, schema versions, and what failures mean.

SQLAlchemy is imported here and nowhere above: who stores nothing never loads it.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Integer, MetaData, String, Table, event, exc, func, insert, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from channel_adapter.errors import ChannelAdapterError, ConfigurationError, OutcomeUnknownError, UnavailableError
from channel_adapter.settings_values import database_url_fault

LOCK_SECONDS: Final = 2.0
"""How long a transaction waits for another one before the store counts as locked."""
_STATEMENT_SECONDS: Final = 20.0
_LEFT_SECONDS: Final = 1.0  # how long closing waits for connections whose users were cancelled
_CONNECT_SECONDS: Final = 5
_SETTING_UP: Final = 7_235_001  # key of the advisory lock on PostgreSQL under which tables are made
_SHOWN: Final = ("host", "port", "sslmode")  # of the query of a URL
_READ_ONLY: Final = "channel_adapter_read_only"

_VERSIONS: Final = Table(
    "channel_adapter_schema",
    MetaData(),
    Column("area", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Area:
    """The tables of one capability, and the version of their shape. `upgrades[n]` leads from version n to n + 1."""

    name: str
    version: int
    tables: MetaData
    upgrades: tuple[Callable[[Any], None], ...] = ()


class Database:
    """The engine of one URL. Make it in the event loop it is used in; nothing is opened before the first transaction.

    `sqlite:///file.db` needs the extra `store`, `postgresql://...` the extra `postgres`.
    """

    def __init__(self, url: str, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """`lock_seconds`: how long a transaction waits for another one's rows; short where a person waits."""
        self.url = _with_driver(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _engine(self.url, lock_seconds, is_sqlite=self.is_sqlite)
        self._reads = self._engine.execution_options(**{_READ_ONLY: True})
        # SQLite has one writer: ours queue here, in order; those elsewhere are waited for by the file.
        self._writer = asyncio.Lock()
        self._ready: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """The URL as people may see it: a password may stand in its query, too."""
        shown = {key: value for key, value in self.url.query.items() if key in _SHOWN}
        return self.url.set(query=shown).render_as_string(hide_password=True)

    async def prepare(self, area: Area) -> None:
        """Make or upgrade the tables of an area, once. Raises ConfigurationError for a newer schema, changing nothing.

        Several processes may start at once: the second one waits for the first.
        """
        if area.name in self._ready:
            return
        async with self.writing() as connection:
            if not self.is_sqlite:
                await connection.execute(select(func.pg_advisory_xact_lock(_SETTING_UP)))
            await connection.run_sync(lambda sync: _set_up(sync, area))
        self._ready.add(area.name)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Raises UnavailableError."""
        async with self._connection(self._reads) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back on any error.

        Raises UnavailableError when nothing was written, OutcomeUnknownError when the commit itself went wrong.
        """
        async with self._turn(), self._connection(self._engine) as connection:
            await connection.begin()
            yield connection
            with self._explained(changes=not self.is_sqlite):
                await connection.commit()

    async def now(self, connection: AsyncConnection, here: float) -> float:
        """Unix seconds by the one clock that all processes of this database share: a server's own, or `here`."""
        if self.is_sqlite:
            return here
        found = await connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
        return float(found or here)

    async def close(self) -> None:
        """Close every connection."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=_LEFT_SECONDS)
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection, given back at the end. One whose opening is cut short is given back when it is open."""
        opening = asyncio.ensure_future(_open(engine))
        try:
            with self._explained(changes=False):
                yield await asyncio.shield(opening)
        finally:
            closing = asyncio.ensure_future(_closed(opening))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            if opening.done():  # a database that cannot be reached holds up nobody who was cancelled
                await asyncio.shield(closing)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self.is_sqlite:
            async with self._writer:
                yield
        else:
            yield

    def _explained(self, *, changes: bool) -> "_Explained":
        return _Explained(self, changes)


class _Explained:
    """Turns what the driver raises into an error of ours, without the statement and its values."""

    def __init__(self, database: Database, changes: bool) -> None:
        self._database = database
        self._changes = changes

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, exc.SQLAlchemyError | OSError) and not isinstance(error, ChannelAdapterError):
            raise _translated(error, self._database, self._changes) from None


async def _open(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def _closed(opening: "asyncio.Task[AsyncConnection]") -> None:
    try:
        connection = await opening
    except (exc.SQLAlchemyError, OSError):  # its caller was told
        return
    try:
        await connection.close()
    except exc.SQLAlchemyError:
        await connection.invalidate()


def _translated(error: Exception, database: Database, changes: bool) -> ChannelAdapterError:
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split())
    where = database.name
    if isinstance(error, exc.TimeoutError) or any(word in said for word in ("locked", "lock timeout", "deadlock")):
        return UnavailableError(f"the store {where} is locked by somebody else; nothing was stored")
    if any(word in said for word in ("full", "No space", "DiskFull")):
        return UnavailableError(f"the store {where} is full; nothing was stored")
    kind = OutcomeUnknownError if changes else UnavailableError
    suffix = "it may have been stored" if changes else "nothing was stored"
    return kind(f"the store {where} failed: {said[:200]}; {suffix}")


def _with_driver(url: str) -> URL:
    """The URL with the driver we use. Raises ConfigurationError for other databases and for missing extras."""
    if fault := database_url_fault(url):
        raise ConfigurationError(f"database_url: {fault}", field="database_url")
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigurationError("database_url is no database URL: sqlite:///file.db or postgresql://host/name",
                                 field="database_url") from None  # fmt: skip
    backend = parsed.get_backend_name()
    drivers = {"sqlite": ("aiosqlite", "store"), "postgresql": ("psycopg", "postgres")}
    if backend not in drivers:
        raise ConfigurationError(f"database_url: {backend!r} is neither sqlite nor postgresql", field="database_url")
    driver, extra = drivers[backend]
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("database_url: SQLite needs a file: sqlite:///file.db", field="database_url")
    try:
        __import__(driver)
    except ImportError:
        raise ConfigurationError(
            f"database_url needs {driver}: pip install 'channel-adapter[{extra}]'", field="database_url"
        ) from None
    return parsed.set(drivername=f"{backend}+{driver}")


def _engine(url: URL, lock_seconds: float, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        bounds = f"-c lock_timeout={lock_seconds:.0f}s -c statement_timeout={_STATEMENT_SECONDS:.0f}s"
        connect = {"options": bounds, "connect_timeout": _CONNECT_SECONDS}
        return create_async_engine(url, connect_args=connect, pool_size=5, max_overflow=10, pool_timeout=10)
    connect = {"timeout": lock_seconds, "async_creator_fn": _opened}
    engine = create_async_engine(url, connect_args=connect, pool_size=5, pool_timeout=10)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        reads = connection.get_execution_options().get(_READ_ONLY)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    @event.listens_for(engine.sync_engine, "invalidate")
    def end(connection: Any, _: object, cause: BaseException | None) -> None:
        """A cancelled statement keeps its closed connection alive, and so the lock on the file, until it is freed."""
        if cause is not None:
            connection.run_async(_rolled_back)

    return engine


async def _rolled_back(connection: Any) -> None:
    """Ends the transaction whatever happens to the caller. The connection is closed afterwards by who called."""
    # The file is gone, or the connection closed: no lock is held. Or a second cancellation: the first goes on its way.
    with suppress(sqlite3.Error, ValueError, asyncio.CancelledError):
        await asyncio.shield(connection.rollback())


async def _opened(*where: Any, **how: Any) -> Any:
    """A connection to a file. One that fails has a thread, which must have ended before the event loop does."""
    import aiosqlite  # noqa: PLC0415 - not for those who use PostgreSQL

    with suppress(OSError):  # it exists, or SQLite itself reports why it cannot
        os.close(os.open(str(where[0]), os.O_CREAT | os.O_RDWR, 0o600))
    connection = aiosqlite.connect(*where, **how)
    thread = connection._thread  # noqa: SLF001 - it has no other name
    thread.daemon = True
    try:
        return await connection
    except sqlite3.Error:
        await asyncio.to_thread(thread.join)
        raise


def _set_up(connection: Any, area: Area) -> None:
    _VERSIONS.create(connection, checkfirst=True)
    held = connection.scalar(select(_VERSIONS.c.version).where(_VERSIONS.c.area == area.name))
    if held is None:
        area.tables.create_all(connection)
        connection.execute(insert(_VERSIONS).values(area=area.name, version=area.version))
        return
    if held > area.version:
        raise ConfigurationError(
            f"the database holds version {held} of {area.name}; this program knows up to {area.version}: update it",
            field="database_url",
        )
    for upgrade in area.upgrades[held - 1 :]:
        upgrade(connection)
    if held < area.version:
        connection.execute(
            text("UPDATE channel_adapter_schema SET version = :version WHERE area = :area"),
            {"version": area.version, "area": area.name},
        )
