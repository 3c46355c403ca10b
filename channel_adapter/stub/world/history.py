"""Reading messages back [messages 5]."""

from collections.abc import Iterator

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.message_log import Message
from channel_adapter.stub.world.messages import expired
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import messages as wire

CUT, WHOLE, CUT_AND_EXPIRED = 0, 1, 2  # IsFinished [doc 34971]


@handles(catalog.GROUP_MSG_GET_SIMPLE, sized=True)
def group_msg_get_simple(call: Call[wire.GroupMsgGetSimpleRequest]) -> wire.GroupMsgGetSimpleReply:
    """A page at or below a seq, newest first; what expired has no body, what was recalled shows only when asked."""
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
    most = call.settings.limits.history
    page: list[Message] = []
    for message in _downwards(group, request.req_msg_seq):
        if len(page) == min(request.req_msg_number, most):
            break
        if not message.recalled or request.with_recalled_msg:
            page.append(message)
    return wire.GroupMsgGetSimpleReply(
        group_id=group.group_id,
        is_finished=is_finished(cut=request.req_msg_number > most, expired=all(expired(call, item) for item in page)),
        rsp_msg_list=[_item(call, message) for message in page],
    )


def is_finished(*, cut: bool, expired: bool) -> int:
    """Speaks about the page asked for, not about the end of history [messages 5]."""
    if not cut:
        return WHOLE
    return CUT_AND_EXPIRED if expired else CUT


def _downwards(group: Group, seq: int | None) -> Iterator[Message]:
    current = group.log.next_seq - 1 if seq is None else min(seq, group.log.next_seq - 1)
    while (message := group.log.get(current)) is not None:
        yield message
        current -= 1


def _item(call: Call[wire.GroupMsgGetSimpleRequest], message: Message) -> wire.HistoryMessage:
    behaviour = call.settings.behaviour
    gone = expired(call, message)
    place = wire.PLACE_GONE if gone else wire.PLACE_RECALLED if message.recalled else wire.PLACE_NORMAL
    empty = gone or (message.recalled and behaviour.recalled_body_empty)
    return wire.HistoryMessage(
        from_account=message.sender,
        is_place_msg=place,
        is_system_msg=1 if message.system else None,
        msg_body=[] if empty else [*message.body],
        msg_priority=message.priority,
        msg_random=message.random,
        msg_seq=message.seq,
        msg_time_stamp=message.time,
        cloud_custom_data=message.cloud_custom_data if behaviour.history_cloud_custom_data and not empty else None,
    )
