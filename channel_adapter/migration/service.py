"""`adapter.migration`: plan, apply, verify, cut over, roll back and report."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.extras import require_durable
from channel_adapter.config.settings import Settings
from channel_adapter.mapping.user_list import ListedUser, UnusableLine
from channel_adapter.migration.budget import TRANSIENT, Budget, BudgetLimits, ProgressCallback, noop_progress
from channel_adapter.migration.context import Failpoint, MigrationContext, needs_durable, noop_failpoint
from channel_adapter.migration.cutover import cutover as cutting
from channel_adapter.migration.cutover.cutover import Cutover, CutoverOptions, CutoverState
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import Planner, PlanOptions
from channel_adapter.migration.report import MigrationReport, make_report
from channel_adapter.migration.rollback import Rollback, rollback
from channel_adapter.migration.run import apply as applying
from channel_adapter.migration.run.apply import Status, StatusCallback, WorkerCallback
from channel_adapter.migration.run.quarantine import retry
from channel_adapter.migration.sources.accounts import AccountsSource
from channel_adapter.migration.sources.discover import Discovered, from_users
from channel_adapter.migration.sources.source import Source, SourceSpec
from channel_adapter.migration.verify.findings import EMPTY_BASELINE, Baseline, VerificationResult
from channel_adapter.migration.verify.verify import FindingCallback, noop_finding, verify
from channel_adapter.services.unread.service import UnreadService
from channel_adapter.store.cutover import CutoverStore
from channel_adapter.store.database import Database
from channel_adapter.store.migration import MigrationStore

_LOOK_SECONDS: Final = 10.0

_log = get_logger("channel_adapter.migration")


class Migration:
    """Moves channels from a source to this app.

    `limits` bound the calls and seconds of one run: it ends there, and the next run continues. `database` is the one
    of the journal, if it is not the adapter's own.
    """

    def __init__(self, api: ApiCaller, settings: Settings, clock: Clock, unread: UnreadService | None = None) -> None:
        """Use `adapter.migration`. `unread` synchronizes conversation groups at the end of a cutover."""
        self._context = MigrationContext(api, settings, clock, unread)

    @property
    def context(self) -> MigrationContext:
        """What the parts of a migration share."""
        return self._context

    @asynccontextmanager
    async def source(self, spec: SourceSpec) -> AsyncIterator[Source]:
        """Open the source that a plan names, for the length of a block.

        Raises InvalidError for files that cannot be used, OSError for those that cannot be read.
        """
        async with self._context.source(spec) as source:
            yield source

    @asynccontextmanager
    async def accounts_source(self, found: Discovered) -> AsyncIterator[Source]:
        """Open official accounts that were searched for, with the lines of the search that named none."""
        source = AccountsSource(
            self._context.official,
            found.accounts,
            searched=found.searched,
            broken=found.broken,
        )
        try:
            yield source
        finally:
            await source.aclose()

    async def discover_from_users(self, listed: Iterable[ListedUser | UnusableLine], name: str) -> Discovered:
        """Return the official accounts that the users of a list follow; `name` is that of the list, for messages.

        Raises InvalidError when none of them follows an official account.
        """
        return await from_users(
            self._context.official.members, listed, name, concurrency=self._context.settings.concurrency
        )

    async def plan(
        self,
        source: Source,
        options: PlanOptions | None = None,
        *,
        before: Plan | None = None,
        on_progress: ProgressCallback = noop_progress,
    ) -> Plan:
        """Return what moving this source takes. Nothing is written; the same source and target yield the same plan.

        `before` is an earlier plan of the same source: where that had subscribers or posts and now there are none, it
        is an error. Raises NotFoundError for an account that does not exist, ConflictError for a source that has become
        empty, ConfigurationError for an edition without Communities or imports, and errors of the source.
        """
        return await Planner(self._context, options, before, on_progress).plan(source)

    async def apply(
        self,
        plan: Plan,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: StatusCallback = noop_progress,
        failpoint: Failpoint = noop_failpoint,
    ) -> Status:
        """Apply a plan, continue it, or move what has changed since; return how far it is then.

        Raises before anything is written: InvalidError for a plan that is not ready, of another app, or older than the
        source; ConfigurationError for the edition, the database, a missing extra; ConflictError for accounts that
        another migration moves. Failures of single channels are in the result.
        """
        return await applying.apply(
            self._context.with_journal(database), plan, limits=limits, on_progress=on_progress, failpoint=failpoint
        )

    async def status(self, migration: str, *, database: str | None = None) -> Status:
        """Return how far a migration is. Raises ConflictError when the database does not know it."""
        return await applying.status(self._context.with_journal(database), migration)

    async def retry(
        self,
        plan: Plan,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: StatusCallback = noop_progress,
    ) -> Status:
        """Continue what failed or was stopped, and try again what is in the quarantine; return how far it is then.

        Raises what `apply` raises.
        """
        return await retry(self._context.with_journal(database), plan, limits=limits, on_progress=on_progress)

    async def work(
        self,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: WorkerCallback = noop_progress,
        failpoint: Failpoint = noop_failpoint,
    ) -> int:
        """Work on what other processes have queued, until the limits or a cancellation; return the calls made.

        In the adapter's own database, conversation groups are synchronized for cutovers as well.
        """
        return await applying.work(
            self._context.with_journal(database), limits=limits, on_progress=on_progress, failpoint=failpoint
        )

    @asynccontextmanager
    async def run_group_sync(self) -> AsyncIterator[None]:
        """Synchronize conversation groups for cutovers of the adapter's database for the length of a block.

        Jobs run from when a cutover waits for them. Raises ConfigurationError without a database or `durable`.
        """
        url = self.journal_url()
        require_durable(url)
        clock = self._context.clock
        task = asyncio.ensure_future(repeat(partial(self._sync_groups, url), _LOOK_SECONDS, clock, _log_failed_look))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _sync_groups(self, url: str) -> None:
        async with Database.shared(url) as database:
            waiting = await CutoverStore(database).unfilled_if_any()
        if waiting:
            from channel_adapter.migration.cutover.groups import run_group_sync  # noqa: PLC0415 - DBOS is slow

            async with run_group_sync(self._context, url, Budget(self._context.clock)):
                await asyncio.Event().wait()

    def journal_url(self, database: str | None = None) -> str:
        """Return the database of the journal. Raises ConfigurationError when none is set."""
        return self._context.with_journal(database).require_journal()

    async def has_journal(self, migration: str, database: str | None = None) -> bool:
        """Return whether a database has the journal of a migration. Creates nothing. Raises UnavailableError."""
        url = self.journal_url(database)
        with needs_durable(url):
            opened = Database.shared(url)
        try:
            return await MigrationStore(opened).has_job(migration)
        finally:
            await opened.close()

    async def verify(
        self,
        plan: Plan,
        *,
        accepted: Baseline = EMPTY_BASELINE,
        limits: BudgetLimits | None = None,
        on_finding: FindingCallback = noop_finding,
        on_progress: ProgressCallback = noop_progress,
    ) -> VerificationResult:
        """Read source and target again and compare everything; `on_finding` receives every finding. Nothing is written.

        `accepted` are findings of an earlier verification that are waived. Raises BudgetExhausted at the limits.
        """
        post_cutovers = await cutting.read_post_cutovers(self._context, plan)
        context = self._context.with_budget(Budget(self._context.clock, limits))
        return await verify(
            context,
            plan,
            post_cutovers=post_cutovers,
            accepted=accepted,
            on_finding=on_finding,
            on_progress=on_progress,
        )

    async def cutover(
        self,
        plan: Plan,
        options: CutoverOptions | None = None,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: ProgressCallback = noop_progress,
    ) -> Cutover:
        """Move what has changed, verify, then move posting to the channels; or continue that. May be repeated.

        A run that ends at the limits says so in `stopped`. Raises ConfigurationError without `database_url`,
        InvalidError for a plan of another app and for a source that may not be destroyed yet, ConflictError for
        accounts that another migration has cut over, and errors of source and target.
        """
        return await cutting.cutover(
            self._context.with_journal(database), plan, options, limits=limits, on_progress=on_progress
        )

    async def cutover_state(self, plan: Plan) -> CutoverState | None:
        """Return how far a cutover is, as the adapter's database has it; None where none has begun."""
        return await cutting.read_cutover_state(self._context, plan.migration)

    async def rollback(
        self,
        plan: Plan,
        *,
        remove: bool = False,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: ProgressCallback = noop_progress,
    ) -> Rollback:
        """List the groups that may be removed; with `remove`, remove them. The source is only read. May be repeated.

        Raises InvalidError for a plan of another app, BudgetExhausted at the limits, and errors of source and target.
        """
        context = self._context.with_journal(database)
        budget = Budget(context.clock, limits)
        return await rollback(context, plan, remove=remove, budget=budget, on_progress=on_progress)

    async def report(
        self, plan: Plan, *, database: str | None = None, verdict: Mapping[str, Any] | None = None
    ) -> MigrationReport:
        """Return what is recorded of a migration. Neither source nor target is read.

        `verdict` is the result of a verification, as JSON; without one, the cutover's is used. Raises InvalidError for
        a plan of another app.
        """
        return await make_report(self._context.with_journal(database), plan, verdict)


def _log_failed_look(error: Exception) -> None:
    if not isinstance(error, TRANSIENT):  # after those, the next look comes soon
        _log.exception("migration.group_sync_failed")
