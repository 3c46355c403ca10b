"""Snapshots of the state: complete, deterministic, without secrets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from channel_adapter.stub.settings import DEFAULT_KEY
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.snapshot import SnapshotError
from tests.unit.worlds import CHANNEL, DAY, NOW, OWNER, Play, text


def busy() -> Play:
    """Return a state with an instance of everything."""
    play = Play(app={"member_fields": ["lvl"]})
    play.channel("a", "b", AppDefinedData=[{"Key": "ch_tag", "Value": "1"}], MaxMemberCount=100_000)
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="a", NameCard="Ann", Role="Admin")
    field = [{"Key": "lvl", "Value": "3"}]
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="b", AppMemberDefinedData=field, MuteTime=DAY)
    play.send("汉 🎈", SupportMessageExtension=1)
    play.send(SendMsgControl=["NoUnread"])
    play.send()
    pair = [{"Key": "thumb", "Value": "1"}]
    play.call(
        "group_set_key_values", "openim_msg_ext_http_svc", GroupId=CHANNEL, MsgSeq=1, OperateType=1, ExtensionList=pair
    )
    play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 3}])
    play.call("pin_message", GroupId=CHANNEL, MsgSeq=1)
    play.call(
        "create_group",
        Type="Public",
        GroupId="room",
        Name="n",
        MaxMemberCount=100_000,
        MemberList=[{"Member_Account": "a"}],
    )
    service = "official_account_open_http_svc"
    play.call("create_official_account", service, OfficialAccountUserID="@TOA#_n", Owner_Account=OWNER, Name="n")
    play.call("create_official_account", service, OfficialAccountUserID="@TOA#_x", Owner_Account=OWNER, Name="n")
    play.call("destroy_official_account", service, Official_Account="@TOA#_x")
    play.call("add_subscriber", service, Official_Account="@TOA#_n", SubscriberList=[{"Subscriber_Account": "a"}])
    play.call("send_official_account_msg", service, Official_Account="@TOA#_n", Random=1, MsgBody=text())
    group = [{"GroupName": "Channels", "ContactItem": [{"Type": 2, "ToGroupId": CHANNEL}]}]
    play.call("create_contact_group", "recentcontact", From_Account="a", GroupContactItem=group)
    play.call("delete", "recentcontact", From_Account="a", Type=2, ToGroupid="room")
    play.users("gone")
    play.call("account_delete", "im_open_login_svc", DeleteItem=[{"UserID": "gone"}])
    item = [{"Tag": "Tag_Profile_IM_Nick", "Value": "Ann"}]
    play.call("portrait_set", "profile", From_Account="a", ProfileItem=item)
    play.world.client("a").login()
    return play


def through_json(play: Play) -> Play:
    """Return another state, loaded from the JSON bytes of the first one."""
    data = orjson.loads(orjson.dumps(play.world.dump()))
    other = Play(app={"member_fields": ["lvl"]})
    other.world.load(data)
    return other


def test_loaded_state_equals_the_dumped_state() -> None:
    play = busy()
    other = through_json(play)
    assert other.world.dump() == play.world.dump()
    for each in (play, other):
        each.clock.advance(1)
    questions: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("get_group_info", "group_open_http_svc", {"GroupIdList": [CHANNEL, "room"]}),
        ("get_group_member_info", "group_open_http_svc", {"GroupId": CHANNEL, "Limit": 2}),
        ("get_joined_group_list", "group_open_http_svc", {"Member_Account": "a"}),
        ("group_msg_get_simple", "group_open_http_svc", {"GroupId": CHANNEL, "ReqMsgNumber": 9, "WithRecalledMsg": 1}),
        ("get_group_muted_account", "group_open_http_svc", {"GroupId": CHANNEL}),
        ("get_contact_group", "recentcontact", {"From_Account": "a", "StartIndex": 0}),
        ("official_account_msg_get_simple", "official_account_open_http_svc", {"Official_Account": "@TOA#_n"}),
        ("create_group", "group_open_http_svc", {"Type": "Community", "Name": "n"}),
    )
    for name, service, body in questions:
        assert other.call(name, service, **body) == play.call(name, service, **body)
    assert other.code("account_import", "im_open_login_svc", UserID="gone") == 70399


def test_repeat_is_recognised_after_loading() -> None:
    play = busy()
    body = {"GroupId": CHANNEL, "Random": 77, "From_Account": OWNER, "MsgBody": text()}
    first = play.call("send_group_msg", **body)
    assert through_json(play).call("send_group_msg", **body) == first


def test_dump_is_a_copy() -> None:
    play = busy()
    data = play.world.dump()
    before = orjson.dumps(data)
    play.call("modify_group_base_info", GroupId=CHANNEL, AppDefinedData=[{"Key": "ch_tag", "Value": "2"}])
    play.call("modify_group_member_info", GroupId=CHANNEL, Member_Account="a", NameCard="Other")
    assert orjson.dumps(data) == before
    play.world.load(data)
    play.call("modify_group_base_info", GroupId=CHANNEL, AppDefinedData=[{"Key": "ch_tag", "Value": "3"}])
    assert orjson.dumps(data) == before


def test_dump_contains_no_secret() -> None:
    assert DEFAULT_KEY.encode() not in orjson.dumps(busy().world.dump())


def test_invalid_snapshot_is_refused_with_reason_and_without_change() -> None:
    play = busy()
    good = play.world.dump()
    group = good["groups"][0]
    columns = group["members"]

    def members(**changed: list[Any]) -> dict[str, Any]:
        return good | {"groups": [group | {"members": columns | changed}]}

    bad: tuple[tuple[Any, str], ...] = (
        ({}, "version None"),
        (good | {"version": 3}, "^the state has version 3, this stub reads 1 and 2$"),
        (good | {"version": True}, "version True"),
        ([], "version None"),
        ({key: value for key, value in good.items() if key != "groups"}, "damaged"),
        (good | {"groups": [{"group_id": "x"}]}, "damaged"),
        (good | {"random": [3, [1], None]}, "damaged"),
        (members(read=[0]), "differ in length"),
        (members(serials=[1, 1, 2]), "do not ascend"),
        (members(serials=[1, 2, 4]), "do not ascend"),
        (members(serials=[-1, 2, 3]), "damaged"),
        (members(users=["a", "a", "b"]), "'a' is a member twice"),
        (members(users=["a", "b", "nobody"]), "'nobody' has no account"),
        (members(roles=[1, 1, 4]), "does not exist"),
        (members(joined=["1", "2", "3"]), "damaged"),
    )
    for data, reason in bad:
        with pytest.raises(SnapshotError, match=reason):
            play.world.load(data)
        assert play.world.dump() == good


def places_in(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of every value that is neither a list nor an object; contents of messages are free."""
    if isinstance(value, dict | list) and path[-1:] != ("MsgContent",):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(item, *path, key)
    elif not isinstance(value, dict | list):
        yield path


def test_value_of_other_type_is_refused_at_every_place() -> None:
    play = busy()
    play.call("sendmsg", "openim", From_Account="a", To_Account="b", MsgSeq=1, MsgRandom=1, MsgBody=text())
    good = orjson.dumps(play.world.dump())
    places = [path for path in places_in(orjson.loads(good)) if path[0] != "random"]
    assert len(places) > 150
    for *parents, last in places:
        document = orjson.loads(good)
        place = document
        for key in parents:
            place = place[key]
        place[last] = {"of": "another type"}
        with pytest.raises(SnapshotError, match="the state"):
            play.world.load(document)
    assert orjson.dumps(play.world.dump()) == good


def test_refused_value_is_named_by_its_place() -> None:
    play = busy()
    document = orjson.loads(orjson.dumps(play.world.dump()))
    document["groups"][0]["messages"][1]["time"] = "noon"
    with pytest.raises(
        SnapshotError, match=r"^the state is damaged: messages\.1\.time: Input should be a valid integer$"
    ):
        play.world.load(document)


def test_snapshot_of_version_1_is_loaded() -> None:
    """The file was written by `busy` with version 1 of the state."""
    play = Play(app={"member_fields": ["lvl"]})
    old = orjson.loads(Path(__file__).with_name("state_version_1.json").read_bytes())
    assert old["version"] == 1
    play.world.load(old)
    assert play.world.state.online == {user: ["Unknown"] for user in old["online"]}
    now = busy().world.dump()
    assert old["online"] == list(now["online"]) != []
    assert play.world.dump() | {"online": now["online"]} == now


def test_large_state_is_saved_in_many_small_records() -> None:
    play = Play()
    readers = [f"reader_{number}" for number in range(25_000)]
    for user in readers:
        play.world.state.add_account(user)
    group = play.world.state.groups[play.channel()]
    for user in readers:
        play.world.state.join(group, user, MemberRole.MEMBER, 1, 0)
    records = list(play.world.records())
    sizes = [len(data["users"]) for kind, data in records if kind == "members"]
    assert sizes == [10_000, 10_000, 5_001]
    other = Play()
    other.world.restore(records)
    assert other.world.dump() == play.world.dump()
    assert len(other.world.state.groups[group.group_id].members) == 25_001


def test_change_counter_increases_only_after_possible_changes() -> None:
    play = Play()
    play.channel()
    play.users("a")
    before = play.world.changes
    play.info()
    assert play.world.changes == before
    play.send()
    after = play.world.changes
    assert after > before
    play.world.client("a").join(CHANNEL)
    assert play.world.changes > after


def test_reset_restores_the_initial_state() -> None:
    play = busy()
    play.world.reset()
    assert play.world.dump() == Play(app={"member_fields": ["lvl"]}).world.dump()


def test_last_message_time_of_account_outlives_the_account_of_its_sender() -> None:
    play = busy()
    play.clock.advance(60)
    play.call("sendmsg", "openim", From_Account="a", To_Account="@TOA#_n", MsgSeq=1, MsgRandom=1, MsgBody=text())
    play.call("account_delete", "im_open_login_svc", DeleteItem=[{"UserID": "a"}])
    asked = {"OfficialAccountIdList": [{"Official_Account": "@TOA#_n"}]}
    for each in (play, through_json(play)):
        reply = each.call("get_official_account_info", "official_account_open_http_svc", **asked)
        assert reply["OfficialAccountInfoList"][0]["LastMsgTime"] == NOW + 60


def test_recent_conversations_of_one_second_have_the_same_order_after_loading() -> None:
    play = Play()
    play.users("b", "c", "d")
    for number, (sender, receiver) in enumerate((("c", "d"), ("b", "d"), ("b", "c"))):
        body = {"From_Account": sender, "To_Account": receiver, "MsgSeq": number, "MsgRandom": number}
        play.call("sendmsg", "openim", **body, MsgBody=text())
    start = {"TimeStamp": 0, "StartIndex": 0, "TopTimeStamp": 0, "TopStartIndex": 0, "AssistFlags": 7}
    lists = [each.call("get_list", "recentcontact", From_Account="b", **start) for each in (play, through_json(play))]
    assert [item["To_Account"] for item in lists[0]["SessionItem"]] == ["c", "d"]
    assert lists[1] == lists[0]
