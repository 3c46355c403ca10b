"""Official accounts in the state of the stub: management, subscribers, broadcasts."""

from typing import Any

import pytest

from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent.catalog import ADD_SUBSCRIBER, CREATE_OFFICIAL_ACCOUNT, SEND_OFFICIAL_ACCOUNT_MSG
from tests.unit.worlds import ADMIN, DAY, NOW, OWNER, Play, text

SERVICE = "official_account_open_http_svc"
NEWS = "@TOA#_news"


def prepared_play(*subscribers: str, **sections: dict[str, Any]) -> Play:
    play = Play(**sections)
    play.users(OWNER, *subscribers)
    play.call("create_official_account", SERVICE, OfficialAccountUserID=NEWS, Owner_Account=OWNER, Name="News")
    if subscribers:
        add(play, *subscribers)
    return play


def add(play: Play, *users: str) -> list[int]:
    items = [{"Subscriber_Account": user} for user in users]
    reply = play.call("add_subscriber", SERVICE, Official_Account=NEWS, SubscriberList=items)
    return [item["Result"] for item in reply["SubscriberList"]]


def info(play: Play, **fields: Any) -> dict[str, Any]:
    body = {"OfficialAccountIdList": [{"Official_Account": NEWS}]} | fields
    found: dict[str, Any] = play.call("get_official_account_info", SERVICE, **body)["OfficialAccountInfoList"][0]
    return found


def broadcast(play: Play, random: int = 1, **fields: Any) -> dict[str, Any]:
    body = {"Official_Account": NEWS, "Random": random, "MsgBody": text(f"number {random}")} | fields
    return play.call("send_official_account_msg", SERVICE, **body)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"OfficialAccountUserID": None}, 0),
        ({"OfficialAccountUserID": "@TOA#_" + "x" * 42}, 0),
        ({"OfficialAccountUserID": "@TOA#_" + "x" * 43}, 130007),
        ({"OfficialAccountUserID": "@TOA#_@TOA#x"}, 130007),
        ({"OfficialAccountUserID": "@TOA#_"}, 130007),
        ({"OfficialAccountUserID": "#TOA#_123"}, 130007),
        ({"OfficialAccountUserID": NEWS}, 130008),
        ({"OfficialAccountUserID": 5}, 6017),
        ({"Owner_Account": "ghost"}, 130002),
        ({"Owner_Account": 5}, 60015),
        ({"Name": ""}, 6017),
        ({"Name": "汉" * 50}, 0),
        ({"Name": "汉" * 50 + "x"}, 6017),
        ({"Introduction": "x" * 401}, 6017),
        ({"FaceUrl": "x" * 501}, 6017),
        ({"Organization": "x" * 501}, 6017),
        ({"CustomString": "x" * 3_000}, 0),
        ({"CustomString": "x" * 3_001}, 6017),
        ({"MaxSubscriberNum": 0}, 6017),
    ],
)
def test_create_of_account_has_documented_code(fields: dict[str, Any], code: int) -> None:
    body = {"OfficialAccountUserID": "@TOA#_b", "Owner_Account": OWNER, "Name": "n"} | fields
    assert prepared_play().code("create_official_account", SERVICE, **body) == code


def test_official_accounts_are_refused_when_switched_off() -> None:
    play = Play(app={"official_accounts": False})
    assert play.code("create_official_account", SERVICE, Owner_Account=ADMIN, Name="n") == 131000
    assert play.code("get_official_account_info", SERVICE, OfficialAccountIdList=[]) == 131000
    assert play.code("official_account_msg_get_simple", SERVICE, Official_Account=NEWS) == 131000
    assert play.code("get_subscribed_official_account_list", SERVICE, Subscriber_Account=ADMIN) == 131000


def test_profile_is_read_modified_and_filtered() -> None:
    play = prepared_play("a")
    assert info(play) == {
        "Official_Account": NEWS, "ErrorCode": 0, "ErrorInfo": "", "CreateTime": NOW, "Name": "News",
        "Owner_Account": OWNER, "LastMsgTime": 0, "SubscriberNum": 1, "Introduction": "", "FaceUrl": "",
        "Organization": "", "CustomString": "",
    }  # fmt: skip
    play.call(
        "modify_official_account_base_info", SERVICE, Official_Account=NEWS, Name="New", CustomString="c", FaceUrl=""
    )
    filtered = info(play, ResponseFilter={"OfficialAccountBaseInfoFilter": ["Name", "CustomString", "Nope"]})
    assert filtered == {
        "Official_Account": NEWS, "ErrorCode": 0, "ErrorInfo": "", "Name": "New", "CustomString": "c"
    }  # fmt: skip
    told = play.told("OfficialAccount.CallbackAfterOfficialAccountInfoChanged")
    assert [item["Name"] for item in told] == ["New"]
    assert "CustomString" not in told[0]


def test_info_returns_a_code_for_each_item_and_is_limited() -> None:
    play = prepared_play()
    ids = [{"Official_Account": name} for name in (NEWS, "@TOA#_gone", "news")]
    reply = play.call("get_official_account_info", SERVICE, OfficialAccountIdList=ids)
    assert [item["ErrorCode"] for item in reply["OfficialAccountInfoList"]] == [0, 130004, 130007]
    assert play.code("get_official_account_info", SERVICE, OfficialAccountIdList=ids[:1] * 51) == 6017
    assert play.code("get_official_account_info", SERVICE, OfficialAccountIdList=[]) == 6017
    shown = prepared_play(behaviour={"official_show_max_subscribers": True})
    assert info(shown)["MaxSubscriberNum"] == 100_000


def test_alternative_account_field_of_modify_is_accepted_when_switched_on() -> None:
    body = {"OfficialAccount": NEWS, "Name": "x"}
    assert prepared_play().code("modify_official_account_base_info", SERVICE, **body) == 6017
    play = prepared_play(behaviour={"official_modify_alias": True})
    assert play.code("modify_official_account_base_info", SERVICE, **body) == 0
    assert info(play)["Name"] == "x"


@pytest.mark.parametrize("reuse", [True, False])
def test_id_of_destroyed_account_is_reusable_by_setting(reuse: bool) -> None:
    play = prepared_play("a", behaviour={"official_id_reuse": reuse})
    play.call("destroy_official_account", SERVICE, Official_Account=NEWS)
    assert play.code("destroy_official_account", SERVICE, Official_Account=NEWS) == 130004
    assert play.call("get_subscribed_official_account_list", SERVICE, Subscriber_Account="a")["TotalCount"] == 0
    body = {"OfficialAccountUserID": NEWS, "Owner_Account": OWNER, "Name": "n"}
    assert play.code("create_official_account", SERVICE, **body) == (0 if reuse else 130008)


def test_subscribers_are_added_and_deleted_with_a_result_each() -> None:
    play = prepared_play("a")
    play.users("b")
    assert add(play, "a", "b", "b", "ghost") == [2, 1, 2, 0]
    told = play.told("OfficialAccount.CallbackAfterAddSubscriber")[-1]
    assert told["SubscribeAccountList"] == [{"Subscriber_Account": "b"}]
    reply = play.call("delete_subscriber", SERVICE, Official_Account=NEWS, SubscriberToDel_Account=["b", "b", "ghost"])
    assert [item["Result"] for item in reply["SubscriberList"]] == [1, 2, 0]
    many = [{"Subscriber_Account": "a"}] * 101
    assert play.code("add_subscriber", SERVICE, Official_Account=NEWS, SubscriberList=many) == 6017
    assert play.code("add_subscriber", SERVICE, Official_Account=NEWS, SubscriberList=[]) == 6017
    body = {"Official_Account": NEWS, "SubscriberList": many[:1]}
    assert play.code("delete_subscriber", SERVICE, **body) == 0
    lenient = prepared_play("a", behaviour={"official_delete_alias": True})
    assert lenient.code("delete_subscriber", SERVICE, **body) == 0


def test_full_account_refuses_subscribers() -> None:
    play = prepared_play()
    play.users("a", "b")
    play.call("modify_official_account_base_info", SERVICE, Official_Account=NEWS, MaxSubscriberNum=1)
    assert add(play, "a", "b") == [1, 0]
    assert add(play, "b") == [0]
    assert len(play.told("OfficialAccount.CallbackAfterOfficialAccountFull")) == 2


def test_subscribers_are_returned_in_pages() -> None:
    users = [f"u{number}" for number in range(5)]
    play = prepared_play(*users)
    found: list[str] = []
    cookie = ""
    while True:
        reply = play.call("get_subscriber_info", SERVICE, Official_Account=NEWS, Limit=2, Next=cookie)
        found += [item["Subscriber_Account"] for item in reply["SubscriberList"]]
        cookie = reply["Next"]
        if not cookie:
            break
    assert found == users
    assert reply["SubscriberNum"] == 5
    assert reply["SubscriberList"][0] == {
        "Subscriber_Account": "u4", "SubscribeTime": NOW, "CustomString": "", "MsgFlag": "AcceptAndNotify",
        "LastSendMsgTime": 0,
    }  # fmt: skip
    wrong: tuple[dict[str, Any], ...] = ({"Next": "x"}, {"Next": "bmV4dDotMQ=="}, {"Limit": 0}, {"Limit": 201})
    for fields in wrong:
        body = {"Official_Account": NEWS, "Next": ""} | fields
        assert play.code("get_subscriber_info", SERVICE, **body) == 6017


def test_custom_string_of_subscriber_is_stored_up_to_its_limit() -> None:
    play = prepared_play("a")
    body = {"Official_Account": NEWS, "Subscriber_Account": "a"}
    assert play.code("modify_subscriber_info", SERVICE, **body, CustomString="x" * 3_001) == 6017
    assert play.code("modify_subscriber_info", SERVICE, **body, CustomString="gold") == 0
    assert play.code("modify_subscriber_info", SERVICE, **(body | {"Subscriber_Account": OWNER})) == 131003
    reply = play.call("get_subscribed_official_account_list", SERVICE, Subscriber_Account="a")
    assert reply["OfficialAccountInfoList"][0]["SelfInfo"] == {"SubscribeTime": NOW, "CustomString": "gold"}


def test_subscriptions_of_a_user_are_returned_in_pages() -> None:
    play = prepared_play("a")
    for number in range(2):
        name = f"@TOA#_{number}"
        play.call("create_official_account", SERVICE, OfficialAccountUserID=name, Owner_Account=OWNER, Name="n")
        items = [{"Subscriber_Account": "a"}]
        play.clock.advance(1)
        play.call("add_subscriber", SERVICE, Official_Account=name, SubscriberList=items)
    wanted = {"OfficialAccountBaseInfoFilter": ["Name"], "SelfInfoFilter": ["SubscribeTime"]}
    body = {"Subscriber_Account": "a", "Limit": 2, "ResponseFilter": wanted}
    first = play.call("get_subscribed_official_account_list", SERVICE, **body)
    assert (first["TotalCount"], first["CompleteFlag"], first["Next"]) == (3, 0, 2)
    assert first["OfficialAccountInfoList"][0] == {
        "Official_Account": NEWS, "Name": "News", "SelfInfo": {"SubscribeTime": NOW}
    }  # fmt: skip
    second = play.call("get_subscribed_official_account_list", SERVICE, **body, Offset=2)
    assert (len(second["OfficialAccountInfoList"]), second["CompleteFlag"]) == (1, 1)
    wrong: tuple[dict[str, Any], ...] = ({"Subscriber_Account": "ghost"}, {"Limit": 201}, {"Offset": -1})
    for fields in wrong:
        assert play.code("get_subscribed_official_account_list", SERVICE, **(body | fields)) == 6017


def test_broadcasts_over_the_frequency_are_refused() -> None:
    play = prepared_play("a")
    reply = broadcast(play)
    assert (reply["MsgTime"], reply["MsgKey"]) == (NOW, f"1_1_{NOW}")
    assert info(play)["LastMsgTime"] == NOW
    body = {"Official_Account": NEWS, "Random": 2, "MsgBody": text("two")}
    assert play.code("send_official_account_msg", SERVICE, **body) == 10023
    play.clock.advance(1)
    broadcast(play, 2)
    play.clock.advance(10)
    assert play.code("send_official_account_msg", SERVICE, **(body | {"Random": 3})) == 10023
    play.clock.advance(3600)
    assert broadcast(play, 4)["MsgKey"].startswith("3_1_")
    assert play.told("OfficialAccount.CallbackAfterSendMsg")[0]["MsgKey"] == f"1_1_{NOW}"


def test_repeated_broadcast_returns_the_first_one() -> None:
    play = prepared_play(limits={"official_broadcasts_per_hour": 99, "official_messages_per_second": 99})
    first = broadcast(play, MsgBody=text("same"))
    assert broadcast(play, MsgBody=text("same")) == first
    assert broadcast(play, 2, MsgBody=text("same")) != first
    assert broadcast(play, MsgBody=text("other")) != first
    play = prepared_play(behaviour={"official_duplicate": "content"})
    first = broadcast(play, 1, MsgBody=text("same"))
    assert broadcast(play, 2, MsgBody=text("same")) == first


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Official_Account": "@TOA#_gone"}, 10010),
        ({"Official_Account": "news"}, 10015),
        ({"Official_Account": 7}, 60015),
        ({"Random": -1}, 10004),
        ({"MsgBody": []}, 10004),
        ({"MsgBody": text("x" * 12_289)}, 80002),
        ({"SendMsgControl": ["NoUnread"]}, 10004),
        ({"SendMsgControl": ["NoLastMsg"]}, 0),
        ({"SendMsgControl": ["NoLastMsg"], "OnlineOnlyFlag": 1}, 10004),
    ],
)
def test_send_of_broadcast_has_documented_code(fields: dict[str, Any], code: int) -> None:
    body = {"Official_Account": NEWS, "Random": 1, "MsgBody": text()} | fields
    assert prepared_play().code("send_official_account_msg", SERVICE, **body) == code


def history(play: Play, **fields: Any) -> dict[str, Any]:
    body = {"Official_Account": NEWS, "ReqMsgNumber": 20} | fields
    return play.call("official_account_msg_get_simple", SERVICE, **body)


def test_broadcasts_are_paged_in_history_and_recalled() -> None:
    play = prepared_play(limits={"official_broadcasts_per_hour": 99, "official_messages_per_second": 99})
    keys = [broadcast(play, number)["MsgKey"] for number in range(1, 6)]
    page = history(play, ReqMsgNumber=2)
    assert [item["MsgKey"] for item in page["RspMsgList"]] == keys[:2:-1]
    assert (page["LastMsgKey"], page["RspMsgList"][0]["From_Account"]) == (keys[3], NEWS)
    older = history(play, LastMsgKey=page["LastMsgKey"])
    assert [item["MsgSeq"] for item in older["RspMsgList"]] == [3, 2, 1]
    reply = play.call(
        "official_account_msg_recall", SERVICE, Official_Account=NEWS, MsgKeyList=[keys[0], "9_1_9", f"1_1_{NOW + 1}"]
    )
    assert [item["RetCode"] for item in reply["RecallRetList"]] == [0, 10030, 10030]
    assert len(history(play)["RspMsgList"]) == 4
    assert history(play, WithRecalledMsg=1)["RspMsgList"][-1]["IsPlaceMsg"] == 2
    assert play.told("OfficialAccount.CallbackAfterMsgWithDraw")[0]["WithdrawMsgList"] == [{"MsgKey": keys[0]}]
    play.clock.advance(8 * DAY)
    assert history(play, ReqMsgNumber=21)["IsFinished"] == 2
    wrong: tuple[dict[str, Any], ...] = ({"ReqMsgNumber": 0}, {"LastMsgKey": "x"}, {"WithRecalledMsg": 5})
    for fields in wrong:
        body = {"Official_Account": NEWS, "ReqMsgNumber": 1} | fields
        assert play.code("official_account_msg_get_simple", SERVICE, **body) == 10004
    for keys_sent in ([], keys * 3):
        body = {"Official_Account": NEWS, "MsgKeyList": keys_sent}
        assert play.code("official_account_msg_recall", SERVICE, **body) == 10004


def test_history_includes_the_last_message_when_switched_on() -> None:
    play = prepared_play(behaviour={"official_history_inclusive": True})
    key = broadcast(play)["MsgKey"]
    assert [item["MsgKey"] for item in history(play, LastMsgKey=key)["RspMsgList"]] == [key]


def test_broadcasts_count_as_unread_until_marked_as_read() -> None:
    play = prepared_play("a")
    broadcast(play)
    body = {"To_Account": "a"}
    assert play.call("get_c2c_unread_msg_num", "openim", **body)["AllC2CUnreadMsgNum"] == 1
    reply = play.call("get_c2c_unread_msg_num", "openim", **body, Peer_Account=[NEWS, OWNER, "ghost"])
    assert [item["C2CUnreadMsgNum"] for item in reply["C2CUnreadMsgNumList"]] == [1, 0]
    assert reply["ErrorList"] == [{"Peer_Account": "ghost", "ErrorCode": 90048}]
    play.call("admin_set_msg_read", "openim", Report_Account="a", Peer_Account=NEWS, MsgReadTime=NOW - 1)
    assert play.call("get_c2c_unread_msg_num", "openim", **body)["AllC2CUnreadMsgNum"] == 1
    play.call("admin_set_msg_read", "openim", Report_Account="a", Peer_Account=NEWS)
    assert play.call("get_c2c_unread_msg_num", "openim", **body)["AllC2CUnreadMsgNum"] == 0
    assert play.code("get_c2c_unread_msg_num", "openim", To_Account="ghost") == 90048
    assert play.code("get_c2c_unread_msg_num", "openim", **body, Peer_Account=["x"] * 11) == 90001
    assert play.code("admin_set_msg_read", "openim", Report_Account="ghost", Peer_Account=NEWS) == 90048


def test_official_account_requests_can_be_refused_by_the_app() -> None:
    play = prepared_play()
    play.users("a")
    subscribers = {"Official_Account": NEWS, "SubscriberList": [{"Subscriber_Account": "a"}]}
    cases: tuple[tuple[Any, dict[str, Any], str, int], ...] = (
        (CREATE_OFFICIAL_ACCOUNT, {"Owner_Account": OWNER, "Name": "n"}, "BeforeCreateOfficialAccount", 20006),
        (ADD_SUBSCRIBER, subscribers, "BeforeAddSubscriber", 20006),
        (SEND_OFFICIAL_ACCOUNT_MSG, {"Official_Account": NEWS, "Random": 1, "MsgBody": text()}, "BeforeSendMsg", 10016),
    )  # fmt: skip
    for command, body, name, code in cases:
        asked = play.world.before_callback(command, body, caller=ADMIN)
        assert asked is not None
        assert asked.command == f"OfficialAccount.Callback{name}"
        with pytest.raises(Refusal) as refused:
            play.world.execute(command, body, caller=ADMIN, decision=CallbackDecision(code=1))
        assert refused.value.code == code
    decision = CallbackDecision(refused=frozenset({"a"}))
    reply = play.world.execute(ADD_SUBSCRIBER, subscribers, caller=ADMIN, decision=decision).to_wire()
    assert reply["SubscriberList"][0]["Result"] == 0


def test_refused_subscriber_has_a_result_or_the_call_a_code() -> None:
    expected = {"per_account": [2, 0, 0], "call": [130005, 130006, 130010]}
    for style, answers in expected.items():
        play = Play(behaviour={"official_refusal": style}, limits={"official_subscriptions_of_user": 1})
        play.users(OWNER, "ann", "ben", "cleo")
        for account, maximum in (("@TOA#_small", 1), ("@TOA#_large", 9)):
            play.call(
                "create_official_account", SERVICE, OfficialAccountUserID=account, Owner_Account=OWNER, Name="n",
                MaxSubscriberNum=maximum,
            )  # fmt: skip

        def add(user: str, account: str, play: Play = play) -> int:
            body = {"Official_Account": account, "SubscriberList": [{"Subscriber_Account": user}]}
            try:
                return int(play.call("add_subscriber", SERVICE, **body)["SubscriberList"][0]["Result"])
            except Refusal as refusal:
                return refusal.code

        assert add("ann", "@TOA#_small") == 1
        assert [add("ann", "@TOA#_small"), add("ben", "@TOA#_small"), add("ann", "@TOA#_large")] == answers
        assert add("ben", "@TOA#_large") == 1
