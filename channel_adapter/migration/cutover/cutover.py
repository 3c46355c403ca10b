"""Move posting from accounts to channels: hold broadcasts, last delta, verification, switch, final broadcasts.

All accounts are moved at the same time.

Every stage is recorded before the next one begins, so a cutover that is killed continues where it was. Until posting
has moved, the guard asks broadcasters of the accounts to wait and nothing else changes. Conversation groups are
synchronized when everything else is done, by any process that works on the database.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal

import orjson

from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Broadcast, Text
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, ConflictError, InvalidError
from channel_adapter.mapping.ids import random_of
from channel_adapter.migration.budget import Budget, BudgetExhausted, BudgetLimits, ProgressCallback, noop_progress
from channel_adapter.migration.context import MigrationContext, needs_durable
from channel_adapter.migration.cutover.redirects import CUTOVER_LOCK_SECONDS, AccountRedirects
from channel_adapter.migration.plan.document import Plan, check_app
from channel_adapter.migration.run.apply import LOOK_EVERY, Status, apply
from channel_adapter.migration.sources.source import SourceKind
from channel_adapter.migration.verify.compare import PostCutover
from channel_adapter.migration.verify.findings import EMPTY_BASELINE, Baseline, VerificationResult
from channel_adapter.migration.verify.verify import verify
from channel_adapter.store.cutover import (
    FINAL_BROADCAST,
    SENT,
    BroadcastRow,
    CutoverChannelRow,
    CutoverRow,
    CutoverStore,
    CutoverUsers,
)
from channel_adapter.tencent.notify import Notifier

DAY: Final = 86_400.0
_HOUR: Final = 3_600.0
HELD_SECONDS: Final = 3_600.0
"""How long broadcasters wait at most for a cutover that was killed."""
ROUNDS: Final = 3
"""Deltas that are tried while subscribers of the source come and go."""
_CONCURRENT_ACCOUNTS: Final = 8
_RESTARTS: Final = 3
"""Jobs of conversation groups that may end early, one after the other and without progress, before a cutover ends."""
_RESTART_LOOKS: Final = 50
"""Looks between two restarts of a job that has ended early."""


@dataclass(frozen=True, slots=True)
class GroupSyncProgress:
    """How far the conversation groups are. `left` users wait; `last_error` is why the last run ended early."""

    wanted: bool = False
    done: bool = False
    filled: int = 0
    problems: int = 0
    left: int = 0
    last_error: str = ""

    @property
    def state(self) -> str:
        """One of done, unfinished, not wanted."""
        if self.done:
            return "done"
        return "unfinished" if self.wanted else "not wanted"


@dataclass(frozen=True, slots=True)
class CutoverState:
    """How far a cutover is. `broadcasts` are those of the accounts, `verdict` is the last verification, as JSON."""

    moved: tuple[CutoverChannelRow, ...]
    broadcasts: tuple[BroadcastRow, ...]
    group_sync: GroupSyncProgress
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverOptions:
    """How posting moves. In the window, posts are broadcast on the accounts too; 0 seconds is no window.

    `guard` is what happens to broadcasts of a moved account. `final_broadcast` is the text of the last broadcast of
    every account; none if it is empty. `accepted` are findings that are waived. `accept_differences` moves posting in
    spite of what a verification finds; the source is never destroyed in spite of it. `fill` synchronizes conversation
    groups, `wait` waits for that; otherwise a worker or a later run does it.
    """

    window_seconds: float = 7 * DAY
    guard: Literal["refuse", "redirect"] = "refuse"
    final_broadcast: str = ""
    fill: bool = True
    wait: bool = True
    destroy_source: bool = False
    accepted: Baseline = EMPTY_BASELINE
    accept_differences: bool = False


@dataclass(frozen=True, slots=True)
class Cutover:
    """How far a cutover is. `stopped` says why it ended early; empty when it did not."""

    migration: str
    moved: tuple[CutoverChannelRow, ...]
    channels: int
    status: Status | None
    verdict: VerificationResult | None
    final_broadcasts: tuple[Broadcast, ...]
    group_sync: GroupSyncProgress
    stopped: str

    @property
    def posting_moved(self) -> bool:
        """Return whether posting has moved to all channels."""
        return sum(bool(row.moved_at) for row in self.moved) == self.channels > 0

    @property
    def destroyed(self) -> tuple[str, ...]:
        """Accounts that were destroyed."""
        return tuple(row.source for row in self.moved if row.destroyed_at)

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to do."""
        synchronized = self.group_sync.done or not self.group_sync.wanted
        sent = all(each.sent for each in self.final_broadcasts)
        return self.posting_moved and synchronized and not self.stopped and sent


@asynccontextmanager
async def open_redirects(context: MigrationContext) -> AsyncIterator[AccountRedirects]:
    """Open what the adapter's database records of cutovers. Raises ConfigurationError where no database is set."""
    url = context.database_url
    if url is None:
        raise ConfigurationError(
            "a cutover is written down in the adapter's database, where publishing and guards find it: set"
            " database_url",
            field="database_url",
        )
    redirects = AccountRedirects(url, context.official.posts, context.clock, lock_seconds=CUTOVER_LOCK_SECONDS)
    try:
        yield redirects
    finally:
        await redirects.aclose()


async def read_post_cutovers(context: MigrationContext, plan: Plan) -> dict[str, PostCutover]:
    """Return what a verification needs of channels whose posting has moved, by source id."""
    if context.database_url is None:
        return {}
    async with open_redirects(context) as redirects:
        rows = await redirects.store.channels_if_any()
        if rows:
            await redirects.resolve_pending()
    return post_cutovers(row for row in rows if row.migration == plan.migration)


def post_cutovers(rows: Iterable[CutoverChannelRow]) -> dict[str, PostCutover]:
    """Return what a verification needs of these channels, by source id."""
    return {row.source: PostCutover(row.verified_at, row.moved_at, destroyed=bool(row.destroying)) for row in rows}


async def read_cutover_state(context: MigrationContext, migration: str) -> CutoverState | None:
    """Return how far a migration's cutover is; None where none has begun."""
    if context.database_url is None:
        return None
    async with open_redirects(context) as redirects:
        store = redirects.store
        rows = tuple(row for row in await store.channels_if_any() if row.migration == migration)
        row = await store.cutover(migration) if rows else None
        if row is None:
            return None
        sources = {each.source for each in rows}
        broadcasts = tuple(each for each in await store.broadcasts() if each.source in sources)
        return CutoverState(rows, broadcasts, await read_group_sync(store, row), row.verdict)


async def read_group_sync(store: CutoverStore, row: CutoverRow) -> GroupSyncProgress:
    """Return how far the conversation groups of a cutover are."""
    left = 0 if row.fill_done else await CutoverUsers(store.database).count_after(row.migration, row.filled_to)
    return GroupSyncProgress(
        bool(row.fill_wanted), bool(row.fill_done), row.filled, row.fill_problems, left, row.fill_error
    )


async def cutover(
    context: MigrationContext,
    plan: Plan,
    options: CutoverOptions | None = None,
    *,
    limits: BudgetLimits | None = None,
    on_progress: ProgressCallback = noop_progress,
) -> Cutover:
    """Move posting, or continue that. May be repeated; what was done is not done again.

    A run that ends at the limits says so in `stopped`. Raises ConfigurationError without `database_url`, InvalidError
    for a plan of another app and for a source that may not be destroyed yet, ConflictError for accounts that another
    migration has cut over, and errors of source and target.
    """
    check_app(plan, context.settings.sdkappid, "this")
    async with open_redirects(context) as redirects:
        budget = Budget(context.clock, limits)
        return await CutoverRun(context, plan, options or CutoverOptions(), redirects, budget, on_progress).run()


class CutoverRun:
    """One run of one cutover."""

    def __init__(
        self,
        context: MigrationContext,
        plan: Plan,
        options: CutoverOptions,
        redirects: AccountRedirects,
        budget: Budget,
        on_progress: ProgressCallback,
    ) -> None:
        self._context = context
        self._plan = plan
        self._options = options
        self._redirects = redirects
        self._store = redirects.store
        self._budget = budget
        self._on_progress = Notifier("on_progress", on_progress)
        self._rows: dict[str, CutoverChannelRow] = {}
        self._status: Status | None = None
        self._verdict: VerificationResult | None = None
        self._final_broadcasts: tuple[Broadcast, ...] = ()
        self._group_sync = GroupSyncProgress()
        self._stopped = ""

    async def run(self) -> Cutover:
        """Go through all stages that are not done yet."""
        await self._store.begin(self._plan.migration, self._now)
        await self._read_rows()
        await self._read_group_sync()
        self._check_options()
        await self._redirects.resolve_pending()
        try:
            await self._run_stages()
        except BudgetExhausted as end:
            self._stopped = str(end)
        return self._cutover_result

    @property
    def _cutover_result(self) -> Cutover:
        return Cutover(
            self._plan.migration,
            tuple(self._rows.values()),
            len(self._plan.channels),
            self._status,
            self._verdict,
            self._final_broadcasts,
            self._group_sync,
            self._stopped,
        )

    async def _run_stages(self) -> None:
        if not self._posting_moved:
            await self._move_posting()
        if not self._posting_moved:
            return
        if self._options.fill and self._context.unread is not None and self._context.settings.unread.assign:
            await self._store.change(self._plan.migration, fill_wanted=1)
            await self._read_group_sync()
        if not any(row.destroying for row in self._rows.values()):
            await self._send_final_broadcasts()
        if self._options.destroy_source:
            await self._destroy_source_accounts()
        if self._group_sync.wanted and self._options.fill and self._options.wait:
            await self._synchronize_groups()

    @property
    def _now(self) -> float:
        return self._context.clock.now()

    @property
    def _posting_moved(self) -> bool:
        return self._cutover_result.posting_moved

    async def _read_rows(self) -> None:
        rows = await self._store.channels()
        planned = {channel.source.id for channel in self._plan.channels}
        for row in rows:
            if row.source in planned and row.migration != self._plan.migration:
                raise ConflictError(f"{row.source} was cut over by migration {row.migration}", field="plan")
        self._rows = {row.source: row for row in rows if row.source in planned}

    def _check_options(self) -> None:
        """Refuse before any stage what cannot end well. Raises InvalidError."""
        if not self._options.destroy_source:
            return
        if self._plan.source.kind is not SourceKind.ACCOUNTS:
            raise InvalidError("files are no source that could be destroyed here", field="destroy_source")
        if not self._posting_moved:
            if self._options.window_seconds:
                raise InvalidError(
                    "posting has not moved, and its window begins then: cut over without destroying the source,"
                    " and destroy it when the window is over; or cut over without a window",
                    field="destroy_source",
                )
            return
        left = max((row.window_end for row in self._rows.values()), default=0.0) - self._now
        if left > 0:
            duration = f"{left / _HOUR:.1f} h" if left >= _HOUR else f"{ceil(left)} s"
            raise InvalidError(
                f"posts are broadcast on the accounts for another {duration}: destroy them when that is over",
                field="destroy_source",
            )

    # Moving

    async def _move_posting(self) -> None:
        """Repeat delta and verification until they agree, then move posting. Broadcasters wait meanwhile."""
        sources = [each.source.id for each in self._plan.channels if not self._has_moved(each.source.id)]
        before: list[str] | None = None
        try:
            for _ in range(ROUNDS):
                await self._hold_broadcasters(sources)
                if not await self._run_delta():
                    break
                verdict = await self._run_verification()
                if self._hold_is_over:
                    self._stopped = f"it took longer than broadcasters wait ({HELD_SECONDS / 60:.0f} min)"
                    continue
                if verdict.clean or self._options.accept_differences:
                    await self._record_moved(sources, verdict)
                    self._stopped = ""
                    return
                self._stopped = "source and target differ"
                found = [str(finding) for finding in verdict.named]
                if found == before:  # another delta does not repair it
                    break
                before = found
        finally:
            if not self._posting_moved:
                with suppress(ChannelAdapterError):  # then the hold ends by itself; the error that led here is raised
                    await asyncio.shield(self._release_broadcasters())

    def _has_moved(self, source: str) -> bool:
        row = self._rows.get(source)
        return row is not None and bool(row.moved_at)

    async def _hold_broadcasters(self, sources: Sequence[str]) -> None:
        targets = {each.source.id: each.target.id for each in self._plan.channels}
        until = self._now + HELD_SECONDS
        await self._save_rows(
            CutoverChannelRow(source, self._plan.migration, targets[source], self._options.guard, held_until=until)
            for source in sources
        )

    @property
    def _hold_is_over(self) -> bool:
        """Return whether an account may have broadcast after the delta."""
        return any(not row.moved_at and row.held_until <= self._now for row in self._rows.values())

    async def _release_broadcasters(self) -> None:
        await self._save_rows([replace(row, held_until=0.0) for row in self._rows.values() if not row.moved_at])

    async def _save_rows(self, rows: Iterable[CutoverChannelRow]) -> None:
        await self._store.put(rows)
        await self._read_rows()

    async def _run_delta(self) -> bool:
        """Return False when it was stopped, or a channel failed."""
        self._on_progress("delta", 1)
        done = 0

        def report(status: Status) -> None:
            nonlocal done
            self._on_progress("moved", max(0, status.done - done))
            done = max(done, status.done)

        status = await apply(self._context, self._plan, limits=self._budget.left, on_progress=report)
        self._status = status
        self._budget.add(status.calls)
        if status.complete:
            return True
        failed = status.failed
        self._stopped = status.stopped or (f"{failed[0].source}: {failed[0].reason}" if failed else "stopped")
        return False

    async def _run_verification(self) -> VerificationResult:
        verdict = await verify(
            self._context.with_budget(self._budget),
            self._plan,
            post_cutovers=post_cutovers(self._rows.values()),
            accepted=self._options.accepted,
            on_progress=self._on_progress,
        )
        self._verdict = verdict
        await self._store.change(self._plan.migration, verdict=orjson.dumps(verdict.to_json()).decode())
        return verdict

    async def _record_moved(self, sources: Sequence[str], verdict: VerificationResult) -> None:
        now = self._now
        window = self._options.window_seconds if self._plan.source.kind is SourceKind.ACCOUNTS else None
        await self._save_rows(
            replace(
                self._rows[source], moved_at=now, held_until=0.0, guard=self._options.guard,
                verified_at=verdict.at if verdict.clean else 0.0,
                window_end=0.0 if window is None else now + window,
            )
            for source in sources
        )  # fmt: skip

    # After it

    async def _send_final_broadcasts(self) -> None:
        """Send the last broadcast of every account, once; one that fails is reported, and tried by the next run."""
        if not self._options.final_broadcast or self._plan.source.kind is not SourceKind.ACCOUNTS:
            return
        sent: list[Broadcast] = []
        results = concurrently(list(self._rows), self._send_final_broadcast, limit=_CONCURRENT_ACCOUNTS, ordered=True)
        async with aclosing(results) as broadcasts:
            async for each in broadcasts:
                sent.append(each)
                self._on_progress("final_broadcast", 1)
        self._final_broadcasts = tuple(sent)

    async def _send_final_broadcast(self, account: str) -> Broadcast:
        random = random_of("farewell", self._plan.migration, account)  # a repeated sending is recognised by it
        return await self._redirects.final_broadcast(account, Text(self._options.final_broadcast), random)

    async def _unsent_final_broadcasts(self) -> list[str]:
        """Return the accounts whose last broadcast was begun, in this run or an earlier one, and not sent."""
        return [
            row.source
            for row in await self._store.broadcasts()
            if row.seq == FINAL_BROADCAST and row.state != SENT and row.source in self._rows
        ]

    async def _synchronize_groups(self) -> None:
        """Wait until the conversation groups are synchronized, by this process or others, or this run is over."""
        url = self._context.database_url
        if url is None or self._group_sync.done:
            return
        with needs_durable(url):
            from channel_adapter.migration.cutover.groups import run_group_sync  # noqa: PLC0415 - DBOS is slow
        async with run_group_sync(self._context, url, self._budget) as queue:
            restarts, look = 0, 0
            while queue is not None:
                before = self._group_sync
                await self._read_group_sync()
                now = self._group_sync
                self._on_progress("to_fill", now.filled + now.left - before.filled - before.left)
                self._on_progress("filled", now.filled - before.filled)
                if now.done or self._budget.exhausted:
                    break
                if failure := queue.sync.failures.get(self._plan.migration):
                    raise failure
                restarts = 0 if now.filled > before.filled else restarts
                restarts += self._plan.migration in await queue.queue(again=look % _RESTART_LOOKS == 0)
                if restarts > _RESTARTS:  # by another function of this process, or another process
                    break
                look += 1
                await asyncio.sleep(LOOK_EVERY)
        if not self._group_sync.done:
            self._stopped = self._budget.reason or self._group_sync.last_error or "stopped"

    async def _read_group_sync(self) -> None:
        row = await self._store.cutover(self._plan.migration)
        if row is not None:
            self._group_sync = await read_group_sync(self._store, row)

    async def _destroy_source_accounts(self) -> None:
        """Destroy the accounts, if the last broadcast of each is sent and another verification is clean.

        Once begun, it is only continued.
        """
        if not all(row.destroying for row in self._rows.values()):
            if unsent := await self._unsent_final_broadcasts():
                more = f" and {len(unsent) - 1} more" if len(unsent) > 1 else ""
                self._stopped = f"the last broadcast of {unsent[0]}{more} is still to be sent: nothing was destroyed"
                return
            self._on_progress("again", 1)
            verdict = await self._run_verification()
            if not verdict.clean:
                self._stopped = "source and target differ: nothing was destroyed"
                return
            await self._save_rows([replace(row, destroying=1) for row in self._rows.values()])
        for row in [row for row in self._rows.values() if not row.destroyed_at]:
            await self._context.official.channels.delete(ChannelId(row.source))
            await self._save_rows([replace(row, destroyed_at=self._now)])
            self._on_progress("destroyed", 1)
