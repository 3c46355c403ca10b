"""Profiles, pins, online counts, counters, attributes, and commands refused for Communities."""

from typing import Any

import pytest

from channel_adapter.stub.world.stub_state import HANDLERS
from channel_adapter.tencent.catalog import COMMANDS
from tests.unit.worlds import ADMIN, CHANNEL, OWNER, Play

NICK, GENDER, LEVEL = "Tag_Profile_IM_Nick", "Tag_Profile_IM_Gender", "Tag_Profile_IM_Level"


def test_every_command_of_the_catalog_has_a_handler() -> None:
    assert set(HANDLERS) == set(COMMANDS)


def test_profiles_are_set_and_read() -> None:
    play = Play(app={"profile_fields": ["city"]})
    play.users("a")
    values = {NICK: "Ann", LEVEL: 3, GENDER: "Gender_Type_Female", "Tag_Profile_Custom_city": "Oslo"}
    items = [{"Tag": tag, "Value": value} for tag, value in values.items()]
    assert play.call("portrait_set", "profile", From_Account="a", ProfileItem=items)["ErrorDisplay"] == ""
    tags = [*values, "Tag_Profile_IM_Image"]
    reply = play.call("portrait_get", "profile", To_Account=["a", "ghost"], TagList=tags)
    assert reply["UserProfileItem"][0]["ProfileItem"] == items
    assert reply["UserProfileItem"][1]["ResultCode"] == 40003
    assert "ProfileItem" not in reply["UserProfileItem"][1]
    assert reply["Fail_Account"] == ["ghost"]
    assert "Fail_Account" not in play.call("portrait_get", "profile", To_Account=["a"], TagList=tags)


def test_unset_profile_fields_are_empty_when_switched_on() -> None:
    play = Play(behaviour={"profile_empty_fields": True})
    reply = play.call("portrait_get", "profile", To_Account=[ADMIN], TagList=[NICK, LEVEL])
    assert [item["Value"] for item in reply["UserProfileItem"][0]["ProfileItem"]] == ["", 0]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"Tag": NICK, "Value": "x" * 500}, 0),
        ({"Tag": NICK, "Value": "x" * 501}, 40601),
        ({"Tag": NICK, "Value": 5}, 40610),
        ({"Tag": NICK, "Value": None}, 40610),
        ({"Tag": NICK, "Value": True}, 40610),
        ({"Tag": LEVEL, "Value": "5"}, 40610),
        ({"Tag": LEVEL, "Value": -1}, 40610),
        ({"Tag": LEVEL, "Value": 2**32}, 40610),
        ({"Tag": GENDER, "Value": "x"}, 40605),
        ({"Tag": "Tag_Profile_IM_Location", "Value": "x" * 17}, 40601),
        ({"Tag": "Tag_Profile_Custom_none", "Value": "x"}, 40009),
        ({"Tag": "Nick", "Value": "x"}, 40009),
        ({"Value": "x"}, 40001),
    ],
)
def test_portrait_set_has_documented_code(item: dict[str, Any], code: int) -> None:
    play = Play()
    before = {"Tag": NICK, "Value": "kept"}
    play.call("portrait_set", "profile", From_Account=ADMIN, ProfileItem=[before])
    body = {"From_Account": ADMIN, "ProfileItem": [{"Tag": NICK, "Value": "lost"}, item]}
    assert play.code("portrait_set", "profile", **body) == code
    if code:
        assert play.world.state.profiles[ADMIN][NICK] == "kept"


def test_portrait_refusals_have_documented_codes() -> None:
    play = Play()
    item = [{"Tag": NICK, "Value": "x"}]
    assert play.code("portrait_set", "profile", From_Account="ghost", ProfileItem=item) == 40003
    assert play.code("portrait_set", "profile", From_Account=ADMIN, ProfileItem=[]) == 40001
    assert play.code("portrait_get", "profile", TagList=[NICK]) == 40002
    assert play.code("portrait_get", "profile", To_Account=[ADMIN] * 101, TagList=[NICK]) == 40001
    assert play.code("portrait_get", "profile", To_Account=[ADMIN], TagList=[]) == 40001
    assert play.code("portrait_get", "profile", To_Account=[ADMIN], TagList=["x"]) == 40009
    assert play.code("portrait_get", "profile", To_Account=[7], TagList=[NICK]) == 60015


def pin(play: Play, seq: int, **fields: Any) -> int:
    return play.code("pin_message", GroupId=CHANNEL, MsgSeq=seq, **fields)


def test_pins_are_limited_and_released_by_recall() -> None:
    play = Play(limits={"pins": 2})
    play.channel()
    for _ in range(3):
        play.send()
    assert [pin(play, 2), pin(play, 1, Pinner_Account=OWNER), pin(play, 2), pin(play, 3)] == [0, 0, 10071, 10070]
    pinned = play.call("get_pinned_messages", GroupId=CHANNEL)["PinnedMsgList"]
    assert pinned == [{"MsgSeq": 2, "Pinner_Account": ADMIN}, {"MsgSeq": 1, "Pinner_Account": OWNER}]
    play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 2}])
    assert pin(play, 3) == 0
    assert play.code("unpin_message", GroupId=CHANNEL, MsgSeq=1) == 0
    assert play.code("unpin_message", GroupId=CHANNEL, MsgSeq=1) == 0
    assert [pin(play, 9), pin(play, 2), pin(play, 1, Pinner_Account="ghost"), pin(play, 1, TopicId="t")] == [
        10004, 10004, 10019, 10004
    ]  # fmt: skip


def test_pins_are_refused_when_switched_off() -> None:
    play = Play(behaviour={"pins": False})
    play.channel()
    assert pin(play, 1) == 10003


def test_online_count_counts_a_user_once() -> None:
    play = Play()
    play.channel("a", "b")
    play.world.client("a").login()
    play.world.client("a", "Web").login()
    million = "million_group_open_http_svc"
    assert play.call("get_online_member_num", million, GroupId=CHANNEL)["OnlineMemberNum"] == 1
    assert play.code("get_online_member_num", million, GroupId="@TGS#_x") == 10010


BODIES: dict[str, dict[str, Any]] = {
    "update_group_counter": {"GroupCounter": [{"Key": "k", "Value": 1}]},
    "set_group_attr": {"GroupAttr": [{"key": "k", "value": "v"}]},
    "modify_group_attr": {"GroupAttr": [{"key": "k", "value": "v"}]},
    "delete_group_attr": {"GroupAttr": [{"key": "k"}]},
    "group_msg_receipt": {"From_Account": OWNER, "MsgSeqList": [{"MsgSeq": 1}]},
    "get_group_msg_receipt": {"MsgSeqList": [{"MsgSeq": 1}]},
    "get_group_msg_receipt_detail": {"MsgSeq": 1, "Filter": 0, "Count": 10},
    "ban_group_member": {"Members_Account": [OWNER], "Duration": 5},
    "unban_group_member": {"Members_Account": [OWNER]},
    "modify_admin": {"CommandType": 1, "Admin_Account": [OWNER]},
    "check_members": {"Member_Account": [OWNER]},
    "create_topic": {"TopicName": "t"},
    "modify_topic": {"TopicId": "t"},
    "destroy_topic": {"TopicIdList": ["t"]},
    "import_topic": {"Type": "Community", "TopicName": "t"},
    "get_permission_group_member_list": {"PermissionGroupId": "p"},
    "send_broadcast_msg": {"Random": 1, "MsgBody": []},
}


CARRIED_OUT = ("get_members", "group_set_key_values", "group_get_key_values")  # disputed, accepted by default
REFUSED = [key for key, row in COMMANDS.items() if row.community in ("no", "disputed") and row.name not in CARRIED_OUT]


@pytest.mark.parametrize("path", REFUSED)
def test_command_without_community_support_is_refused(path: tuple[str, str]) -> None:
    service, name = path
    play = Play()
    play.channel()
    body = {"GroupId": CHANNEL} | BODIES.get(name, {})
    assert play.code(name, service, **body) == 10007
    if name != "send_broadcast_msg":
        assert play.code(name, service, **(body | {"GroupId": "@TGS#_gone"})) == 10010
        assert play.code(name, service, **(body | {"GroupId": 5})) == 10004


def test_topic_creation_is_refused_without_communities() -> None:
    play = Play(app={"community": False})
    body = {"GroupId": CHANNEL, "TopicName": "t"}
    assert play.code("create_topic", "million_group_open_http_svc", **body) == 11000


def room(play: Play) -> dict[str, Any]:
    play.call("create_group", Type="Public", GroupId="room", Name="n")
    return {"GroupId": "room"}


def test_counters_of_other_groups_are_changed_within_limits() -> None:
    play = Play()
    group = room(play)

    def update(mode: str | None, **values: int) -> list[int]:
        items = [{"Key": key, "Value": value} for key, value in values.items()]
        body = group | {"GroupCounter": items} | ({"Mode": mode} if mode else {})
        return [item["Value"] for item in play.call("update_group_counter", **body)["GroupCounter"]]

    assert update("Increase", a=2, b=1) == [2, 1]
    assert update("Decrease", a=5) == [-3]
    assert update("Set", b=9) == [9]
    reply = play.call("get_group_counter", **group, GroupCounterKeys=["b", "none"])
    assert reply["GroupCounter"] == [{"Key": "b", "Value": 9}]
    many = [{"Key": f"k{number}", "Value": 1} for number in range(19)]
    assert play.code("update_group_counter", **group, GroupCounter=many) == 10063
    assert play.code("update_group_counter", **group, GroupCounter=[{"Key": "b", "Value": 2**63}]) == 10004
    assert play.code("update_group_counter", **group, GroupCounter=many[:1], Mode="Add") == 10004
    play.call("delete_group_counter", **group, GroupCounterKeys=["a"])
    assert play.call("get_group_counter", **group)["GroupCounter"] == [{"Key": "b", "Value": 9}]
    play.call("delete_group_counter", **group)
    assert play.call("get_group_counter", **group)["GroupCounter"] == []


def test_attributes_of_other_groups_are_changed_within_limits() -> None:
    play = Play()
    group = room(play)

    def attributes() -> dict[str, str]:
        found = play.call("get_group_attr", "group_open_attr_http_svc", **group)["GroupAttrAry"]
        return {item["key"]: item["value"] for item in found}

    play.call("set_group_attr", **group, GroupAttr=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    play.call("modify_group_attr", **group, GroupAttr=[{"key": "b", "value": "3"}])
    assert attributes() == {"a": "1", "b": "3"}
    assert play.code("delete_group_attr", **group, GroupAttr=[{"key": "a"}, {"key": "none"}]) == 10050
    play.call("delete_group_attr", **group, GroupAttr=[{"key": "a"}])
    assert attributes() == {"b": "3"}
    cases: tuple[tuple[list[dict[str, str]], int], ...] = (
        ([{"key": "x" * 33, "value": ""}], 10045),
        ([{"key": "x", "value": "y" * 4_001}], 10046),
        ([{"key": f"k{number}", "value": ""} for number in range(17)], 10047),
        ([{"key": f"k{number}", "value": "y" * 4_000} for number in range(4)], 10048),
    )
    for items, code in cases:
        assert play.code("set_group_attr", **group, GroupAttr=items) == code
    assert attributes() == {"b": "3"}
    play.call("clear_group_attr", **group)
    assert attributes() == {}


def test_counters_and_attributes_of_communities_can_be_switched_on() -> None:
    play = Play(behaviour={"counters_on_community": True, "attributes_on_community": True})
    play.channel()
    assert play.code("get_group_counter", GroupId=CHANNEL) == 0
    assert play.code("get_group_attr", "group_open_attr_http_svc", GroupId=CHANNEL) == 0
