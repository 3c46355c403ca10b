"""Messages in the state of the stub: sending, repeats, frequency, history, recall, modifying."""

from typing import Any

import pytest

from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.tencent.catalog import SEND_GROUP_MSG
from tests.unit.worlds import ADMIN, CHANNEL, DAY, NOW, OWNER, Play, text

CUSTOM = {"MsgType": "TIMCustomElem", "MsgContent": {"Data": "{}"}}


def history(play: Play, number: int = 20, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=number, **fields)[
        "RspMsgList"
    ]
    return found


def test_sent_message_is_in_history_unchanged() -> None:
    play = Play()
    play.channel()
    reply = play.call(
        "send_group_msg", GroupId=CHANNEL, Random=7, From_Account=OWNER, MsgBody=text("汉 🎈"), MsgPriority="High"
    )
    assert reply == {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "MsgTime": NOW, "MsgSeq": 1}
    assert history(play) == [
        {
            "From_Account": OWNER, "IsPlaceMsg": 0, "MsgBody": text("汉 🎈"), "MsgPriority": 1, "MsgRandom": 7,
            "MsgSeq": 1, "MsgTimeStamp": NOW,
        }
    ]  # fmt: skip
    info = play.info()
    assert (info["NextMsgSeq"], info["LastMsgTime"]) == (2, NOW)
    told = play.told("Group.CallbackAfterSendMsg")[0]
    assert (told["MsgSeq"], told["From_Account"], told["Operator_Account"]) == (1, OWNER, ADMIN)


def test_message_without_sender_is_from_the_admin() -> None:
    play = Play()
    play.channel()
    play.call("send_group_msg", GroupId=CHANNEL, Random=1, MsgBody=text())
    assert history(play)[0]["From_Account"] == ADMIN


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"GroupId": "@TGS#_gone"}, 10010),
        ({"GroupId": "\x00"}, 10015),
        ({"Random": -1}, 10004),
        ({"Random": 2**32 - 1}, 0),
        ({"Random": 2**32}, 10004),
        ({"Random": "7"}, 10004),
        ({"Random": 7.0}, 10004),
        ({"Random": True}, 10004),
        ({"From_Account": "ghost"}, 10019),
        ({"From_Account": "stranger"}, 10007),
        ({"From_Account": 12}, 60015),
        ({"MsgBody": []}, 10004),
        ({"MsgBody": {}}, 10004),
        ({"MsgBody": ["x"]}, 10004),
        ({"MsgBody": [{"MsgType": "TIMTextElem"}]}, 10004),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {}}]}, 10004),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": 5}}]}, 10004),
        ({"MsgBody": [CUSTOM]}, 0),
        ({"MsgBody": [CUSTOM, CUSTOM]}, 10004),
        ({"MsgBody": [*text(), *text(), CUSTOM]}, 0),
        ({"MsgBody": [{"MsgType": "TIMNewElem", "MsgContent": {"x": [1, None, True]}}]}, 0),
        ({"MsgBody": [{"MsgType": "TIMNewElem", "MsgContent": {"x": 2**70}}]}, 10004),
        ({"MsgBody": [{"MsgType": "TIMNewElem", "MsgContent": {"x": "\ud800"}}]}, 10004),
        ({"MsgBody": text("x" * 12_288)}, 0),
        ({"MsgBody": text("x" * 12_289)}, 80002),
        ({"MsgBody": text("汉" * 4_097)}, 80002),
        ({"MsgBody": text("x" * 12_288), "CloudCustomData": "y"}, 80002),
        ({"MsgPriority": "high"}, 10004),
        ({"OnlineOnlyFlag": 2}, 10004),
        ({"OnlineOnlyFlag": 1, "SendMsgControl": ["NoUnread"]}, 10004),
        ({"SendMsgControl": ["Quiet"]}, 10004),
        ({"ForbidCallbackControl": ["x"]}, 10004),
        ({"SupportMessageExtension": 3}, 10004),
        ({"To_Account": ["a"]}, 10004),
        ({"TopicId": "t"}, 10004),
        ({"GroupAtInfo": [{"GroupAtAllFlag": 1}] * 30}, 0),
        ({"GroupAtInfo": [{"GroupAtAllFlag": 1}] * 31}, 10053),
        ({"GroupAtInfo": [{"GroupAtAllFlag": 0}]}, 10004),
        ({"GroupAtInfo": [{"GroupAtAllFlag": 0, "GroupAt_Account": 5}]}, 60015),
        ({"OfflinePushInfo": "x"}, 10004),
    ],
)
def test_send_of_group_message_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel()
    play.users("stranger")
    body = {"GroupId": CHANNEL, "Random": 1, "From_Account": OWNER, "MsgBody": text()} | fields
    assert play.code("send_group_msg", **body) == code
    assert play.info()["NextMsgSeq"] == (1 if code else 2)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To_Account": [f"u{n}" for n in range(50)]}, 0),
        ({"To_Account": [f"u{n}" for n in range(51)]}, 10004),
        ({"To_Account": ["u1"], "GroupAtInfo": [{"GroupAtAllFlag": 1}]}, 10004),
    ],
)
def test_targeted_message_in_public_group_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.users(OWNER)
    play.call("create_group", Type="Public", GroupId="club", Name="Club", Owner_Account=OWNER)
    assert play.code("send_group_msg", GroupId="club", Random=1, MsgBody=text(), **fields) == code


def test_cloud_custom_data_can_be_excluded_from_the_size_limit() -> None:
    play = Play(behaviour={"count_cloud_custom_data": False})
    play.channel()
    assert play.send("x" * 12_288, CloudCustomData="y" * 5_000) == 1


def test_only_owner_and_admins_can_send_while_all_are_muted() -> None:
    play = Play()
    play.channel("a", "chief")
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="chief", Role="Admin")
    play.call("modify_group_base_info", GroupId=CHANNEL, MuteAllMember="On")

    def speak(user: str, number: int) -> int:
        return play.code("send_group_msg", GroupId=CHANNEL, Random=number, From_Account=user, MsgBody=text())

    users = ("a", "chief", OWNER, ADMIN)
    assert [speak(user, number) for number, user in enumerate(users)] == [10017, 0, 0, 0]
    told = play.told("Group.CallbackSendMsgException")
    assert [(item["From_Account"], item["ErrorCode"]) for item in told] == [("a", 10017)]


def test_mute_of_a_member_expires() -> None:
    play = Play()
    play.channel("a")
    play.call("forbid_send_msg", GroupId=CHANNEL, Members_Account=["a"], MuteTime=30)
    body = {"GroupId": CHANNEL, "From_Account": "a", "MsgBody": text()}
    assert play.code("send_group_msg", **body, Random=1) == 10017
    play.clock.advance(30)
    assert play.code("send_group_msg", **body, Random=2) == 0


def test_repeat_returns_the_first_message_for_five_minutes() -> None:
    play = Play()
    play.channel("a")
    body = {"GroupId": CHANNEL, "Random": 5, "From_Account": OWNER, "MsgBody": text()}
    first = play.call("send_group_msg", **body)
    play.clock.advance(299)
    assert play.call("send_group_msg", **(body | {"MsgBody": text("other")})) == first
    assert play.call("send_group_msg", **(body | {"From_Account": "a"}))["MsgSeq"] == 2
    assert len(play.told("Group.CallbackAfterSendMsg")) == 2
    play.clock.advance(1)
    assert play.call("send_group_msg", **body)["MsgSeq"] == 3


def test_repeat_can_require_equal_content_or_be_refused() -> None:
    play = Play(behaviour={"duplicate_key": "content", "duplicate_answer_code": 10004})
    play.channel()
    body = {"GroupId": CHANNEL, "Random": 5, "From_Account": OWNER, "MsgBody": text()}
    play.call("send_group_msg", **body)
    assert play.call("send_group_msg", **(body | {"MsgBody": text("other")}))["MsgSeq"] == 2
    assert play.code("send_group_msg", **body) == 10004


def test_messages_over_the_frequency_are_dropped_with_success() -> None:
    play = Play()
    play.channel()
    assert [play.send() for _ in range(40)] == list(range(1, 41))
    reply = play.call("send_group_msg", GroupId=CHANNEL, Random=999, From_Account=OWNER, MsgBody=text())
    assert (reply["ErrorCode"], reply["MsgDropReason"]) == (0, "MsgFreqCtrl")
    assert "MsgSeq" not in reply
    assert play.info()["NextMsgSeq"] == 41
    assert play.told("Group.CallbackSendMsgException")[0]["ErrorCode"] == 10023
    play.clock.advance(1)
    again = play.call("send_group_msg", GroupId=CHANNEL, Random=999, From_Account=OWNER, MsgBody=text())
    assert again["MsgSeq"] == 41


def test_messages_over_the_frequency_are_refused_when_switched_on() -> None:
    play = Play(behaviour={"frequency": "refuse"}, limits={"messages_per_second": 1})
    play.channel()
    play.send()
    body = {"GroupId": CHANNEL, "Random": 999, "From_Account": OWNER, "MsgBody": text()}
    assert play.code("send_group_msg", **body) == 10023


def test_online_only_messages_are_not_stored() -> None:
    play = Play()
    play.channel()
    play.send(OnlineOnlyFlag=1)
    assert history(play) == []
    assert play.info()["NextMsgSeq"] == 1
    assert play.told("Group.CallbackAfterSendMsg")[0]["OnlineOnlyFlag"] == 1


def test_webhooks_can_be_disabled_for_one_message() -> None:
    play = Play()
    play.channel()
    play.send(ForbidCallbackControl=["ForbidAfterSendMsgCallback"])
    assert play.told("Group.CallbackAfterSendMsg") == []
    body = {"GroupId": CHANNEL, "Random": 1, "MsgBody": text()}
    assert play.world.before_callback(SEND_GROUP_MSG, body, caller=ADMIN) is not None
    forbidden = body | {"ForbidCallbackControl": ["ForbidBeforeSendMsgCallback"]}
    assert play.world.before_callback(SEND_GROUP_MSG, forbidden, caller=ADMIN) is None


def test_message_can_be_rewritten_dropped_or_refused_by_the_app() -> None:
    play = Play()
    play.channel()

    def send(number: int, **answer: Any) -> dict[str, Any]:
        body = {"GroupId": CHANNEL, "Random": number, "MsgBody": text("raw")}
        decision = CallbackDecision.from_answer({"ErrorCode": 0} | answer)
        return play.world.execute(SEND_GROUP_MSG, body, caller=ADMIN, decision=decision).to_wire()

    assert send(1, MsgBody=text("clean"), CloudCustomData="c")["MsgSeq"] == 1
    assert send(2, MsgBody="no body")["MsgSeq"] == 2
    assert send(3, MsgBody=[{"MsgType": "TIMTextElem"}])["MsgSeq"] == 3
    assert send(4, ErrorCode=2) == {
        "ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "MsgTime": NOW, "MsgSeq": 0
    }  # fmt: skip
    with pytest.raises(Exception, match="10016"):
        send(5, ErrorCode=1)
    words = [item["MsgBody"][0]["MsgContent"]["Text"] for item in history(play)]
    assert words == ["raw", "raw", "clean"]
    assert play.told("Group.CallbackAfterSendMsg")[0]["CloudCustomData"] == "c"


def test_history_is_paged_from_the_newest_message() -> None:
    play = Play()
    play.channel()
    for number in range(25):
        play.send(str(number))
    reply = play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=20)
    assert [item["MsgSeq"] for item in reply["RspMsgList"]] == list(range(25, 5, -1))
    assert reply["IsFinished"] == 1
    assert play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=21)["IsFinished"] == 0
    assert [item["MsgSeq"] for item in history(play, 20, ReqMsgSeq=5)] == [5, 4, 3, 2, 1]
    assert history(play, 20, ReqMsgSeq=0) == []
    assert [item["MsgSeq"] for item in history(play, 1, ReqMsgSeq=99)] == [25]
    wrong: tuple[dict[str, Any], ...] = (
        {"ReqMsgNumber": 0},
        {"ReqMsgSeq": -1},
        {"WithRecalledMsg": 2},
        {"TopicId": "t"},
    )
    for fields in wrong:
        assert play.code("group_msg_get_simple", **({"GroupId": CHANNEL, "ReqMsgNumber": 1} | fields)) == 10004


def test_expired_messages_are_placeholders() -> None:
    play = Play()
    play.channel()
    play.send("old")
    play.clock.advance(7 * DAY + 1)
    play.send("new")
    old = history(play)[1]
    assert (old["IsPlaceMsg"], old["MsgBody"]) == (1, [])
    assert play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=21, ReqMsgSeq=1)["IsFinished"] == 2
    recalled = play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 1}, {"MsgSeq": 2}])
    assert [item["RetCode"] for item in recalled["RecallRetList"]] == [10030, 0]
    assert play.code("modify_group_msg", "openim", GroupId=CHANNEL, MsgSeq=1, MsgBody=text()) == 20026


def test_recall_returns_a_code_for_each_message() -> None:
    play = Play()
    play.channel()
    play.send()
    play.send()
    wanted = [{"MsgSeq": seq} for seq in (1, 1, 9)]
    reply = play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=wanted, Reason="x" * 100)
    assert [item["RetCode"] for item in reply["RecallRetList"]] == [0, 0, 10030]
    assert play.told("Group.CallbackAfterRecallMsg")[0]["MsgSeqList"] == [{"MsgSeq": 1}]
    assert [item["MsgSeq"] for item in history(play)] == [2]
    place = history(play, WithRecalledMsg=1)[1]
    assert (place["MsgSeq"], place["IsPlaceMsg"], place["MsgBody"]) == (1, 2, [])
    again = play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 1}])
    assert again["RecallRetList"][0]["RetCode"] == 0
    assert len(play.told("Group.CallbackAfterRecallMsg")) == 1
    wrong: tuple[dict[str, Any], ...] = (
        {"MsgSeqList": []}, {"MsgSeqList": wanted * 4}, {"Reason": "x" * 101}, {"MsgSeqList": [1]}
    )  # fmt: skip
    for fields in wrong:
        body = {"GroupId": CHANNEL, "MsgSeqList": wanted} | fields
        assert play.code("group_msg_recall", **body) == 10004


def test_recall_switches_change_code_and_body() -> None:
    play = Play(behaviour={"recall_twice_code": 10030, "recalled_body_empty": False})
    play.channel()
    play.send("kept")
    for code in (0, 10030):
        reply = play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 1}])
        assert reply["RecallRetList"][0]["RetCode"] == code
    assert history(play, WithRecalledMsg=1)[0]["MsgBody"] == text("kept")


def test_deletion_by_sender_sends_no_event() -> None:
    play = Play()
    play.channel("a")
    play.send()
    play.send(From_Account="a")
    play.call("delete_group_msg_by_sender", GroupId=CHANNEL, Sender_Account="a")
    assert [item["From_Account"] for item in history(play)] == [OWNER]
    assert play.told("Group.CallbackAfterRecallMsg") == []


def test_modified_message_keeps_fields_that_are_not_sent() -> None:
    play = Play(behaviour={"history_cloud_custom_data": True})
    play.channel()
    play.send("first", CloudCustomData="a")
    reply = play.call("modify_group_msg", "openim", GroupId=CHANNEL, MsgSeq=1, MsgBody=text("second"))
    assert reply["ErrorInfo"] == "succeed"
    assert (history(play)[0]["MsgBody"], history(play)[0]["CloudCustomData"]) == (text("second"), "a")
    play.call("modify_group_msg", "openim", GroupId=CHANNEL, MsgSeq=1, CloudCustomData="b")
    assert (history(play)[0]["MsgBody"], history(play)[0]["CloudCustomData"]) == (text("second"), "b")
    assert [item["MsgSeq"] for item in play.told("Group.CallbackAfterModifyMsg")] == [1, 1]


def test_history_has_no_cloud_custom_data_by_default() -> None:
    play = Play()
    play.channel()
    play.send(CloudCustomData="a")
    assert "CloudCustomData" not in history(play)[0]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 90010),
        ({"MsgBody": "x"}, 90007),
        ({"MsgBody": ["x"]}, 90002),
        ({"MsgBody": []}, 90002),
        ({"MsgBody": [{"MsgType": "TIMTextElem"}]}, 90010),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": None}}]}, 90010),
        ({"MsgBody": text(), "MsgSeq": 9}, 20026),
        ({"MsgBody": text(), "MsgSeq": "1"}, 90001),
        ({"MsgBody": text(), "GroupId": "@TGS#_gone"}, 10010),
        ({"MsgBody": text("x" * 12_289)}, 80002),
    ],
)
def test_modify_of_message_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel()
    play.send("first")
    assert play.code("modify_group_msg", "openim", **({"GroupId": CHANNEL, "MsgSeq": 1} | fields)) == code
    assert history(play)[0]["MsgBody"] == text("first")


def test_modify_conflict_is_returned_when_switched_on() -> None:
    play = Play(behaviour={"modify_conflict": True})
    play.channel()
    play.send()
    assert play.code("modify_group_msg", "openim", GroupId=CHANNEL, MsgSeq=1, MsgBody=text()) == 20028


def test_system_notification_is_checked_and_not_stored() -> None:
    play = Play()
    play.channel("a")
    body = {"GroupId": CHANNEL, "Content": "reactions changed"}
    assert play.code("send_group_system_notification", **body) == 0
    assert play.code("send_group_system_notification", **body, ToMembers_Account=["a"] * 500) == 0
    assert play.code("send_group_system_notification", **body, ToMembers_Account=["a"] * 501) == 10004
    assert play.code("send_group_system_notification", GroupId=CHANNEL, Content="") == 10004
    assert history(play) == []


def test_community_with_topics_refuses_messages() -> None:
    play = Play()
    play.channel(SupportTopic=1)
    assert play.code("send_group_msg", GroupId=CHANNEL, Random=1, MsgBody=text()) == 10004


@pytest.mark.parametrize(("switched_on", "code"), [(False, 10004), (True, 0)])
def test_targeted_message_in_community_is_refused_unless_switched_on(switched_on: bool, code: int) -> None:
    play = Play(behaviour={"targeted_on_community": switched_on})
    play.channel("reader_1")
    body = {"GroupId": CHANNEL, "Random": 1, "MsgBody": text(), "To_Account": ["reader_1"]}
    assert play.code("send_group_msg", **body) == code


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "a join": ("add_group_member", {"MemberList": [{"Member_Account": "reader_2"}]}),
    "a removal": ("delete_group_member", {"MemberToDel_Account": ["reader_1"]}),
    "a name": ("modify_group_base_info", {"Name": "Flow"}),
    "a notification": ("modify_group_base_info", {"Notification": "n"}),
    "an introduction": ("modify_group_base_info", {"Introduction": "i"}),
    "an avatar": ("modify_group_base_info", {"FaceUrl": "https://example.org/a.png"}),
    "a mute of everybody": ("modify_group_base_info", {"MuteAllMember": "On"}),
    "a role": ("modify_group_member_info", {"Member_Account": "reader_1", "Role": "Admin"}),
    "a mute by change": ("modify_group_member_info", {"Member_Account": "reader_1", "MuteTime": 60}),
    "a mute": ("forbid_send_msg", {"Members_Account": ["reader_1"], "MuteTime": 60}),
    "another owner": ("change_group_owner", {"NewOwner_Account": "reader_1"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_writes_a_system_notice_only_when_switched_on(change: str) -> None:
    name, body = CHANGES[change]
    for on in (False, True):
        play = Play(app={"system_notices": on})
        play.channel()
        play.users("reader_1", "reader_2")
        play.call("add_group_member", GroupId=CHANNEL, MemberList=[{"Member_Account": "reader_1"}], Silence=1)
        play.send()
        play.clock.advance(5)
        play.call(name, GroupId=CHANNEL, **body)
        notice = {
            "From_Account": "@TIM#SYSTEM", "IsPlaceMsg": 0, "IsSystemMsg": 1, "MsgBody": [], "MsgPriority": 1,
            "MsgRandom": 0, "MsgSeq": 2, "MsgTimeStamp": NOW + 5,
        }  # fmt: skip
        found = history(play)
        assert found[:-1] == ([notice] if on else [])
        assert "IsSystemMsg" not in found[-1]
        assert play.info()["NextMsgSeq"] == len(found) + 1


def test_joining_and_leaving_write_notices_and_silent_changes_none() -> None:
    play = Play(app={"system_notices": True})
    play.channel()
    play.users("reader_1")
    body: dict[str, Any] = {"GroupId": CHANNEL, "Silence": 1}
    play.call("add_group_member", MemberList=[{"Member_Account": "reader_1"}], **body)
    play.call("delete_group_member", MemberToDel_Account=["reader_1"], **body)
    play.call("modify_group_base_info", GroupId=CHANNEL, Name="Harbour", MuteAllMember="Off")  # unchanged values
    assert history(play) == []
    reader = play.world.client("reader_1")
    reader.join(CHANNEL)
    assert (len(history(play)), reader.unread(CHANNEL)) == (1, 0)
    reader.leave(CHANNEL)
    assert len(history(play)) == 2


def test_notice_cannot_be_changed_or_recalled_and_is_in_the_dump() -> None:
    play = Play(app={"system_notices": True})
    play.channel()
    play.call("modify_group_base_info", GroupId=CHANNEL, Name="Flow")
    recalled = play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 1}])
    assert recalled["RecallRetList"] == [{"MsgSeq": 1, "RetCode": 10032}]
    assert play.code("modify_group_msg", "openim", GroupId=CHANNEL, MsgSeq=1, MsgBody=text()) == 20026
    assert play.code("pin_message", GroupId=CHANNEL, MsgSeq=1, Pinner_Account=OWNER) == 10004
    other = Play(app={"system_notices": True})
    other.world.load(play.world.dump())
    assert history(other) == history(play)
