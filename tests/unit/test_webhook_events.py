"""Webhooks as events and hook requests, whatever they contain, and the channel registry that events fill."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.backends.callbacks import PLATFORMS
from channel_adapter.domain import events as e
from channel_adapter.domain.hooks import HookRequest
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Post, PostRef, Text, Unrecognised
from channel_adapter.errors import InvalidError
from channel_adapter.tencent.wire.callback_samples import samples
from channel_adapter.tencent.wire.callbacks import MODELS, is_before
from channel_adapter.webhooks.channel_registry import ChannelRegistry, open_channel_registry
from channel_adapter.webhooks.modes import CallbackTables

LIGHT = ChannelId("@TGS#_lighthouse")
TABLES = CallbackTables(Mode.COMMUNITY, admin="root")
NOON = datetime(2025, 1, 4, 12, tzinfo=UTC)


def read(command: str, platform: str = "iOS", **body: Any) -> e.Event:
    given_body = {"CallbackCommand": command, **body}
    return TABLES.event(command, given_body, {"optplatform": platform})


@pytest.mark.parametrize(
    "group", ["@TGS#ordinary", "", None, "@TGS#_quay@TOPIC#_nets", "@TGS#_" + "x" * 60, "harbor", 7]
)
def test_webhook_without_community_id_is_no_channel_event(group: Any) -> None:
    event = read("Group.CallbackAfterGroupFull", GroupId=group, EventTime=1)
    assert isinstance(event, e.Other | e.Unknown)


@pytest.mark.parametrize("kind", ["Public", "Private", "ChatRoom", "AVChatRoom", "Work", "Meeting"])
def test_webhooks_of_other_group_types_are_other(kind: str) -> None:
    event = read("Group.CallbackAfterNewMemberJoin", GroupId=LIGHT, Type=kind, NewMemberList=[{"Member_Account": "a"}])
    assert isinstance(event, e.Other)
    assert event.about == LIGHT


def test_platform_names_are_mapped() -> None:
    found = {name: read("Group.CallbackAfterGroupFull", name, GroupId=LIGHT).platform for name in PLATFORMS}
    assert found == {
        "RESTAPI": "server", "Android": "android", "iOS": "ios", "IOS": "ios", "iPad": "ipad", "Web": "web",
        "Windows": "windows", "Mac": "mac", "macOS": "mac",
    }  # fmt: skip
    assert read("Group.CallbackAfterGroupFull", "Fridge", GroupId=LIGHT).platform is e.Platform.UNKNOWN


@pytest.mark.parametrize(
    ("platform", "operator", "own"),
    [("RESTAPI", "root", True), ("RESTAPI", "other", False), ("RESTAPI", None, False), ("iOS", "root", False)],
)
def test_own_echo_is_recognised_by_platform_and_operator(platform: str, operator: str | None, own: bool) -> None:
    event = read("Group.CallbackAfterGroupInfoChanged", platform, GroupId=LIGHT, Operator_Account=operator, Name="n")
    assert isinstance(event, e.ChannelChanged)
    assert (event.own, event.by) == (own, operator)


@pytest.mark.parametrize("key", ["n|👍", "poll"])
def test_extension_pairs_that_are_not_reactions_are_ignored(key: str) -> None:
    """The counts that the adapter publishes come back as an event, too."""
    pair = {"Key": key, "Value": "2", "Seq": 4}
    command = "Group.CallbackAfterGroupMsgExtension"
    event = read(command, "RESTAPI", GroupId=LIGHT, MsgSeq=5, OperateType=1, ExtensionList=[pair], Seq=4)
    assert isinstance(event, e.Other)
    mixed = [pair, {"Key": "r|mate", "Value": "👍", "Seq": 5}]
    event = read(command, GroupId=LIGHT, MsgSeq=5, OperateType=1, ExtensionList=mixed, Seq=5)
    assert isinstance(event, e.ReactionChanged)
    assert [change.user for change in event.changes] == ["mate"]


def test_name_card_change_is_no_role_change() -> None:
    event = read("Group.CallbackAfterMemberFieldChanged", GroupId=LIGHT, Modified_Account="mate", NameCard="the mate")
    assert isinstance(event, e.Other)


def test_joined_users_are_reported_once_each_and_in_order() -> None:
    users = [{"Member_Account": name} for name in ("b", "a", "b", "")]
    event = read("Group.CallbackAfterNewMemberJoin", GroupId=LIGHT, NewMemberList=users)
    assert isinstance(event, e.Subscribed)
    assert event.users == ("b", "a")


def test_foreign_elements_are_kept_as_unrecognised_parts() -> None:
    body = [{"MsgType": "TIMMysteryElem", "MsgContent": {"What": 1}}]
    event = read("Group.CallbackAfterModifyMsg", GroupId=LIGHT, MsgSeq=5, MsgBody=body)
    assert isinstance(event, e.PostEdited)
    assert event.parts == (Unrecognised("TIMMysteryElem", '{"What":1}'),)


@pytest.mark.parametrize("command", sorted(MODELS))
@pytest.mark.parametrize("missing", [False, True])
def test_body_without_required_members_is_no_typed_event(command: str, missing: bool) -> None:
    """An event without required members is Unknown, or Other if it has no group either."""
    body = {} if missing else {"GroupId": LIGHT, "Official_Account": "@TOA#_g"}
    event = read(command, **body)
    lists = {"users", "refs", "keys"} if not isinstance(event, e.ChannelCreated) else set()
    assert [name for name in lists & set(type(event).__slots__) if not getattr(event, name)] == []
    assert isinstance(event, e.Other | e.Unknown) or not missing


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(LIGHT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(
        {"Member_Account", "MsgSeq", "Key", "Value", "Seq", "MsgType", "MsgContent", "MsgKey", "Subscriber_Account"}
    )), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.data(), st.sampled_from(sorted(MODELS)), st.sampled_from(["iOS", "RESTAPI", ""]))
def test_any_body_is_read_without_failure(data: st.DataObject, command: str, platform: str) -> None:
    sample = dict(samples()[command].body)
    spoiled = data.draw(st.dictionaries(st.sampled_from(sorted({*sample, "TopicId", "ErrorCode"})), values, max_size=4))
    body = {"CallbackCommand": command, **sample, **spoiled}
    query = {"optplatform": platform}
    assert isinstance(TABLES.event(command, body, query), e.Event)
    try:
        question = TABLES.request(command, body, query)
    except InvalidError:
        assert is_before(command)
    else:
        assert question is None or (isinstance(question, HookRequest) and is_before(command))


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def posted(minute: int, seq: int, *, online_only: bool = False) -> e.PostPublished:
    post = Post(ref=PostRef(LIGHT, seq), author=None, published_at=at(minute), parts=(Text("fog"),))
    return e.PostPublished(at=at(minute), channel=LIGHT, post=post, online_only=online_only)


HISTORY: list[e.ChannelEvent] = [
    e.ChannelCreated(at=at(0), channel=LIGHT, name="Lighthouse", owner=UserId("keeper")),
    e.ChannelChanged(at=at(1), channel=LIGHT, name="Light", introduction="a tower"),
    posted(2, 1),
    e.ChannelChanged(at=at(3), channel=LIGHT, name="The Light"),
    e.OwnerChanged(at=at(4), channel=LIGHT, old_owner=UserId("keeper"), new_owner=UserId("mate")),
    posted(5, 2),
    posted(6, 0, online_only=True),
]


async def learnt(events: Sequence[e.ChannelEvent], most: int = 10) -> ChannelRegistry:
    known = ChannelRegistry(max_channels=most)
    for event in events:
        await known.observe(event)
    return known


@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=3))
async def test_registry_is_independent_of_order_and_repeats(
    events: list[e.ChannelEvent], again: list[e.ChannelEvent]
) -> None:
    (channel,) = [each async for each in await learnt([*events, *again])]
    assert (channel.name, channel.introduction, channel.owner) == ("The Light", "a tower", "mate")
    assert (channel.last_post, channel.last_post_at, channel.notification) == (PostRef(LIGHT, 2), at(5), None)


DELETED = e.ChannelDeleted(at=at(7), channel=LIGHT, name="The Light", owner=UserId("mate"))


@given(st.permutations([*HISTORY, DELETED]))
async def test_deleted_channel_is_kept_and_not_listed(events: list[e.ChannelEvent]) -> None:
    known = await learnt(events)
    channel = await known.get(LIGHT)
    assert [each async for each in known] == []
    assert channel is not None
    assert (channel.deleted_at, channel.name) == (at(7), "The Light")
    await known.observe(e.ChannelCreated(at=at(8), channel=LIGHT, name="Second", owner=None))
    assert [each.name async for each in known] == ["Second"]


async def test_last_post_of_recreated_channel_is_the_new_one() -> None:
    known = await learnt([*HISTORY, DELETED, e.ChannelCreated(at=at(8), channel=LIGHT, name="Second"), posted(9, 1)])
    channel = await known.get(LIGHT)
    assert channel is not None
    assert (channel.last_post, channel.last_post_at) == (PostRef(LIGHT, 1), at(9))


async def test_unconfirmed_deletion_is_not_recorded() -> None:
    known = await learnt([e.ChannelDeleted(at=at(7), channel=LIGHT, name="Quay", confirmed=False)])
    assert await known.get(LIGHT) is None


async def test_channel_with_the_oldest_event_is_dropped_at_the_limit() -> None:
    known = await learnt([e.ChannelFull(channel=ChannelId(f"@TGS#_{name}")) for name in "abc"], most=2)
    assert sorted([channel.id async for channel in known]) == ["@TGS#_b", "@TGS#_c"]
    assert await known.get(ChannelId("@TGS#_a")) is None


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
async def test_two_receivers_share_a_registry(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Two registries observe the events in reverse order; a third one reads the same database."""
    url = f"sqlite:///{tmp_path / 'a.db'}" if place == "sqlite" else request.getfixturevalue("postgres_url")
    one, other, third = (open_channel_registry(url) for _ in range(3))
    for event in reversed([*HISTORY, DELETED]):
        await asyncio.gather(one.observe(event), other.observe(event))
    seen = await third.get(LIGHT)
    assert seen is not None
    assert (seen.name, seen.introduction, seen.owner, seen.deleted_at) == ("The Light", "a tower", "mate", at(7))
    await other.observe(e.ChannelCreated(at=at(8), channel=LIGHT, name="Second", owner=None))
    await one.observe(e.ChannelFull(at=at(9), channel=ChannelId("@TGS#_quay")))
    assert [(each.id, each.name) async for each in third] == [(LIGHT, "Second"), ("@TGS#_quay", None)]
    assert await third.get(ChannelId("@TGS#_nothing")) is None
    for each in (one, other, third):
        now = await each.get(LIGHT)
        assert now is not None
        assert (now.name, now.deleted_at) == ("Second", None)
    for each in (one, other, third):
        await each.aclose()
