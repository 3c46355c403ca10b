"""The joined-group list of a person, narrowed to channels: pages and tags side by side."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from channel_adapter.backends.caller import without_account
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import NotFoundError
from channel_adapter.mapping.subscription_member import SELF_FIELDS, to_subscription
from channel_adapter.tencent.wire import groups


class JoinedList:
    """Always asks for Communities without topics by type, and tells channels from other groups by their tag [5][6]."""

    def __init__(self, pages: JoinedPages, directory: ChannelCache) -> None:
        self._pages = pages
        self._directory = directory

    async def channels(self, user: UserId) -> AsyncGenerator[Subscription, None]:
        """Every channel of a person once; the list may shift between pages, so groups are told apart by id [5]."""
        seen: set[ChannelId] = set()

        async def work(page: list[groups.JoinedRow]) -> list[Subscription]:
            return await self._channels_among(user, page)

        try:
            async with aclosing(self._pages.each(lambda start, size: _request(user, start, size), work)) as pages:
                async for found in pages:
                    for mine in found:
                        if mine.channel.id not in seen:
                            seen.add(mine.channel.id)
                            yield mine
        except NotFoundError as error:
            told = without_account(error, user, "user")
            raise told from (error if told is not error else error.__cause__)

    async def _channels_among(self, user: UserId, page: list[groups.JoinedRow]) -> list[Subscription]:
        found = {ChannelId(item.group_id): item for item in page}
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
