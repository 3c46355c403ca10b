"""Who is online in a group: counts, and the list that was made for live rooms [groups 5.20; corrections 22, 23]."""

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import groups as wire
from channel_adapter.tencent.wire import live_groups, profiles


def _check_type(group: Group, *, community: bool) -> None:
    if (group.type == wire.COMMUNITY) is not community:
        other = catalog.GROUP_SERVICE if community else catalog.MILLION_GROUP_SERVICE
        info = f"not for a group of type {group.type}: ask {other}"
        raise Refusal(codes.NOT_ALLOWED, info, guess="online-count-types")


def _count(call: Call[wire.GetOnlineMemberNumRequest], *, community: bool) -> wire.GetOnlineMemberNumReply:
    group = call.state.group(call.request.group_id)
    _check_type(group, community=community)
    return wire.GetOnlineMemberNumReply(online_member_num=sum(user in group.members for user in call.state.online))


@handles(catalog.GET_COMMUNITY_ONLINE_MEMBER_NUM)
def get_community_online_member_num(call: Call[wire.GetOnlineMemberNumRequest]) -> wire.GetOnlineMemberNumReply:
    """Count at once, where the service refreshes every 4 minutes; for Communities only [doc 66883]."""
    return _count(call, community=True)


@handles(catalog.GET_ONLINE_MEMBER_NUM)
def get_online_member_num(call: Call[wire.GetOnlineMemberNumRequest]) -> wire.GetOnlineMemberNumReply:
    """Count the online members of a group that is not a Community [doc 38521]."""
    return _count(call, community=False)


@handles(catalog.GET_MEMBERS)
def get_members(call: Call[live_groups.GetMembersRequest]) -> live_groups.GetMembersReply:
    """List the newest 1,000 online members, 500 a page; a Mark selects none, as no command sets marks [doc 50293]."""
    request = call.request
    group = call.state.group(request.group_id)
    on_community = call.settings.behaviour.get_members_on_community
    if group.type != wire.AV_CHAT_ROOM and not (group.type == wire.COMMUNITY and on_community):
        raise Refusal(codes.NOT_ALLOWED, f"not for a group of type {group.type}", guess="live-member-list")
    if request.timestamp is None:
        raise rules.bad("Timestamp is missing; 0 asks for the first page")
    rules.check_range("Timestamp", request.timestamp, 0, limits.LIVE_MEMBERS)
    rows = [row for user in call.state.online if (row := group.members.find(user)) is not None]
    newest = sorted(rows, key=group.members.serial, reverse=True)[: limits.LIVE_MEMBERS]
    found = newest if request.mark is None else []
    end = request.timestamp + limits.LIVE_MEMBERS_PER_PAGE
    return live_groups.GetMembersReply(
        member_list=[_member(call, group, row) for row in found[request.timestamp : end]],
        next_timestamp=end if end < len(found) else 0,
    )


def _member(call: Call[live_groups.GetMembersRequest], group: Group, row: int) -> live_groups.LiveMember:
    user = group.members.user(row)
    profile = call.state.profiles.get(user, {})
    return live_groups.LiveMember(
        member_account=user,
        join_time=group.members.joined(row),
        nick_name=str(profile.get(profiles.NICK, "")),
        avatar=str(profile.get(profiles.IMAGE, "")),
    )
