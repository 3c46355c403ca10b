"""Actions of users, mostly in client apps: the webhook is sent over a socket, and the app's handler is called."""

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
from channel_adapter.webhooks.modes import COMMANDS
from tests.webhooks.scenario import ADMIN, KEEPER, LIGHTHOUSE, MATE, OTHER, SAILOR, Scenario, lighthouse, open_scenario

GROUPS = "group_open_http_svc"
OFFICIAL = "official_account_open_http_svc"
GAZETTE = ChannelId("@TOA#_gazette")
ANSWERS_LOST = 2  # of each request, starting with the first
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]


@pytest.fixture
async def scenario() -> AsyncIterator[Scenario]:
    async with open_scenario() as built:
        yield built


@pytest.fixture
async def light(scenario: Scenario) -> Scenario:
    return await lighthouse(scenario)


def about(event: e.Event) -> tuple[Any, ...]:
    """Return platform, user and echo flag of an event, which must have a time."""
    assert event.at is not None
    return event.platform, event.by, event.own


async def test_join_in_client_app_is_reported_as_subscribed(light: Scenario) -> None:
    await light.act(SAILOR, "join", "Android", group_id=LIGHTHOUSE)
    event = await light.until(e.Subscribed)
    assert (event.channel, event.users, event.invited) == (LIGHTHOUSE, (SAILOR,), False)
    assert about(event) == (e.Platform.ANDROID, SAILOR, False)


async def test_subscription_by_another_program_is_reported_as_invited(light: Scenario) -> None:
    await light.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])
    event = await light.until(e.Subscribed)
    assert (event.users, event.invited) == ((SAILOR, MATE), True)
    assert about(event) == (e.Platform.SERVER, OTHER, False)


async def test_leaving_and_removal_are_reported_as_unsubscribed(light: Scenario) -> None:
    await light.act(SAILOR, "join", group_id=LIGHTHOUSE)
    await light.act(SAILOR, "leave", "Web", group_id=LIGHTHOUSE)
    left = await light.until(e.Unsubscribed)
    assert (left.channel, left.users, left.reason) == (LIGHTHOUSE, (SAILOR,), e.Departure.LEFT)
    assert about(left) == (e.Platform.WEB, SAILOR, False)
    await light.act(MATE, "join", group_id=LIGHTHOUSE)
    await light.other.subscriptions.unsubscribe(LIGHTHOUSE, [MATE])
    removed = await light.until(e.Unsubscribed, lambda event: event.users == (MATE,))
    assert (removed.reason, removed.platform) == (e.Departure.REMOVED, e.Platform.SERVER)


async def test_channel_creation_change_and_deletion_are_reported(scenario: Scenario) -> None:
    await scenario.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
    created = await scenario.until(e.ChannelCreated)
    assert (created.channel, created.name, created.owner) == (LIGHTHOUSE, "Lighthouse", KEEPER)
    await scenario.other.channels.update(LIGHTHOUSE, name="Light", introduction="a tower")
    changed = await scenario.until(e.ChannelChanged)
    assert (changed.name, changed.introduction, changed.notification, changed.avatar) == (
        "Light",
        "a tower",
        None,
        None,
    )
    await scenario.other.channels.delete(LIGHTHOUSE)
    deleted = await scenario.until(e.ChannelDeleted)
    assert (deleted.channel, deleted.name, deleted.owner, deleted.confirmed) == (LIGHTHOUSE, "Light", KEEPER, True)
    assert about(deleted)[0] is e.Platform.SERVER


async def test_full_channel_is_reported(scenario: Scenario) -> None:
    await lighthouse(scenario, max_subscribers=1)
    await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
    assert (await scenario.until(e.ChannelFull)).channel == LIGHTHOUSE


async def test_published_edited_and_recalled_post_is_reported(light: Scenario) -> None:
    await light.act(KEEPER, "post", "macOS", group_id=LIGHTHOUSE, body="fog", random=77)
    published = await light.until(e.PostPublished)
    ref = PostRef(LIGHTHOUSE, published.post.ref.seq)
    assert (published.post.ref, published.post.author, published.post.dedupe) == (ref, KEEPER, 77)
    assert (published.post.parts, published.online_only) == ((Text("fog"),), False)
    assert published.post.published_at is not None
    assert about(published) == (e.Platform.MAC, KEEPER, False)
    await light.act(MATE, "join", group_id=LIGHTHOUSE)
    await light.act(MATE, "edit", group_id=LIGHTHOUSE, seq=ref.seq, body="haze")
    edited = await light.until(e.PostEdited)
    assert (edited.ref, edited.parts, edited.by) == (ref, (Text("haze"),), MATE)
    await light.act(KEEPER, "recall", group_id=LIGHTHOUSE, seq=ref.seq)
    recalled = await light.until(e.PostRecalled)
    assert (recalled.refs, recalled.by) == ((ref,), KEEPER)


async def test_first_post_of_recreated_channel_is_not_a_repeat(light: Scenario) -> None:
    """Its number existed in the deleted channel."""
    await light.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog")
    first = await light.until(e.PostPublished)
    await light.other.channels.delete(LIGHTHOUSE)
    light.stub.world.clock.advance(2)
    await lighthouse(light)
    await light.act(KEEPER, "post", group_id=LIGHTHOUSE, body="haze")
    second = await light.until(e.PostPublished)
    assert (second.post.ref, second.post.parts) == (first.post.ref, (Text("haze"),))


async def test_failed_post_is_reported_as_lost(light: Scenario) -> None:
    await light.act(SAILOR, "join", group_id=LIGHTHOUSE)
    with pytest.raises(Refusal):
        await light.act(SAILOR, "post", group_id=LIGHTHOUSE, body="let me in", random=5)
    lost = await light.until(e.PostLost)
    assert (lost.author, lost.parts, lost.dedupe, lost.reason) == (SAILOR, (Text("let me in"),), 5, e.Loss.FAILED)
    assert lost.code == 10017


async def test_vanished_post_is_reported_as_lost() -> None:
    """Above a group's messages per second the service drops some messages and reports success to their authors."""
    async with open_scenario(
        stub={"limits": {"messages_per_second": 2}}, webhooks={"lost_after_seconds": 0.2}
    ) as scenario:
        await lighthouse(scenario)
        scenario.switch(
            commands=("Group.CallbackBefore*", "Group.CallbackAfter*")
        )  # the exception event would report it, too
        for number in range(1, 6):
            await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body=f"post {number}", random=number)
        await scenario.settle()
        kept = {event.post.dedupe for event in scenario.received if isinstance(event, e.PostPublished)}
        gone = {1, 2, 3, 4, 5} - kept
        assert gone
        for number in gone:
            lost = await scenario.until(e.PostLost, lambda event, number=number: event.dedupe == number)  # type: ignore[misc]
            assert (lost.reason, lost.author, lost.parts) == (e.Loss.VANISHED, KEEPER, (Text(f"post {number}"),))
        assert {event.dedupe for event in scenario.received if isinstance(event, e.PostLost)} == gone


async def test_reaction_and_its_removal_are_reported(light: Scenario) -> None:
    await light.act(SAILOR, "join", group_id=LIGHTHOUSE)
    await light.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", supports_extensions=True)
    ref = (await light.until(e.PostPublished)).post.ref
    await light.act(SAILOR, "set_extensions", group_id=LIGHTHOUSE, seq=ref.seq, pairs={"r|sailor": "👍"})
    liked = await light.until(e.ReactionChanged)
    assert (liked.ref, liked.cleared, liked.platform) == (ref, False, e.Platform.IOS)
    (change,) = liked.changes
    assert change == ReactionChange(UserId(SAILOR), ("👍",), change.seq, from_client=True)
    await light.act(SAILOR, "delete_extensions", group_id=LIGHTHOUSE, seq=ref.seq, keys=["r|sailor"])
    gone = await light.until(e.ReactionChanged, lambda event: event.version > liked.version)
    assert [(each.user, each.emoji) for each in gone.changes] == [(SAILOR, ())]


async def test_role_and_owner_changes_are_reported(light: Scenario) -> None:
    await light.act(MATE, "join", group_id=LIGHTHOUSE)
    member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
    await light.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
    promoted = await light.until(e.RoleChanged)
    assert (promoted.channel, promoted.user, promoted.role, promoted.by) == (LIGHTHOUSE, MATE, Role.ADMIN, OTHER)
    await light.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Member"})
    await light.until(e.RoleChanged, lambda event: event.role is Role.SUBSCRIBER)
    await light.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": MATE})
    changed = await light.until(e.OwnerChanged)
    assert (changed.old_owner, changed.new_owner) == (KEEPER, MATE)


async def test_rate_alarm_reduces_the_rate(scenario: Scenario) -> None:
    await scenario.other.call(GROUPS, "get_appid_group_list", {"Limit": 1})  # its limit is once a second
    alarm = await scenario.until(e.RateAlarm)
    assert (alarm.service, alarm.command, alarm.allowed) == (GROUPS, "get_appid_group_list", 1)
    assert alarm.calls >= 1
    limiter = scenario.adapter._client._limiter
    before = limiter.rate(SEND_GROUP_MSG)
    await scenario.stub.webhooks.trigger("Alert.RequestOverLimit", ServiceName=GROUPS, Command="send_group_msg")
    await scenario.until(e.RateAlarm, lambda event: event.command == "send_group_msg")
    assert limiter.rate(SEND_GROUP_MSG) < before


async def test_events_of_official_accounts_are_reported(scenario: Scenario) -> None:
    call = scenario.other.call
    account = {"Official_Account": GAZETTE}
    made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette", "MaxSubscriberNum": 1}
    await call(OFFICIAL, "create_official_account", made)
    created = await scenario.until(e.ChannelCreated)
    assert created.other_mode
    assert (created.channel, created.name, created.owner, created.by) == (GAZETTE, "Gazette", KEEPER, OTHER)
    await call(OFFICIAL, "modify_official_account_base_info", {**account, "Introduction": "i", "Organization": "o"})
    changed = await scenario.until(e.ChannelChanged)
    assert (changed.name, changed.introduction, changed.organization) == (None, "i", "o")
    await scenario.act(SAILOR, "follow", account_id=GAZETTE)
    assert (await scenario.until(e.Subscribed)).users == (SAILOR,)
    assert (await scenario.until(e.ChannelFull)).channel == GAZETTE
    sent = await call(OFFICIAL, "send_official_account_msg", {**account, "Random": 1, "MsgBody": TEXT})
    posted = await scenario.until(e.PostPublished)
    ref = PostRef(GAZETTE, int(sent["MsgKey"].partition("_")[0]))
    assert (posted.post.ref, posted.post.parts) == (ref, (Text("extra"),))
    await call(OFFICIAL, "official_account_msg_recall", {**account, "MsgKeyList": [sent["MsgKey"]]})
    assert (await scenario.until(e.PostRecalled)).refs == (ref,)
    await scenario.act(SAILOR, "unfollow", "Android", account_id=GAZETTE)
    gone = await scenario.until(e.Unsubscribed)
    assert (gone.users, gone.platform, gone.reason) == ((SAILOR,), e.Platform.ANDROID, e.Departure.LEFT)
    await call(OFFICIAL, "destroy_official_account", account)
    assert (await scenario.until(e.ChannelDeleted)).owner == KEEPER


async def test_unknown_webhook_is_reported_with_its_body(scenario: Scenario) -> None:
    trigger = scenario.stub.webhooks.trigger
    await trigger("Group.CallbackAfterSomethingNew", Colour="red")
    event = await scenario.until(e.Unknown)
    assert (event.command, event.body["Colour"]) == ("Group.CallbackAfterSomethingNew", "red")
    await trigger("Group.CallbackAfterSendMsg", GroupId=LIGHTHOUSE, MsgSeq={"not": "a number"})
    odd = await scenario.until(e.Unknown, lambda event: event.command == "Group.CallbackAfterSendMsg")
    assert odd.body["MsgSeq"] == {"not": "a number"}


@pytest.mark.parametrize("told", [False, True])
async def test_events_of_other_groups_are_reported_only_when_switched_on(told: bool) -> None:
    async with open_scenario(webhooks={"other_groups": told}) as scenario:
        group = "@TGS#_quay"
        await scenario.other.call(
            GROUPS, "create_group",
            {"Type": "Community", "Name": "Quay", "GroupId": group, "ApplyJoinOption": "FreeAccess"},
        )  # fmt: skip
        await scenario.act(SAILOR, "join", group_id=group)
        await scenario.act(SAILOR, "post", group_id=group, body="ahoy")
        await scenario.act(SAILOR, "login")
        await scenario.other.call(GROUPS, "destroy_group", {"GroupId": group})
        await scenario.settle()
        others = [(event.command, event.about) for event in scenario.received if isinstance(event, e.Other)]
        assert len(others) == len(scenario.received)
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
async def test_own_echoes_are_reported_only_when_switched_on(echoes: bool) -> None:
    async with open_scenario(webhooks={"own_echoes": echoes}) as scenario:
        await scenario.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await scenario.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        await scenario.adapter.posts.publish(LIGHTHOUSE, Text("fog"))
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await scenario.settle()
        kinds = [type(event) for event in scenario.received]
        own = [e.ChannelCreated, e.Subscribed, e.PostPublished]
        assert kinds == [*(own if echoes else []), e.Unsubscribed]
        assert [event.own for event in scenario.received] == [True] * (len(kinds) - 1) + [False]
        assert {event.by for event in scenario.received} <= {ADMIN, SAILOR}


async def a_day(scenario: Scenario) -> None:
    """Perform typical actions of users in a channel."""
    for user in (SAILOR, MATE):
        await scenario.act(user, "join", group_id=LIGHTHOUSE)
    member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
    await scenario.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
    for number in range(1, 6):
        await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body=f"post {number}", random=number)
    await scenario.act(MATE, "edit", group_id=LIGHTHOUSE, seq=2, body="edited")
    await scenario.act(KEEPER, "recall", group_id=LIGHTHOUSE, seq=3)
    await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)


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
async def test_each_event_is_delivered_once_over_unreliable_network(trouble: dict[str, Any]) -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        scenario.switch(**trouble)
        await a_day(scenario)
        await scenario.settle()
        assert_told_once(scenario)


async def test_each_event_is_delivered_once_when_responses_are_lost() -> None:
    async with open_scenario() as scenario, answers_cut_off(scenario.url) as (url, asked):
        await lighthouse(scenario)
        scenario.switch(url=url, retries=3, retry_delay=0.01)
        await a_day(scenario)
        await scenario.settle()
        assert_told_once(scenario)
        assert max(asked.values()) == ANSWERS_LOST + 1


@asynccontextmanager
async def answers_cut_off(url: str) -> AsyncIterator[tuple[str, Counter[bytes]]]:
    """Run a proxy of a receiver that forwards all requests and aborts the first responses to each.

    Yield its URL and the number of requests by body.
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


def assert_told_once(scenario: Scenario) -> None:
    assert sorted(kind.__name__ for kind in map(type, scenario.received)) == sorted(kind.__name__ for kind in DAY)
    posts = [event.post.ref.seq for event in scenario.received if isinstance(event, e.PostPublished)]
    assert sorted(posts) == [1, 2, 3, 4, 5]
    roles = [event.user for event in scenario.received if isinstance(event, e.RoleChanged)]
    assert roles == [MATE]


@pytest.mark.parametrize("trouble", [{"wrong_sign": True}, {"stale": 61}])
async def test_forged_and_stale_webhooks_are_not_delivered(trouble: dict[str, Any]) -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        scenario.switch(**trouble)
        await a_day(scenario)
        assert await scenario.settle() == []
        assert scenario.receiver.counters.snapshot().get("stored", 0) == 1  # the earlier creation
        outcomes = {delivery.outcome for delivery in list(scenario.stub.webhooks.deliveries)[2:]}
        assert outcomes == {"HTTP 403"}


def test_every_event_type_is_used_in_these_tests() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    kinds = [kind.__name__ for kind in (*COMMANDS, e.MessageSent, e.Other, e.Unknown)]
    text += Path(__file__).with_name("test_message_events.py").read_text(encoding="utf-8")
    assert [name for name in kinds if f"e.{name}" not in text] == []
    concrete = {kind.__name__ for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.Event)}
    assert concrete - {"Event", "ChannelEvent", "MessageEvent", "NewMessage"} == set(kinds)
