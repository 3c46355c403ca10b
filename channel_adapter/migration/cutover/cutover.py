"""Move posting from official accounts to channels: a last delta, a verification, then all accounts at the same time.

Every stage is recorded before the next one begins, so a cutover that is killed continues where it was. Until posting
has moved, the guard asks broadcasters of the accounts to wait and nothing else changes. Conversation groups are
synchronized when everything else is done, by any process that works on the database.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Final, Literal

import orjson

from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.post import Broadcast
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, ConflictError, InvalidError, NotFoundError
from channel_adapter.mapping.ids import random_of
from channel_adapter.migration.budget import Allowance, Stopped
from channel_adapter.migration.plan.document import Plan, check_app
from channel_adapter.migration.run.apply import LOOK_EVERY, Bounds, Status, needs_durable
from channel_adapter.migration.sources.source import SourceKind
from channel_adapter.migration.verify.compare import Life
from channel_adapter.migration.verify.findings import NOTHING_ACCEPTED, Accepted, Verdict
from channel_adapter.migration.verify.verify import verify
from channel_adapter.tencent.catalog import DESTROY_OFFICIAL_ACCOUNT
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.msg_body import text_element

if TYPE_CHECKING:
    from channel_adapter.migration.cutover.redirects import PostingMoved
    from channel_adapter.migration.facade import Migration
    from channel_adapter.store.cutover import CopyRow, CutoverRow, CutoverStore, MovedRow


PATIENT_LOCK_SECONDS: Final = 15.0
"""How long a cutover waits for others who write to its database: rather late than stopped by a busy disk."""


@dataclass(frozen=True, slots=True)
class Filling:
    """How far the conversation groups are. `left` people are known to wait; `said`: why the last run ended early."""

    wanted: bool = False
    done: bool = False
    filled: int = 0
    problems: int = 0
    left: int = 0
    said: str = ""

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.done:
            return "done"
        return "unfinished" if self.wanted else "not wanted"


async def filling_of(store: "CutoverStore", row: "CutoverRow") -> Filling:
    """How far a cutover's filling is."""
    from channel_adapter.store.cutover import CutoverPeople  # noqa: PLC0415 - an extra

    left = 0 if row.fill_done else await CutoverPeople(store.database).count_after(row.migration, row.filled_to)
    return Filling(bool(row.fill_wanted), bool(row.fill_done), row.filled, row.fill_problems, left, row.fill_said)


@dataclass(frozen=True, slots=True)
class CutoverState:
    """How far a cutover is. `copies` are broadcasts at the source, `verdict` what it went by, as JSON."""

    moved: "tuple[MovedRow, ...]"
    copies: "tuple[CopyRow, ...]"
    filling: Filling
    verdict: str


@asynccontextmanager
async def opened(migration: "Migration") -> "AsyncIterator[PostingMoved]":
    """What is known of cutovers in the adapter's database. Raises ConfigurationError where there is none."""
    url = migration.settings.database_url
    if url is None:
        raise ConfigurationError(
            "a cutover is written down in the adapter's database, where publishing and guards find it: set"
            " database_url",
            field="database_url",
        )
    with needs_durable(url.get_secret_value()):
        from channel_adapter.migration.cutover.redirects import PostingMoved  # noqa: PLC0415 - an extra
    posting = PostingMoved(
        url.get_secret_value(), migration.gateway, migration.clock, lock_seconds=PATIENT_LOCK_SECONDS
    )
    try:
        yield posting
    finally:
        await posting.aclose()


async def life_of(migration: "Migration", plan: Plan) -> dict[str, Life]:
    """What verify has to know of channels that live already; nothing where no database is set."""
    if migration.settings.database_url is None:
        return {}
    async with opened(migration) as posting:
        rows = await posting.store.moved_if_any()
        if rows:
            await posting.settle()
    return lives(row for row in rows if row.migration == plan.migration)


def lives(rows: "Iterable[MovedRow]") -> dict[str, Life]:
    """The same of these rows, by source id."""
    return {row.source: Life(row.verified_at, row.moved_at, destroyed=bool(row.destroying)) for row in rows}


async def state_of(migration: "Migration", name: str) -> CutoverState | None:
    """How far a migration's cutover is; None where none has begun."""
    if migration.settings.database_url is None:
        return None
    async with opened(migration) as posting:
        rows = tuple(row for row in await posting.store.moved_if_any() if row.migration == name)
        row = await posting.store.cutover(name) if rows else None
        if row is None:
            return None
        sources = {each.source for each in rows}
        copies = tuple(copy for copy in await posting.store.copies() if copy.source in sources)
        return CutoverState(rows, copies, await filling_of(posting.store, row), row.verdict)


DAY: Final = 86_400.0
_HOUR: Final = 3_600.0
HELD_SECONDS: Final = 3_600.0
"""How long broadcasters wait at most for a cutover that was killed."""
ROUNDS: Final = 3
"""Deltas that are tried while people come and go at the source."""
_ACCOUNTS_AT_ONCE: Final = 8

Tell = Callable[[str, int], None]
"""Hears of progress: "delta" when one begins, "moved" for each of its channels; "posts", "people", "channels" of a
verification, "again" before the one that destroying takes; "farewell", "destroyed"; "to_fill" and "filled" for people.
"""


def silent(what: str, count: int) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverOptions:
    """How posting moves. The window is how long posts are broadcast at the source too; 0 is not at all.

    `guard`: what becomes of broadcasts of a moved account. `farewell` is the text of its last broadcast; empty: none.
    `accepted` are findings that somebody has looked at: with no others a verification is clean. `accept_differences`
    moves posting in spite of what verify finds; the source can never be destroyed in spite of it. `fill`: conversation
    groups are filled; `wait` for that, or leave it to `worker` and to later runs.
    """

    window_seconds: float = 7 * DAY
    guard: Literal["refuse", "redirect"] = "refuse"
    farewell: str = ""
    fill: bool = True
    wait: bool = True
    destroy_source: bool = False
    accepted: Accepted = NOTHING_ACCEPTED
    accept_differences: bool = False


@dataclass(slots=True)
class Cutover:
    """How far a cutover is. `stopped` says why it ended before its end; empty when it did not."""

    migration: str
    moved: "tuple[MovedRow, ...]" = ()
    channels: int = 0
    status: Status | None = None
    verdict: Verdict | None = None
    farewells: tuple[Broadcast, ...] = ()
    filling: Filling = field(default_factory=Filling)
    stopped: str = ""

    @property
    def posting_moved(self) -> bool:
        """Is posting a matter of the channels now?"""
        return sum(bool(row.moved_at) for row in self.moved) == self.channels > 0

    @property
    def destroyed(self) -> tuple[str, ...]:
        """Accounts that were destroyed."""
        return tuple(row.source for row in self.moved if row.destroyed_at)

    @property
    def complete(self) -> bool:
        """Is nothing left to do?"""
        filled = self.filling.done or not self.filling.wanted
        return self.posting_moved and filled and not self.stopped and all(each.sent for each in self.farewells)


async def cutover(
    migration: "Migration", plan: Plan, options: CutoverOptions | None = None, *, database: str | None = None,
    bounds: Bounds | None = None, tell: Tell = silent,
) -> Cutover:  # fmt: skip
    """Move posting, or go on with it. May be repeated; what was done is not done again.

    What ends at the bounds says so in `stopped`. `database` is the journal's, if it is another one. Raises
    ConfigurationError without `database_url`, InvalidError for a plan of another app and for a source that may not be
    destroyed yet, ConflictError for accounts that another migration has cut over, and whatever makes source or target
    fail.
    """
    check_app(plan, migration.settings.sdkappid, "this")
    async with opened(migration) as posting:
        work = _Work(migration, plan, options or CutoverOptions(), posting, database, bounds or Bounds(), tell)
        return await work.carry_out()


class _Work:
    """One run of one cutover."""

    def __init__(
        self, migration: "Migration", plan: Plan, options: CutoverOptions, posting: "PostingMoved",
        database: str | None, bounds: Bounds, tell: Tell,
    ) -> None:  # fmt: skip
        self._migration = migration
        self._plan = plan
        self._options = options
        self._posting = posting
        self._store: CutoverStore = posting.store
        self._database = database
        self._bounds = bounds
        self._allowance = Allowance(migration.clock, calls=bounds.calls, seconds=bounds.seconds)
        self._began = migration.clock.monotonic()
        self._tell = Notifier("tell", tell)
        self._result = Cutover(plan.migration, channels=len(plan.channels))
        self._rows: dict[str, MovedRow] = {}

    async def carry_out(self) -> Cutover:
        """All stages that are not done yet."""
        await self._store.begin(self._plan.migration, self._now)
        await self._read_rows()
        await self._read_filling()
        self._check_wish()
        await self._posting.settle()
        try:
            await self._stages()
        except Stopped as end:
            self._result.stopped = str(end)
        return self._result

    async def _stages(self) -> None:
        result = self._result
        if not result.posting_moved:
            await self._move()
        if not result.posting_moved:
            return
        if self._options.fill and self._migration.unread is not None and self._migration.settings.unread.assign:
            await self._store.change(self._plan.migration, fill_wanted=1)
            await self._read_filling()
        if not any(row.destroying for row in self._rows.values()):
            await self._say_farewell()
        if self._options.destroy_source:
            await self._destroy()
        if result.filling.wanted and self._options.fill and self._options.wait:
            await self._fill()

    @property
    def _now(self) -> float:
        return self._migration.clock.now()

    @property
    def _left(self) -> Bounds:
        """What this run may still do. Raises Stopped."""
        if self._allowance.used_up:
            raise Stopped(self._allowance.reason)
        calls, seconds = self._bounds.calls, self._bounds.seconds
        return Bounds(
            calls=None if calls is None else max(1, calls - self._allowance.calls),
            seconds=None if seconds is None else seconds - (self._migration.clock.monotonic() - self._began),
        )

    async def _read_rows(self) -> None:
        rows = await self._store.moved()
        planned = {channel.source.id for channel in self._plan.channels}
        for row in rows:
            if row.source in planned and row.migration != self._plan.migration:
                raise ConflictError(f"{row.source} was cut over by migration {row.migration}", field="plan")
        self._rows = {row.source: row for row in rows if row.source in planned}
        self._result.moved = tuple(self._rows.values())

    def _check_wish(self) -> None:
        """Refuse at once what cannot end well. Raises InvalidError."""
        if not self._options.destroy_source:
            return
        if self._plan.source.kind is not SourceKind.ACCOUNTS:
            raise InvalidError("files are no source that could be destroyed here", field="destroy_source")
        if not self._result.posting_moved:
            if self._options.window_seconds:
                raise InvalidError(
                    "posting has not moved, and its window begins then: cut over without destroying the source,"
                    " and destroy it when the window is over; or cut over without a window",
                    field="destroy_source",
                )
            return
        left = max((row.window_end for row in self._rows.values()), default=0.0) - self._now
        if left > 0:
            told = f"{left / _HOUR:.1f} h" if left >= _HOUR else f"{ceil(left)} s"
            raise InvalidError(
                f"posts are broadcast at the source for another {told}: destroy it when that is over",
                field="destroy_source",
            )

    # Moving

    async def _move(self) -> None:
        """Delta and verification until they agree, then posting moves. Broadcasters wait meanwhile."""
        fresh = [each for each in self._plan.channels if not self._moved(each.source.id)]
        before: list[str] | None = None
        try:
            for _ in range(ROUNDS):
                await self._hold([each.source.id for each in fresh])
                if not await self._delta():
                    break
                verdict = await self._verify()
                if self._hold_is_over:
                    self._result.stopped = f"it took longer than broadcasters wait ({HELD_SECONDS / 60:.0f} min)"
                    continue
                if verdict.clean or self._options.accept_differences:
                    await self._write_moved([each.source.id for each in fresh], verdict)
                    self._result.stopped = ""
                    return
                self._result.stopped = "source and target differ"
                found = [str(finding) for finding in verdict.named]
                if found == before:  # a delta does not mend it
                    break
                before = found
        finally:
            if not self._result.posting_moved:
                with suppress(ChannelAdapterError):  # then the hold ends by itself, and what went wrong is told
                    await asyncio.shield(self._release())

    def _moved(self, source: str) -> bool:
        row = self._rows.get(source)
        return row is not None and bool(row.moved_at)

    async def _hold(self, sources: Sequence[str]) -> None:
        from channel_adapter.store.cutover import MovedRow  # noqa: PLC0415 - an extra

        goals = {each.source.id: each.target.id for each in self._plan.channels}
        await self._put(
            MovedRow(
                source, self._plan.migration, goals[source], self._options.guard, held_until=self._now + HELD_SECONDS
            )
            for source in sources
        )

    @property
    def _hold_is_over(self) -> bool:
        """Then a broadcast may have come behind the delta's back."""
        return any(not row.moved_at and row.held_until <= self._now for row in self._rows.values())

    async def _release(self) -> None:
        await self._put([replace(row, held_until=0.0) for row in self._rows.values() if not row.moved_at])

    async def _put(self, rows: "Iterable[MovedRow]") -> None:
        await self._store.put(rows)
        await self._read_rows()

    async def _delta(self) -> bool:
        """False when it did not come to its end."""
        self._tell("delta", 1)
        done = 0

        def hear(status: Status) -> None:
            nonlocal done
            self._tell("moved", max(0, status.done - done))
            done = max(done, status.done)

        status = await self._migration.apply(self._plan, database=self._database, bounds=self._left, tell=hear)
        self._result.status = status
        self._allowance.calls += status.calls
        if status.complete:
            return True
        failed = status.failed
        self._result.stopped = status.stopped or (f"{failed[0].source}: {failed[0].reason}" if failed else "stopped")
        return False

    async def _verify(self) -> Verdict:
        verdict = await verify(
            self._migration, self._plan, allowance=self._allowance, life=lives(self._rows.values()),
            accepted=self._options.accepted, tell=self._tell,
        )  # fmt: skip
        self._result.verdict = verdict
        await self._store.change(self._plan.migration, verdict=orjson.dumps(verdict.to_json()).decode())
        return verdict

    async def _write_moved(self, sources: Sequence[str], verdict: Verdict) -> None:
        now = self._now
        double = self._plan.source.kind is SourceKind.ACCOUNTS
        await self._put(
            replace(
                self._rows[source], moved_at=now, held_until=0.0, guard=self._options.guard,
                verified_at=verdict.at if verdict.clean else 0.0,
                window_end=now + self._options.window_seconds if double else 0.0,
            )
            for source in sources
        )  # fmt: skip

    # After it

    async def _say_farewell(self) -> None:
        """The last broadcast of every account, once; one that cannot be sent now is told, and tried by the next run."""
        if not self._options.farewell or self._plan.source.kind is not SourceKind.ACCOUNTS:
            return
        body = [text_element(self._options.farewell)]

        async def say(account: str) -> Broadcast:
            random = random_of("farewell", self._plan.migration, account)
            return await self._posting.farewell(account, body, random)

        said: list[Broadcast] = []
        async with aclosing(concurrently(list(self._rows), say, limit=_ACCOUNTS_AT_ONCE, ordered=True)) as answers:
            async for each in answers:
                said.append(each)
                self._tell("farewell", 1)
        self._result.farewells = tuple(said)

    async def _fill(self) -> None:
        """Wait until everybody's conversation group is filled, by this process or others; this run may end before."""
        url = self._migration.settings.database_url
        if url is None or self._result.filling.done:
            return
        with needs_durable(url.get_secret_value()):
            from channel_adapter.migration.cutover.groups import serving  # noqa: PLC0415 - an extra
        async with serving(self._migration, url.get_secret_value(), self._allowance) as service:
            while service is not None:
                before = self._result.filling
                await self._read_filling()
                now = self._result.filling
                self._tell("to_fill", now.filled + now.left - before.filled - before.left)
                self._tell("filled", now.filled - before.filled)
                if now.done or self._allowance.used_up:
                    break
                if service.filler.failure is not None:
                    raise service.filler.failure
                await service.queue()
                await asyncio.sleep(LOOK_EVERY)
        if not self._result.filling.done:
            self._result.stopped = self._allowance.reason or self._result.filling.said or "stopped"

    async def _read_filling(self) -> None:
        row = await self._store.cutover(self._plan.migration)
        if row is not None:
            self._result.filling = await filling_of(self._store, row)

    async def _destroy(self) -> None:
        """Destroy the accounts, if a fresh verification is clean; once begun, it only goes on."""
        if not all(row.destroying for row in self._rows.values()):
            self._tell("again", 1)
            verdict = await self._verify()
            if not verdict.clean:
                self._result.stopped = "source and target differ: nothing was destroyed"
                return
            await self._put([replace(row, destroying=1) for row in self._rows.values()])
        for row in [row for row in self._rows.values() if not row.destroyed_at]:
            request = wire.DestroyOfficialAccountRequest(official_account=row.source)
            with suppress(NotFoundError):  # by an earlier run
                await self._migration.gateway.call(DESTROY_OFFICIAL_ACCOUNT, request)
            await self._put([replace(row, destroyed_at=self._now)])
            self._tell("destroyed", 1)
