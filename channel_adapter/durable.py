"""Durable work: DBOS, started once a process, so that what was begun is finished, whoever is killed meanwhile.

One engine a process serves all features: `await Durable.start(url, Feature(...))`, and `await durable.stop()` by each
who started it. Every run of a process is an executor of its own. A lock that dies with the process tells who still
lives; work that a dead executor left is taken over within seconds by whoever shares the database and knows the feature.

SQLite: DBOS keeps its tables in a file beside the given one (`adapter.db` -> `adapter.dbos.db`), so that the two never
wait for each other. PostgreSQL: a schema `dbos` in the given database. DBOS and SQLAlchemy are imported at the start.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, Self, TypeVar

import structlog

from channel_adapter.errors import ConfigurationError, UnavailableError
from channel_adapter.extras import installed_durable_fault, missing_extra
from channel_adapter.settings_values import database_url_fault
from channel_adapter.tencent.redaction import redact_text

if TYPE_CHECKING:
    from dbos import DBOSClient
    from sqlalchemy import Engine

    from channel_adapter.liveness import Liveness

P = ParamSpec("P")
R = TypeVar("R")

APPLICATION: Final = "channel-adapter"
VERSION: Final = "1"  # fixed: an update of the package goes on with the work of the one before
TAKE_OVER_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.5
_LISTEN_SECONDS: Final = 0.2  # also how long the listener may delay the end
_CONNECTIONS: Final = 8
_CONNECT_SECONDS: Final = 5
_TAKEN_AT_ONCE: Final = 1000
_ROOM: Final = 65_536  # bytes that an outcome of a workflow may take, generously
_EXPECTED: Final = "Asyncio task cancelled"  # how a workflow ends that is left to be taken over
_NEED: Final = "durable work needs DBOS"

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.durable"))


@dataclass(frozen=True, slots=True)
class Feature:
    """What this process can run: the names of workflows, and the queue (called `name`) that they are taken over by.

    A process never touches work of features it did not start with. `concurrency` bounds what it takes from the queue.
    """

    name: str
    workflows: tuple[str, ...]
    concurrency: int | None = None


class Durable:
    """The engine of this process. Use `start`, or `running` as a block."""

    _running: ClassVar["Durable | None"] = None

    def __init__(self, url: str) -> None:
        self.executor_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._url = _database(url)
        self._features: dict[str, Feature] = {}
        self._users = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="durable")
        self._launched: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._engine: Engine | None = None
        self._liveness: Liveness | None = None

    def __repr__(self) -> str:
        return f"Durable({self._url.render_as_string(hide_password=True)!r}, executor_id={self.executor_id!r})"

    @classmethod
    async def start(cls, url: str, feature: Feature) -> Self:
        """The engine of this process, launched by the first who asks; call it in the event loop that runs workflows.

        The workflows of `feature` must be decorated (`@DBOS.workflow(name=...)`) before. Raises ConfigurationError for
        a missing extra, a bad URL, and another URL than the one in use; UnavailableError when it cannot be reached.
        """
        engine = cls._running
        if engine is None:
            cls._running = engine = cls(url)
            engine._launched = asyncio.ensure_future(engine._launch(feature))
        elif engine._url != _database(url):
            raise ConfigurationError("one process has one database for durable work", field="database_url")
        if not isinstance(engine, cls) or engine._launched is None:
            raise TypeError("another kind of engine runs in this process")
        engine._users += 1
        try:
            await asyncio.shield(engine._launched)
            await engine._join(feature)
        except BaseException:
            await engine.stop()
            raise
        return engine

    async def stop(self) -> None:
        """End what `start` began; the last one stops the engine. Workflows under way stay to be taken over."""
        self._users -= 1
        if self._users > 0 or Durable._running is not self:
            return
        if self._launched is not None:  # a caller of `start` that was cancelled leaves it under way
            await asyncio.wait([self._launched])
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        try:
            await self.in_thread(self._destroy)
        finally:
            Durable._running = None
            self._threads.shutdown(wait=False)
            # DBOS lends the loop its threads, which are gone now.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a call of DBOS that waits for the database, in a thread of the engine. Raises UnavailableError."""
        loop = asyncio.get_running_loop()
        with self.explained():
            return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what the database of DBOS raises in a block into UnavailableError, which says where and why."""
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - with DBOS, when it is needed

        try:
            yield
        except (SQLAlchemyError, OSError) as wrong:
            where = self._url.set(query={}).render_as_string(hide_password=True)
            said = cause_of(wrong)
            raise UnavailableError(f"the database for durable work, {where}, cannot be used: {said}") from None

    async def check_room(self) -> None:
        """Does the database still take what is written? DBOS itself would try again for ever. Raises UnavailableError.

        Only for SQLite; a server is asked in vain by everybody when its disk is full.
        """
        if self._engine is not None and self._url.get_backend_name() == "sqlite":
            await self.in_thread(_fill_and_empty, self._engine)

    async def take_over(self) -> int:
        """Queue what dead executors left of our features, at once; how much. It happens by itself every 2 seconds."""
        return await self.in_thread(self._take_over)

    async def _launch(self, first: Feature) -> None:
        _tell_logs()
        try:
            from dbos import DBOS, DBOSConfig  # noqa: PLC0415 - slow, and in an extra

            from channel_adapter.liveness import liveness_of  # noqa: PLC0415 - as above
        except ImportError:
            raise missing_extra(_NEED, "durable", self._url.drivername) from None
        _require_versions(self._url)
        with self.explained():
            self._engine = engine = await self.in_thread(_connected, self._url)
            self._liveness = await self.in_thread(liveness_of, self._url, self.executor_id)
            config: DBOSConfig = {
                "name": APPLICATION,
                "application_version": VERSION,
                "executor_id": self.executor_id,
                "system_database_url": self._url.render_as_string(hide_password=False),
                "system_database_engine": engine,
                "enable_otlp": False,
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": _LISTEN_SECONDS,
            }
            DBOS(config=config)
            DBOS.listen_queues([first.name])  # where it exists already, work begins a second sooner
            DBOS.launch()  # in the loop's own thread: DBOS runs coroutines in the loop that it is launched from
        self._watch = asyncio.ensure_future(self._keep_taking_over())

    async def _join(self, feature: Feature) -> None:
        if feature.name in self._features:
            return
        from dbos import DBOS  # noqa: PLC0415 - as above
        from dbos._dbos import _get_dbos_instance  # noqa: PLC0415 - see below

        await self.in_thread(
            DBOS.register_queue,
            feature.name,
            worker_concurrency=feature.concurrency,
            polling_interval_sec=_POLL_SECONDS,
            on_conflict="always_update",
        )
        self._features[feature.name] = feature
        # DBOS wants all queues named before it starts; features start one after the other.
        _get_dbos_instance()._listening_queues = list(self._features)  # noqa: SLF001
        await self.take_over()

    async def _keep_taking_over(self) -> None:
        while True:
            await asyncio.sleep(TAKE_OVER_SECONDS)
            try:
                await self.take_over()
            except Exception as trouble:  # noqa: BLE001 - a lost database comes back; looking after others goes on
                _log.warning("durable.take_over_failed", error=redact_text(str(trouble))[:200])

    def _take_over(self) -> int:
        if self._liveness is None:
            return 0
        self._liveness.renew()
        taken = 0
        for executor in {row for row, _ in self._left_pending()} - {self.executor_id}:
            with self._liveness.proof_of_death(executor) as dead:
                if dead:
                    taken += self._requeue(executor)
        return taken

    def _requeue(self, executor: str) -> int:
        """Only under the proof of death: two who take over the same work would run it twice."""
        from dbos import DBOS  # noqa: PLC0415 - as above

        by_queue: dict[str, list[str]] = defaultdict(list)
        for _, (workflow_id, name) in self._left_pending(executor):
            by_queue[self._queue_of(name)].append(workflow_id)
        for queue, workflows in by_queue.items():
            DBOS.resume_workflows(workflows, queue_name=queue)
        taken = sum(map(len, by_queue.values()))
        if taken:
            _log.info("durable.taken_over", executor=executor, workflows=taken)
        return taken

    def _left_pending(self, executor: str | None = None) -> list[tuple[str, tuple[str, str]]]:
        from dbos import DBOS  # noqa: PLC0415 - as above

        names = [name for feature in self._features.values() for name in feature.workflows]
        if not names:
            return []
        rows = DBOS.list_workflows(
            status="PENDING",
            name=names,
            executor_id=executor,
            limit=_TAKEN_AT_ONCE,
            load_input=False,
            load_output=False,
        )
        return [(row.executor_id or "", (row.workflow_id, row.name)) for row in rows]

    def _queue_of(self, workflow: str) -> str:
        return next(feature.name for feature in self._features.values() if workflow in feature.workflows)

    def _destroy(self) -> None:
        if self._engine is None:
            return
        from dbos import DBOS  # noqa: PLC0415 - as above

        DBOS.destroy()
        if self._liveness is not None:
            self._liveness.release()
        _dispose(self._engine)


def cause_of(wrong: Exception) -> str:
    """What the driver of the database said, in one line, without the statement and its values."""
    return redact_text(" ".join(str(getattr(wrong, "orig", None) or wrong).split())[:200])


@asynccontextmanager
async def running(url: str, feature: Feature) -> AsyncIterator[Durable]:
    """The engine for the length of a block."""
    durable = await Durable.start(url, feature)
    try:
        yield durable
    finally:
        await durable.stop()


@contextmanager
def enqueue_client(url: str) -> Iterator["DBOSClient"]:
    """A client of DBOS that queues work for other processes and runs none. Blocks while it connects.

    Raises UnavailableError when no engine has ever run on this database.
    """
    database = _database(url)
    from dbos import DBOSClient  # noqa: PLC0415 - slow, and in an extra
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    _require_versions(database)
    _tell_logs()
    try:
        engine = _connected(database)
    except (SQLAlchemyError, OSError):
        raise UnavailableError("the database for durable work cannot be reached") from None
    try:
        client = DBOSClient(system_database_engine=engine, application_name=APPLICATION)
        try:
            yield client
        finally:
            client.destroy()
    finally:
        _dispose(engine)


def _database(url: str) -> Any:
    """The URL that DBOS gets, with the driver we use."""
    try:
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - as above
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above
    except ImportError:
        raise missing_extra(_NEED, "durable", url) from None
    if fault := database_url_fault(url):
        raise ConfigurationError(f"database_url: {fault}", field="database_url")
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigurationError("database_url is no database URL", field="database_url") from None
    match parsed.get_backend_name(), parsed.database:
        case "postgresql", _:
            return parsed.set(drivername="postgresql+psycopg")
        case "sqlite", str(file) if file not in ("", ":memory:"):
            root, suffix = os.path.splitext(file)  # noqa: PTH122 - text in, text out
            return parsed.set(drivername="sqlite", database=f"{root}.dbos{suffix}")
    raise ConfigurationError("durable work needs sqlite:///file.db or postgresql://host/name", field="database_url")


def _require_versions(url: Any) -> None:
    if fault := installed_durable_fault(sqlite=url.get_backend_name() == "sqlite"):
        raise ConfigurationError(fault, field="database_url")


def _connected(url: Any) -> "Engine":
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - as above

    sqlite = url.get_backend_name() == "sqlite"
    more = {} if sqlite else {"pool_pre_ping": True, "connect_args": {"connect_timeout": _CONNECT_SECONDS}}
    # SQLite has one writer: who waits for its turn here waits less than who finds the file locked and tries again.
    engine = create_engine(url, pool_size=1 if sqlite else _CONNECTIONS, max_overflow=0, **more)

    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # as DBOS has it for engines of its own
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut

    if sqlite:
        with suppress(OSError):  # it exists, or SQLite itself reports why it cannot
            os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives -wal and -shm the same mode
        event.listen(engine, "connect", prepare)
    engine.connect().close()
    return engine


def _dispose(engine: "Engine") -> None:
    """Close the connections of an engine: the idle ones now, each of the others when its user returns it."""
    from sqlalchemy import event  # noqa: PLC0415 - with DBOS, when it is needed

    event.listen(engine.pool, "checkin", lambda _, record: record.invalidate())
    engine.dispose()


def _fill_and_empty(engine: "Engine") -> None:
    from sqlalchemy import text  # noqa: PLC0415 - as above

    with engine.begin() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))  # before tables are made, which is no reason for the driver
        connection.execute(text("CREATE TABLE channel_adapter_room (filler BLOB)"))
        connection.execute(text("INSERT INTO channel_adapter_room VALUES (zeroblob(:size))"), {"size": _ROOM})
        connection.execute(text("DROP TABLE channel_adapter_room"))


class _ToStructlog(logging.Handler):
    """DBOS writes to the standard log; with a handler there it makes no console of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        said = redact_text(record.getMessage())[:500]
        level = logging.DEBUG if said.startswith(_EXPECTED) else record.levelno
        _log.log(level, "durable.dbos", said=said)


def _tell_logs() -> None:
    logger = logging.getLogger("dbos")
    if not any(isinstance(handler, _ToStructlog) for handler in logger.handlers):
        logger.handlers[:] = [_ToStructlog()]
        logger.propagate = False
