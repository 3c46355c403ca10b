"""Transactions on one database, SQLite or PostgreSQL.

A transaction is an ordinary function over a synchronous SQLAlchemy connection. `Database.write` and `Database.read` run
it in a worker thread, so one transaction costs one thread switch however many statements it has. SQLite has one writer
thread and a few readers; PostgreSQL has a small pool of threads with a connection each.
"""

import asyncio
import copy
import json
import os
import re
import select as select_io
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, Self, TypeVar

import sqlalchemy.orm  # noqa: F401 - statements cannot be built while another thread imports it, as DBOS does
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    FromClause,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    column,
    create_engine,
    event,
    exc,
    func,
    insert,
    inspect,
    literal,
    select,
)
from sqlalchemy import Column as SqlColumn
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.types import TypeEngine
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from channel_adapter.config.extras import needs_store
from channel_adapter.config.values import database_url_fault
from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    ConflictError,
    InvalidError,
    OutcomeUnknownError,
    UnavailableError,
)
from channel_adapter.quoting import shown_text, shown_value

P = ParamSpec("P")
R = TypeVar("R")

LOCK_SECONDS: Final = 2.0
"""How long a transaction waits in all for a lock that another transaction holds."""
THREADS: Final = 8
"""Worker threads, and connections, of a PostgreSQL database."""
READERS: Final = 4
"""Threads that read from a SQLite file beside the one that writes."""
_IDLE_SECONDS: Final = 2
_STATEMENT_SECONDS: Final = 20
_LIBPQ: Final = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}  # fmt: skip
_CREATE_KEY: Final = 7_235_001  # of the transaction-level advisory lock under which PostgreSQL creates tables
_SHOWN: Final = ("host", "port", "sslmode")  # of the query of a URL
_READ_ONLY: Final = "channel_adapter_read_only"
_RELAXED: Final = "channel_adapter_relaxed"
_LOCKED_STATES: Final = frozenset({"55P03", "40P01"})  # lock timeout, deadlock
_TOO_LONG_STATE: Final = "57014"
_ABSENT_STATES: Final = frozenset({"42P01", "42501"})  # a table or permission, which may come back
_FULL_STATES: Final = frozenset({"53100"})

_VERSIONS: Final = Table(
    "channel_adapter_schema",
    MetaData(),
    SqlColumn("area", String(40), primary_key=True),
    SqlColumn("version", Integer, nullable=False),
)


@dataclass(slots=True)
class _State:
    """What all objects of one engine share."""

    key: tuple[int, str] | None = None  # in the registry
    users: int = 1
    closed: bool = False
    file: tuple[int, int] | None = None
    prepared: set[str] = field(default_factory=set)


class ForeignText(TypeDecorator[str]):
    """Text of other systems, stored whole: PostgreSQL refuses NUL, and both databases refuse lone surrogates.

    These characters, and U+001A itself, are stored as U+001A and letters.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Return the text as it is stored."""
        return None if value is None else _UNSTORABLE.sub(lambda found: f"\x1a{ord(found[0]):x};", value)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        """Return the text as it was given."""
        return None if value is None else _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)


_UNSTORABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_NEVER_STORED: Final = re.compile("[\x00\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x1a(0|1a|d[89a-f][0-9a-f]{2});")


def is_storable(text: str, kind: String) -> bool:
    """Return whether both databases can store a text in a column of this type: not too long, without NUL."""
    return (kind.length is None or len(text) <= kind.length) and not _NEVER_STORED.search(text)


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one capability and the version of their shape."""

    name: str
    version: int
    tables: MetaData


class Database:
    """Runs transactions on one URL. Opens nothing before the first of them; works in any event loop.

    `sqlite:///file.db` needs the extra `store`, `postgresql://...` the extra `postgres`. Use `Database.shared` for the
    object that all capabilities of a process share; each user closes it once.
    """

    _registry: ClassVar[dict[tuple[int, str], "Database"]] = {}
    _registry_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, url: str, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """`lock_seconds` is how long a transaction waits in all for locks of other transactions."""
        self.url: URL = parse_url(url)
        self.is_sqlite: bool = self.url.get_backend_name() == "sqlite"
        self.insert: Any = (sqlite if self.is_sqlite else postgresql).insert
        """`insert()` of the dialect, with `on_conflict_do_update` and `on_conflict_do_nothing`."""
        self._lock_seconds = self._engine_lock_seconds = lock_seconds
        self._local = threading.local()
        self._state = _State()
        self.engine: Engine = self._create_engine()
        self._writer = ThreadPoolExecutor(1 if self.is_sqlite else THREADS, thread_name_prefix="store-write")
        self._reader = ThreadPoolExecutor(READERS, thread_name_prefix="store-read") if self.is_sqlite else self._writer

    @classmethod
    def shared(cls, url: str) -> "Database":
        """Return the database object of a URL in this process. Every caller calls `close` once."""
        key = (os.getpid(), parse_url(url).render_as_string(hide_password=False))
        with cls._registry_lock:
            database = cls._registry.get(key)
            if database is None:
                database = cls._registry[key] = cls(url)
                database._state.key = key
            else:
                database._state.users += 1
            return database

    def waiting(self, lock_seconds: float) -> "Database":
        """Return this database with another limit on waiting for locks, for work that no user waits for.

        It shares connections and threads, and is closed together with this object.
        """
        other = copy.copy(self)
        other._lock_seconds = lock_seconds  # noqa: SLF001 - an object of this class
        return other

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    @property
    def name(self) -> str:
        """The URL without password and without query parameters that may hold one."""
        shown = {key: value for key, value in self.url.query.items() if key in _SHOWN}
        return self.url.set(query=shown).render_as_string(hide_password=True)

    async def prepare(self, schema: Schema) -> None:
        """Create the tables of a schema if they are missing.

        Raises ConfigurationError, and changes nothing, for a database that another version of the schema has created.
        """
        if schema.name not in self._state.prepared:
            await self.write(self._create_tables, schema)
            self._state.prepared.add(schema.name)

    async def write(self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in a transaction: committed when it returns, rolled back when it raises.

        A cancelled caller does not interrupt the transaction: it is committed as a whole, or never begins. Raises
        UnavailableError if nothing was stored, OutcomeUnknownError if the commit itself failed, and for what another
        attempt does not change InvalidError (a value that no column takes), ConflictError (a constraint) and
        ConfigurationError (a statement that the database does not execute); nothing was stored then.
        """
        deadline = time.monotonic() + self._lock_seconds
        return await self._run_in_thread(
            self._writer, partial(self._run_write, deadline, self.engine, function, args, kwargs)
        )

    async def write_relaxed(
        self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function as `write` does, without waiting for the disk.

        The transaction survives the end of this process. A power failure may undo it, together with every later
        transaction that `write` has not committed: for changes that are made again from what is stored.
        """
        deadline = time.monotonic() + self._lock_seconds
        return await self._run_in_thread(
            self._writer, partial(self._run_write, deadline, self._relaxed, function, args, kwargs)
        )

    async def execute(self, statement: Executable, values: Sequence[Mapping[str, Any]] | None = None) -> int:
        """Run one statement in a transaction of its own, once for each row of `values`; return the rows it changed."""
        return await self.write(lambda connection: connection.execute(statement, values).rowcount)

    async def commit_one(self, statement: Executable, values: Mapping[str, Any]) -> "Row[Any] | None":
        """Run one statement that is a transaction by itself, and return its first row: one round trip on PostgreSQL.

        SQLite does not wait for the disk, as in `write_relaxed`. Raises UnavailableError, also where the statement may
        have been carried out.
        """
        run = self.write_relaxed if self.is_sqlite else self.read
        return await run(lambda connection: connection.execute(statement, values).first())

    async def has_table(self, table: Table) -> bool:
        """Return whether a table exists. Creates nothing, not even a file."""
        if self.is_sqlite and await asyncio.to_thread(_can_be_created, Path(str(self.url.database))):
            return False
        return await self.read(lambda connection: inspect(connection).has_table(table.name))

    async def read(self, function: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function that only reads. Raises UnavailableError."""
        deadline = time.monotonic() + self._lock_seconds
        return await self._run_in_thread(self._reader, partial(self._run_read, deadline, function, args, kwargs))

    def rows(self, columns: Mapping[str, TypeEngine[Any]], values: Sequence[Sequence[Any]] | None = None) -> FromClause:
        """Return values as a table with these columns, to join other tables with.

        It takes one statement, compiled once, for any number of rows, and the joined table is read by its index: SQLite
        reads the whole table for `(a, b) IN (...)`. Without values the statement is executed with those of
        `row_parameters`, so that it can be built once.
        """
        parameters = None if values is None else self.row_parameters(columns, values)
        if not self.is_sqlite:
            lists = (
                _bind_parameter(f"rows_{name}", parameters, postgresql.ARRAY(kind)) for name, kind in columns.items()
            )
            names = (column(name, kind) for name, kind in columns.items())
            return func.unnest(*lists).table_valued(*names).render_derived()
        each = func.json_each(_bind_parameter("rows", parameters, String())).table_valued("value")
        picked = (
            func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(name)
            for place, (name, kind) in enumerate(columns.items())
        )
        return select(*picked).subquery()

    def row_parameters(self, columns: Iterable[str], values: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Return what a statement with `rows` of these columns is executed with."""
        if self.is_sqlite:
            return {"rows": json.dumps([list(row) for row in values])}
        return {f"rows_{name}": [row[place] for row in values] for place, name in enumerate(columns)}

    def now(self, here: float) -> ColumnElement[Any]:
        """Return the SQL expression for Unix seconds by the clock that all users of this database share.

        On PostgreSQL that is the server's clock; on SQLite, which serves one machine, it is `here`.
        """
        return literal(here) if self.is_sqlite else func.extract("epoch", func.clock_timestamp())

    def time(self, connection: Connection, here: float) -> float:
        """Return Unix seconds by the clock of `now`."""
        return here if self.is_sqlite else float(connection.scalar(select(self.now(here))) or here)

    async def close(self) -> None:
        """Wait for the transactions under way and close every connection, if this was the last user."""
        with self._registry_lock:
            self._state.users -= 1
            if self._state.users > 0 or self._state.closed:
                return
            self._state.closed = True
            if self._state.key is not None:
                del self._registry[self._state.key]
        done: Future[None] = Future()
        threading.Thread(target=self._shut_down, args=(done,), name="store-close").start()
        await asyncio.shield(asyncio.wrap_future(done))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _shut_down(self, done: "Future[None]") -> None:
        try:
            self._writer.shutdown()
            self._reader.shutdown()
            self.engine.dispose()
        except Exception as error:  # noqa: BLE001 - raised by `close`, which waits for this thread
            done.set_exception(error)
        else:
            done.set_result(None)

    async def _run_in_thread(self, threads: ThreadPoolExecutor, transaction: Callable[[], R]) -> R:
        if self._state.closed:
            raise UnavailableError(f"the store {self.name} is closed; nothing was stored")
        return await asyncio.get_running_loop().run_in_executor(threads, transaction)

    def _run_write(
        self,
        deadline: float,
        engine: Engine,
        function: Callable[..., R],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> R:
        with self._open_connection(deadline, engine) as connection:
            with self._translate_errors(changes=False):
                connection.begin()
                self._check_file()
                if not self.is_sqlite and self._lock_seconds != self._engine_lock_seconds:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self._lock_seconds * 1_000)}")
                if engine is self._relaxed and not self.is_sqlite:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                result = function(connection, *args, **kwargs)
            with self._translate_errors(changes=not self.is_sqlite):
                connection.commit()
            return result

    def _run_read(
        self, deadline: float, function: Callable[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> R:
        with self._open_connection(deadline, self._reads) as connection, self._translate_errors(changes=False):
            connection.begin()
            self._check_file()
            return function(connection, *args, **kwargs)

    @contextmanager
    def _open_connection(self, deadline: float, engine: Engine) -> Iterator[Connection]:
        self._local.deadline = deadline
        with self._translate_errors(changes=False):
            connection = engine.connect()
        try:
            yield connection
        finally:
            with self._translate_errors(changes=False):
                connection.close()

    @contextmanager
    def _translate_errors(self, *, changes: bool) -> Iterator[None]:
        """Translate errors of the driver into ours, without the statement and its values."""
        try:
            yield
        except ChannelAdapterError:
            raise
        except (exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise _to_adapter_error(error, shown_text(self.name), changes=changes) from None

    def _check_file(self) -> None:
        """Raise UnavailableError if the SQLite file at our path is no longer the one that was opened."""
        if self.is_sqlite and _file_identity(self.url.database) != self._state.file:
            raise UnavailableError(
                f"the store {self.name} was deleted or replaced while it was open; nothing was stored: restart to use "
                "the file that is there now"
            )

    def _remaining_ms(self) -> int:
        """Return the milliseconds that the transaction of this thread may still wait for a lock, at least 1."""
        return max(1, int((self._local.deadline - time.monotonic()) * 1_000))

    def _create_engine(self) -> Engine:
        if not self.is_sqlite:
            bounds = {
                "lock_timeout": int(self._lock_seconds * 1_000),
                "idle_in_transaction_session_timeout": _IDLE_SECONDS * 1_000,
                "statement_timeout": _STATEMENT_SECONDS * 1_000,
            }
            options = [f"-c {name}={value}" for name, value in bounds.items()]
            options += self.url.normalized_query.get("options", ())  # the last one of a name counts
            connect = {"options": " ".join(options), **libpq_options(self.url)}
            engine = create_engine(
                self.url, connect_args=connect, pool_size=THREADS, max_overflow=0, hide_parameters=True
            )
            event.listen(engine, "checkout", _require_open)
            self._relaxed = engine.execution_options(**{_RELAXED: True})
            # Statements of READ COMMITTED see no common snapshot, so autocommit reads the same with fewer round trips.
            self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")
            return engine
        engine = create_engine(self.url, pool_size=READERS + 1, max_overflow=0, hide_parameters=True)
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._set_up_connection)
        event.listen(engine, "begin", self._begin_transaction)
        self._reads = engine.execution_options(**{_READ_ONLY: True})
        self._relaxed = engine.execution_options(**{_RELAXED: True})
        return engine

    def _before_connect(self, _dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["timeout"] = self._remaining_ms() / 1_000
        if self._state.file is not None:  # a file that has gone is not created again
            self._check_file()
        else:
            with suppress(OSError):  # a missing folder is reported by SQLite
                os.close(os.open(str(self.url.database), os.O_CREAT | os.O_RDWR, 0o600))

    def _set_up_connection(self, connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin in _begin_transaction
        use_write_ahead_log(connection, self._remaining_ms() / 1_000)
        if self._state.file is None:
            self._state.file = _file_identity(self.url.database)

    def _begin_transaction(self, connection: Connection) -> None:
        options = connection.get_execution_options()
        begin = connection.connection.cursor().execute  # without the work of SQLAlchemy for a statement of its own
        if options.get(_READ_ONLY):
            begin("BEGIN")
        else:
            begin(f"PRAGMA synchronous={'NORMAL' if options.get(_RELAXED) else 'FULL'}")
            begin(f"PRAGMA busy_timeout={self._remaining_ms()}")
            begin("BEGIN IMMEDIATE")

    def _create_tables(self, connection: Connection, schema: Schema) -> None:
        if not self.is_sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(_CREATE_KEY)))
        _VERSIONS.create(connection, checkfirst=True)
        stored = connection.scalar(select(_VERSIONS.c.version).where(_VERSIONS.c.area == schema.name))
        if stored is None:
            schema.tables.create_all(connection)
            connection.execute(insert(_VERSIONS).values(area=schema.name, version=schema.version))
        elif stored != schema.version:
            raise ConfigurationError(
                f"the database {self.name} was created by another version of channel-adapter: its tables for "
                f"{schema.name} have version {stored}, this program needs {schema.version}; use a new database",
                field="database_url",
            )


def libpq_options(url: URL) -> dict[str, int]:
    """Return options of libpq, unless the URL has them, that bound connecting, and a network that falls silent.

    Without them a connection ends 15 minutes after the last answer, and not after 25 s. Firewalls forget idle
    connections, and then drop what is sent on them.
    """
    return {name: value for name, value in _LIBPQ.items() if name not in url.query}


def _require_open(connection: Any, *_: object) -> None:
    """Let the pool replace a connection that the server, or what is between, has closed since it was last used.

    Asking the server would cost every transaction a round trip.
    """
    import psycopg  # noqa: PLC0415 - an extra

    try:
        while _has_input(connection.fileno()):
            connection.pgconn.consume_input()  # notices, or the reason of the end; then the end itself, which raises
    except psycopg.Error:
        raise exc.DisconnectionError from None


def _has_input(socket: int) -> bool:
    if sys.platform == "win32":
        return bool(select_io.select([socket], [], [], 0)[0])
    poll = select_io.poll()
    poll.register(socket, select_io.POLLIN)
    return bool(poll.poll(0))


def _bind_parameter(name: str, parameters: Mapping[str, Any] | None, kind: TypeEngine[Any]) -> "BindParameter[Any]":
    return bindparam(name, type_=kind) if parameters is None else bindparam(None, parameters[name], kind)


def use_write_ahead_log(connection: sqlite3.Connection, seconds: float) -> None:
    """Switch a SQLite file to a write-ahead log that survives a power failure.

    SQLite does not wait for a lock while it switches, so the switch is repeated for up to `seconds` while other
    connections open the same file.
    """
    for attempt in Retrying(
        retry=retry_if_exception(_is_busy), stop=stop_after_delay(seconds), wait=wait_random(0.002, 0.02), reraise=True
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _can_be_created(file: Path) -> bool:
    return not file.exists() and file.parent.is_dir()


def _file_identity(path: str | None) -> tuple[int, int] | None:
    try:
        status = os.stat(str(path))  # noqa: PTH116 - the fastest call, once a transaction
    except OSError:
        return None
    return status.st_dev, status.st_ino


def driver_message(error: Exception) -> str:
    """Return up to 200 characters of the driver's message of an error, without the statement and stored values."""
    cause = getattr(error, "orig", None) or error
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)  # of PostgreSQL: without LINE and DETAIL
    return " ".join(str(primary or cause).split())[:200]


def _to_adapter_error(error: Exception, where: str, *, changes: bool) -> ChannelAdapterError:
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    state = getattr(cause, "sqlstate", None)
    if isinstance(error, exc.TimeoutError) or _is_busy(cause):
        return UnavailableError(f"the store {where} is locked by another process; nothing was stored")
    if state == _TOO_LONG_STATE:
        return UnavailableError(
            f"the store {where} did not finish a statement within {_STATEMENT_SECONDS} s; nothing was stored"
        )
    if state in _LOCKED_STATES:
        return UnavailableError(f"the store {where} is locked by another transaction; nothing was stored")
    if code == sqlite3.SQLITE_FULL or state in _FULL_STATES:
        return UnavailableError(f"the store {where} is full; nothing was stored")
    text = driver_message(error)
    if isinstance(error, exc.DataError) or type(error) is exc.StatementError:
        return InvalidError(f"the store {where} cannot store a value: {text}; nothing was stored")
    if isinstance(error, exc.IntegrityError):
        return ConflictError(f"the store {where} has rows that do not allow it: {text}; nothing was stored")
    if isinstance(error, (exc.ProgrammingError, exc.NotSupportedError)) and state not in _ABSENT_STATES:
        return ConfigurationError(
            f"the store {where} does not execute a statement: {text}; nothing was stored", field="database_url"
        )
    if changes:
        return OutcomeUnknownError(f"the store {where} failed while committing: {text}; it may have been stored")
    return UnavailableError(f"the store {where} failed: {text}; nothing was stored")


def parse_url(url: str) -> URL:
    """Return a database URL with the driver that we use.

    Raises ConfigurationError for other databases, for SQLite without a file, and for a missing extra.
    """
    if fault := database_url_fault(url):
        raise ConfigurationError(f"database_url: {fault}", field="database_url")
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigurationError(
            "database_url is not a database URL: use sqlite:///file.db or postgresql://host/name", field="database_url"
        ) from None
    backend = parsed.get_backend_name()
    drivers = {"sqlite": "pysqlite", "postgresql": "psycopg"}
    if backend not in drivers:
        raise ConfigurationError(
            f"database_url: {shown_value(backend)} is neither sqlite nor postgresql", field="database_url"
        )
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("database_url: SQLite needs a file: sqlite:///file.db", field="database_url")
    if backend == "postgresql":
        with needs_store(url):
            try:
                import psycopg  # noqa: F401, PLC0415 - an extra
            except ImportError as error:  # also without a libpq, which the extra brings
                raise ModuleNotFoundError(str(error), name="psycopg") from None
    return parsed.set(drivername=f"{backend}+{drivers[backend]}")
