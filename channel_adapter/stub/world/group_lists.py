"""Lists of groups, of one user and of the app, and the unread number that migrations set [groups 5.5, 5.6, 5.16]."""

from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import group_view as view
from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.ready import Ready, json_names, ready
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import groups as wire

GROUP_ID, SELF_INFO, GROUP_FIELDS = (
    json_names(wire.JoinedGroup)[name] for name in ("group_id", "self_info", "app_defined_data")
)
NEED_APP_DEFINED_DATA = "NeedAppDefineData"  # a flag of the web client's protocol [js-sdk]


@handles(catalog.GET_JOINED_GROUP_LIST, sized=True)
def get_joined_group_list(call: Call[wire.GetJoinedGroupListRequest]) -> Ready:
    """The groups a user is in, by join time; TotalCount counts all matches [docS 1625]."""
    request = call.request
    group_type = request.group_type or request.type or None  # "" is absent: a public SDK always sends the field
    _check_joined_request(call, group_type)
    user = request.member_account
    rules.check_account(call, user, "Member_Account", guess="joined-list-of-unknown-account")
    found = [group for group in call.state.joined.of(user) if _matches(call, group, group_type)]
    start = request.offset or 0
    page = found[start:] if request.limit is None else found[start : start + request.limit]
    return ready(wire.GetJoinedGroupListReply, total_count=len(found), group_id_list=_joined(call, page, user))


def _check_joined_request(call: Call[wire.GetJoinedGroupListRequest], group_type: str | None) -> None:
    request = call.request
    rules.check_choice("GroupType", group_type, rules.TYPES)
    rules.check_choice("SupportTopic", request.support_topic, (0, 1))
    if request.support_topic is not None and group_type != wire.COMMUNITY:
        raise rules.bad("SupportTopic needs GroupType Community")
    rules.check_range("Limit", request.limit, 1, call.settings.limits.joined_groups)
    if request.offset is not None and request.offset < 0:
        raise rules.bad("Offset must be 0 or more")
    rules.check_community(call, group_type)


def _matches(call: Call[wire.GetJoinedGroupListRequest], group: Group, group_type: str | None) -> bool:
    request = call.request
    if group_type is None:
        if group.type == wire.AV_CHAT_ROOM:
            return request.with_huge_groups == 1
        return group.type != wire.COMMUNITY or call.settings.behaviour.community_in_untyped_list
    return group.type == group_type and request.support_topic in (None, group.support_topic)


def _joined(call: Call[wire.GetJoinedGroupListRequest], page: list[Group], user: str) -> list[dict[str, Any]]:
    """Items of the list, under their JSON names."""
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
def get_appid_group_list(call: Call[wire.GetAppidGroupListRequest]) -> wire.GetAppidGroupListReply:
    """Every group of the app, in the order of creation, paged by a cursor [docS 1614]."""
    request = call.request
    group_type = request.group_type or request.type or None  # "" is absent: a public SDK always sends the field
    rules.check_choice("GroupType", group_type, rules.TYPES)
    rules.check_community(call, group_type)
    most = call.settings.limits.app_groups
    rules.check_range("Limit", request.limit, 1, most)
    if request.next is not None and request.next < 0:
        raise rules.bad("Next must be 0 or more")
    found = [group for group in call.state.groups.values() if _is_listed(call, group, group_type)]
    left = [group for group in found if group.serial >= (request.next or 0)]
    page = left[: request.limit or most]
    return wire.GetAppidGroupListReply(
        total_count=len(found),
        group_id_list=[wire.GroupIdItem(group_id=group.group_id) for group in page],
        next=left[len(page)].serial if len(left) > len(page) else 0,
    )


def _is_listed(call: Call[Any], group: Group, group_type: str | None) -> bool:
    if group_type is None:
        return group.type != wire.COMMUNITY or call.settings.behaviour.community_in_untyped_list
    return group.type == group_type


@handles(catalog.SET_UNREAD_MSG_NUM)
def set_unread_msg_num(call: Call[wire.SetUnreadMsgNumRequest]) -> wire.SetUnreadMsgNumReply:
    """Silent; cut to the group's total; without effect in meetings and live rooms [docS 1637]."""
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
