"""Members: add, delete, change, mute [groups 5.7, 5.8, 5.12, 5.14, 5.15]."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world import contact_groups
from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.call import Call, Event, handles
from channel_adapter.stub.world.member_table import FLAGS, Role
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import members as wire


def judge_new_members(call: Call[Any], group: Group, users: Sequence[str]) -> list[int]:
    """The Result of each account, in order, as if all who can be added were added now."""
    results, seen = [], set[str]()
    for user in users:
        if call.state.account(user) is None or user in call.decision.refused:
            results.append(wire.RESULT_FAILED)
        elif user in group.members or user in seen:
            results.append(wire.RESULT_ALREADY)
        elif not rules.has_room(call, user):
            results.append(wire.RESULT_TOO_MANY_GROUPS)
        else:
            seen.add(user)
            results.append(wire.RESULT_ADDED)
    return results


def admit(
    call: Call[Any], group: Group, users: Sequence[str], join_type: str, operator: str, *, silent: bool = False
) -> None:
    """Let checked accounts in; history is not unread for them [decision 11]. `silent`: without a system notice."""
    if not users:
        return
    for user in users:
        call.state.join(group, user, Role.MEMBER, call.now, group.log.next_seq - 1)
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


def refuse_full(call: Call[Any], group: Group) -> Refusal:
    """10014; the app is told when a join fails because the group is full, too [doc 34376]."""
    call.emit(events.AfterGroupFull, group_id=group.group_id)
    some_fit = len(group.members) < group.max_members
    return Refusal(
        codes.GROUP_FULL,
        f"the group holds {group.max_members} members",
        guess="batch-over-capacity" if some_fit else None,
    )


def remove(
    call: Call[Any], group: Group, users: Sequence[str], exit_type: str, operator: str, *, silent: bool = False
) -> None:
    """Take out those who are members; others are ignored [doc 1622]."""
    gone = [user for user in dict.fromkeys(users) if user in group.members]
    for user in gone:
        call.state.leave(group, user)
    contact_groups.clean(call, group.group_id, gone)
    if gone and not silent:
        rules.write_notice(call, group)
    if gone:
        call.emit(
            events.AfterMemberExit,
            group_id=group.group_id,
            type=group.type,
            exit_type=exit_type,
            operator_account=operator,
            exit_member_list=[{"member_account": user} for user in gone],
        )


def _check_add(call: Call[wire.AddGroupMemberRequest]) -> tuple[Group, list[str]]:
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "add_group_member")
    users = [item.member_account for item in call.request.member_list]
    if not users:
        raise rules.bad("MemberList is empty")
    most = call.settings.limits.add_members
    if len(users) > most:
        raise Refusal(codes.TOO_MANY_ACCOUNTS, f"MemberList: {most} accounts at most")
    rules.check_choice("Silence", call.request.silence, (0, 1))
    if call.settings.behaviour.unknown_account == "refuse_call":
        for user in users:
            rules.check_account(call, user, "MemberList", guess="unknown-account-in-batch")
    return group, users


def _ask_add(call: Call[wire.AddGroupMemberRequest]) -> Event:
    group, users = _check_add(call)
    return call.event(
        events.BeforeInviteJoinGroup,
        group_id=group.group_id,
        type=group.type,
        operator_account=call.caller,
        destination_members=[{"member_account": user} for user in users],
    )


@handles(catalog.ADD_GROUP_MEMBER, before=_ask_add)
def add_group_member(call: Call[wire.AddGroupMemberRequest]) -> wire.AddGroupMemberReply:
    """Mixed results, one an account; a batch that does not fit adds nobody (10014) [docS 1621; inferred]."""
    group, users = _check_add(call)
    call.obey(codes.WEBHOOK_REFUSED)
    results = judge_new_members(call, group, users)
    if len(group.members) + Counter(results)[wire.RESULT_ADDED] > group.max_members:
        raise refuse_full(call, group)
    added = [user for user, result in zip(users, results, strict=True) if result == wire.RESULT_ADDED]
    admit(call, group, added, events.INVITED, call.caller, silent=call.request.silence == 1)
    return wire.AddGroupMemberReply(
        member_list=[
            wire.MemberResult(member_account=user, result=result) for user, result in zip(users, results, strict=True)
        ]
    )


@handles(catalog.DELETE_GROUP_MEMBER)
def delete_group_member(call: Call[wire.DeleteGroupMemberRequest]) -> wire.DeleteGroupMemberReply:
    """Those who are no members are ignored; the owner cannot be removed [doc 1622; inferred]."""
    group = call.state.group(call.request.group_id)
    if group.type == groups.AV_CHAT_ROOM:
        raise rules.bad("nobody can be removed from a live room")
    users, most = call.request.member_to_del_account, call.settings.limits.delete_members
    if not 1 <= len(users) <= most:
        raise rules.bad(f"MemberToDel_Account: 1 to {most} accounts")
    rules.check_choice("Silence", call.request.silence, (0, 1))
    if group.owner and group.owner in users:
        raise Refusal(codes.NOT_ALLOWED, "the owner cannot be removed", guess="owner-removal")
    remove(call, group, users, events.KICKED, call.caller, silent=call.request.silence == 1)
    return wire.DeleteGroupMemberReply()


@handles(catalog.MODIFY_GROUP_MEMBER_INFO)
def modify_group_member_info(call: Call[wire.ModifyGroupMemberInfoRequest]) -> wire.ModifyGroupMemberInfoReply:
    """Role, receive option, name card, custom fields, mute of one member; 10007 for others [docS 1623; inferred]."""
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
    if group.members.role(row) is Role.MEMBER:
        rules.check_not_live(group.type, "changing a plain member")
    if request.role is not None and group.members.role(row) is Role.OWNER:
        raise Refusal(codes.NOT_ALLOWED, "the owner's role changes with change_group_owner only")
    _write_member(call, group, row)
    if seconds is not None:
        mute(call, group, request.member_account, seconds)
        rules.write_notice(call, group)
    return wire.ModifyGroupMemberInfoReply()


def _write_member(call: Call[wire.ModifyGroupMemberInfoRequest], group: Group, row: int) -> None:
    request, user = call.request, group.members.user(row)
    told: dict[str, str] = {}
    if request.role is not None and request.role != group.members.role_name(row):
        group.members.set_role(row, Role.ADMIN if request.role == wire.ADMIN else Role.MEMBER)
        told["Role"] = request.role
        rules.write_notice(call, group)
    if request.name_card is not None and request.name_card != group.name_cards.get(user, ""):
        group.name_cards[user] = request.name_card
        told["NameCard"] = request.name_card
    if request.msg_flag is not None:
        group.members.set_flag(row, request.msg_flag)
    if request.app_member_defined_data:
        rules.write_fields(group.member_fields.setdefault(user, {}), request.app_member_defined_data)
    if told:
        call.emit(
            events.AfterMemberFieldChanged,
            group_id=group.group_id,
            type=group.type,
            operator_account=call.caller,
            modified_account=user,
            **told,
        )


def mute(call: Call[Any], group: Group, user: str, seconds: int) -> None:
    """0 ends a mute; the highest number is for ever and stays that number [docS 1627]."""
    if seconds == 0:
        group.mutes.pop(user, None)
    else:
        group.mutes[user] = seconds if seconds == limits.MUTE_FOREVER else min(call.now + seconds, limits.MUTE_FOREVER)


@handles(catalog.FORBID_SEND_MSG)
def forbid_send_msg(call: Call[wire.ForbidSendMsgRequest]) -> wire.ForbidSendMsgReply:
    """Mute or unmute accounts; a mute outlives leaving and joining again [docS 1627]."""
    group = call.state.group(call.request.group_id)
    if group.type == groups.PRIVATE:
        raise Refusal(codes.NOT_ALLOWED, "nobody can be muted in a group of this type")
    users, most = call.request.members_account, call.settings.limits.mutes
    if not 1 <= len(users) <= most:
        raise rules.bad(f"Members_Account: 1 to {most} accounts")
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


def _muted(call: Call[Any], group: Group) -> list[tuple[str, int]]:
    """Who is muted now, and until when; members only."""
    return [
        (user, end) for user in group.mutes if user in group.members and (end := group.muted_until(user, call.time))
    ]


@handles(catalog.GET_GROUP_MUTED_ACCOUNT)
def get_group_muted_account(call: Call[wire.GetGroupMutedAccountRequest]) -> wire.GetGroupMutedAccountReply:
    """Muted members, unpaged; muting everybody does not show here [docS 2925]."""
    group = call.state.group(call.request.group_id)
    return wire.GetGroupMutedAccountReply(
        group_id=group.group_id,
        muted_account_list=[
            wire.MutedAccount(member_account=user, muted_until=end) for user, end in _muted(call, group)
        ],
    )


@handles(catalog.GET_GROUP_SHUTTED_UIN)
def get_group_shutted_uin(call: Call[wire.GetGroupShuttedUinRequest]) -> wire.GetGroupShuttedUinReply:
    """The same under its older name [docS 2925]."""
    group = call.state.group(call.request.group_id)
    return wire.GetGroupShuttedUinReply(
        group_id=group.group_id,
        shutted_uin_list=[
            wire.MutedAccount(member_account=user, shutted_until=end) for user, end in _muted(call, group)
        ],
    )
