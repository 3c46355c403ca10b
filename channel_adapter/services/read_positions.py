"""Moving a person's read position in a channel, by the one command there is for it [conversations 2.4]."""

from datetime import datetime

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.history import History, SilentPosts
from channel_adapter.backends.community.members import Membership
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.services.unread_counts import Counting
from channel_adapter.tencent.catalog import SET_UNREAD_MSG_NUM
from channel_adapter.tencent.wire import groups

TRIES = 3
"""The command counts from the end, so a post that comes in between moves the goal; then it is set again."""


class ReadPositions:
    """`set_unread_msg_num` is meant for migration and tells nobody [doc 34909]."""

    def __init__(
        self,
        gateway: ApiCaller,
        membership: Membership,
        counting: Counting,
        uncounted: SilentPosts,
        history: History,
        clock: Clock,
        *,
        concurrency: int,
    ) -> None:
        self._gateway = gateway
        self._membership = membership
        self._counting = counting
        self._uncounted = uncounted
        self._history = history
        self._clock = clock
        self._concurrency = concurrency

    async def mark(self, user: UserId, channel: ChannelId, up_to: int | datetime | None, *, exact: bool) -> int:
        """Everything up to a post or a moment, or everything, is read; how many are left."""
        member = await self._membership.require(user, channel)
        if up_to is None:
            await self._set(user, channel, 0)
            return 0
        if isinstance(up_to, datetime):
            up_to = await self._post_at(channel, up_to)
        last = await self._last(channel)
        number = mapping.unread_number(last, up_to)
        for _ in range(TRIES if (member.msg_seq or 0) < up_to else 0):
            await self._set(user, channel, number)
            before, last = last, await self._last(channel)
            member = await self._membership.require(user, channel)
            moved_too_far = (member.msg_seq or 0) - up_to
            if not 0 < moved_too_far <= last - before:  # otherwise the person has read on meanwhile
                break
            number = mapping.unread_number(last, up_to)
        if exact and last > (read := member.msg_seq or up_to):
            await self._uncounted.read(channel, read + 1, last)
        counted = mapping.count(last + 1, member, self._uncounted.get(channel))
        return counted if counted is not None else number

    async def mark_all(self, user: UserId) -> tuple[ChannelId, ...]:
        """Every channel with something behind the read position; raises the first error when all were tried."""
        rows = await self._counting.rows(user, groups.COMMUNITY)
        unread = [row.id for row in rows if row.is_channel and row.behind]
        marked: list[ChannelId] = []
        errors: list[ChannelAdapterError] = []

        async def mark(channel: ChannelId) -> None:
            try:
                await self._set(user, channel, 0)
                marked.append(channel)
            except NotFoundError:  # the channel is gone by now
                return
            except ChannelAdapterError as error:
                errors.append(error)

        async for _ in concurrently(unread, mark, limit=self._concurrency):
            continue
        if errors:
            raise errors[0]
        return tuple(channel for channel in unread if channel in set(marked))

    async def _post_at(self, channel: ChannelId, moment: datetime) -> int:
        """The newest post of that moment; 0 for none. The future begins after now and after the newest post there is.

        The service's clock may be ahead of ours.
        """
        seconds = moment.timestamp()
        if seconds > self._clock.now():
            newest = max((post.msg_time_stamp for post in await self._history.latest(channel)), default=0)
            if seconds > newest:
                raise InvalidError(f"up_to is {moment}, which is in the future", field="up_to")
        return await self._history.number_at(channel, seconds)

    async def _last(self, channel: ChannelId) -> int:
        return (await self._counting.next_number(channel) or 1) - 1

    async def _set(self, user: UserId, channel: ChannelId, number: int) -> None:
        request = groups.SetUnreadMsgNumRequest(group_id=channel, member_account=user, unread_msg_num=number)
        await self._gateway.call(SET_UNREAD_MSG_NUM, request)
