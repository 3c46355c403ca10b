"""Members: add, delete, change, mute, list, roles, online counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from channel_adapter.stub.world import contacts
from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import group_view as view
from channel_adapter.stub.world.context import CallbackEvent, CommandContext, PrebuiltReply, handles, prebuilt
from channel_adapter.stub.world.member_table import FLAGS, ROLES, MemberRole, MemberTable
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups, profiles
from channel_adapter.tencent.wire import members as wire


def classify_new_members(call: CommandContext[Any], group: Group, users: Sequence[str]) -> list[int]:
    """Return the Result of each account, in order, as if all that can be added were added now."""
    results, seen = [], set[str]()
    for user in users:
        if call.state.account(user) is None or user in call.decision.refused:
            results.append(wire.RESULT_FAILED)
        elif user in group.members or user in seen:
            results.append(wire.RESULT_ALREADY)
        elif not rules.may_join_more(call, user):
            results.append(wire.RESULT_TOO_MANY_GROUPS)
        else:
            seen.add(user)
            results.append(wire.RESULT_ADDED)
    return results


def add_members(
    call: CommandContext[Any],
    group: Group,
    users: Sequence[str],
    join_type: str,
    operator: str,
    *,
    silent: bool = False,
) -> None:
    """Add checked accounts; earlier messages are not unread for them. `silent`: without a system notice."""
    if not users:
        return
    for user in users:
        call.state.join(group, user, MemberRole.MEMBER, call.now, group.log.next_seq - 1)
    if not silent:
        rules.write_notice(call, group)
    call.emit(
        events.AfterNewMemberJoin,
        group_id=group.group_id,
        type=group.type,
        join_type=join_type,
        operator_account=operator,
        new_member_list=[{"member_account": user} for user in users],
    )
    if len(group.members) >= group.max_members:
        call.emit(events.AfterGroupFull, group_id=group.group_id)


def remove_members(
    call: CommandContext[Any],
    group: Group,
    users: Sequence[str],
    exit_type: str,
    operator: str,
    *,
    silent: bool = False,
) -> None:
    """Remove members; other users are ignored [doc 1622]."""
    removed = [user for user in dict.fromkeys(users) if user in group.members]
    for user in removed:
        call.state.leave(group, user)
    contacts.remove_conversation(call, group.group_id, removed)
    if removed and not silent:
        rules.write_notice(call, group)
    if removed:
        call.emit(
            events.AfterMemberExit,
            group_id=group.group_id,
            type=group.type,
            exit_type=exit_type,
            operator_account=operator,
            exit_member_list=[{"member_account": user} for user in removed],
        )


def _check_add(call: CommandContext[wire.AddGroupMemberRequest]) -> tuple[Group, list[str]]:
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "add_group_member")
    users = [item.member_account for item in call.request.member_list]
    if not users:
        raise rules.bad("MemberList is empty")
    maximum = call.settings.limits.add_members
    if len(users) > maximum:
        raise Refusal(codes.TOO_MANY_ACCOUNTS, f"MemberList: {maximum} accounts at most")
    rules.check_choice("Silence", call.request.silence, (0, 1))
    if call.settings.behaviour.unknown_account == "refuse_call":
        for user in users:
            rules.check_account(call, user, "MemberList", guess="unknown-account-in-batch")
    return group, users


def _before_add(call: CommandContext[wire.AddGroupMemberRequest]) -> CallbackEvent:
    group, users = _check_add(call)
    return call.event(
        events.BeforeInviteJoinGroup,
        group_id=group.group_id,
        type=group.type,
        operator_account=call.caller,
        destination_members=[{"member_account": user} for user in users],
    )


@handles(catalog.ADD_GROUP_MEMBER, before=_before_add)
def add_group_member(call: CommandContext[wire.AddGroupMemberRequest]) -> wire.AddGroupMemberReply:
    """Add members, one result an account; a batch that does not fit adds none (10014) [docS 1621; inferred]."""
    group, users = _check_add(call)
    call.apply_decision(codes.WEBHOOK_REFUSED)
    results = classify_new_members(call, group, users)
    if len(group.members) + Counter(results)[wire.RESULT_ADDED] > group.max_members:
        raise rules.group_full(call, group)
    added = [user for user, result in zip(users, results, strict=True) if result == wire.RESULT_ADDED]
    add_members(call, group, added, events.INVITED, call.caller, silent=call.request.silence == 1)
    return wire.AddGroupMemberReply(
        member_list=[
            wire.MemberResult(member_account=user, result=result) for user, result in zip(users, results, strict=True)
        ]
    )


@handles(catalog.DELETE_GROUP_MEMBER)
def delete_group_member(call: CommandContext[wire.DeleteGroupMemberRequest]) -> wire.DeleteGroupMemberReply:
    """Remove members; other users are ignored, the owner cannot be removed [doc 1622; inferred]."""
    group = call.state.group(call.request.group_id)
    if group.type == groups.AV_CHAT_ROOM:
        raise rules.bad("members of a live room cannot be removed")
    users, maximum = call.request.member_to_del_account, call.settings.limits.delete_members
    if not 1 <= len(users) <= maximum:
        raise rules.bad(f"MemberToDel_Account: 1 to {maximum} accounts")
    rules.check_choice("Silence", call.request.silence, (0, 1))
    if group.owner and group.owner in users:
        raise Refusal(codes.NOT_ALLOWED, "the owner cannot be removed", guess="owner-removal")
    remove_members(call, group, users, events.KICKED, call.caller, silent=call.request.silence == 1)
    return wire.DeleteGroupMemberReply()


@handles(catalog.MODIFY_GROUP_MEMBER_INFO)
def modify_group_member_info(
    call: CommandContext[wire.ModifyGroupMemberInfoRequest],
) -> wire.ModifyGroupMemberInfoReply:
    """Change role, receive option, name card, fields, mute of one member; 10007 for others [docS 1623; inferred]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_choice("Role", request.role, (wire.ADMIN, wire.MEMBER))
    rules.check_choice("MsgFlag", request.msg_flag, FLAGS)
    rules.check_bytes("NameCard", request.name_card, call.settings.limits.name_card_bytes)
    rules.check_member_fields(call, request.app_member_defined_data)
    seconds = request.mute_time if request.mute_time is not None else request.shut_up_time
    rules.check_range("MuteTime", seconds, 0, limits.MUTE_FOREVER)
    row = group.members.find(request.member_account)
    if row is None:
        raise Refusal(codes.NOT_ALLOWED, "Member_Account is not a member of the group", guess="change-of-outsider")
    if group.members.role(row) is MemberRole.MEMBER:
        rules.check_not_live(group.type, "changing a plain member")
    if request.role is not None and group.members.role(row) is MemberRole.OWNER:
        raise Refusal(codes.NOT_ALLOWED, "the owner's role changes with change_group_owner only")
    _write_member(call, group, row)
    if seconds is not None:
        mute(call, group, request.member_account, seconds)
        rules.write_notice(call, group)
    return wire.ModifyGroupMemberInfoReply()


def _write_member(call: CommandContext[wire.ModifyGroupMemberInfoRequest], group: Group, row: int) -> None:
    request, user = call.request, group.members.user(row)
    changed: dict[str, str] = {}
    if request.role is not None and request.role != group.members.role_name(row):
        group.members.set_role(row, MemberRole.ADMIN if request.role == wire.ADMIN else MemberRole.MEMBER)
        changed["Role"] = request.role
        rules.write_notice(call, group)
    if request.name_card is not None and request.name_card != group.name_cards.get(user, ""):
        group.name_cards[user] = request.name_card
        changed["NameCard"] = request.name_card
    if request.msg_flag is not None:
        group.members.set_flag(row, request.msg_flag)
    if request.app_member_defined_data:
        rules.write_fields(group.member_fields.setdefault(user, {}), request.app_member_defined_data)
    if changed:
        call.emit(
            events.AfterMemberFieldChanged,
            group_id=group.group_id,
            type=group.type,
            operator_account=call.caller,
            modified_account=user,
            **changed,
        )


def mute(call: CommandContext[Any], group: Group, user: str, seconds: int) -> None:
    """Mute a user; 0 ends a mute, the highest number means for ever [docS 1627]."""
    if seconds == 0:
        group.mutes.pop(user, None)
    else:
        group.mutes[user] = seconds if seconds == limits.MUTE_FOREVER else min(call.now + seconds, limits.MUTE_FOREVER)


@handles(catalog.FORBID_SEND_MSG)
def forbid_send_msg(call: CommandContext[wire.ForbidSendMsgRequest]) -> wire.ForbidSendMsgReply:
    """Mute or unmute accounts; a mute outlives leaving and joining again [docS 1627]."""
    group = call.state.group(call.request.group_id)
    if group.type == groups.PRIVATE:
        raise Refusal(codes.NOT_ALLOWED, "members of a group of this type cannot be muted")
    users, maximum = call.request.members_account, call.settings.limits.mutes
    if not 1 <= len(users) <= maximum:
        raise rules.bad(f"Members_Account: 1 to {maximum} accounts")
    seconds = call.request.mute_time if call.request.mute_time is not None else call.request.shut_up_time
    if seconds is None:
        raise rules.bad("MuteTime is missing")
    rules.check_range("MuteTime", seconds, 0, limits.MUTE_FOREVER)
    for user in users:
        if call.state.account(user) is None:
            raise rules.bad("Members_Account: an account does not exist", guess="mute-of-unknown-account")
    for user in users:
        mute(call, group, user, seconds)
    rules.write_notice(call, group)
    return wire.ForbidSendMsgReply()


def _list_muted(call: CommandContext[Any], group: Group) -> list[tuple[str, int]]:
    """Return the muted members and when their mutes end."""
    return [
        (user, end) for user in group.mutes if user in group.members and (end := group.muted_until(user, call.time))
    ]


@handles(catalog.GET_GROUP_MUTED_ACCOUNT)
def get_group_muted_account(call: CommandContext[wire.GetGroupMutedAccountRequest]) -> wire.GetGroupMutedAccountReply:
    """Return the muted members, unpaged; muting the whole group does not count [docS 2925]."""
    group = call.state.group(call.request.group_id)
    return wire.GetGroupMutedAccountReply(
        group_id=group.group_id,
        muted_account_list=[
            wire.MutedAccount(member_account=user, muted_until=end) for user, end in _list_muted(call, group)
        ],
    )


@handles(catalog.GET_GROUP_SHUTTED_UIN)
def get_group_shutted_uin(call: CommandContext[wire.GetGroupShuttedUinRequest]) -> wire.GetGroupShuttedUinReply:
    """Return the muted members, under the older name of the command [docS 2925]."""
    group = call.state.group(call.request.group_id)
    return wire.GetGroupShuttedUinReply(
        group_id=group.group_id,
        shutted_uin_list=[
            wire.MutedAccount(member_account=user, shutted_until=end) for user, end in _list_muted(call, group)
        ],
    )


START = ("", "0", 0, None)  # cursors that mean the first page [decision 20]


@handles(catalog.GET_GROUP_MEMBER_INFO, sized=True)
def get_group_member_info(call: CommandContext[wire.GetGroupMemberInfoRequest]) -> PrebuiltReply:
    """Return a page of members in the order of joining; Communities by cursor only [docS 1617]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_not_live(group.type, "get_group_member_info")
    rules.check_range("Limit", request.limit, 1, call.settings.limits.members_per_page)
    roles = _parse_roles(request.member_role_filter)
    community = group.type == groups.COMMUNITY
    if community and request.offset:  # a public SDK always sends 0
        raise rules.bad("Offset is not for Communities: page with Next", guess="member-list-offset")
    if request.offset is not None and request.offset < 0:
        raise rules.bad("Offset must be 0 or more")
    start = _parse_cursor(request.next)
    if community:
        usual = min(limits.MEMBERS_PER_PAGE, call.settings.limits.members_per_page)
        rows, following = _read_page(group.members, start, request.limit or usual, roles)
    else:
        every_row, following = _read_page(group.members, 0, len(group.members) + 1, roles)
        rows = every_row[request.offset or 0 :][: request.limit]
    look = view.MemberView(
        call.state, group, call.time, request.member_info_filter, request.app_defined_data_filter_group_member
    )
    return prebuilt(
        wire.GetGroupMemberInfoReply,
        member_num=len(group.members),
        member_list=[look.item(row) for row in rows],
        next=_format_cursor(following) if community else None,
    )


def _parse_cursor(text: str | int | None) -> int:
    """Return the serial of the first row; 10004 for what is no cursor of this command."""
    if text in START:
        return 0
    if isinstance(text, str) and len(text) <= 16 and text.isascii() and text.isalnum():
        try:
            return int(text, 16)
        except ValueError:
            raise rules.bad("Next is not a cursor that this command returned") from None
    raise rules.bad("Next is not a cursor that this command returned")


def _format_cursor(serial: int) -> str:
    return f"{serial:x}" if serial else ""


def _parse_roles(names: Iterable[str] | None) -> frozenset[MemberRole]:
    """Return the roles that a filter accepts; absent or empty: all."""
    wanted = list(names or ())
    for name in wanted:
        rules.check_choice("MemberRoleFilter", name, tuple(ROLES))
    return frozenset(ROLES[name] for name in wanted) or frozenset(MemberRole)


def _read_page(table: MemberTable, start: int, maximum: int, roles: frozenset[MemberRole]) -> tuple[list[int], int]:
    """Return rows of these roles from a serial on. Owner and admins are found without a scan of all members."""
    if MemberRole.MEMBER not in roles:
        rows = [row for row in table.staff() if table.serial(row) >= start and table.role(row) in roles]
        return rows[:maximum], table.serial(rows[maximum]) if len(rows) > maximum else 0
    found: list[int] = []
    while True:
        rows, start = table.page(start, maximum - len(found))
        found += [row for row in rows if table.role(row) in roles]
        if not start or len(found) == maximum:
            return found, start


@handles(catalog.GET_SPECIFIED_GROUP_MEMBER_INFO, sized=True)
def get_specified_group_member_info(call: CommandContext[wire.GetSpecifiedGroupMemberInfoRequest]) -> PrebuiltReply:
    """Return named members; users who are none are left out [doc 112002; inferred]."""
    request = call.request
    group = call.state.group(request.group_id)
    roles = _parse_roles(request.member_role_filter)
    rows = _find_rows(call, group, request.member_list_account)
    look = view.MemberView(
        call.state, group, call.time, request.member_info_filter, request.app_defined_data_filter_group_member
    )
    found = [look.item(row) for row in rows if group.members.role(row) in roles]
    return prebuilt(wire.GetSpecifiedGroupMemberInfoReply, group_id=group.group_id, member_list=found)


def _find_rows(call: CommandContext[Any], group: Group, users: list[str]) -> list[int]:
    maximum = call.settings.limits.specified_members
    if not 1 <= len(users) <= maximum:
        raise rules.bad(f"Member_List_Account: 1 to {maximum} accounts")
    found = (group.members.find(user) for user in dict.fromkeys(users))
    return [row for row in found if row is not None]


@handles(catalog.GET_ROLE_IN_GROUP)
def get_role_in_group(call: CommandContext[wire.GetRoleInGroupRequest]) -> wire.GetRoleInGroupReply:
    """Return the role of each account, NotMember included; not for AVChatRoom [doc 1626]."""
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "get_role_in_group")
    users, maximum = call.request.user_account, call.settings.limits.roles
    if not 1 <= len(users) <= maximum:
        raise rules.bad(f"User_Account: 1 to {maximum} accounts")
    return wire.GetRoleInGroupReply(
        user_id_list=[wire.MemberRoleItem(member_account=user, role=_role_name(group, user)) for user in users]
    )


def _role_name(group: Group, user: str) -> str:
    row = group.members.find(user)
    return wire.NOT_MEMBER if row is None else group.members.role_name(row)


def _check_type(group: Group, *, community: bool) -> None:
    if (group.type == groups.COMMUNITY) is not community:
        other = catalog.GROUP_SERVICE if community else catalog.MILLION_GROUP_SERVICE
        info = f"not for a group of type {group.type}: ask {other}"
        raise Refusal(codes.NOT_ALLOWED, info, guess="online-count-types")


def _count_online(
    call: CommandContext[groups.GetOnlineMemberNumRequest], *, community: bool
) -> groups.GetOnlineMemberNumReply:
    group = call.state.group(call.request.group_id)
    _check_type(group, community=community)
    return groups.GetOnlineMemberNumReply(online_member_num=sum(user in group.members for user in call.state.online))


@handles(catalog.GET_COMMUNITY_ONLINE_MEMBER_NUM)
def get_community_online_member_num(
    call: CommandContext[groups.GetOnlineMemberNumRequest],
) -> groups.GetOnlineMemberNumReply:
    """Count at once, where the service refreshes every 4 minutes; for Communities only [doc 66883]."""
    return _count_online(call, community=True)


@handles(catalog.GET_ONLINE_MEMBER_NUM)
def get_online_member_num(call: CommandContext[groups.GetOnlineMemberNumRequest]) -> groups.GetOnlineMemberNumReply:
    """Count the online members of a group that is not a Community [doc 38521]."""
    return _count_online(call, community=False)


@handles(catalog.GET_MEMBERS)
def get_members(call: CommandContext[wire.GetMembersRequest]) -> wire.GetMembersReply:
    """List the newest 1,000 online members, 500 a page; a Mark selects none, as no command sets marks [doc 50293]."""
    request = call.request
    group = call.state.group(request.group_id)
    on_community = call.settings.behaviour.get_members_on_community
    if group.type != groups.AV_CHAT_ROOM and not (group.type == groups.COMMUNITY and on_community):
        raise Refusal(codes.NOT_ALLOWED, f"not for a group of type {group.type}", guess="live-member-list")
    if request.timestamp is None:
        raise rules.bad("Timestamp is missing; 0 asks for the first page")
    rules.check_range("Timestamp", request.timestamp, 0, limits.LIVE_MEMBERS)
    rows = [row for user in call.state.online if (row := group.members.find(user)) is not None]
    newest = sorted(rows, key=group.members.serial, reverse=True)[: limits.LIVE_MEMBERS]
    found = newest if request.mark is None else []
    end = request.timestamp + limits.LIVE_MEMBERS_PER_PAGE
    return wire.GetMembersReply(
        member_list=[_live_member(call, group, row) for row in found[request.timestamp : end]],
        next_timestamp=end if end < len(found) else 0,
    )


def _live_member(call: CommandContext[wire.GetMembersRequest], group: Group, row: int) -> wire.LiveMember:
    user = group.members.user(row)
    profile = call.state.profiles.get(user, {})
    return wire.LiveMember(
        member_account=user,
        join_time=group.members.joined(row),
        nick_name=str(profile.get(profiles.NICK, "")),
        avatar=str(profile.get(profiles.IMAGE, "")),
    )
