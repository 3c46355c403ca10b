"""Groups in the state of the stub: create, read, modify, transfer, dissolve."""

from typing import Any

import pytest

from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent.catalog import CREATE_GROUP
from tests.unit.worlds import ADMIN, CHANNEL, NOW, OWNER, Play


def create(play: Play, **fields: Any) -> int:
    return play.code("create_group", **({"Type": "Community", "Name": "Harbour"} | fields))


def test_info_of_new_channel_has_expected_fields() -> None:
    play = Play()
    play.channel(AppDefinedData=[{"Key": "ch_tag", "Value": "1"}], ApplyJoinOption="FreeAccess")
    info = play.info()
    expected = {
        "GroupId": CHANNEL, "ErrorCode": 0, "Type": "Community", "Name": "Harbour", "Introduction": "",
        "Owner_Account": OWNER, "CreateTime": NOW, "LastMsgTime": 0, "NextMsgSeq": 1, "MemberNum": 1,
        "MaxMemberNum": 1_000_000, "ApplyJoinOption": "FreeAccess", "MuteAllMember": "Off", "SupportTopic": 0,
        "AppDefinedData": [{"Key": "ch_tag", "Value": "1"}], "Appid": 1400000001,
    }  # fmt: skip
    assert expected.items() <= info.items()
    assert "MemberList" not in info
    assert "ShutUpAllMember" not in info
    assert play.told("Group.CallbackAfterCreateGroup")[0]["MemberList"] == []


def test_missing_join_option_and_owner_have_defaults() -> None:
    play = Play()
    assert create(play, GroupId=CHANNEL) == 0
    assert play.info()["ApplyJoinOption"] == "NeedPermission"
    assert play.info()["Owner_Account"] == ""
    assert play.info()["MemberNum"] == 0


def test_assigned_ids_depend_on_the_seed() -> None:
    ids = [Play().call("create_group", Type="Community", Name="n")["GroupId"] for _ in range(2)]
    assert ids[0] == ids[1]
    assert ids[0].startswith("@TGS#_@TGS#c")
    play = Play()
    first = play.call("create_group", Type="Community", Name="n")["GroupId"]
    assert play.call("create_group", Type="Community", Name="n")["GroupId"] != first
    play.world.reset()
    assert play.call("create_group", Type="Community", Name="n")["GroupId"] == first


@pytest.mark.parametrize(
    ("group_id", "code"),
    [
        ("@TGS#_a", 0),
        ("@TGS#_" + "x" * 42, 0),
        ("@TGS#_" + "x" * 43, 10015),
        ("@TGS#_@TGS#a", 10015),
        ("@TGS#_@TOA#k", 0),
        ("@TGS#_", 10015),
        ("@TGS#_a@TOPIC#_b", 10015),
        ("news", 10015),
        ("", 10015),
        ("@TGS#_ü", 10015),
        ("@TGS#_\x7f", 10015),
        (7, 10004),
    ],
)
def test_community_id_has_documented_code(group_id: Any, code: int) -> None:
    assert create(Play(), GroupId=group_id) == code


def test_ids_of_other_types_have_their_own_rules() -> None:
    play = Play()
    assert create(play, Type="Public", GroupId="room") == 0
    assert create(play, Type="Public", GroupId="@TGS#x") == 10015
    assert play.call("create_group", Type="Public", Name="n")["GroupId"].startswith("@TGS#")


def test_existing_id_is_refused_until_the_group_is_dissolved() -> None:
    play = Play()
    play.channel()
    play.users("someone")
    assert create(play, GroupId=CHANNEL, Owner_Account=OWNER) == 10025
    assert create(play, GroupId=CHANNEL, Owner_Account="someone") == 10021
    assert play.code("import_group", Type="Community", Name="n", GroupId=CHANNEL, Owner_Account=OWNER) == 10021
    play.call("destroy_group", GroupId=CHANNEL)
    assert create(play, GroupId=CHANNEL, Owner_Account=OWNER) == 0


@pytest.mark.parametrize(
    ("field", "limit"), [("Name", 100), ("Introduction", 400), ("Notification", 400), ("FaceUrl", 500)]
)
def test_profile_texts_are_limited_by_bytes(field: str, limit: int) -> None:
    play = Play()
    chinese, rest = divmod(limit, 3)
    fits = "汉" * chinese + "x" * rest
    assert create(play, **{field: fits}) == 0
    assert create(play, **{field: fits + "x"}) == 10004
    group = play.channel()
    assert play.code("modify_group_base_info", GroupId=group, **{field: fits}) == 0
    assert play.code("modify_group_base_info", GroupId=group, **{field: fits + "é"}) == 10004
    assert play.info()[field] == fits


def test_legacy_limits_apply_to_profile_texts() -> None:
    play = Play(behaviour={"profile_limits": "legacy"})
    assert create(play, Name="x" * 31) == 10004
    assert create(play, Name="x" * 30, FaceUrl="y" * 100) == 0


def test_refusal_states_field_limit_and_size() -> None:
    play = Play()
    with pytest.raises(Exception, match=r"Name has 101 bytes, the limit is 100"):
        play.call("create_group", Type="Community", Name="x" * 101)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Type": "Forum"}, 10004),
        ({"Name": ""}, 10004),
        ({"Name": None}, 10004),
        ({"Owner_Account": "ghost"}, 10019),
        ({"Owner_Account": 5}, 60015),
        ({"ApplyJoinOption": "Anyone"}, 10004),
        ({"SupportTopic": 2}, 10004),
        ({"SupportTopic": "0"}, 10004),
        ({"Type": "Public", "SupportTopic": 1}, 10004),
        ({"MaxMemberCount": 0}, 10004),
        ({"MaxMemberCount": 1_000_000}, 0),
        ({"MaxMemberCount": 1_000_001}, 10038),
        ({"MaxMemberCount": 10**40}, 10038),
        ({"AppDefinedData": [{"Key": "ch_tag", "Value": "x" * 512}]}, 0),
        ({"AppDefinedData": [{"Key": "ch_tag", "Value": "x" * 513}]}, 10004),
        ({"AppDefinedData": [{"Key": "other", "Value": "x"}]}, 10004),
        ({"AppDefinedData": {"ch_tag": "x"}}, 10004),
        ({"MemberList": [{"Member_Account": "ghost"}]}, 10019),
        ({"MemberList": [{"Member_Account": 3}]}, 60015),
        ({"MemberList": [{"Member_Account": ADMIN, "Role": "Owner"}]}, 10004),
        ({"MemberList": [{"Member_Account": ADMIN}] * 101}, 10005),
    ],
)
def test_create_of_group_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    assert create(play, **fields) == code
    assert len(play.world.state.groups) == (code == 0)


def test_refusal_of_undeclared_key_names_it() -> None:
    with pytest.raises(Exception, match="'organization' is not declared"):
        Play().call("create_group", Type="Community", Name="n", AppDefinedData=[{"Key": "organization", "Value": "x"}])


def test_groups_of_the_app_and_of_a_user_are_limited() -> None:
    play = Play(limits={"communities": 2, "groups_per_user": 1})
    play.channel(group="@TGS#_a")
    assert create(play, Owner_Account=OWNER) == 10037
    assert create(play) == 0
    assert create(play) == 10006
    assert create(play, Type="Public") == 0


def test_communities_are_refused_when_switched_off() -> None:
    play = Play(app={"community": False})
    assert create(play) == 11000
    assert play.code("import_group", Type="Community", Name="n") == 11000
    assert play.code("get_joined_group_list", Member_Account=ADMIN, GroupType="Community") == 11000
    assert create(play, Type="Public") == 0


def test_initial_members_have_their_roles_unless_over_the_limit() -> None:
    play = Play(limits={"groups_per_user": 1})
    play.users("a", "b", "c", OWNER)
    create(play, Type="Public", Owner_Account="c")
    members = [{"Member_Account": "a", "Role": "Admin"}, {"Member_Account": "b"}, {"Member_Account": "c"}]
    reply = play.call(
        "create_group", Type="Community", Name="n", GroupId=CHANNEL, Owner_Account=OWNER, MemberList=members
    )
    assert reply["OverJoinedGroupLimit_Account"] == ["c"]
    roles = play.call("get_role_in_group", GroupId=CHANNEL, User_Account=[OWNER, "a", "b", "c"])["UserIdList"]
    assert [item["Role"] for item in roles] == ["Owner", "Admin", "Member", "NotMember"]


def test_info_returns_a_code_for_each_item() -> None:
    play = Play()
    play.channel()
    reply = play.call("get_group_info", GroupIdList=[CHANNEL, "@TGS#_gone", "bad\n", CHANNEL])
    assert reply["ErrorCode"] == 0
    assert [item["ErrorCode"] for item in reply["GroupInfo"]] == [0, 10010, 10015, 0]
    assert set(reply["GroupInfo"][1]) == {"GroupId", "ErrorCode", "ErrorInfo"}
    assert play.code("get_group_info", GroupIdList=[]) == 10004
    assert play.code("get_group_info", GroupIdList=["x"] * 50) == 0
    assert play.code("get_group_info", GroupIdList=["x"] * 51) == 10004


def test_filtered_info_has_only_the_named_fields() -> None:
    play = Play(app={"group_fields": ["ch_tag", "ch_org"]})
    play.channel(AppDefinedData=[{"Key": "ch_tag", "Value": "1"}, {"Key": "ch_org", "Value": "port"}])

    def filtered(**wanted: Any) -> dict[str, Any]:
        item: dict[str, Any] = play.call("get_group_info", GroupIdList=[CHANNEL], ResponseFilter=wanted)["GroupInfo"][0]
        return {name: value for name, value in item.items() if name not in ("ErrorCode", "ErrorInfo", "Appid")}

    assert filtered() == {"GroupId": CHANNEL}
    assert filtered(GroupBaseInfoFilter=["Name", "Nonsense"]) == {"GroupId": CHANNEL, "Name": "Harbour"}
    assert filtered(AppDefinedDataFilter_Group=["ch_org", "ch_none"])["AppDefinedData"] == [
        {"Key": "ch_org", "Value": "port"}
    ]
    assert filtered(GroupBaseInfoFilter=["ShutUpAllMember"])["ShutUpAllMember"] == "Off"
    assert "MemberList" not in filtered(MemberInfoFilter=["Role"])


def test_info_of_other_types_has_members() -> None:
    play = Play()
    play.users(OWNER)
    play.call("create_group", Type="Public", Name="n", GroupId="room", Owner_Account=OWNER)
    assert play.info("room")["MemberList"][0]["Member_Account"] == OWNER
    filtered = play.call("get_group_info", GroupIdList=["room"], ResponseFilter={"MemberInfoFilter": ["Account"]})
    assert filtered["GroupInfo"][0]["MemberList"] == [{"Member_Account": OWNER}]


def test_modify_writes_sent_fields_and_reports_changed_ones() -> None:
    play = Play(app={"group_fields": ["ch_tag", "ch_org"]})
    play.channel(AppDefinedData=[{"Key": "ch_tag", "Value": "1"}])
    play.clock.advance(5)
    play.call(
        "modify_group_base_info",
        GroupId=CHANNEL,
        Name="Port",
        MuteAllMember="On",
        MaxMemberNum=7,
        AppDefinedData=[{"Key": "ch_org", "Value": "o"}, {"Key": "ch_tag", "Value": ""}],
    )
    info = play.info()
    assert (info["Name"], info["MuteAllMember"], info["MaxMemberNum"]) == ("Port", "On", 7)
    assert info["AppDefinedData"] == [{"Key": "ch_org", "Value": "o"}]
    assert (info["InfoSeq"], info["LastInfoTime"], info["CreateTime"]) == (2, NOW + 5, NOW)
    told = play.told("Group.CallbackAfterGroupInfoChanged")
    assert told == [
        {
            "CallbackCommand": "Group.CallbackAfterGroupInfoChanged", "GroupId": CHANNEL, "Type": "Community",
            "Operator_Account": ADMIN, "Name": "Port", "EventTime": (NOW + 5) * 1000,
        }
    ]  # fmt: skip
    play.call("modify_group_base_info", GroupId=CHANNEL, Name="Port", ShutUpAllMember="Off")
    assert play.info()["MuteAllMember"] == "Off"
    assert len(play.told("Group.CallbackAfterGroupInfoChanged")) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"GroupId": "@TGS#_gone"}, 10010),
        ({"GroupId": ""}, 10015),
        ({"GroupId": None}, 10004),
        ({"Name": ""}, 10004),
        ({"MuteAllMember": "on"}, 10004),
        ({"MuteAllMember": True}, 10004),
        ({"MaxMemberNum": 0}, 10004),
        ({"MaxMemberNum": 1_000_001}, 10004),
        ({"InviteJoinOption": "DisableInvite"}, 0),
        ({"InviteJoinOption": "x"}, 10004),
        ({"From_Account": "ghost"}, 10019),
        ({"From_Account": OWNER}, 0),
        ({"AppDefinedData": [{"Key": "nope", "Value": ""}]}, 10004),
    ],
)
def test_modify_of_group_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.channel()
    before = play.info()
    assert play.code("modify_group_base_info", **({"GroupId": CHANNEL} | fields)) == code
    if code:
        assert play.info() == before


def test_ownership_is_transferred_to_members_only() -> None:
    play = Play()
    play.channel("a")
    play.users("b")
    assert play.code("change_group_owner", GroupId=CHANNEL, NewOwner_Account="b") == 10004
    play.call("change_group_owner", GroupId=CHANNEL, NewOwner_Account="a")
    roles = play.call("get_role_in_group", GroupId=CHANNEL, User_Account=[OWNER, "a"])["UserIdList"]
    assert [item["Role"] for item in roles] == ["Member", "Owner"]
    told = play.told("Group.CallbackAfterChangeGroupOwner")[0]
    assert (told["OldOwner_Account"], told["NewOwner_Account"]) == (OWNER, "a")


def test_dissolved_group_leaves_all_lists() -> None:
    play = Play()
    play.channel("a")
    play.channel("b", group="@TGS#_other")
    play.call("destroy_group", GroupId=CHANNEL)
    assert play.code("destroy_group", GroupId=CHANNEL) == 10010
    joined = play.call("get_joined_group_list", Member_Account=OWNER)
    assert joined["GroupIdList"] == [{"GroupId": "@TGS#_other"}]
    assert play.call("get_joined_group_list", Member_Account="a")["TotalCount"] == 0
    told = play.told("Group.CallbackAfterGroupDestroyed")[0]
    assert told["Owner_Account"] == OWNER
    assert "MemberList" not in told


def test_group_creation_can_be_refused_by_the_app() -> None:
    play = Play()
    body = {"Type": "Community", "Name": "n"}
    asked = play.world.before_callback(CREATE_GROUP, body, caller=ADMIN)
    assert asked is not None
    assert asked.command == "Group.CallbackBeforeCreateGroup"
    assert asked.body["Operator_Account"] == ADMIN
    for answer, code in (({"ErrorCode": 1}, 10016), ({"ErrorCode": 10111, "ErrorInfo": "no"}, 10111)):
        with pytest.raises(Refusal) as refused:
            play.world.execute(CREATE_GROUP, body, caller=ADMIN, decision=CallbackDecision.from_answer(answer))
        assert refused.value.code == code
    assert not play.world.state.groups
