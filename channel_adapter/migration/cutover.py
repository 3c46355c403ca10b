"""Posting moves from official accounts to channels: a last delta, a verification, and then for all of them at once.

Every stage is written down before the next one begins, so a cutover that is killed goes on where it was. Until posting
has moved nothing is different for anybody but the accounts' broadcasters, whom the guard asks to wait.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import orjson

from channel_adapter.domain.post import Broadcast
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, ConflictError, InvalidError, NotFoundError
from channel_adapter.mapping.ids import random_of
from channel_adapter.migration.accepted import NOTHING_ACCEPTED, Accepted
from channel_adapter.migration.apply import EXTRA, Bounds
from channel_adapter.migration.bounded import bounded
from channel_adapter.migration.compare import Life
from channel_adapter.migration.findings import Verdict
from channel_adapter.migration.metered import Allowance, Stopped
from channel_adapter.migration.plan import Plan, SourceKind
from channel_adapter.migration.plan_file import check_app
from channel_adapter.migration.status import Status
from channel_adapter.migration.target_pages import member_pages
from channel_adapter.migration.verify import verify
from channel_adapter.tencent.batching import concurrently
from channel_adapter.tencent.catalog import DESTROY_OFFICIAL_ACCOUNT
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.msg_body import text_element

if TYPE_CHECKING:
    from channel_adapter.migration.planning import Migration
    from channel_adapter.migration.posting_moved import PostingMoved
    from channel_adapter.services.unread import Unreads
    from channel_adapter.store.cutover import CutoverRow, CutoverStore, MovedRow

DAY: Final = 86_400.0
HELD_SECONDS: Final = 3_600.0
"""How long broadcasters wait at most for a cutover that was killed."""
ROUNDS: Final = 3
"""Deltas that are tried while people come and go at the source."""
FILLED_AT_ONCE: Final = 500
_ACCOUNTS_AT_ONCE: Final = 8

Tell = Callable[[str, int], None]
"""Hears of progress: "delta", "posts", "people", "channels" of a verification, "farewell", "filled", "destroyed"."""


def silent(what: str, count: int) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoverOptions:
    """How posting moves. The window is how long posts are broadcast at the source too; 0 is not at all.

    `guard`: what becomes of broadcasts of a moved account. `farewell` is the text of its last broadcast; empty: none.
    `accepted` are findings that somebody has looked at: with no others a verification is clean. `accept_differences`
    moves posting in spite of what verify finds; the source can never be destroyed in spite of it.
    """

    window_seconds: float = 7 * DAY
    guard: Literal["refuse", "redirect"] = "refuse"
    farewell: str = ""
    fill: bool = True
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
    filled: int = 0
    fill_problems: int = 0
    fill_done: bool = False
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
        return self.posting_moved and self.fill_done and not self.stopped and all(each.sent for each in self.farewells)


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
    try:
        from channel_adapter.migration.posting_moved import PostingMoved  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(EXTRA, field="database_url") from None
    posting = PostingMoved(url.get_secret_value(), migration.gateway, migration.clock)
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
    return _life(row for row in rows if row.migration == plan.migration)


def _life(rows: "Iterable[MovedRow]") -> dict[str, Life]:
    return {row.source: Life(row.verified_at, row.moved_at, destroyed=bool(row.destroying)) for row in rows}


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
        self._tell = tell
        self._result = Cutover(plan.migration, channels=len(plan.channels))
        self._rows: dict[str, MovedRow] = {}

    async def carry_out(self) -> Cutover:
        """All stages that are not done yet."""
        begun = await self._store.begin(self._plan.migration, self._now)
        await self._read_rows()
        self._check_wish()
        await self._posting.settle()
        try:
            await self._stages(begun)
        except Stopped as end:
            self._result.stopped = str(end)
        return self._result

    async def _stages(self, begun: "CutoverRow") -> None:
        result = self._result
        if not result.posting_moved:
            await self._move()
        if result.posting_moved and not any(row.destroying for row in self._rows.values()):
            await self._say_farewell()
            await self._fill(begun)
        if result.posting_moved and self._options.destroy_source and not result.stopped:
            await self._destroy()

    @property
    def _now(self) -> float:
        return self._migration.clock.now()

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
        ends = max((row.window_end for row in self._rows.values()), default=0.0)
        if not self._result.posting_moved:
            ends = self._now + self._options.window_seconds
        if ends > self._now:
            raise InvalidError(
                f"posts are to be broadcast at the source for another {(ends - self._now) / 3_600:.1f} h: destroy it"
                " when that is over, or move posting without a window",
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
                with suppress(ChannelAdapterError):
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

    async def _release(self) -> None:
        await self._put([replace(row, held_until=0.0) for row in self._rows.values() if not row.moved_at])

    async def _put(self, rows: "Iterable[MovedRow]") -> None:
        await self._store.put(rows)
        await self._read_rows()

    async def _delta(self) -> bool:
        """False when it did not come to its end."""
        status = await self._migration.apply(self._plan, database=self._database, bounds=self._bounds)
        self._result.status = status
        self._tell("delta", 1)
        if status.complete:
            return True
        failed = status.failed
        self._result.stopped = status.stopped or (f"{failed[0].source}: {failed[0].reason}" if failed else "stopped")
        return False

    async def _verify(self) -> Verdict:
        verdict = await verify(
            self._migration, self._plan, allowance=self._allowance, life=_life(self._rows.values()),
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

    async def _fill(self, begun: "CutoverRow") -> None:
        """Everybody's conversation group, in the order of their ids; the next run goes on behind the last batch."""
        unread, result = self._migration.unread, self._result
        result.filled, result.fill_problems = begun.filled, begun.fill_problems
        result.fill_done = bool(begun.fill_done) or unread is None or not self._migration.settings.unread.filing
        if result.fill_done or not self._options.fill or unread is None:
            return
        name = self._plan.migration
        if not begun.people_listed:
            await self._list_people()
            await self._store.change(name, people_listed=1)
        last = begun.filled_to
        while people := await self._store.people_after(name, last, FILLED_AT_ONCE):
            if self._allowance.used_up:
                result.stopped = self._allowance.reason
                return
            await self._fill_some(unread, people)
            last = people[-1]
            progress = {"filled_to": last, "filled": result.filled, "fill_problems": result.fill_problems}
            await self._store.change(name, **progress)
        await self._store.change(name, fill_done=1)
        await self._store.drop_people(name)
        result.fill_done = True

    async def _fill_some(self, unread: "Unreads", people: Sequence[str]) -> None:
        async for synced in unread.sync_many(people):
            self._result.fill_problems += bool(synced.problem)
            self._result.filled += 1
            self._tell("filled", 1)

    async def _list_people(self) -> None:
        """Everybody in any of the channels, once."""
        calls = bounded(self._migration, self._allowance).gateway
        for channel in self._plan.channels:
            async with aclosing(member_pages(calls, channel.target.channel)) as pages:
                async for page in pages:
                    await self._store.list_people(self._plan.migration, [each.member_account for each in page])

    async def _destroy(self) -> None:
        """Destroy the accounts, if a fresh verification is clean; once begun, it only goes on."""
        if not all(row.destroying for row in self._rows.values()):
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
