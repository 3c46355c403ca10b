"""Imports of groups, messages and members into the state of the stub."""

from typing import Any

import pytest

from tests.unit.worlds import CHANNEL, NOW, OWNER, Play, text

BORN = NOW - 1_000


def imported(**fields: Any) -> Play:
    play = Play()
    play.users(OWNER, "a", "b")
    group = {"Type": "Community", "Name": "Old", "GroupId": CHANNEL, "Owner_Account": OWNER, "CreateTime": BORN}
    play.call("import_group", **(group | fields))
    return play


def message(time: int, **fields: Any) -> dict[str, Any]:
    return {"From_Account": OWNER, "SendTime": time, "MsgBody": text(f"at {time}")} | fields


def bring(play: Play, *messages: dict[str, Any]) -> list[int]:
    reply = play.call("import_group_msg", GroupId=CHANNEL, MsgList=list(messages))
    return [item["Result"] for item in reply["ImportMsgResult"]]


def test_imported_group_keeps_its_time_and_sends_no_events() -> None:
    play = imported()
    info = play.info()
    assert (info["CreateTime"], info["MemberNum"], info["Owner_Account"]) == (BORN, 1, OWNER)
    bring(play, message(BORN + 1))
    play.call("import_group_member", GroupId=CHANNEL, MemberList=[{"Member_Account": "a"}])
    assert play.events == []


def test_creation_time_in_the_future_is_refused() -> None:
    play = Play()
    assert play.code("import_group", Type="Community", Name="n", CreateTime=NOW) == 0
    assert play.code("import_group", Type="Community", Name="n", CreateTime=NOW + 1) == 10004
    assert play.code("import_group", Type="Community", Name="n", CreateTime=0) == 10004


def test_imported_messages_must_have_ascending_times() -> None:
    play = imported()
    times = (BORN, BORN + 10, BORN + 10, BORN + 5, BORN + 11, NOW, NOW - 1)
    assert bring(play, *(message(time) for time in times)) == [10004, 0, 10004, 10004, 0, 10004, 0]
    reply = play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=20)
    assert [item["MsgTimeStamp"] for item in reply["RspMsgList"]] == [NOW - 1, BORN + 11, BORN + 10]
    assert play.info()["LastMsgTime"] == NOW - 1


def test_equal_message_times_are_accepted_when_switched_on() -> None:
    play = Play(behaviour={"equal_send_time": "accept"})
    play.users(OWNER)
    play.call("import_group", Type="Community", Name="n", GroupId=CHANNEL, CreateTime=BORN)
    assert bring(play, message(BORN + 1), message(BORN + 1)) == [0, 0]


def test_import_before_a_live_message_is_refused() -> None:
    play = imported()
    play.send()
    play.clock.advance(100)
    assert bring(play, message(BORN + 1), message(NOW + 1)) == [10004, 0]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"From_Account": "ghost"}, 10004),
        ({"MsgBody": []}, 10004),
        ({"MsgBody": text("x" * 12_289)}, 80002),
        ({"MsgBody": [{"MsgType": "TIMFileElem", "MsgContent": {"Url": "https://example.org/f", "UUID": "1"}}]}, 10004),
        ({"MsgBody": [{"MsgType": "TIMCustomElem", "MsgContent": {"Data": "{}"}}]}, 0),
    ],
)
def test_imported_message_has_documented_result(fields: dict[str, Any], result: int) -> None:
    play = imported()
    assert bring(play, message(BORN + 1, **fields)) == [result]
    assert play.info()["NextMsgSeq"] == (1 if result else 2)


def test_imported_media_are_accepted_when_switched_on() -> None:
    play = Play(behaviour={"import_media": "accept"})
    play.users(OWNER)
    play.call("import_group", Type="Community", Name="n", GroupId=CHANNEL, CreateTime=BORN)
    body = [{"MsgType": "TIMFileElem", "MsgContent": {"Url": "https://example.org/f", "UUID": "1"}}]
    assert bring(play, message(BORN + 1, MsgBody=body)) == [0]


def test_message_batches_are_limited_and_checked() -> None:
    play = imported()
    eight = [message(BORN + number) for number in range(1, 9)]
    assert play.code("import_group_msg", GroupId=CHANNEL, MsgList=eight) == 10004
    assert play.code("import_group_msg", GroupId=CHANNEL, MsgList=[]) == 10004
    assert play.code("import_group_msg", GroupId=CHANNEL, MsgList=[message(BORN + 1, Random=-1)]) == 10004
    assert play.code("import_group_msg", GroupId=CHANNEL, MsgList=[message(BORN + 1, From_Account=1)]) == 60015
    assert bring(play, *eight[:7]) == [0] * 7


def test_equal_random_within_five_minutes_is_a_repeat() -> None:
    play = imported()
    assert bring(play, message(BORN + 1, Random=5)) == [0]
    reply = play.call("import_group_msg", GroupId=CHANNEL, MsgList=[message(BORN + 1, Random=5)])
    assert reply["ImportMsgResult"] == [{"MsgSeq": 1, "MsgTime": BORN + 1, "Result": 0}]
    assert play.info()["NextMsgSeq"] == 2
    play.clock.advance(300)
    assert bring(play, message(BORN + 1, Random=5)) == [10004]


def test_members_are_imported_with_join_time_role_and_unread_number() -> None:
    play = imported()
    bring(play, message(BORN + 1), message(BORN + 2))
    new = [
        {"Member_Account": "a", "JoinTime": BORN + 5, "UnreadMsgNum": 1, "Role": "Admin"},
        {"Member_Account": "b", "JoinTime": BORN, "UnreadMsgNum": 1},
        {"Member_Account": "ghost"},
        {"Member_Account": OWNER},
    ]
    reply = play.call("import_group_member", GroupId=CHANNEL, MemberList=new)
    assert [item["Result"] for item in reply["MemberList"]] == [1, 0, 0, 2]
    member = play.member("a")
    assert member is not None
    assert (member["JoinTime"], member["MsgSeq"], member["Role"]) == (BORN + 5, 1, "Admin")
    late = [{"Member_Account": "b", "JoinTime": NOW}]
    assert play.call("import_group_member", GroupId=CHANNEL, MemberList=late)["MemberList"][0]["Result"] == 0
    plain = [{"Member_Account": "b", "UnreadMsgNum": 99}]
    assert play.call("import_group_member", GroupId=CHANNEL, MemberList=plain)["MemberList"][0]["Result"] == 1
    member = play.member("b")
    assert member is not None
    assert (member["JoinTime"], member["MsgSeq"]) == (NOW, 0)


def test_message_import_marks_everything_as_read() -> None:
    play = imported()
    bring(play, message(BORN + 1))
    new = [{"Member_Account": "a", "UnreadMsgNum": 1}]
    play.call("import_group_member", GroupId=CHANNEL, MemberList=new)
    bring(play, message(BORN + 2))
    member = play.member("a")
    assert member is not None
    assert member["MsgSeq"] == 2


def test_member_batches_are_limited_and_checked() -> None:
    play = imported(MaxMemberCount=2)
    body = {"GroupId": CHANNEL}
    assert play.code("import_group_member", **body, MemberList=[{"Member_Account": "a"}] * 21) == 10005
    assert play.code("import_group_member", **body, MemberList=[]) == 10004
    assert play.code("import_group_member", **body, MemberList=[{"Member_Account": "a", "Role": "Owner"}]) == 10004
    both = [{"Member_Account": "a"}, {"Member_Account": "b"}]
    reply = play.call("import_group_member", **body, MemberList=both)
    assert [item["Result"] for item in reply["MemberList"]] == [1, 0]
