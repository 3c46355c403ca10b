"""Unread posts of a user: counted from the cheapest source that has them [12], and read positions."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from channel_adapter.backends.caller import Caller, naming_account
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.history import History, SilentPosts
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.backends.community.members import Membership
from channel_adapter.concurrency.batching import map_concurrently
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.subscription import Notifications
from channel_adapter.domain.unread import ChannelUnread, CountSource, Explanation, Unread
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.subscription_member import to_notifications
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import SET_UNREAD_MSG_NUM
from channel_adapter.tencent.wire import groups, members

COUNTED_TYPES: Final = (groups.COMMUNITY, groups.PUBLIC, groups.PRIVATE)
"""Types whose unread messages a client counts; meetings and live rooms have no such number [doc 48320]."""

LIST_FIELDS: Final = ("Name", "NextMsgSeq", "LastMsgTime")
CHAT_FIELDS: Final = ("NextMsgSeq",)
SELF_FIELDS: Final = (("MsgFlag", "MsgSeq", "UnreadMsgNum"), ("MsgFlag", "MsgSeq"), ("MsgFlag",))
"""Fields of a user's own data that are requested, and the shorter lists for a service that does not know one [12]."""

_MARK_ATTEMPTS: Final = 3
"""`set_unread_msg_num` counts from the newest post: a post that is sent meanwhile shifts the position."""


@dataclass(slots=True)
class _Row:
    """One group of a user with its count; `count` is None if the list alone does not tell it.

    `own` and `next_seq` are the inputs of the count, from the list or from calls for the one group.
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
        """Whether there is a message after the read position, including messages that do not count."""
        read = self.own.msg_seq if self.own is not None else None
        if read is None or self.next_seq is None:
            return bool(self.count)
        return self.next_seq - 1 > read

    @property
    def notifications(self) -> Notifications:
        """How new posts reach the user."""
        own = self.group.self_info
        return to_notifications(own.msg_flag if own else None)


class CommunityUnread:
    """Unread counts and read positions.

    Reads the list of joined groups by type; what the list lacks is requested group by group. Read positions are set
    with `set_unread_msg_num`, which is meant for migration: client apps are not notified of it [doc 34909].
    """

    def __init__(
        self,
        caller: Caller,
        channels: ChannelCache,
        pages: JoinedPages,
        history: History,
        silent: SilentPosts,
        concurrency: int,
    ) -> None:
        self._caller = caller
        self._channels = channels
        self._pages = pages
        self._history = history
        self._silent = silent
        self._membership = Membership(caller, channels)
        self._concurrency = concurrency
        self._fallback = 0  # index of the list of own fields that the service knows

    async def count(self, user: UserId, *, exact: bool, explain: bool) -> Unread:
        """Return the channels of a user with their counts, and the sums over channels and over other groups.

        Costs the pages of the joined list, 200 groups a call, and one call for 50 groups whose tag is not cached.
        `exact` reads history after each read position, the newest 1,000 messages of a channel, 20 a call. Raises
        NotFoundError for an unknown account.
        """
        with naming_account(user):
            rows = await self._list_all_counted(user)
            if exact:
                rows = await map_concurrently(rows, self._count_exactly, limit=self._concurrency)
        unmuted = [row for row in rows if row.notifications is Notifications.ALL]
        return Unread(
            user=user,
            channels=tuple(self._to_channel_unread(row, explain=explain) for row in rows if row.is_channel),
            badge=sum(row.count or 0 for row in unmuted if row.is_channel),
            chats=sum(row.count or 0 for row in unmuted if not row.is_channel),
        )

    async def mark_read(
        self, user: UserId, channel: ChannelId, up_to: PostRef | datetime | None, *, exact: bool
    ) -> int:
        """Mark posts up to a post or a time as read, None: all; return how many are unread then.

        A time is searched for in history, 20 posts a call. `exact` as in `count`. Never makes read posts unread. Raises
        InvalidError for a post that does not exist yet and for a time in the future, NotFoundError for a user who is
        not in the channel.
        """
        member = await self._membership.require(user, channel)
        if up_to is None:
            await self._set_unread(user, channel, 0)
            return 0
        seq = await self._find_post_at(channel, up_to) if isinstance(up_to, datetime) else up_to.seq
        last = await self._read_last_seq(channel)
        number = unread_number(last, seq)
        for _ in range(_MARK_ATTEMPTS if (member.msg_seq or 0) < seq else 0):
            await self._set_unread(user, channel, number)
            before, last = last, await self._read_last_seq(channel)
            member = await self._membership.require(user, channel)
            moved_too_far = (member.msg_seq or 0) - seq
            if not 0 < moved_too_far <= last - before:  # else the user has read on meanwhile
                break
            number = unread_number(last, seq)
        if exact and last > (read := member.msg_seq or seq):
            await self._silent.read(channel, read + 1, last)
        counted = unread_count(last + 1, member, self._silent.get(channel))
        return counted if counted is not None else number

    async def mark_all_read(self, user: UserId) -> tuple[ChannelId, ...]:
        """Mark every post in every channel as read; return the channels in which one was not.

        After a failure the other channels are marked all the same, then the first error is raised. Raises
        NotFoundError for an unknown account.
        """
        with naming_account(user):
            rows = await self._list_counted(user, groups.COMMUNITY)
            unread = [row.id for row in rows if row.is_channel and row.behind]
            results = await map_concurrently(
                unread, lambda channel: self._mark_all(user, channel), limit=self._concurrency
            )
            for _, error in results:
                if error is not None:
                    raise error
        return tuple(channel for channel, (marked, _) in zip(unread, results, strict=True) if marked)

    async def _list_all_counted(self, user: UserId) -> list[_Row]:
        """Return the groups of a user in the order of the lists."""
        lists = await map_concurrently(
            COUNTED_TYPES, lambda kind: self._list_counted(user, kind), limit=len(COUNTED_TYPES)
        )
        return [row for rows in lists for row in rows]

    async def _list_counted(self, user: UserId, kind: str) -> list[_Row]:
        """Return the groups of one type, each once and counted."""
        rows = await self._list_joined(user, kind)
        missing = [place for place, row in enumerate(rows) if row.count is None]
        if missing:
            counted = await map_concurrently(
                [rows[place] for place in missing], lambda row: self._count_one(user, row), limit=self._concurrency
            )
            for place, row in zip(missing, counted, strict=True):
                rows[place] = row
        return rows

    async def _list_joined(self, user: UserId, kind: str) -> list[_Row]:
        """Read the list alone; with fewer fields from a service that refuses one that it does not know."""
        fallback = self._fallback
        while True:
            try:
                rows = await self._list_with_fields(user, kind, fallback)
            except ChannelAdapterError as error:
                if error.code != codes.BAD_PARAMETER or fallback + 1 == len(SELF_FIELDS):
                    raise
                fallback += 1
            else:
                self._fallback = max(self._fallback, fallback)
                return rows

    async def _list_with_fields(self, user: UserId, kind: str, fallback: int) -> list[_Row]:
        def ask(start: int, size: int) -> groups.GetJoinedGroupListRequest:
            return joined_request(user, start, size, kind, fallback)

        rows: dict[str, _Row] = {}  # the list may shift between pages
        async with aclosing(self._pages.each(ask, self._count_page)) as pages:
            async for page in pages:
                rows.update({row.group.group_id: row for row in page})
        return list(rows.values())

    async def _count_page(self, page: list[groups.JoinedRow]) -> list[_Row]:
        ids = [ChannelId(item.group_id) for item in page]
        channels: Mapping[ChannelId, object] = {}
        if any(each.startswith(limits.COMMUNITY_ID_PREFIX) for each in ids):
            channels = await self._channels.fields(ids)
        return [self._to_unread_row(item, is_channel=item.group_id in channels) for item in page]

    def _to_unread_row(self, item: groups.JoinedRow, *, is_channel: bool) -> _Row:
        own, next_seq = item.self_info, item.next_msg_seq
        return _Row(
            item, is_channel, own, next_seq, unread_count(next_seq, own, self._silent.get(ChannelId(item.group_id)))
        )

    async def _count_one(self, user: UserId, row: _Row) -> _Row:
        """Count by the documented route: the member's position and the group's next number [doc 64897]."""
        next_seq = row.next_seq
        try:
            member = await self._membership.find(user, row.id)
            if next_seq is None:
                next_seq = await self._read_next_seq(row.id)
        except NotFoundError:  # deleted since the list was read
            member = None
        number = unread_count(next_seq, member, self._silent.get(row.id)) or 0
        return replace(row, own=member, next_seq=next_seq, count=number)

    async def _count_exactly(self, row: _Row) -> _Row:
        """Read in history which messages do not count, if that can change the number."""
        if not (row.count and row.is_channel and row.own is not None and row.next_seq is not None):
            return row
        known = explanation(row.next_seq, row.own)
        if known.source is CountSource.SERVER or known.read_up_to is None:
            return row
        try:
            await self._silent.read(row.id, known.read_up_to + 1, row.next_seq - 1)
        except NotFoundError:  # deleted since the list was read
            return row
        return replace(row, count=unread_count(row.next_seq, row.own, self._silent.get(row.id)))

    def _to_channel_unread(self, row: _Row, *, explain: bool) -> ChannelUnread:
        inputs = explanation(row.next_seq, row.own, self._silent.get(row.id)) if explain and row.own else None
        return ChannelUnread(
            channel=row.id,
            name=row.group.name or "",
            count=row.count or 0,
            notifications=row.notifications,
            last_post_at=to_datetime(row.group.last_msg_time),
            explanation=inputs,
        )

    async def _mark_all(self, user: UserId, channel: ChannelId) -> tuple[bool, ChannelAdapterError | None]:
        """Mark one channel as read; return whether it was marked, and the error if it failed."""
        try:
            await self._set_unread(user, channel, 0)
        except NotFoundError:  # deleted since the list was read
            return False, None
        except ChannelAdapterError as error:
            return False, error
        return True, None

    async def _find_post_at(self, channel: ChannelId, time: datetime) -> int:
        """Return the number of the newest post at a time, 0 for none.

        A time is in the future if it is after now and after the newest post: the service's clock may be ahead.
        """
        seconds = time.timestamp()
        if seconds > self._channels.clock.now():
            newest = max((post.msg_time_stamp for post in await self._history.latest(channel)), default=0)
            if seconds > newest:
                raise InvalidError(f"up_to is {time}, which is in the future", field="up_to")
        return await self._history.number_at(channel, seconds)

    async def _read_next_seq(self, channel: ChannelId) -> int | None:
        """Return the number that the channel's next post will have."""
        return (await self._channels.read_fields(channel, ["NextMsgSeq"])).next_msg_seq

    async def _read_last_seq(self, channel: ChannelId) -> int:
        return (await self._read_next_seq(channel) or 1) - 1

    async def _set_unread(self, user: UserId, channel: ChannelId, number: int) -> None:
        request = groups.SetUnreadMsgNumRequest(group_id=channel, member_account=user, unread_msg_num=number)
        await self._caller.call(SET_UNREAD_MSG_NUM, request)


def joined_request(user: UserId, offset: int, size: int, kind: str, fallback: int) -> groups.GetJoinedGroupListRequest:
    """Return the request for one page of a user's groups of one type; `fallback` is an index of SELF_FIELDS.

    Always by type: a list of all types cannot be trusted to contain Communities [5].
    """
    community = kind == groups.COMMUNITY
    return groups.GetJoinedGroupListRequest(
        member_account=user,
        limit=size,
        offset=offset,
        group_type=kind,
        support_topic=0 if community else None,
        response_filter=groups.JoinedResponseFilter(
            group_base_info_filter=list(LIST_FIELDS if community else CHAT_FIELDS),
            self_info_filter=list(SELF_FIELDS[fallback]),
        ),
    )


def unread_count(
    next_seq: int | None, own: members.Own | members.Member | None, silent: Sequence[int] = ()
) -> int | None:
    """Return how many posts are unread, None if the service returned too little for it [12].

    `silent` are numbers of posts known not to count, ascending.
    """
    if own is None:
        return None
    if isinstance(own, members.Own) and own.unread_msg_num is not None:
        return max(0, own.unread_msg_num)
    read = own.msg_seq
    if next_seq is None or read is None:
        return None
    return max(0, next_seq - 1 - read - len(_silent_between(silent, read, next_seq - 1)))


def explanation(next_seq: int | None, own: members.Own | members.Member, silent: Sequence[int] = ()) -> Explanation:
    """Return the inputs of `unread_count`, and their source."""
    last = next_seq - 1 if next_seq is not None else None
    source = CountSource.POSITIONS if isinstance(own, members.Own) else CountSource.MEMBER
    if isinstance(own, members.Own) and own.unread_msg_num is not None:
        return Explanation(CountSource.SERVER, last, own.msg_seq)
    left_out = _silent_between(silent, own.msg_seq, last) if last is not None and own.msg_seq is not None else ()
    return Explanation(source, last, own.msg_seq, left_out)


def _silent_between(silent: Sequence[int], read: int, last: int) -> tuple[int, ...]:
    return tuple(seq for seq in silent if read < seq <= last) if silent else ()


def unread_number(last: int, up_to: int) -> int:
    """Return the number for `set_unread_msg_num` after which every post up to `up_to` is read. Raises InvalidError."""
    if up_to > last:
        raise InvalidError(f"up_to is {up_to}, and the last post is {last}", field="up_to", limit=last, size=up_to)
    return last - up_to
