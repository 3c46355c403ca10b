"""Message extensions in the state of the stub: sequence numbers, limits, switches, events."""

from typing import Any

import pytest

from tests.unit.worlds import ADMIN, CHANNEL, NOW, Play

SERVICE = "openim_msg_ext_http_svc"
SET, DELETE, CLEAR = 1, 2, 3


def prepared_play(**sections: dict[str, Any]) -> Play:
    """Return a channel with one message that accepts extensions and one that does not."""
    play = Play(**sections)
    play.channel("a")
    play.send(SupportMessageExtension=1)
    play.send()
    return play


def change(play: Play, operation: int, *items: tuple[str, str], seq: int = 1) -> list[tuple[int, str, int]]:
    pairs = [{"Key": key, "Value": value} for key, value in items]
    body = {"GroupId": CHANNEL, "MsgSeq": seq, "OperateType": operation, "ExtensionList": pairs}
    reply = play.call("group_set_key_values", SERVICE, **body)
    return [
        (item["ErrorCode"], item["Extension"]["Value"], item["Extension"]["Seq"]) for item in reply["ExtensionList"]
    ]


def read(play: Play, seq: int = 1, **fields: Any) -> dict[str, Any]:
    return play.call("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=seq, **fields)


def pairs(play: Play, **fields: Any) -> list[tuple[str, str, int]]:
    return [(item["Key"], item["Value"], item["Seq"]) for item in read(play, **fields)["ExtensionList"]]


def test_seq_counts_changes_per_message() -> None:
    play = prepared_play()
    assert change(play, SET, ("thumb", "1"), ("heart", "2")) == [(0, "1", 1), (0, "2", 1)]
    assert change(play, SET, ("thumb", "3")) == [(0, "3", 2)]
    assert pairs(play) == [("heart", "2", 1), ("thumb", "3", 2)]
    assert pairs(play, StartSeq=2) == [("thumb", "3", 2)]
    assert change(play, DELETE, ("heart", "")) == [(0, "", 3)]
    reply = read(play)
    assert (reply["LatestSeq"], reply["ClearSeq"], reply["CompleteFlag"]) == (3, 0, 1)
    assert pairs(play) == [("thumb", "3", 2)]
    assert change(play, CLEAR) == []
    reply = read(play)
    assert (reply["LatestSeq"], reply["ClearSeq"], reply["ExtensionList"]) == (4, 4, [])
    told = play.told("Group.CallbackAfterGroupMsgExtension")
    assert [(item["OperateType"], item["Seq"], len(item["ExtensionList"])) for item in told] == [
        (1, 1, 2), (1, 2, 1), (2, 3, 1), (3, 4, 0)
    ]  # fmt: skip
    assert set(told[0]) == {"CallbackCommand", "GroupId", "MsgSeq", "OperateType", "ExtensionList", "Seq", "EventTime"}
    assert told[2]["ExtensionList"] == [{"Key": "heart", "Value": "", "Seq": 3}]


def test_seq_can_count_per_key_with_tombstones() -> None:
    play = prepared_play(behaviour={"extension_seq": "key", "extension_tombstones": True})
    change(play, SET, ("thumb", "1"), ("heart", "1"))
    change(play, SET, ("thumb", "2"))
    change(play, DELETE, ("heart", ""))
    assert sorted(pairs(play)) == [("heart", "", 2), ("thumb", "2", 2)]


def test_seq_of_an_admin_is_checked_only_when_switched_on() -> None:
    stale = {
        "GroupId": CHANNEL,
        "MsgSeq": 1,
        "OperateType": SET,
        "ExtensionList": [{"Key": "k", "Value": "2", "Seq": 9}],
    }
    play = prepared_play()
    change(play, SET, ("k", "1"))
    assert play.call("group_set_key_values", SERVICE, **stale)["ExtensionList"][0]["ErrorCode"] == 0
    play = prepared_play(behaviour={"extension_check_admin_seq": True})
    change(play, SET, ("k", "1"))
    item = play.call("group_set_key_values", SERVICE, **stale)["ExtensionList"][0]
    assert item == {"ErrorCode": 23001, "Extension": {"Key": "k", "Value": "1", "Seq": 1}}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"OperateType": 4}, 10004),
        ({"OperateType": "1"}, 10004),
        ({"ExtensionList": None}, 10004),
        ({"ExtensionList": []}, 10004),
        ({"ExtensionList": [{"Key": f"k{n}", "Value": ""} for n in range(20)]}, 0),
        ({"ExtensionList": [{"Key": f"k{n}", "Value": ""} for n in range(21)]}, 10004),
        ({"ExtensionList": [{"Key": "", "Value": ""}]}, 10004),
        ({"ExtensionList": [{"Key": "汉" * 33 + "x", "Value": ""}]}, 0),
        ({"ExtensionList": [{"Key": "汉" * 34, "Value": ""}]}, 10004),
        ({"ExtensionList": [{"Key": "k", "Value": "x" * 1_000}]}, 0),
        ({"ExtensionList": [{"Key": "k", "Value": "x" * 1_001}]}, 10004),
        ({"ExtensionList": [{"Key": "k", "Value": "x", "Seq": -1}]}, 10004),
        ({"GroupId": "@TGS#_gone"}, 10010),
        ({"MsgSeq": 2}, 23002),
        ({"MsgSeq": 3}, 23004),
        ({"MsgSeq": -1}, 23004),
        ({"MsgSeq": 2**70}, 23004),
    ],
)
def test_set_has_documented_code(fields: dict[str, Any], code: int) -> None:
    play = prepared_play()
    pair = [{"Key": "k", "Value": "1"}]
    body = {"GroupId": CHANNEL, "MsgSeq": 1, "OperateType": SET, "ExtensionList": pair} | fields
    assert play.code("group_set_key_values", SERVICE, **body) == code


def test_extensions_are_refused_without_edition_or_for_communities() -> None:
    play = prepared_play(app={"message_extensions": False})
    assert play.code("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=1) == 10008
    for code in (23002, 10004, 10007):
        play = prepared_play(behaviour={"community_extensions": False, "extension_unsupported_code": code})
        assert play.code("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=1) == code


def test_extensions_of_recalled_and_unflagged_messages_have_their_codes() -> None:
    play = prepared_play()
    assert read(play, 2)["ExtensionList"] == []
    play.call("group_msg_recall", GroupId=CHANNEL, MsgSeqList=[{"MsgSeq": 1}])
    assert play.code("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=1) == 23004
    play = prepared_play(behaviour={"extension_unflagged_read_code": 23002})
    assert play.code("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=2) == 23002


def fill(play: Play, number: int) -> None:
    for start in range(0, number, 20):
        change(play, SET, *((f"k{n}", "v") for n in range(start, min(start + 20, number))))


def test_pairs_over_the_limit_of_a_message_are_refused() -> None:
    play = prepared_play()
    fill(play, 300)
    body = {"GroupId": CHANNEL, "MsgSeq": 1, "OperateType": SET}
    new = [{"Key": "k0", "Value": "again"}, {"Key": "one more", "Value": "v"}]
    assert play.code("group_set_key_values", SERVICE, **body, ExtensionList=new) == 10004
    assert change(play, SET, ("k0", "again"))[0][0] == 0
    play = prepared_play(behaviour={"extension_over_limit": "per_key"})
    fill(play, 300)
    codes = play.call("group_set_key_values", SERVICE, **body, ExtensionList=new)["ExtensionList"]
    assert [item["ErrorCode"] for item in codes] == [0, 10004]


def test_extensions_are_read_in_pages_of_200() -> None:
    play = prepared_play()
    fill(play, 300)
    first = read(play)
    assert (len(first["ExtensionList"]), first["CompleteFlag"]) == (200, 0)
    second = read(play, StartSeq=first["ExtensionList"][-1]["Seq"])
    assert second["CompleteFlag"] == 1
    keys = {item["Key"] for item in (*first["ExtensionList"], *second["ExtensionList"])}
    assert len(keys) == 300
    assert play.code("group_get_key_values", SERVICE, GroupId=CHANNEL, MsgSeq=1, StartSeq=-1) == 10004


def test_limit_of_200_changes_per_minute_applies_to_admins() -> None:
    play = prepared_play()
    for number in range(200):
        change(play, SET, ("k", str(number)))
    body = {"GroupId": CHANNEL, "MsgSeq": 1, "OperateType": CLEAR}
    assert play.code("group_set_key_values", SERVICE, **body) == 23003
    assert pairs(play) == [("k", "199", 200)]
    play.clock.advance(60)
    assert play.code("group_set_key_values", SERVICE, **body) == 0


def test_deletion_of_missing_key_succeeds_or_has_configured_code() -> None:
    play = prepared_play()
    assert change(play, DELETE, ("none", "")) == [(0, "", 1)]
    play = prepared_play(behaviour={"extension_delete_missing_code": 23004})
    assert change(play, DELETE, ("none", "")) == [(23004, "", 0)]
    assert play.told("Group.CallbackAfterGroupMsgExtension") == []


def test_imported_messages_refuse_extensions_unless_switched_on() -> None:
    for allowed, code in ((False, 23002), (True, 0)):
        play = Play(behaviour={"imported_extensions": allowed})
        play.call("import_group", Type="Community", Name="n", GroupId=CHANNEL, CreateTime=NOW - 100)
        message = {
            "From_Account": ADMIN,
            "SendTime": NOW - 50,
            "MsgBody": [{"MsgType": "TIMFaceElem", "MsgContent": {"Index": 1}}],
        }
        play.call("import_group_msg", GroupId=CHANNEL, MsgList=[message])
        body = {"GroupId": CHANNEL, "MsgSeq": 1, "OperateType": SET, "ExtensionList": [{"Key": "k", "Value": "v"}]}
        assert play.code("group_set_key_values", SERVICE, **body) == code


def test_extensions_of_missing_one_to_one_message_are_refused() -> None:
    play = prepared_play()
    pair = [{"Key": "k", "Value": "1"}]
    body = {"To_Account": "a", "MsgKey": "1_2_3", "OperateType": SET, "ExtensionList": pair}
    assert play.code("set_key_values", SERVICE, **body) == 23004
    assert play.code("set_key_values", SERVICE, **(body | {"OperateType": 9})) == 10004
    assert play.code("get_key_values", SERVICE, To_Account="a", MsgKey="1_2_3") == 23004
    assert play.code("get_key_values", SERVICE, To_Account=1, MsgKey="1_2_3") == 60015
