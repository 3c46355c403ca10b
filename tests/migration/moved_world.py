"""Comparable snapshots of what a migration created in a stub, and checks against the source."""

from typing import Any

from sqlalchemy import select

from channel_adapter.migration.plan.document import Plan
from channel_adapter.store.migration import POSTS, MigrationStore, PostRow
from channel_adapter.stub.world.state import Group, OfficialAccount
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent.wire.members import ACCEPT_AND_NOTIFY

Picture = dict[str, Any]


def picture(world: StubState, plan: Plan, origin: int) -> Picture:
    """Return a snapshot of every channel of the plan on the target, times relative to `origin`."""
    return {
        channel.source.id: _group(world.state.groups[channel.target.id], origin)
        for channel in plan.channels
        if channel.target.id in world.state.groups
    }


def _group(group: Group, origin: int) -> Picture:
    members = group.members
    rows = {user: members.find(user) for user in members}
    return {
        "profile": (group.name, group.introduction, group.face_url, group.owner, group.create_time - origin),
        "fields": dict(sorted(group.fields.items())),
        "closed": group.mute_all,
        "members": {
            user: (members.role_name(row), members.joined(row) - origin, members.flag(row), members.read(row))
            for user, row in sorted(rows.items())
            if row is not None
        },
        "posts": [
            (post.seq, post.time - origin, post.random, post.sender, post.recalled,
             [element.model_dump(by_alias=True) for element in post.body])
            for post in group.log
        ],
    }  # fmt: skip


def check_against_source(world: StubState, plan: Plan) -> None:
    """Check that counts, times, order and options equal those of the source."""
    for channel in plan.channels:
        account = world.state.official[channel.source.id]
        group = world.state.groups[channel.target.id]
        _check_people(account, group)
        _check_posts(world, account, group)
        assert group.create_time == account.create_time
        assert group.mute_all
        assert f"mig={plan.migration}" in group.fields["ch_tag"]


def _check_people(account: OfficialAccount, group: Group) -> None:
    users = {user for user in account.subscribers if user != group.owner}
    assert {user for user in group.members if user != group.owner} == users
    for user in users:
        source, target = account.subscribers.find(user), group.members.find(user)
        assert source is not None
        assert target is not None
        since = max(account.subscribers.joined(source), account.create_time + 1)
        assert group.members.joined(target) == since, user
        assert group.members.flag(target) == (account.subscribers.flag(source) or ACCEPT_AND_NOTIFY), user


def _check_posts(world: StubState, account: OfficialAccount, group: Group) -> None:
    kept = world.clock.now() - world.settings.limits.roaming_days * 86_400
    wanted = [post for post in account.log if not post.recalled and post.time > kept]
    moved = list(group.log)
    assert len(moved) == len(wanted)
    times = [post.time for post in moved]
    assert times == sorted(set(times))
    for before, after in zip(wanted, moved, strict=True):
        assert 0 <= after.time - before.time < 10
        assert after.sender == account.owner


async def moved_posts(store: MigrationStore, migration: str, source: str) -> dict[str, PostRow]:
    """Return the rows of all moved posts of a channel by their keys, in the order of their numbers."""
    wanted = select(POSTS).where(POSTS.c.migration == migration, POSTS.c.source == source).order_by(POSTS.c.seq)
    return await store.database.read(
        lambda connection: {row.key: PostRow(**row._asdict()) for row in connection.execute(wanted)}
    )
