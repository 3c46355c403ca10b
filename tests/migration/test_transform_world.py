"""Transforms alone, in the order of decision 25, move the whole state: the stub refuses no call."""

from collections.abc import AsyncIterator, Sequence

from channel_adapter.backends.community import profile as channel_group
from channel_adapter.concurrency.batching import batches
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.mapping.content import from_elements
from channel_adapter.migration.plan import transform
from channel_adapter.migration.plan.document import Plan, PlannedChannel
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.source import Source, SourcePost, SourceSubscriber
from channel_adapter.tencent import catalog, limits
from channel_adapter.tencent.wire import members, messages
from channel_adapter.tencent.wire.msg_body import Element
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.worlds import Size


async def move(at: System, source: Source, plan: Plan, channel: PlannedChannel) -> None:
    """Move one channel, without handling of interruptions."""
    gateway, goal, target = at.adapter.migration.context.api, channel.target, plan.limits.target()
    made = channel_group.import_request(
        goal.channel, UserId(goal.owner), goal.profile, target.keys,
        created_at=goal.created_at or 0, tag=goal.tag(plan.migration),
    )  # fmt: skip
    await gateway.call(catalog.IMPORT_GROUP, made)
    async for posts in batches(imported(source, plan, channel), limits.IMPORT_MESSAGES_PER_CALL):
        told = await gateway.call(
            catalog.IMPORT_GROUP_MSG, messages.ImportGroupMsgRequest(group_id=goal.channel, msg_list=list(posts))
        )
        assert {item.result for item in told.import_msg_result} == {0}
    async for group in batches(users(source, channel), limits.IMPORT_MEMBERS_PER_CALL):
        await join(at, channel, group)
    await gateway.call(catalog.MODIFY_GROUP_BASE_INFO, channel_group.close_posting(goal.channel))


async def join(at: System, channel: PlannedChannel, group: Sequence[SourceSubscriber]) -> None:
    """Import the users of one call, and set their options."""
    gateway, goal, now = at.adapter.migration.context.api, channel.target, int(at.server.world.clock.now())
    new = [transform.import_subscriber(each, created_at=goal.created_at or 0, now=now) for each in group]
    added = await gateway.call(
        catalog.IMPORT_GROUP_MEMBER, members.ImportGroupMemberRequest(group_id=goal.channel, member_list=new)
    )
    assert {item.result for item in added.member_list} == {members.RESULT_ADDED}
    for reader in group:
        if reader.notifications is not Notifications.ALL:
            importer = at.adapter.migration.context.importer(at.adapter.migration.context.target.keys)
            await importer.set_notifications(goal.channel, reader.user, reader.notifications)


async def imported(source: Source, plan: Plan, channel: PlannedChannel) -> AsyncIterator[messages.ImportedMessage]:
    """Yield posts in the form that import accepts."""
    goal, times = channel.target, transform.SendTimes(channel.target.created_at or 0)
    async for post in source.posts(channel.source.id):
        body = transform.map_post(post, plan.limits.target()).body
        if body is not None:
            time = times.next(post.time)
            yield transform.import_post(
                post, body, migration=plan.migration, channel=goal.channel, owner=goal.owner, time=time
            )


async def users(source: Source, channel: PlannedChannel) -> AsyncIterator[SourceSubscriber]:
    """Yield all users except the owner, which is already a member."""
    cursor: str | None = ""
    while cursor is not None:
        page = await source.subscribers(channel.source.id, cursor)
        for reader in page.subscribers:
            if reader.user != channel.target.owner:
                yield reader
        cursor = page.next


async def test_every_channel_post_and_subscriber_arrives_unchanged() -> None:
    async with system(Size(60, 40)) as at:
        options = PlanOptions(policies=Resolutions.parse(["all=cut"]), renamed=worlds.RENAMED)
        async with at.adapter.migration.accounts_source(Discovered(tuple(at.moving.ids))) as source:
            plan = await at.adapter.migration.plan(source, options)
            for channel in plan.channels:
                await move(at, source, plan, channel)
                await compare(at, source, plan, channel)


async def compare(at: System, source: Source, plan: Plan, channel: PlannedChannel) -> None:
    """Compare the channel in the adapter and in the stub with the source."""
    account = at.server.world.state.official[channel.source.id]
    found = await at.adapter.channels.get(channel.target.id)
    assert found.complete
    assert found.created_at is not None
    assert int(found.created_at.timestamp()) == account.create_time
    assert (found.introduction, found.avatar) == (account.introduction, account.face_url)
    assert (found.organization, found.custom_data) == (account.organization, account.custom_string)
    assert account.name.startswith(found.name)
    posts = [post async for post in at.adapter.posts.history(channel.target.id, oldest_first=True)]
    moved = [post async for post in source.posts(channel.source.id) if post.body]
    assert len(posts) == len(moved)
    for before, after in zip(moved, posts, strict=True):
        assert after.parts == from_elements(_expected(before))
        assert transform.imported_post_number(plan.migration, found.id, after.dedupe or 0) == before.number
    stamps = [int(post.published_at.timestamp()) for post in posts if post.published_at]
    assert stamps == sorted(set(stamps))
    assert sum(stamp != post.time for stamp, post in zip(stamps, moved, strict=True)) == (
        channel.source.posts.moved_in_time
    )
    table = account.subscribers
    group = at.server.world.state.groups[channel.target.id]
    for user in table:
        old, new = table.find(user), group.members.find(user)
        assert old is not None
        assert new is not None
        assert group.members.flag(new) == table.flag(old)
        if user != account.owner:
            assert group.members.joined(new) == max(table.joined(old), account.create_time + 1)
    assert len(group.members) == len(table) + (account.owner not in table)


def _expected(post: SourcePost) -> list[Element]:
    """Return the whole body; a body that is too large is cut to the limit."""
    body = list(post.body)
    return list(transform.map_body(body, limits.MESSAGE_BYTES_SAFE).body or ()) if body == worlds.huge() else body
