"""Apply a plan, work on queued channels, and read how far a migration is."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from channel_adapter.errors import ConflictError, InvalidError
from channel_adapter.migration.budget import TRANSIENT, Budget, BudgetLimits, noop_progress
from channel_adapter.migration.context import Failpoint, MigrationContext, needs_durable, noop_failpoint
from channel_adapter.migration.plan.document import (
    Plan,
    PlannedLimits,
    changes,
    check_app,
    planned_sources,
    to_json,
)
from channel_adapter.migration.run.journal import Journal, open_journal
from channel_adapter.migration.sources.source import channels_by_id
from channel_adapter.quoting import shown_text
from channel_adapter.store.migration import QUEUED, ChannelRow, JobRow
from channel_adapter.tencent.notify import Notifier

if TYPE_CHECKING:  # DBOS is slow to import, and in an extra
    from channel_adapter.durable import Jobs
    from channel_adapter.migration.run.jobs import MigrationRuntime


DROPPED: Final = "dropped"
_planned_sources = lru_cache(4)(planned_sources)  # the status is read several times a second


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How far one channel is. `state` is the step that was done last.

    `status`: queued, stopped, failed or done; dropped for one that an earlier plan named and the latest one does not.

    `subscribers` were moved; `already` had subscribed to the target by themselves before that, and are not among them.
    """

    source: str
    target: str
    state: str
    status: str
    posts: int
    subscribers: int
    removed: int
    reason: str
    transient: bool
    already: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """How far a migration is. `round` 1 is the move, later ones are deltas; `calls` are those of this process.

    Channels that are not in the plan any more are among `channels`, and count nowhere.
    """

    migration: str
    round: int
    channels: tuple[ChannelStatus, ...]
    quarantined: int
    calls: int = 0
    stopped: str = ""
    """Why this run ended before the migration did; empty when it did not."""

    @property
    def planned(self) -> tuple[ChannelStatus, ...]:
        """Channels of the plan that was applied last."""
        return tuple(channel for channel in self.channels if channel.status != DROPPED)

    @property
    def dropped(self) -> tuple[ChannelStatus, ...]:
        """Channels that are not in the plan any more; their groups stay as they are."""
        return tuple(channel for channel in self.channels if channel.status == DROPPED)

    @property
    def done(self) -> int:
        """Number of channels that are done."""
        return sum(channel.status == "done" for channel in self.channels)

    @property
    def failed(self) -> tuple[ChannelStatus, ...]:
        """Channels that failed."""
        return tuple(channel for channel in self.channels if channel.status == "failed")

    @property
    def complete(self) -> bool:
        """Return whether every channel of the plan is done."""
        return self.done == len(self.planned) > 0

    @property
    def posts(self) -> int:
        return sum(channel.posts for channel in self.planned)

    @property
    def subscribers(self) -> int:
        return sum(channel.subscribers for channel in self.planned)

    @property
    def already(self) -> int:
        """Number of users who had subscribed to the target before they could be moved."""
        return sum(channel.already for channel in self.planned)


async def read_status(journal: Journal, name: str, budget: Budget | None = None) -> Status:
    """Return how far a migration is. Raises ConflictError when the database does not know it."""
    store = journal.store
    job = await store.job(name)
    if job is None:
        raise ConflictError(f"the database knows no migration {shown_text(name)}", field="database_url")
    planned = _planned_sources(job.plan)
    channels = tuple(
        ChannelStatus(
            row.source, row.target, row.state, row.status if row.source in planned else DROPPED, row.posts,
            row.subscribers, row.removed, row.reason if row.source in planned else "", row.transient, row.already,
        )
        for row in await store.channels(name)
    )  # fmt: skip
    quarantined = await store.count_quarantined(name)
    for channel in channels:
        if channel.status == DROPPED:
            quarantined -= await store.count_quarantined(name, channel.source)
    return Status(
        name,
        job.round,
        channels,
        quarantined,
        budget.calls if budget else 0,
        budget.reason if budget else "",
    )


LOOK_EVERY: Final = 0.2
WORKER_LOOKS_EVERY: Final = 1.0
IDLE_SECONDS: Final = 3.0
"""After which an idle process checks that each queued channel has a job: longer than a job takes to begin."""
END_SECONDS: Final = 1.2


@dataclass(frozen=True, slots=True)
class InProgress:
    """A migration in progress. `status.calls` are those of this process."""

    plan: Plan
    status: Status


StatusCallback = Callable[[Status], None]
WorkerCallback = Callable[[int, InProgress | None], None]
"""Called with the calls made here, and about once a second with the oldest migration in progress."""


async def apply(
    context: MigrationContext,
    plan: Plan,
    *,
    limits: BudgetLimits | None = None,
    on_progress: StatusCallback = noop_progress,
    failpoint: Failpoint = noop_failpoint,
) -> Status:
    """Apply a plan, continue it, or move what has changed since; return how far it is then.

    Raises before anything is written: InvalidError for a plan that is not ready, of another app, or older than the
    source; ConfigurationError for the edition, the database, a missing extra; ConflictError for accounts that another
    migration moves. Failures of single channels are in the result.
    """
    url = context.require_journal(plan)
    check_plan(context, plan)
    async with open_journal(url) as journal:
        await _check_source(context, plan, journal)
        job = await _begin_job(context, plan, journal)
        with needs_durable(url):
            from channel_adapter.durable import open_jobs  # noqa: PLC0415 - DBOS is slow to import
            from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - DBOS is slow to import
        runtime = running.MigrationRuntime(context, journal, Budget(context.clock, limits), failpoint)
        async with open_jobs(url) as jobs, running.working(jobs, runtime):
            await _queue_channels(jobs, runtime, job)
            failpoint("queued")
            return await _wait_for_channels(jobs, runtime, job, Notifier("on_progress", on_progress))


async def status(context: MigrationContext, name: str) -> Status:
    """Return how far a migration is. Raises ConflictError when the database does not know it."""
    async with open_journal(context.require_journal()) as journal:
        return await read_status(journal, name)


async def work(
    context: MigrationContext,
    *,
    limits: BudgetLimits | None = None,
    on_progress: WorkerCallback = noop_progress,
    failpoint: Failpoint = noop_failpoint,
) -> int:
    """Work on what other processes have queued, until the limits or a cancellation; return the calls made.

    In the adapter's own database, conversation groups are synchronized for cutovers as well.
    """
    url = context.require_journal()
    async with open_journal(url) as journal:
        with needs_durable(url):
            from channel_adapter.durable import open_jobs  # noqa: PLC0415 - DBOS is slow to import
            from channel_adapter.migration.cutover import groups  # noqa: PLC0415 - DBOS is slow to import
            from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - DBOS is slow to import
        notify = Notifier("on_progress", on_progress)
        budget = Budget(context.clock, limits)
        runtime = running.MigrationRuntime(context, journal, budget, failpoint)
        async with AsyncExitStack() as stack:
            sync = await stack.enter_async_context(groups.open_group_sync(context, url, budget, keep_retrying=True))
            jobs = await stack.enter_async_context(open_jobs(url))
            if sync is None:
                await stack.enter_async_context(running.working(jobs, runtime))
            else:
                groups.register(jobs, sync)
                await stack.enter_async_context(running.working(jobs, runtime, groups.GROUP_SYNC))
                await stack.enter_async_context(groups.queueing(jobs, sync))
            try:
                looked = context.clock.monotonic()
                while True:
                    await asyncio.sleep(LOOK_EVERY)
                    found = None
                    if context.clock.monotonic() - looked >= WORKER_LOOKS_EVERY:
                        found, looked = await _find_in_progress(runtime), context.clock.monotonic()
                    notify(budget.calls, found)
                    if budget.exhausted:  # perhaps before the jobs were open: the end is reported too
                        break
            finally:
                budget.stop("interrupted")
                await _wait_for_calls(runtime)
        return budget.calls


async def _find_in_progress(runtime: "MigrationRuntime") -> InProgress | None:
    """Return the oldest migration in progress; None as well while the database cannot be read."""
    try:
        for job in await runtime.journal.store.jobs():
            found = await read_status(runtime.journal, job.migration, runtime.budget)
            if any(channel.status == "queued" for channel in found.channels):
                return InProgress(runtime.plan_of(job), found)
    except TRANSIENT:
        return None
    return None


def check_plan(context: MigrationContext, plan: Plan) -> None:
    """Raise InvalidError for a plan that is not ready, of another app, or for other settings."""
    check_app(plan, context.settings.sdkappid, "this")
    if not plan.ready:
        count = sum(1 for _ in plan.problems())
        refused = sum(loss.refused for _, loss in plan.losses())
        problems = f"{count:,} problem{'' if count == 1 else 's'}"
        losses = f"{refused:,} loss{'' if refused == 1 else 'es'} that no policy allows"
        raise InvalidError(
            f"the plan cannot be applied: {problems}, {losses};"
            " `channel-adapter migrate show` names them",
            field="plan", size=count + refused,
        )  # fmt: skip
    if PlannedLimits.of(context.target) != plan.limits:
        raise InvalidError(
            "the plan was made for other custom fields or sizes than the settings name now: plan again", field="plan"
        )


async def _check_source(context: MigrationContext, plan: Plan, journal: Journal) -> None:
    """Check before the first run that the source is as planned; later runs move what has changed."""
    if await journal.store.job(plan.migration) is not None:
        return
    async with context.source(plan.source) as source:
        found = changes(plan, await channels_by_id(source), source.spec)
    serious = [change for change in found if change.serious]
    if serious:
        listed = "; ".join(str(change) for change in serious[:5])
        more = f" and {len(serious) - 5} more" if len(serious) > 5 else ""
        raise InvalidError(f"the plan is older than the source: {listed}{more}: plan again", field="plan")
    importer = context.importer(plan.limits.target().keys)
    await importer.check_edition(context.settings.admin, plan.channels[0].target.channel)


async def _begin_job(context: MigrationContext, plan: Plan, journal: Journal) -> JobRow:
    """Store the job; with a new round when the previous one has finished every channel that it had."""
    store = journal.store
    name = plan.migration
    # Runs count on from here: their numbers name workflows, and those are never used again.
    begun = int(context.clock.now())
    rows = [
        ChannelRow(name, channel.source.id, channel.target.id, place, run=begun)
        for place, channel in enumerate(plan.channels)
    ]
    planned = {channel.source.id for channel in plan.channels}
    before = [row for row in await store.channels(name) if row.source in planned]
    job = await store.begin_job(JobRow(name, plan.sdkappid, to_json(plan).decode(), 1, context.clock.now()), rows)
    if before and all(row.finished >= job.round for row in before):
        number = await store.next_round(name, job.round)
        job = JobRow(job.migration, job.app, job.plan, number, job.began)
    return job


async def _queue_channels(jobs: "Jobs", runtime: "MigrationRuntime", job: JobRow) -> None:
    """Queue every channel of the plan that this round has not finished, unless it has a job that runs or waits."""
    rows = [row for row in await _planned_rows(runtime.journal, job) if row.finished < job.round]
    found = await jobs.statuses([_channel_job_key(row) for row in rows if row.status == QUEUED])
    under_way = {key for key, state in found.items() if not state.ended}
    await _start_channel_jobs(jobs, runtime, [row for row in rows if _channel_job_key(row) not in under_way])


async def _start_channel_jobs(jobs: "Jobs", runtime: "MigrationRuntime", rows: list[ChannelRow]) -> None:
    from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - DBOS is slow to import

    for row in rows:
        row.run += 1
        row.status, row.reason, row.transient = QUEUED, "", False
    await runtime.journal.note(rows)
    await runtime.journal.flush()
    for row in rows:
        await jobs.start(running.MIGRATION, _channel_job_key(row), [row.migration, row.source, row.run])


async def _check_jobs(jobs: "Jobs", runtime: "MigrationRuntime", job: JobRow) -> None:
    """Check, while this process is idle, that jobs can be recorded and that each queued channel has one.

    A job whose end could not be written into the journal leaves its channel queued. Raises UnavailableError.
    """
    await jobs.check_room()
    queued = [_channel_job_key(row) for row in await _planned_rows(runtime.journal, job) if row.status == QUEUED]
    ended = {key for key, state in (await jobs.statuses(queued)).items() if state.ended}
    rows = await _planned_rows(runtime.journal, job) if ended else []  # later than the jobs: what they wrote is there
    await _start_channel_jobs(
        jobs, runtime, [row for row in rows if row.status == QUEUED and _channel_job_key(row) in ended]
    )


async def _planned_rows(journal: Journal, job: JobRow) -> list[ChannelRow]:
    planned = _planned_sources(job.plan)
    return [row for row in await journal.store.channels(job.migration) if row.source in planned]


def _channel_job_key(row: ChannelRow) -> str:
    return f"migration:{row.migration}:{row.source}:{row.run}"


async def _wait_for_channels(
    jobs: "Jobs", runtime: "MigrationRuntime", job: JobRow, on_progress: StatusCallback
) -> Status:
    """Wait until no process works on any channel, or this run is over."""
    budget, clock = runtime.budget, runtime.clock
    looked = clock.monotonic()
    try:
        while True:
            found = await read_status(runtime.journal, job.migration, runtime.budget)
            on_progress(found)
            busy = any(channel.status == "queued" for channel in found.channels)
            if not busy or (budget.exhausted and not runtime.active):
                return replace(found, stopped="") if found.complete else found
            if runtime.active:
                looked = clock.monotonic()
            elif error := runtime.journal.failure or runtime.failure:
                raise error
            elif clock.monotonic() - looked > IDLE_SECONDS:
                await _check_jobs(jobs, runtime, job)
                looked = clock.monotonic()
            await asyncio.sleep(LOOK_EVERY)
    finally:
        budget.stop("interrupted")
        await _wait_for_calls(runtime)


async def _wait_for_calls(runtime: "MigrationRuntime") -> None:
    """Wait a moment for calls in progress."""
    with suppress(TimeoutError):
        await asyncio.wait_for(runtime.idle.wait(), END_SECONDS)
