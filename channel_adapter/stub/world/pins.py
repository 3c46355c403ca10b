"""Pinned messages [messages 7]."""

from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import messages as wire


def _group(call: Call[Any], topic_id: str | None) -> Group:
    if not call.settings.behaviour.pins:
        raise Refusal(codes.UNKNOWN_COMMAND, "the command does not exist yet")
    group: Group = call.state.group(call.request.group_id)
    rules.check_topicless(topic_id)
    rules.check_not_live(group.type, "pinning a message")
    return group


def _is_there(group: Group, seq: int) -> bool:
    message = group.log.get(seq)
    return message is not None and not message.recalled and not message.system


@handles(catalog.PIN_MESSAGE)
def pin_message(call: Call[wire.PinMessageRequest]) -> wire.PinMessageReply:
    """10070 when the group is full of them, 10071 when it is one already [doc cn-133874]."""
    request = call.request
    group = _group(call, request.topic_id)
    rules.check_account(call, request.pinner_account, "Pinner_Account")
    if not _is_there(group, request.msg_seq):
        raise rules.bad("MsgSeq: the message does not exist", guess="pin-of-missing-message")
    pinned = [seq for seq in group.pins if _is_there(group, seq)]
    if request.msg_seq in pinned:
        raise Refusal(codes.ALREADY_PINNED, "the message is pinned already")
    if len(pinned) >= call.settings.limits.pins:
        raise Refusal(codes.TOO_MANY_PINS, f"a group holds {call.settings.limits.pins} pinned messages at most")
    group.pins[request.msg_seq] = request.pinner_account or call.caller
    return wire.PinMessageReply()


@handles(catalog.UNPIN_MESSAGE)
def unpin_message(call: Call[wire.UnpinMessageRequest]) -> wire.UnpinMessageReply:
    """A message that is not pinned stays so [inferred]."""
    group = _group(call, call.request.topic_id)
    rules.check_account(call, call.request.un_pinner_account, "UnPinner_Account")
    group.pins.pop(call.request.msg_seq, None)
    return wire.UnpinMessageReply()


@handles(catalog.GET_PINNED_MESSAGES)
def get_pinned_messages(call: Call[wire.GetPinnedMessagesRequest]) -> wire.GetPinnedMessagesReply:
    """In the order of pinning; recalled messages are gone [inferred]."""
    group = _group(call, call.request.topic_id)
    return wire.GetPinnedMessagesReply(
        pinned_msg_list=[
            wire.PinnedMessage(msg_seq=seq, pinner_account=user)
            for seq, user in group.pins.items()
            if _is_there(group, seq)
        ]
    )
