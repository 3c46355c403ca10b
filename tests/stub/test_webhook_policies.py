"""Decisions of the app, and webhooks sent to it: over sockets, from REST calls and from client apps."""

import asyncio
import json
import time
from typing import Any

import pytest
from aiohttp import web

from channel_adapter.stub.callbacks.request import CallbackSettings
from tests.stub.app_server import GROUP, OK, App
from tests.stub.conftest import ACCOUNTS, GROUPS, IMPORT_MANY, NOW, Caller

OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "tide table"}}]
BEFORE_SEND = "Group.CallbackBeforeSendMsg"
AFTER_SEND = "Group.CallbackAfterSendMsg"


def change(caller: Caller, **values: Any) -> None:
    webhooks = caller.server.webhooks
    webhooks.settings = webhooks.settings.model_copy(update=values)


async def send(caller: Caller, **more: Any) -> dict[str, Any]:
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": 1, "MsgBody": TEXT, **more}
    answer = await caller.call(f"{GROUPS}/send_group_msg", message)
    await caller.server.webhooks.idle()
    return answer


async def client(caller: Caller, user: str, what: str, platform: str = "iOS", **arguments: Any) -> tuple[int, Any]:
    """Carry out an action of a user on a client app; return HTTP status and answer."""
    action = {"user": user, "do": what, "platform": platform, "with": arguments}
    async with caller.session.post(f"{caller.server.url}/_stub/people", json=action) as response:
        answer = await response.json()
    await caller.server.webhooks.idle()
    return response.status, answer


async def open_gazette(caller: Caller) -> None:
    account = {"Owner_Account": "editor", "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
    await caller.must(f"{OFFICIAL}/create_official_account", account)


def refuse(app: App, command: str, code: int = 1, info: str = "") -> None:
    app.answers[command] = lambda _: {**OK, "ErrorCode": code, "ErrorInfo": info}


@pytest.mark.parametrize("block", [False, True], ids=["proceed", "block"])
async def test_call_waits_two_seconds_for_answer_of_app(hooked: Caller, app: App, block: bool) -> None:
    app.answers[BEFORE_SEND] = lambda _: 30.0
    change(hooked, block=(BEFORE_SEND,) if block else ())
    started = time.perf_counter()
    answer = await send(hooked)
    assert 1.9 < time.perf_counter() - started < 3.5
    assert answer["ErrorCode"] == (80003 if block else 0)
    assert (AFTER_SEND in app.commands()) is not block


@pytest.mark.parametrize("code", [10100, 10150, 10200])
async def test_codes_of_app_are_returned_to_caller(hooked: Caller, app: App, code: int) -> None:
    refuse(app, BEFORE_SEND, code, "the dispatcher is closed")
    answer = await send(hooked)
    assert (answer["ErrorCode"], answer["ErrorInfo"]) == (code, "the dispatcher is closed")


async def test_app_can_rewrite_only_custom_data(hooked: Caller, app: App) -> None:
    app.answers[BEFORE_SEND] = lambda _: {**OK, "CloudCustomData": "checked"}
    await send(hooked, CloudCustomData="raw")
    (before,), (after,) = app.bodies(BEFORE_SEND), app.bodies(AFTER_SEND)
    assert (before["CloudCustomData"], after["CloudCustomData"]) == ("raw", "checked")
    assert after["MsgBody"] == TEXT


@pytest.mark.parametrize("answer", [{"MsgBody": "text"}, {"MsgBody": []}, {"MsgBody": [{"MsgType": 7}]}])
async def test_invalid_rewrite_leaves_message_unchanged(hooked: Caller, app: App, answer: dict[str, Any]) -> None:
    app.answers[BEFORE_SEND] = lambda _: {**OK, **answer}
    assert (await send(hooked))["ErrorCode"] == 0
    assert app.bodies(AFTER_SEND)[0]["MsgBody"] == TEXT


@pytest.mark.parametrize(
    "answer",
    [
        {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 12_289}}]},
        {"CloudCustomData": "x" * 12_289},
        {"CloudCustomData": "checked", "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 12_288}}]},
    ],
    ids=["body", "custom data", "both"],
)
async def test_rewrite_over_the_size_of_a_message_leaves_it_unchanged(
    hooked: Caller, app: App, answer: dict[str, Any]
) -> None:
    app.answers[BEFORE_SEND] = lambda _: {**OK, **answer}
    assert (await send(hooked, CloudCustomData="raw"))["ErrorCode"] == 0
    (after,) = app.bodies(AFTER_SEND)
    assert (after["MsgBody"], after["CloudCustomData"]) == (TEXT, "raw")


OF_OFFICIAL = "OfficialAccount.CallbackBefore"
CREATE = {"Type": "Community", "Name": "n", "GroupId": "@TGS#_new", "Owner_Account": "editor"}
MEMBERS = {"GroupId": GROUP, "MemberList": [{"Member_Account": "reader_1"}]}
ACCOUNT = {"Owner_Account": "editor", "OfficialAccountUserID": "@TOA#_new", "Name": "n"}
SUBSCRIBERS = {"Official_Account": GAZETTE, "SubscriberList": [{"Subscriber_Account": "reader_1"}]}
BROADCAST = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": TEXT}
ASKED = [
    (f"{GROUPS}/create_group", CREATE, "Group.CallbackBeforeCreateGroup", 10016, 10016),
    (f"{GROUPS}/add_group_member", MEMBERS, "Group.CallbackBeforeInviteJoinGroup", 10016, 10016),
    (f"{OFFICIAL}/create_official_account", ACCOUNT, f"{OF_OFFICIAL}CreateOfficialAccount", 20006, 20006),
    (f"{OFFICIAL}/add_subscriber", SUBSCRIBERS, f"{OF_OFFICIAL}AddSubscriber", 20006, 20006),
    (f"{OFFICIAL}/send_official_account_msg", BROADCAST, f"{OF_OFFICIAL}SendMsg", 10016, 80003),
]


@pytest.mark.parametrize(("path", "body", "command", "refused", "silent"), ASKED, ids=[row[2] for row in ASKED])
async def test_refusal_or_silence_of_app_refuses_call_without_after_event(
    hooked: Caller, app: App, path: str, body: dict[str, Any], command: str, refused: int, silent: int
) -> None:
    await open_gazette(hooked)
    await hooked.server.webhooks.idle()
    app.told.clear()
    refuse(app, command)
    assert (await hooked.call(path, body))["ErrorCode"] == refused
    app.answers[command] = lambda _: web.Response(status=500)
    change(hooked, block=("*",))
    assert (await hooked.call(path, body))["ErrorCode"] == silent
    await hooked.server.webhooks.idle()
    assert app.commands() == [command] * 2, "nothing happened, so nothing is told"
    change(hooked, block=())
    assert (await hooked.call(path, body))["ErrorCode"] == 0
    await hooked.server.webhooks.idle()
    assert app.commands()[2] == command
    assert ".CallbackAfter" in app.commands()[3]


async def test_subscriber_refused_by_app_has_result_0_and_is_not_added(hooked: Caller, app: App) -> None:
    await open_gazette(hooked)
    app.answers["OfficialAccount.CallbackBeforeAddSubscriber"] = lambda _: {
        **OK,
        "RefusedMembers_Account": ["reader_1"],
    }
    users = [{"Subscriber_Account": "editor"}, {"Subscriber_Account": "reader_1"}]
    answer = await hooked.must(f"{OFFICIAL}/add_subscriber", {"Official_Account": GAZETTE, "SubscriberList": users})
    assert [item["Result"] for item in answer["SubscriberList"]] == [1, 0]
    page = await hooked.must(f"{OFFICIAL}/get_subscriber_info", {"Official_Account": GAZETTE, "Limit": 20})
    assert [item["Subscriber_Account"] for item in page["SubscriberList"]] == ["editor"]


async def test_broadcast_can_be_dropped_rewritten_and_sent_without_webhooks(hooked: Caller, app: App) -> None:
    hooked.server.world.clock.freeze(NOW)
    await open_gazette(hooked)
    before, after = "OfficialAccount.CallbackBeforeSendMsg", "OfficialAccount.CallbackAfterSendMsg"
    refuse(app, before, 2)
    await hooked.must(f"{OFFICIAL}/send_official_account_msg", BROADCAST)
    other = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "rewritten"}}]
    app.answers[before] = lambda _: {**OK, "MsgBody": other}
    hooked.server.world.clock.advance(3600)
    await hooked.must(f"{OFFICIAL}/send_official_account_msg", {**BROADCAST, "Random": 2})
    hooked.server.world.clock.advance(3600)
    forbidden = {"ForbidCallbackControl": ["ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"]}
    await hooked.must(f"{OFFICIAL}/send_official_account_msg", {**BROADCAST, "Random": 3, **forbidden})
    await hooked.server.webhooks.idle()
    assert len(app.bodies(before)) == 2
    assert [body["MsgBody"] for body in app.bodies(after)] == [other]
    page = await hooked.must(f"{OFFICIAL}/official_account_msg_get_simple", {"Official_Account": GAZETTE})
    assert [message["MsgBody"] for message in page["RspMsgList"]] == [TEXT, other]


async def test_imports_of_every_kind_send_no_webhooks(hooked: Caller, app: App) -> None:
    created = NOW - 10_000
    old = {"Type": "Community", "Name": "Old", "GroupId": "@TGS#_old", "Owner_Account": "editor", "CreateTime": created}
    await hooked.must(f"{ACCOUNTS}/account_import", {"UserID": "late"})
    await hooked.must(IMPORT_MANY, {"AccountList": [{"UserID": "later"}]})
    await hooked.must(f"{GROUPS}/import_group", old)
    message = {"From_Account": "editor", "SendTime": created + 5, "MsgBody": TEXT}
    imported = await hooked.must(f"{GROUPS}/import_group_msg", {"GroupId": "@TGS#_old", "MsgList": [message]})
    assert imported["ImportMsgResult"][0]["Result"] == 0
    members = [{"Member_Account": "late", "JoinTime": created + 9}]
    joined = await hooked.must(f"{GROUPS}/import_group_member", {"GroupId": "@TGS#_old", "MemberList": members})
    assert joined["MemberList"][0]["Result"] == 1
    await hooked.server.webhooks.idle()
    assert app.told == []


async def test_throttled_post_has_exception_event_and_no_after_event(hooked: Caller, app: App) -> None:
    hooked.server.world.clock.freeze(NOW)
    change(hooked, commands=("Group.*",))
    for number in range(42):
        await hooked.must(
            f"{GROUPS}/send_group_msg",
            {"GroupId": GROUP, "From_Account": "editor", "Random": number, "MsgBody": TEXT},
        )
    await hooked.server.webhooks.idle()
    lost = {body["Random"] for body in app.bodies(BEFORE_SEND)} - {body["Random"] for body in app.bodies(AFTER_SEND)}
    assert len(lost) == 2
    failures = app.bodies("Group.CallbackSendMsgException")
    assert {body["Random"] for body in failures} == lost
    assert {body["ErrorCode"] for body in failures} == {10023}


@pytest.mark.parametrize("platform", ["Android", "iOS", "Web"])
async def test_client_app_actions_send_webhooks_with_their_platform(hooked: Caller, app: App, platform: str) -> None:
    async def do(what: str, **arguments: Any) -> Any:
        status, answer = await client(hooked, "reader_1", what, platform, **arguments)
        assert status == 200, answer
        return answer["result"]

    await do("login")
    await do("join", group_id=GROUP)
    seq = (await do("post", group_id=GROUP, body="hello", supports_extensions=True))["MsgSeq"]
    await do("set_extensions", group_id=GROUP, seq=seq, pairs={"r|reader_1": "1"})
    await do("recall", group_id=GROUP, seq=seq)
    await do("leave", group_id=GROUP)
    assert app.commands() == [
        "State.StateChange",
        "Group.CallbackBeforeApplyJoinGroup",
        "Group.CallbackAfterNewMemberJoin",
        BEFORE_SEND,
        AFTER_SEND,
        "Group.CallbackAfterGroupMsgExtension",
        "Group.CallbackAfterRecallMsg",
        "Group.CallbackAfterMemberExit",
    ]
    assert app.told[0][1]["OptPlatform"] == ("IOS" if platform == "iOS" else platform)
    assert {query["OptPlatform"] for _, query, _ in app.told[1:]} == {platform}
    assert {query["ClientIP"] for command, query, _ in app.told if "Join" in command} == {"127.0.0.1"}
    joined, left = app.bodies("Group.CallbackAfterNewMemberJoin")[0], app.told[-1][2]
    assert (joined["JoinType"], joined["Operator_Account"]) == ("Apply", "reader_1")
    assert (left["ExitType"], left["Operator_Account"]) == ("Quit", "reader_1")
    assert app.bodies(AFTER_SEND)[0]["Operator_Account"] == "reader_1"


async def test_call_that_waits_for_the_app_during_a_reset_has_no_effect(hooked: Caller, app: App) -> None:
    server = hooked.server
    app.answers["Group.CallbackBeforeCreateGroup"] = lambda _: 0.2
    creation = asyncio.create_task(hooked.call(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n"}))
    async with asyncio.timeout(5):
        while not app.told:  # noqa: ASYNC110 - the app does not report
            await asyncio.sleep(0.01)
    server.reset()
    assert (await creation)["ErrorCode"] == 60008
    assert (len(server.log), server.log.count(), server.world.state.groups) == (0, 0, {})
    await server.webhooks.idle()
    assert app.commands() == ["Group.CallbackBeforeCreateGroup"]


async def test_client_app_that_waits_for_the_app_during_a_reset_has_no_effect(hooked: Caller, app: App) -> None:
    server, document = hooked.server, hooked.server.world.dump()
    app.answers["Group.CallbackBeforeApplyJoinGroup"] = lambda _: 0.2
    joining = asyncio.create_task(client(hooked, "reader_1", "join", group_id=GROUP))
    async with asyncio.timeout(5):
        while not app.told:  # noqa: ASYNC110 - the app does not report
            await asyncio.sleep(0.01)
    server.reset()
    server.world.load(document)  # the next test has the same users and groups
    status, answer = await joining
    assert (status, answer["error"].partition(":")[0]) == (409, "60008")
    assert "reader_1" not in server.world.state.groups[GROUP].members


async def test_every_event_of_a_client_app_has_its_address(hooked: Caller, app: App) -> None:
    await client(hooked, "reader_1", "join", group_id=GROUP)
    await client(hooked, "reader_1", "leave", group_id=GROUP)
    hooked.server.world.client("reader_1").join(GROUP)
    await hooked.server.webhooks.idle()
    joined, left = "Group.CallbackAfterNewMemberJoin", "Group.CallbackAfterMemberExit"
    assert app.commands() == ["Group.CallbackBeforeApplyJoinGroup", joined, left, joined]
    assert {query["ClientIP"] for _, query, _ in app.told} == {"127.0.0.1"}


@pytest.mark.parametrize("more", [{}, {"random": None}, {"random": 77}])
async def test_both_events_of_a_post_in_a_client_app_have_the_same_random(
    hooked: Caller, app: App, more: dict[str, Any]
) -> None:
    for _ in range(2):
        await client(hooked, "editor", "post", group_id=GROUP, body="hello", **more)
    before, after = ([body["Random"] for body in app.bodies(command)] for command in (BEFORE_SEND, AFTER_SEND))
    assert before == after
    assert before[0] == more.get("random") or before[0] != before[1]


async def test_app_can_refuse_client_app_actions(hooked: Caller, app: App) -> None:
    refuse(app, "Group.CallbackBeforeApplyJoinGroup", 10120, "members only")
    status, answer = await client(hooked, "reader_1", "join", group_id=GROUP)
    assert (status, answer["error"]) == (409, "10120: members only")
    app.answers.clear()
    await client(hooked, "reader_1", "join", group_id=GROUP)
    refuse(app, BEFORE_SEND)
    status, answer = await client(hooked, "reader_1", "post", group_id=GROUP, body="spam")
    assert (status, answer["error"].partition(":")[0]) == (409, "10016")
    refuse(app, BEFORE_SEND, 2)
    assert await client(hooked, "reader_1", "post", group_id=GROUP, body="spam") == (
        200,
        {"result": {**OK, "MsgTime": int(hooked.server.world.clock.now()), "MsgSeq": 0}},
    )
    await open_gazette(hooked)
    refuse(app, "OfficialAccount.CallbackBeforeAddSubscriber")
    status, answer = await client(hooked, "reader_1", "follow", account_id=GAZETTE)
    assert (status, answer["error"].partition(":")[0]) == (409, "20006")


async def test_post_of_muted_user_is_refused_and_reported(hooked: Caller, app: App) -> None:
    await client(hooked, "reader_1", "join", group_id=GROUP)
    mute = {"GroupId": GROUP, "Members_Account": ["reader_1"], "MuteTime": 60}
    await hooked.must(f"{GROUPS}/forbid_send_msg", mute)
    app.told.clear()
    status, answer = await client(hooked, "reader_1", "post", "Web", group_id=GROUP, body="may I?")
    assert (status, answer["error"].partition(":")[0]) == (409, "10017")
    told = app.bodies("Group.CallbackSendMsgException")
    assert [body["ErrorCode"] for body in told] == [10017]


async def test_call_is_answered_before_after_event_is_sent(hooked: Caller, app: App) -> None:
    change(hooked, delay=0.3)
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": 1, "MsgBody": TEXT}
    await hooked.must(f"{GROUPS}/send_group_msg", message)
    assert app.commands() == [BEFORE_SEND]
    await hooked.server.webhooks.idle()
    assert app.commands() == [BEFORE_SEND, AFTER_SEND]


async def test_call_does_not_wait_for_before_event_of_another_call(hooked: Caller, app: App) -> None:
    """The second call is answered although the before-event of the first is still waiting."""
    asked = asyncio.Event()

    def answer(body: dict[str, Any]) -> Any:
        asked.set()
        return 1.0 if body["Random"] == 1 else OK

    app.answers[BEFORE_SEND] = answer
    slow = asyncio.create_task(send(hooked))
    await asked.wait()
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": 2, "MsgBody": TEXT}
    async with asyncio.timeout(0.8):
        second = await hooked.must(f"{GROUPS}/send_group_msg", message)
    assert second["MsgSeq"] < (await slow)["MsgSeq"]


async def test_delivery_log_contains_no_secret(hooked: Caller, app: App) -> None:
    url = hooked.server.webhooks.settings.url
    hooked.server.webhooks.settings = CallbackSettings.model_validate({"url": url, "token": "orchid-7f"})
    await send(hooked)
    sign = app.told[0][1]["Sign"]
    async with hooked.session.get(f"{hooked.server.url}/_stub/webhooks/deliveries") as response:
        text = await response.text()
    deliveries = json.loads(text)
    assert [(entry["command"], entry["outcome"], entry["answer"]) for entry in deliveries[-2:]] == [
        (BEFORE_SEND, "answered", OK),
        (AFTER_SEND, "answered", OK),
    ]
    shown = text + repr(list(hooked.server.webhooks.deliveries))
    assert "orchid" not in shown
    assert sign not in shown


async def test_member_account_setting_renames_field_of_changed_member(hooked: Caller, app: App) -> None:
    await hooked.must(f"{GROUPS}/add_group_member", MEMBERS)
    command = "Group.CallbackAfterMemberFieldChanged"
    changed = {"GroupId": GROUP, "Member_Account": "reader_1"}
    await hooked.must(f"{GROUPS}/modify_group_member_info", {**changed, "Role": "Admin"})
    await hooked.server.webhooks.idle()
    change(hooked, member_account=True)
    await hooked.must(f"{GROUPS}/modify_group_member_info", {**changed, "NameCard": "Reader"})
    await hooked.server.webhooks.idle()
    first, second = app.bodies(command)
    assert (first["Modified_Account"], first["Role"]) == ("reader_1", "Admin")
    assert (second["Member_Account"], second["NameCard"]) == ("reader_1", "Reader")
    assert "Member_Account" not in first
    assert "Modified_Account" not in second


async def test_dissolved_group_sends_event_without_members(hooked: Caller, app: App) -> None:
    await hooked.must(f"{GROUPS}/destroy_group", {"GroupId": GROUP})
    await hooked.server.webhooks.idle()
    assert app.commands() == ["Group.CallbackAfterGroupDestroyed"]
    assert "MemberList" not in app.told[0][2]


async def test_reset_discards_waiting_events(hooked: Caller, app: App) -> None:
    change(hooked, delay=0.2)
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": 1, "MsgBody": TEXT}
    await hooked.must(f"{GROUPS}/send_group_msg", message)
    hooked.server.reset()
    await hooked.server.webhooks.idle()
    change(hooked, delay=0.0)
    await hooked.must(f"{GROUPS}/create_group", CREATE | {"Owner_Account": "administrator"})
    await hooked.server.webhooks.idle()
    assert app.commands() == [BEFORE_SEND, "Group.CallbackBeforeCreateGroup", "Group.CallbackAfterCreateGroup"]
    assert [delivery.command for delivery in hooked.server.webhooks.deliveries] == app.commands()[1:]
