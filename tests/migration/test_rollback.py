"""Rollback: lists first, removes only what was moved from the source, and can be repeated."""

import pytest

from channel_adapter.domain.post import Text
from channel_adapter.errors import InvalidError
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.rollback import Rollback, RollbackStatus
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent.catalog import DESTROY_GROUP
from tests.migration import worlds
from tests.migration.applied import moved
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

SMALL = Size(40, 24)
TWO = (worlds.FULL, worlds.TEXTS)


async def statuses(at: System, plan: Plan, *, remove: bool = False) -> dict[str, RollbackStatus]:
    found: Rollback = await at.adapter.migration.rollback(plan, remove=remove)
    return {item.source: item.status for item in found.items}


async def test_rollback_removes_all_moved_channels_and_keeps_source_and_foreign_groups() -> None:
    async with system(Size(40, 24)) as at:
        before = at.server.world.dump()
        plan = await moved(at)
        found = await at.adapter.migration.rollback(plan)
        assert not found.acted
        assert {item.status for item in found.items} == {RollbackStatus.REMOVABLE}
        assert all(each.target.id in at.server.world.state.groups for each in plan.channels)
        done = await at.adapter.migration.rollback(plan, remove=True)
        assert done.complete
        assert {item.status for item in done.items} == {RollbackStatus.REMOVED}
        after = at.server.world.dump()
        assert after["official_accounts"] == before["official_accounts"]
        assert list(at.server.world.state.groups) == [at.moving.stranger]
        assert set((await statuses(at, plan, remove=True)).values()) == {RollbackStatus.ABSENT}


async def test_listing_writes_nothing() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = await moved(at)
        before = at.server.world.dump()
        await statuses(at, plan)
        assert at.server.world.dump() == before


async def test_group_with_own_posts_is_kept_and_reported() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = await moved(at)
        channel = plan.channels[0].target.id
        await at.adapter.posts.publish(channel, Text("said here"))
        done = await at.adapter.migration.rollback(plan, remove=True)
        post_cutovers, gone = done.items
        assert (post_cutovers.status, post_cutovers.own_posts, post_cutovers.own_subscribers) == (
            RollbackStatus.LIVES,
            1,
            0,
        )
        assert "posts 1, subscribers 0" in post_cutovers.reason
        assert gone.status is RollbackStatus.REMOVED
        assert channel in at.server.world.state.groups
        assert not done.complete


async def test_group_with_a_later_subscriber_is_kept() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = await moved(at)
        await at.adapter.subscriptions.subscribe(plan.channels[0].target.id, [worlds.OTHER_OWNER], assign=False)
        done = await at.adapter.migration.rollback(plan, remove=True)
        assert (done.items[0].status, done.items[0].own_subscribers) == (RollbackStatus.LIVES, 1)
        assert plan.channels[0].target.id in at.server.world.state.groups


async def test_user_that_left_and_rejoined_counts_as_own_subscriber() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = await moved(at)
        channel = plan.channels[0].target.id
        await at.adapter.subscriptions.unsubscribe(channel, ["reader_000001"], assign=False)
        assert (await statuses(at, plan))[worlds.FULL] is RollbackStatus.REMOVABLE
        await at.adapter.subscriptions.subscribe(channel, ["reader_000001"], assign=False)
        assert (await statuses(at, plan))[worlds.FULL] is RollbackStatus.LIVES


async def test_foreign_groups_and_only_copies_are_never_removed() -> None:
    async with system(SMALL, ids=(*TWO, worlds.BUSY)) as at:
        plan = await moved(at)
        state = at.server.world.state
        state.groups[plan.channels[0].target.id].fields["ch_tag"] = "ch1;mig=another"
        del state.official[worlds.TEXTS]
        found = await statuses(at, plan, remove=True)
        assert found == {
            worlds.FULL: RollbackStatus.FOREIGN,
            worlds.TEXTS: RollbackStatus.SOURCE_GONE,
            worlds.BUSY: RollbackStatus.REMOVED,
        }
        assert plan.channels[0].target.id in state.groups
        assert plan.channels[1].target.id in state.groups


async def test_rollback_with_lost_answer_succeeds() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = await moved(at)
        at.server.faults.replace([Fault(command=DESTROY_GROUP.name, nth=(1,), drop=True, applied=True)])
        assert set((await statuses(at, plan, remove=True)).values()) == {RollbackStatus.REMOVED}


async def test_plan_of_another_app_is_refused() -> None:
    async with system(SMALL, ids=TWO) as at:
        plan = (await moved(at)).model_copy(update={"sdkappid": 1})
        with pytest.raises(InvalidError, match="app 1"):
            await at.adapter.migration.rollback(plan, remove=True)
