"""Unread counts of the conversations with official accounts, and read positions, which are times here."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from channel_adapter.backends.caller import Caller, item_error, naming_account
from channel_adapter.backends.official.members import OfficialMembers
from channel_adapter.backends.official.posts import OfficialPosts
from channel_adapter.concurrency.batching import concurrently, map_concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.subscription import Subscription
from channel_adapter.domain.unread import ChannelUnread, CountSource, Explanation, Unread
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import ADMIN_SET_MSG_READ, GET_C2C_UNREAD_MSG_NUM
from channel_adapter.tencent.codes import ErrorKind, look_up
from channel_adapter.tencent.wire import unread as wire

_COUNTED: Final = Explanation(CountSource.CONVERSATION, None, None)


class OfficialUnread:
    """Counts of the service, of the posts of an account and its one-to-one messages to the user together."""

    def __init__(
        self, caller: Caller, members: OfficialMembers, posts: OfficialPosts, clock: Clock, concurrency: int
    ) -> None:
        self._caller = caller
        self._members = members
        self._posts = posts
        self._clock = clock
        self._concurrency = concurrency

    async def count(self, user: UserId, *, exact: bool, explain: bool) -> Unread:
        """Return the accounts that a user follows with their counts. `exact` makes no difference: the service counts.

        One call for 200 accounts, one for the total, and unless that is 0, one for 10 accounts. `chats` is what remains
        of the total: other one-to-one conversations. Raises NotFoundError for an unknown account.
        """
        async with aclosing(self._members.subscriptions(user)) as found:
            followed: list[Subscription] = [each async for each in found]
        with naming_account(user):
            total = await self._read_total(user)
            channels = [each.channel.id for each in followed]
            counts = await self._read_counts(user, channels) if total else {}
        badge = sum(counts.values())
        return Unread(
            user=user,
            channels=tuple(
                ChannelUnread(
                    channel=each.channel.id,
                    name=each.channel.name,
                    count=counts.get(each.channel.id, 0),
                    notifications=None,
                    last_post_at=each.channel.last_post_at,
                    explanation=_COUNTED if explain else None,
                )
                for each in followed
            ),
            badge=badge,
            chats=max(0, total - badge),
        )

    async def mark_read(
        self, user: UserId, channel: ChannelId, up_to: PostRef | datetime | None, *, exact: bool
    ) -> int:
        """Mark everything up to the time of a post, or up to a time, as read; return how many are unread then.

        Posts of the same second are read together. Raises InvalidError for a post that does not exist and for a time
        in the future, NotFoundError for a user who does not follow the account.
        """
        await self._members.require(user, channel)
        await self._set_read(user, channel, await self._to_read_time(channel, up_to))
        return (await self._read_counts(user, [channel])).get(channel, 0)

    async def mark_all_read(self, user: UserId) -> tuple[ChannelId, ...]:
        """Mark the conversation with every account as read; return the accounts in which something was unread.

        After a failure the others are marked all the same, then the first error is raised. Raises NotFoundError for an
        unknown user.
        """
        followed = await self._members.followed_list(user)
        with naming_account(user):
            counts = await self._read_counts(user, followed) if await self._read_total(user) else {}

        async def mark(channel: ChannelId) -> tuple[ChannelId, ChannelAdapterError | None]:
            try:
                await self._set_read(user, channel, None)
            except ChannelAdapterError as error:
                return channel, error
            return channel, None

        unread = [channel for channel in followed if counts.get(channel)]
        marked = await map_concurrently(unread, mark, limit=self._concurrency)
        for _, error in marked:
            if error is not None:
                raise error
        return tuple(channel for channel, _ in marked)

    async def _to_read_time(self, channel: ChannelId, up_to: PostRef | datetime | None) -> int | None:
        """Return the time up to which is read, in Unix seconds; None is now."""
        if up_to is None:
            return None
        if isinstance(up_to, datetime):
            if up_to.timestamp() > self._clock.now():
                raise InvalidError(f"up_to is {up_to}, which is in the future", field="up_to")
            return max(0, int(up_to.timestamp()))
        post = await self._posts.get(up_to)
        if post is None or post.published_at is None:
            raise InvalidError(f"up_to is {up_to.seq}, and {channel} has no such post", field="up_to", size=up_to.seq)
        return int(post.published_at.timestamp())

    async def _read_total(self, user: UserId) -> int:
        request = wire.GetC2cUnreadMsgNumRequest(to_account=user)
        return (await self._caller.call(GET_C2C_UNREAD_MSG_NUM, request)).all_c2c_unread_msg_num or 0

    async def _read_counts(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, int]:
        """Return the counts of conversations, 10 a call; without those of accounts that do not exist any more."""
        size = limits.C2C_UNREAD_PEERS_PER_CALL
        parts = [channels[start : start + size] for start in range(0, len(channels), size)]
        counts: dict[ChannelId, int] = {}

        async def count(part: Sequence[ChannelId]) -> dict[ChannelId, int]:
            return await self._count_part(user, part)

        async with aclosing(concurrently(parts, count, limit=self._concurrency)) as results:
            async for found in results:
                counts |= found
        return counts

    async def _count_part(self, user: UserId, part: Sequence[ChannelId]) -> dict[ChannelId, int]:
        request = wire.GetC2cUnreadMsgNumRequest(to_account=user, peer_account=[*part])
        reply = await self._caller.call(GET_C2C_UNREAD_MSG_NUM, request)
        for item in reply.error_list or ():
            row = look_up(GET_C2C_UNREAD_MSG_NUM.service, GET_C2C_UNREAD_MSG_NUM.name, item.error_code)
            if row.kind is not ErrorKind.NOT_FOUND:
                raise item_error(GET_C2C_UNREAD_MSG_NUM, item.error_code, "")
        return {ChannelId(item.peer_account): item.c2c_unread_msg_num for item in reply.c2c_unread_msg_num_list or ()}

    async def _set_read(self, user: UserId, channel: ChannelId, seconds: int | None) -> None:
        request = wire.AdminSetMsgReadRequest(report_account=user, peer_account=channel, msg_read_time=seconds)
        await self._caller.call(ADMIN_SET_MSG_READ, request)
