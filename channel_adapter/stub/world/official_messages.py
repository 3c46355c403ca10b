"""Broadcasts of official accounts: send, read, recall. These commands answer the codes of groups."""

from collections.abc import Hashable, Iterator
from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world.context import (
    CallbackEvent,
    CommandContext,
    PrebuiltReply,
    handles,
    prebuilt,
    prebuilt_item,
)
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.messages import CALLBACK_CONTROLS, expired, is_finished, rewrite
from channel_adapter.stub.world.official_accounts import check_enabled, is_official_id
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import OfficialAccount
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_official as events
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.callback_envelope import DROP

SECONDS_PER_HOUR = 3_600.0
NORMAL = messages.PRIORITY_NUMBERS[messages.PRIORITY_NORMAL]
SendCall = CommandContext[wire.SendOfficialAccountMsgRequest]


def _find_account(call: CommandContext[Any]) -> OfficialAccount:
    """Return the account; 10015 and 10010 as the message commands answer."""
    check_enabled(call)
    account_id: str = call.request.official_account
    account = call.state.official.get(account_id)
    if account is None:
        if not is_official_id(account_id):
            raise Refusal(codes.BAD_GROUP_ID, "Official_Account is malformed")
        raise Refusal(codes.NO_SUCH_GROUP, "the official account does not exist or was destroyed")
    return account


def msg_key(message: StoredMessage) -> str:
    """Return the MsgKey, `{seq}_1_{seconds}` [doc 60812]."""
    return _format_key(message.seq, message.time)


def _format_key(seq: int, time: int) -> str:
    return f"{seq}_1_{time}"


def read_key(account: OfficialAccount, key: str) -> StoredMessage | None:
    """Return the message with this MsgKey, None if there is none."""
    seq = key.partition("_")[0]
    message = account.log.get(int(seq)) if seq.isdecimal() and seq.isascii() and len(seq) < 19 else None
    return message if message is not None and msg_key(message) == key else None


def _check_send(call: SendCall) -> OfficialAccount:
    request = call.request
    account = _find_account(call)
    rules.check_range("Random", request.random, 0, limits.RANDOM_HIGHEST)
    rules.check_choice("OnlineOnlyFlag", request.online_only_flag, (0, 1))
    for name in request.forbid_callback_control or ():
        rules.check_choice("ForbidCallbackControl", name, tuple(CALLBACK_CONTROLS))
    for name in request.send_msg_control or ():
        rules.check_choice("SendMsgControl", name, (messages.NO_LAST_MSG,))
    if request.send_msg_control and request.online_only_flag:
        raise rules.bad("SendMsgControl cannot go with OnlineOnlyFlag 1")
    bodies.check_body(request.msg_body)
    bodies.check_size(call.settings, request.msg_body, request.cloud_custom_data)
    return account


def _repeat_key(call: SendCall) -> Hashable:
    content = bodies.fingerprint(call.request.msg_body, call.request.cloud_custom_data)
    by_content = call.settings.behaviour.official_duplicate == "content"
    return (content,) if by_content else (content, call.request.random)


def _find_repeated(call: SendCall, account: OfficialAccount) -> tuple[int, int] | None:
    return account.log.repeated(_repeat_key(call), call.time, call.settings.limits.dedupe_seconds)


def _event_fields(call: SendCall, account: OfficialAccount) -> dict[str, Any]:
    return {
        "official_account": account.account_id,
        "online_only_flag": call.request.online_only_flag or 0,
        "msg_body": call.request.msg_body,
        "cloud_custom_data": call.request.cloud_custom_data or "",
    }


def _before_send(call: SendCall) -> CallbackEvent | None:
    account = _check_send(call)
    if messages.FORBID_BEFORE in (call.request.forbid_callback_control or ()) or _find_repeated(call, account):
        return None
    return call.event(events.OfficialBeforeSendMsg, **_event_fields(call, account))


@handles(catalog.SEND_OFFICIAL_ACCOUNT_MSG, before=_before_send)
def send_official_account_msg(call: SendCall) -> wire.SendOfficialAccountMsgReply:
    """Send a broadcast: one a second and two an hour; a repeat returns the first [doc 60810; inferred]."""
    account = _check_send(call)
    first = _find_repeated(call, account)
    if first is not None:
        return wire.SendOfficialAccountMsgReply(msg_time=first[1], msg_key=_format_key(*first))
    call.apply_decision(codes.WEBHOOK_REFUSED)
    if call.decision.code == DROP:
        return wire.SendOfficialAccountMsgReply(msg_time=call.now, msg_key=_format_key(0, call.now))
    _check_frequency(call, account)
    repeat_key = _repeat_key(call)
    rewrite(call)
    account.broadcasts.append(call.time)
    request = call.request
    seq = 0  # of a broadcast to those online only, which is not stored [inferred]
    if not request.online_only_flag:
        seq = account.log.next_seq
        account.log.append(
            StoredMessage(
                seq,
                call.now,
                request.random,
                account.account_id,
                NORMAL,
                pack(request.msg_body),
                request.cloud_custom_data,
                listed=messages.NO_LAST_MSG not in (request.send_msg_control or ()),
            )
        )
    account.log.remember(repeat_key, call.time, call.settings.limits.dedupe_seconds, seq, call.now)
    if messages.FORBID_AFTER not in (request.forbid_callback_control or ()):
        call.emit(
            events.OfficialAfterSendMsg,
            **_event_fields(call, account),
            msg_key=_format_key(seq, call.now),
            msg_time=call.now,
        )
    return wire.SendOfficialAccountMsgReply(msg_time=call.now, msg_key=_format_key(seq, call.now))


def _check_frequency(call: SendCall, account: OfficialAccount) -> None:
    sent, maximum = account.broadcasts, call.settings.limits
    while sent and not 0 <= call.time - sent[0] < SECONDS_PER_HOUR:
        sent.popleft()
    in_this_second = sum(int(moment) == call.now for moment in sent)
    too_many = (
        len(sent) >= maximum.official_broadcasts_per_hour or in_this_second >= maximum.official_messages_per_second
    )
    if too_many:
        raise Refusal(
            call.settings.behaviour.official_frequency_code,
            "too many broadcasts of this official account",
            guess="official-frequency",
        )


@handles(catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE)
def official_account_msg_get_simple(
    call: CommandContext[wire.OfficialAccountMsgGetSimpleRequest],
) -> PrebuiltReply:
    """Return broadcasts, newest first, on later pages those before LastMsgKey [doc 60812]."""
    request = call.request
    account = _find_account(call)
    maximum = call.settings.limits.history
    number = maximum if request.req_msg_number is None else request.req_msg_number
    if number < 1:
        raise rules.bad("ReqMsgNumber must be 1 or more")
    rules.check_choice("WithRecalledMsg", request.with_recalled_msg, (0, 1))
    page: list[StoredMessage] = []
    for message in _newest_first(call, account):
        if len(page) == min(number, maximum):
            break
        if not message.recalled or request.with_recalled_msg:
            page.append(message)
    return prebuilt(
        wire.OfficialAccountMsgGetSimpleReply,
        official_account=account.account_id,
        is_finished=is_finished(cut=number > maximum, expired=all(expired(call, message) for message in page)),
        last_msg_key=msg_key(page[-1]) if page else "",
        rsp_msg_list=[_history_item(call, message) for message in page],
    )


def _newest_first(
    call: CommandContext[wire.OfficialAccountMsgGetSimpleRequest], account: OfficialAccount
) -> Iterator[StoredMessage]:
    seq = account.log.next_seq - 1
    if call.request.last_msg_key:
        last = read_key(account, call.request.last_msg_key)
        if last is None:
            raise rules.bad("LastMsgKey is not a MsgKey of this account")
        seq = last.seq if call.settings.behaviour.official_history_inclusive else last.seq - 1
    while (message := account.log.get(seq)) is not None:
        yield message
        seq -= 1


def _history_item(
    call: CommandContext[wire.OfficialAccountMsgGetSimpleRequest], message: StoredMessage
) -> dict[str, Any]:
    too_old = expired(call, message)
    place = messages.PLACE_GONE if too_old else messages.PLACE_RECALLED if message.recalled else messages.PLACE_NORMAL
    empty = too_old or (message.recalled and call.settings.behaviour.recalled_body_empty)
    return prebuilt_item(
        wire.OfficialHistoryMessage,
        msg_key=msg_key(message),
        from_account=message.sender,
        is_place_msg=place,
        msg_body=[] if empty else message.body_json(),
        msg_priority=message.priority,
        msg_random=message.random,
        msg_seq=message.seq,
        msg_time_stamp=message.time,
    )


@handles(catalog.OFFICIAL_ACCOUNT_MSG_RECALL)
def official_account_msg_recall(
    call: CommandContext[wire.OfficialAccountMsgRecallRequest],
) -> wire.OfficialAccountMsgRecallReply:
    """Recall broadcasts that are still kept; one code a message [doc 60811]."""
    request, maximum = call.request, call.settings.limits
    account = _find_account(call)
    if not call.settings.app.official_recall:
        raise Refusal(codes.OFFICIAL_NOT_RECALLABLE, "the official account does not support deletion of messages")
    if not 1 <= len(request.msg_key_list) <= maximum.recalls:
        raise rules.bad(f"MsgKeyList: 1 to {maximum.recalls} messages")
    rules.check_bytes("Reason", request.reason, maximum.recall_reason_bytes)
    results, recalled = [], []
    for key in request.msg_key_list:
        message = read_key(account, key)
        if message is None or expired(call, message):
            code = codes.NO_SUCH_MESSAGE
        elif message.recalled:
            code = call.settings.behaviour.recall_twice_code
        else:
            account.log.recall(message)
            code = codes.OK
            recalled.append(key)
        results.append(wire.OfficialRecallResult(msg_key=key, ret_code=code))
    if recalled:
        call.emit(
            events.AfterMsgWithDraw,
            official_account=account.account_id,
            withdraw_msg_list=[{"msg_key": key} for key in recalled],
        )
    return wire.OfficialAccountMsgRecallReply(recall_ret_list=results)
