"""Somebody does something, mostly on a phone; the webhook crosses a socket; the app's handler gets the right event."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from channel_adapter import ChannelId, PostRef, Role, Text, UserId
from channel_adapter.domain import events as e
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent.catalog import SEND_GROUP_MSG
from channel_adapter.webhooks.callbacks import COMMANDS
from tests.webhooks.harbour import ADMIN, KEEPER, LIGHTHOUSE, MATE, OTHER, SAILOR, Harbour, harbour, lighthouse

GROUPS = "group_open_http_svc"
OFFICIAL = "official_account_open_http_svc"
GAZETTE = ChannelId("@TOA#_gazette")
ANSWERS_LOST = 2  # of each request, from the first on
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]


@pytest.fixture
async def sea() -> AsyncIterator[Harbour]:
    async with harbour() as built:
        yield built


@pytest.fixture
async def light(sea: Harbour) -> Harbour:
    return await lighthouse(sea)


def about(event: e.Event) -> tuple[Any, ...]:
    """What every event of a phone says: when, where, who, and that it is no echo."""
    assert event.at is not None
    return event.platform, event.by, event.own


async def test_user_subscribes(light: Harbour) -> None:
    await light.phone(SAILOR, "join", "Android", group_id=LIGHTHOUSE)
    event = await light.until(e.Subscribed)
    assert (event.channel, event.users, event.invited) == (LIGHTHOUSE, (SAILOR,), False)
    assert about(event) == (e.Platform.ANDROID, SAILOR, False)


async def test_subscribed_by_another_program(light: Harbour) -> None:
    await light.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])
    event = await light.until(e.Subscribed)
    assert (event.users, event.invited) == ((SAILOR, MATE), True)
    assert about(event) == (e.Platform.SERVER, OTHER, False)


async def test_unsubscribed(light: Harbour) -> None:
    await light.phone(SAILOR, "join", group_id=LIGHTHOUSE)
    await light.phone(SAILOR, "leave", "Web", group_id=LIGHTHOUSE)
    left = await light.until(e.Unsubscribed)
    assert (left.channel, left.users, left.reason) == (LIGHTHOUSE, (SAILOR,), e.Departure.LEFT)
    assert about(left) == (e.Platform.WEB, SAILOR, False)
    await light.phone(MATE, "join", group_id=LIGHTHOUSE)
    await light.other.subscriptions.unsubscribe(LIGHTHOUSE, [MATE])
    removed = await light.until(e.Unsubscribed, lambda event: event.users == (MATE,))
    assert (removed.reason, removed.platform) == (e.Departure.REMOVED, e.Platform.SERVER)


async def test_a_channel_is_created_changed_and_deleted(sea: Harbour) -> None:
    await sea.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
    created = await sea.until(e.ChannelCreated)
    assert (created.channel, created.name, created.owner) == (LIGHTHOUSE, "Lighthouse", KEEPER)
    await sea.other.channels.update(LIGHTHOUSE, name="Light", introduction="a tower")
    changed = await sea.until(e.ChannelChanged)
    assert (changed.name, changed.introduction, changed.notification, changed.avatar) == (
        "Light",
        "a tower",
        None,
        None,
    )
    await sea.other.channels.delete(LIGHTHOUSE)
    deleted = await sea.until(e.ChannelDeleted)
    assert (deleted.channel, deleted.name, deleted.owner, deleted.confirmed) == (LIGHTHOUSE, "Light", KEEPER, True)
    assert about(deleted)[0] is e.Platform.SERVER


async def test_channel_is_full(sea: Harbour) -> None:
    await lighthouse(sea, max_subscribers=1)
    await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
    assert (await sea.until(e.ChannelFull)).channel == LIGHTHOUSE


async def test_post_is_published_edited_and_recalled(light: Harbour) -> None:
    await light.phone(KEEPER, "post", "macOS", group_id=LIGHTHOUSE, body="fog", random=77)
    published = await light.until(e.PostPublished)
    ref = PostRef(LIGHTHOUSE, published.post.ref.seq)
    assert (published.post.ref, published.post.author, published.post.dedupe) == (ref, KEEPER, 77)
    assert (published.post.parts, published.online_only) == ((Text("fog"),), False)
    assert published.post.published_at is not None
    assert about(published) == (e.Platform.MAC, KEEPER, False)
    await light.phone(MATE, "join", group_id=LIGHTHOUSE)
    await light.phone(MATE, "edit", group_id=LIGHTHOUSE, seq=ref.seq, body="haze")
    edited = await light.until(e.PostEdited)
    assert (edited.ref, edited.parts, edited.by) == (ref, (Text("haze"),), MATE)
    await light.phone(KEEPER, "recall", group_id=LIGHTHOUSE, seq=ref.seq)
    recalled = await light.until(e.PostRecalled)
    assert (recalled.refs, recalled.by) == ((ref,), KEEPER)


async def test_first_post_of_a_recreated_channel_is_no_repeat(light: Harbour) -> None:
    """Its number has been there before; it is no repeat."""
    await light.phone(KEEPER, "post", group_id=LIGHTHOUSE, body="fog")
    first = await light.until(e.PostPublished)
    await light.other.channels.delete(LIGHTHOUSE)
    light.stub.world.clock.advance(2)
    await lighthouse(light)
    await light.phone(KEEPER, "post", group_id=LIGHTHOUSE, body="haze")
    second = await light.until(e.PostPublished)
    assert (second.post.ref, second.post.parts) == (first.post.ref, (Text("haze"),))


async def test_a_post_that_fails_is_lost(light: Harbour) -> None:
    await light.phone(SAILOR, "join", group_id=LIGHTHOUSE)
    with pytest.raises(Refusal):
        await light.phone(SAILOR, "post", group_id=LIGHTHOUSE, body="let me in", random=5)
    lost = await light.until(e.PostLost)
    assert (lost.author, lost.parts, lost.dedupe, lost.reason) == (SAILOR, (Text("let me in"),), 5, e.Loss.FAILED)
    assert lost.code == 10017


async def test_a_post_that_vanishes_is_lost() -> None:
    """Above the messages a second of a group the service throws some away, and tells their authors nothing."""
    async with harbour(stub={"limits": {"messages_per_second": 2}}, webhooks={"lost_after_seconds": 0.2}) as sea:
        await lighthouse(sea)
        sea.switch(commands=("Group.CallbackBefore*", "Group.CallbackAfter*"))  # the exception would say it, too
        for number in range(1, 6):
            await sea.phone(KEEPER, "post", group_id=LIGHTHOUSE, body=f"post {number}", random=number)
        await sea.settle()
        kept = {event.post.dedupe for event in sea.heard if isinstance(event, e.PostPublished)}
        gone = {1, 2, 3, 4, 5} - kept
        assert gone
        for number in gone:
            lost = await sea.until(e.PostLost, lambda event, number=number: event.dedupe == number)  # type: ignore[misc]
            assert (lost.reason, lost.author, lost.parts) == (e.Loss.VANISHED, KEEPER, (Text(f"post {number}"),))
        assert {event.dedupe for event in sea.heard if isinstance(event, e.PostLost)} == gone


async def test_a_reaction(light: Harbour) -> None:
    await light.phone(SAILOR, "join", group_id=LIGHTHOUSE)
    await light.phone(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", supports_extensions=True)
    ref = (await light.until(e.PostPublished)).post.ref
    await light.phone(SAILOR, "set_extensions", group_id=LIGHTHOUSE, seq=ref.seq, pairs={"r|sailor": "👍"})
    liked = await light.until(e.ReactionChanged)
    assert (liked.ref, liked.cleared, liked.platform) == (ref, False, e.Platform.IOS)
    (change,) = liked.changes
    assert change == ReactionChange(UserId(SAILOR), ("👍",), change.seq, from_client=True)
    await light.phone(SAILOR, "delete_extensions", group_id=LIGHTHOUSE, seq=ref.seq, keys=["r|sailor"])
    gone = await light.until(e.ReactionChanged, lambda event: event.version > liked.version)
    assert [(each.user, each.emoji) for each in gone.changes] == [(SAILOR, ())]


async def test_roles_and_owners(light: Harbour) -> None:
    await light.phone(MATE, "join", group_id=LIGHTHOUSE)
    member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
    await light.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
    promoted = await light.until(e.RoleChanged)
    assert (promoted.channel, promoted.user, promoted.role, promoted.by) == (LIGHTHOUSE, MATE, Role.ADMIN, OTHER)
    await light.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Member"})
    await light.until(e.RoleChanged, lambda event: event.role is Role.SUBSCRIBER)
    await light.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": MATE})
    changed = await light.until(e.OwnerChanged)
    assert (changed.old_owner, changed.new_owner) == (KEEPER, MATE)


async def test_rate_alarm_reduces_the_rate(sea: Harbour) -> None:
    await sea.other.call(GROUPS, "get_appid_group_list", {"Limit": 1})  # once a second is its limit
    alarm = await sea.until(e.RateAlarm)
    assert (alarm.service, alarm.command, alarm.allowed) == (GROUPS, "get_appid_group_list", 1)
    assert alarm.calls >= 1
    limiter = sea.adapter._client._limiter
    before = limiter.rate(SEND_GROUP_MSG)
    await sea.stub.webhooks.trigger("Alert.RequestOverLimit", ServiceName=GROUPS, Command="send_group_msg")
    await sea.until(e.RateAlarm, lambda event: event.command == "send_group_msg")
    assert limiter.rate(SEND_GROUP_MSG) < before


async def test_official_accounts(sea: Harbour) -> None:
    call = sea.other.call
    account = {"Official_Account": GAZETTE}
    made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette", "MaxSubscriberNum": 1}
    await call(OFFICIAL, "create_official_account", made)
    created = await sea.until(e.ChannelCreated)
    assert created.other_mode
    assert (created.channel, created.name, created.owner, created.by) == (GAZETTE, "Gazette", KEEPER, OTHER)
    await call(OFFICIAL, "modify_official_account_base_info", {**account, "Introduction": "i", "Organization": "o"})
    changed = await sea.until(e.ChannelChanged)
    assert (changed.name, changed.introduction, changed.organization) == (None, "i", "o")
    await sea.phone(SAILOR, "follow", account_id=GAZETTE)
    assert (await sea.until(e.Subscribed)).users == (SAILOR,)
    assert (await sea.until(e.ChannelFull)).channel == GAZETTE
    sent = await call(OFFICIAL, "send_official_account_msg", {**account, "Random": 1, "MsgBody": TEXT})
    posted = await sea.until(e.PostPublished)
    ref = PostRef(GAZETTE, int(sent["MsgKey"].partition("_")[0]))
    assert (posted.post.ref, posted.post.parts) == (ref, (Text("extra"),))
    await call(OFFICIAL, "official_account_msg_recall", {**account, "MsgKeyList": [sent["MsgKey"]]})
    assert (await sea.until(e.PostRecalled)).refs == (ref,)
    await sea.phone(SAILOR, "unfollow", "Android", account_id=GAZETTE)
    gone = await sea.until(e.Unsubscribed)
    assert (gone.users, gone.platform, gone.reason) == ((SAILOR,), e.Platform.ANDROID, e.Departure.LEFT)
    await call(OFFICIAL, "destroy_official_account", account)
    assert (await sea.until(e.ChannelDeleted)).owner == KEEPER


async def test_unknown_webhooks_keep_their_body(sea: Harbour) -> None:
    trigger = sea.stub.webhooks.trigger
    await trigger("Group.CallbackAfterSomethingNew", Colour="red")
    event = await sea.until(e.Unknown)
    assert (event.command, event.body["Colour"]) == ("Group.CallbackAfterSomethingNew", "red")
    await trigger("Group.CallbackAfterSendMsg", GroupId=LIGHTHOUSE, MsgSeq={"not": "a number"})
    odd = await sea.until(e.Unknown, lambda event: event.command == "Group.CallbackAfterSendMsg")
    assert odd.body["MsgSeq"] == {"not": "a number"}


@pytest.mark.parametrize("told", [False, True])
async def test_other_groups(told: bool) -> None:
    async with harbour(webhooks={"other_groups": told}) as sea:
        group = "@TGS#_quay"
        await sea.other.call(
            GROUPS, "create_group",
            {"Type": "Community", "Name": "Quay", "GroupId": group, "ApplyJoinOption": "FreeAccess"},
        )  # fmt: skip
        await sea.phone(SAILOR, "join", group_id=group)
        await sea.phone(SAILOR, "post", group_id=group, body="ahoy")
        await sea.phone(SAILOR, "login")
        await sea.other.call(GROUPS, "destroy_group", {"GroupId": group})
        await sea.settle()
        others = [(event.command, event.about) for event in sea.heard if isinstance(event, e.Other)]
        assert len(others) == len(sea.heard)
        assert others == (
            [
                ("Group.CallbackAfterCreateGroup", group),
                ("Group.CallbackAfterNewMemberJoin", group),
                ("Group.CallbackAfterSendMsg", group),
                ("State.StateChange", ""),
                ("Group.CallbackAfterGroupDestroyed", group),
            ]
            if told
            else []
        )


@pytest.mark.parametrize("echoes", [False, True])
async def test_own_echoes(echoes: bool) -> None:
    async with harbour(webhooks={"own_echoes": echoes}) as sea:
        await sea.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await sea.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        await sea.adapter.posts.publish(LIGHTHOUSE, Text("fog"))
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await sea.settle()
        kinds = [type(event) for event in sea.heard]
        own = [e.ChannelCreated, e.Subscribed, e.PostPublished]
        assert kinds == [*(own if echoes else []), e.Unsubscribed]
        assert [event.own for event in sea.heard] == [True] * (len(kinds) - 1) + [False]
        assert {event.by for event in sea.heard} <= {ADMIN, SAILOR}


async def a_day(sea: Harbour) -> None:
    """What people do in a channel."""
    for user in (SAILOR, MATE):
        await sea.phone(user, "join", group_id=LIGHTHOUSE)
    member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
    await sea.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
    for number in range(1, 6):
        await sea.phone(KEEPER, "post", group_id=LIGHTHOUSE, body=f"post {number}", random=number)
    await sea.phone(MATE, "edit", group_id=LIGHTHOUSE, seq=2, body="edited")
    await sea.phone(KEEPER, "recall", group_id=LIGHTHOUSE, seq=3)
    await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)


DAY = [
    e.Subscribed, e.Subscribed, e.RoleChanged, *[e.PostPublished] * 5, e.PostEdited, e.PostRecalled, e.Unsubscribed,
]  # fmt: skip


@pytest.mark.parametrize(
    "trouble",
    [
        {"duplicate": 1.0},
        {"delay_spread": 0.1, "duplicate": 0.5},
        {"event_time_text": True, "unknown_field": True, "client_ip": False, "member_account": True},
    ],
    ids=["twice", "out of order", "other spellings"],
)
async def test_each_event_is_delivered_once_over_a_bad_network(trouble: dict[str, Any]) -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        sea.switch(**trouble)
        await a_day(sea)
        await sea.settle()
        assert_told_once(sea)


async def test_each_event_is_delivered_once_when_answers_are_lost() -> None:
    async with harbour() as sea, answers_cut_off(sea.url) as (url, asked):
        await lighthouse(sea)
        sea.switch(url=url, retries=3, retry_delay=0.01)
        await a_day(sea)
        await sea.settle()
        assert_told_once(sea)
        assert max(asked.values()) == ANSWERS_LOST + 1


@asynccontextmanager
async def answers_cut_off(url: str) -> AsyncIterator[tuple[str, Counter[bytes]]]:
    """In front of a receiver: all that is sent arrives there, and its first answers to each are cut off.

    Gives its URL, and how often each body was sent.
    """
    asked = Counter[bytes]()

    async def pass_on(request: web.Request) -> web.Response:
        body = await request.read()
        asked[body] += 1
        target = URL(f"{url}?{request.query_string}", encoded=True)
        async with session.post(target, data=body, headers={"Content-Type": request.content_type}) as answer:
            said = await answer.read()
        if asked[body] <= ANSWERS_LOST and request.transport is not None:
            request.transport.abort()
        return web.Response(body=said, content_type="application/json")

    front = web.Application()
    front.router.add_post("/{path:.*}", pass_on)
    async with aiohttp.ClientSession() as session, TestServer(front) as server:
        yield str(server.make_url("/")), asked


def assert_told_once(sea: Harbour) -> None:
    assert sorted(kind.__name__ for kind in map(type, sea.heard)) == sorted(kind.__name__ for kind in DAY)
    posts = [event.post.ref.seq for event in sea.heard if isinstance(event, e.PostPublished)]
    assert sorted(posts) == [1, 2, 3, 4, 5]
    roles = [event.user for event in sea.heard if isinstance(event, e.RoleChanged)]
    assert roles == [MATE]


@pytest.mark.parametrize("trouble", [{"wrong_sign": True}, {"stale": 61}])
async def test_forged_and_stale_webhooks_are_not_delivered(trouble: dict[str, Any]) -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        sea.switch(**trouble)
        await a_day(sea)
        assert await sea.settle() == []
        assert sea.receiver.counters.snapshot().get("stored", 0) == 1  # the creation, before it began
        outcomes = {delivery.outcome for delivery in list(sea.stub.webhooks.deliveries)[2:]}
        assert outcomes == {"HTTP 403"}


def test_no_event_is_without_a_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    kinds = [kind.__name__ for kind in (*COMMANDS, e.Other, e.Unknown)]
    assert [name for name in kinds if f"e.{name}" not in text.partition("def test_no_event")[0]] == []
    concrete = {kind.__name__ for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.Event)}
    assert concrete - {"Event", "ChannelEvent"} == set(kinds)
