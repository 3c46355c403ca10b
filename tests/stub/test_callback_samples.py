"""Triggered webhooks: any command, with the documented body."""

import asyncio
from typing import Any

import pytest

from channel_adapter.stub.callbacks.delivery import WebhooksOffError, sample_event
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.routes import find
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.tencent.wire.callback_samples import FILE, samples
from tests.stub.app_server import GROUP, OK, App
from tests.stub.conftest import GROUPS, IMPORT_MANY, NOW, Caller

GROUP_COMMANDS = """
    BeforeCreateGroup AfterCreateGroup BeforeApplyJoinGroup BeforeInviteJoinGroup AfterNewMemberJoin AfterMemberExit
    BeforeSendMsg AfterSendMsg SendMsgException AfterRecallMsg AfterModifyMsg AfterGroupFull AfterGroupDestroyed
    AfterGroupInfoChanged AfterMemberFieldChanged AfterChangeGroupOwner AfterGroupMsgExtension AfterReadReceipt
    AfterGroupAttrChanged BeforeCreateTopic AfterCreateTopic AfterTopicDestroyed AfterTopicInfoChanged
    OnMemberStateChange OnDailyGroupQuotaAlarm
"""
OFFICIAL_COMMANDS = """
    BeforeCreateOfficialAccount AfterCreateOfficialAccount AfterOfficialAccountInfoChanged
    AfterOfficialAccountDestroyed BeforeAddSubscriber AfterAddSubscriber AfterOfficialAccountFull AfterDeleteSubscriber
    BeforeSendMsg AfterSendMsg AfterMsgWithDraw
"""
COMMANDS = [
    *(f"Group.Callback{name}" for name in GROUP_COMMANDS.split()),
    *(f"OfficialAccount.Callback{name}" for name in OFFICIAL_COMMANDS.split()),
    "C2C.CallbackBeforeSendMsg",
    "C2C.CallbackAfterSendMsg",
    "C2C.CallbackAfterMsgReport",
    "C2C.CallbackAfterMsgWithDraw",
    "C2C.CallbackAfterC2CMsgExtension",
    "C2C.CallbackAfterMsgReadAll",
    "C2C.CallbackAfterMsgReadReceipt",
    "C2C.CallbackAfterModifyMsg",
    "State.StateChange",
    "Alert.RequestOverLimit",
    "Follow.CallbackAfterFollowAdd",
    "Follow.CallbackAfterFollowDelete",
]
NOT_FOR_CHANNELS = {
    "Group.CallbackAfterReadReceipt",
    "Group.CallbackAfterGroupAttrChanged",
    "Group.CallbackOnMemberStateChange",
    "Group.CallbackOnDailyGroupQuotaAlarm",
}
MAY_BE_ABSENT = {
    "Group.CallbackBeforeCreateGroup": {"CreateGroupNum"},
    "Group.CallbackAfterCreateGroup": {"UserDefinedDataList"},
    "Group.CallbackBeforeSendMsg": {"MsgId"},
    "Group.CallbackSendMsgException": {"Type"},
}
WITHOUT_TIME = [
    "Alert.RequestOverLimit",
    "Group.CallbackOnMemberStateChange",
    "Group.CallbackBeforeCreateTopic",
    "Group.CallbackAfterCreateTopic",
    "Group.CallbackAfterTopicDestroyed",
    "Group.CallbackAfterTopicInfoChanged",
]


def test_every_documented_command_has_sample() -> None:
    assert sorted(samples()) == sorted(COMMANDS)
    assert all(sample.source and sample.body for sample in samples().values())
    assert [command for command, sample in samples().items() if "EventTime" not in sample.body] == sorted(
        WITHOUT_TIME, key=list(samples()).index
    )
    assert FILE.is_file()


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_can_be_triggered(hooked: Caller, app: App, clock: StubClock, command: str) -> None:
    clock.freeze(NOW)
    delivery = await hooked.server.webhooks.trigger(command)
    ((heard, query, body),) = app.told
    assert (heard, body["CallbackCommand"], query["CallbackCommand"]) == (command, command, command)
    assert (delivery.outcome, delivery.answer, delivery.body) == ("answered", OK, body)
    assert body.get("EventTime") == (None if command in WITHOUT_TIME else NOW * 1000)
    assert query["OptPlatform"] in ("RESTAPI", "iOS", "IOS", "Android", "Web")
    assert ("ClientIP" in query) == (command != "Alert.RequestOverLimit")


async def test_changes_are_merged_into_sample(hooked: Caller, app: App, clock: StubClock) -> None:
    clock.freeze(NOW)
    trigger = hooked.server.webhooks.trigger
    await trigger("Group.CallbackAfterSendMsg", GroupId=GROUP, MsgSeq=4, MsgBody=[], EventTime=None)
    await trigger("State.StateChange", {"Info": {"Action": "Logout", "Reason": "Unregister"}}, KickedDevice=None)
    await trigger("Group.CallbackAfterMemberExit", {"EventTime": 5}, platform="Web", client_ip="192.0.2.9")
    posted, state, left = (body for _, _, body in app.told)
    assert (posted["GroupId"], posted["MsgSeq"], posted["MsgBody"]) == (GROUP, 4, [])
    assert (posted["From_Account"], "EventTime" in posted) == ("u_editor7", False)
    assert state == {
        "CallbackCommand": "State.StateChange",
        "Info": {"Action": "Logout", "To_Account": "u_41", "Reason": "Unregister"},
        "EventTime": NOW * 1000,
    }
    assert left["EventTime"] == 5
    assert (app.told[2][1]["OptPlatform"], app.told[2][1]["ClientIP"]) == ("Web", "192.0.2.9")
    assert samples()["State.StateChange"].body["Info"]["Action"] == "Login"


async def test_unknown_command_can_be_triggered(hooked: Caller, app: App, clock: StubClock) -> None:
    clock.freeze(NOW)
    await hooked.server.webhooks.trigger("Group.CallbackAfterMoonrise", GroupId=GROUP, Moons=[{"Phase": 0.5}])
    await hooked.server.webhooks.trigger("Bare", EventTime=None)
    assert [body for _, _, body in app.told] == [
        {
            "CallbackCommand": "Group.CallbackAfterMoonrise",
            "EventTime": NOW * 1000,
            "GroupId": GROUP,
            "Moons": [{"Phase": 0.5}],
        },
        {"CallbackCommand": "Bare"},
    ]


async def test_triggered_events_are_modified_and_signed_like_others(hooked: Caller, app: App) -> None:
    settings: dict[str, Any] = {
        "url": hooked.server.webhooks.settings.url,
        "token": "orchid-7f",
        "commands": [],
        "event_time_text": True,
        "member_account": True,
        "unknown_field": True,
        "client_ip": False,
        "duplicate": 1.0,
    }
    hooked.server.webhooks.settings = CallbackSettings.model_validate(settings)
    await hooked.server.webhooks.trigger("Group.CallbackAfterMemberFieldChanged")
    await hooked.server.webhooks.trigger("Group.CallbackBeforeSendMsg")
    assert app.commands() == ["Group.CallbackAfterMemberFieldChanged"] * 2 + ["Group.CallbackBeforeSendMsg"]
    _, query, body = app.told[0]
    assert isinstance(body["EventTime"], str)
    assert body["Member_Account"] == "u_editor8"
    assert "ToBeIgnored" in body
    assert "Sign" in query
    assert "ClientIP" not in query


async def test_delivery_contains_answer_of_app(hooked: Caller, app: App) -> None:
    app.answers["Group.CallbackBeforeSendMsg"] = lambda body: {**OK, "ErrorCode": 1, "ErrorInfo": body["GroupId"]}
    delivery = await hooked.server.webhooks.trigger("Group.CallbackBeforeSendMsg", GroupId="@TGS#_x")
    assert delivery.answer == {**OK, "ErrorCode": 1, "ErrorInfo": "@TGS#_x"}
    app.answers["Group.CallbackBeforeSendMsg"] = lambda _: []
    delivery = await hooked.server.webhooks.trigger("Group.CallbackBeforeSendMsg")
    assert (delivery.answer, delivery.outcome) == (None, "the answer has no ErrorCode")


async def test_triggered_events_are_delivered_in_order(hooked: Caller, app: App) -> None:
    app.answers["Group.CallbackAfterSendMsg"] = lambda _: 0.2
    element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": 5, "MsgBody": [element]}
    await hooked.must(f"{GROUPS}/send_group_msg", message)
    triggered = await asyncio.gather(*[hooked.server.webhooks.trigger("Mine", Number=number) for number in range(3)])
    assert app.commands()[1:] == ["Group.CallbackAfterSendMsg", "Mine", "Mine", "Mine"]
    assert [delivery.body["Number"] for delivery in triggered] == [0, 1, 2]
    assert [body["Number"] for body in app.bodies("Mine")] == [0, 1, 2]


async def test_trigger_without_app_raises_webhooks_off(clock: StubClock) -> None:
    async with StubServer(clock=clock) as server:
        with pytest.raises(WebhooksOffError):
            await server.webhooks.trigger("State.StateChange")
    stopped = StubServer(webhooks=CallbackSettings(url="http://127.0.0.1:1/"))
    with pytest.raises(WebhooksOffError):
        await stopped.webhooks.trigger("State.StateChange")


async def test_body_that_is_no_json_is_refused_before_delivery(hooked: Caller, app: App) -> None:
    with pytest.raises(TypeError):
        await hooked.server.webhooks.trigger("State.StateChange", Info={1, 2})
    await hooked.server.webhooks.trigger("State.StateChange")
    assert len(app.told) == 1


@pytest.mark.parametrize("end", ["reset", "stop"])
async def test_waiting_trigger_raises_webhooks_off_after_reset_or_stop(hooked: Caller, app: App, end: str) -> None:
    webhooks = hooked.server.webhooks
    webhooks.settings = webhooks.settings.model_copy(update={"delay": 30.0})
    waiting = [asyncio.create_task(webhooks.trigger("Mine")) for _ in range(2)]
    await asyncio.sleep(0.05)
    if end == "reset":
        hooked.server.reset()
    else:
        await hooked.server.stop()
    async with asyncio.timeout(2):
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        await webhooks.idle()
    assert [type(outcome) for outcome in ends] == [WebhooksOffError] * 2
    assert app.told == []


async def test_webhook_can_be_triggered_from_another_thread(hook_url: str, app: App) -> None:
    """A stub in a thread of its own can be used from any event loop, or from none."""

    def plain() -> str:
        return asyncio.run(server.webhooks.trigger("Mine", Number=1)).outcome

    with StubServer(webhooks=CallbackSettings(url=hook_url)).run_in_thread() as server:
        assert await asyncio.to_thread(plain) == "answered"
        delivery = await server.webhooks.trigger("Mine", Number=2)
        assert server.webhooks.redeliver(delivery.number)
        await server.webhooks.idle()
        server.webhooks.reset()
        await server.webhooks.idle()
    assert [body["Number"] for body in app.bodies("Mine")] == [1, 2, 2]


async def test_webhook_can_be_triggered_over_control_plane(hooked: Caller, app: App) -> None:
    async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{hooked.server.url}/_stub/webhooks/{path}"
        async with hooked.session.request(method, url, json=body) as response:
            return response.status, await response.json()

    status, delivery = await ask(
        "POST", "trigger", {"command": "Group.CallbackAfterRecallMsg", "body": {"GroupId": GROUP, "Type": None}}
    )
    assert (status, delivery["outcome"], delivery["answer"]) == (200, "answered", OK)
    ((command, query, body),) = app.told
    assert (command, body["GroupId"], "Type" in body) == ("Group.CallbackAfterRecallMsg", GROUP, False)
    assert (query["OptPlatform"], query["ClientIP"]) == ("RESTAPI", "127.0.0.1")
    status, known = await ask("GET", "samples")
    assert (status, sorted(known)) == (200, sorted(COMMANDS))
    assert known["State.StateChange"]["Info"]["Action"] == "Login"
    assert (await ask("POST", "trigger", {"comand": "x"}))[0] == 400


def test_sample_event_is_made_without_server() -> None:
    event = sample_event("Group.CallbackAfterGroupFull", {}, now=NOW + 0.25)
    assert event.body == {
        "CallbackCommand": "Group.CallbackAfterGroupFull",
        "GroupId": "@TGS#_harbor_news",
        "EventTime": NOW * 1000 + 250,
    }


OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]
LIFE: list[tuple[str, dict[str, Any]]] = [
    ("create_group", {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a", "MemberList": [{"Member_Account": "u"}]}),
    ("add_group_member", {"GroupId": "@TGS#_a", "MemberList": [{"Member_Account": "editor"}]}),
    ("modify_group_member_info", {"GroupId": "@TGS#_a", "Member_Account": "u", "Role": "Admin", "NameCard": "U"}),
    ("modify_group_base_info", {"GroupId": "@TGS#_a", "Name": "m", "Notification": "new", "MaxMemberNum": 3}),
    ("add_group_member", {"GroupId": "@TGS#_a", "MemberList": [{"Member_Account": "reader_1"}]}),
    ("send_group_msg", {"GroupId": "@TGS#_a", "Random": 1, "MsgBody": TEXT, "SupportMessageExtension": 1}),
    ("modify_group_msg", {"GroupId": "@TGS#_a", "MsgSeq": 1, "MsgBody": TEXT}),
    (
        "group_set_key_values",
        {"GroupId": "@TGS#_a", "MsgSeq": 1, "OperateType": 1, "ExtensionList": [{"Key": "k", "Value": "v"}]},
    ),
    ("group_msg_recall", {"GroupId": "@TGS#_a", "MsgSeqList": [{"MsgSeq": 1}]}),
    ("delete_group_member", {"GroupId": "@TGS#_a", "MemberToDel_Account": ["editor"]}),
    ("change_group_owner", {"GroupId": "@TGS#_a", "NewOwner_Account": "u"}),
    ("destroy_group", {"GroupId": "@TGS#_a"}),
    ("send_group_msg", {"GroupId": "@TGS#_a", "Random": 2, "MsgBody": TEXT}),
    (
        "create_official_account",
        {"Owner_Account": "u", "OfficialAccountUserID": GAZETTE, "Name": "n", "MaxSubscriberNum": 1},
    ),
    ("modify_official_account_base_info", {"Official_Account": GAZETTE, "Introduction": "i", "Organization": "o"}),
    ("add_subscriber", {"Official_Account": GAZETTE, "SubscriberList": [{"Subscriber_Account": "editor"}]}),
    ("send_official_account_msg", {"Official_Account": GAZETTE, "Random": 1, "MsgBody": TEXT}),
    ("official_account_msg_recall", {"Official_Account": GAZETTE, "MsgKeyList": ["first"]}),
    ("delete_subscriber", {"Official_Account": GAZETTE, "SubscriberToDel_Account": ["editor"]}),
    ("destroy_official_account", {"Official_Account": GAZETTE}),
]


async def test_events_of_calls_have_shape_of_samples(hooked: Caller, app: App) -> None:
    """Compare names and types of the events of calls with the samples typed from the documentation."""
    await hooked.must(IMPORT_MANY, {"AccountList": [{"UserID": "u"}]})
    for name, body in LIFE:
        row, asked = find(name), dict(body)
        assert row is not None
        if "MsgKeyList" in body:
            page = await hooked.must(f"{OFFICIAL}/official_account_msg_get_simple", {"Official_Account": GAZETTE})
            asked["MsgKeyList"] = [page["RspMsgList"][0]["MsgKey"]]
        await hooked.call(row.path, asked)
    await hooked.server.webhooks.idle()
    caused = {command for command in app.commands() if command.startswith(("Group", "Official"))}
    never = {"Group.CallbackBeforeApplyJoinGroup"}  # client apps only
    silent = {command for command in COMMANDS if "Topic" in command or "Callback" not in command}
    assert caused >= {c for c in COMMANDS if c.startswith(("Group", "Official"))} - NOT_FOR_CHANNELS - never - silent
    for command, _, body in app.told:
        sample = {"CallbackCommand": command, **samples()[command].body}
        wrong = {name for name in body if name not in sample or type(body[name]) is not type(sample[name])}
        assert wrong == set(), command
        assert set(sample) - set(body) <= MAY_BE_ABSENT.get(command, set()), command
