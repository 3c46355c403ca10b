"""Jobs: started by a key, run by any process that serves their kind, finished whichever processes are killed.

A job is a function with steps. Results of steps are recorded, so a job that goes on in another process repeats only the
step that was under way. A function that raises ends its job for good: catch, record, and try again in a step.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Final

from dbos import DBOS, DBOSClient, EnqueueOptions, WorkflowStatus
from sqlalchemy import Connection, Engine

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.durable.database import JobDatabase
from channel_adapter.durable.executor import Executor
from channel_adapter.durable.logs import log_failure, redirect_logs
from channel_adapter.durable.worker import APPLICATION, EVERY_SECONDS, POLL_SECONDS, VERSION, WORKFLOW, Function, Worker
from channel_adapter.errors import ConfigurationError, ConflictError
from channel_adapter.store.database import Database

_WAIT_SECONDS: Final = 0.2


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    """In a process, or left by a dead one and to be taken over."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Return whether nothing happens to the job any more."""
        return self not in (State.WAITING, State.RUNNING)


_STATES: Final = {
    "DELAYED": State.WAITING,
    "ENQUEUED": State.WAITING,
    "PENDING": State.RUNNING,
    "SUCCESS": State.DONE,
    "CANCELLED": State.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job, and how many of its jobs one process runs at once. None is no limit."""

    name: str
    concurrency: int | None = None


class Jobs:
    """The jobs of one database in this process, and the worker that runs some of them. Use `open_jobs`."""

    _opened: ClassVar[dict[str, "Jobs"]] = {}

    def __init__(self, url: str) -> None:
        self.database = JobDatabase(url)
        self._store = Database.shared(url)
        self._client: DBOSClient | None = None
        self._worker: Worker | None = None
        self._watch: asyncio.Task[None] | None = None
        self._functions: dict[str, tuple[Kind, Function]] = {}
        self._serving: list[dict[str, tuple[Kind, Function]]] = []
        self._users = 0
        self._closed = False
        self._changing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Jobs({self.database.name!r})"

    def register(self, kind: Kind, function: Function, *, shared: bool = False) -> None:
        """Set the function of a kind for the next `run_worker`.

        A kind that is `shared` may be run with several functions in one process: the first one runs the jobs, and when
        its `run_worker` ends, the next one continues them. Raises ConfigurationError for another kind that is in use.
        """
        if not shared and any(kind.name in served for served in self._serving):
            raise ConfigurationError(f"jobs of the kind {kind.name} run in this process already", field="database_url")
        self._functions[kind.name] = kind, function

    async def start(self, kind: Kind, key: str, args: Sequence[Any] = (), due: float | None = None) -> None:
        """Queue a job, from `due` in Unix seconds on. A key that has a job, even an ended one, starts nothing.

        `args` are values of JSON. Raises UnavailableError.
        """
        await self.database.run(self._connected_client.enqueue, _enqueue_options(kind, key, due), kind.name, list(args))

    def start_within(
        self, connection: Connection, kind: Kind, key: str, args: Sequence[Any] = (), due: float | None = None
    ) -> None:
        """Queue a job in the caller's transaction, which must be in the database of the jobs.

        On SQLite that is the file of `database.url`. Raises ConfigurationError for another file.
        """
        if self.database.is_sqlite and connection.engine.url.database != self.database.url.database:
            raise ConfigurationError(
                f"a job starts within transactions of {self.database.name} only", field="database_url"
            )
        self._connected_client.enqueue_in_transaction(
            connection, _enqueue_options(kind, key, due), kind.name, list(args)
        )

    async def start_many(self, kind: Kind, jobs: Mapping[str, Sequence[Any]]) -> None:
        """Queue jobs, the arguments by key, with one commit. Keys that have a job start nothing.

        Raises UnavailableError; then none was queued.
        """

        def start(engine: Engine) -> None:
            with engine.begin() as connection:
                for key, args in jobs.items():
                    self.start_within(connection, kind, key, args)

        if self.database.engine is None:
            raise ConfigurationError("the jobs are not open", field="database_url")
        await self.database.run(start, self.database.engine)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the records of jobs that have ended."""
        await self.database.run(self._connected_client.delete_workflows, list(keys))

    async def reschedule(self, key: str, due: float) -> bool:
        """Change when a waiting job begins, in Unix seconds; return False if it has begun or ended."""
        await self.database.run(self._connected_client.set_workflow_delay, key, delay_until_epoch_ms=int(due * 1_000))
        return await self.status(key) is State.WAITING

    async def cancel(self, key: str) -> None:
        """Cancel a job: one that waits never begins, one that runs ends before its next step."""
        await self.database.run(self._connected_client.cancel_workflow, key)

    async def status(self, key: str) -> State | None:
        """Return where a job is; None if it was never started."""
        return (await self.statuses([key])).get(key)

    async def statuses(self, keys: Sequence[str]) -> dict[str, State]:
        """Return where jobs are by their keys, without those that were never started."""
        return {row.workflow_id: _to_state(row) for row in await self._list_workflows(keys)}

    async def wait(self, key: str) -> Any:
        """Return the result of a job when it is done. Raises ConflictError if it fails, is cancelled or unknown."""
        while True:
            rows = await self._list_workflows([key], load_output=True)
            state = _to_state(rows[0]) if rows else None
            if state is State.DONE:
                return rows[0].output
            if state is None or state.ended:
                raise ConflictError(f"the job {key} is {state or 'unknown'}")
            await asyncio.sleep(_WAIT_SECONDS)

    async def check_room(self) -> None:
        """Raise UnavailableError if the database cannot grow."""
        await self.database.check_room()

    async def take_over(self) -> int:
        """Queue jobs that dead processes have left, at once; return how many. The worker does it by itself, too."""
        return await self._worker.take_over() if self._worker is not None else 0

    @property
    def executor(self) -> Executor | None:
        """The leases under which this process runs jobs; None if it runs none."""
        return self._worker.executor if self._worker is not None else None

    @asynccontextmanager
    async def run_worker(self, kinds: Sequence[Kind]) -> AsyncIterator[None]:
        """Run jobs of registered kinds in this process for the length of a block; call it in the loop that runs them.

        Other kinds are left to other processes. Jobs under way at the end are taken over. Raises ConfigurationError
        if the process runs jobs of another database, UnavailableError.
        """
        names = {kind.name for kind in kinds}
        if missing := names - self._functions.keys():
            raise ConfigurationError(f"no function is registered for the kind {min(missing)}", field="kinds")
        served = {name: self._functions[name] for name in names}
        self._serving.append(served)
        try:
            await self._adjust_uninterrupted()
            yield
        finally:
            self._serving = [each for each in self._serving if each is not served]
            await self._adjust_uninterrupted()

    @classmethod
    @asynccontextmanager
    async def _open_shared(cls, url: str) -> AsyncIterator["Jobs"]:
        jobs = cls._opened.get(url)
        if jobs is None:
            jobs = cls._opened[url] = cls(url)
        jobs._users += 1
        try:
            await jobs._adjust_uninterrupted()
            yield jobs
        finally:
            jobs._users -= 1
            if not jobs._users:
                del cls._opened[url]
            await jobs._adjust_uninterrupted()

    @property
    def _connected_client(self) -> DBOSClient:
        if self._client is None:
            raise ConfigurationError("the jobs are not open", field="database_url")
        return self._client

    async def _list_workflows(self, keys: Sequence[str], *, load_output: bool = False) -> list[WorkflowStatus]:
        if not keys:
            return []
        return await self.database.run(
            self._connected_client.list_workflows, workflow_ids=list(keys), load_input=False, load_output=load_output
        )

    async def _adjust_uninterrupted(self) -> None:
        """Bring worker and connections in line with who uses them, to the end even if the caller is cancelled."""
        change = asyncio.ensure_future(self._adjust_to_users())
        try:
            await asyncio.shield(change)
        except asyncio.CancelledError:
            await asyncio.wait([change])
            if not change.cancelled():
                change.exception()
            raise

    async def _adjust_to_users(self) -> None:
        async with self._changing:
            if self._users and self._client is None:
                await self._open_connections()
            wanted = {name: one for served in reversed(self._serving) for name, one in served.items()}
            functions = {name: function for name, (_, function) in wanted.items()}
            try:
                if self._worker is not None and (self._worker.functions != functions or self._worker.lost.is_set()):
                    await self._stop_worker()
                if self._worker is None and wanted:
                    await self._start_worker(wanted)
            except Exception:
                if self._worker is None and self._watch is not asyncio.current_task():
                    self._watch = asyncio.ensure_future(self._restart_worker())  # for those who use it already
                raise
            if not self._users:
                await self._close_connections()

    async def _open_connections(self) -> None:
        redirect_logs()
        engine = await self.database.open()

        def connect() -> DBOSClient:
            DBOS.migrate(self.database.url.render_as_string(hide_password=False))
            return DBOSClient(
                system_database_engine=engine, application_name=APPLICATION, retry_connection_errors=False
            )

        self._client = await self.database.run(connect)

    async def _close_connections(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        client, self._client = self._client, None
        try:
            if client is not None:
                await self.database.run(client.destroy)
            await self.database.close()
        finally:
            await self._store.close()

    async def _start_worker(self, wanted: Mapping[str, tuple[Kind, Function]]) -> None:
        for name, (kind, _) in sorted(wanted.items()):
            await self.database.run(
                self._connected_client.register_queue,
                name,
                worker_concurrency=kind.concurrency,
                polling_interval_sec=POLL_SECONDS,
            )
        if self.database.engine is None:
            raise ConfigurationError("the jobs are not open", field="database_url")
        functions = {name: function for name, (_, function) in wanted.items()}
        self._worker = Worker(self.database, self._connected_client, Executor(self._store, sorted(wanted)), functions)
        try:
            await self._worker.start(self.database.engine)
        except BaseException:
            await self._stop_worker()
            raise
        self._watch = asyncio.ensure_future(self._restart_when_lost(self._worker))

    async def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        if worker is not None:
            await worker.stop()

    async def _restart_when_lost(self, worker: Worker) -> None:
        await worker.lost.wait()
        await self._restart_worker()

    async def _restart_worker(self) -> None:
        restarted = asyncio.Event()

        async def restart() -> None:
            if self._serving:
                await self._adjust_to_users()
            restarted.set()

        await repeat(restart, EVERY_SECONDS, SystemClock(), partial(log_failure, "durable.restart_failed"),
                     until=restarted)  # fmt: skip


def _to_state(row: WorkflowStatus) -> State:
    return _STATES.get(row.status, State.FAILED)


def _enqueue_options(kind: Kind, key: str, due: float | None) -> EnqueueOptions:
    options: EnqueueOptions = {
        "workflow_name": WORKFLOW,
        "queue_name": kind.name,
        "workflow_id": key,
        "app_version": VERSION,
    }
    if due is not None:
        options["delay_seconds"] = max(0.0, due - time.time())
    return options


@asynccontextmanager
async def open_jobs(url: str) -> AsyncIterator[Jobs]:
    """Connect to the jobs of a database for the length of a block; users in one process share the object.

    Raises ConfigurationError for a bad URL and for versions that DBOS cannot run with, UnavailableError.
    """
    async with Jobs._open_shared(url) as jobs:  # noqa: SLF001 - of this module
        yield jobs
