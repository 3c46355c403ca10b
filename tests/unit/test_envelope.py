"""Classification of an answer: HTTP status, JSON, shape, ErrorCode, in this order."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from channel_adapter.tencent.wire.envelope import Ambiguous, ApiError, HttpRejected, Reply, Success, classify
from channel_adapter.tencent.wire.groups import CreateGroupReply, GetGroupInfoReply, ModifyGroupBaseInfoRequest
from channel_adapter.tencent.wire.members import GetRoleInGroupReply, MemberRoleItem
from channel_adapter.tencent.wire.messages import GroupMsgGetSimpleReply


def test_success_is_error_code_zero() -> None:
    body = b'{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","GroupId":"@TGS#_news"}'
    assert classify(CreateGroupReply, 200, body) == Success(
        CreateGroupReply(action_status="OK", error_code=0, error_info="", group_id="@TGS#_news")
    )


def test_error_info_may_be_missing() -> None:
    outcome = classify(Reply, 200, b'{"ActionStatus":"OK","ErrorCode":0}')
    assert isinstance(outcome, Success)
    assert outcome.reply.error_info == ""


def test_null_in_place_of_text_is_absent() -> None:
    assert isinstance(classify(Reply, 200, b'{"ActionStatus":null,"ErrorCode":0,"ErrorInfo":null}'), Success)
    for reply in (Reply, CreateGroupReply):
        refused = classify(reply, 200, b'{"ActionStatus":"FAIL","ErrorCode":10010,"ErrorInfo":null}')
        assert refused == ApiError(10010, "")
    items = b'{"ActionStatus":"OK","ErrorCode":0,"GroupInfo":[{"GroupId":"a","ErrorCode":10010,"ErrorInfo":null}]}'
    outcome = classify(GetGroupInfoReply, 200, items)
    assert isinstance(outcome, Success)
    assert outcome.reply.group_info[0].error_info == ""


def test_api_error_has_code_and_text() -> None:
    body = b'{"ActionStatus":"FAIL","ErrorCode":10010,"ErrorInfo":"group not exist"}'
    assert classify(Reply, 200, body) == ApiError(10010, "group not exist")


def test_api_error_may_lack_fields_of_success() -> None:
    body = b'{"ActionStatus":"FAIL","ErrorCode":10021,"ErrorInfo":"id taken"}'
    assert classify(CreateGroupReply, 200, body) == ApiError(10021, "id taken")


def test_api_error_may_have_fields_of_another_shape() -> None:
    body = b'{"ActionStatus":"FAIL","ErrorCode":10002,"ErrorInfo":"","GroupInfo":null}'
    assert classify(GetGroupInfoReply, 200, body) == ApiError(10002, "")


def test_success_without_its_fields_is_ambiguous() -> None:
    outcome = classify(CreateGroupReply, 200, b'{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}')
    assert isinstance(outcome, Ambiguous)
    assert "not documented" in outcome.reason


def test_error_code_with_status_ok_is_api_error() -> None:
    assert classify(Reply, 200, b'{"ActionStatus":"OK","ErrorCode":10007,"ErrorInfo":"no"}') == ApiError(10007, "no")


def test_fail_with_code_zero_is_api_error() -> None:
    assert classify(Reply, 200, b'{"ActionStatus":"FAIL","ErrorCode":0,"ErrorInfo":"odd"}') == ApiError(0, "odd")


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>502 Bad ApiCaller</body></html>",
        b"",
        b"null",
        b"[]",
        b'"OK"',
        b'{"ActionStatus":"OK","ErrorCode":0,"Er',
        b'{"ActionStatus":"OK","ErrorInfo":""}',
        b'{"ActionStatus":"OK","ErrorCode":"none","ErrorInfo":""}',
        b'{"ActionStatus":"OK","ErrorCode":null}',
        b"\xff\xfe\x00",
    ],
)
def test_body_without_envelope_is_ambiguous(body: bytes) -> None:
    outcome = classify(Reply, 200, body)
    assert isinstance(outcome, Ambiguous)
    assert outcome.http_status is None
    assert outcome.reason


@pytest.mark.parametrize("status", [100, 204, 303, 408, 500, 501, 502, 503, 504, 520])
def test_any_other_status_is_ambiguous_with_any_body(status: int) -> None:
    body = b'{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}'
    assert classify(Reply, status, body) == Ambiguous(f"HTTP {status}", status)


def test_reason_names_field_and_does_not_quote_body() -> None:
    outcome = classify(GetRoleInGroupReply, 200, b'{"ErrorCode":"secret-in-the-body"}')
    assert isinstance(outcome, Ambiguous)
    assert "ErrorCode" in outcome.reason
    assert "secret" not in outcome.reason


def test_undocumented_fields_are_kept() -> None:
    body = b'{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"","Fresh":{"a":1}}'
    outcome = classify(Reply, 200, body)
    assert isinstance(outcome, Success)
    assert outcome.reply.model_extra == {"Fresh": {"a": 1}}


def test_items_of_reply_are_not_classified() -> None:
    """A call is OK although one of its items failed: the failure belongs to the item."""
    body = (
        b'{"ActionStatus":"OK","ErrorCode":0,"GroupInfo":[{"GroupId":"@TGS#_x","ErrorCode":10010,"ErrorInfo":"gone"}]}'
    )
    outcome = classify(GetGroupInfoReply, 200, body)
    assert isinstance(outcome, Success)
    assert outcome.reply.group_info[0].error_code == 10010


@given(st.binary(max_size=200))
def test_any_bytes_are_classified_without_exception(body: bytes) -> None:
    assert isinstance(classify(GetGroupInfoReply, 200, body), Success | ApiError | Ambiguous)


@given(st.integers(min_value=1, max_value=140_000), st.text(max_size=60))
def test_every_code_and_text_is_returned_unchanged(code: int, text: str) -> None:
    body = orjson.dumps({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": text})
    assert classify(CreateGroupReply, 200, body) == ApiError(code, text)


def test_absent_members_are_omitted_from_request_and_empty_members_are_sent() -> None:
    request = ModifyGroupBaseInfoRequest(group_id="@TGS#_x", introduction="")
    assert request.to_json() == b'{"GroupId":"@TGS#_x","Introduction":""}'
    assert request.to_wire() == {"GroupId": "@TGS#_x", "Introduction": ""}


def test_text_is_utf8_and_not_escaped() -> None:
    request = ModifyGroupBaseInfoRequest(group_id="@TGS#_x", name="港口新闻👍")
    assert request.to_json() == '{"GroupId":"@TGS#_x","Name":"港口新闻👍"}'.encode()


def test_reply_is_written_with_its_json_names() -> None:
    class PairReply(Reply):
        roles: list[MemberRoleItem] = Field(alias="UserIdList")

    reply = PairReply(roles=[MemberRoleItem(member_account="u_1", role="Owner")])
    assert orjson.loads(reply.to_json()) == {
        "ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "",
        "UserIdList": [{"Member_Account": "u_1", "Role": "Owner"}],
    }  # fmt: skip


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 429])
def test_rejecting_status_is_http_rejected(status: int) -> None:
    assert classify(Reply, status, b"<html></html>") == HttpRejected(f"HTTP {status}", status)


def test_null_in_place_of_list_is_empty_list() -> None:
    outcome = classify(GetGroupInfoReply, 200, b'{"ErrorCode":0,"GroupInfo":null}')
    assert isinstance(outcome, Success)
    assert outcome.reply.group_info == []


def test_nested_null_lists_do_not_invalidate_reply() -> None:
    body = (
        b'{"ErrorCode":0,"GroupId":"@TGS#_x","RspMsgList":[{"MsgSeq":2,"MsgBody":null},'
        b'{"MsgSeq":1,"MsgBody":[{"MsgType":"TIMTextElem","MsgContent":{"Text":"tide"}}]}]}'
    )
    outcome = classify(GroupMsgGetSimpleReply, 200, body)
    assert isinstance(outcome, Success)
    assert [len(message.msg_body) for message in outcome.reply.rsp_msg_list] == [0, 1]


@pytest.mark.parametrize("body", [b'{"ErrorCode":0,"GroupInfo":7}', b'{"ErrorCode":0,"GroupInfo":[null]}'])
def test_other_value_in_place_of_list_is_ambiguous(body: bytes) -> None:
    assert isinstance(classify(GetGroupInfoReply, 200, body), Ambiguous)


@pytest.mark.parametrize("content", [b'"just text"', b"[1,2]", b"null", b"7"])
def test_message_element_of_unknown_shape_is_kept(content: bytes) -> None:
    body = b'{"ErrorCode":0,"RspMsgList":[{"MsgSeq":1,"MsgBody":[{"MsgType":"TIMNewElem","MsgContent":%b}]}]}' % content
    outcome = classify(GroupMsgGetSimpleReply, 200, body)
    assert isinstance(outcome, Success)
    assert outcome.reply.rsp_msg_list[0].msg_body[0].msg_content == orjson.loads(content)
