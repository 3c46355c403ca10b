"""Commands that exist and are refused for Communities without topics [groups 6, 7; messages 6.2, 6.3, 6.5].

The shape of the request is checked and the group looked up first, so a caller sees the usual codes for those.
"""

from typing import Any, NoReturn

from channel_adapter.stub.world.call import Call, Handler
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.command import Command
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import messages as wire


def _refuse_group(call: Call[Any]) -> NoReturn:
    """10010 and 10015 first, then 10007 for every type of group: the stub plays no live rooms and no receipts."""
    group = call.state.group(call.request.group_id)
    raise Refusal(codes.NOT_ALLOWED, f"not for a group of type {group.type}", guess="command-for-other-types")


def _refuse_topics(call: Call[Any]) -> NoReturn:
    """11000 while Communities are off, then as above: the stub plays no topics."""
    if not call.settings.app.community:
        raise Refusal(codes.COMMUNITY_OFF, "Communities are not enabled for this app")
    call.state.group(call.request.group_id)
    raise Refusal(codes.NOT_ALLOWED, "the Community has no topics", guess="command-for-other-types")


def _refuse_broadcast(call: Call[Any]) -> NoReturn:
    """There are no live rooms to speak to [doc 49440]."""
    raise Refusal(codes.NOT_ALLOWED, "broadcasts to live rooms are not enabled for this app")


def _clear_group_msg(call: Call[wire.ClearGroupMsgRequest]) -> wire.ClearGroupMsgReply:
    """Hides messages from clients, which the stub does not play; not for Communities [doc 65970]."""
    group = call.state.group(call.request.group_id)
    if group.type == groups.COMMUNITY:
        raise Refusal(codes.NOT_ALLOWED, "not for Communities", guess="command-for-other-types")
    return wire.ClearGroupMsgReply()


FOR_OTHER_GROUPS: tuple[Command[Any, Any], ...] = (
    catalog.GROUP_MSG_RECEIPT,
    catalog.GET_GROUP_MSG_RECEIPT,
    catalog.GET_GROUP_MSG_RECEIPT_DETAIL,
    catalog.BAN_GROUP_MEMBER,
    catalog.UNBAN_GROUP_MEMBER,
    catalog.GET_GROUP_BAN_MEMBER,
    catalog.MODIFY_ADMIN,
    catalog.GET_ADMIN_LIST,
    catalog.CHECK_MEMBERS,
    catalog.GET_MEMBERS,
    catalog.MODIFY_USER_INFO,
)
FOR_TOPICS: tuple[Command[Any, Any], ...] = (
    catalog.CREATE_TOPIC,
    catalog.GET_TOPIC,
    catalog.MODIFY_TOPIC,
    catalog.DESTROY_TOPIC,
    catalog.IMPORT_TOPIC,
    catalog.CREATE_PERMISSION_GROUP,
    catalog.MODIFY_PERMISSION_GROUP,
    catalog.GET_PERMISSION_GROUP,
    catalog.ADD_PERMISSION_GROUP_MEMBER,
    catalog.DELETE_PERMISSION_GROUP_MEMBER,
    catalog.GET_PERMISSION_GROUP_MEMBER_LIST,
)
HANDLERS: tuple[Handler, ...] = (
    *(Handler(command, _refuse_group) for command in FOR_OTHER_GROUPS),
    *(Handler(command, _refuse_topics) for command in FOR_TOPICS),
    Handler(catalog.SEND_BROADCAST_MSG, _refuse_broadcast),
    Handler(catalog.CLEAR_GROUP_MSG, _clear_group_msg),
)
