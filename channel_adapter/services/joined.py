"""The joined-group list of a person, narrowed to channels: pages and tags side by side."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from channel_adapter.backends.caller import ApiCaller, without_account
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import ChannelAdapterError, NotFoundError, UnavailableError
from channel_adapter.mapping.subscription_member import SELF_FIELDS, to_subscription
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_JOINED_GROUP_LIST
from channel_adapter.tencent.wire import groups

Ask = Callable[[int, int], groups.GetJoinedGroupListRequest]
"""The request for one page, given offset and size."""

GET_JOINED_ROWS = GET_JOINED_GROUP_LIST.read_as(groups.JoinedRowsReply)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Page:
    total: int
    groups: list[groups.JoinedRow]


class JoinedPages:
    """Pages of joined-group lists, several at once, in smaller steps where an answer would be over 1 MB [5]."""

    def __init__(self, gateway: ApiCaller, concurrency: int) -> None:
        self._gateway = gateway
        self._concurrency = concurrency
        self._page_size = limits.JOINED_GROUPS_PER_PAGE

    async def each(self, ask: Ask, work: Callable[[list[groups.JoinedRow]], Awaitable[R]]) -> AsyncGenerator[R, None]:
        """What `work` makes of every page, in the order of the list; a group may stand on two pages of a list that
        shifts meanwhile. Raises UnavailableError when there are fewer groups than the service counts.
        """
        size = self._page_size
        first = await self._page(ask, 0, size)
        seen: set[str] = set()
        totals: list[int] = []

        async def fetch(offset: int) -> R:
            page = first if offset == 0 else await self._page(ask, offset, size)
            totals.append(page.total)
            seen.update(item.group_id for item in page.groups)
            return await work(page.groups)

        done = 0
        while done == 0 or done < max(totals):  # again when the list has grown meanwhile
            offsets = range(done, max(first.total, *totals, 1), size)
            done = offsets[-1] + size
            async with aclosing(concurrently(offsets, fetch, limit=self._concurrency, ordered=True)) as pages:
                async for made in pages:
                    yield made
        if len(seen) < min(totals):
            raise UnavailableError(
                f"{GET_JOINED_GROUP_LIST.name}: {len(seen)} of {min(totals)} groups came; list them again"
            )

    async def _page(self, ask: Ask, offset: int, size: int) -> _Page:
        """Everything from `offset` up to `size` rows on, in as many calls as the service makes of it."""
        rows: list[groups.JoinedRow] = []
        while True:
            step = min(self._page_size, size - len(rows))
            try:
                reply = await self._gateway.call(GET_JOINED_ROWS, ask(offset + len(rows), step))
            except ChannelAdapterError as error:
                if error.code != codes.REPLY_TOO_LARGE or step <= limits.JOINED_GROUPS_PER_PAGE_SMALL:
                    raise
                self._page_size = limits.JOINED_GROUPS_PER_PAGE_SMALL
                continue
            rows += reply.group_id_list
            if not reply.group_id_list or len(rows) >= min(size, reply.total_count - offset):
                return _Page(reply.total_count, rows)


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
