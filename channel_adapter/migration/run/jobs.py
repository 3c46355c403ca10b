"""The jobs of a migration: one for each channel, with four steps. Imported by processes that apply a plan or work.

A step may take hours; the journal records how far it is. A step that is repeated reads the journal, reads from the
target what the journal may lack, and continues.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from channel_adapter.backends.community.members import BatchSize
from channel_adapter.durable import Job, Jobs, Kind, NotRecordedError
from channel_adapter.errors import ChannelAdapterError, ConflictError
from channel_adapter.migration.budget import TRANSIENT, Budget, BudgetExhausted
from channel_adapter.migration.context import Failpoint, MigrationContext, noop_failpoint
from channel_adapter.migration.plan.document import Plan, from_json
from channel_adapter.migration.run.channel import close_channel, open_channel
from channel_adapter.migration.run.journal import Journal, JournalPageCache, require_same_app
from channel_adapter.migration.run.posts import move_posts
from channel_adapter.migration.run.subscribers import CONCURRENT_PAGES, move_subscribers
from channel_adapter.migration.run.work import ChannelWork
from channel_adapter.migration.sources.source import Source, SourceChannel, SourceSpec
from channel_adapter.quoting import shown_text
from channel_adapter.store.migration import FAILED, STOPPED, ChannelRow, JobRow

CONCURRENT_CHANNELS: Final = 16
MIGRATION: Final = Kind("migration", CONCURRENT_CHANNELS)
STEPS: Final[Mapping[str, Callable[[ChannelWork], Coroutine[Any, Any, None]]]] = {
    "open": open_channel, "posts": move_posts, "subscribers": move_subscribers, "close": close_channel,
}  # fmt: skip
STEP_DONE: Final = "done"
_PLANS_KEPT: Final = 4
_WorkKey = tuple[str, str, int]
"""Migration, id in the source, run."""


@dataclass(eq=False, slots=True)
class _OpenSource:
    """A source as it was when a round began to read it. `users` are the works that read it."""

    key: tuple[object, ...]
    source: Source
    channels: dict[str, SourceChannel]
    users: set[_WorkKey] = field(default_factory=set)


class _OpenSources:
    """Open sources, each opened once for a plan and a round: a later round reads the source as it is then.

    A source that no work reads any more is closed when another one is opened.
    """

    def __init__(self, context: MigrationContext, journal: Journal) -> None:
        self._context = context
        self._journal = journal
        self._open: list[_OpenSource] = []
        self._opening = asyncio.Lock()

    async def acquire(self, user: _WorkKey, plan: Plan, number: int) -> _OpenSource:
        """Return the source of a plan with its profiles as they are in a round. Raises what opening and reading do."""
        async with self._opening:
            key = (plan.migration, number, plan.source, _file_states(plan.source))
            found = next((each for each in self._open if each.key == key), None)
            if found is None:
                await self._close_sources([each for each in self._open if not each.users])
                found = await self._open_source(key, plan)
            found.users.add(user)
            return found

    def release(self, user: _WorkKey) -> None:
        """Record that a work has ended."""
        for each in self._open:
            each.users.discard(user)

    async def close(self) -> None:
        """Close all sources."""
        await self._close_sources(list(self._open))

    async def _open_source(self, key: tuple[object, ...], plan: Plan) -> _OpenSource:
        pages = JournalPageCache(self._journal, plan.migration, self._context.clock)
        source = await self._context.open_source(plan.source, pages)
        try:
            made = _OpenSource(key, source, await self._context.existing_channels(plan, source))
        except BaseException:
            await source.aclose()
            raise
        self._open.append(made)
        return made

    async def _close_sources(self, sources: list[_OpenSource]) -> None:
        async with AsyncExitStack() as closing:
            for each in sources:
                self._open.remove(each)
                closing.push_async_callback(each.source.aclose)


def _file_states(spec: SourceSpec) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when the files of a source are written again. Raises OSError."""
    states = {path: Path(path).stat() for path in spec.files.values()}
    return tuple((path, state.st_mtime_ns, state.st_size) for path, state in states.items())


def _parse_plan(migration: str, text: str) -> Plan:
    return from_json(text.encode(), f"the plan of {migration}")


class MigrationRuntime:
    """Move channels in the jobs of this process. Plans come from the database, sources are opened when needed."""

    def __init__(
        self, context: MigrationContext, journal: Journal, budget: Budget, failpoint: Failpoint = noop_failpoint
    ) -> None:
        self.journal = journal
        self.budget = budget
        self.clock = context.clock
        self.failpoint = failpoint
        self.active = 0
        self.failure: ChannelAdapterError | None = None
        """Why a channel was left without a note in the journal, or none can be started."""
        self.idle = asyncio.Event()
        self.idle.set()
        self._settings = context.settings
        self._limiter = context.journal_limiter()
        self._api = context.budgeted_api(budget, self._limiter)
        self._context = context.with_api(self._api)
        self._parse_plan = lru_cache(_PLANS_KEPT)(_parse_plan)
        self._sources = _OpenSources(self._context, journal)
        self._works: dict[_WorkKey, ChannelWork] = {}
        self._pages = asyncio.Semaphore(CONCURRENT_PAGES)
        self._add_size = BatchSize(context.settings.subscriptions.add_per_call)

    async def close(self) -> None:
        """Close the sources, and stop sharing the calls per second."""
        try:
            await self._sources.close()
        finally:
            if self._limiter is not None:
                await self._limiter.close()

    async def move(self, job: Job, migration: str, source: str, run: int) -> str:
        """Move one channel in one run, as the function of a job."""
        for step in STEPS:
            try:
                outcome = await job.step(step, self.do, migration, source, run, step)
            except NotRecordedError as error:
                self.failure = error
                raise
            if outcome != STEP_DONE:
                return outcome
        return STEP_DONE

    async def do(self, migration: str, source: str, run: int, step: str) -> str:
        """Run one step of one channel; return "done", or how it ended otherwise."""
        self.active += 1
        self.idle.clear()
        try:
            return await self._run_step(migration, source, run, step)
        except ChannelAdapterError as error:
            self.failure = error
            raise
        finally:
            self.active -= 1
            if not self.active:
                self.idle.set()

    async def _run_step(self, migration: str, source: str, run: int, step: str) -> str:
        key = (migration, source, run)
        try:
            work = self._works.get(key)
            if work is None:
                if await self._is_run_over(*key):
                    return STEP_DONE
                self._api.renew()
                work = self._works[key] = await self._prepare_work(migration, source, opened=step == "open")
            await STEPS[step](work)
        except asyncio.CancelledError:  # if the step is repeated here, it begins with what the journal says
            self._drop_work(key)
            raise
        except BudgetExhausted:
            return await self._end_channel(key, STOPPED, "", transient=False)
        except ChannelAdapterError as error:
            return await self._end_channel(key, FAILED, error.message, transient=isinstance(error, TRANSIENT))
        except OSError as error:
            return await self._end_channel(
                key, FAILED, f"{shown_text(error.filename or '')}: {error.strerror}", transient=False
            )
        except Exception as fault:
            await self._end_channel(key, FAILED, f"an error in this program: {type(fault).__name__}", transient=False)
            raise
        self.failpoint("step.done")
        if step == "close":
            self._drop_work(key)
        return STEP_DONE

    def _drop_work(self, key: _WorkKey) -> ChannelWork | None:
        self._sources.release(key)
        return self._works.pop(key, None)

    async def _end_channel(self, key: _WorkKey, status: str, reason: str, *, transient: bool) -> str:
        """Record that the channel was left as it is; a later run continues it."""
        work = self._drop_work(key)
        row = work.row if work else await self.journal.store.channel(*key[:2])
        if row is not None:
            row.status, row.reason, row.transient, row.changed = status, reason, transient, self.clock.now()
            await self.journal.note([row])
            await self.journal.flush()
        return status

    async def _is_run_over(self, migration: str, source: str, run: int) -> bool:
        """Return whether a process finished this run and died before it reported that, or a later run has begun."""
        store = self.journal.store
        job, row = await store.job(migration), await store.channel(migration, source)
        return job is not None and row is not None and (row.finished >= job.round or row.run != run)

    async def _prepare_work(self, migration: str, source_id: str, *, opened: bool) -> ChannelWork:
        await self.journal.flush()
        store = self.journal.store
        job, row = await store.job(migration), await store.channel(migration, source_id)
        if job is None or row is None:
            raise ConflictError(f"the database does not know {source_id} of migration {migration} any more")
        require_same_app(self._settings.sdkappid, job.app)
        work = await self._open_work(self.plan_of(job), row, job.round)
        if not opened:  # another process has done the first steps
            await open_channel(work)
        return work

    async def channel_work(self, plan: Plan, row: ChannelRow, number: int) -> ChannelWork:
        """Return the work on a channel outside of a job."""
        return await self._open_work(plan, row, number)

    async def _open_work(self, plan: Plan, row: ChannelRow, number: int) -> ChannelWork:
        planned = plan.channel(row.source)
        if planned is None:
            raise ConflictError(f"the plan of migration {plan.migration} has no channel {row.source} any more")
        opened = await self._sources.acquire((plan.migration, row.source, row.run), plan, number)
        now = opened.channels.get(row.source)
        if now is None:
            raise ConflictError(
                f"the source of migration {plan.migration} has no channel {row.source} any more: plan again"
                f" without it, with --name {plan.migration}",
                field="source",
            )
        quarantined = await self.journal.store.has_quarantined(plan.migration, row.source)
        return ChannelWork(
            context=self._context, importer=self._context.importer(plan.limits.target().keys), journal=self.journal,
            plan=plan, planned=planned, source=opened.source, now=now, row=row, add_size=self._add_size,
            pages=self._pages, round=number, failpoint=self.failpoint, quarantined=quarantined,
        )  # fmt: skip

    def plan_of(self, job: JobRow) -> Plan:
        """Return the plan of a migration as the database has it now."""
        return self._parse_plan(job.migration, job.plan)


@asynccontextmanager
async def working(jobs: Jobs, runtime: MigrationRuntime, *others: Kind) -> AsyncIterator[None]:
    """Move channels that are queued in the database, and run jobs of other kinds, for the length of a block.

    Raises ConfigurationError if another worker in this process moves channels.
    """
    try:
        jobs.register(MIGRATION, runtime.move)
        async with jobs.run_worker([MIGRATION, *others]):
            yield
    finally:
        await runtime.close()
