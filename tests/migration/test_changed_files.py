"""Files that have changed since they were moved: later runs move every post that is new, once."""

from channel_adapter.migration.rollback import RollbackStatus
from tests.migration import worlds
from tests.migration.test_quarantine import HUGE, Scene, post, scene

__all__ = ["scene"]


async def test_posts_are_not_moved_again_when_the_last_one_is_deleted_from_the_file(scene: Scene) -> None:
    scene.write([post(1), post(2), post(3)])
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write([post(1), post(2)])
    assert (await scene.apply(plan)).posts == 3
    scene.write([post(1), post(2), post(4)])
    assert (await scene.apply(plan)).posts == 4
    assert scene.texts == ["Post 1", "Post 2", "Post 3", "Post 4"]


async def test_post_with_an_earlier_time_that_a_file_has_later_is_moved(scene: Scene) -> None:
    scene.write([post(1), post(3)])
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write([post(1), post(2), post(3)])
    for _ in range(2):
        assert (await scene.apply(plan)).posts == 3
    assert scene.texts == ["Post 1", "Post 3", "Post 2"]


async def test_post_in_the_quarantine_is_left_to_retry_by_later_runs(scene: Scene) -> None:
    posts = [post(1), post(2, author="later"), post(3, HUGE)]
    scene.write(posts[:2])
    plan = await scene.plan()
    assert (await scene.apply(plan)).quarantined == 1
    scene.write(posts)
    assert (await scene.apply(plan)).quarantined == 2
    await scene.system.adapter.accounts.add(["later"])
    assert (await scene.apply(plan)).quarantined == 2
    assert scene.texts == ["Post 1"]
    assert (await scene.retry(plan)).quarantined == 1
    assert (await scene.apply(plan)).posts == 2
    assert scene.texts == ["Post 1", "Post 2"]


async def test_channel_with_an_admin_that_the_source_has_since_the_plan_is_removable(scene: Scene) -> None:
    scene.write()
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write(admins=[worlds.OTHER_OWNER])
    await scene.apply(plan)
    [item] = (await scene.system.adapter.migration.rollback(plan)).items
    assert (item.status, item.own_subscribers) == (RollbackStatus.REMOVABLE, 0)
