"""Users who subscribed by themselves before they were moved are told from those that the migration made members."""

from collections.abc import Callable

import pytest

from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.rollback import RollbackStatus
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent.wire.members import ACCEPT_AND_NOTIFY, DISCARD
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.planned import planned
from tests.migration.worlds import Size

EARLY = ("reader_000002", "reader_000031")
SIZE = Size(subscribers=60, posts=7, subscriber_data=False)


def group_of(at: System, plan: Plan) -> Group:
    return at.server.world.state.groups[plan.channels[0].target.id]


def joining(at: System, plan: Plan) -> Callable[[str], None]:
    """Return a failpoint at which the early users subscribe to the new group."""

    def subscribe(point: str) -> None:
        if point == "channel.made":
            for user in EARLY:
                now = int(at.server.world.clock.now())
                at.server.world.state.join(group_of(at, plan), user, MemberRole.MEMBER, now, 0)

    return subscribe


async def test_user_who_subscribed_during_the_first_run_is_counted_as_subscribed_already(database: str) -> None:
    async with system(SIZE, ids=(worlds.FULL,), database_url=database) as at:
        plan, migration = await planned(at), at.adapter.migration
        status = await migration.apply(plan, failpoint=joining(at, plan))
        assert (status.complete, status.subscribers, status.already) == (True, 58, 2)
        assert (await migration.status(plan.migration)).channels == status.channels
        made = await migration.report(plan)
        assert made.document["channels"][0]["moved"] == {
            "posts": 1, "subscribers": 58, "already_subscribed": 2, "removed": 0,
        }  # fmt: skip
        assert b"| 58 of 60, 2 subscribed already |" in made.to_markdown()


async def test_user_who_subscribed_during_the_first_run_keeps_the_channel_and_stays_in_it(database: str) -> None:
    async with system(SIZE, ids=(worlds.FULL,), database_url=database) as at:
        plan, migration = await planned(at), at.adapter.migration
        await migration.apply(plan, failpoint=joining(at, plan))
        source = at.server.world.state.official[worlds.FULL]
        for user in (*EARLY, "reader_000003"):
            at.server.world.state.unsubscribe(source, user)
        [item] = (await migration.rollback(plan)).items
        assert (item.status, item.own_subscribers) == (RollbackStatus.LIVES, 2)
        status = await migration.apply(plan)
        assert (status.complete, status.channels[0].removed, status.already) == (True, 1, 2)
        assert set(EARLY) <= set(group_of(at, plan).members)


async def test_options_of_a_user_who_subscribed_during_the_first_run_stay(database: str) -> None:
    async with system(SIZE, ids=(worlds.FLAGS,), database_url=database) as at:
        plan = await planned(at)
        await at.adapter.migration.apply(plan, failpoint=joining(at, plan))
        members = group_of(at, plan).members
        row, moved = members.find(EARLY[0]), members.find("reader_000005")
        assert row is not None
        assert moved is not None
        assert (members.flag(row), members.flag(moved)) == (ACCEPT_AND_NOTIFY, DISCARD)


async def test_users_of_a_stopped_first_run_are_counted_as_moved_by_the_next(database: str) -> None:
    async with system(SIZE, ids=(worlds.FULL, worlds.FLAGS), database_url=database, total_seconds=2.0) as at:
        plan, migration = await planned(at), at.adapter.migration
        at.server.faults.replace([Fault(command="import_group_member", drop=True, applied=True)])
        for _ in range(2):
            assert not (await migration.apply(plan, limits=BudgetLimits(calls=30))).complete
        at.server.faults.replace([])
        status = await migration.apply(plan)
        assert (status.complete, status.subscribers, status.already) == (True, 90, 0)


@pytest.mark.parametrize("runs", [1, 2])
async def test_user_of_a_call_whose_answer_was_lost_is_counted_as_moved(database: str, runs: int) -> None:
    async with system(SIZE, ids=(worlds.FLAGS,), database_url=database) as at:
        plan, migration = await planned(at), at.adapter.migration
        world = at.server.world
        source = world.state.official[worlds.FLAGS]
        for _ in range(runs - 1):
            await migration.apply(plan)
        world.state.add_account("late")
        world.state.subscribe(source, "late", int(world.clock.now()) - 40)
        row = source.subscribers.find("late")
        assert row is not None
        source.subscribers.set_flag(row, DISCARD)
        lost = Fault(command="import_group_member", account="late", drop=True, applied=True, times=1)
        at.server.faults.replace([lost])
        status = await migration.apply(plan)
        assert (status.complete, status.subscribers, status.already) == (True, 31, 0)
        members = group_of(at, plan).members
        moved = members.find("late")
        assert moved is not None
        assert members.flag(moved) == DISCARD
        world.state.unsubscribe(source, "late")
        assert (await migration.apply(plan)).channels[0].removed == 1
        assert "late" not in members
