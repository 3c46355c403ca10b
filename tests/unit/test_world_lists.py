"""Lists of groups in the state of the stub, and unread numbers."""

from typing import Any

import pytest

from tests.unit.worlds import ADMIN, CHANNEL, NOW, OWNER, Play


def joined(play: Play, **fields: Any) -> dict[str, Any]:
    return play.call("get_joined_group_list", **({"Member_Account": "reader_1"} | fields))


def ids(reply: dict[str, Any]) -> list[str]:
    return [item["GroupId"] for item in reply["GroupIdList"]]


def test_joined_pages_are_in_join_order_with_total_count() -> None:
    play = Play()
    play.users("reader_1")
    for number in (3, 1, 2):
        play.channel(group=f"@TGS#_{number}")
        play.add("reader_1", group=f"@TGS#_{number}")
        play.clock.advance(1)
    first = joined(play, Limit=2)
    assert ids(first) == ["@TGS#_3", "@TGS#_1"]
    assert first["TotalCount"] == 3
    assert ids(joined(play, Limit=2, Offset=2)) == ["@TGS#_2"]
    assert ids(joined(play, Limit=2, Offset=4)) == []
    assert first["GroupIdList"][0] == {"GroupId": "@TGS#_3"}


def test_imported_membership_is_listed_by_its_join_time() -> None:
    play = Play()
    play.users("reader_1")
    play.channel(group="@TGS#_new")
    play.add("reader_1", group="@TGS#_new")
    play.call("import_group", Type="Community", Name="n", GroupId="@TGS#_old", CreateTime=NOW - 100)
    member = {"Member_Account": "reader_1", "JoinTime": NOW - 50}
    play.call("import_group_member", GroupId="@TGS#_old", MemberList=[member])
    assert ids(joined(play)) == ["@TGS#_old", "@TGS#_new"]


def test_list_items_have_the_filtered_fields_and_self_info() -> None:
    play = Play()
    play.channel("reader_1")
    play.send()
    wanted = {
        "GroupBaseInfoFilter": ["Type", "NextMsgSeq"],
        "SelfInfoFilter": ["Role", "JoinTime", "MsgFlag", "MsgSeq", "UnreadMsgNum"],
    }
    item = joined(play, ResponseFilter=wanted)["GroupIdList"][0]
    assert item == {
        "GroupId": CHANNEL, "Type": "Community", "NextMsgSeq": 2,
        "SelfInfo": {"Role": "Member", "JoinTime": NOW, "MsgFlag": "AcceptAndNotify", "MsgSeq": 0},
    }  # fmt: skip
    assert "SelfInfo" not in joined(play, ResponseFilter={"GroupBaseInfoFilter": ["Type"]})["GroupIdList"][0]


def test_unread_number_and_tag_are_listed_when_switched_on() -> None:
    play = Play(behaviour={"joined_list_unread": True, "joined_list_app_defined_data": True})
    play.channel("reader_1", AppDefinedData=[{"Key": "ch_tag", "Value": "1"}])
    play.send()
    play.send(SendMsgControl=["NoUnread"])
    reply = joined(play, NeedAppDefineData=1, ResponseFilter={"SelfInfoFilter": ["UnreadMsgNum"]})
    assert reply["GroupIdList"][0]["SelfInfo"] == {"UnreadMsgNum": 1}
    assert reply["GroupIdList"][0]["AppDefinedData"] == [{"Key": "ch_tag", "Value": "1"}]
    assert "AppDefinedData" not in joined(play)["GroupIdList"][0]


def test_joined_list_is_filtered_by_type_and_topics() -> None:
    play = Play()
    play.channel("reader_1")
    for group, group_type, topics in (
        ("room", "Public", None),
        ("@TGS#_topics", "Community", 1),
        ("tv", "AVChatRoom", 0),
    ):
        member = [{"Member_Account": "reader_1"}]
        create = {"Type": group_type, "GroupId": group, "Name": "n", "MemberList": member}
        play.call("create_group", **(create if topics is None else create | {"SupportTopic": topics}))
    assert set(ids(joined(play))) == {CHANNEL, "room", "@TGS#_topics"}
    assert set(ids(joined(play, WithHugeGroups=1))) == {CHANNEL, "room", "@TGS#_topics", "tv"}
    assert ids(joined(play, GroupType="Community", SupportTopic=0)) == [CHANNEL]
    assert ids(joined(play, GroupType="Community", SupportTopic=1)) == ["@TGS#_topics"]
    assert ids(joined(play, Type="Public")) == ["room"]
    assert ids(joined(play, GroupType="Public", Type="Community")) == ["room"]


def test_communities_can_be_excluded_from_the_untyped_list() -> None:
    play = Play(behaviour={"community_in_untyped_list": False})
    play.channel("reader_1")
    assert ids(joined(play)) == []
    assert ids(joined(play, GroupType="Community")) == [CHANNEL]
    assert play.call("get_appid_group_list")["TotalCount"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Member_Account": "ghost"}, 10019),
        ({"Member_Account": 1}, 60015),
        ({"Limit": 5000}, 0),
        ({"Limit": 5001}, 10004),
        ({"Limit": 0}, 10004),
        ({"Limit": "5"}, 10004),
        ({"Offset": -1}, 10004),
        ({"Offset": 10**30}, 0),
        ({"SupportTopic": 0}, 10004),
        ({"SupportTopic": 0, "GroupType": "Public"}, 10004),
        ({"GroupType": "Club"}, 10004),
        ({"ResponseFilter": []}, 10004),
        ({"ResponseFilter": {"SelfInfoFilter": "Role"}}, 10004),
    ],
)
def test_joined_list_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = Play()
    play.users("reader_1")
    assert play.code("get_joined_group_list", **({"Member_Account": "reader_1"} | fields)) == code


def test_reply_over_the_size_limit_is_refused() -> None:
    play = Play(limits={"reply_bytes": 2_000})
    play.users("reader_1")
    for number in range(30):
        play.channel(group=f"@TGS#_{number}")
        play.add("reader_1", group=f"@TGS#_{number}")
    wanted = {"GroupBaseInfoFilter": ["Name", "FaceUrl", "Introduction", "Owner_Account", "Type"]}
    full = {"Member_Account": "reader_1", "ResponseFilter": wanted}
    assert play.code("get_joined_group_list", **full) == 10018
    assert play.code("get_joined_group_list", **full, Limit=10) == 0


def test_list_of_the_app_is_paged_by_cursor() -> None:
    play = Play()
    for number in range(5):
        play.channel(group=f"@TGS#_{number}")
    play.call("create_group", Type="Public", GroupId="room", Name="n")
    first = play.call("get_appid_group_list", GroupType="Community", Limit=2)
    assert first["TotalCount"] == 5
    play.call("destroy_group", GroupId="@TGS#_0")
    second = play.call("get_appid_group_list", GroupType="Community", Limit=2, Next=first["Next"])
    third = play.call("get_appid_group_list", GroupType="Community", Limit=2, Next=second["Next"])
    assert ids(first) + ids(second) + ids(third) == [f"@TGS#_{number}" for number in range(5)]
    assert third["Next"] == 0
    assert play.call("get_appid_group_list")["TotalCount"] == 5
    for fields in ({"Limit": 0}, {"Limit": 10_001}, {"Next": -1}, {"GroupType": "x"}):
        assert play.code("get_appid_group_list", **fields) == 10004


def test_unread_number_sets_the_read_position() -> None:
    play = Play()
    play.channel("reader_1")
    for _ in range(3):
        play.send()

    def seq_after(unread: int) -> Any:
        play.call("set_unread_msg_num", GroupId=CHANNEL, Member_Account="reader_1", UnreadMsgNum=unread)
        member = play.member("reader_1")
        assert member is not None
        return member["MsgSeq"]

    assert [seq_after(unread) for unread in (0, 1, 3, 99)] == [3, 2, 0, 0]
    assert play.code("set_unread_msg_num", GroupId=CHANNEL, Member_Account=ADMIN, UnreadMsgNum=0) == 10007
    assert play.code("set_unread_msg_num", GroupId=CHANNEL, Member_Account=OWNER, UnreadMsgNum=-1) == 10004
    assert play.code("set_unread_msg_num", GroupId="@TGS#_x", Member_Account=OWNER, UnreadMsgNum=0) == 10010


def test_history_is_read_for_new_and_rejoined_members() -> None:
    play = Play(behaviour={"joined_list_unread": True})
    play.channel()
    play.send()
    play.users("reader_1")
    play.add("reader_1")

    def unread() -> Any:
        reply = joined(play, ResponseFilter={"SelfInfoFilter": ["UnreadMsgNum"]})
        return reply["GroupIdList"][0]["SelfInfo"]["UnreadMsgNum"]

    assert unread() == 0
    second = play.send()
    assert unread() == 1
    play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": second}])
    assert unread() == 0
    play.send()
    play.call("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["reader_1"])
    play.add("reader_1")
    assert unread() == 0
