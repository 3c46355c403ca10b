"""Pages of the joined-group list of a user."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Final, TypeVar

from channel_adapter.backends.caller import Caller
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, UnavailableError
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_JOINED_GROUP_LIST
from channel_adapter.tencent.wire import groups

Ask = Callable[[int, int], groups.GetJoinedGroupListRequest]
"""The request for one page, given offset and size."""

GET_JOINED_ROWS = GET_JOINED_GROUP_LIST.read_as(groups.JoinedRowsReply)

R = TypeVar("R")

_READINGS: Final = 3  # of a list that becomes shorter while it is read


class JoinedPages:
    """Reads pages of joined-group lists concurrently: 200 groups a call, 50 if a reply would be over 1 MB [5]."""

    def __init__(self, caller: Caller, channels: ChannelCache, concurrency: int) -> None:
        self._caller = caller
        self._channels = channels
        self._concurrency = concurrency
        self._page_size = limits.JOINED_GROUPS_PER_PAGE

    async def each(self, ask: Ask, work: Callable[[list[groups.JoinedRow]], Awaitable[R]]) -> AsyncGenerator[R, None]:
        """Yield the result of `work` for every page, in the order of the list.

        A group may be on two pages. A list that becomes shorter meanwhile is read again, because its groups move to
        pages that were read before. Raises UnavailableError if the pages have fewer groups than the service counts, and
        if the list becomes shorter each time.
        """
        for _ in range(_READINGS):
            totals: list[int] = []  # of each reply, in the order of their arrival
            async with aclosing(self._read_once(ask, work, totals)) as pages:
                async for made in pages:
                    yield made
            if totals == sorted(totals):
                return
        raise UnavailableError(f"{GET_JOINED_GROUP_LIST.name}: the list changed while it was read; list them again")

    async def _read_once(
        self, ask: Ask, work: Callable[[list[groups.JoinedRow]], Awaitable[R]], totals: list[int]
    ) -> AsyncGenerator[R, None]:
        """Yield the result of `work` for every page; add the total of each reply to `totals`."""
        size = self._page_size
        first = await self._read_rows(ask, 0, size, totals)
        seen: set[str] = set()

        async def fetch(offset: int) -> R:
            page = first if offset == 0 else await self._read_rows(ask, offset, size, totals)
            seen.update(item.group_id for item in page)
            return await work(page)

        done = 0
        while done == 0 or done < max(totals):  # again if the list has grown meanwhile
            offsets = range(done, max(*totals, 1), size)
            done = offsets[-1] + size
            async with aclosing(concurrently(offsets, fetch, limit=self._concurrency, ordered=True)) as pages:
                async for made in pages:
                    yield made
        if len(seen) < min(totals):
            raise UnavailableError(
                f"{GET_JOINED_GROUP_LIST.name}: {len(seen)} of {min(totals)} groups were returned; list them again"
            )

    async def group_ids(self, user: UserId) -> list[ChannelId]:
        """Return the ids of the Communities that a user is in, channels and others, 200 a call."""
        found: dict[ChannelId, None] = {}  # the list may shift between pages
        async with aclosing(self.each(partial(communities_request, user, None), _ids_of)) as pages:
            async for page in pages:
                found.update(dict.fromkeys(page))
        return list(found)

    async def channels(self, user: UserId) -> list[ChannelId]:
        """Return the channels that a user is in, in the order of the list.

        Costs a call for 200 groups, and one for 50 groups whose tag is not cached.
        """
        return list(await self._channels.fields(await self.group_ids(user)))

    async def _read_rows(self, ask: Ask, offset: int, size: int, totals: list[int]) -> list[groups.JoinedRow]:
        """Read `size` rows from `offset` on, fewer at the end of the list, in as many calls as the service needs."""
        rows: list[groups.JoinedRow] = []
        while True:
            step = min(self._page_size, size - len(rows))
            try:
                reply = await self._caller.call(GET_JOINED_ROWS, ask(offset + len(rows), step))
            except ChannelAdapterError as error:
                if error.code != codes.REPLY_TOO_LARGE or step <= limits.JOINED_GROUPS_PER_PAGE_SMALL:
                    raise
                self._page_size = limits.JOINED_GROUPS_PER_PAGE_SMALL
                continue
            rows += reply.group_id_list
            totals.append(reply.total_count)
            if not reply.group_id_list or len(rows) >= min(size, reply.total_count - offset):
                return rows


def communities_request(
    user: UserId, wanted: groups.JoinedResponseFilter | None, offset: int, size: int
) -> groups.GetJoinedGroupListRequest:
    """Return the request for one page of a user's Communities without topics; without `wanted`, of ids alone."""
    return groups.GetJoinedGroupListRequest(
        member_account=user,
        limit=size,
        offset=offset,
        group_type=groups.COMMUNITY,
        support_topic=0,
        response_filter=wanted,
    )


async def _ids_of(page: list[groups.JoinedRow]) -> list[ChannelId]:
    return [ChannelId(item.group_id) for item in page]
