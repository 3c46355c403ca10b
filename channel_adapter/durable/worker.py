"""DBOS in this process: it runs jobs of some kinds, and those that dead processes have left.

DBOS has one instance in a process. The queues that it reads are set before it starts, so it is started again when
the kinds change, and when another process has taken over its jobs because it could not renew its lease.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.durable.database import JobDatabase
from channel_adapter.durable.executor import Executor
from channel_adapter.durable.logs import log, log_failure
from channel_adapter.errors import ConfigurationError, UnavailableError

P = ParamSpec("P")
R = TypeVar("R")

APPLICATION: Final = "channel-adapter"
VERSION: Final = "1"  # fixed: jobs go on after an update of the package
WORKFLOW: Final = "channel_adapter.job"
EVERY_SECONDS: Final = 0.75
"""How often leases are renewed and jobs of dead processes are looked for."""
POLL_SECONDS: Final = 0.4
_LISTEN_SECONDS: Final = 0.2  # also how long the listener of DBOS may delay the end
_JOBS_PER_TAKEOVER: Final = 1_000
_END_SECONDS: Final = 2.0
_RECOVERIES: Final = 1_000_000


class NotRecordedError(UnavailableError):
    """A step has ended, and DBOS could not record that in its database."""


class Job:
    """The job that a function runs for."""

    def __init__(self, key: str, worker: "Worker") -> None:
        self.key = key
        self._worker = worker

    async def step(self, name: str, function: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **_: P.kwargs) -> R:
        """Run a step, or return the result that is recorded of it. Raises NotRecordedError."""
        result: R = await self._worker.step(name, function, args)
        return result

    async def lease(self) -> None:
        """Wait until no other process can have taken over this job: for work that is no step, before each part of it.

        Cancelled if another process has taken it over.
        """
        await self._worker.wait_for_lease()


Function = Callable[Concatenate[Job, ...], Coroutine[Any, Any, Any]]
"""The function of a kind: gets the job and the values that it was started with."""


class Worker:
    """One run of DBOS, from `start` to `stop`, for fixed kinds: names of queues with the functions of their jobs."""

    current: ClassVar["Worker | None"] = None

    def __init__(
        self, database: JobDatabase, client: DBOSClient, executor: Executor, functions: Mapping[str, Function]
    ) -> None:
        """Raise ConfigurationError if another one is between `start` and `stop` in this process."""
        if Worker.current is not None:
            raise ConfigurationError("one process has one database for durable work", field="database_url")
        Worker.current = self
        self.executor = executor
        self.lost = asyncio.Event()
        """Set when another process has taken over the jobs of this one."""
        self._renewed = asyncio.Event()  # no step begins without: another process may have taken over its job
        self._database = database
        self._client = client
        self.functions = dict(functions)
        """The function of each kind whose jobs run here."""
        self._is_stopping = False
        self._jobs: set[asyncio.Task[Any]] = set()
        self._chores: list[asyncio.Task[None]] = []

    async def start(self, engine: Engine) -> None:
        """Launch DBOS. Raises UnavailableError."""
        await self.executor.begin()
        self._renewed.set()
        with self._database.explained():
            config: DBOSConfig = {
                "name": APPLICATION,
                "application_version": VERSION,
                "executor_id": self.executor.id,
                "system_database_url": self._database.url.render_as_string(hide_password=False),
                "system_database_engine": engine,
                "enable_otlp": False,
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": _LISTEN_SECONDS,
            }
            DBOS(config=config)
            DBOS.listen_queues(sorted(self.functions))
            DBOS.launch()  # in the thread of the event loop, which is where DBOS then runs coroutines
        log_chore = partial(log_failure, "durable.chore_failed")
        self._chores = [
            asyncio.ensure_future(
                repeat(chore, EVERY_SECONDS, SystemClock(), log_chore, first=EVERY_SECONDS, until=self.lost)
            )
            for chore in (self._renew_lease, self._take_over_regularly)
        ]
        await self.take_over()

    async def stop(self) -> None:
        """Cancel the jobs under way, which another process goes on with, and stop DBOS."""
        self._is_stopping = True
        tasks = [*self._chores, *self._jobs]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)
        self._renewed.set()  # the renewals have ended: wake what waits for one
        try:
            await self._database.run(DBOS.destroy)
        finally:
            Worker.current = None
            # DBOS lends the loop its threads, which have ended now.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
            await self.executor.end()

    async def run(self, kind: str, args: Sequence[Any]) -> Any:
        """Run a job. Cancelled, and so left to others, if its kind is not run here any more."""
        function, task = self.functions.get(kind), asyncio.current_task()
        if function is None or task is None or self.lost.is_set() or self._is_stopping:
            raise asyncio.CancelledError
        self._jobs.add(task)
        try:
            return await function(Job(DBOS.workflow_id or "", self), *args)
        finally:
            self._jobs.discard(task)

    async def wait_for_lease(self) -> None:
        """Wait until the lease of this process is renewed, if it may have ended.

        Cancelled in a job that goes on after `stop`: DBOS would store the error of its next step as its result.
        """
        if not self._is_stopping:
            if not self.executor.fresh:  # the process was suspended, or its renewals fail
                self._renewed.clear()
            await self._renewed.wait()
        if self._is_stopping:
            raise asyncio.CancelledError

    async def step(self, name: str, function: Callable[..., Coroutine[Any, Any, Any]], args: Sequence[Any]) -> Any:
        """Run a step of the current job, or return its recorded result. Raises NotRecordedError."""
        await self.wait_for_lease()
        failure: BaseException | None = None

        async def run() -> Any:
            nonlocal failure
            try:
                return await function(*args)
            except BaseException as error:
                failure = error
                raise

        try:
            return await DBOS.run_step_async({"name": name}, run)
        except Exception as error:
            if error is failure:
                raise
            if self._is_stopping:
                raise asyncio.CancelledError from None
            if isinstance(error, SQLAlchemyError):
                raise NotRecordedError(self._database.explain(error)) from None
            raise

    async def take_over(self) -> int:
        """Queue jobs that dead processes have left; return how many. It happens by itself, too."""
        left = await self._database.run(self._list_unfinished)
        dead = await self.executor.acquire_dead({executor for executor, _, _ in left} - {self.executor.id})
        if not dead:
            return 0
        # Read again: only now no other process takes them over.
        jobs = await self._database.run(self._list_unfinished, sorted(dead))
        by_kind: dict[str, list[str]] = defaultdict(list)
        for _, kind, key in jobs:
            by_kind[kind].append(key)
        for kind, keys in by_kind.items():
            await self._database.run(self._client.resume_workflows, keys, queue_name=kind)
        await self.executor.release_dead(dead)
        if jobs:
            log.info("durable.taken_over", executors=sorted(dead), jobs=len(jobs))
        return len(jobs)

    def _list_unfinished(self, executors: list[str] | None = None) -> list[tuple[str, str, str]]:
        rows = self._client.list_workflows(
            status="PENDING",
            queue_name=sorted(self.functions),
            executor_id=executors,
            limit=_JOBS_PER_TAKEOVER,
            load_input=False,
            load_output=False,
        )
        return [(row.executor_id or "", row.queue_name or "", row.workflow_id) for row in rows]

    async def _renew_lease(self) -> None:
        if not await self.executor.renew():
            log.warning("durable.lease_lost", executor=self.executor.id)
            self._renewed.clear()
            self.lost.set()
        else:
            self._renewed.set()

    async def _take_over_regularly(self) -> None:
        await self.take_over()


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_RECOVERIES)
async def _run_workflow(kind: str, args: list[Any]) -> Any:
    if Worker.current is None:
        raise asyncio.CancelledError  # stays to be taken over
    return await Worker.current.run(kind, args)
