"""One-to-one messages over sockets: webhooks of calls and client apps, answers of the app, stored state."""

from typing import Any

import pytest

from channel_adapter.stub.callbacks.request import CallbackSettings
from tests.stub.app_server import OK, App
from tests.stub.conftest import IMPORT_MANY, NOW, Caller

IM, OFFICIAL = "openim", "official_account_open_http_svc"
HARBOUR = "@TOA#_harbour"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "tide table"}}]
BEFORE, AFTER = "C2C.CallbackBeforeSendMsg", "C2C.CallbackAfterSendMsg"


@pytest.fixture
async def followed(hooked: Caller, app: App) -> Caller:
    """Return a caller of a stub with an official account and one subscriber; earlier webhooks are cleared."""
    hooked.server.world.clock.freeze(NOW)
    users = [{"UserID": user} for user in ("editor", "reader", "stranger")]
    await hooked.must(IMPORT_MANY, {"AccountList": users})
    account = {"Owner_Account": "editor", "OfficialAccountUserID": HARBOUR, "Name": "Harbour"}
    await hooked.must(f"{OFFICIAL}/create_official_account", account)
    subscribers = [{"Subscriber_Account": "reader"}]
    await hooked.must(f"{OFFICIAL}/add_subscriber", {"Official_Account": HARBOUR, "SubscriberList": subscribers})
    await hooked.server.webhooks.idle()
    app.told.clear()
    return hooked


async def send(caller: Caller, **more: Any) -> dict[str, Any]:
    body = {"From_Account": HARBOUR, "To_Account": "reader", "MsgSeq": 7, "MsgRandom": 8, "MsgBody": TEXT, **more}
    answer = await caller.call(f"{IM}/sendmsg", body)
    await caller.server.webhooks.idle()
    return answer


async def act(caller: Caller, user: str, what: str, **arguments: Any) -> tuple[int, Any]:
    action = {"user": user, "do": what, "platform": "Android", "with": arguments}
    async with caller.session.post(f"{caller.server.url}/_stub/people", json=action) as response:
        answer = await response.json()
    await caller.server.webhooks.idle()
    return response.status, answer


def refuse(app: App, code: int, info: str = "") -> None:
    app.answers[BEFORE] = lambda _: {**OK, "ErrorCode": code, "ErrorInfo": info}


async def test_call_sends_both_webhooks_with_same_key(followed: Caller, app: App) -> None:
    answer = await send(followed)
    assert (answer["MsgKey"], answer["MsgTime"]) == (f"7_8_{NOW}", NOW)
    assert app.commands() == [BEFORE, AFTER]
    before, after = (body for _, _, body in app.told)
    common = {name: before[name] for name in before if name not in ("CallbackCommand", "EventTime")}
    assert common == {
        "From_Account": HARBOUR, "To_Account": "reader", "MsgSeq": 7, "MsgRandom": 8, "MsgTime": NOW,
        "MsgKey": answer["MsgKey"], "MsgId": answer["MsgId"], "OnlineOnlyFlag": 0, "MsgBody": TEXT,
        "CloudCustomData": "",
    }  # fmt: skip
    assert {name: after[name] for name in common} == common
    assert (after["SendMsgResult"], after["UnreadMsgNum"], after["EventTime"]) == (0, 1, NOW * 1000)
    assert [query["OptPlatform"] for _, query, _ in app.told] == ["RESTAPI", "RESTAPI"]


@pytest.mark.parametrize(("code", "seen"), [(1, 20006), (120_500, 120_500), (2, 0)])
async def test_app_can_refuse_or_drop_message(followed: Caller, app: App, code: int, seen: int) -> None:
    refuse(app, code, "the galley is closed")
    answer = await send(followed)
    assert (answer["ErrorCode"], answer["ErrorInfo"]) == (seen, "the galley is closed" if seen else "")
    assert app.commands() == [BEFORE]
    assert "one_to_one" not in followed.server.world.dump()


async def test_silent_app_blocks_message_if_configured(followed: Caller, app: App) -> None:
    webhooks = followed.server.webhooks
    webhooks.settings = webhooks.settings.model_copy(update={"timeout": 0.1, "block": (BEFORE,)})
    app.answers[BEFORE] = lambda _: 5.0
    assert (await send(followed))["ErrorCode"] == 80003


async def test_batch_has_no_webhooks(followed: Caller, app: App) -> None:
    body = {"From_Account": HARBOUR, "To_Account": ["reader", "stranger"], "MsgRandom": 1, "MsgBody": TEXT}
    answer = await followed.must(f"{IM}/batchsendmsg", body)
    await followed.server.webhooks.idle()
    assert (answer["ErrorList"], app.told) == ([{"To_Account": "stranger", "ErrorCode": 130002}], [])


async def test_client_apps_can_send_read_edit_and_recall_messages(followed: Caller, app: App) -> None:
    status, answer = await act(followed, "reader", "send", peer=HARBOUR, body="when does the ferry leave?")
    assert status == 200
    key = answer["result"]["MsgKey"]
    assert app.commands() == [BEFORE, AFTER]
    assert app.bodies(BEFORE)[0]["MsgKey"] == key
    assert {query["OptPlatform"] for _, query, _ in app.told} == {"Android"}
    assert app.bodies(AFTER)[0]["MsgKey"] == key
    refuse(app, 120_001, "closed")
    assert await act(followed, "reader", "send", peer=HARBOUR, body="hello?") == (409, {"error": "120001: closed"})
    assert (await act(followed, "stranger", "send", peer=HARBOUR, body="hi"))[0] == 409
    del app.answers[BEFORE]
    await send(followed)
    assert await act(followed, "reader", "unread_messages") == (200, {"result": 1})
    app.told.clear()
    await act(followed, "reader", "read_messages", peer=HARBOUR)
    await act(followed, "reader", "recall_message", peer=HARBOUR, key=key)
    await act(followed, "reader", "edit_message", peer=HARBOUR, key=f"7_8_{NOW}", body="edited")
    await act(followed, "reader", "confirm_read", peer=HARBOUR, keys=[f"7_8_{NOW}"])
    await act(followed, "reader", "read_all")
    assert app.commands() == [
        "C2C.CallbackAfterMsgReport", "C2C.CallbackAfterMsgWithDraw", "C2C.CallbackAfterModifyMsg",
        "C2C.CallbackAfterMsgReadReceipt", "C2C.CallbackAfterMsgReadAll",
    ]  # fmt: skip
    await act(followed, "reader", "delete_messages", peer=HARBOUR, keys=[key])
    status, answer = await act(followed, "reader", "send", peer="stranger", body="hi", supports_extensions=True)
    assert status == 200
    key = answer["result"]["MsgKey"]
    status, answer = await act(
        followed, "stranger", "set_message_extensions", peer="reader", key=key, pairs={"like": "1"}
    )
    assert (status, answer["result"][0]["ErrorCode"]) == (200, 0)
    assert app.commands()[-1] == "C2C.CallbackAfterC2CMsgExtension"


async def test_webhooks_can_be_disabled_for_messages(followed: Caller, app: App) -> None:
    webhooks = followed.server.webhooks
    webhooks.settings = CallbackSettings(url=webhooks.settings.url, commands=("Group.*",))
    await send(followed)
    assert app.told == []
