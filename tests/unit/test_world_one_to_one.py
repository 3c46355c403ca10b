"""One-to-one messages of the stub: pairs, visibility, repeats, read positions, paging, events, saved state."""

from pathlib import Path
from typing import Any

import pytest

from channel_adapter.stub.state_file import read_records, write_state
from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent.catalog import COMMANDS
from tests.unit.worlds import ADMIN, DAY, NOW, Play, text

IM, ACCOUNTS = "openim", "official_account_open_http_svc"
EXTENSIONS, CONTACTS = "openim_msg_ext_http_svc", "recentcontact"
HARBOUR = "@TOA#_" + "h" * 42  # 48 bytes, longer than any user id
EDITOR, ANN, BEN = "editor_7", "ann", "ben"
LAST = "C2C.CallbackAfterSendMsg"


def prepared_play(**sections: dict[str, Any]) -> Play:
    """Return a state with users and an official account that belongs to the editor and has Ann as subscriber."""
    play = Play(**sections)
    play.users(EDITOR, ANN, BEN)
    play.call("create_official_account", ACCOUNTS, OfficialAccountUserID=HARBOUR, Owner_Account=EDITOR, Name="Harbour")
    play.call("add_subscriber", ACCOUNTS, Official_Account=HARBOUR, SubscriberList=[{"Subscriber_Account": ANN}])
    play.events.clear()
    return play


def send(play: Play, words: str = "hello", **fields: Any) -> str:
    """Send a message from the account to Ann and return its MsgKey."""
    body = {"From_Account": HARBOUR, "To_Account": ANN, "MsgRandom": 1, "MsgBody": text(words)} | fields
    key = play.call("sendmsg", IM, **body)["MsgKey"]
    assert isinstance(key, str)
    return key


def thread(play: Play, user: str = ANN, peer: str = HARBOUR, **fields: Any) -> dict[str, Any]:
    body = {"Operator_Account": user, "Peer_Account": peer, "MaxCnt": 100, "MinTime": 0, "MaxTime": NOW + DAY} | fields
    return play.call("admin_getroammsg", IM, **body)


def words_of(reply: dict[str, Any]) -> list[str]:
    return [item["MsgBody"][0]["MsgContent"]["Text"] for item in reply["MsgList"]]


def unread(play: Play, user: str = ANN) -> int:
    total = play.call("get_c2c_unread_msg_num", IM, To_Account=user)["AllC2CUnreadMsgNum"]
    assert isinstance(total, int)
    return total


def events_of(play: Play, command: str) -> list[dict[str, Any]]:
    return [event.body for event in play.events if event.command == f"C2C.Callback{command}"]


def test_message_has_one_key_for_both_sides() -> None:
    play = prepared_play()
    key = send(play, "welcome", MsgSeq=7, MsgRandom=8, SyncOtherMachine=1, CloudCustomData="v1")
    assert key == f"7_8_{NOW}"
    answer = play.world.client(ANN).send(HARBOUR, "thanks", random=9)
    assert answer.msg_key.endswith(f"_9_{NOW}")
    for user, peer in ((ANN, HARBOUR), (HARBOUR, ANN)):
        reply = thread(play, user, peer)
        assert sorted(words_of(reply)) == ["thanks", "welcome"]
        assert (reply["Complete"], reply["MsgCnt"]) == (1, 2)
    first = next(item for item in thread(play)["MsgList"] if item["MsgSeq"] == 7)
    assert first == {
        "From_Account": HARBOUR, "To_Account": ANN, "MsgSeq": 7, "MsgRandom": 8, "MsgTimeStamp": NOW, "MsgFlagBits": 0,
        "IsPeerRead": 0, "MsgKey": key, "MsgBody": text("welcome"), "CloudCustomData": "v1",
    }  # fmt: skip


def test_message_for_the_receiver_only_is_not_in_sender_history() -> None:
    play = prepared_play()
    send(play, SyncOtherMachine=2)
    assert words_of(thread(play)) == ["hello"]
    assert thread(play, HARBOUR, ANN)["MsgList"] == []


@pytest.mark.parametrize("fields", [{"OnlineOnlyFlag": 1}, {"MsgLifeTime": 0}])
def test_online_only_message_is_not_stored(fields: dict[str, Any]) -> None:
    play = prepared_play()
    assert send(play, **fields)
    assert (thread(play)["MsgList"], unread(play)) == ([], 0)
    assert len(events_of(play, "AfterSendMsg")) == 1
    assert play.world.state.conversations.get(ANN, HARBOUR) is None


def test_repeat_within_the_window_returns_the_first_message() -> None:
    play = prepared_play()
    first = send(play, MsgSeq=5)
    play.clock.advance(119)
    assert send(play, MsgSeq=5) == first
    assert len(thread(play)["MsgList"]) == 1
    assert send(play, MsgSeq=6) != first
    assert send(play, "other words", MsgSeq=5) != first
    play.clock.advance(1)
    assert send(play, MsgSeq=5) != first
    assert len(events_of(play, "AfterSendMsg")) == 4


def test_repeat_to_another_receiver_is_dropped_unless_scope_is_pair() -> None:
    body: dict[str, Any] = {"From_Account": EDITOR, "MsgSeq": 1}
    for scope, number in (("sender", 0), ("pair", 1)):
        play = prepared_play(behaviour={"c2c_duplicate_scope": scope})
        send(play, To_Account=ANN, **body)
        send(play, To_Account=BEN, **body)
        assert len(thread(play, BEN, EDITOR)["MsgList"]) == number


def test_repeat_without_msg_seq_returns_the_assigned_key() -> None:
    play = prepared_play()
    key = send(play)
    play.clock.advance(30)
    assert send(play) == key
    assert len(thread(play)["MsgList"]) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To_Account": "nobody"}, 20003),
        ({"From_Account": "@TOA#_gone"}, 20003),
        ({"To_Account": "n" * 49}, 20003),
        ({"To_Account": BEN}, 130002),
        ({"MsgBody": text("x" * 12_289)}, 80002),
        ({"To_Account": 5}, 60015),
        ({"To_Account": None}, 90003),
        ({"SendMsgControl": ["Silent"]}, 90001),
        ({"MsgSeq": 2**32}, 90001),
        ({"MsgRandom": -1}, 90005),
    ],
)
def test_refused_message_changes_nothing(fields: dict[str, Any], code: int) -> None:
    play = prepared_play()
    before = play.world.dump()
    body = {"From_Account": HARBOUR, "To_Account": ANN, "MsgRandom": 1, "MsgBody": text()} | fields
    assert play.code("sendmsg", IM, **body) == code
    assert play.world.dump() == before
    failed = [event["SendMsgResult"] for event in events_of(play, "AfterSendMsg")]
    assert failed == ([code] if code in (20003, 130002) else [])


def test_writing_to_an_account_requires_ownership_or_subscription() -> None:
    play = prepared_play()
    assert play.code("sendmsg", IM, From_Account=EDITOR, To_Account=HARBOUR, MsgRandom=1, MsgBody=text()) == 0
    with pytest.raises(Refusal, match="130002"):
        play.world.client(BEN).send(HARBOUR, "hello?")
    open_to_all = prepared_play(behaviour={"official_c2c_needs_subscription": False})
    assert open_to_all.world.client(BEN).send(HARBOUR, "hello?").msg_key
    off = Play(app={"official_accounts": False})
    off.world.load(play.world.dump())
    assert off.code("sendmsg", IM, From_Account=HARBOUR, To_Account=ANN, MsgRandom=1, MsgBody=text()) == 131000


def test_unread_counts_follow_read_positions() -> None:
    play = prepared_play()
    for number in range(3):
        send(play, MsgRandom=number)
        send(play, From_Account=EDITOR, MsgRandom=number)
    send(play, MsgRandom=9, SendMsgControl=["NoUnread"])
    assert unread(play) == 6
    peers = play.call("get_c2c_unread_msg_num", IM, To_Account=ANN, Peer_Account=[HARBOUR, EDITOR, BEN, "nobody"])
    assert peers["C2CUnreadMsgNumList"] == [
        {"Peer_Account": HARBOUR, "C2CUnreadMsgNum": 3},
        {"Peer_Account": EDITOR, "C2CUnreadMsgNum": 3},
        {"Peer_Account": BEN, "C2CUnreadMsgNum": 0},
    ]
    assert peers["ErrorList"] == [{"Peer_Account": "nobody", "ErrorCode": 90048}]
    play.call("admin_set_msg_read", IM, Report_Account=ANN, Peer_Account=EDITOR)
    assert unread(play) == 3
    send(play, From_Account=EDITOR, MsgRandom=8)
    assert unread(play) == 4, "a message after the reading in the same second is unread"
    client = play.world.client(ANN)
    client.read_messages(HARBOUR)
    assert (client.unread_messages(HARBOUR), client.unread_messages(EDITOR), client.unread_messages()) == (0, 1, 1)
    assert events_of(play, "AfterMsgReport") == [
        {
            "CallbackCommand": "C2C.CallbackAfterMsgReport", "EventTime": NOW * 1000, "Report_Account": ANN,
            "Peer_Account": peer, "LastReadTime": NOW, "UnreadMsgNum": number,
        }
        for peer, number in ((EDITOR, 3), (HARBOUR, 1))
    ]  # fmt: skip


def test_messages_are_marked_as_read_up_to_a_time() -> None:
    play = prepared_play()
    for number in range(4):
        send(play, MsgRandom=number)
        play.clock.advance(10)
    play.call("admin_set_msg_read", IM, Report_Account=ANN, Peer_Account=HARBOUR, MsgReadTime=NOW + 19)
    assert unread(play) == 2


def test_account_has_its_own_unread_count_unless_switched_off() -> None:
    play = prepared_play()
    play.world.client(ANN).send(HARBOUR, "when does the ferry leave?")
    assert unread(play, HARBOUR) == 1
    play.call("admin_set_msg_read", IM, Report_Account=HARBOUR, Peer_Account=ANN)
    assert unread(play, HARBOUR) == 0
    off = prepared_play(behaviour={"official_account_reads": False})
    assert off.code("get_c2c_unread_msg_num", IM, To_Account=HARBOUR) == 90048


def test_broadcasts_count_as_unread_unless_switched_off() -> None:
    for counts in (True, False):
        play = prepared_play(behaviour={"official_broadcast_counts_as_unread": counts})
        send(play)
        play.call("send_official_account_msg", ACCOUNTS, Official_Account=HARBOUR, Random=1, MsgBody=text())
        assert unread(play) == 1 + counts
        assert len(thread(play)["MsgList"]) == 1
        play.call("admin_set_msg_read", IM, Report_Account=ANN, Peer_Account=HARBOUR)
        assert unread(play) == 0


def test_history_is_paged_backwards_with_ascending_pages() -> None:
    play = prepared_play()
    for number in range(7):
        send(play, f"m{number}", MsgSeq=9 - number, MsgRandom=number)
        play.clock.advance(number % 2)  # pairs of messages within one second are ordered by MsgSeq
    everything = words_of(thread(play))
    assert everything == ["m1", "m0", "m3", "m2", "m5", "m4", "m6"]
    pages, fields = [], dict[str, Any]()
    while True:
        reply = thread(play, MaxCnt=3, **fields)
        pages.append(words_of(reply))
        if reply["Complete"]:
            break
        assert reply["LastMsgTime"] == reply["MsgList"][0]["MsgTimeStamp"]
        assert reply["LastMsgKey"] == reply["MsgList"][0]["MsgKey"]
        fields = {"MaxTime": reply["LastMsgTime"], "LastMsgKey": reply["LastMsgKey"]}
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [word for page in reversed(pages) for word in page] == everything
    assert words_of(thread(play, MinTime=NOW + 1, MaxTime=NOW + 1)) == ["m3", "m2"]


def test_page_is_cut_at_its_bytes_and_has_at_least_one_message() -> None:
    play = prepared_play()
    for number in range(3):
        send(play, "x" * 6_000, MsgRandom=number)
    reply = thread(play)
    assert (reply["MsgCnt"], reply["Complete"]) == (2, 0)
    long = prepared_play(limits={"roaming_bytes": 100})
    send(long, "x" * 500)
    assert (thread(long)["MsgCnt"], thread(long)["Complete"]) == (1, 1)


def test_messages_after_roaming_days_are_hidden_and_can_be_recalled() -> None:
    play = prepared_play()
    key = send(play)
    play.clock.advance(7 * DAY + 1)
    assert thread(play, MaxTime=NOW + 8 * DAY)["MsgList"] == []
    names = {"From_Account": HARBOUR, "To_Account": ANN, "MsgKey": key}
    assert play.code("modify_c2c_msg", IM, **names, CloudCustomData="x") == 20026
    assert play.code("admin_msgwithdraw", IM, **names) == 0


def test_history_accepts_older_account_field_names() -> None:
    play = prepared_play()
    send(play)
    body = {"From_Account": ANN, "To_Account": HARBOUR, "MaxCnt": 9, "MinTime": 0, "MaxTime": NOW}
    assert play.call("admin_getroammsg", IM, **body)["MsgCnt"] == 1


def test_recalled_message_is_a_placeholder_and_not_unread() -> None:
    play = prepared_play()
    key = send(play)
    names = {"From_Account": HARBOUR, "To_Account": ANN, "MsgKey": key}
    assert play.code("admin_msgwithdraw", IM, **(names | {"From_Account": ANN, "To_Account": HARBOUR})) == 20022
    play.call("admin_msgwithdraw", IM, **names)
    assert play.code("admin_msgwithdraw", IM, **names) == 20023
    (item,) = thread(play)["MsgList"]
    assert (item["MsgFlagBits"], item["MsgBody"], unread(play)) == (8, [], 0)
    (event,) = events_of(play, "AfterMsgWithDraw")
    assert (event["From_Account"], event["To_Account"], event["MsgKey"], event["UnreadMsgNum"]) == (
        HARBOUR, ANN, key, 0,
    )  # fmt: skip
    assert play.code("modify_c2c_msg", IM, **names, CloudCustomData="x") == 20026


def test_edited_message_keeps_fields_that_are_not_sent() -> None:
    play = prepared_play()
    key = send(play, CloudCustomData="v1", MsgSeq=3)
    names = {"From_Account": HARBOUR, "To_Account": ANN, "MsgKey": key}
    play.call("modify_c2c_msg", IM, **names, MsgBody=text("edited"))
    (item,) = thread(play)["MsgList"]
    assert (item["MsgBody"], item["CloudCustomData"]) == (text("edited"), "v1")
    (event,) = events_of(play, "AfterModifyMsg")
    assert (event["Operator_Account"], event["MsgKey"], event["MsgSeq"], event["MsgTime"]) == (ADMIN, key, 3, NOW)
    assert play.code("modify_c2c_msg", IM, **names) == 90010


def test_deleted_messages_are_hidden_from_one_side_only() -> None:
    play = prepared_play()
    key = send(play, SyncOtherMachine=1)
    body = {"Operator_Account": ANN, "Peer_Account": HARBOUR, "MsgKeyList": [key, "1_2_3"]}
    play.call("delete_c2c_msg_ramble", IM, **body)
    assert (thread(play)["MsgList"], unread(play)) == ([], 0)
    assert len(thread(play, HARBOUR, ANN)["MsgList"]) == 1
    send(play, "later", MsgRandom=2)
    play.call("delete", CONTACTS, From_Account=ANN, Type=1, To_Account=HARBOUR, ClearRamble=1)
    assert thread(play)["MsgList"] == []
    assert len(thread(play, HARBOUR, ANN)["MsgList"]) == 2


def test_imported_messages_send_no_events_and_count_by_option() -> None:
    play = prepared_play()
    body = {
        "From_Account": EDITOR, "To_Account": ANN, "MsgSeq": 1, "MsgRandom": 2, "MsgTimeStamp": NOW - 60,
        "MsgBody": text("old"),
    }  # fmt: skip
    play.call("importmsg", IM, SyncFromOldSystem=2, **body)
    play.call("importmsg", IM, SyncFromOldSystem=2, **(body | {"MsgBody": text("again")}))
    turned = body | {"From_Account": ANN, "To_Account": EDITOR}
    play.call("importmsg", IM, SyncFromOldSystem=2, **turned)
    assert (words_of(thread(play, ANN, EDITOR)), unread(play), play.events) == (["old"], 0, [])
    play.call("importmsg", IM, SyncFromOldSystem=1, **(body | {"MsgSeq": 3}))
    assert unread(play) == 1
    assert play.code("importmsg", IM, SyncFromOldSystem=2, **(body | {"From_Account": HARBOUR})) == 20003
    assert play.code("importmsg", IM, SyncFromOldSystem=3, **body) == 90001
    taken = prepared_play(behaviour={"import_for_official_accounts": True})
    assert taken.code("importmsg", IM, SyncFromOldSystem=2, **(body | {"From_Account": HARBOUR})) == 0


BATCH = {"From_Account": HARBOUR, "To_Account": [ANN, BEN, "nobody"], "MsgRandom": 1, "MsgBody": text("gale")}


def test_batch_has_one_key_no_webhooks_and_a_code_for_each_failure() -> None:
    play = prepared_play()
    reply = play.call("batchsendmsg", IM, **BATCH, MsgSeq=4)
    assert reply["MsgKey"] == f"4_1_{NOW}"
    assert reply["ErrorList"] == [
        {"To_Account": BEN, "ErrorCode": 130002}, {"To_Account": "nobody", "ErrorCode": 70107},
    ]  # fmt: skip
    assert (words_of(thread(play)), unread(play), play.events) == (["gale"], 1, [])
    play.call("batchsendmsg", IM, **BATCH, MsgSeq=4)
    assert unread(play) == 2, "nothing is known about repeats of a batch"
    assert play.world.before_callback(COMMANDS[IM, "batchsendmsg"], BATCH, caller=ADMIN) is None
    once = prepared_play(behaviour={"batch_deduplicates": True})
    for _ in range(2):
        once.call("batchsendmsg", IM, **BATCH, MsgSeq=4)
    assert unread(once) == 1


def test_batch_messages_are_limited_per_minute() -> None:
    play = prepared_play(limits={"batch_messages_per_minute": 7})
    assert [play.code("batchsendmsg", IM, **BATCH) for _ in range(3)] == [0, 0, 90057]
    play.clock.advance(59)
    assert play.code("batchsendmsg", IM, **BATCH) == 90057
    play.clock.advance(1)
    assert play.code("batchsendmsg", IM, **BATCH) == 0


def test_extensions_of_one_to_one_message_are_set_and_read() -> None:
    play = prepared_play()
    key = send(play, SupportMessageExtension=1)
    names = {"From_Account": HARBOUR, "To_Account": ANN, "MsgKey": key}
    pair = [{"Key": "like", "Value": "1"}]
    reply = play.call("set_key_values", EXTENSIONS, **names, OperateType=1, ExtensionList=pair)
    assert reply["ExtensionList"] == [{"ErrorCode": 0, "Extension": {"Key": "like", "Value": "1", "Seq": 1}}]
    (result,) = play.world.client(ANN).set_message_extensions(HARBOUR, key, {"heart": "2"})
    assert result.error_code == 0
    stored = play.call("get_key_values", EXTENSIONS, **names)
    assert [(item["Key"], item["Seq"]) for item in stored["ExtensionList"]] == [("like", 1), ("heart", 2)]
    assert (stored["LatestSeq"], stored["CompleteFlag"]) == (2, 1)
    events = events_of(play, "AfterC2CMsgExtension")
    assert [(event["MsgKey"], event["To_Account"], event["Seq"]) for event in events] == [(key, ANN, 1), (key, ANN, 2)]
    plain = send(play, MsgRandom=2)
    body = {**names, "MsgKey": plain, "OperateType": 1, "ExtensionList": pair}
    assert play.code("set_key_values", EXTENSIONS, **body) == 23002
    assert play.code("get_key_values", EXTENSIONS, **(names | {"From_Account": BEN})) == 23004


def test_message_is_decided_by_the_before_webhook_of_the_app() -> None:
    play = prepared_play()
    command = COMMANDS[IM, "sendmsg"]
    body = {"From_Account": HARBOUR, "To_Account": ANN, "MsgSeq": 7, "MsgRandom": 8, "MsgBody": text("soup?")}
    event = play.world.before_callback(command, body, caller=ADMIN)
    assert event is not None
    asked = event.body
    assert (asked["MsgKey"], asked["MsgBody"], asked["OnlineOnlyFlag"]) == (f"7_8_{NOW}", text("soup?"), 0)

    def decide(**answer: Any) -> None:
        decision = CallbackDecision.from_answer({"ErrorCode": 0, "ErrorInfo": "", **answer})
        play.world.execute(command, body, caller=ADMIN, decision=decision)

    for code, refused in ((1, "20006"), (120_500, "120500")):
        with pytest.raises(Refusal, match=refused):
            decide(ErrorCode=code)
    decide(ErrorCode=2)
    assert (thread(play)["MsgList"], play.events) == ([], [])
    decide(MsgBody=text("haze"), CloudCustomData="blue")
    (item,) = thread(play)["MsgList"]
    assert (item["MsgBody"], item["CloudCustomData"]) == (text("haze"), "blue")
    (sent,) = events_of(play, "AfterSendMsg")
    assert (sent["MsgBody"], sent["MsgId"], sent["UnreadMsgNum"]) == (text("haze"), asked["MsgId"], 1)
    assert (sent["SendMsgResult"], sent["ErrorInfo"]) == (0, "send msg succeed")
    assert play.world.before_callback(command, body, caller=ADMIN) is None, "a repeat is no message"
    quiet = {**body, "MsgRandom": 9, "ForbidCallbackControl": ["ForbidBeforeSendMsgCallback"]}
    assert play.world.before_callback(command, quiet, caller=ADMIN) is None
    silent = {**quiet, "ForbidCallbackControl": ["ForbidAfterSendMsgCallback"]}
    play.call("sendmsg", IM, **silent)
    assert len(events_of(play, "AfterSendMsg")) == 1


def test_client_can_send_edit_confirm_recall_and_delete_messages() -> None:
    play = prepared_play()
    client = play.world.client(ANN, "Android")
    key = client.send(HARBOUR, "thanks", needs_receipt=True).msg_key
    own, other = key, send(play, MsgRandom=2)
    client.edit_message(HARBOUR, other, "changed by the reader")
    client.confirm_read(HARBOUR, [other])
    item = next(item for item in thread(play)["MsgList"] if item["MsgKey"] == other)
    assert (item["MsgBody"], item["IsPeerRead"]) == (text("changed by the reader"), 1)
    with pytest.raises(Refusal, match="20022"):
        client.recall_message(HARBOUR, other)
    client.recall_message(HARBOUR, own)
    late = client.send(HARBOUR, "too late").msg_key
    client.delete_messages(HARBOUR, [other])
    assert {item["MsgKey"] for item in thread(play)["MsgList"]} == {own, late}
    play.clock.advance(121)
    with pytest.raises(Refusal, match="20016"):
        client.recall_message(HARBOUR, late)
    (receipt,) = events_of(play, "AfterMsgReadReceipt")
    assert (receipt["Operator_Account"], receipt["Peer_Account"]) == (ANN, HARBOUR)
    assert [read["MsgKey"] for read in receipt["C2CMsgInfo"]] == [other]
    assert {event.platform for event in play.events if event.body.get("Operator_Account") == ANN} == {"Android"}


def test_client_marks_all_as_read_with_one_event() -> None:
    play = prepared_play()
    play.channel(ANN)
    play.send()
    send(play)
    play.call("send_official_account_msg", ACCOUNTS, Official_Account=HARBOUR, Random=1, MsgBody=text())
    client = play.world.client(ANN)
    assert (client.unread_messages(), client.unread("@TGS#_harbour")) == (2, 1)
    client.read_all()
    assert (client.unread_messages(), client.unread("@TGS#_harbour")) == (0, 0)
    (event,) = events_of(play, "AfterMsgReadAll")
    assert (event["Report_Account"], event["GroupReadInfo"]) == (ANN, [{"GroupId": "@TGS#_harbour", "MsgSeq": 1}])
    assert events_of(play, "AfterMsgReport") == []


def test_messages_update_recent_list_and_last_message_times() -> None:
    play = prepared_play()
    send(play, From_Account=EDITOR, SyncOtherMachine=2)
    play.clock.advance(10)
    play.world.client(ANN).send(HARBOUR, "hi")
    play.clock.advance(10)
    send(play, MsgRandom=5, SendMsgControl=["NoLastMsg"])
    listed = play.call(
        "get_list", CONTACTS, From_Account=ANN, TimeStamp=0, StartIndex=0, TopTimeStamp=0, TopStartIndex=0,
        AssistFlags=0,
    )  # fmt: skip
    assert [(item["To_Account"], item["MsgTime"]) for item in listed["SessionItem"]] == [
        (HARBOUR, NOW + 10), (EDITOR, NOW),
    ]  # fmt: skip
    info = play.call("get_official_account_info", ACCOUNTS, OfficialAccountIdList=[{"Official_Account": HARBOUR}])
    assert info["OfficialAccountInfoList"][0]["LastMsgTime"] == NOW + 10
    page = play.call("get_subscriber_info", ACCOUNTS, Official_Account=HARBOUR)
    assert page["SubscriberList"][0]["LastSendMsgTime"] == NOW + 10


def test_deleted_accounts_lose_their_conversations() -> None:
    play = prepared_play()
    send(play)
    send(play, From_Account=BEN)
    play.call("destroy_official_account", ACCOUNTS, Official_Account=HARBOUR)
    assert unread(play) == 1
    play.call("account_delete", "im_open_login_svc", DeleteItem=[{"UserID": BEN}])
    assert unread(play) == 0
    assert list(play.world.state.conversations.messages()) == []


def test_state_is_restored_completely_from_dump_and_file(tmp_path: Path) -> None:
    play = prepared_play()
    key = send(play, MsgSeq=5, SupportMessageExtension=1)
    names = {"From_Account": HARBOUR, "To_Account": ANN, "MsgKey": key}
    pair = [{"Key": "like", "Value": "1"}]
    play.call("set_key_values", EXTENSIONS, **names, OperateType=1, ExtensionList=pair)
    send(play, "receiver only", MsgRandom=2, SyncOtherMachine=2, SendMsgControl=["NoLastMsg"])
    client = play.world.client(ANN)
    recalled = client.send(HARBOUR, "oops", random=3).msg_key
    client.recall_message(HARBOUR, recalled)
    client.confirm_read(HARBOUR, [key])
    document = play.world.dump()
    saved, other = Play(), Play()
    write_state(tmp_path / "state", play.world)
    saved.world.restore(read_records(tmp_path / "state"))
    other.world.load(document)
    assert saved.world.dump() == other.world.dump() == document
    for user, peer in ((ANN, HARBOUR), (HARBOUR, ANN)):
        assert thread(other, user, peer) == thread(play, user, peer)
        assert unread(other, user) == unread(play, user)
    assert other.call("get_key_values", EXTENSIONS, **names)["LatestSeq"] == 1
    other.clock.advance(60)
    assert send(other, MsgSeq=5, SupportMessageExtension=1) == key, "the repeat is known after loading"
    other.world.reset()
    assert "one_to_one" not in other.world.dump()


def test_message_of_recreated_account_is_no_repeat() -> None:
    play = prepared_play()
    for _ in range(2):
        send(play, "welcome", MsgSeq=1, MsgRandom=1)
        assert words_of(thread(play)) == ["welcome"]
        play.call("destroy_official_account", ACCOUNTS, Official_Account=HARBOUR)
        play.call("create_official_account", ACCOUNTS, OfficialAccountUserID=HARBOUR, Owner_Account=EDITOR, Name="n")
        play.call("add_subscriber", ACCOUNTS, Official_Account=HARBOUR, SubscriberList=[{"Subscriber_Account": ANN}])
