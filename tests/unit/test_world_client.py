"""Actions of users in client apps, and the webhooks that the app receives."""

from collections.abc import Callable
from typing import Any

import pytest

from channel_adapter.stub.world.context import CallbackDecision
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.simulated_user import SimulatedUser
from tests.unit.worlds import CHANNEL, OWNER, Play, text


def prepared_play(**sections: dict[str, Any]) -> tuple[Play, SimulatedUser]:
    play = Play(**sections)
    play.users("reader_1")
    play.channel()
    return play, play.world.client("reader_1", platform="Android")


def refused(do: Any, *arguments: Any, **fields: Any) -> int:
    with pytest.raises(Refusal) as refusal:
        do(*arguments, **fields)
    return refusal.value.code


def test_client_requires_existing_account_and_known_platform() -> None:
    play = Play()
    assert refused(play.world.client, "ghost") == 70107
    with pytest.raises(ValueError, match="iOS, Android"):
        play.world.client("administrator", platform="Toaster")
    lenient = Play(behaviour={"auto_import": True})
    lenient.world.client("new_one")
    assert lenient.world.state.account("new_one") == "new_one"
    assert refused(lenient.world.client, "ü") == 70107


def test_joining_and_leaving_send_events_and_repeats_are_refused() -> None:
    play, reader = prepared_play()
    reader.join(CHANNEL)
    assert refused(reader.join, CHANNEL) == 10013
    event = play.events[-1]
    assert (event.command, event.platform) == ("Group.CallbackAfterNewMemberJoin", "Android")
    assert (event.body["JoinType"], event.body["Operator_Account"]) == ("Apply", "reader_1")
    reader.leave(CHANNEL)
    assert refused(reader.leave, CHANNEL) == 10007
    event = play.events[-1]
    assert (event.body["ExitType"], event.body["Operator_Account"]) == ("Quit", "reader_1")
    assert play.info()["MemberNum"] == 1
    assert refused(play.world.client(OWNER).leave, CHANNEL) == 10009


def test_join_is_refused_with_documented_code() -> None:
    play, reader = prepared_play(limits={"groups_per_user": 1})
    asked = reader.before_join(CHANNEL)
    assert (asked.command, asked.body["Requestor_Account"]) == ("Group.CallbackBeforeApplyJoinGroup", "reader_1")
    assert refused(reader.join, CHANNEL, decision=CallbackDecision(code=1)) == 10016
    play.call("modify_group_base_info", GroupId=CHANNEL, ApplyJoinOption="DisableApply")
    assert refused(reader.join, CHANNEL) == 10007
    play.call("modify_group_base_info", GroupId=CHANNEL, ApplyJoinOption="FreeAccess", MaxMemberNum=1)
    assert refused(reader.join, CHANNEL) == 10014
    assert play.told("Group.CallbackAfterGroupFull")
    play.call("modify_group_base_info", GroupId=CHANNEL, MaxMemberNum=9)
    reader.join(CHANNEL)
    play.call("create_group", Type="Community", Name="n", GroupId="@TGS#_b")
    assert refused(reader.join, "@TGS#_b") == 10037
    assert refused(reader.join, "@TGS#_gone") == 10010


def test_read_position_only_moves_forward() -> None:
    play, reader = prepared_play()
    reader.join(CHANNEL)
    for _ in range(3):
        play.send()
    assert reader.unread(CHANNEL) == 3
    assert [reader.read(CHANNEL, 2), reader.read(CHANNEL, 1), reader.unread(CHANNEL)] == [2, 2, 1]
    assert reader.read(CHANNEL, 99) == 3
    assert reader.unread(CHANNEL) == 0
    assert refused(play.world.client("administrator").read, CHANNEL) == 10007


def test_post_requires_membership_and_speaking_permission() -> None:
    play, reader = prepared_play()
    assert refused(reader.post, CHANNEL, "hi") == 10007
    reader.join(CHANNEL)
    assert reader.post(CHANNEL, "hi").msg_seq == 1
    assert reader.post(CHANNEL, text("elements"), random=7).msg_seq == 2
    assert reader.post(CHANNEL, "again", random=7).msg_seq == 2
    event = play.events[-1]
    assert (event.command, event.platform) == ("Group.CallbackAfterSendMsg", "Android")
    assert (event.body["From_Account"], event.body["Operator_Account"]) == ("reader_1", "reader_1")
    play.call("modify_group_base_info", GroupId=CHANNEL, MuteAllMember="On")
    assert refused(reader.post, CHANNEL, "hi") == 10017
    assert play.world.client(OWNER).post(CHANNEL, "hello").msg_seq == 3
    asked = play.world.client(OWNER).before_post(CHANNEL, "hello")
    assert asked is not None
    assert asked.command == "Group.CallbackBeforeSendMsg"


def test_member_can_edit_posts_within_the_limits() -> None:
    play, reader = prepared_play()
    play.send("first")
    assert refused(reader.edit, CHANNEL, 1, "x") == 10007
    reader.join(CHANNEL)
    reader.edit(CHANNEL, 1, "second")
    reply = play.call("group_msg_get_simple", GroupId=CHANNEL, ReqMsgNumber=1)
    assert reply["RspMsgList"][0]["MsgBody"] == text("second")
    assert play.events[-1].body["Operator_Account"] == "reader_1"
    assert refused(reader.edit, CHANNEL, 9, "x") == 20026
    assert refused(reader.edit, CHANNEL, 1, "x" * 12_289) == 80002


def test_member_can_recall_own_posts_within_two_minutes() -> None:
    play, reader = prepared_play()
    reader.join(CHANNEL)
    play.send()
    reader.post(CHANNEL, "mine")
    reader.post(CHANNEL, "mine too")
    assert refused(reader.recall, CHANNEL, 1) == 10007
    play.clock.advance(120)
    reader.recall(CHANNEL, 2)
    assert play.events[-1].command == "Group.CallbackAfterRecallMsg"
    assert refused(reader.recall, CHANNEL, 2) == 10030
    play.world.client(OWNER).recall(CHANNEL, 1)
    play.clock.advance(1)
    assert refused(reader.recall, CHANNEL, 3) == 10031


def test_extension_changes_require_the_current_seq() -> None:
    play, reader = prepared_play()
    reader.join(CHANNEL)
    play.users("reader_2")
    other = play.world.client("reader_2")
    other.join(CHANNEL)
    play.send(SupportMessageExtension=1)
    assert [item.error_code for item in reader.set_extensions(CHANNEL, 1, {"a": "1", "b": "1"})] == [0, 0]
    results = other.set_extensions(CHANNEL, 1, {"a": "2", "c": "1"}, seqs={})
    assert [item.error_code for item in results] == [23001, 0]
    assert (results[0].extension.value, results[0].extension.seq) == ("1", 1)
    assert other.set_extensions(CHANNEL, 1, {"a": "2"}, seqs={"a": 1})[0].extension.seq == 3
    assert reader.delete_extensions(CHANNEL, 1, ["a"], seqs={"a": 1})[0].error_code == 23001
    assert reader.delete_extensions(CHANNEL, 1, ["a"])[0].error_code == 0
    assert reader.set_extensions(CHANNEL, 1, {"a": "new"}, seqs={"a": 0})[0].error_code == 0
    assert refused(play.world.client("administrator").set_extensions, CHANNEL, 1, {"a": "1"}) == 10007
    assert refused(reader.set_extensions, CHANNEL, 1, {}) == 10004


def test_receive_option_and_login_change_the_member() -> None:
    play, reader = prepared_play()
    reader.join(CHANNEL)
    reader.set_receive_option(CHANNEL, "AcceptNotNotify")
    member = play.member("reader_1")
    assert member is not None
    assert member["MsgFlag"] == "AcceptNotNotify"
    assert refused(reader.set_receive_option, CHANNEL, "Never") == 10004
    reader.login()
    reader.login()
    member = play.member("reader_1")
    assert member is not None
    assert member["OnlineStatus"] == "Online"
    reader.logout()
    states = [event.body["Info"]["Action"] for event in play.events if event.command == "State.StateChange"]
    assert states == ["Login", "Logout"]


def test_following_official_account_returns_result_or_code() -> None:
    play, reader = prepared_play()
    service, news = "official_account_open_http_svc", "@TOA#_news"
    play.call("create_official_account", service, OfficialAccountUserID=news, Owner_Account=OWNER, Name="n")
    assert reader.before_follow(news).command == "OfficialAccount.CallbackBeforeAddSubscriber"
    assert reader.follow(news, decision=CallbackDecision(refused=frozenset({"reader_1"}))) == 0
    assert refused(reader.follow, news, decision=CallbackDecision(code=1)) == 20006
    assert [reader.follow(news), reader.follow(news)] == [1, 2]
    assert play.events[-1].platform == "Android"
    assert [reader.unfollow(news), reader.unfollow(news)] == [1, 2]
    assert refused(reader.follow, "@TOA#_gone") == 130004


def test_conversations_are_filed_and_unfiled_in_groups() -> None:
    play, reader = prepared_play()
    play.channel(group="@TGS#_second")
    assert reader.file("Mine", [CHANNEL, "@TGS#_second"]) == [51007, 51007]
    for group in (CHANNEL, "@TGS#_second"):
        reader.join(group)
    assert reader.file("Mine", [CHANNEL, "@TGS#_gone"]) == [0, 51007]
    assert reader.file("Mine", ["@TGS#_second"]) == [0]
    book = play.world.state.contacts["reader_1"]
    assert book.conversations(1) == [(2, CHANNEL), (2, "@TGS#_second")]
    assert reader.unfile("Mine", [CHANNEL]) == [0]
    assert book.conversations(1) == [(2, "@TGS#_second")]
    assert refused(reader.unfile, "Theirs", [CHANNEL]) == 51009
    assert refused(reader.file, "x" * 33, [CHANNEL]) == 51011
    reader.drop_folder("Mine")
    assert (book.groups, book.conversations()) == ({}, [])
    assert refused(reader.drop_folder, "Mine") == 51009


def test_client_of_deleted_account_is_refused() -> None:
    play = Play()
    play.channel()
    play.users("a")
    a = play.world.client("a")
    play.call("account_delete", "im_open_login_svc", DeleteItem=[{"UserID": "a"}])
    actions: tuple[Callable[[], object], ...] = (a.login, lambda: a.join(CHANNEL), lambda: a.send(OWNER, "hello"))
    for act in actions:
        assert refused(act) == 70107
    assert play.world.state.online == {}


def test_unknown_peer_is_neither_read_nor_counted() -> None:
    play = Play()
    play.users("a")
    a = play.world.client("a")
    for act in (a.read_messages, a.unread_messages):
        assert refused(act, "ghost") == 90048
    assert play.events == []
