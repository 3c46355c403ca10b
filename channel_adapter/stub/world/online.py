"""How many members are online [groups 5.20]."""

from channel_adapter.stub.world.call import Call, handles
from channel_adapter.tencent import catalog
from channel_adapter.tencent.wire import groups as wire


def _count(call: Call[wire.GetOnlineMemberNumRequest]) -> wire.GetOnlineMemberNumReply:
    """Exact and at once; the service refreshes the number every 4 minutes [doc 66883]."""
    group = call.state.group(call.request.group_id)
    return wire.GetOnlineMemberNumReply(online_member_num=sum(user in group.members for user in call.state.online))


get_community_online_member_num = handles(catalog.GET_COMMUNITY_ONLINE_MEMBER_NUM)(_count)
get_online_member_num = handles(catalog.GET_ONLINE_MEMBER_NUM)(_count)
