"""Later runs: changes of the source are moved, and changes by users on the target are kept."""

from collections.abc import AsyncIterator

import pytest

from channel_adapter import Text
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.state import Group, OfficialAccount
from channel_adapter.tencent.wire.members import ACCEPT_NOT_NOTIFY, DISCARD
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.moved_world import check_against_source, picture
from tests.migration.planned import planned
from tests.migration.worlds import Size, text

IDS = (worlds.FULL, worlds.TEXTS)


class Scene:
    """A system whose accounts were moved once."""

    def __init__(self, system: System, plan: Plan) -> None:
        self.system, self.plan = system, plan
        self.world = system.server.world
        self.source: OfficialAccount = self.world.state.official[worlds.FULL]

    @property
    def group(self) -> Group:
        channel = self.plan.channel(worlds.FULL)
        assert channel is not None
        return self.world.state.groups[channel.target.id]

    def broadcast(self, words: str) -> StoredMessage:
        log = self.source.log
        sent = max(int(self.world.clock.now()) - 50, log.last_time + 1)
        message = StoredMessage(
            log.next_seq, sent, 9_000 + log.next_seq, self.source.account_id, 2, pack([text(words)])
        )
        log.append(message)
        return message

    def joins(self, *users: str) -> None:
        for user in users:
            self.world.state.add_account(user)
            self.world.state.subscribe(self.source, user, int(self.world.clock.now()) - 40)


@pytest.fixture
async def moved(database: str) -> AsyncIterator[Scene]:
    async with system(Size(120, 24), ids=IDS, database_url=database) as s:
        plan = await planned(s)
        assert (await s.adapter.migration.apply(plan)).complete
        yield Scene(s, plan)


async def test_run_without_changes_of_the_source_changes_nothing(moved: Scene) -> None:
    before = picture(moved.world, moved.plan, 0)
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert (status.complete, status.round) == (True, 2)
    assert picture(moved.world, moved.plan, 0) == before


async def test_changes_of_the_source_are_moved(moved: Scene) -> None:
    """Of the source: new and recalled posts, joins, leaves, a new name, a notification option."""
    state, source = moved.world.state, moved.source
    moved.broadcast("fresh")
    gone = next(post for post in source.log if not post.recalled)
    source.log.recall(gone)
    moved.joins("late_1", "late_2")
    for user in ("reader_000004", "reader_000005"):
        state.unsubscribe(source, user)
    source.name = "Renamed 港"
    row = source.subscribers.find("reader_000007")
    assert row is not None
    source.subscribers.set_flag(row, DISCARD)
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert status.complete
    assert status.quarantined == 0
    group = moved.group
    assert group.name == "Renamed 港"
    assert {user for user in group.members if user != group.owner} == set(source.subscribers)
    assert sum(channel.removed for channel in status.channels) == 2
    last = list(group.log)[-1]
    assert [element.msg_content for element in last.body] == [{"Text": "fresh"}]
    assert [post.recalled for post in group.log].count(True) == 1
    reader = group.members.find("reader_000007")
    assert reader is not None
    assert group.members.flag(reader) == DISCARD


async def test_changes_by_users_on_the_target_are_kept(moved: Scene) -> None:
    state, group = moved.world.state, moved.group
    state.leave(group, "reader_000001")
    row = group.members.find("reader_000002")
    assert row is not None
    group.members.set_flag(row, ACCEPT_NOT_NOTIFY)
    source_row = moved.source.subscribers.find("reader_000002")
    assert source_row is not None
    moved.source.subscribers.set_flag(source_row, DISCARD)
    group.introduction = "Written here"
    moved.joins("late_1")
    assert (await moved.system.adapter.migration.apply(moved.plan)).complete
    assert "reader_000001" not in group.members
    assert "late_1" in group.members
    found = group.members.find("reader_000002")
    assert found is not None
    assert group.members.flag(found) == ACCEPT_NOT_NOTIFY
    assert group.introduction == "Written here"


async def test_user_that_joined_the_target_first_is_not_removed_with_the_source(moved: Scene) -> None:
    state, group = moved.world.state, moved.group
    state.add_account("early")
    await moved.system.adapter.subscriptions.subscribe(group.group_id, ["early"])
    moved.joins("early")
    assert (await moved.system.adapter.migration.apply(moved.plan)).complete
    state.unsubscribe(moved.source, "early")
    assert (await moved.system.adapter.migration.apply(moved.plan)).complete
    assert "early" in group.members


async def test_suddenly_empty_source_removes_no_subscriber(moved: Scene) -> None:
    for user in list(moved.source.subscribers):
        moved.world.state.unsubscribe(moved.source, user)
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert len(moved.group.members) == 121
    assert "has no subscribers any more and had 120" in status.failed[0].reason


async def test_old_post_after_a_live_one_is_moved_with_a_later_time(moved: Scene, database: str) -> None:
    """The service accepts an imported post only after all others."""
    moved.broadcast("an old one")
    await moved.system.adapter.posts.publish(moved.group.group_id, Text("live"))
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert status.complete
    assert [post.body[0].msg_content for post in list(moved.group.log)[-2:]] == [
        {"Text": "live"}, {"Text": "an old one"},
    ]  # fmt: skip
    async with open_journal(database) as journal:
        assert await journal.store.count_quarantined(moved.plan.migration) == 0


async def test_post_refused_behind_a_live_one_is_quarantined(moved: Scene, database: str) -> None:
    refused = moved.broadcast("refused")
    await moved.system.adapter.posts.publish(moved.group.group_id, Text("live"))
    moved.system.server.faults.replace([Fault(command="import_group_msg", fail_items=1, item_code=10004)])
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert (status.complete, status.quarantined) == (True, 1)
    assert [post.body[0].msg_content for post in list(moved.group.log)[-1:]] == [{"Text": "live"}]
    async with open_journal(database) as journal:
        [row] = await journal.store.quarantined(moved.plan.migration)
    assert row.reason.startswith("the target refused it: ")
    assert row.retry == "check that its author is an account of the app, then `channel-adapter migrate retry`"
    assert '"Text":"refused"' in row.raw
    assert row.key.endswith(str(refused.time))


async def test_source_that_changes_during_the_run_is_moved_by_the_next_run(database: str) -> None:
    async with system(Size(230, 24), ids=IDS, database_url=database) as s:
        plan = await planned(s)
        scene = Scene(s, plan)
        calls = 0

        def meanwhile(_: object) -> None:
            nonlocal calls
            calls += 1
            command = s.server.log.answers
            if not any("import_group_member" in path for path, _ in command) or calls % 2:
                return
            scene.joins(f"during_{calls}")
            scene.world.state.unsubscribe(scene.source, f"reader_{calls:06}")

        s.server.log.listen(meanwhile)
        assert (await s.adapter.migration.apply(plan)).complete
        scene.broadcast("during")
        s.server.log.listen(None)
        assert calls > 20
        assert (await s.adapter.migration.apply(plan)).complete
        users = set(scene.source.subscribers)
        assert {user for user in scene.group.members if user != scene.group.owner} == users
        assert any(user.startswith("during_") for user in users)
        check_against_source(s.server.world, plan)


@pytest.mark.parametrize(("code", "quarantined"), [(10031, 1), (10002, 0)])
async def test_recall_that_the_target_refuses_or_fails_is_repeated_by_the_next_run(
    moved: Scene, code: int, quarantined: int, database: str
) -> None:
    gone = next(post for post in moved.source.log if not post.recalled)
    moved.source.log.recall(gone)
    moved.system.server.faults.replace([Fault(command="group_msg_recall", fail_items=1, item_code=code)])
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert (status.complete, status.quarantined) == (bool(quarantined), quarantined)
    assert [each.transient for each in status.failed] == [True] * (1 - quarantined)
    assert not any(post.recalled for post in moved.group.log)
    if quarantined:
        async with open_journal(database) as journal:
            [row] = await journal.store.quarantined(moved.plan.migration)
        assert row.reason.endswith("the target refuses that: the time to recall has passed (10031)")
        assert row.retry == "recall it with `channel-adapter posts recall`, and apply"
    moved.system.server.faults.replace([])
    status = await moved.system.adapter.migration.apply(moved.plan)
    assert (status.complete, status.quarantined) == (True, 0)
    assert [post.recalled for post in moved.group.log].count(True) == 1
