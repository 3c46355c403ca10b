"""Import of existing groups, members and messages: no webhooks, no notices."""

from collections.abc import Sequence

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import groups
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world.context import CommandContext, handles
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import groups as wire
from channel_adapter.tencent.wire import members, messages, msg_body

NORMAL = messages.PRIORITY_NUMBERS[messages.PRIORITY_NORMAL]


@handles(catalog.IMPORT_GROUP)
def import_group(call: CommandContext[wire.ImportGroupRequest]) -> wire.ImportGroupReply:
    """Create a group with a creation time in the past; a used id is 10021, whatever its owner [docS 1634]."""
    request = call.request
    rules.check_not_live(request.type, "import_group")
    groups.check_new_group(call, request)
    rules.check_range("CreateTime", request.create_time, 1, call.now)
    if request.group_id is not None and request.group_id in call.state.groups:
        raise Refusal(codes.GROUP_ID_TAKEN, "GroupId is taken")
    group = groups.add_group(call, request, call.now if request.create_time is None else request.create_time)
    return wire.ImportGroupReply(group_id=group.group_id)


@handles(catalog.IMPORT_GROUP_MSG)
def import_group_msg(call: CommandContext[messages.ImportGroupMsgRequest]) -> messages.ImportGroupMsgReply:
    """Import messages in ascending order, each later than all before it; all unread counts become 0 [doc 1635]."""
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "import_group_msg")
    rules.check_topicless(call.request.topic_id)
    maximum = call.settings.limits.import_messages
    if not 1 <= len(call.request.msg_list) <= maximum:
        raise rules.bad(f"MsgList: 1 to {maximum} messages")
    for item in call.request.msg_list:
        rules.check_range("Random", item.random, 0, limits.RANDOM_HIGHEST)
    last = group.log.next_seq - 1
    results = [_import_message(call, group, item) for item in call.request.msg_list]
    if group.log.next_seq - 1 > last:
        group.members.set_all_read(group.log.next_seq - 1)
    return messages.ImportGroupMsgReply(import_msg_result=results)


def _import_message(
    call: CommandContext[messages.ImportGroupMsgRequest], group: Group, item: messages.ImportedMessage
) -> messages.ImportMsgResult:
    window = call.settings.limits.dedupe_seconds
    key = (item.from_account, item.random)
    first = None if item.random is None else group.log.repeated(key, call.time, window)
    if first is not None:
        return messages.ImportMsgResult(msg_seq=first[0], msg_time=first[1], result=codes.OK)
    try:
        _check_imported(call, group, item)
    except Refusal as refusal:
        return messages.ImportMsgResult(msg_seq=0, msg_time=item.send_time, result=refusal.code)
    seq = group.log.next_seq
    group.log.append(
        StoredMessage(
            seq,
            item.send_time,
            item.random or 0,
            item.from_account,
            NORMAL,
            pack(item.msg_body),
            supports_extensions=call.settings.behaviour.imported_extensions,
        )
    )
    if item.random is not None:
        group.log.remember(key, call.time, window, seq, item.send_time)
    return messages.ImportMsgResult(msg_seq=seq, msg_time=item.send_time, result=codes.OK)


def _check_imported(
    call: CommandContext[messages.ImportGroupMsgRequest], group: Group, item: messages.ImportedMessage
) -> None:
    latest = group.log.last_time
    if call.settings.behaviour.equal_send_time == "accept":
        latest -= 1
    if not max(group.create_time, latest) < item.send_time < call.now:
        raise rules.bad("SendTime must be after the group's creation and its latest message, and before now")
    if call.state.account(item.from_account) is None:
        raise rules.bad("From_Account does not exist")
    bodies.check_body(item.msg_body)
    if call.settings.behaviour.import_media == "refuse" and not _is_importable(item.msg_body):
        raise rules.bad("only text, face, location and custom elements can be imported")
    bodies.check_size(call.settings, item.msg_body, None)


def _is_importable(body: Sequence[msg_body.Element]) -> bool:
    return all(element.msg_type in msg_body.IMPORTABLE for element in body)


@handles(catalog.IMPORT_GROUP_MEMBER)
def import_group_member(call: CommandContext[members.ImportGroupMemberRequest]) -> members.ImportGroupMemberReply:
    """Import members with their join times; one result each [docS 1636]."""
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "import_group_member")
    new, maximum = call.request.member_list, call.settings.limits.import_members
    if not new:
        raise rules.bad("MemberList is empty")
    if len(new) > maximum:
        raise Refusal(codes.TOO_MANY_ACCOUNTS, f"MemberList: {maximum} accounts at most")
    for item in new:
        rules.check_choice("Role", item.role, (members.ADMIN,))
        if item.unread_msg_num is not None and item.unread_msg_num < 0:
            raise rules.bad("UnreadMsgNum must be 0 or more")
    results = [
        members.MemberResult(member_account=item.member_account, result=_import_member(call, group, item))
        for item in new
    ]
    return members.ImportGroupMemberReply(member_list=results)


def _import_member(
    call: CommandContext[members.ImportGroupMemberRequest], group: Group, item: members.ImportedMember
) -> int:
    user = item.member_account
    if user in group.members:
        return members.RESULT_ALREADY
    fits = len(group.members) < group.max_members and rules.may_join_more(call, user)
    timely = item.join_time is None or group.create_time < item.join_time < call.now
    if call.state.account(user) is None or not fits or not timely:
        return members.RESULT_FAILED
    total = group.log.next_seq - 1
    role = MemberRole.MEMBER if item.role is None else MemberRole.ADMIN
    joined = call.now if item.join_time is None else item.join_time
    call.state.join(group, user, role, joined, total - min(item.unread_msg_num or 0, total))
    return members.RESULT_ADDED
