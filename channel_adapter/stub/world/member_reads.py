"""Reading members: pages, named ones, roles [groups 5.9-5.11]."""

from collections.abc import Iterable
from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import group_view as view
from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.member_table import ROLES, MemberTable, Role
from channel_adapter.stub.world.ready import Ready, ready
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, limits
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire import members as wire

START = ("", "0", 0, None)  # cursors that mean the first page [decision 20]


@handles(catalog.GET_GROUP_MEMBER_INFO, sized=True)
def get_group_member_info(call: Call[wire.GetGroupMemberInfoRequest]) -> Ready:
    """A page of members in the order of joining; Communities by cursor only [docS 1617]."""
    request = call.request
    group = call.state.group(request.group_id)
    rules.check_not_live(group.type, "get_group_member_info")
    rules.check_range("Limit", request.limit, 1, call.settings.limits.members_per_page)
    roles = _roles(request.member_role_filter)
    community = group.type == groups.COMMUNITY
    if community and request.offset:  # a public SDK always sends 0
        raise rules.bad("Offset is not for Communities: page with Next", guess="member-list-offset")
    if request.offset is not None and request.offset < 0:
        raise rules.bad("Offset must be 0 or more")
    rows, following = _page(group.members, _cursor(request.next), request.limit or limits.MEMBERS_PER_PAGE, roles)
    if not community:
        everybody, _ = _page(group.members, 0, len(group.members) + 1, roles)
        rows = everybody[request.offset or 0 :][: request.limit]
    look = view.MemberView(
        call.state, group, call.time, request.member_info_filter, request.app_defined_data_filter_group_member
    )
    return ready(
        wire.GetGroupMemberInfoReply,
        member_num=len(group.members),
        member_list=[look.item(row) for row in rows],
        next=_text(following) if community else None,
    )


def _cursor(text: str | int | None) -> int:
    """Serial of the first row; 10004 for what is no cursor of ours."""
    if text in START:
        return 0
    if isinstance(text, str) and len(text) <= 16 and text.isascii() and text.isalnum():
        try:
            return int(text, 16)
        except ValueError:
            raise rules.bad("Next is not a cursor that this command returned") from None
    raise rules.bad("Next is not a cursor that this command returned")


def _text(serial: int) -> str:
    return f"{serial:x}" if serial else ""


def _roles(names: Iterable[str] | None) -> frozenset[Role]:
    """The roles a filter lets through; absent or empty: all."""
    wanted = list(names or ())
    for name in wanted:
        rules.check_choice("MemberRoleFilter", name, tuple(ROLES))
    return frozenset(ROLES[name] for name in wanted) or frozenset(Role)


def _page(table: MemberTable, start: int, most: int, roles: frozenset[Role]) -> tuple[list[int], int]:
    """Rows of these roles from a serial on. Owner and admins are listed apart, so none of it looks at everybody."""
    if Role.MEMBER not in roles:
        rows = [row for row in table.staff() if table.serial(row) >= start and table.role(row) in roles]
        return rows[:most], table.serial(rows[most]) if len(rows) > most else 0
    found: list[int] = []
    while True:
        rows, start = table.page(start, most - len(found))
        found += [row for row in rows if table.role(row) in roles]
        if not start or len(found) == most:
            return found, start


@handles(catalog.GET_SPECIFIED_GROUP_MEMBER_INFO, sized=True)
def get_specified_group_member_info(call: Call[wire.GetSpecifiedGroupMemberInfoRequest]) -> Ready:
    """Named members; those who are none are left out [doc 112002; inferred]."""
    request = call.request
    group = call.state.group(request.group_id)
    roles = _roles(request.member_role_filter)
    rows = _named(call, group, request.member_list_account)
    look = view.MemberView(
        call.state, group, call.time, request.member_info_filter, request.app_defined_data_filter_group_member
    )
    found = [look.item(row) for row in rows if group.members.role(row) in roles]
    return ready(wire.GetSpecifiedGroupMemberInfoReply, group_id=group.group_id, member_list=found)


def _named(call: Call[Any], group: Group, users: list[str]) -> list[int]:
    most = call.settings.limits.specified_members
    if not 1 <= len(users) <= most:
        raise rules.bad(f"Member_List_Account: 1 to {most} accounts")
    found = (group.members.find(user) for user in dict.fromkeys(users))
    return [row for row in found if row is not None]


@handles(catalog.GET_ROLE_IN_GROUP)
def get_role_in_group(call: Call[wire.GetRoleInGroupRequest]) -> wire.GetRoleInGroupReply:
    """Return the role of each account, NotMember included; not for AVChatRoom [doc 1626]."""
    group = call.state.group(call.request.group_id)
    rules.check_not_live(group.type, "get_role_in_group")
    users, most = call.request.user_account, call.settings.limits.roles
    if not 1 <= len(users) <= most:
        raise rules.bad(f"User_Account: 1 to {most} accounts")
    return wire.GetRoleInGroupReply(
        user_id_list=[wire.MemberRole(member_account=user, role=_role(group, user)) for user in users]
    )


def _role(group: Group, user: str) -> str:
    row = group.members.find(user)
    return wire.NOT_MEMBER if row is None else group.members.role_name(row)
