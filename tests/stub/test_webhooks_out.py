"""Webhooks that the stub sends, received by an app's server that was written from the documentation."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from aiohttp import web

from channel_adapter.stub.callbacks.request import CallbackSettings, sign
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.world.clock import StubClock
from tests.stub.app_server import GROUP, OK, App
from tests.stub.conftest import GROUPS, IMPORT_MANY, NOW, Caller

BEFORE_SEND = "Group.CallbackBeforeSendMsg"
AFTER_SEND = "Group.CallbackAfterSendMsg"


def change(caller: Caller, **values: Any) -> None:
    webhooks = caller.server.webhooks
    webhooks.settings = webhooks.settings.model_copy(update=values)


async def send(caller: Caller, number: int = 1, **more: Any) -> dict[str, Any]:
    element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "tide table"}}
    message = {"GroupId": GROUP, "From_Account": "editor", "Random": number, "MsgBody": [element], **more}
    answer = await caller.call(f"{GROUPS}/send_group_msg", message)
    await caller.server.webhooks.idle()
    return answer


async def history(caller: Caller) -> list[dict[str, Any]]:
    page = await caller.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": GROUP, "ReqMsgNumber": 20})
    messages: list[dict[str, Any]] = page["RspMsgList"]
    return messages


async def members_of(caller: Caller) -> set[str]:
    page = await caller.must(f"{GROUPS}/get_group_member_info", {"GroupId": GROUP, "Limit": 20})
    return {member["Member_Account"] for member in page["MemberList"]}


async def test_message_sends_before_and_after_event(hooked: Caller, app: App, clock: StubClock) -> None:
    clock.freeze()
    sent = await send(hooked, 771203)
    assert app.commands() == [BEFORE_SEND, AFTER_SEND]
    before, after = (body for _, _, body in app.told)
    assert before["EventTime"] == int(clock.now() * 1000)
    assert (before["Type"], before["GroupId"], before["From_Account"]) == ("Community", GROUP, "editor")
    assert (before["Operator_Account"], before["Random"]) == ("administrator", 771203)
    assert "MsgSeq" not in before
    assert (after["MsgSeq"], after["MsgTime"]) == (sent["MsgSeq"], sent["MsgTime"])
    query = app.told[0][1]
    assert list(query) == ["SdkAppid", "CallbackCommand", "contenttype", "ClientIP", "OptPlatform"]
    assert query["SdkAppid"] == str(hooked.server.sdkappid)
    assert (query["contenttype"], query["ClientIP"], query["OptPlatform"]) == ("json", "127.0.0.1", "RESTAPI")


async def test_added_and_removed_members_are_named_in_webhooks(hooked: Caller, app: App) -> None:
    members = {"GroupId": GROUP, "MemberList": [{"Member_Account": "reader_1"}]}
    await hooked.must(f"{GROUPS}/add_group_member", members)
    await hooked.must(f"{GROUPS}/delete_group_member", {"GroupId": GROUP, "MemberToDel_Account": ["reader_1"]})
    await hooked.server.webhooks.idle()
    assert app.commands() == [
        "Group.CallbackBeforeInviteJoinGroup",
        "Group.CallbackAfterNewMemberJoin",
        "Group.CallbackAfterMemberExit",
    ]
    assert app.told[1][2]["NewMemberList"] == [{"Member_Account": "reader_1"}]
    assert app.told[2][2]["ExitMemberList"] == [{"Member_Account": "reader_1"}]


async def test_imports_send_no_webhooks(hooked: Caller, app: App) -> None:
    await hooked.must(IMPORT_MANY, {"AccountList": [{"UserID": "late"}]})
    await hooked.must(f"{GROUPS}/import_group", {"Type": "Community", "Name": "Old", "GroupId": "@TGS#_old"})
    await hooked.server.webhooks.idle()
    assert app.told == []


@pytest.mark.parametrize(("code", "seen"), [(1, 10016), (10150, 10150)])
async def test_message_refused_by_app_is_not_stored(hooked: Caller, app: App, code: int, seen: int) -> None:
    app.answers[BEFORE_SEND] = lambda _: {**OK, "ErrorCode": code, "ErrorInfo": "not today"}
    assert (await send(hooked))["ErrorCode"] == seen
    assert AFTER_SEND not in app.commands()
    assert await history(hooked) == []


async def test_message_dropped_by_app_succeeds_and_is_not_stored(hooked: Caller, app: App) -> None:
    app.answers[BEFORE_SEND] = lambda _: {**OK, "ErrorCode": 2}
    assert (await send(hooked))["ErrorCode"] == 0
    assert AFTER_SEND not in app.commands()
    assert await history(hooked) == []


async def test_message_rewritten_by_app_is_stored_rewritten(hooked: Caller, app: App) -> None:
    other = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "rewritten"}}]
    app.answers[BEFORE_SEND] = lambda _: {**OK, "MsgBody": other}
    await send(hooked)
    assert (await history(hooked))[0]["MsgBody"] == other
    assert app.bodies(AFTER_SEND)[0]["MsgBody"] == other


async def test_member_refused_by_app_has_result_0_and_is_not_added(hooked: Caller, app: App) -> None:
    app.answers["Group.CallbackBeforeInviteJoinGroup"] = lambda _: {**OK, "RefusedMembers_Account": ["reader_1"]}
    members = {"GroupId": GROUP, "MemberList": [{"Member_Account": "reader_1"}]}
    answer = await hooked.must(f"{GROUPS}/add_group_member", members)
    assert answer["MemberList"] == [{"Member_Account": "reader_1", "Result": 0}]
    assert "reader_1" not in await members_of(hooked)


@pytest.mark.parametrize(
    ("names", "results"),
    [
        ({"RefusedSubscribers_Account": ["reader_1"], "RefusedMembers_Account": ["reader_1"]}, [0, 1]),
        ({"RefusedSubscribers_Account": ["reader_1"]}, [0, 1]),
        ({"RefusedMembers_Account": ["reader_1"]}, [0, 1]),
        ({"RefusedSubscribers_Account": ["reader_1"], "RefusedMembers_Account": ["editor"]}, [0, 1]),
        ({}, [1, 1]),
    ],
    ids=["both", "documented", "prose", "different", "neither"],
)
async def test_refused_subscribers_are_read_from_either_field(
    hooked: Caller, app: App, names: dict[str, Any], results: list[int]
) -> None:
    app.answers["OfficialAccount.CallbackBeforeAddSubscriber"] = lambda _: {**OK, **names}
    service = "official_account_open_http_svc"
    made = {"Owner_Account": "editor", "OfficialAccountUserID": "@TOA#_gazette", "Name": "Gazette"}
    await hooked.must(f"{service}/create_official_account", made)
    users = [{"Subscriber_Account": user} for user in ("reader_1", "editor")]
    body = {"Official_Account": "@TOA#_gazette", "SubscriberList": users}
    answer = await hooked.must(f"{service}/add_subscriber", body)
    assert [item["Result"] for item in answer["SubscriberList"]] == results
    page = await hooked.must(f"{service}/get_subscriber_info", {"Official_Account": "@TOA#_gazette", "Limit": 20})
    added = [user for user, result in zip(("reader_1", "editor"), results, strict=True) if result]
    assert sorted(item["Subscriber_Account"] for item in page["SubscriberList"]) == sorted(added)


async def test_field_of_refused_subscribers_is_ignored_for_groups(hooked: Caller, app: App) -> None:
    app.answers["Group.CallbackBeforeInviteJoinGroup"] = lambda _: {**OK, "RefusedSubscribers_Account": ["reader_1"]}
    members = {"GroupId": GROUP, "MemberList": [{"Member_Account": "reader_1"}]}
    answer = await hooked.must(f"{GROUPS}/add_group_member", members)
    assert answer["MemberList"] == [{"Member_Account": "reader_1", "Result": 1}]
    assert "reader_1" in await members_of(hooked)


@pytest.mark.parametrize(
    "answer",
    [
        10.0,
        web.Response(status=500),
        web.Response(text="ok"),
        {"ErrorCode": 1},
        {**OK, "ActionStatus": "FAIL", "ErrorCode": 1},
        [],
    ],
    ids=["timeout", "500", "not json", "no status", "FAIL", "array"],
)
@pytest.mark.parametrize("block", [False, True])
async def test_message_passes_or_is_blocked_without_valid_answer_of_app(
    hooked: Caller, app: App, answer: Any, block: bool
) -> None:
    app.answers[BEFORE_SEND] = lambda _: answer
    change(hooked, timeout=0.1, block=("*",) if block else ())
    assert (await send(hooked))["ErrorCode"] == (80003 if block else 0)
    assert len(await history(hooked)) == (0 if block else 1)


async def test_message_is_sent_when_app_is_unreachable(hooked: Caller, app: App) -> None:
    change(hooked, url="http://127.0.0.1:1/hook")
    assert (await send(hooked))["ErrorCode"] == 0
    outcomes = [delivery.outcome for delivery in hooked.server.webhooks.deliveries][-2:]
    assert all(outcome.startswith("not reached") for outcome in outcomes)


async def test_webhooks_can_be_forbidden_for_one_message(hooked: Caller, app: App) -> None:
    await send(hooked, 1, ForbidCallbackControl=["ForbidBeforeSendMsgCallback"])
    await send(hooked, 2, ForbidCallbackControl=["ForbidAfterSendMsgCallback"])
    assert [(told, body["Random"]) for told, _, body in app.told] == [(AFTER_SEND, 1), (BEFORE_SEND, 2)]


async def test_webhooks_can_be_enabled_by_command(hooked: Caller, app: App) -> None:
    change(hooked, commands=("Group.CallbackAfter*",))
    await send(hooked)
    assert app.commands() == [AFTER_SEND]


async def test_webhooks_are_signed_with_token(hooked: Caller, app: App, clock: StubClock) -> None:
    clock.freeze(NOW)
    settings = CallbackSettings.model_validate({"url": hooked.server.webhooks.settings.url, "token": "orchid-7f"})
    hooked.server.webhooks.settings = settings
    await send(hooked)
    query = app.told[0][1]
    assert list(query)[-2:] == ["Sign", "RequestTime"]
    assert query["RequestTime"] == str(NOW)
    assert query["Sign"] == hashlib.sha256(f"orchid-7f{NOW}".encode()).hexdigest()
    change(hooked, wrong_sign=True, stale=61)
    app.told.clear()
    await send(hooked, 2)
    query = app.told[0][1]
    assert query["RequestTime"] == str(NOW - 61)
    assert query["Sign"] != hashlib.sha256(f"orchid-7f{NOW - 61}".encode()).hexdigest()
    assert "orchid" not in repr(hooked.server.webhooks) + repr(hooked.server.webhooks.settings)


@pytest.mark.parametrize(
    ("token", "at", "expected"),
    [
        ("orchid-7f", "1700000000", "58abcb788997d56b5c746819d62594d73075c1d7cc26f8731b81c4eeee5a4091"),
        ("xxxxyyyy", "1669872112", "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"),
    ],
)
def test_signatures_equal_published_examples(token: str, at: str, expected: str) -> None:
    assert sign(token, at) == expected


async def test_webhooks_can_have_text_time_unknown_field_and_no_client_ip(hooked: Caller, app: App) -> None:
    change(hooked, event_time_text=True, unknown_field=True, client_ip=False)
    await send(hooked)
    _, query, body = app.told[1]
    assert isinstance(body["EventTime"], str)
    assert "ToBeIgnored" in body
    assert "ClientIP" not in query


async def test_after_event_can_be_sent_twice(hooked: Caller, app: App) -> None:
    change(hooked, duplicate=1.0)
    await send(hooked)
    assert app.commands() == [BEFORE_SEND, AFTER_SEND, AFTER_SEND]


async def test_delay_spread_changes_order_of_events(hooked: Caller, app: App) -> None:
    change(hooked, delay_spread=0.2, commands=(AFTER_SEND,))
    for number in range(8):
        element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}
        body = {"GroupId": GROUP, "From_Account": "editor", "Random": number, "MsgBody": [element]}
        await hooked.must(f"{GROUPS}/send_group_msg", body)
    await hooked.server.webhooks.idle()
    numbers = [body["Random"] for body in app.bodies(AFTER_SEND)]
    assert sorted(numbers) == list(range(8))
    assert numbers != sorted(numbers)


async def test_failed_event_is_retried_if_configured(hooked: Caller, app: App) -> None:
    failing = iter([True, True, False])
    app.answers[AFTER_SEND] = lambda _: web.Response(status=503) if next(failing) else OK
    change(hooked, retries=5, retry_delay=0.01)
    await send(hooked)
    assert app.commands().count(AFTER_SEND) == 3
    outcomes = [d.outcome for d in hooked.server.webhooks.deliveries if d.command == AFTER_SEND]
    assert outcomes == ["HTTP 503", "HTTP 503", "answered"]


async def test_failed_event_is_not_retried_by_default_and_can_be_redelivered(hooked: Caller, app: App) -> None:
    app.answers[AFTER_SEND] = lambda _: web.Response(status=503)
    await send(hooked)
    webhooks = hooked.server.webhooks
    lost = [d for d in webhooks.deliveries if d.command == AFTER_SEND]
    assert [d.outcome for d in lost] == ["HTTP 503"]
    app.answers.clear()
    assert webhooks.redeliver(lost[0].number)
    assert not webhooks.redeliver(10**9)
    await webhooks.idle()
    assert app.bodies(AFTER_SEND) == [lost[0].body] * 2


async def test_slow_app_does_not_delay_callers(hooked: Caller, app: App) -> None:
    app.answers[AFTER_SEND] = lambda _: 0.5
    element = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}
    body = {"GroupId": GROUP, "From_Account": "editor", "Random": 5, "MsgBody": [element]}
    async with asyncio.timeout(0.4):
        await hooked.must(f"{GROUPS}/send_group_msg", body)
    await hooked.server.webhooks.idle()
    assert hooked.server.webhooks.deliveries[-1].outcome == "answered"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://host/",
            "http://host/?a=b",
            "http://host/a b",
            "http:///x",
            "host",
            f"http://{'h' * 64}/",
            "http://a/$",
        ),
        *("http://a..b/", "http://.a/", "http://."),  # an empty part of a name
    ],
)
def test_url_that_console_refuses_is_invalid(url: str) -> None:
    with pytest.raises(ValueError, match="webhook URL"):
        CallbackSettings(url=url)


def test_stub_without_webhooks_has_no_deliveries(clock: StubClock) -> None:
    server = StubServer(clock=clock)
    assert json.dumps(list(server.webhooks.deliveries)) == "[]"
    assert not server.webhooks.on
