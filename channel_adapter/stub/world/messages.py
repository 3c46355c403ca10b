"""Sending, modifying and recalling group messages, and notices to those online [messages 2-4, 6.1, 6.4]."""

from collections.abc import Hashable, Sequence
from typing import Any

from pydantic import ValidationError

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world.call import Call, Event, handles
from channel_adapter.stub.world.message_log import SECONDS_PER_DAY, Message
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import messages as wire
from channel_adapter.tencent.wire.callback_envelope import DROP
from channel_adapter.tencent.wire.msg_body import Element

PRIORITIES = (wire.PRIORITY_HIGH, wire.PRIORITY_NORMAL, wire.PRIORITY_LOW)
CALLBACK_CONTROLS = frozenset({wire.FORBID_BEFORE, wire.FORBID_AFTER})
SEND_CONTROLS = frozenset({wire.NO_UNREAD, wire.NO_LAST_MSG})
TARGETED_TYPES = (groups.PRIVATE, groups.PUBLIC, groups.CHAT_ROOM)  # may use To_Account [doc 34959]
SENDER_SCAN = 1_000  # newest messages that delete_group_msg_by_sender looks at [doc 34970]
MODIFIED = "succeed"  # ErrorInfo of modify_group_msg in the page's sample [doc 47948]

SendCall = Call[wire.SendGroupMsgRequest]


def _sender(call: SendCall) -> str:
    return call.request.from_account if call.request.from_account is not None else call.caller


def _check_shape(call: SendCall) -> None:
    """What can be judged without the group."""
    request = call.request
    rules.check_range("Random", request.random, 0, limits.RANDOM_HIGHEST)
    rules.check_choice("MsgPriority", request.msg_priority, PRIORITIES)
    rules.check_choice("OnlineOnlyFlag", request.online_only_flag, (0, 1))
    rules.check_choice("SupportMessageExtension", request.support_message_extension, (0, 1))
    rules.check_choice("NeedReadReceipt", request.need_read_receipt, (0, 1))
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
    """Everything but frequency and repetition; the app is told of what only the group refuses."""
    _check_shape(call)
    request = call.request
    try:
        group = call.state.group(request.group_id)
        rules.check_community(call, group.type)
        _check_targets(call, group)
        if group.support_topic:
            raise rules.bad("TopicId: messages of a Community with topics live in its topics")
        rules.check_topicless(request.topic_id)
        check_sender(call, group, _sender(call))
    except Refusal as refusal:
        if refusal.code in (codes.NO_SUCH_GROUP, codes.MUTED):
            _tell_failure(call, call.state.groups.get(request.group_id), refusal)
        raise
    return group


def _check_targets(call: SendCall, group: Group) -> None:
    """A message for some members: not in every type of group, not for many, and never with mentions [doc 34959]."""
    targets, most = call.request.to_account, call.settings.limits.targeted_receivers
    if not targets:
        return
    community = group.type == groups.COMMUNITY and call.settings.behaviour.targeted_on_community
    if group.type not in TARGETED_TYPES and not community:
        raise rules.bad(f"To_Account is not for {group.type}", guess="targeted-message")
    if len(targets) > most:
        raise rules.bad(f"To_Account: {most} members at most", guess="targeted-message")
    if call.request.group_at_info:
        raise rules.bad("To_Account cannot go with GroupAtInfo", guess="targeted-message")


def check_sender(call: Call[Any], group: Group, sender: str) -> None:
    """An app admin may always speak, a member unless muted, nobody else [decision 9; inferred]."""
    rules.check_account(call, sender, "From_Account", guess="unknown-sender")
    if call.is_app_admin(sender):
        return
    if sender not in group.members:
        raise Refusal(codes.NOT_ALLOWED, "From_Account is not a member of the group", guess="outside-sender")
    if group.muted_until(sender, call.time) or (group.mute_all and not rules.is_staff(group, sender)):
        raise Refusal(codes.MUTED, "From_Account is muted")


def _told(call: SendCall, group: Group | None) -> dict[str, Any]:
    """The fields that all events about sending share; `None` when the group is not there."""
    request = call.request
    return {
        "group_id": request.group_id,
        "type": group.type if group else None,
        "from_account": _sender(call),
        "operator_account": call.caller,
        "random": request.random,
        "online_only_flag": request.online_only_flag or 0,
        "msg_body": request.msg_body,
        "cloud_custom_data": request.cloud_custom_data or "",
    }


def _tell_failure(call: SendCall, group: Group | None, refusal: Refusal) -> None:
    call.emit(events.SendMsgException, **_told(call, group), error_code=refusal.code, error_info=refusal.info)


def _repeat_key(call: SendCall) -> Hashable:
    """What makes a message the same as an earlier one of the group [decision 16]."""
    key = (_sender(call), call.request.random)
    if call.settings.behaviour.duplicate_key == "sender_random":
        return key
    return (*key, bodies.fingerprint(call.request.msg_body, call.request.cloud_custom_data))


def _repeated(call: SendCall, group: Group) -> tuple[int, int] | None:
    return group.log.repeated(_repeat_key(call), call.time, call.settings.limits.dedupe_seconds)


def ask_send(call: SendCall) -> Event | None:
    """The event the app is asked with, unless this message forbids it or is a repeat."""
    group = _check_send(call)
    if wire.FORBID_BEFORE in (call.request.forbid_callback_control or ()) or _repeated(call, group):
        return None
    return call.event(events.BeforeSendMsg, **_told(call, group))


def send(call: SendCall) -> wire.SendGroupMsgReply:
    """Store and deliver; a repeat answers the first message, too many in a second are dropped [decisions 16, 17]."""
    group = _check_send(call)
    first = _repeated(call, group)
    if first is not None:
        code = call.settings.behaviour.duplicate_answer_code
        if code:
            raise Refusal(code, "a message with this Random was sent a short while ago", guess="duplicate-answer")
        return wire.SendGroupMsgReply(msg_seq=first[0], msg_time=first[1])
    call.obey(codes.WEBHOOK_REFUSED)
    if call.decision.code == DROP:
        return wire.SendGroupMsgReply(msg_time=call.now, msg_seq=0)
    if group.log.sent_in(call.now) >= call.settings.limits.messages_per_second:
        return _drop(call, group)
    repeat_key = _repeat_key(call)
    rewrite(call)
    group.log.count(call.now)
    return _deliver(call, group, repeat_key)


send_group_msg = handles(catalog.SEND_GROUP_MSG, before=ask_send)(send)


def _drop(call: SendCall, group: Group) -> wire.SendGroupMsgReply:
    refusal = Refusal(codes.MESSAGES_TOO_FREQUENT, "too many messages in this group")
    _tell_failure(call, group, refusal)
    if call.settings.behaviour.frequency == "refuse":
        raise refusal
    return wire.SendGroupMsgReply(msg_time=call.now, msg_drop_reason=wire.DROPPED_BY_FREQUENCY)


def rewrite(call: Call[Any]) -> None:
    """Put in what the app's before-webhook answered; a body that is none leaves the original [doc 34374]."""
    decision = call.decision
    if decision.msg_body is not None:
        try:
            body = [Element.model_validate(item, strict=True) for item in decision.msg_body]
            bodies.check_body(body)
        except (ValidationError, Refusal):
            body = call.request.msg_body
        call.request.msg_body = body
    if decision.cloud_custom_data is not None:
        call.request.cloud_custom_data = decision.cloud_custom_data


def _deliver(call: SendCall, group: Group, repeat_key: Hashable) -> wire.SendGroupMsgReply:
    request = call.request
    seq = 0  # of a message for those online only, which is not stored [inferred]
    if not request.online_only_flag:
        seq = group.log.next_seq
        message = Message(
            seq,
            call.now,
            request.random,
            _sender(call),
            wire.PRIORITY_NUMBERS[request.msg_priority or wire.PRIORITY_NORMAL],
            request.msg_body,
            request.cloud_custom_data,
            supports_extensions=request.support_message_extension == 1,
        )
        group.log.append(message, counted=wire.NO_UNREAD not in (request.send_msg_control or ()))
    group.log.remember(repeat_key, call.time, call.settings.limits.dedupe_seconds, seq, call.now)
    if call.listening and wire.FORBID_AFTER not in (request.forbid_callback_control or ()):
        call.emit(
            events.AfterSendMsg,
            **_told(call, group),
            msg_seq=seq,
            msg_time=call.now,
            group_at_info=request.group_at_info or None,
        )
    return wire.SendGroupMsgReply(msg_seq=seq, msg_time=call.now)


def expired(call: Call[Any], message: Message) -> bool:
    """Older than the days the service keeps."""
    return call.now - message.time > call.settings.limits.roaming_days * SECONDS_PER_DAY


@handles(catalog.MODIFY_GROUP_MSG)
def modify_group_msg(call: Call[wire.ModifyGroupMsgRequest]) -> wire.ModifyGroupMsgReply:
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
    call: Call[Any], group: Group, message: Message, body: list[Element], cloud_custom_data: str | None
) -> None:
    """Write a checked change and tell the app."""
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
def group_msg_recall(call: Call[wire.GroupMsgRecallRequest]) -> wire.GroupMsgRecallReply:
    """One code an item; an admin may recall whatever is still kept [doc 34965]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_topicless(request.topic_id)
    if not 1 <= len(request.msg_seq_list) <= call.settings.limits.recalls:
        raise rules.bad(f"MsgSeqList: 1 to {call.settings.limits.recalls} messages")
    rules.check_bytes("Reason", request.reason, call.settings.limits.recall_reason_bytes)
    recalled: list[Message] = []
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


def recall(call: Call[Any], group: Group, messages: Sequence[Message]) -> None:
    """Recall stored messages and tell the app."""
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
def delete_group_msg_by_sender(call: Call[wire.DeleteGroupMsgBySenderRequest]) -> wire.DeleteGroupMsgBySenderReply:
    """Recall one sender's messages among the newest 1000, without telling anybody [doc 34970]."""
    group = call.state.group(call.request.group_id)
    rules.check_topicless(call.request.topic_id)
    for message in group.log.newest(None, SENDER_SCAN):
        if message.sender == call.request.sender_account:
            group.log.recall(message)
    return wire.DeleteGroupMsgBySenderReply()


@handles(catalog.SEND_GROUP_SYSTEM_NOTIFICATION)
def send_group_system_notification(
    call: Call[wire.SendGroupSystemNotificationRequest],
) -> wire.SendGroupSystemNotificationReply:
    """Reaches those online, is not stored, takes no seq [doc 34958]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_topicless(request.topic_id)
    if not request.content:
        raise rules.bad("Content is empty")
    most = call.settings.limits.notice_receivers
    if len(request.to_members_account or ()) > most:
        raise rules.bad(f"ToMembers_Account: {most} accounts at most")
    if request.to_members_account and group.type == groups.AV_CHAT_ROOM:
        raise rules.bad("ToMembers_Account is not for live rooms")
    return wire.SendGroupSystemNotificationReply()
