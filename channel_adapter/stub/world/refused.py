"""Commands of which the stub plays the refusal only [groups 6, 7; messages 6.2, 6.3, 6.5].

The shape of the request is checked and the group looked up first, so a caller sees the usual codes for those. Then
10007 where the pages exclude the type of the group, and 60002 where the service would carry the command out.
"""

from typing import Any, Final, NoReturn

from channel_adapter.stub.world.context import Call, Handler
from channel_adapter.stub.world.refusal import Refusal, not_played
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire import groups

LIVE_ROOMS: Final = frozenset({groups.AV_CHAT_ROOM})
ORDINARY: Final = frozenset({groups.PRIVATE, groups.PUBLIC, groups.CHAT_ROOM})  # receipts, clearing [messages 6]


def _refuse(command: Command[Any, Any], types: frozenset[str]) -> Handler:
    """Make the handler of a command that the service has for groups of `types`."""

    def run(call: Call[Any]) -> NoReturn:
        group = call.state.group(call.request.group_id)
        if group.type in types:
            raise not_played(command.path, f"groups of type {group.type}")
        raise Refusal(codes.NOT_ALLOWED, f"not for a group of type {group.type}", guess="command-for-other-types")

    return Handler(command, run, refusals_only=True)


def _refuse_topics(command: Command[Any, Any]) -> Handler:
    """Make the handler of a command about topics; 11000 while Communities are off."""

    def run(call: Call[Any]) -> NoReturn:
        if not call.settings.app.community:
            raise Refusal(codes.COMMUNITY_OFF, "Communities are not enabled for this app")
        if call.state.group(call.request.group_id).support_topic:
            raise not_played(command.path, "Communities with topics")
        raise Refusal(codes.NOT_ALLOWED, "the Community has no topics", guess="command-for-other-types")

    return Handler(command, run, refusals_only=True)


def _refuse_broadcast(call: Call[Any]) -> NoReturn:
    """Raise 10007, as for an app without this feature [doc 49440]."""
    raise Refusal(codes.NOT_ALLOWED, "broadcasts to live rooms are not enabled for this app")


FOR_LIVE_ROOMS: tuple[Command[Any, Any], ...] = (
    catalog.BAN_GROUP_MEMBER,
    catalog.UNBAN_GROUP_MEMBER,
    catalog.GET_GROUP_BAN_MEMBER,
    catalog.MODIFY_ADMIN,
    catalog.GET_ADMIN_LIST,
    catalog.CHECK_MEMBERS,
    catalog.MODIFY_USER_INFO,
)
RECEIPTS: tuple[Command[Any, Any], ...] = (
    catalog.GROUP_MSG_RECEIPT,
    catalog.GET_GROUP_MSG_RECEIPT,
    catalog.GET_GROUP_MSG_RECEIPT_DETAIL,
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
    *(_refuse(command, LIVE_ROOMS) for command in FOR_LIVE_ROOMS),
    *(_refuse(command, ORDINARY) for command in (*RECEIPTS, catalog.CLEAR_GROUP_MSG)),
    *(_refuse_topics(command) for command in FOR_TOPICS),
    Handler(catalog.SEND_BROADCAST_MSG, _refuse_broadcast, refusals_only=True),
)
