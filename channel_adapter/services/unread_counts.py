"""Counting what a person has not read, from the cheapest source that knows it [12]."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.history import SilentPosts
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.backends.community.members import Membership
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.domain.unread import ChannelUnread, CountSource, Unread
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.subscription_member import NOTIFICATIONS
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import GET_GROUP_INFO
from channel_adapter.tencent.wire import groups, members

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class Row:
    """One group of a person with its count; `count` is None while the list alone could not tell.

    `own` and `next_seq` are what was counted with: of the list, or asked for afterwards.
    """

    group: groups.JoinedRow
    is_channel: bool
    own: members.Own | members.Member | None
    next_seq: int | None
    count: int | None

    @property
    def id(self) -> ChannelId:
        """The group's id, of a channel or not."""
        return ChannelId(self.group.group_id)

    @property
    def behind(self) -> bool:
        """Is there a message behind the read position, be it one that does not count?"""
        read = self.own.msg_seq if self.own is not None else None
        if read is None or self.next_seq is None:
            return bool(self.count)
        return self.next_seq - 1 > read

    @property
    def notifications(self) -> Notifications:
        """How new posts reach the person."""
        own = self.group.self_info
        return NOTIFICATIONS.get((own.msg_flag if own else None) or "", Notifications.ALL)


class Counting:
    """Reads the list of joined groups by type; what it lacks is asked for group by group."""

    def __init__(
        self,
        gateway: ApiCaller,
        pages: JoinedPages,
        directory: ChannelCache,
        membership: Membership,
        uncounted: SilentPosts,
        *,
        concurrency: int,
    ) -> None:
        self._gateway = gateway
        self._pages = pages
        self._directory = directory
        self._membership = membership
        self._uncounted = uncounted
        self._concurrency = concurrency
        self._fallback = 0  # which of the lists of own fields the service knows

    async def of(self, user: UserId, *, exact: bool, explain: bool) -> Unread:
        """A person's two numbers and their channels, in the order of the list."""
        kinds = mapping.COUNTED_TYPES
        lists = await _each(kinds, lambda kind: self.rows(user, kind), at_once=len(kinds))
        rows = [row for found in lists for row in found]
        if exact:
            rows = await _each(rows, self._looked_at, at_once=self._concurrency)
        loud = [row for row in rows if row.notifications is Notifications.ALL]
        return Unread(
            user=user,
            channels=tuple(self._channel_unread(row, explain=explain) for row in rows if row.is_channel),
            badge=sum(row.count or 0 for row in loud if row.is_channel),
            chats=sum(row.count or 0 for row in loud if not row.is_channel),
        )

    async def rows(self, user: UserId, kind: str) -> list[Row]:
        """The person's groups of one type, each once and counted."""
        rows = await self._listed(user, kind)
        missing = {place: row for place, row in enumerate(rows) if row.count is None}
        if missing:
            for place, row in zip(missing, await self._asked_one_by_one(user, missing.values()), strict=True):
                rows[place] = row
        return rows

    async def _listed(self, user: UserId, kind: str) -> list[Row]:
        """What the list alone says. A service that refuses a field it does not know is asked for fewer."""
        level = self._fallback
        while True:
            try:
                found = await self._every_page(user, kind, level)
            except ChannelAdapterError as error:
                if error.code != codes.BAD_PARAMETER or level + 1 == len(mapping.SELF_FIELDS):
                    raise
                level += 1
            else:
                self._fallback = max(self._fallback, level)
                return found

    async def _every_page(self, user: UserId, kind: str, level: int) -> list[Row]:
        def ask(start: int, size: int) -> groups.GetJoinedGroupListRequest:
            return mapping.joined_request(user, start, size, kind, level)

        rows: dict[str, Row] = {}  # the list may shift between pages
        async with aclosing(self._pages.each(ask, self._counted)) as pages:
            async for page in pages:
                rows.update({row.group.group_id: row for row in page})
        return list(rows.values())

    async def _counted(self, page: list[groups.JoinedRow]) -> list[Row]:
        ids = [ChannelId(item.group_id) for item in page]
        channels: Mapping[ChannelId, object] = {}
        if any(mapping.Conversation(each).may_be_channel for each in ids):
            channels = await self._directory.fields(ids)
        return [self._row(item, is_channel=item.group_id in channels) for item in page]

    def _row(self, item: groups.JoinedRow, *, is_channel: bool) -> Row:
        own, next_seq = item.self_info, item.next_msg_seq
        number = mapping.count(next_seq, own, self._uncounted.get(ChannelId(item.group_id)))
        return Row(item, is_channel, own, next_seq, number)

    async def _asked_one_by_one(self, user: UserId, rows: Iterable[Row]) -> list[Row]:
        """The documented route: the member's position and the group's next number [doc 64897]."""

        async def ask(row: Row) -> Row:
            next_seq = row.next_seq
            try:
                member = await self._membership.find(user, row.id)
                if next_seq is None:
                    next_seq = await self.next_number(row.id)
            except NotFoundError:  # gone since the list was read
                member = None
            number = mapping.count(next_seq, member, self._uncounted.get(row.id)) or 0
            return replace(row, own=member, next_seq=next_seq, count=number)

        return await _each(list(rows), ask, at_once=self._concurrency)

    async def next_number(self, channel: ChannelId) -> int | None:
        """The number that the channel's next post will have."""
        request = groups.GetGroupInfoRequest(
            group_id_list=[channel], response_filter=groups.GroupResponseFilter(group_base_info_filter=["NextMsgSeq"])
        )
        return (await self._gateway.call(GET_GROUP_INFO, request)).group_info[0].next_msg_seq

    async def _looked_at(self, row: Row) -> Row:
        """The row after a look into history for what does not count; only where that can change something."""
        if not (row.count and row.is_channel and row.own is not None and row.next_seq is not None):
            return row
        told = mapping.explain(row.next_seq, row.own)
        if told.source is CountSource.SERVER or told.read_up_to is None:
            return row
        try:
            await self._uncounted.read(row.id, told.read_up_to + 1, row.next_seq - 1)
        except NotFoundError:  # gone since the list was read
            return row
        return replace(row, count=mapping.count(row.next_seq, row.own, self._uncounted.get(row.id)))

    def _channel_unread(self, row: Row, *, explain: bool) -> ChannelUnread:
        told = mapping.explain(row.next_seq, row.own, self._uncounted.get(row.id)) if explain and row.own else None
        return ChannelUnread(
            channel=row.id,
            name=row.group.name or "",
            count=row.count or 0,
            notifications=row.notifications,
            last_post_at=to_datetime(row.group.last_msg_time),
            explanation=told,
        )


async def _each(items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int) -> list[R]:
    """Results in the order of the items; after a failure nothing goes on."""
    async with aclosing(concurrently(items, work, limit=at_once, ordered=True)) as results:
        return [result async for result in results]
