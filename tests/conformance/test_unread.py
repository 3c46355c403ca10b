"""Unread posts, conversation groups and marks: the same results on every server."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channel_adapter import (
    AssignmentStatus,
    ChannelOutcome,
    ConflictError,
    ConversationGroup,
    CountSource,
    GroupAssignment,
    InvalidError,
    Marks,
    NotFoundError,
    Notifications,
    OutcomeKind,
    PostRef,
    Text,
    Unread,
)
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.mode import Mode
from tests.conformance.conftest import OWNER, READERS, Setting, community_only

ANN, BEN = UserId(READERS[0]), UserId(READERS[1])
TOMORROW = datetime.now(UTC) + timedelta(days=1)
FILED, TAKEN_OUT = GroupAssignment(AssignmentStatus.ASSIGNED), GroupAssignment(AssignmentStatus.TAKEN_OUT)


async def channel_of(setting: Setting, *users: str, more: str = "") -> ChannelId:
    channel = await setting.adapter.channels.create(slug=setting.slug + more, name=f"Tides{more}", owner=OWNER)
    await setting.adapter.subscriptions.subscribe(channel.id, users)
    return channel.id


async def publish(setting: Setting, channel: str, number: int, *, silent: bool = False) -> PostRef:
    for count in range(number):
        ref = (await setting.adapter.posts.publish(channel, Text(f"post {count}"), silent=silent)).ref
    return ref


async def channels_in_group(setting: Setting, user: str) -> tuple[str, ...]:
    return next((each.channels for each in await groups(setting, user) if each.name == "Channels"), ())


async def destroy(setting: Setting, channel: ChannelId) -> None:
    if setting.mode is Mode.COMMUNITY:
        await setting.adapter.call("group_open_http_svc", "destroy_group", {"GroupId": channel})
        return
    body = {"Official_Account": channel}
    await setting.adapter.call("official_account_open_http_svc", "destroy_official_account", body)


async def groups(setting: Setting, user: str) -> list[ConversationGroup]:
    return [each async for each in setting.adapter.unread.groups(user)]


async def count(setting: Setting, user: str, channel: str) -> int:
    return next(each.count for each in (await unread_of(setting, user)).channels if each.channel == channel)


async def unread_of(setting: Setting, user: str, *, explain: bool = False) -> Unread:
    return await setting.adapter.unread.get(user, exact=setting.exact, explain=explain)


@community_only
async def test_posts_are_unread_until_marked_read(setting: Setting) -> None:
    channel = await channel_of(setting, ANN)
    third = await publish(setting, channel, 3)
    await setting.adapter.subscriptions.subscribe(channel, [BEN])
    ref = await publish(setting, channel, 2)
    assert (await count(setting, ANN, channel), await count(setting, BEN, channel)) == (5, 2)
    unread = await unread_of(setting, ANN)
    (mine,) = [each for each in unread.channels if each.channel == channel]
    assert (mine.name, mine.muted, mine.explanation) == ("Tides", False, None)
    assert mine.last_post_at == (await setting.adapter.posts.get(ref)).published_at
    assert await setting.adapter.unread.mark_read(setting.slug, third.seq - 1, user=ANN) == 3
    assert await count(setting, ANN, channel) == 3
    assert await setting.adapter.unread.mark_read(channel, third.seq - 2, user=ANN) == 3
    time = (await setting.adapter.posts.get(ref)).published_at
    assert await setting.adapter.unread.mark_read(channel, time, user=ANN) == 0
    assert await setting.adapter.unread.mark_read(channel, ref, user=ANN) == 0
    assert (await count(setting, ANN, channel), await count(setting, BEN, channel)) == (0, 2)
    assert await setting.adapter.unread.mark_read(channel, user=BEN) == 0
    assert await count(setting, BEN, channel) == 0


async def test_silent_and_recalled_posts_do_not_count(setting: Setting) -> None:
    channel = await channel_of(setting, ANN)
    first = await publish(setting, channel, 3)
    silent = await setting.supports("posts.publish(silent=True)", publish(setting, channel, 1, silent=True))
    await setting.adapter.posts.recall(first)
    (mine,) = (await unread_of(setting, ANN, explain=True)).channels
    assert mine.count == 2
    assert mine.explanation is not None
    if setting.mode is Mode.OFFICIAL:  # replies of the account are in the same count
        assert (silent, mine.explanation.source) == (False, CountSource.CONVERSATION)
    else:
        assert (silent, mine.explanation.last_post) == (True, first.seq + 1)
    if mine.explanation.source not in (CountSource.SERVER, CountSource.CONVERSATION):
        assert mine.explanation.read_up_to == first.seq - 3
        assert mine.explanation.left_out == (first.seq, first.seq + 1)
    (exactly,) = (await setting.adapter.unread.get(ANN, exact=True)).channels
    assert exactly.count == 2


@community_only
async def test_system_notices_are_neither_posts_nor_unread(setting: Setting) -> None:
    """A change of the profile, a join with a notice and a leave write one notice each, if notices are enabled."""
    channel = await channel_of(setting, ANN)
    await publish(setting, channel, 1)
    for name in ("Ebb", "Flow"):
        await setting.adapter.channels.update(channel, name=name)
    ref = await publish(setting, channel, 1)
    await setting.adapter.channels.update(channel, name="Tides")
    if setting.server is not None:
        app = setting.server.world.client(BEN)
        app.join(channel)
        app.leave(channel)
    (mine,) = (await setting.adapter.unread.get(ANN, exact=True, explain=True)).channels
    assert mine.count == 2
    assert len([each async for each in setting.adapter.posts.history(channel)]) == 2
    assert await setting.adapter.unread.mark_read(channel, ref.seq - 1, user=ANN, exact=True) == 1
    assert await setting.adapter.unread.mark_read(channel, ref, user=ANN, exact=True) == 0
    assert await count(setting, ANN, channel) == 0
    assert await setting.adapter.unread.mark_read(channel, user=ANN) == 0
    assert await count(setting, ANN, channel) == 0


async def test_muted_channels_are_not_counted_in_badge(setting: Setting) -> None:
    channel = await channel_of(setting, ANN)
    subscriptions = setting.adapter.subscriptions
    before = (await unread_of(setting, ANN)).badge
    await publish(setting, channel, 2)
    assert (await unread_of(setting, ANN)).badge == before + 2
    if not await setting.supports("subscriptions.notifications", subscriptions.notifications(channel, user=ANN)):
        assert not await setting.supports("subscriptions.mute", subscriptions.mute(channel, user=ANN))
        assert (await unread_of(setting, ANN)).badge == before + 2
        return
    assert await subscriptions.notifications(channel, user=ANN) is Notifications.ALL
    assert [await subscriptions.mute(setting.slug, user=ANN) for _ in range(2)] == [True, False]
    assert await subscriptions.notifications(channel, user=ANN) is Notifications.MUTED
    (mine,) = [each for each in (await unread_of(setting, ANN)).channels if each.channel == channel]
    assert (mine.muted, mine.count, (await unread_of(setting, ANN)).badge) == (True, 2, before)
    for silent in (Notifications.MENTIONS, Notifications.OFF):
        assert await subscriptions.set_notifications(channel, silent, user=ANN)
        assert await subscriptions.notifications(channel, user=ANN) is silent
        (mine,) = [each for each in (await unread_of(setting, ANN)).channels if each.channel == channel]
        assert (mine.notifications, mine.muted, (await unread_of(setting, ANN)).badge) == (silent, True, before)
    assert [await subscriptions.unmute(channel, user=ANN) for _ in range(2)] == [True, False]
    assert (await unread_of(setting, ANN)).badge == before + 2


async def test_mark_all_read_marks_every_channel(setting: Setting) -> None:
    one, two = await channel_of(setting, ANN), await channel_of(setting, ANN, more="_2")
    await publish(setting, one, 2)
    await publish(setting, two, 1)
    assert set(await setting.adapter.unread.mark_all_read(ANN)) >= {one, two}
    assert (await unread_of(setting, ANN)).badge == 0
    assert await setting.adapter.unread.mark_all_read(ANN) == ()
    await setting.adapter.channels.delete(two)


async def test_get_many_counts_users_in_their_order(setting: Setting) -> None:
    channel = await channel_of(setting, *READERS[:6])
    await publish(setting, channel, 1)
    users = [*READERS[:3], "stranger_1", *READERS[3:6]]
    run = setting.adapter.unread.get_many(users)
    found = [each async for each in run]
    assert [each.user for each in found] == users
    assert [bool(each.error) for each in found] == [False] * 3 + [True] + [False] * 3
    assert [sum(mine.count for mine in each.channels if mine.channel == channel) for each in found] == [
        1, 1, 1, 0, 1, 1, 1,
    ]  # fmt: skip
    assert run.cursor == 7
    rest = [each.user async for each in setting.adapter.unread.get_many(users, cursor=5)]
    assert rest == users[5:]


async def test_subscribing_assigns_channel_and_unsubscribing_removes_it(setting: Setting) -> None:
    channel = await channel_of(setting)
    subscriptions = setting.adapter.subscriptions
    joined = await subscriptions.subscribe(channel, [ANN, BEN, "stranger_1"])
    assert {each.user: each.assignment for each in joined} == {ANN: FILED, BEN: FILED, "stranger_1": None}
    assert joined.assignments == {AssignmentStatus.ASSIGNED: 2}
    assert channel in await channels_in_group(setting, ANN)
    again = await subscriptions.subscribe(channel, [ANN])
    assert [(each.kind, each.assignment) for each in again] == [(OutcomeKind.ALREADY, FILED)]
    left = await subscriptions.unsubscribe(channel, [ANN, READERS[5], OWNER])
    of_owner = None if setting.mode is Mode.COMMUNITY else TAKEN_OUT  # the owner cannot leave a group
    assert {each.user: each.assignment for each in left} == {ANN: TAKEN_OUT, READERS[5]: TAKEN_OUT, OWNER: of_owner}
    assert channel not in await channels_in_group(setting, ANN)
    assert channel in await channels_in_group(setting, BEN)
    (outcome,) = await subscriptions.subscribe(channel, [READERS[6]], assign=False)
    assert (outcome.kind, outcome.assignment) == (OutcomeKind.ADDED, None)
    assert channel not in await channels_in_group(setting, READERS[6])
    await subscriptions.unsubscribe(channel, [BEN])


async def test_follow_subscribes_one_user_to_many_channels(setting: Setting) -> None:
    channels = [await channel_of(setting, more=more) for more in ("", "_2", "_3")]
    subscriptions = setting.adapter.subscriptions
    await subscriptions.subscribe(channels[1], [ANN], assign=False)
    missing = ChannelId(f"{channels[0]}_none")
    found = await subscriptions.follow(ANN, [*channels, setting.slug, missing])
    assert found[:3] == (
        ChannelOutcome(channels[0], OutcomeKind.ADDED, "", FILED),
        ChannelOutcome(channels[1], OutcomeKind.ALREADY, "", FILED),
        ChannelOutcome(channels[2], OutcomeKind.ADDED, "", FILED),
    )
    assert [(each.channel, each.kind, each.done) for each in found[3:]] == [
        (missing, OutcomeKind.CHANNEL_NOT_FOUND, False)
    ]
    assert set(await channels_in_group(setting, ANN)) >= set(channels)
    left = await subscriptions.unfollow(ANN, channels[:2])
    assert [(each.kind, each.assignment) for each in left] == [(OutcomeKind.REMOVED, TAKEN_OUT)] * 2
    assert set(await channels_in_group(setting, ANN)) & set(channels) == {channels[2]}
    (stranger,) = await subscriptions.follow("stranger_1", channels[:1])
    assert (stranger.kind, stranger.assignment) == (OutcomeKind.NOT_FOUND, None)
    assert [each.kind for each in await subscriptions.unfollow(ANN, [missing])] == [OutcomeKind.CHANNEL_NOT_FOUND]
    await destroy(setting, channels[1])  # without updating the cache
    found = await subscriptions.follow(ANN, [channels[1], channels[0]])
    assert [each.kind for each in found] == [OutcomeKind.CHANNEL_NOT_FOUND, OutcomeKind.ADDED]
    await setting.adapter.channels.delete(channels[2])


async def test_sync_adds_and_removes_channels_and_is_idempotent(setting: Setting) -> None:
    channels = [await channel_of(setting, more=more) for more in ("", "_2", "_3")]
    adapter = setting.adapter
    await adapter.unread.sync(ANN)
    await adapter.subscriptions.follow(ANN, channels)
    await adapter.unread.unassign(ANN, channels[:1])
    await adapter.channels.delete(channels[1])
    await adapter.subscriptions.unsubscribe(channels[2], [ANN], assign=False)
    done = await adapter.unread.sync(ANN)
    assert (done.added, set(done.removed), done.done) == ((channels[0],), set(channels[1:]), True)
    assert not (await adapter.unread.sync(ANN)).changed
    assert channels[0] in await channels_in_group(setting, ANN)
    await adapter.channels.delete(channels[2])


async def test_sync_many_resumes_at_its_cursor(setting: Setting) -> None:
    users = [*READERS[:4], "stranger_1", *READERS[4:8]]
    channel = await channel_of(setting)
    await setting.adapter.subscriptions.subscribe(channel, READERS[:8], assign=False)
    run = setting.adapter.unread.sync_many_stream(iter(users))
    first = [await anext(run) for _ in range(3)]
    await run.aclose()
    assert ([each.user for each in first], run.cursor) == (users[:3], 3)
    assert all(channel in each.added for each in first)
    run = setting.adapter.unread.sync_many_stream(iter(users), cursor=run.cursor)
    rest = [each async for each in run]
    assert ([each.user for each in rest], run.cursor) == (users[3:], len(users))
    assert [each.user for each in rest if each.error] == ["stranger_1"]
    for user in READERS[:8]:
        assert channel in await channels_in_group(setting, user)


async def test_groups_are_renamed_and_removed(setting: Setting) -> None:
    unread = setting.adapter.unread
    await unread.remove(ANN)
    channel = await channel_of(setting, ANN)
    new = f"频道 {setting.slug[-6:]}"
    assert [await unread.rename(ANN, new) for _ in range(2)] == [True, False]
    assert ConversationGroup(new, (channel,)) in await groups(setting, ANN)
    assert (await unread.sync(ANN)).added == (channel,)
    with pytest.raises(ConflictError):
        await unread.rename(ANN, new)
    assert [await unread.remove(ANN, new) for _ in range(2)] == [True, False]
    assert await unread.rename(ANN, "Channels") is False
    assert [await unread.remove(ANN) for _ in range(2)] == [True, False]
    with pytest.raises(NotFoundError):
        await unread.rename(ANN, new)
    assert await unread.assign(ANN, [setting.slug]) == {channel: FILED}
    assert await channels_in_group(setting, ANN) == (channel,)


async def test_marks_are_set_and_cleared_separately(setting: Setting) -> None:
    channel, unread = await channel_of(setting, ANN), setting.adapter.unread
    assert await unread.marks(channel, user=ANN) == Marks()
    await unread.star(setting.slug, user=ANN)
    await unread.hide(channel, user=ANN)
    await unread.note(channel, "ü" * 128, user=ANN)
    assert await unread.marks(channel, user=ANN) == Marks(starred=True, hidden=True, text="ü" * 128)
    await unread.hide(channel, user=ANN, on=False)
    await unread.fold(channel, user=ANN)
    await unread.note(channel, "", user=ANN)
    assert await unread.marks(channel, user=ANN) == Marks(starred=True, folded=True)


Act = Callable[[Any, str], Awaitable[object]]


async def synced(adapter: Any, user: str) -> None:
    (only,) = [each async for each in adapter.unread.sync_many_stream([user])]
    assert only.error
    await adapter.unread.sync(user)


BAD: dict[str, tuple[type[Exception], str | None, Act]] = {
    "a name over 32 bytes": (InvalidError, "new", lambda a, _: a.unread.rename(ANN, "频道" * 5 + "频")),
    "an empty name": (InvalidError, "new", lambda a, _: a.unread.rename(ANN, "")),
    "an empty name to remove": (InvalidError, "name", lambda a, _: a.unread.remove(ANN, "")),
    "a text over 256 bytes": (InvalidError, "text", lambda a, c: a.unread.note(c, "x" * 257, user=ANN)),
    "reading without a subscription": (NotFoundError, "user", lambda a, c: a.unread.mark_read(c, user=BEN)),
    "marks without a subscription": (NotFoundError, "user", lambda a, c: a.unread.star(c, user=BEN)),
    "reading no channel": (NotFoundError, "channel", lambda a, c: a.unread.mark_read(c + "_none", user=ANN)),
    "a post that is not there yet": (InvalidError, "up_to", lambda a, c: a.unread.mark_read(c, up_to=99, user=ANN)),
    "no number of a post": (InvalidError, "up_to", lambda a, c: a.unread.mark_read(c, up_to=0, user=ANN)),
    "a time in the future": (InvalidError, "up_to", lambda a, c: a.unread.mark_read(c, TOMORROW, user=ANN)),
    "a time without a zone": (InvalidError, "up_to", lambda a, c: a.unread.mark_read(c, datetime.now(), user=ANN)),  # noqa: DTZ005
    "a text for a post": (InvalidError, "up_to", lambda a, c: a.unread.mark_read(c, "1", user=ANN)),
    "renaming what is not there": (NotFoundError, "old", lambda a, _: a.unread.rename(BEN, "x", old="y")),
    "a post of another channel": (
        InvalidError,
        "up_to",
        lambda a, c: a.unread.mark_read(c, user=ANN, up_to=PostRef(ChannelId("other"), 1)),
    ),
    "no receive option": (
        InvalidError,
        "notifications",
        lambda a, c: a.subscriptions.set_notifications(c, "x", user=ANN),
    ),
    "an unknown user's count": (NotFoundError, "user", lambda a, _: a.unread.get("stranger_1")),
    "an unknown user's sync": (NotFoundError, "user", lambda a, _: synced(a, "stranger_1")),
    "an unknown user's groups": (NotFoundError, "user", lambda a, _: anext(a.unread.groups("stranger_1"))),
    "an unknown user's posts": (NotFoundError, "user", lambda a, _: a.unread.mark_all_read("stranger_1")),
    "no id of a user": (InvalidError, "user", lambda a, _: a.unread.get("x" * 33)),
    "one string for channels": (InvalidError, "channels", lambda a, c: a.subscriptions.follow(ANN, c)),
    "one string to assign": (InvalidError, "channels", lambda a, c: a.unread.assign(ANN, c)),
}


async def test_invalid_input_is_refused_with_its_field(setting: Setting) -> None:
    channel = await channel_of(setting, ANN)
    await publish(setting, channel, 1)
    for case, (error, field, act) in BAD.items():
        with pytest.raises(error) as refused:
            await act(setting.adapter, channel)
        assert getattr(refused.value, "field", None) == field, case


async def test_notifications_of_a_user_without_a_subscription_are_not_found(setting: Setting) -> None:
    channel, subscriptions = await channel_of(setting, ANN), setting.adapter.subscriptions
    for name, act in (("mute", subscriptions.mute), ("notifications", subscriptions.notifications)):
        if not setting.adapter.can.set_notifications:
            assert not await setting.supports(f"subscriptions.{name}", act(channel, user=BEN))
            continue
        with pytest.raises(NotFoundError) as refused:
            await act(channel, user=BEN)
        assert refused.value.field == "user"


async def test_cursor_out_of_range_is_refused(setting: Setting) -> None:
    cursors: list[Any] = [-1, 21, True, "x"]
    for cursor in cursors:
        with pytest.raises(InvalidError, match="cursor"):
            setting.adapter.unread.groups(ANN, cursor=cursor)
        if cursor != 21:
            with pytest.raises(InvalidError, match="cursor"):
                setting.adapter.unread.sync_many_stream([ANN], cursor=cursor)
    assert [each async for each in setting.adapter.unread.groups(ANN, cursor=20)] == []
