"""The joined-group list of a person, narrowed to channels: pages and tags side by side."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping import channel_group
from channel_adapter.mapping.subscription_member import SELF_FIELDS, to_subscription
from channel_adapter.services.directory import Directory
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.batching import concurrently
from channel_adapter.tencent.catalog import GET_JOINED_GROUP_LIST
from channel_adapter.tencent.wire import groups


@dataclass(frozen=True, slots=True)
class _Page:
    total: int
    groups: list[groups.JoinedGroup]


class JoinedList:
    """Always asks for Communities without topics by type, and tells channels from other groups by their tag [5][6]."""

    def __init__(self, gateway: Gateway, directory: Directory, concurrency: int) -> None:
        self._gateway = gateway
        self._directory = directory
        self._concurrency = concurrency
        self._page_size = limits.JOINED_GROUPS_PER_PAGE

    async def channels(self, user: UserId) -> AsyncIterator[Subscription]:
        """Every channel of a person once; the list may shift between pages, so groups are told apart by id [5]."""
        size = self._page_size
        first = await self._page(user, 0, size)
        seen: set[ChannelId] = set()

        async def fetch(offset: int) -> list[Subscription]:
            page = first if offset == 0 else await self._page(user, offset, size)
            return await self._channels_among(user, page)

        offsets = range(0, max(first.total, 1), size)
        async with aclosing(concurrently(offsets, fetch, limit=self._concurrency, ordered=True)) as pages:
            async for found in pages:
                for mine in found:
                    if mine.channel.id not in seen:
                        seen.add(mine.channel.id)
                        yield mine

    async def _page(self, user: UserId, offset: int, size: int) -> _Page:
        """One page of the list; in smaller steps when the answer would be over 1 MB [5]."""
        try:
            reply = await self._gateway.call(GET_JOINED_GROUP_LIST, _request(user, offset, size))
        except ChannelAdapterError as error:
            if error.code != codes.REPLY_TOO_LARGE or size <= limits.JOINED_GROUPS_PER_PAGE_SMALL:
                raise
        else:
            return _Page(reply.total_count, reply.group_id_list)
        self._page_size = step = limits.JOINED_GROUPS_PER_PAGE_SMALL
        parts = [await self._page(user, start, step) for start in range(offset, offset + size, step)]
        return _Page(parts[-1].total, [item for part in parts for item in part.groups])

    async def _channels_among(self, user: UserId, page: _Page) -> list[Subscription]:
        found = {ChannelId(item.group_id): item for item in page.groups}
        tagged = await self._directory.fields(list(found))
        keys = self._directory.keys
        return [
            to_subscription(
                user, channel_group.to_channel(channel, found[channel], fields, keys), found[channel].self_info
            )
            for channel, fields in tagged.items()
        ]


def _request(user: UserId, offset: int, size: int) -> groups.GetJoinedGroupListRequest:
    return groups.GetJoinedGroupListRequest(
        member_account=user,
        limit=size,
        offset=offset,
        group_type=groups.COMMUNITY,
        support_topic=0,
        response_filter=groups.JoinedResponseFilter(
            group_base_info_filter=list(channel_group.BASE_FIELDS), self_info_filter=list(SELF_FIELDS)
        ),
    )
