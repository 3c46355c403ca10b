"""Conversation groups after a cutover: filled by any process on the database, cleared by a rollback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from channel_adapter import ChannelAdapter
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.errors import ConfigurationError, PermissionDeniedError
from channel_adapter.migration import service
from channel_adapter.migration.budget import TRANSIENT, Budget
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.cutover import groups as filling
from channel_adapter.migration.cutover.cutover import CutoverOptions, GroupSyncProgress, open_redirects
from channel_adapter.migration.cutover.groups import GroupSyncJob
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.rollback import RollbackStatus
from channel_adapter.migration.service import Migration
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.store.cutover import CutoverRow, CutoverStore, CutoverUsers
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent.catalog import GET_CONTACT_GROUP, GET_GROUP_MEMBER_INFO, UPDATE_CONTACT_GROUP
from tests.migration import worlds
from tests.migration.conftest import System, settings_for, system
from tests.migration.test_cutover import applied, posting_moved
from tests.migration.worlds import Size

WAIT = CutoverOptions(window_seconds=0)
LEAVE = CutoverOptions(window_seconds=0, wait=False)
SECONDS = 90.0


def all_users(at: System, plan: Plan) -> set[str]:
    groups = [at.server.world.state.groups.get(channel.target.id) for channel in plan.channels]
    return {user for group in groups if group is not None for user in group.members}


async def filed(at: System, user: str) -> str:
    """Return the conversation groups of a user as text."""
    return str([group async for group in at.adapter.unread.groups(user)])


async def filling_now(at: System, plan: Plan) -> GroupSyncProgress:
    state = await at.adapter.migration.cutover_state(plan)
    assert state is not None
    return state.group_sync


async def fill(at: System, plan: Plan) -> None:
    """Carry out the last step of a cutover, without its workflow."""
    async with open_redirects(at.adapter.migration.context) as posting:
        await posting.store.change(plan.migration, fill_wanted=1)
        filler = GroupSyncJob(at.adapter.migration.context, posting.store, Budget(at.adapter.migration.context.clock))
        assert await filler.run(plan.migration) == ""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110 - the database reports no changes
            await asyncio.sleep(0.02)


@asynccontextmanager
async def worker(at: System) -> AsyncIterator[None]:
    """Run `worker` on the database of the adapter."""
    work = asyncio.ensure_future(at.adapter.migration.work())
    try:
        yield
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


@asynccontextmanager
async def impatient(at: System, database: str) -> AsyncIterator[Migration]:
    """Open another process, which treats a short time without answers as an outage."""
    async with ChannelAdapter.open(settings_for(at.server, database_url=database, total_seconds=3.0)) as adapter:
        yield adapter.migration


class Pausing(SystemClock):
    """A clock that records the pauses and shortens them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await super().sleep(0.01)


async def test_cutover_without_wait_leaves_the_filling_to_a_worker(database: str) -> None:
    async with applied(database) as (at, plan):
        assert await at.adapter.migration.cutover_state(plan) is None
        await posting_moved(at, plan, 0)
        assert (await filling_now(at, plan)).state == "not wanted"
        left = await at.adapter.migration.cutover(plan, LEAVE)
        assert left.posting_moved
        assert not left.complete
        assert left.stopped == ""
        assert (left.group_sync.state, left.group_sync.filled) == ("unfinished", 0)
        assert await filed(at, "reader_000000") == "[]"

        async def done() -> bool:
            return (await filling_now(at, plan)).done

        async with worker(at):
            await until(done)
        users = all_users(at, plan)
        assert await filling_now(at, plan) == GroupSyncProgress(wanted=True, done=True, filled=len(users))
        for user in users:
            shown = await filed(at, user)
            assert any(channel.target.id in shown for channel in plan.channels)


async def test_outage_ends_a_waiting_cutover_and_the_next_run_continues(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "PAUSES", (0.0,))
    monkeypatch.setattr(filling, "USERS_PER_BATCH", 8)
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        at.server.faults.replace([Fault(command=GET_CONTACT_GROUP.name, account="reader_00001?", status=503)])
        async with impatient(at, database) as migration:
            with pytest.raises(TRANSIENT):
                await migration.cutover(plan, WAIT)
        stopped = await filling_now(at, plan)
        assert 0 < stopped.filled < len(all_users(at, plan))
        assert stopped.left == len(all_users(at, plan)) - stopped.filled
        assert stopped.last_error
        at.server.faults.replace([])
        done = await at.adapter.migration.cutover(plan, WAIT)
        assert done.complete
        assert (done.group_sync.filled, done.group_sync.last_error) == (len(all_users(at, plan)), "")


async def test_worker_continues_after_an_outage(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "PAUSES", (1.0, 2.0))
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        at.server.faults.replace([Fault(command=GET_CONTACT_GROUP.name, status=503)])
        clock = Pausing()
        async with impatient(at, database) as migration, open_redirects(migration.context) as posting:
            await posting.store.change(plan.migration, fill_wanted=1)
            own = migration.context
            context = MigrationContext(own.api, own.settings, clock, own.unread)
            filler = GroupSyncJob(context, posting.store, Budget(own.clock), keep_retrying=True)
            work = asyncio.ensure_future(filler.run(plan.migration))

            async def tired() -> bool:
                return len(clock.pauses) > 2

            await until(tired)
            assert clock.pauses[:3] == [1.0, 2.0, 2.0]
            at.server.faults.replace([])
            assert await work == ""
        assert (await filling_now(at, plan)).done


async def test_stopped_filling_is_continued_by_the_next_run(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "USERS_PER_BATCH", 8)
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        async with open_redirects(at.adapter.migration.context) as posting:
            await posting.store.change(plan.migration, fill_wanted=1)
            filler = GroupSyncJob(
                at.adapter.migration.context, posting.store, Budget(at.adapter.migration.context.clock)
            )
            at.server.log.listen(lambda _: filler.stop() if at.server.log.count(GET_CONTACT_GROUP.name) > 12 else None)
            assert await filler.run(plan.migration) == "interrupted"
            at.server.log.listen(None)
        stopped = await filling_now(at, plan)
        assert (stopped.done, stopped.last_error) == (False, "interrupted")
        assert 0 < stopped.filled < len(all_users(at, plan))
        await fill(at, plan)
        found = await filling_now(at, plan)
        assert (found.done, found.filled, found.last_error) == (True, len(all_users(at, plan)), "")


async def test_stop_after_the_last_user_is_not_an_interruption(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        async with open_redirects(at.adapter.migration.context) as posting:
            await posting.store.change(plan.migration, fill_wanted=1)
            filler = GroupSyncJob(
                at.adapter.migration.context, posting.store, Budget(at.adapter.migration.context.clock)
            )
            drop = CutoverUsers.drop

            async def dropped(users: CutoverUsers, name: str) -> None:
                filler.stop()
                await drop(users, name)

            monkeypatch.setattr(CutoverUsers, "drop", dropped)
            assert await filler.run(plan.migration) == ""
        found = await filling_now(at, plan)
        assert (found.done, found.filled, found.last_error) == (True, len(all_users(at, plan)), "")


async def test_rollback_removes_the_channels_from_conversation_groups(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        await fill(at, plan)
        users = all_users(at, plan)
        listed = await at.adapter.migration.rollback(plan)
        assert (listed.filled, listed.cleared, listed.to_clear) == (True, 0, 0)
        ids = [channel.target.id for channel in plan.channels]
        assert ids[0] in await filed(at, worlds.OWNER)
        unchanged = Fault(command=UPDATE_CONTACT_GROUP.name, account="reader_000001", code=50003)
        at.server.faults.replace([unchanged])
        partly = await at.adapter.migration.rollback(plan, remove=True)
        assert {item.status for item in partly.items} == {RollbackStatus.REMOVED}
        assert (partly.cleared, partly.to_clear, partly.complete) == (len(users) - 1, 1, False)
        at.server.faults.replace([])
        done = await at.adapter.migration.rollback(plan, remove=True)
        assert (done.cleared, done.to_clear, done.complete) == (1, 0, True)
        for user in users:
            shown = await filed(at, user)
            assert not any(id_ in shown for id_ in ids)
        again = await at.adapter.migration.rollback(plan, remove=True)
        assert (again.filled, again.cleared, again.to_clear, again.complete) == (False, 0, 0, True)


async def test_channel_kept_by_a_rollback_stays_in_conversation_groups(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        await fill(at, plan)
        stays, goes = (channel.target.id for channel in plan.channels)
        await at.adapter.subscriptions.subscribe(stays, [worlds.OTHER_OWNER], assign=False)
        async with open_redirects(at.adapter.migration.context) as posting:
            await CutoverUsers(posting.store.database).add_to_clean(plan.migration, stays, ["reader_000000"])
        done = await at.adapter.migration.rollback(plan, remove=True)
        assert [item.status for item in done.items] == [RollbackStatus.LIVES, RollbackStatus.REMOVED]
        shown = await filed(at, "reader_000000")
        assert stays in shown
        assert goes not in shown
        assert done.to_clear == 0


async def test_rollback_without_a_filling_reads_no_conversation_groups(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        done = await at.adapter.migration.rollback(plan, remove=True)
        assert done.complete
        assert not any("contact_group" in name for name, _ in at.server.log.answers)


async def two_plans(at: System) -> tuple[Plan, Plan]:
    """Move two accounts by migrations of their own."""
    plans: list[Plan] = []
    for account in (worlds.TEXTS, worlds.BUSY):
        async with at.adapter.migration.accounts_source(Discovered((account,))) as source:
            plan = await at.adapter.migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])))
            assert (await at.adapter.migration.apply(plan)).complete
        await posting_moved(at, plan, 0)
        plans.append(plan)
    return plans[0], plans[1]


async def test_failure_of_another_cutover_does_not_end_this_one(database: str) -> None:
    async with system(Size(30, 12), ids=(worlds.TEXTS, worlds.BUSY), database_url=database) as at:
        failing, plan = await two_plans(at)
        await at.adapter.migration.cutover(failing, LEAVE)
        group = failing.channels[0].target.id
        at.server.faults.replace([Fault(command=GET_GROUP_MEMBER_INFO.name, group=group, code=10007)])
        done = await at.adapter.migration.cutover(plan, WAIT)
        assert (done.stopped, done.group_sync.done) == ("", True)
        with pytest.raises(PermissionDeniedError):
            await at.adapter.migration.cutover(failing, WAIT)
        at.server.faults.replace([])
        done = await at.adapter.migration.cutover(failing, WAIT)
        assert (done.stopped, done.group_sync.done) == ("", True)


async def test_cutover_beside_the_jobs_of_the_same_process_leaves_both_running(
    database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_LOOK_SECONDS", 0.2)
    async with system(Size(30, 12), ids=(worlds.TEXTS, worlds.BUSY), database_url=database) as at:
        first, second = await two_plans(at)
        async with at.adapter.run_jobs({"jobs"}):
            done = await at.adapter.migration.cutover(first, WAIT)
            assert (done.stopped, done.group_sync.done) == ("", True)
            await at.adapter.migration.cutover(second, LEAVE)

            async def filled() -> bool:
                return (await filling_now(at, second)).done

            await until(filled)
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


async def test_fault_of_a_look_is_logged_and_does_not_end_the_jobs(
    database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(filling, "LOOK_SECONDS", 0.1)
    unfilled, looks = CutoverStore.unfilled_if_any, 0

    async def every_second_look_fails(store: CutoverStore) -> list[CutoverRow]:
        nonlocal looks
        looks += 1
        if looks % 2:
            raise ConfigurationError("another version of the tables")
        return await unfilled(store)

    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        monkeypatch.setattr(CutoverStore, "unfilled_if_any", every_second_look_fails)
        async with at.adapter.run_jobs({"jobs"}):
            await at.adapter.migration.cutover(plan, LEAVE)

            async def filled() -> bool:
                return (await filling_now(at, plan)).done

            await until(filled)
    assert "migration.group_sync_failed" in caplog.text
    assert "migration.group_sync_not_queued" in caplog.text
