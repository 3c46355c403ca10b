"""Parsed webhook requests: refusals, equal events, and order."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.tencent.wire.callbacks import MODELS, is_before
from channel_adapter.webhooks.parse import DEPTH, WebhookEvent, parse, published_key
from channel_adapter.webhooks.verify import Reason, RequestRefused

NOW = 1_736_000_000.5
GROUP = "@TGS#_harbor_news"
POSTED = "Group.CallbackAfterSendMsg"
JOINED = "Group.CallbackAfterNewMemberJoin"
EXTENDED = "Group.CallbackAfterGroupMsgExtension"
ALARM = "Alert.RequestOverLimit"


def take(command: str, now: float = NOW, **body: Any) -> WebhookEvent:
    return parse({"callbackcommand": command}, json.dumps({"CallbackCommand": command, **body}).encode(), now=now)


def reason(body: bytes, command: str = POSTED) -> Reason:
    with pytest.raises(RequestRefused) as refused:
        parse({"callbackcommand": command}, body, now=NOW)
    return refused.value.reason


def test_parsed_request_keeps_command_body_and_unsigned_query() -> None:
    query = {"callbackcommand": POSTED, "sdkappid": "1", "optplatform": "iOS", "sign": "5e", "requesttime": "17"}
    body = {"CallbackCommand": POSTED, "GroupId": GROUP, "MsgSeq": 18, "EventTime": 1736000200111, "New": [1]}
    got = parse(query, json.dumps(body).encode(), now=NOW)
    assert (got.command, got.body, got.order_key, got.received_at) == (POSTED, body, GROUP, NOW)
    assert got.query == {"callbackcommand": POSTED, "sdkappid": "1", "optplatform": "iOS", "requesttime": "17"}
    assert got.dedupe_key.startswith(POSTED + ":")
    assert len(got.dedupe_key) < 100
    assert not got.is_before


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe{}", b"\x00\x01", b'{"a":NaN}', b'{"a":\\ud800}', b"[" * 5000],
)
def test_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert reason(body) is Reason.NOT_JSON


def nested(depth: int) -> bytes:
    """Return an object around `depth - 1` arrays."""
    return b'{"CallbackCommand":"%s","x":%s1%s}' % (POSTED.encode(), b"[" * (depth - 1), b"]" * (depth - 1))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\uDE00 rest", "\ufffd rest"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\u0041", "\ufffdA"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (b"\xed\xa0\xbd half", "\ufffd\ufffd\ufffd half"),
        (b"\xf0\x9f\x98 cut", "\ufffd cut"),
    ],
)
def test_half_a_character_is_replaced_and_the_event_kept(sent: bytes, kept: str) -> None:
    body = b'{"CallbackCommand":"%s","Name":"%s","List":[{"%s":"good"}]}' % (POSTED.encode(), sent, sent)
    got = parse({"callbackcommand": POSTED}, body, now=NOW)
    assert (got.body["Name"], got.body["List"]) == (kept, [{kept: "good"}])
    assert json.loads(json.dumps(got.body, ensure_ascii=False).encode()) == got.body


def test_too_deep_body_is_refused() -> None:
    assert parse({"callbackcommand": POSTED}, nested(DEPTH), now=NOW).command == POSTED
    assert reason(nested(DEPTH + 1)) is Reason.TOO_DEEP
    assert reason(nested(900)) is Reason.TOO_DEEP


def test_wide_body_is_accepted() -> None:
    assert take(POSTED, wide=[[] for _ in range(500)]).command == POSTED


@pytest.mark.parametrize(
    "body", [b"{}", b'{"CallbackCommand":7}', b'{"CallbackCommand":""}', b'{"CallbackCommand":"%s"}' % (b"x" * 129)]
)
def test_missing_or_invalid_command_is_refused(body: bytes) -> None:
    assert reason(body, "") is Reason.COMMAND


def test_unprintable_command_is_refused() -> None:
    assert reason(b'{"CallbackCommand":"Group.\\u0000"}', "Group.\x00") is Reason.COMMAND


def test_different_commands_in_url_and_body_are_refused() -> None:
    assert reason(b'{"CallbackCommand":"%s"}' % JOINED.encode()) is Reason.COMMAND
    with pytest.raises(RequestRefused):
        parse({}, b'{"CallbackCommand":"%s"}' % JOINED.encode(), now=NOW)


def test_unknown_commands_and_unexpected_values_are_kept() -> None:
    new = take("Group.CallbackAfterSomethingNew", GroupId=GROUP, EventTime=1736000200111)
    assert (new.order_key, new.body["GroupId"]) == ("", GROUP)
    odd = take(POSTED, GroupId=GROUP, MsgSeq={"not": "a number"})
    assert odd.body["MsgSeq"] == {"not": "a number"}


SAME = [
    (POSTED, {"GroupId": GROUP, "MsgSeq": 18, "EventTime": 1}, {"GroupId": GROUP, "MsgSeq": 18, "EventTime": 2}),
    (POSTED, {"GroupId": GROUP, "MsgSeq": 18}, {"GroupId": GROUP, "MsgSeq": "18", "ToBeIgnored": 1}),
    (
        "Group.CallbackAfterRecallMsg",
        {"GroupId": GROUP, "MsgSeqList": [{"MsgSeq": 4}, {"MsgSeq": 9}]},
        {"GroupId": GROUP, "MsgSeqList": [{"MsgSeq": 9}, {"MsgSeq": 4}], "EventTime": 5},
    ),
    (
        JOINED,
        {"GroupId": GROUP, "NewMemberList": [{"Member_Account": "a"}, {"Member_Account": "b"}], "EventTime": 7},
        {"GroupId": GROUP, "NewMemberList": [{"Member_Account": "b"}, {"Member_Account": "a"}], "EventTime": "7"},
    ),
    (
        EXTENDED,
        {"GroupId": GROUP, "MsgSeq": 18, "OperateType": 1, "ExtensionList": [{"Key": "k", "Seq": 3}], "Seq": 3},
        {"GroupId": GROUP, "MsgSeq": 18, "OperateType": 1, "ExtensionList": [{"Key": "k", "Seq": 3}], "Seq": 3, "E": 9},
    ),
    (
        "OfficialAccount.CallbackAfterSendMsg",
        {"Official_Account": "@TOA#_g", "MsgKey": "41_1_1736000000", "EventTime": 1},
        {"Official_Account": "@TOA#_g", "MsgKey": "41_1_1736000000", "EventTime": 2},
    ),
    ("Group.CallbackAfterGroupFull", {"GroupId": GROUP, "EventTime": 8}, {"EventTime": 8, "GroupId": GROUP}),
    (ALARM, {"Command": "a", "Limit": 1}, {"Limit": 1, "Command": "a"}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "one", "other"), SAME)
def test_repeated_event_has_the_same_dedupe_key(command: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert take(command, **one).dedupe_key == take(command, now=NOW + 5, **other).dedupe_key


@pytest.mark.parametrize(
    ("mode", "command", "ref", "body"),
    [
        (
            Mode.COMMUNITY, POSTED, PostRef(ChannelId(GROUP), 18),
            {"GroupId": GROUP, "MsgSeq": 18, "MsgTime": 1736000000, "Random": 7},
        ),
        (
            Mode.OFFICIAL, "OfficialAccount.CallbackAfterSendMsg", PostRef(ChannelId("@TOA#_g"), 3, "41_1_1736000000"),
            {"Official_Account": "@TOA#_g", "MsgKey": "41_1_1736000000", "MsgTime": 1736000000},
        ),
    ],
)  # fmt: skip
def test_key_of_a_published_post_equals_that_of_its_event(
    mode: Mode, command: str, ref: PostRef, body: dict[str, Any]
) -> None:
    at = datetime.fromtimestamp(1736000000, UTC)
    post = Post(ref=ref, author=None, published_at=at, parts=(), dedupe=7)
    assert published_key(mode, post) == take(command, **body, EventTime=5).dedupe_key
    unknown = replace(post, ref=PostRef(ref.channel, ref.seq), dedupe=None)
    assert published_key(mode, unknown) is None


LOST = "Group.CallbackSendMsgException"
DRAFTED = "Group.CallbackBeforeSendMsg"


def test_failed_post_and_its_request_have_the_same_dedupe_key() -> None:
    """One receiver gets the failure; another one waits for the post in vain."""
    draft: dict[str, Any] = {"GroupId": GROUP, "From_Account": "a", "Random": 7}
    asked = take(DRAFTED, **draft, EventTime=1).dedupe_key
    assert asked == take(LOST, **draft, EventTime=2, ErrorCode=10017).dedupe_key
    others: list[dict[str, Any]] = [{"Random": 8}, {"From_Account": "b"}, {"GroupId": "@TGS#_a"}, {"TopicId": "t"}]
    for other in others:
        assert take(DRAFTED, **{**draft, **other}, EventTime=1).dedupe_key != asked


DIFFERENT = [
    (POSTED, {"GroupId": GROUP, "MsgSeq": 1, "MsgTime": 1}, {"GroupId": GROUP, "MsgSeq": 1, "MsgTime": 90}),
    (POSTED, {"GroupId": GROUP, "MsgSeq": 18}, {"GroupId": GROUP, "MsgSeq": 19}),
    (POSTED, {"GroupId": GROUP, "MsgSeq": 18}, {"GroupId": "@TGS#_a", "MsgSeq": 18}),
    (POSTED, {"GroupId": GROUP, "MsgSeq": 18}, {"GroupId": GROUP, "MsgSeq": 18, "TopicId": "t"}),
    (POSTED, {"GroupId": GROUP, "MsgSeq": 0, "Random": 1}, {"GroupId": GROUP, "MsgSeq": 0, "Random": 2}),
    (
        JOINED,
        {"GroupId": GROUP, "NewMemberList": [{"Member_Account": "a"}], "EventTime": 7},
        {"GroupId": GROUP, "NewMemberList": [{"Member_Account": "a"}], "EventTime": 8},
    ),
    (
        EXTENDED,
        {"GroupId": GROUP, "MsgSeq": 18, "OperateType": 1, "ExtensionList": [{"Key": "a", "Seq": 1}], "Seq": 1},
        {"GroupId": GROUP, "MsgSeq": 18, "OperateType": 1, "ExtensionList": [{"Key": "b", "Seq": 1}], "Seq": 1},
    ),
    ("Group.CallbackAfterGroupFull", {"GroupId": GROUP, "EventTime": 8}, {"GroupId": GROUP, "EventTime": 9}),
]


@pytest.mark.parametrize(("command", "one", "other"), DIFFERENT)
def test_different_event_has_another_dedupe_key(command: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert take(command, **one).dedupe_key != take(command, **other).dedupe_key


def test_joining_and_leaving_at_the_same_time_have_different_keys() -> None:
    users = [{"Member_Account": "a"}]
    came = take(JOINED, GroupId=GROUP, NewMemberList=users, EventTime=7)
    left = take("Group.CallbackAfterMemberExit", GroupId=GROUP, ExitMemberList=users, EventTime=7)
    assert came.dedupe_key != left.dedupe_key


def test_event_without_time_is_new_after_ten_minutes() -> None:
    assert take(ALARM, Limit=1).dedupe_key != take(ALARM, now=NOW + 600, Limit=1).dedupe_key
    full = "Group.CallbackAfterGroupFull"
    timed = [take(full, now=NOW + later, GroupId=GROUP, EventTime=8).dedupe_key for later in (0, 600)]
    assert timed[0] == timed[1]


def test_sequence_orders_events_of_a_channel() -> None:
    early = take(POSTED, GroupId=GROUP, MsgSeq=18, EventTime=1736000200111)
    late = take(POSTED, GroupId=GROUP, MsgSeq=19, EventTime="1736000200111")
    later = take(EXTENDED, GroupId=GROUP, MsgSeq=2, Seq=3, EventTime=1736000200112)
    assert early.sequence < late.sequence < later.sequence < 2**63


@pytest.mark.parametrize("at", [0, -5, 10**30, True, "", "soon", "9" * 100, None, [], 1.5, 2**42])
def test_invalid_event_time_is_replaced_by_arrival_time(at: Any) -> None:
    assert take("Group.CallbackAfterGroupFull", GroupId=GROUP, EventTime=at).sequence >> 21 == int(NOW * 1000)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["GroupId", "MsgSeq", "Seq", "EventTime", "MsgSeqList", "NewMemberList", "ExtensionList", "Official_Account",
     "MsgKey", "WithdrawMsgList", "ExitMemberList", "Info", "Type", "TopicId"]
)  # fmt: skip


@given(st.sampled_from(sorted(MODELS)), st.dictionaries(names, json_values))
def test_any_body_of_any_command_is_parsed(command: str, body: dict[str, Any]) -> None:
    body = json.loads(json.dumps(body).encode("utf-8", "replace"))
    got = parse({"callbackcommand": command}, json.dumps({"CallbackCommand": command, **body}).encode(), now=NOW)
    assert got.body.keys() == {"CallbackCommand", *body}
    assert got.dedupe_key == take(command, **body).dedupe_key
    assert 0 <= got.sequence < 2**63
    assert got.is_before == is_before(command) == ("Before" in command)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_webhook_are_refused(body: bytes) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse({"callbackcommand": "x"}, body, now=NOW)
    assert refused.value.reason in (Reason.NOT_JSON, Reason.COMMAND)
