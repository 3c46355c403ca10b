"""Apply a plan, work on queued channels, and read how far a migration is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from channel_adapter.config.extras import needs_extra
from channel_adapter.errors import ConfigurationError, ConflictError, InvalidError
from channel_adapter.migration.budget import TRANSIENT, Allowance
from channel_adapter.migration.plan.document import Plan, changes, check_app, to_json
from channel_adapter.migration.run.work import At, nowhere
from channel_adapter.migration.sources.source import channels_by_id
from channel_adapter.migration.target import TargetReader
from channel_adapter.tencent.notify import Notifier

if TYPE_CHECKING:
    from channel_adapter.durable import Jobs
    from channel_adapter.migration.facade import Migration
    from channel_adapter.migration.run.jobs import Runtime
    from channel_adapter.migration.run.journal import Journal
    from channel_adapter.store.migration import ChannelRow, JobRow


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How far one channel is. `standing`: queued, stopped, failed or done; `state` is what was being done last."""

    source: str
    target: str
    state: str
    standing: str
    posts: int
    subscribers: int
    removed: int
    reason: str
    transient: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How far a migration is. `round` 1 is the move, later ones are deltas; `calls` are those of this process."""

    migration: str
    round: int
    channels: tuple[ChannelStatus, ...]
    quarantined: int
    calls: int = 0
    stopped: str = ""
    """Why this run ended before the migration did; empty when it did not."""

    @property
    def done(self) -> int:
        """Channels that are finished."""
        return sum(channel.standing == "done" for channel in self.channels)

    @property
    def failed(self) -> tuple[ChannelStatus, ...]:
        """Channels that could not go on."""
        return tuple(channel for channel in self.channels if channel.standing == "failed")

    @property
    def complete(self) -> bool:
        """Is every channel done?"""
        return self.done == len(self.channels)

    @property
    def posts(self) -> int:
        return sum(channel.posts for channel in self.channels)

    @property
    def subscribers(self) -> int:
        return sum(channel.subscribers for channel in self.channels)


async def read_status(journal: "Journal", name: str, allowance: Allowance | None = None) -> Status:
    """The state of a migration. Raises ConflictError when the database does not know it."""
    store = journal.store
    job = await store.job(name)
    if job is None:
        raise ConflictError(f"the database knows no migration {name}", field="database_url")
    rows = await store.channels(name)
    return Status(
        name,
        job.round,
        tuple(
            ChannelStatus(
                row.source, row.target, row.state, row.standing, row.posts, row.subscribers, row.removed, row.reason,
                row.transient,
            )
            for row in rows
        ),
        await store.count_quarantined(name),
        allowance.calls if allowance else 0,
        allowance.reason if allowance else "",
    )  # fmt: skip


LOOK_EVERY: Final = 0.2
WORKER_LOOKS_EVERY: Final = 1.0
IDLE_SECONDS: Final = 3.0
"""After which an idle process looks whether anybody is at what is queued: longer than it takes to begin."""
END_SECONDS: Final = 1.2


Hear = Callable[[Status], None]


def silent(status: Status) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A migration that is under way, and how far it is. `status.calls` are those of this process."""

    plan: Plan
    status: Status


HearWorker = Callable[[int, UnderWay | None], None]


def silent_worker(calls: int, under_way: UnderWay | None) -> None:
    """The same of a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one run may do; None is no bound."""

    calls: int | None = None
    seconds: float | None = None


def database_for(migration: "Migration", database: str | None, plan: Plan | None = None) -> str:
    """Where the journal is. Raises ConfigurationError when nobody says."""
    set_url = migration.settings.database_url
    url = database or (set_url.get_secret_value() if set_url else None)
    if url is None:
        raise ConfigurationError(
            "a migration keeps a journal: set database_url, or give a database", field="database_url"
        )
    if plan is not None and plan.chosen.stores and (set_url is None or set_url.get_secret_value() != url):
        raise ConfigurationError(
            "policy store keeps originals in the adapter's database: set database_url, and give no other",
            field="database_url",
        )
    return url


def needs_durable(url: str) -> AbstractContextManager[None]:
    """Return `needs_extra` for a block that opens a journal at `url`, or runs its jobs."""
    return needs_extra("moving channels", extra="durable", database_url=url, field="database_url")


@asynccontextmanager
async def journal_at(url: str) -> "AsyncIterator[Journal]":
    """The journal in a database. Raises ConfigurationError for a missing extra."""
    with needs_durable(url):
        from channel_adapter.migration.run.journal import open_journal  # noqa: PLC0415 - an extra
    async with open_journal(url) as journal:
        yield journal


async def apply(
    migration: "Migration", plan: Plan, *, database: str | None = None, bounds: Bounds | None = None,
    tell: Hear = silent, at: At = nowhere,
) -> Status:  # fmt: skip
    """Carry out a plan, go on with it, or move what has changed since; how far it is then.

    Raises before anything is written: InvalidError for a plan that is not ready, of another app, or older than the
    source; ConfigurationError for the edition, the database, a missing extra; ConflictError for accounts that another
    migration is moving. Failures of single channels are in the result.
    """
    url = database_for(migration, database, plan)
    _check_plan(migration, plan)
    async with journal_at(url) as journal:
        await _check_source(migration, plan, journal)
        job = await _begin(migration, plan, journal)
        with needs_durable(url):
            from channel_adapter.durable import open_jobs  # noqa: PLC0415 - DBOS is slow to import, and in an extra
            from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - as above
        bounds = bounds or Bounds()
        allowance = Allowance(migration.clock, calls=bounds.calls, seconds=bounds.seconds)
        runtime = running.Runtime(migration.gateway, migration.settings, migration.clock, journal, allowance, at)
        async with open_jobs(url) as jobs, running.working(jobs, runtime):
            await _queue(jobs, runtime, job)
            at("queued")
            return await _watch(jobs, runtime, job, Notifier("tell", tell))


async def status(migration: "Migration", name: str, *, database: str | None = None) -> Status:
    """How far a migration is. Raises ConflictError when the database does not know it."""
    async with journal_at(database_for(migration, database)) as journal:
        return await read_status(journal, name)


async def work(
    migration: "Migration", *, database: str | None = None, bounds: Bounds | None = None, at: At = nowhere,
    tell: HearWorker = silent_worker,
) -> int:  # fmt: skip
    """Work on what others have queued until the bounds or a cancellation end it; calls made.

    In the adapter's own database it fills conversation groups for cutovers, too.

    `tell` hears how many calls were made here, and now and then how far the migration is that is under way.
    """
    url = database_for(migration, database)
    async with journal_at(url) as journal:
        with needs_durable(url):
            from channel_adapter.durable import open_jobs  # noqa: PLC0415 - as above
            from channel_adapter.migration.cutover import groups  # noqa: PLC0415 - as above
            from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - as above
        bounds = bounds or Bounds()
        tell = Notifier("tell", tell)
        allowance = Allowance(migration.clock, calls=bounds.calls, seconds=bounds.seconds)
        runtime = running.Runtime(migration.gateway, migration.settings, migration.clock, journal, allowance, at)
        async with AsyncExitStack() as stack:
            filler = await stack.enter_async_context(groups.open_filler(migration, url, allowance, patient=True))
            jobs = await stack.enter_async_context(open_jobs(url))
            if filler is None:
                await stack.enter_async_context(running.working(jobs, runtime))
            else:
                groups.register(jobs, filler)
                await stack.enter_async_context(running.working(jobs, runtime, groups.FILLING))
                await stack.enter_async_context(groups.looking(jobs, filler))
            try:
                looked = migration.clock.monotonic()
                while not allowance.used_up:
                    await asyncio.sleep(LOOK_EVERY)
                    found = None
                    if migration.clock.monotonic() - looked >= WORKER_LOOKS_EVERY:
                        found, looked = await _under_way(runtime), migration.clock.monotonic()
                    tell(allowance.calls, found)
            finally:
                allowance.stop("interrupted")
                await _wind_down(runtime)
        return allowance.calls


async def _under_way(runtime: "Runtime") -> UnderWay | None:
    """The oldest migration that somebody is at; None as well while the database cannot be read."""
    try:
        for job in await runtime.journal.store.jobs():
            found = await read_status(runtime.journal, job.migration, runtime.allowance)
            if any(channel.standing == "queued" for channel in found.channels):
                return UnderWay(runtime.plan_of(job), found)
    except TRANSIENT:
        return None
    return None


def _check_plan(migration: "Migration", plan: Plan) -> None:
    check_app(plan, migration.settings.sdkappid, "this")
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
    from channel_adapter.migration.plan.document import PlannedLimits  # noqa: PLC0415

    if PlannedLimits.of(migration.target) != plan.limits:
        raise InvalidError(
            "the plan was made for other custom fields or sizes than the settings name now: plan again", field="plan"
        )


async def _check_source(migration: "Migration", plan: Plan, journal: "Journal") -> None:
    """Only before the first run: later ones move what has changed."""
    if await journal.store.job(plan.migration) is not None:
        return
    async with migration.source(plan.source) as source:
        found = changes(plan, await channels_by_id(source), source.spec)
    serious = [change for change in found if change.serious]
    if serious:
        listed = "; ".join(str(change) for change in serious[:5])
        more = f" and {len(serious) - 5} more" if len(serious) > 5 else ""
        raise InvalidError(f"the plan is older than the source: {listed}{more}: plan again", field="plan")
    reader = TargetReader(migration.gateway, migration.accounts, migration.target.keys, migration.settings)
    await reader.check_edition(plan.channels[0].target.channel)


async def _begin(migration: "Migration", plan: Plan, journal: "Journal") -> "JobRow":
    """Write the job down; a new round when the one before has ended everywhere."""
    from channel_adapter.store.migration import ChannelRow, JobRow  # noqa: PLC0415 - an extra

    store = journal.store
    name = plan.migration
    begun = int(migration.clock.now())  # runs count on from here: their numbers name workflows, and those are for ever
    rows = [
        ChannelRow(name, channel.source.id, channel.target.id, place, run=begun)
        for place, channel in enumerate(plan.channels)
    ]
    job = await store.begin_job(JobRow(name, plan.sdkappid, to_json(plan).decode(), 1, migration.clock.now()), rows)
    planned = {channel.source.id for channel in plan.channels}
    held = [row for row in await store.channels(name) if row.source in planned]
    if all(row.finished >= job.round for row in held):
        number = await store.next_round(name, job.round)
        job = JobRow(job.migration, job.app, job.plan, number, job.began)
    return job


async def _queue(jobs: "Jobs", runtime: "Runtime", job: "JobRow") -> None:
    """Queue every channel that this round has not finished, unless a process works on it."""
    from channel_adapter.store.migration import QUEUED  # noqa: PLC0415 - as above

    rows = [row for row in await runtime.journal.store.channels(job.migration) if row.finished < job.round]
    found = await jobs.statuses([_key(row) for row in rows if row.standing == QUEUED])
    under_way = {key for key, state in found.items() if not state.ended}
    await _enqueue(jobs, runtime, [row for row in rows if _key(row) not in under_way])


async def _enqueue(jobs: "Jobs", runtime: "Runtime", rows: "list[ChannelRow]") -> None:
    from channel_adapter.migration.run import jobs as running  # noqa: PLC0415 - as above
    from channel_adapter.store.migration import QUEUED  # noqa: PLC0415

    for row in rows:
        row.run += 1
        row.standing, row.reason, row.transient = QUEUED, "", False
    await runtime.journal.note(rows)
    await runtime.journal.flush()
    for row in rows:
        await jobs.start(running.MIGRATION, _key(row), [row.migration, row.source, row.run])


async def _look_after(jobs: "Jobs", runtime: "Runtime", job: "JobRow") -> None:
    """Check, while nothing is done here, that jobs can be recorded and that each queued channel has one.

    A job whose end could not be written into the journal leaves its channel queued. Raises UnavailableError.
    """
    from channel_adapter.store.migration import QUEUED  # noqa: PLC0415 - as above

    await jobs.check_room()
    store = runtime.journal.store
    queued = [_key(row) for row in await store.channels(job.migration) if row.standing == QUEUED]
    ended = {key for key, state in (await jobs.statuses(queued)).items() if state.ended}
    rows = await store.channels(job.migration) if ended else []  # later than the jobs: what they wrote is there
    await _enqueue(jobs, runtime, [row for row in rows if row.standing == QUEUED and _key(row) in ended])


def _key(row: "ChannelRow") -> str:
    return f"migration:{row.migration}:{row.source}:{row.run}"


async def _watch(jobs: "Jobs", runtime: "Runtime", job: "JobRow", tell: Hear) -> Status:
    """Wait until nobody is at any channel, or this run is over."""
    allowance, clock = runtime.allowance, runtime.clock
    looked = clock.monotonic()
    try:
        while True:
            found = await read_status(runtime.journal, job.migration, runtime.allowance)
            tell(found)
            busy = any(channel.standing == "queued" for channel in found.channels)
            if not busy or (allowance.used_up and not runtime.active):
                return found
            if runtime.active:
                looked = clock.monotonic()
            elif trouble := runtime.journal.failure or runtime.trouble:
                raise trouble
            elif clock.monotonic() - looked > IDLE_SECONDS:
                await _look_after(jobs, runtime, job)
                looked = clock.monotonic()
            await asyncio.sleep(LOOK_EVERY)
    finally:
        allowance.stop("interrupted")
        await _wind_down(runtime)


async def _wind_down(runtime: "Runtime") -> None:
    """Let the calls under way end, for a moment."""
    with suppress(TimeoutError):
        await asyncio.wait_for(runtime.idle.wait(), END_SECONDS)
