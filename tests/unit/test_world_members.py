"""Members in the state of the stub: adding, removing, reading, roles, mutes."""

from typing import Any

import pytest

from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER
from tests.unit.worlds import ADMIN, CHANNEL, NOW, OWNER, Play


def test_add_returns_a_result_for_each_member() -> None:
    play = Play(limits={"groups_per_user": 1})
    play.channel("a")
    play.users("b", "busy")
    play.call("create_group", Type="Public", Name="n", MemberList=[{"Member_Account": "busy"}])
    assert play.add("a", "b", "b", "busy") == [2, 1, 2, 4]
    assert play.info()["MemberNum"] == 3
    told = play.told("Group.CallbackAfterNewMemberJoin")[-1]
    assert told["NewMemberList"] == [{"Member_Account": "b"}]
    assert (told["JoinType"], told["Operator_Account"]) == ("Invited", ADMIN)


def test_unknown_account_refuses_the_whole_batch() -> None:
    play = Play()
    play.channel()
    play.users("a")
    body = {"GroupId": CHANNEL, "MemberList": [{"Member_Account": "a"}, {"Member_Account": "ghost"}]}
    assert play.code("add_group_member", **body) == 10019
    assert play.info()["MemberNum"] == 1


def test_unknown_account_fails_alone_when_switched_on() -> None:
    play = Play(behaviour={"unknown_account": "per_member"})
    play.channel()
    play.users("a")
    assert play.add("a", "ghost") == [1, 0]


def test_member_batches_are_limited() -> None:
    play = Play()
    play.channel()
    users = [f"u{number}" for number in range(101)]
    play.users(*users)
    assert play.add(*users[:20]) == [1] * 20
    many = [{"Member_Account": user} for user in users]
    assert play.code("add_group_member", GroupId=CHANNEL, MemberList=many[:21]) == 10005
    assert play.code("add_group_member", GroupId=CHANNEL, MemberList=[]) == 10004
    assert play.code("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=users) == 10004
    assert play.code("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=users[:100]) == 0
    assert play.info()["MemberNum"] == 1


def test_batch_over_the_capacity_adds_no_member() -> None:
    play = Play()
    play.channel(MaxMemberCount=3)
    play.users("a", "b", "c")
    body = {"GroupId": CHANNEL, "MemberList": [{"Member_Account": user} for user in "abc"]}
    assert play.code("add_group_member", **body) == 10014
    assert play.info()["MemberNum"] == 1
    assert play.told("Group.CallbackAfterGroupFull") == [
        {"CallbackCommand": "Group.CallbackAfterGroupFull", "GroupId": CHANNEL, "EventTime": NOW * 1000}
    ]
    assert play.add("a", "b") == [1, 1]
    assert len(play.told("Group.CallbackAfterGroupFull")) == 2
    assert play.add("a") == [2]


def test_single_members_can_be_refused_by_the_app() -> None:
    play = Play()
    play.channel()
    play.users("a", "b")
    body = {"GroupId": CHANNEL, "MemberList": [{"Member_Account": "a"}, {"Member_Account": "b"}]}
    asked = play.world.before_callback(ADD_GROUP_MEMBER, body, caller=ADMIN)
    assert asked is not None
    assert asked.body["DestinationMembers"] == body["MemberList"]
    decision = CallbackDecision.from_answer({"ErrorCode": 0, "RefusedMembers_Account": ["a", 7]})
    reply = play.world.execute(ADD_GROUP_MEMBER, body, caller=ADMIN, decision=decision).to_wire()
    assert [item["Result"] for item in reply["MemberList"]] == [0, 1]


def test_removal_ignores_non_members_and_refuses_the_owner() -> None:
    play = Play()
    play.channel("a", "b")
    assert play.code("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["a", "ghost", "a"]) == 0
    told = play.told("Group.CallbackAfterMemberExit")
    assert told[0]["ExitMemberList"] == [{"Member_Account": "a"}]
    assert told[0]["ExitType"] == "Kicked"
    assert play.code("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["a"]) == 0
    assert len(play.told("Group.CallbackAfterMemberExit")) == 1
    assert play.code("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["b", OWNER]) == 10007
    assert play.member("b") is not None


def test_members_of_live_rooms_cannot_be_added_or_removed() -> None:
    play = Play()
    play.users("a")
    play.call("create_group", Type="AVChatRoom", GroupId="tv", Name="n")
    assert play.code("add_group_member", GroupId="tv", MemberList=[{"Member_Account": "a"}]) == 10007
    assert play.code("delete_group_member", GroupId="tv", MemberToDel_Account=["a"]) == 10004


def pages(play: Play, limit: int, **fields: Any) -> list[list[str]]:
    found, cursor = [], ""
    while True:
        reply = play.call("get_group_member_info", GroupId=CHANNEL, Limit=limit, Next=cursor, **fields)
        found.append([item["Member_Account"] for item in reply["MemberList"]])
        cursor = reply["Next"]
        if not cursor:
            return found


def test_member_pages_are_complete_and_filtered_by_role() -> None:
    play = Play()
    play.channel("a", "b", "c", "d")
    assert pages(play, 2) == [[OWNER, "a"], ["b", "c"], ["d"]]
    assert pages(play, 5) == [[OWNER, "a", "b", "c", "d"]]
    assert pages(play, 2, MemberRoleFilter=["Member"]) == [["a", "b"], ["c", "d"]]
    assert pages(play, 2, MemberRoleFilter=["Owner", "Admin"]) == [[OWNER]]


def test_page_without_limit_has_no_more_members_than_the_highest_limit() -> None:
    play = Play(limits={"members_per_page": 2})
    play.channel("a", "b")
    assert play.code("get_group_member_info", GroupId=CHANNEL, Limit=3) == 10004
    first = play.call("get_group_member_info", GroupId=CHANNEL)
    assert [item["Member_Account"] for item in first["MemberList"]] == [OWNER, "a"]
    assert first["Next"]


def test_cursor_remains_valid_after_changes_between_pages() -> None:
    play = Play()
    users = [f"u{number}" for number in range(10)]
    play.channel(*users)
    first = play.call("get_group_member_info", GroupId=CHANNEL, Limit=4, Next="")
    play.call("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["u0", "u3", "u4"])
    play.users("late")
    play.add("late")
    second = play.call("get_group_member_info", GroupId=CHANNEL, Limit=100, Next=first["Next"])
    assert [item["Member_Account"] for item in second["MemberList"]] == ["u5", "u6", "u7", "u8", "u9", "late"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Next": ""}, 0),
        ({"Next": "0"}, 0),
        ({"Next": 0}, 0),
        ({}, 0),
        ({"Offset": 0}, 0),
        ({"Offset": 1}, 10004),
        ({"Next": "zz"}, 10004),
        ({"Next": "é"}, 10004),
        ({"Next": "f" * 17}, 10004),
        ({"Next": 5}, 10004),
        ({"Next": "ffff"}, 0),
        ({"Limit": 200}, 0),
        ({"Limit": 201}, 10004),
        ({"Limit": 0}, 10004),
        ({"MemberRoleFilter": ["King"]}, 10004),
        ({"GroupId": "@TGS#_gone"}, 10010),
    ],
)
def test_member_list_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel()
    assert play.code("get_group_member_info", **({"GroupId": CHANNEL} | fields)) == code


def test_member_fields_are_stored_and_filtered() -> None:
    play = Play(app={"member_fields": ["lvl", "city"]})
    play.channel("a")
    play.call(
        "modify_group_member_info",
        GroupId=CHANNEL,
        Member_Account="a",
        NameCard="Ann",
        MsgFlag="Discard",
        ShutUpTime=60,
        AppMemberDefinedData=[{"Key": "lvl", "Value": "3"}, {"Key": "city", "Value": "Oslo"}],
    )
    assert play.member("a") == {
        "Member_Account": "a", "Role": "Member", "JoinTime": NOW, "MsgSeq": 0, "MsgFlag": "Discard",
        "LastSendMsgTime": 0, "NameCard": "Ann", "MuteUntil": NOW + 60, "OnlineStatus": "Offline",
        "AppMemberDefinedData": [{"Key": "lvl", "Value": "3"}, {"Key": "city", "Value": "Oslo"}],
    }  # fmt: skip
    reply = play.call(
        "get_specified_group_member_info",
        GroupId=CHANNEL,
        Member_List_Account=["a", "ghost", OWNER],
        MemberInfoFilter=["ShutUpUntil", "Nonsense"],
        MemberRoleFilter=["Member"],
        AppDefinedDataFilter_GroupMember=["city"],
    )
    assert reply["MemberList"] == [
        {
            "Member_Account": "a",
            "ShutUpUntil": NOW + 60,
            "AppMemberDefinedData": [{"Key": "city", "Value": "Oslo"}],
        }
    ]
    many = ["x"] * 51
    assert play.code("get_specified_group_member_info", GroupId=CHANNEL, Member_List_Account=many) == 10004


def test_role_change_is_reported_and_flag_and_mute_are_not() -> None:
    play = Play()
    play.channel("a")
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="a", MsgFlag="Discard", MuteTime=5)
    assert play.told("Group.CallbackAfterMemberFieldChanged") == []
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="a", Role="Admin")
    told = play.told("Group.CallbackAfterMemberFieldChanged")[0]
    assert (told["Modified_Account"], told["Role"]) == ("a", "Admin")
    assert "NameCard" not in told
    assert pages(play, 10, MemberRoleFilter=["Admin"]) == [["a"]]
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="a", Role="Member")
    assert pages(play, 10, MemberRoleFilter=["Admin"]) == [[]]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Member_Account": "ghost"}, 10007),
        ({"Member_Account": 4}, 60015),
        ({"Role": "Owner"}, 10004),
        ({"Role": "Admin", "Member_Account": OWNER}, 10007),
        ({"MsgFlag": "Whatever"}, 10004),
        ({"NameCard": "汉" * 16}, 0),
        ({"NameCard": "汉" * 17}, 10004),
        ({"MuteTime": -1}, 10004),
        ({"MuteTime": 4294967295}, 0),
        ({"MuteTime": 4294967296}, 10004),
        ({"AppMemberDefinedData": [{"Key": "nope", "Value": "1"}]}, 10004),
    ],
)
def test_modify_of_member_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel("a")
    before = play.member("a")
    body = {"GroupId": CHANNEL, "Member_Account": "a"} | fields
    assert play.code("modify_group_member_info", **body) == code
    if code:
        assert play.member("a") == before


def test_roles_are_returned_for_up_to_500_users() -> None:
    play = Play()
    play.channel("a")
    reply = play.call("get_role_in_group", GroupId=CHANNEL, User_Account=["ghost", "a", OWNER])
    assert [item["Role"] for item in reply["UserIdList"]] == ["NotMember", "Member", "Owner"]
    assert play.code("get_role_in_group", GroupId=CHANNEL, User_Account=["a"] * 500) == 0
    assert play.code("get_role_in_group", GroupId=CHANNEL, User_Account=["a"] * 501) == 10004
    assert play.code("get_role_in_group", GroupId=CHANNEL, User_Account=[]) == 10004


def test_mutes_expire_and_survive_rejoining() -> None:
    play = Play()
    play.channel("a", "b")
    play.call("forbid_send_msg", GroupId=CHANNEL, Members_Account=["a", "b"], MuteTime=60)
    play.call("forbid_send_msg", GroupId=CHANNEL, Members_Account=["b"], ShutUpTime=4294967295)
    new = play.call("get_group_muted_account", GroupId=CHANNEL)
    assert new["MutedAccountList"] == [
        {"Member_Account": "a", "MutedUntil": NOW + 60},
        {"Member_Account": "b", "MutedUntil": 4294967295},
    ]
    play.clock.advance(60)
    old = play.call("get_group_shutted_uin", GroupId=CHANNEL)
    assert old["ShuttedUinList"] == [{"Member_Account": "b", "ShuttedUntil": 4294967295}]
    play.call("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["b"])
    assert play.call("get_group_muted_account", GroupId=CHANNEL)["MutedAccountList"] == []
    play.add("b")
    assert len(play.call("get_group_muted_account", GroupId=CHANNEL)["MutedAccountList"]) == 1
    play.call("forbid_send_msg", GroupId=CHANNEL, Members_Account=["b"], MuteTime=0)
    assert play.call("get_group_muted_account", GroupId=CHANNEL)["MutedAccountList"] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"MuteTime": None}, 10004),
        ({"MuteTime": "60"}, 10004),
        ({"MuteTime": 2**32}, 10004),
        ({"Members_Account": []}, 10004),
        ({"Members_Account": ["a"] * 501}, 10004),
        ({"Members_Account": ["ghost"]}, 10004),
        ({"Members_Account": [1]}, 60015),
    ],
)
def test_forbid_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel("a")
    body = {"GroupId": CHANNEL, "Members_Account": ["a"], "MuteTime": 60} | fields
    assert play.code("forbid_send_msg", **body) == code
