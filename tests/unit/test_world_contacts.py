"""Conversation groups, marks and recent conversations in the state of the stub."""

from typing import Any

import orjson
import pytest

from tests.unit.worlds import CHANNEL, NOW, OWNER, Play, text

SERVICE = "recentcontact"
NEWS = {"Type": 2, "ToGroupId": CHANNEL}
GONE = {"Type": 2, "ToGroupId": "@TGS#_gone"}
ADD_NEWS = {"ContactOptType": 1, "ContactItem": NEWS}
FRIEND = {"Type": 1, "To_Account": OWNER}


def prepared_play(**sections: dict[str, Any]) -> Play:
    play = Play(**sections)
    play.channel("a")
    return play


def create(play: Play, name: str = "Channels", *items: dict[str, Any]) -> dict[str, Any]:
    group = {"GroupName": name, "ContactItem": list(items or (NEWS,))}
    return play.call("create_contact_group", SERVICE, From_Account="a", GroupContactItem=[group])


def listed(play: Play, **fields: Any) -> dict[str, Any]:
    return play.call("get_contact_group", SERVICE, **({"From_Account": "a", "StartIndex": 0} | fields))


def update(play: Play, kind: int, **fields: Any) -> dict[str, Any]:
    body = {"UpdateGroupType": kind, "OldGroupName": "Channels"} | fields
    return play.call("update_contact_group", SERVICE, From_Account="a", UpdateType=1, UpdateGroup=body)


def moved(play: Play, *changes: tuple[int, dict[str, Any]]) -> list[int]:
    items = [{"ContactOptType": operation, "ContactItem": item} for operation, item in changes]
    results = update(play, 2, ContactUpdateItem=items)["UpdateGroupResult"]["ContactResultItem"]
    return [item["ResultCode"] for item in results]


def test_create_returns_a_code_for_each_conversation() -> None:
    play = prepared_play()
    reply = create(play, "Channels", NEWS, GONE, FRIEND, {"Type": 1, "To_Account": "ghost"})
    group = reply["GroupResultItem"][0]
    assert group["GroupItem"] == {"GroupName": "Channels", "GroupId": 1}
    assert [item["ResultCode"] for item in group["ResultItem"]] == [0, 51007, 0, 50001]
    assert group["ResultItem"][0]["ContactItem"] == NEWS
    assert reply["ErrorDisplay"] == ""
    page = listed(play)
    assert page["GroupItem"] == [{"GroupName": "Channels", "GroupId": 1}]
    assert page["ContactItem"] == [
        NEWS | {"ContactGroupId": [1], "Timestamp": NOW},
        FRIEND | {"ContactGroupId": [1], "Timestamp": NOW},
    ]
    assert (page["CompleteFlag"], page["NextStartIndex"]) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"From_Account": "ghost"}, 50001),
        ({"From_Account": 1}, 60015),
        ({"GroupContactItem": []}, 50002),
        ({"GroupContactItem": "x"}, 50002),
        ({"GroupContactItem": [{"GroupName": "n", "ContactItem": [NEWS]}] * 2}, 50002),
        ({"GroupContactItem": [{"GroupName": "", "ContactItem": [NEWS]}]}, 50002),
        ({"GroupContactItem": [{"GroupName": "汉" * 10 + "xx", "ContactItem": [NEWS]}]}, 0),
        ({"GroupContactItem": [{"GroupName": "汉" * 11, "ContactItem": [NEWS]}]}, 51011),
        ({"GroupContactItem": [{"GroupName": "n", "ContactItem": []}]}, 51006),
        ({"GroupContactItem": [{"GroupName": "n", "ContactItem": [NEWS] * 101}]}, 51006),
        ({"GroupContactItem": [{"GroupName": "n", "ContactItem": [{"Type": 2, "To_Account": "a"}]}]}, 50002),
        ({"GroupContactItem": [{"GroupName": "n", "ContactItem": [{"Type": 3, "ToGroupId": CHANNEL}]}]}, 50002),
    ],
)
def test_create_of_conversation_group_has_documented_code(fields: dict[str, Any], code: int) -> None:
    body = {"From_Account": "a", "GroupContactItem": [{"GroupName": "n", "ContactItem": [NEWS]}]} | fields
    assert prepared_play().code("create_contact_group", SERVICE, **body) == code


def test_groups_and_conversations_of_a_user_are_limited() -> None:
    play = prepared_play(limits={"contact_groups": 2, "grouped_conversations": 1})
    create(play)
    group = [{"GroupName": "n", "ContactItem": [FRIEND]}]
    assert play.code("create_contact_group", SERVICE, From_Account="a", GroupContactItem=group) == 51008
    create(play, "Second", NEWS)
    group = [{"GroupName": "Third", "ContactItem": [NEWS]}]
    assert play.code("create_contact_group", SERVICE, From_Account="a", GroupContactItem=group) == 51010
    assert play.call("get_contact_group", SERVICE, From_Account=OWNER, StartIndex=0)["GroupItem"] == []


def test_conversation_limit_can_apply_per_group() -> None:
    play = prepared_play(limits={"grouped_conversations": 1}, behaviour={"contact_group_limit": "group"})
    create(play)
    create(play, "Second", FRIEND)
    items = [{"ContactOptType": 1, "ContactItem": FRIEND}]
    body = {"UpdateGroupType": 2, "OldGroupName": "Channels", "ContactUpdateItem": items}
    assert play.code("update_contact_group", SERVICE, From_Account="a", UpdateType=1, UpdateGroup=body) == 51008


def test_existing_group_name_is_refused_or_merged_by_setting() -> None:
    play = prepared_play()
    create(play)
    group = [{"GroupName": "Channels", "ContactItem": [FRIEND]}]
    assert play.code("create_contact_group", SERVICE, From_Account="a", GroupContactItem=group) == 50002
    play = prepared_play(behaviour={"contact_group_duplicate": "merge"})
    create(play)
    assert create(play, "Channels", FRIEND)["GroupResultItem"][0]["GroupItem"]["GroupId"] == 1
    assert len(listed(play)["ContactItem"]) == 2


@pytest.mark.parametrize(("settings", "code"), [({}, 51007), ({"contact_group_needs_membership": False}, 0)])
def test_filing_and_marking_a_group_require_membership_unless_switched_off(
    settings: dict[str, bool], code: int
) -> None:
    play = prepared_play(behaviour=settings)
    play.channel(group="@TGS#_other")
    other = {"Type": 2, "ToGroupId": "@TGS#_other"}
    results = create(play, "Channels", NEWS, other)["GroupResultItem"][0]["ResultItem"]
    assert [item["ResultCode"] for item in results] == [0, code]
    assert moved(play, (1, other), (2, other)) == [code, 0]
    assert mark(play, {"OptType": 2, "ContactItem": other, "CustomMark": "x"}) == [code]


def test_conversations_are_added_and_removed_with_a_code_each() -> None:
    play = prepared_play()
    create(play)
    assert moved(play, (1, FRIEND), (1, NEWS), (2, NEWS), (2, GONE), (1, GONE)) == [0, 0, 0, 0, 51007]
    assert [item["Type"] for item in listed(play)["ContactItem"]] == [1]
    play = prepared_play(behaviour={"contact_group_repeat_code": 50002})
    create(play)
    assert moved(play, (1, NEWS), (2, FRIEND)) == [50002, 50002]


def test_renamed_group_keeps_its_number() -> None:
    play = prepared_play()
    create(play)
    create(play, "Second")
    result = update(play, 1, NewGroupName="Updates")["UpdateGroupResult"]
    assert result == {"UpdateGroupType": 1, "GroupName": "Updates", "GroupId": 1, "OldGroupName": "Channels"}
    body: dict[str, Any] = {"UpdateGroupType": 1, "OldGroupName": "Updates"}
    for new, code in (("Second", 50002), ("x" * 33, 51011), ("", 50002), (None, 50002)):
        fields = {"From_Account": "a", "UpdateType": 1, "UpdateGroup": body | {"NewGroupName": new}}
        assert play.code("update_contact_group", SERVICE, **fields) == code


@pytest.mark.parametrize(
    ("group", "code"),
    [
        ({"UpdateGroupType": 3}, 50002),
        ({"UpdateGroupType": 2}, 51006),
        ({"UpdateGroupType": 2, "ContactUpdateItem": [{"ContactOptType": 3, "ContactItem": NEWS}]}, 50002),
        ({"UpdateGroupType": 2, "ContactUpdateItem": [{"ContactOptType": 1, "ContactItem": NEWS}] * 101}, 51006),
        ({"UpdateGroupType": 1, "OldGroupName": "None", "NewGroupName": "x"}, 51009),
        ({"UpdateGroupType": 2, "OldGroupName": "-", "ContactUpdateItem": [ADD_NEWS]}, 51009),
    ],
)  # fmt: skip
def test_refused_update_has_documented_code(group: dict[str, Any], code: int) -> None:
    play = prepared_play()
    create(play)
    body = {"From_Account": "a", "UpdateType": 1, "UpdateGroup": {"OldGroupName": "Channels"} | group}
    assert play.code("update_contact_group", SERVICE, **body) == code
    assert play.code("update_contact_group", SERVICE, **(body | {"UpdateType": 2})) == 50002


def test_deleted_group_keeps_marked_conversations() -> None:
    play = prepared_play()
    create(play, "Channels", NEWS, FRIEND)
    mark(play, {"OptType": 1, "ContactItem": NEWS, "SetMark": [0]})
    reply = play.call("del_contact_group", SERVICE, From_Account="a", GroupName=["Channels"])
    assert reply["GroupItem"] == [{"GroupName": "Channels", "GroupId": 1}]
    assert [item["StandardMark"] for item in listed(play)["ContactItem"]] == ["1"]
    assert play.code("del_contact_group", SERVICE, From_Account="a", GroupName=["Channels"]) == 51009
    assert play.code("del_contact_group", SERVICE, From_Account="a", GroupName=["x", "y"]) == 50002
    assert create(play, "Channels")["GroupResultItem"][0]["GroupItem"]["GroupId"] == 2


def mark(play: Play, *items: dict[str, Any]) -> list[int]:
    reply = play.call("mark_contact", SERVICE, From_Account="a", MarkItem=list(items))
    return [item["ResultCode"] for item in reply["ResultItem"]]


def test_marks_are_set_and_cleared() -> None:
    play = prepared_play()
    assert mark(play, {"OptType": 1, "ContactItem": NEWS, "SetMark": [0, 3]}) == [0]
    assert mark(play, {"OptType": 3, "ContactItem": NEWS, "ClearMark": [0], "CustomMark": "vip"}) == [0]
    assert mark(play, {"OptType": 2, "ContactItem": GONE, "CustomMark": "x"}) == [51007]
    item = listed(play)["ContactItem"][0]
    assert (item["StandardMark"], item["CustomMark"]) == ("1000", "vip")
    mark(play, {"OptType": 3, "ContactItem": NEWS, "ClearMark": [3], "CustomMark": ""})
    assert listed(play)["ContactItem"] == []


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"OptType": 4}, 50002),
        ({"OptType": 1, "SetMark": [64]}, 50002),
        ({"OptType": 1, "SetMark": [-1]}, 50002),
        ({"OptType": 2, "CustomMark": "x" * 256}, 0),
        ({"OptType": 2, "CustomMark": "x" * 257}, 50002),
    ],
)
def test_mark_has_documented_code(item: dict[str, Any], code: int) -> None:
    body = {"From_Account": "a", "MarkItem": [{"ContactItem": NEWS} | item]}
    assert prepared_play().code("mark_contact", SERVICE, **body) == code
    assert prepared_play().code("mark_contact", SERVICE, From_Account="a", MarkItem=[]) == 51006


def test_groups_and_standard_marks_are_refused_without_the_edition() -> None:
    play = prepared_play(app={"conversation_groups": False})
    group = [{"GroupName": "n", "ContactItem": [NEWS]}]
    assert play.code("create_contact_group", SERVICE, From_Account="a", GroupContactItem=group) == 51013
    assert play.code("get_contact_group", SERVICE, From_Account="a", StartIndex=0) == 51013
    custom = {"OptType": 2, "ContactItem": NEWS, "CustomMark": "x"}
    assert mark(play, custom) == [0]
    standard = [{"OptType": 1, "ContactItem": NEWS, "SetMark": [1]}]
    assert play.code("mark_contact", SERVICE, From_Account="a", MarkItem=standard) == 51013
    strict = prepared_play(app={"conversation_groups": False}, behaviour={"custom_marks_need_edition": True})
    assert strict.code("mark_contact", SERVICE, From_Account="a", MarkItem=[custom]) == 51013


def test_search_returns_groups_of_each_conversation() -> None:
    play = prepared_play()
    create(play)
    reply = play.call("search_contact_group", SERVICE, From_Account="a", ContactItem=[NEWS, FRIEND])
    assert reply["ContactResultItem"] == [NEWS | {"ContactGroupId": [1], "Timestamp": NOW}, FRIEND]
    play = prepared_play(behaviour={"search_returns_bare": False})
    assert play.call("search_contact_group", SERVICE, From_Account="a", ContactItem=[NEWS])["ContactResultItem"] == []
    assert play.code("search_contact_group", SERVICE, From_Account="a", ContactItem=[NEWS] * 301) == 50002


def test_filed_conversations_are_returned_in_pages() -> None:
    play = prepared_play(limits={"contact_group_page": 1})
    create(play, "Channels", NEWS, FRIEND)
    first = listed(play)
    assert (len(first["ContactItem"]), first["CompleteFlag"], first["NextStartIndex"]) == (1, 0, 1)
    second = listed(play, StartIndex=1)
    assert (len(second["ContactItem"]), second["CompleteFlag"]) == (1, 1)
    assert play.code("get_contact_group", SERVICE, From_Account="a", StartIndex=-1) == 50002


@pytest.mark.parametrize("cleaned", [False, True])
def test_leaving_and_dissolving_clean_groups_only_when_switched_on(cleaned: bool) -> None:
    play = prepared_play(behaviour={"contact_group_cleaned": cleaned})
    play.channel("a", group="@TGS#_other")
    create(play, "Channels", NEWS, {"Type": 2, "ToGroupId": "@TGS#_other"})
    play.call("delete_group_member", GroupId=CHANNEL, MemberToDel_Account=["a"])
    play.call("destroy_group", GroupId="@TGS#_other")
    assert len(listed(play)["ContactItem"]) == (0 if cleaned else 2)


def recent(play: Play, flags: int = 63) -> list[dict[str, Any]]:
    body = {"From_Account": "a", "TimeStamp": 0, "StartIndex": 0, "TopTimeStamp": 0, "TopStartIndex": 0}
    found: list[dict[str, Any]] = play.call("get_list", SERVICE, **body, AssistFlags=flags)["SessionItem"]
    return found


def test_recent_list_has_conversations_until_they_are_deleted() -> None:
    play = prepared_play()
    play.channel("a", group="@TGS#_quiet")
    play.send()
    create(play)
    items = recent(play)
    assert items[0] == {"Type": 2, "GroupId": CHANNEL, "MsgTime": NOW, "TopFlag": 0, "ContactGroupId": [1]}
    assert len(items) == 2
    assert len(recent(play, flags=1)) == 1
    play.call("delete", SERVICE, From_Account="a", Type=2, ToGroupid=CHANNEL)
    assert recent(play, flags=1) == []
    assert len(listed(play)["ContactItem"]) == 1
    play.clock.advance(1)
    play.send()
    assert len(recent(play, flags=1)) == 1
    assert play.code("delete", SERVICE, From_Account="a", Type=2, To_Account="x") == 50002
    assert play.code("delete", SERVICE, From_Account="ghost", Type=1, To_Account="x") == 50001


def test_message_with_no_last_msg_leaves_recent_list_as_it_is() -> None:
    play = prepared_play()
    official, account = "official_account_open_http_svc", "@TOA#_n"
    play.call("create_official_account", official, OfficialAccountUserID=account, Owner_Account="a", Name="n")
    play.call("add_subscriber", official, Official_Account=account, SubscriberList=[{"Subscriber_Account": "a"}])
    broadcast = {"Official_Account": account, "MsgBody": text()}
    play.send()
    play.call("send_official_account_msg", official, Random=1, **broadcast)
    play.clock.advance(60)
    play.send(SendMsgControl=["NoLastMsg"])
    play.call("send_official_account_msg", official, Random=2, SendMsgControl=["NoLastMsg"], **broadcast)
    loaded = Play()
    loaded.world.load(orjson.loads(orjson.dumps(play.world.dump())))
    for each in (play, loaded):
        assert [item["MsgTime"] for item in recent(each, flags=1)] == [NOW, NOW]
    assert play.info()["LastMsgTime"] == NOW + 60
