"""Lists of the target as they are, page by page, in bounded memory: members, messages, and what a group says."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from channel_adapter.domain.ids import ChannelId
from channel_adapter.mapping import channel_group
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS
from channel_adapter.migration.target import NO_GROUP
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_GROUP_INFO, GET_GROUP_MEMBER_INFO, GROUP_MSG_GET_SIMPLE
from channel_adapter.tencent.wire import groups, members, messages

_ASKED: Final = (*channel_group.BASE_FIELDS, "NextMsgSeq")


async def read_groups(
    gateway: Gateway, channels: Sequence[ChannelId], keys: FieldKeys
) -> dict[ChannelId, groups.GroupInfo]:
    """Groups that are there, 50 at most. Raises the error of the first that can be neither read nor found absent."""
    request = groups.GetGroupInfoRequest(
        group_id_list=list(channels),
        response_filter=groups.GroupResponseFilter(
            group_base_info_filter=list(_ASKED), app_defined_data_filter_group=keys.all()
        ),
    )
    found: dict[ChannelId, groups.GroupInfo] = {}
    for item in (await gateway.call(GET_GROUP_INFO, request)).group_info:
        if item.error_code in NO_GROUP:
            continue
        if item.error_code != codes.OK:
            raise gateway.item_error(GET_GROUP_INFO, item.error_code, item.error_info)
        found[ChannelId(item.group_id)] = item
    return found


async def member_pages(
    gateway: Gateway, channel: ChannelId, fields: Sequence[str] = SUBSCRIBER_FIELDS
) -> AsyncGenerator[list[members.Member], None]:
    """Everybody in a group, 100 a call; somebody may come twice when others come and go meanwhile."""
    cursor = ""
    seen: set[str] = set()
    while cursor not in seen:
        seen.add(cursor)
        request = members.GetGroupMemberInfoRequest(
            group_id=channel, limit=limits.MEMBERS_PER_PAGE, next=cursor, member_info_filter=list(fields)
        )
        reply = await gateway.call(GET_GROUP_MEMBER_INFO, request)
        if not reply.member_list:
            return
        yield reply.member_list
        cursor = str(reply.next) if reply.next else ""
        if cursor in ("", "0"):
            return


async def message_pages(gateway: Gateway, channel: ChannelId) -> AsyncGenerator[list[messages.HistoryMessage], None]:
    """All that history keeps of a group, newest first, 20 a call, system messages too."""
    top: int | None = None
    while top is None or top > 0:
        request = messages.GroupMsgGetSimpleRequest(
            group_id=channel, req_msg_number=limits.HISTORY_PER_CALL, req_msg_seq=top, with_recalled_msg=1
        )
        page = (await gateway.call(GROUP_MSG_GET_SIMPLE, request)).rsp_msg_list
        fresh = [message for message in page if top is None or message.msg_seq <= top]
        if not fresh:
            return
        yield fresh
        top = min(message.msg_seq for message in fresh) - 1
