"""Synchronize conversation groups of subscribers after a cutover, in a job of any process that works on the database.

The position is recorded after every hundred users. When the process is killed, another worker continues there, and a
job that ended early is started again by the next worker that looks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from channel_adapter.backends.community.importing import CommunityImporter
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.domain.ids import ChannelId
from channel_adapter.durable import Job, Jobs, Kind, open_jobs
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.migration.budget import TRANSIENT, Budget, BudgetExhausted
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.cutover.redirects import CUTOVER_LOCK_SECONDS
from channel_adapter.store.cutover import CutoverRow, CutoverStore, CutoverUsers
from channel_adapter.store.database import Database

USERS_PER_BATCH: Final = 100
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before another attempt during an outage. Without `keep_retrying`, the job ends after them."""
GROUP_SYNC: Final = Kind("migration-fill", concurrency=1)
LOOK_SECONDS: Final = 10.0
"""How often a worker looks for new cutovers."""
END_SECONDS: Final = 1.0

_log = get_logger("channel_adapter.migration")


class GroupSyncJob:
    """Synchronize conversation groups for one cutover after the other, in this process.

    With `keep_retrying` it never gives up while the service may answer again. `failures` are what
    ended the last run of each migration.
    """

    def __init__(
        self, context: MigrationContext, store: CutoverStore, budget: Budget, *, keep_retrying: bool = False
    ) -> None:
        self.store = store
        self.budget = budget
        self.clock = context.clock
        self.idle = asyncio.Event()
        self.idle.set()
        self.failures: dict[str, Exception] = {}
        self._context = context
        self._keep_retrying = keep_retrying
        self._task: asyncio.Future[str] | None = None
        self._users = CutoverUsers(store.database)
        self._failures = 0
        self._position = -1

    async def run(self, migration: str) -> str:
        """Synchronize until no user is left; else return, and record, why it ended before that."""
        self.idle.clear()
        self.failures.pop(migration, None)
        try:
            reason = await self._run_until_end(migration)
            row = await self.store.cutover(migration)
            if row is not None and row.fill_done:  # also when it is stopped just then
                return ""
            await self.store.change(migration, fill_error=reason)
        finally:
            self.idle.set()
        return reason

    def stop(self) -> None:
        """End the run in progress. Users that were not recorded yet are synchronized again, which changes nothing."""
        self.budget.stop("interrupted")
        if self._task is not None:
            self._task.cancel()

    async def _run_until_end(self, migration: str) -> str:
        """Return why it ended; empty when it is done."""
        self._task = asyncio.ensure_future(self._retry_sync(migration))
        try:
            return await self._task
        except BudgetExhausted as end:
            return str(end)
        except asyncio.CancelledError:
            if not self.budget.exhausted:
                raise
            return self.budget.reason
        except ChannelAdapterError as error:
            self.failures[migration] = error
            return error.message
        except Exception as fault:  # noqa: BLE001 - the job ends, and its cutover reports it
            self.failures[migration] = fault
            _log.exception("migration.group_sync_failed", migration=migration)
            return f"an error in this program: {type(fault).__name__}"

    async def _retry_sync(self, migration: str) -> str:
        self._failures, self._position = 0, -1
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=self._pause_seconds,
            stop=self._is_over,
            sleep=self.clock.sleep,
            reraise=True,
        )
        return await attempts(self._attempt_sync, migration)

    def _pause_seconds(self, _: RetryCallState) -> float:
        return PAUSES[min(self._failures, len(PAUSES)) - 1]

    def _is_over(self, _: RetryCallState) -> bool:
        return not self._keep_retrying and self._failures > len(PAUSES)

    async def _attempt_sync(self, migration: str) -> str:
        """Synchronize, and count the failures since the last progress."""
        try:
            return await self._sync_remaining_users(migration)
        except TRANSIENT:
            row = await self.store.cutover(migration)
            if row is not None and row.filled > self._position:
                self._failures, self._position = 0, row.filled
            self._failures += 1
            raise

    async def _sync_remaining_users(self, migration: str) -> str:
        while (row := await self.store.cutover(migration)) is not None and not row.fill_done:
            if self.budget.exhausted:
                return self.budget.reason
            if not row.users_listed:
                await self._list_users(migration)
                continue
            users = await self._users.after(migration, row.filled_to, USERS_PER_BATCH)
            if users:
                await self._sync_batch(row, users)
                continue
            await self.store.change(migration, fill_done=1, fill_error="")
            await self._users.drop(migration)
        return ""

    async def _sync_batch(self, row: CutoverRow, users: Sequence[str]) -> None:
        unread = self._context.unread
        if unread is None:
            raise ConfigurationError("this process cannot synchronize conversation groups", field="unread")
        problems = 0
        async with aclosing(unread.sync_many_stream(users)) as answers:
            async for synced in answers:
                self.budget.check()
                problems += bool(synced.error)
        await self.store.advance_fill(row, users[-1], len(users), problems)

    async def _list_users(self, migration: str) -> None:
        """Record the members of all channels of a cutover, each user once."""
        importer = CommunityImporter(self._context.budgeted_api(self.budget), self._context.target.keys)
        for row in await self.store.channels():
            if row.migration == migration:
                async with aclosing(importer.member_pages(ChannelId(row.channel))) as pages:
                    async for page in pages:
                        await self._users.add(migration, [each.member_account for each in page])
        await self.store.change(migration, users_listed=1)


class GroupSyncQueue:
    """Start jobs for the cutovers of one database that wait for conversation groups."""

    def __init__(self, jobs: Jobs, sync: GroupSyncJob) -> None:
        self.sync = sync
        self._jobs = jobs
        self._store = sync.store

    async def queue(self, *, again: bool = True) -> set[str]:
        """Start a job for every cutover that waits and has none; with `again`, also where a job ended early.

        Return the migrations whose job had ended early.
        """
        return {row.migration for row in await self._store.unfilled_if_any() if await self._queue_job(row, again=again)}

    async def keep_queueing(self) -> None:
        """Start jobs for cutovers of other processes, for as long as the task runs."""
        again = True

        async def look() -> None:
            nonlocal again
            await self.queue(again=again)
            again = False

        await repeat(look, LOOK_SECONDS, self.sync.clock, _log_failed_look)

    async def _queue_job(self, row: CutoverRow, *, again: bool) -> bool:
        ended = False
        state = await self._jobs.status(_job_key(row))
        while state is not None:
            if not (state.ended and again):
                return False
            ended = True
            await self._store.change(row.migration, fill_run=row.fill_run + 1)
            row = replace(row, fill_run=row.fill_run + 1)
            state = await self._jobs.status(_job_key(row))
        # Two processes that come here at the same time start one job.
        await self._jobs.start(GROUP_SYNC, _job_key(row), [row.migration])
        return ended


def _log_failed_look(error: Exception) -> None:
    if not isinstance(error, TRANSIENT):  # after those, the next look comes soon
        _log.exception("migration.group_sync_not_queued")


def register(jobs: Jobs, sync: GroupSyncJob) -> None:
    """Set what synchronizes, unless something in this process does so already: then from when that ends."""

    async def run(job: Job, migration: str) -> str:
        return await job.step("fill", sync.run, migration)

    jobs.register(GROUP_SYNC, run, shared=True)


@asynccontextmanager
async def queueing(jobs: Jobs, sync: GroupSyncJob) -> AsyncIterator[GroupSyncQueue]:
    """Start jobs for cutovers in the database for the length of a block; the job in progress ends with it."""
    queue = GroupSyncQueue(jobs, sync)
    looks = asyncio.ensure_future(queue.keep_queueing())
    try:
        yield queue
    finally:
        looks.cancel()
        await asyncio.gather(looks, return_exceptions=True)
        sync.stop()
        with suppress(TimeoutError):  # what is not over by then is continued by another worker
            await asyncio.wait_for(sync.idle.wait(), END_SECONDS)


@asynccontextmanager
async def run_group_sync(context: MigrationContext, url: str, budget: Budget) -> AsyncIterator[GroupSyncQueue | None]:
    """Run the jobs of cutovers in this database for the length of a block; None where it is not the adapter's own."""
    async with open_group_sync(context, url, budget) as sync:
        if sync is None:
            yield None
            return
        async with open_jobs(url) as jobs:
            register(jobs, sync)
            async with jobs.run_worker([GROUP_SYNC]), queueing(jobs, sync) as queue:
                yield queue


@asynccontextmanager
async def open_group_sync(
    context: MigrationContext, url: str, budget: Budget, *, keep_retrying: bool = False
) -> AsyncIterator[GroupSyncJob | None]:
    """Open what synchronizes for cutovers in a database; None where it is not the adapter's own."""
    if context.database_url != url or context.unread is None:
        yield None
        return
    database = Database.shared(url).waiting(CUTOVER_LOCK_SECONDS)
    try:
        yield GroupSyncJob(context, CutoverStore(database), budget, keep_retrying=keep_retrying)
    finally:
        await database.close()


def _job_key(row: CutoverRow) -> str:
    return f"migration-fill:{row.migration}:{row.began:.0f}:{row.fill_run}"
