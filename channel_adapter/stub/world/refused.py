"""Commands that the stub only refuses, as rows of data.

Required fields are checked and the group looked up first, so that a caller gets the usual codes for those. Then
10007 where the pages exclude the type of the group, and 60002 where the service would execute the command.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NoReturn

from channel_adapter.stub.world.context import CommandContext, CommandHandler, json_names
from channel_adapter.stub.world.group_rules import bad
from channel_adapter.stub.world.parsing import is_account
from channel_adapter.stub.world.refusal import Refusal, not_played
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import WITHOUT_MODELS, Command
from channel_adapter.tencent.wire import groups

LIVE: Final = frozenset({groups.AV_CHAT_ROOM})
ORDINARY: Final = frozenset({groups.PRIVATE, groups.PUBLIC, groups.CHAT_ROOM})
TOPICS: Final = frozenset({groups.COMMUNITY})  # Communities with topics
GROUP_ID: Final = json_names(groups.GroupIdItem)["group_id"]

# command -> the types of groups that the service has it for, and the fields that it requires beside GroupId
FOR_GROUPS: Final[Mapping[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "ban_group_member": (LIVE, ("Members_Account",)),
    "unban_group_member": (LIVE, ("Members_Account",)),
    "get_group_ban_member": (LIVE, ()),
    "modify_admin": (LIVE, ("CommandType", "Admin_Account")),
    "get_admin_list": (LIVE, ()),
    "check_members": (LIVE, ("Member_Account",)),
    "modify_user_info": (LIVE, ()),
    "group_msg_receipt": (ORDINARY, ("From_Account", "MsgSeqList")),
    "get_group_msg_receipt": (ORDINARY, ("MsgSeqList",)),
    "get_group_msg_receipt_detail": (ORDINARY, ("MsgSeq", "Filter", "Count")),
    "clear_group_msg": (ORDINARY, ()),
    "create_topic": (TOPICS, ("TopicName",)),
    "get_topic": (TOPICS, ()),
    "modify_topic": (TOPICS, ("TopicId",)),
    "destroy_topic": (TOPICS, ("TopicIdList",)),
    "import_topic": (TOPICS, ("Type", "TopicName")),
    "create_permission_group": (TOPICS, ()),
    "modify_permission_group": (TOPICS, ()),
    "get_permission_group": (TOPICS, ()),
    "add_permission_group_member": (TOPICS, ()),
    "delete_permission_group_member": (TOPICS, ()),
    "get_permission_group_member_list": (TOPICS, ("PermissionGroupId",)),
}
# command -> the fields that it requires, of commands that are not about one group
BROADCAST: Final[Mapping[str, tuple[str, ...]]] = {"send_broadcast_msg": ("Random", "MsgBody")}


def _checked_body(call: CommandContext[Any], required: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the body; Refusal 10004 when a required field is missing, 60015 for an account that is a number."""
    body = call.request.model_extra or {}
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if is_account((name,)) and isinstance(item, int | float) and not isinstance(item, bool):
                raise Refusal(codes.ACCOUNT_NOT_A_STRING, f"{name} must be a string")
    for name in required:
        if name not in body:
            raise bad(f"{name} is missing")
    return body


def _find_group(call: CommandContext[Any], body: Mapping[str, Any]) -> Group:
    """Return the group; Refusal 10004, 10010 or 10015 when the id is none, unknown or malformed."""
    group_id = body[GROUP_ID]
    if not isinstance(group_id, str):
        raise bad(f"{GROUP_ID} must be a string")
    return call.state.group(group_id)


def _refuse_for_group(command: Command[Any, Any], call: CommandContext[Any]) -> NoReturn:
    """Refuse a command about one group: 60002 where the service has it for such groups, else 10007."""
    types, required = FOR_GROUPS[command.name]
    body = _checked_body(call, (GROUP_ID, *required))
    if types is TOPICS:
        if not call.settings.app.community:
            raise Refusal(codes.COMMUNITY_OFF, "Communities are not enabled for this app")
        if _find_group(call, body).support_topic:
            raise not_played(command.path, "Communities with topics")
        raise Refusal(codes.NOT_ALLOWED, "the Community has no topics", guess="command-for-other-types")
    group = _find_group(call, body)
    if group.type in types:
        raise not_played(command.path, f"groups of type {group.type}")
    raise Refusal(codes.NOT_ALLOWED, f"not for a group of type {group.type}", guess="command-for-other-types")


def _refuse_broadcast(command: Command[Any, Any], call: CommandContext[Any]) -> NoReturn:
    """Refuse with 10007, as for an app without broadcasts to live rooms [doc 49440]."""
    _checked_body(call, BROADCAST[command.name])
    raise Refusal(codes.NOT_ALLOWED, "broadcasts to live rooms are not enabled for this app")


def _make_handler(command: Command[Any, Any]) -> CommandHandler:
    if command.name in FOR_GROUPS:
        return CommandHandler(command, partial(_refuse_for_group, command), refusals_only=True)
    return CommandHandler(command, partial(_refuse_broadcast, command), refusals_only=True)


HANDLERS: Final[tuple[CommandHandler, ...]] = tuple(_make_handler(command) for command in WITHOUT_MODELS)
