"""Group messages: send, modify, recall, read back, pin, and notices to online members."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world.context import (
    CallbackEvent,
    CommandContext,
    PrebuiltReply,
    handles,
    json_names,
    prebuilt,
    prebuilt_item,
)
from channel_adapter.stub.world.message_log import SECONDS_PER_DAY, StoredMessage, pack
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import messages as wire
from channel_adapter.tencent.wire.callback_envelope import DROP
from channel_adapter.tencent.wire.msg_body import Element

FLAGS = (0, 1)
PRIORITIES = (wire.PRIORITY_HIGH, wire.PRIORITY_NORMAL, wire.PRIORITY_LOW)
CALLBACK_CONTROLS = frozenset({wire.FORBID_BEFORE, wire.FORBID_AFTER})
SEND_CONTROLS = frozenset({wire.NO_UNREAD, wire.NO_LAST_MSG})
TARGETED_TYPES = (groups.PRIVATE, groups.PUBLIC, groups.CHAT_ROOM)  # may use To_Account [doc 34959]
SENDER_SCAN = 1_000  # newest messages that delete_group_msg_by_sender looks at [doc 34970]
MODIFIED = "succeed"  # ErrorInfo of modify_group_msg in the page's sample [doc 47948]

MSG_TIME, MSG_SEQ = (json_names(wire.SendGroupMsgReply)[name] for name in ("msg_time", "msg_seq"))

SendCall = CommandContext[wire.SendGroupMsgRequest]


def _sender_of(call: SendCall) -> str:
    return call.request.from_account if call.request.from_account is not None else call.caller


def _check_shape(call: SendCall) -> None:
    """Check what does not depend on the group."""
    request = call.request
    rules.check_range("Random", request.random, 0, limits.RANDOM_HIGHEST)
    rules.check_choice("MsgPriority", request.msg_priority, PRIORITIES)
    rules.check_choice("OnlineOnlyFlag", request.online_only_flag, FLAGS)
    rules.check_choice("SupportMessageExtension", request.support_message_extension, FLAGS)
    rules.check_choice("NeedReadReceipt", request.need_read_receipt, FLAGS)
    for name in request.forbid_callback_control or ():
        rules.check_choice("ForbidCallbackControl", name, tuple(CALLBACK_CONTROLS))
    for name in request.send_msg_control or ():
        rules.check_choice("SendMsgControl", name, tuple(SEND_CONTROLS))
    if request.send_msg_control and request.online_only_flag:
        raise rules.bad("SendMsgControl cannot go with OnlineOnlyFlag 1")
    bodies.check_mentions(request.group_at_info, call.settings.limits.mentions)
    bodies.check_body(request.msg_body)
    bodies.check_size(call.settings, request.msg_body, request.cloud_custom_data)


def _check_send(call: SendCall) -> Group:
    """Check all but frequency and repetition; emit an event about what only the group refuses."""
    _check_shape(call)
    request = call.request
    try:
        group = call.state.group(request.group_id)
        rules.check_community(call, group.type)
        _check_targets(call, group)
        if group.support_topic:
            raise rules.bad("TopicId: messages of a Community with topics live in its topics")
        rules.check_topicless(request.topic_id)
        check_sender(call, group, _sender_of(call))
    except Refusal as refusal:
        if refusal.code in (codes.NO_SUCH_GROUP, codes.MUTED):
            _emit_failure(call, call.state.groups.get(request.group_id), refusal)
        raise
    return group


def _check_targets(call: SendCall, group: Group) -> None:
    """Check a message for some members: types of groups, number, no mentions [doc 34959]."""
    targets, maximum = call.request.to_account, call.settings.limits.targeted_receivers
    if not targets:
        return
    community = group.type == groups.COMMUNITY and call.settings.behaviour.targeted_on_community
    if group.type not in TARGETED_TYPES and not community:
        raise rules.bad(f"To_Account is not for {group.type}", guess="targeted-message")
    if len(targets) > maximum:
        raise rules.bad(f"To_Account: {maximum} members at most", guess="targeted-message")
    if call.request.group_at_info:
        raise rules.bad("To_Account cannot go with GroupAtInfo", guess="targeted-message")


def check_sender(call: CommandContext[Any], group: Group, sender: str) -> None:
    """Check that the sender is an app admin, or a member who is not muted [inferred]."""
    rules.check_account(call, sender, "From_Account", guess="unknown-sender")
    if call.is_app_admin(sender):
        return
    if sender not in group.members:
        raise Refusal(codes.NOT_ALLOWED, "From_Account is not a member of the group", guess="outside-sender")
    if group.muted_until(sender, call.time) or (group.mute_all and not rules.is_staff(group, sender)):
        raise Refusal(codes.MUTED, "From_Account is muted")


def _event_fields(call: SendCall, group: Group | None) -> dict[str, Any]:
    """Return the fields that all events about sending have; `group` is None if there is none."""
    request = call.request
    return {
        "group_id": request.group_id,
        "type": group.type if group else None,
        "from_account": _sender_of(call),
        "operator_account": call.caller,
        "random": request.random,
        "online_only_flag": request.online_only_flag or 0,
        "msg_body": request.msg_body,
        "cloud_custom_data": request.cloud_custom_data or "",
    }


def _emit_failure(call: SendCall, group: Group | None, refusal: Refusal) -> None:
    call.emit(events.SendMsgException, **_event_fields(call, group), error_code=refusal.code, error_info=refusal.info)


def _repeat_key(call: SendCall) -> Hashable:
    """Return the key that makes a message a repeat of an earlier one of the group."""
    key = (_sender_of(call), call.request.random)
    if call.settings.behaviour.duplicate_key == "sender_random":
        return key
    return (*key, bodies.fingerprint(call.request.msg_body, call.request.cloud_custom_data))


def _find_repeated(call: SendCall, group: Group) -> tuple[int, int] | None:
    return group.log.repeated(_repeat_key(call), call.time, call.settings.limits.dedupe_seconds)


def before_send(call: SendCall) -> CallbackEvent | None:
    """Return the before-event, unless this message forbids it or is a repeat."""
    group = _check_send(call)
    if wire.FORBID_BEFORE in (call.request.forbid_callback_control or ()) or _find_repeated(call, group):
        return None
    return call.event(events.BeforeSendMsg, **_event_fields(call, group))


class Sent(NamedTuple):
    """What a message became: seq and unix seconds, or why it was dropped."""

    time: int
    seq: int | None
    drop_reason: str | None = None


def send(call: SendCall) -> Sent:
    """Store and deliver; a repeat returns the first message, too many in a second are dropped."""
    group = _check_send(call)
    first = _find_repeated(call, group)
    if first is not None:
        code = call.settings.behaviour.duplicate_answer_code
        if code:
            raise Refusal(code, "a message with this Random was sent a short while ago", guess="duplicate-answer")
        return Sent(first[1], first[0])
    call.apply_decision(codes.WEBHOOK_REFUSED)
    if call.decision.code == DROP:
        return Sent(call.now, 0)
    if group.log.sent_in(call.now) >= call.settings.limits.messages_per_second:
        return _drop_message(call, group)
    repeat_key = _repeat_key(call)
    rewrite(call)
    group.log.count(call.now)
    return _deliver_message(call, group, repeat_key)


@handles(catalog.SEND_GROUP_MSG, before=before_send)
def send_group_msg(call: SendCall) -> PrebuiltReply:
    """Send a message [doc 34959]."""
    sent = send(call)
    if sent.seq is None:
        return prebuilt(wire.SendGroupMsgReply, msg_time=sent.time, msg_drop_reason=sent.drop_reason)
    return PrebuiltReply({MSG_TIME: sent.time, MSG_SEQ: sent.seq})


def _drop_message(call: SendCall, group: Group) -> Sent:
    refusal = Refusal(codes.MESSAGES_TOO_FREQUENT, "too many messages in this group")
    _emit_failure(call, group, refusal)
    if call.settings.behaviour.frequency == "refuse":
        raise refusal
    return Sent(call.now, None, wire.DROPPED_BY_FREQUENCY)


def rewrite(call: CommandContext[Any]) -> None:
    """Apply the changes of the app's before-webhook; the original stays if they make no valid message [doc 34374]."""
    decision, body, cloud = call.decision, call.request.msg_body, call.request.cloud_custom_data
    try:
        if decision.msg_body is not None:
            body = [Element.model_validate(item, strict=True) for item in decision.msg_body]
            bodies.check_body(body)
        if decision.cloud_custom_data is not None:
            cloud = decision.cloud_custom_data
        bodies.check_size(call.settings, body, cloud)
    except (ValidationError, Refusal):
        return
    call.request.msg_body, call.request.cloud_custom_data = body, cloud


def _deliver_message(call: SendCall, group: Group, repeat_key: Hashable) -> Sent:
    request = call.request
    seq = 0  # of a message for those online only, which is not stored [inferred]
    if not request.online_only_flag:
        seq = group.log.next_seq
        message = StoredMessage(
            seq,
            call.now,
            request.random,
            _sender_of(call),
            wire.PRIORITY_NUMBERS[request.msg_priority or wire.PRIORITY_NORMAL],
            pack(request.msg_body),
            request.cloud_custom_data,
            supports_extensions=request.support_message_extension == 1,
            listed=wire.NO_LAST_MSG not in (request.send_msg_control or ()),
        )
        group.log.append(message, counted=wire.NO_UNREAD not in (request.send_msg_control or ()))
    group.log.remember(repeat_key, call.time, call.settings.limits.dedupe_seconds, seq, call.now)
    if call.listening and wire.FORBID_AFTER not in (request.forbid_callback_control or ()):
        call.emit(
            events.AfterSendMsg,
            **_event_fields(call, group),
            msg_seq=seq,
            msg_time=call.now,
            group_at_info=request.group_at_info or None,
        )
    return Sent(call.now, seq)


def expired(call: CommandContext[Any], message: StoredMessage) -> bool:
    """Return whether a message is older than the days that the service keeps."""
    return call.now - message.time > call.settings.limits.roaming_days * SECONDS_PER_DAY


@handles(catalog.MODIFY_GROUP_MSG)
def modify_group_msg(call: CommandContext[wire.ModifyGroupMsgRequest]) -> wire.ModifyGroupMsgReply:
    """Replace body, CloudCustomData or both; the last write wins [doc 47948]."""
    request = call.request
    if request.msg_body is None and request.cloud_custom_data is None:
        raise Refusal(codes.ELEMENT_MALFORMED, "neither MsgBody nor CloudCustomData", guess="empty-modification")
    if request.msg_body is not None:
        bodies.check_body(request.msg_body, bodies.MODIFYING)
    group = call.state.group(request.group_id)
    message = group.log.get(request.msg_seq)
    if message is None or message.recalled or message.system or expired(call, message):
        raise Refusal(codes.NO_MESSAGE_TO_MODIFY, "the message does not exist")
    body = message.body if request.msg_body is None else request.msg_body
    cloud = message.cloud_custom_data if request.cloud_custom_data is None else request.cloud_custom_data
    bodies.check_size(call.settings, body, cloud)
    if call.settings.behaviour.modify_conflict:
        raise Refusal(codes.MODIFY_CONFLICT, "the message is being modified by someone else")
    change_message(call, group, message, body, cloud)
    return wire.ModifyGroupMsgReply(error_info=MODIFIED)


def change_message(
    call: CommandContext[Any], group: Group, message: StoredMessage, body: list[Element], cloud_custom_data: str | None
) -> None:
    """Write a checked change and emit its event."""
    message.body, message.cloud_custom_data = body, cloud_custom_data
    if call.settings.behaviour.modify_event:
        call.emit(
            events.AfterModifyMsg,
            operator_account=call.caller,
            group_id=group.group_id,
            msg_seq=message.seq,
            msg_body=body,
        )


@handles(catalog.GROUP_MSG_RECALL)
def group_msg_recall(call: CommandContext[wire.GroupMsgRecallRequest]) -> wire.GroupMsgRecallReply:
    """Recall messages, one code an item; an admin may recall all that is still kept [doc 34965]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_topicless(request.topic_id)
    if not 1 <= len(request.msg_seq_list) <= call.settings.limits.recalls:
        raise rules.bad(f"MsgSeqList: 1 to {call.settings.limits.recalls} messages")
    rules.check_bytes("Reason", request.reason, call.settings.limits.recall_reason_bytes)
    recalled: list[StoredMessage] = []
    results = []
    for item in request.msg_seq_list:
        message = group.log.get(item.msg_seq)
        if message is None or expired(call, message):
            code = codes.NO_SUCH_MESSAGE
        elif message.system:
            code = codes.MESSAGE_NOT_RECALLABLE
        elif message.recalled or message in recalled:
            code = call.settings.behaviour.recall_twice_code
        else:
            code = codes.OK
            recalled.append(message)
        results.append(wire.RecallResult(msg_seq=item.msg_seq, ret_code=code))
    recall(call, group, recalled)
    return wire.GroupMsgRecallReply(recall_ret_list=results)


def recall(call: CommandContext[Any], group: Group, messages: Sequence[StoredMessage]) -> None:
    """Recall stored messages and emit the event."""
    for message in messages:
        group.log.recall(message)
    if messages:
        call.emit(
            events.AfterRecallMsg,
            operator_account=call.caller,
            type=group.type,
            group_id=group.group_id,
            msg_seq_list=[{"msg_seq": message.seq} for message in messages],
        )


@handles(catalog.DELETE_GROUP_MSG_BY_SENDER)
def delete_group_msg_by_sender(
    call: CommandContext[wire.DeleteGroupMsgBySenderRequest],
) -> wire.DeleteGroupMsgBySenderReply:
    """Recall one sender's messages among the newest 1000, without an event [doc 34970]."""
    group = call.state.group(call.request.group_id)
    rules.check_topicless(call.request.topic_id)
    for message in group.log.newest(None, SENDER_SCAN):
        if message.sender == call.request.sender_account:
            group.log.recall(message)
    return wire.DeleteGroupMsgBySenderReply()


@handles(catalog.SEND_GROUP_SYSTEM_NOTIFICATION)
def send_group_system_notification(
    call: CommandContext[wire.SendGroupSystemNotificationRequest],
) -> wire.SendGroupSystemNotificationReply:
    """Send to online members; the notice is not stored and has no seq [doc 34958]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_topicless(request.topic_id)
    if not request.content:
        raise rules.bad("Content is empty")
    maximum = call.settings.limits.notice_receivers
    if len(request.to_members_account or ()) > maximum:
        raise rules.bad(f"ToMembers_Account: {maximum} accounts at most")
    if request.to_members_account and group.type == groups.AV_CHAT_ROOM:
        raise rules.bad("ToMembers_Account is not for live rooms")
    return wire.SendGroupSystemNotificationReply()


CUT, WHOLE, CUT_AND_EXPIRED = 0, 1, 2  # IsFinished [doc 34971]


@handles(catalog.GROUP_MSG_GET_SIMPLE, sized=True)
def group_msg_get_simple(call: CommandContext[wire.GroupMsgGetSimpleRequest]) -> PrebuiltReply:
    """Return a page at or below a seq, newest first; expired ones without body, recalled ones only if asked."""
    request = call.request
    group = call.state.group(request.group_id)
    if group.type == groups.AV_CHAT_ROOM:
        raise Refusal(codes.NO_HISTORY, "live rooms keep no history")
    rules.check_topicless(request.topic_id)
    rules.check_choice("WithRecalledMsg", request.with_recalled_msg, (0, 1))
    if request.req_msg_number < 1:
        raise rules.bad("ReqMsgNumber must be 1 or more")
    if request.req_msg_seq is not None and request.req_msg_seq < 0:
        raise rules.bad("ReqMsgSeq must be 0 or more")
    maximum = call.settings.limits.history
    page: list[StoredMessage] = []
    for message in _newest_first(group, request.req_msg_seq):
        if len(page) == min(request.req_msg_number, maximum):
            break
        if not message.recalled or request.with_recalled_msg:
            page.append(message)
    return prebuilt(
        wire.GroupMsgGetSimpleReply,
        group_id=group.group_id,
        is_finished=is_finished(
            cut=request.req_msg_number > maximum, expired=all(expired(call, item) for item in page)
        ),
        rsp_msg_list=[_history_item(call, message) for message in page],
    )


def is_finished(*, cut: bool, expired: bool) -> int:
    """Return IsFinished, which is about the page asked for, not about the end of history."""
    if not cut:
        return WHOLE
    return CUT_AND_EXPIRED if expired else CUT


def _newest_first(group: Group, seq: int | None) -> Iterator[StoredMessage]:
    current = group.log.next_seq - 1 if seq is None else min(seq, group.log.next_seq - 1)
    while (message := group.log.get(current)) is not None:
        yield message
        current -= 1


def _history_item(call: CommandContext[wire.GroupMsgGetSimpleRequest], message: StoredMessage) -> dict[str, Any]:
    behaviour = call.settings.behaviour
    too_old = expired(call, message)
    place = wire.PLACE_GONE if too_old else wire.PLACE_RECALLED if message.recalled else wire.PLACE_NORMAL
    empty = too_old or (message.recalled and behaviour.recalled_body_empty)
    return prebuilt_item(
        wire.HistoryMessage,
        from_account=message.sender,
        is_place_msg=place,
        is_system_msg=1 if message.system else None,
        msg_body=[] if empty else message.body_json(),
        msg_priority=message.priority,
        msg_random=message.random,
        msg_seq=message.seq,
        msg_time_stamp=message.time,
        cloud_custom_data=message.cloud_custom_data if behaviour.history_cloud_custom_data and not empty else None,
    )


def _find_group_for_pins(call: CommandContext[Any], topic_id: str | None) -> Group:
    if not call.settings.behaviour.pins:
        raise Refusal(codes.UNKNOWN_COMMAND, "the command does not exist yet")
    group: Group = call.state.group(call.request.group_id)
    rules.check_topicless(topic_id)
    rules.check_not_live(group.type, "pinning a message")
    return group


def _has_message(group: Group, seq: int) -> bool:
    message = group.log.get(seq)
    return message is not None and not message.recalled and not message.system


@handles(catalog.PIN_MESSAGE)
def pin_message(call: CommandContext[wire.PinMessageRequest]) -> wire.PinMessageReply:
    """Pin a message; 10070 above the limit, 10071 when it is pinned already [doc cn-133874]."""
    request = call.request
    group = _find_group_for_pins(call, request.topic_id)
    rules.check_account(call, request.pinner_account, "Pinner_Account")
    if not _has_message(group, request.msg_seq):
        raise rules.bad("MsgSeq: the message does not exist", guess="pin-of-missing-message")
    pinned = [seq for seq in group.pins if _has_message(group, seq)]
    if request.msg_seq in pinned:
        raise Refusal(codes.ALREADY_PINNED, "the message is pinned already")
    if len(pinned) >= call.settings.limits.pins:
        raise Refusal(codes.TOO_MANY_PINS, f"a group holds {call.settings.limits.pins} pinned messages at most")
    group.pins[request.msg_seq] = request.pinner_account or call.caller
    return wire.PinMessageReply()


@handles(catalog.UNPIN_MESSAGE)
def unpin_message(call: CommandContext[wire.UnpinMessageRequest]) -> wire.UnpinMessageReply:
    """Unpin a message; no error when it is not pinned [inferred]."""
    group = _find_group_for_pins(call, call.request.topic_id)
    rules.check_account(call, call.request.un_pinner_account, "UnPinner_Account")
    group.pins.pop(call.request.msg_seq, None)
    return wire.UnpinMessageReply()


@handles(catalog.GET_PINNED_MESSAGES)
def get_pinned_messages(call: CommandContext[wire.GetPinnedMessagesRequest]) -> wire.GetPinnedMessagesReply:
    """Return the pinned messages in the order of pinning, without recalled ones [inferred]."""
    group = _find_group_for_pins(call, call.request.topic_id)
    return wire.GetPinnedMessagesReply(
        pinned_msg_list=[
            wire.PinnedMessage(msg_seq=seq, pinner_account=user)
            for seq, user in group.pins.items()
            if _has_message(group, seq)
        ]
    )
