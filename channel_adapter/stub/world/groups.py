"""Groups: create, read, modify, dissolve, change the owner, list."""

from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world import contacts
from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import group_view as view
from channel_adapter.stub.world.context import (
    CallbackEvent,
    CommandContext,
    PrebuiltReply,
    handles,
    json_names,
    prebuilt,
)
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups as wire
from channel_adapter.tencent.wire import members

INFO = json_names(wire.GroupInfo)
_FOUND = wire.GroupInfo(group_id="").to_wire()
NewGroupRequest = wire.CreateGroupRequest | wire.ImportGroupRequest


def check_new_group(call: CommandContext[Any], request: NewGroupRequest) -> None:
    """Check a new group, except whether its id is used."""
    rules.check_choice("Type", request.type, rules.TYPES)
    rules.check_community(call, request.type)
    rules.check_profile(call, request)
    rules.check_choice("SupportTopic", request.support_topic, (0, 1))
    if request.support_topic and request.type != wire.COMMUNITY:
        raise rules.bad("SupportTopic is for Communities only")
    rules.check_group_fields(call, request.app_defined_data)
    maximum = call.settings.limits.members_per_community
    if request.max_member_count is not None and request.max_member_count < 1:
        raise rules.bad("MaxMemberCount must be 1 or more")
    if request.max_member_count is not None and request.max_member_count > maximum:
        raise Refusal(
            codes.MEMBERS_OVER_PLAN,
            f"MaxMemberCount: the plan allows {maximum} members",
            guess="member-count-over-plan",
        )
    if request.group_id is not None:
        rules.check_new_id(call, request.type, request.group_id)
    rules.check_account(call, request.owner_account, "Owner_Account")
    if request.owner_account is not None and not rules.may_join_more(call, request.owner_account):
        raise Refusal(codes.USER_IN_TOO_MANY_GROUPS, "Owner_Account is in too many groups")
    communities = call.settings.limits.communities
    if request.type == wire.COMMUNITY and call.state.community_count >= communities:
        raise Refusal(codes.TOO_FREQUENT, f"the app has {communities} Communities already", guess="community-quota")


def add_group(call: CommandContext[Any], request: NewGroupRequest, create_time: int) -> Group:
    """Store a checked group with its owner."""
    group = Group(
        group_id=request.group_id or rules.assigned_id(call, request.type),
        type=request.type,
        name=request.name,
        create_time=create_time,
        introduction=request.introduction or "",
        notification=request.notification or "",
        face_url=request.face_url or "",
        owner=request.owner_account or "",
        last_info_time=create_time,
        max_members=request.max_member_count or call.settings.limits.members_per_community,
        apply_join_option=request.apply_join_option or call.settings.behaviour.default_apply_join_option,
        support_topic=request.support_topic or 0,
    )
    rules.write_fields(group.fields, request.app_defined_data)
    call.state.add_group(group)
    if group.owner:
        call.state.join(group, group.owner, MemberRole.OWNER, create_time, 0)
    return group


def _check_create(call: CommandContext[wire.CreateGroupRequest]) -> None:
    request = call.request
    check_new_group(call, request)
    rules.check_choice("InviteJoinOption", request.invite_join_option, rules.INVITE_OPTIONS)
    _check_initial_members(call, request.member_list or ())
    existing = None if request.group_id is None else call.state.groups.get(request.group_id)
    if existing is not None:
        if existing.owner in (request.owner_account, call.caller):
            raise Refusal(codes.GROUP_ID_OWN, "GroupId is taken by a group of the same owner")
        raise Refusal(codes.GROUP_ID_TAKEN, "GroupId is taken")


def _check_initial_members(call: CommandContext[wire.CreateGroupRequest], new: Sequence[members.NewMember]) -> None:
    limits = call.settings.limits
    if len(new) > limits.create_members:
        raise Refusal(codes.TOO_MANY_ACCOUNTS, f"MemberList: {limits.create_members} accounts at most")
    for member in new:
        rules.check_choice("Role", member.role, (members.ADMIN,))
        rules.check_account(call, member.member_account, "MemberList")
        rules.check_member_fields(call, member.app_member_defined_data)
    maximum = call.request.max_member_count or limits.members_per_community
    accounts = {member.member_account for member in new} | {call.request.owner_account} - {None}
    if len(accounts) > maximum:
        raise Refusal(codes.GROUP_FULL, f"the group holds {maximum} members")


def _before_create(call: CommandContext[wire.CreateGroupRequest]) -> CallbackEvent:
    _check_create(call)
    request = call.request
    return call.event(
        events.BeforeCreateGroup,
        operator_account=call.caller,
        owner_account=request.owner_account or "",
        type=request.type,
        name=request.name,
        member_list=[{"member_account": member.member_account} for member in request.member_list or ()],
    )


@handles(catalog.CREATE_GROUP, before=_before_create)
def create_group(call: CommandContext[wire.CreateGroupRequest]) -> wire.CreateGroupReply:
    """Create a group; members who are in too many groups are left out and listed [docS 1615, js-sdk]."""
    _check_create(call)
    call.apply_decision(codes.WEBHOOK_REFUSED)
    request = call.request
    group = add_group(call, request, call.now)
    group.invite_join_option = request.invite_join_option or ""
    left_out = []
    initial = []
    for member in request.member_list or ():
        if member.member_account in group.members:  # the owner, or a repeated account
            continue
        if not rules.may_join_more(call, member.member_account):
            left_out.append(member.member_account)
            continue
        role = MemberRole.MEMBER if member.role is None else MemberRole.ADMIN
        call.state.join(group, member.member_account, role, call.now, 0)
        initial.append(member.member_account)
        if member.app_member_defined_data:
            rules.write_fields(
                group.member_fields.setdefault(member.member_account, {}), member.app_member_defined_data
            )
    with_fields = request.app_defined_data if call.settings.behaviour.create_event_fields else None
    call.emit(
        events.AfterCreateGroup,
        group_id=group.group_id,
        operator_account=call.caller,
        owner_account=group.owner,
        type=group.type,
        name=group.name,
        member_list=[{"member_account": user} for user in initial],
        user_defined_data_list=with_fields and [{"key": item.key, "value": item.value} for item in with_fields],
    )
    return wire.CreateGroupReply(group_id=group.group_id, over_joined_group_limit_account=left_out or None)


@handles(catalog.GET_GROUP_INFO, sized=True)
def get_group_info(call: CommandContext[wire.GetGroupInfoRequest]) -> PrebuiltReply:
    """Return groups; the call succeeds, each item has its own code [docS 1616]."""
    asked = call.request.group_id_list
    if not 1 <= len(asked) <= call.settings.limits.group_info:
        raise rules.bad(f"GroupIdList: 1 to {call.settings.limits.group_info} ids", guess="group-info-batch")
    wanted = call.request.response_filter
    base = view.GroupView(None if wanted is None else wanted.group_base_info_filter or ())
    return prebuilt(wire.GetGroupInfoReply, group_info=[_group_info(call, group_id, base) for group_id in asked])


def _group_info(call: CommandContext[wire.GetGroupInfoRequest], group_id: str, base: view.GroupView) -> dict[str, Any]:
    """Return one item, under its JSON names."""
    try:
        group = call.state.group(group_id)
    except Refusal as refusal:
        return wire.GroupInfo(group_id=group_id, error_code=refusal.code, error_info=refusal.info).to_wire()
    item = {**_FOUND, INFO["group_id"]: group_id, **base.item(group)}
    wanted = call.request.response_filter
    shows_members = group.type != wire.COMMUNITY  # never of a Community [decision 4]
    if wanted is None:
        item[INFO["appid"]] = call.settings.app.sdkappid
        item[INFO["app_defined_data"]] = view.custom_fields(group, None)
        if shows_members:
            item[INFO["member_list"]] = _member_items(call, group, None, None)
        return item
    if wanted.app_defined_data_filter_group is not None:
        item[INFO["app_defined_data"]] = view.custom_fields(group, wanted.app_defined_data_filter_group)
    if shows_members and wanted.member_info_filter is not None:
        names, custom = wanted.member_info_filter, wanted.app_defined_data_filter_group_member
        item[INFO["member_list"]] = _member_items(call, group, names, custom)
    return item


def _member_items(
    call: CommandContext[Any], group: Group, names: list[str] | None, custom: list[str] | None
) -> list[dict[str, Any]]:
    look = view.MemberView(call.state, group, call.time, names, custom)
    rows, _ = group.members.page(0, len(group.members))
    return [look.item(row) for row in rows]


@handles(catalog.MODIFY_GROUP_BASE_INFO)
def modify_group_base_info(call: CommandContext[wire.ModifyGroupBaseInfoRequest]) -> wire.ModifyGroupBaseInfoReply:
    """Change the profile; absent fields stay, an empty custom field is deleted [docS 1620]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_profile(call, request)
    rules.check_choice("InviteJoinOption", request.invite_join_option, rules.INVITE_OPTIONS)
    rules.check_group_fields(call, request.app_defined_data)
    rules.check_range("MaxMemberNum", request.max_member_num, 1, call.settings.limits.members_per_community)
    mute = request.mute_all_member if request.mute_all_member is not None else request.shut_up_all_member
    rules.check_choice("MuteAllMember", mute, (wire.ON, wire.OFF))
    rules.check_account(call, request.from_account, "From_Account")
    changed = _write_profile(group, request)
    if request.max_member_num is not None:
        group.max_members = request.max_member_num
    muted = mute is not None and group.mute_all is not (mute == wire.ON)
    if muted:
        group.mute_all = not group.mute_all
    rules.write_fields(group.fields, request.app_defined_data)
    group.info_seq += 1
    group.last_info_time = call.now
    if changed or muted:
        rules.write_notice(call, group)
    if changed:
        call.emit(
            events.AfterGroupInfoChanged,
            group_id=group.group_id,
            type=group.type,
            operator_account=request.from_account or call.caller,
            **changed,
        )
    return wire.ModifyGroupBaseInfoReply()


def _write_profile(group: Group, request: wire.ModifyGroupBaseInfoRequest) -> dict[str, str]:
    """Write what was sent; return the changed ones of the four fields that webhooks have [doc 34378]."""
    changed = {}
    for name, value in (
        ("name", request.name),
        ("introduction", request.introduction),
        ("notification", request.notification),
        ("face_url", request.face_url),
    ):
        if value is not None and value != getattr(group, name):
            setattr(group, name, value)
            changed[wire.GroupProfile.model_fields[name].alias or name] = value
    group.apply_join_option = request.apply_join_option or group.apply_join_option
    group.invite_join_option = request.invite_join_option or group.invite_join_option
    return changed


@handles(catalog.DESTROY_GROUP)
def destroy_group(call: CommandContext[wire.DestroyGroupRequest]) -> wire.DestroyGroupReply:
    """Remove the group from all joined lists; the id is free again [docS 1624, 1615]."""
    group = call.state.group(call.request.group_id)
    community = group.type == wire.COMMUNITY
    call.emit(
        events.AfterGroupDestroyed,
        group_id=group.group_id,
        type=group.type,
        owner_account=group.owner,
        name=group.name,
        member_list=None if community else [{"member_account": user} for user in group.members],
    )
    contacts.remove_conversation(call, group.group_id, call.state.contacts)
    call.state.dissolve(group)
    return wire.DestroyGroupReply()


@handles(catalog.CHANGE_GROUP_OWNER)
def change_group_owner(call: CommandContext[wire.ChangeGroupOwnerRequest]) -> wire.ChangeGroupOwnerReply:
    """Hand the group to a member; the old owner becomes a plain member; not for AVChatRoom [doc 1633; inferred]."""
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "change_group_owner")
    rules.check_account(call, call.request.from_account, "From_Account")
    new = group.members.find(call.request.new_owner_account)
    if new is None:
        raise rules.bad("NewOwner_Account is not a member of the group", guess="new-owner-outside")
    old = group.members.find(group.owner)
    if old == new:
        return wire.ChangeGroupOwnerReply()
    if old is not None:
        group.members.set_role(old, MemberRole.MEMBER)
    group.members.set_role(new, MemberRole.OWNER)
    previous, group.owner = group.owner, group.members.user(new)
    rules.write_notice(call, group)
    call.emit(
        events.AfterChangeGroupOwner,
        group_id=group.group_id,
        type=group.type,
        operator_account=call.request.from_account or call.caller,
        old_owner_account=previous,
        new_owner_account=group.owner,
    )
    return wire.ChangeGroupOwnerReply()


GROUP_ID, SELF_INFO, GROUP_FIELDS = (
    json_names(wire.JoinedGroup)[name] for name in ("group_id", "self_info", "app_defined_data")
)
NEED_APP_DEFINED_DATA = "NeedAppDefineData"  # a flag of the web client's protocol [js-sdk]


@handles(catalog.GET_JOINED_GROUP_LIST, sized=True)
def get_joined_group_list(call: CommandContext[wire.GetJoinedGroupListRequest]) -> PrebuiltReply:
    """Return the groups of a user by join time; TotalCount counts all matches [docS 1625]."""
    request = call.request
    group_type = request.group_type or request.type or None  # "" is absent: a public SDK always sends the field
    _check_joined_request(call, group_type)
    user = request.member_account
    rules.check_account(call, user, "Member_Account", guess="joined-list-of-unknown-account")
    found = [group for group in call.state.joined.get(user) if _matches_type(call, group, group_type)]
    start = request.offset or 0
    page = found[start:] if request.limit is None else found[start : start + request.limit]
    return prebuilt(wire.GetJoinedGroupListReply, total_count=len(found), group_id_list=_joined_items(call, page, user))


def _check_joined_request(call: CommandContext[wire.GetJoinedGroupListRequest], group_type: str | None) -> None:
    request = call.request
    rules.check_choice("GroupType", group_type, rules.TYPES)
    rules.check_choice("SupportTopic", request.support_topic, (0, 1))
    if request.support_topic is not None and group_type != wire.COMMUNITY:
        raise rules.bad("SupportTopic needs GroupType Community")
    rules.check_range("Limit", request.limit, 1, call.settings.limits.joined_groups)
    if request.offset is not None and request.offset < 0:
        raise rules.bad("Offset must be 0 or more")
    rules.check_community(call, group_type)


def _matches_type(call: CommandContext[wire.GetJoinedGroupListRequest], group: Group, group_type: str | None) -> bool:
    request = call.request
    if group_type is None:
        if group.type == wire.AV_CHAT_ROOM:
            return request.with_huge_groups == 1
        return group.type != wire.COMMUNITY or call.settings.behaviour.community_in_untyped_list
    return group.type == group_type and request.support_topic in (None, group.support_topic)


def _joined_items(
    call: CommandContext[wire.GetJoinedGroupListRequest], page: list[Group], user: str
) -> list[dict[str, Any]]:
    """Return the items of the list, under their JSON names."""
    wanted, behaviour = call.request.response_filter, call.settings.behaviour
    base = view.GroupView((wanted.group_base_info_filter or ()) if wanted else ())
    own = None
    if wanted and wanted.self_info_filter is not None:
        own = view.SelfView(wanted.self_info_filter, unread=behaviour.joined_list_unread)
    with_fields = behaviour.joined_list_app_defined_data and (call.request.model_extra or {}).get(NEED_APP_DEFINED_DATA)
    items = []
    for group in page:
        item = {GROUP_ID: group.group_id, **base.item(group)}
        if own is not None:
            item[SELF_INFO] = own.item(group, group.row_of(user))
        if with_fields:
            item[GROUP_FIELDS] = view.custom_fields(group, None)
        items.append(item)
    return items


@handles(catalog.GET_APPID_GROUP_LIST, sized=True)
def get_appid_group_list(call: CommandContext[wire.GetAppidGroupListRequest]) -> wire.GetAppidGroupListReply:
    """Return the groups of the app in the order of creation, paged by a cursor [docS 1614]."""
    request = call.request
    group_type = request.group_type or request.type or None  # "" is absent: a public SDK always sends the field
    rules.check_choice("GroupType", group_type, rules.TYPES)
    rules.check_community(call, group_type)
    maximum = call.settings.limits.app_groups
    rules.check_range("Limit", request.limit, 1, maximum)
    if request.next is not None and request.next < 0:
        raise rules.bad("Next must be 0 or more")
    found = [group for group in call.state.groups.values() if _is_listed(call, group, group_type)]
    left = [group for group in found if group.serial >= (request.next or 0)]
    page = left[: request.limit or maximum]
    return wire.GetAppidGroupListReply(
        total_count=len(found),
        group_id_list=[wire.GroupIdItem(group_id=group.group_id) for group in page],
        next=left[len(page)].serial if len(left) > len(page) else 0,
    )


def _is_listed(call: CommandContext[Any], group: Group, group_type: str | None) -> bool:
    if group_type is None:
        return group.type != wire.COMMUNITY or call.settings.behaviour.community_in_untyped_list
    return group.type == group_type


@handles(catalog.SET_UNREAD_MSG_NUM)
def set_unread_msg_num(call: CommandContext[wire.SetUnreadMsgNumRequest]) -> wire.SetUnreadMsgNumReply:
    """Set an unread count without an event, at most the group's total; not in meetings and live rooms [docS 1637]."""
    group = call.state.group(call.request.group_id)
    if call.request.unread_msg_num < 0:
        raise rules.bad("UnreadMsgNum must be 0 or more")
    row = group.members.find(call.request.member_account)
    if row is None:
        raise Refusal(codes.NOT_ALLOWED, "Member_Account is not a member of the group", guess="change-of-outsider")
    if group.type not in (wire.CHAT_ROOM, wire.AV_CHAT_ROOM):
        total = group.log.next_seq - 1
        group.members.set_read(row, total - min(call.request.unread_msg_num, total))
    return wire.SetUnreadMsgNumReply()
