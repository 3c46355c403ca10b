"""Subscriptions: add and remove users of a channel, list and count them, and the notifications of each."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.batching import map_concurrently
from channel_adapter.concurrency.paging import CursorLoopGuard, Pages
from channel_adapter.concurrency.signals import Signal
from channel_adapter.domain.batch import AddOptions, BatchResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import (
    SETTABLE_NOTIFICATIONS,
    ChannelOutcome,
    Notifications,
    Outcome,
    OutcomeKind,
    Outcomes,
    Subscriber,
)
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError, UnavailableError
from channel_adapter.mapping import ids
from channel_adapter.mapping.text import require_list
from channel_adapter.quoting import shown_value
from channel_adapter.services.blocks import Blocklist
from channel_adapter.services.bulk import (
    TRANSIENT,
    BulkLoop,
    BulkOptions,
    Users,
    collect,
    require_users,
)
from channel_adapter.services.signals import UsersLeft
from channel_adapter.services.unread.assignment import ConversationGroupAssigner

_AddMembers = Callable[..., Awaitable[BatchResult]]
_LEFT = (OutcomeKind.REMOVED, OutcomeKind.ALREADY)


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """How subscriptions are changed."""

    bulk: BulkOptions
    notify: bool  # client apps of other members are notified


class Subscriptions:
    """Subscribers of channels. Every method accepts a channel by slug or by id, and refuses other groups."""

    def __init__(
        self,
        backend: Backend,
        blocks: Blocklist | None,
        assigner: ConversationGroupAssigner,
        left: Signal[UsersLeft, None],
        options: SubscriptionOptions,
    ) -> None:
        """`blocks` None: no user is blocked."""
        self._channels = backend.channels
        self._members = backend.members
        self._ids = backend.ids
        self._add: _AddMembers = self._members.add if blocks is None else partial(blocks.subscribe, self._members)
        self._assigner = assigner
        self._left = left
        self._options = options

    async def subscribe(
        self, channel: str, users: Users, *, import_missing: bool = False, assign: bool | None = None
    ) -> Outcomes:
        """Subscribe users to a channel, and return one outcome for each.

        A collection is checked whole before the first call (InvalidError, nothing changed); in a stream an illegal user
        id is an outcome of its own. Accounts that the app does not have are `not_found`, or imported first with
        `import_missing`. A batch without an answer is `failed`; repeating is harmless. Raises NotFoundError for an
        unknown channel, and UnavailableError when the service does not answer; its `outcomes` holds what is known.

        Users who are subscribed then have the channel in their conversation group, as the settings or `assign` say: the
        result is the outcome's `assignment`, and repeating finishes it. It costs up to two calls a user, so none is
        assigned in a call for more than 1,000 users unless `assign` is True. Of an async stream, which cannot be read
        ahead without waiting, the first 1,000 are.
        """
        return await collect(self.subscribe_stream(channel, users, import_missing=import_missing, assign=assign))

    def subscribe_stream(
        self, channel: str, users: Users, *, import_missing: bool = False, assign: bool | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Subscribe users as `subscribe` does, and yield the outcomes in bounded memory, for any number of users.

        Outcomes come as the service answers, not in the order of the users. Closing the generator stops the call; what
        was sent before stays done. A call that ends early first yields everything that is known, then raises.
        """
        wanted = self._ids.channel(channel)
        options = AddOptions(self._options.notify, import_missing)
        second = self._assigner.for_call(wanted, require_users(users), assign, subscribed=True)
        return BulkLoop(self._options.bulk).outcomes(
            second.users if second is not None else users,
            self._members.add_batch,
            partial(self._add, wanted, options=options),
            then=second.add_to if second is not None else None,
            prepare=partial(self._channels.require if users else self._channels.get, wanted),
        )

    async def unsubscribe(self, channel: str, users: Users, *, assign: bool | None = None) -> Outcomes:
        """Remove users from a channel, and return one outcome for each.

        A user who was not in it is `already`; the owner, who cannot leave, is `refused`. The channel is taken out of
        the users' conversation groups too, which leaving does not do; `assign` as for `subscribe`.
        """
        return await collect(self.unsubscribe_stream(channel, users, assign=assign))

    def unsubscribe_stream(
        self, channel: str, users: Users, *, assign: bool | None = None
    ) -> AsyncGenerator[Outcome, None]:
        """Remove users as `unsubscribe` does, and yield the outcomes in bounded memory, for any number of users."""
        wanted = self._ids.channel(channel)
        second = self._assigner.for_call(wanted, require_users(users), assign, subscribed=False)

        async def then(outcomes: Sequence[Outcome], ended: bool) -> Sequence[Outcome]:
            left = tuple(UserId(outcome.user) for outcome in outcomes if outcome.kind in _LEFT)
            if left:
                await self._left.emit(UsersLeft(wanted, left))
            return await second.add_to(outcomes, ended) if second is not None else outcomes

        return BulkLoop(self._options.bulk).outcomes(
            second.users if second is not None else users,
            self._members.remove_batch,
            partial(self._members.remove, wanted, options=AddOptions(self._options.notify)),
            then=then,
            prepare=partial(self._channels.require if users else self._channels.get, wanted),
        )

    async def follow(
        self, user: str, channels: Iterable[str], *, import_missing: bool = False, assign: bool | None = None
    ) -> tuple[ChannelOutcome, ...]:
        """Subscribe one user to many channels: one outcome each, in their order, a channel named twice once.

        The conversation group is changed in one call for 100 channels. An id that is not a channel is
        `channel_not_found`; an account that the app does not have is `not_found` for every channel. A channel in which
        the service refuses the call is `failed`; the error is raised if it is the same in every channel.
        """
        options = AddOptions(self._options.notify, import_missing)
        return await self._change_many(user, channels, options, assign, subscribed=True)

    async def unfollow(
        self, user: str, channels: Iterable[str], *, assign: bool | None = None
    ) -> tuple[ChannelOutcome, ...]:
        """Remove one user from many channels: one outcome each, and one change of the conversation group for 100.

        An id that is not a channel is `channel_not_found`; failures as for `follow`.
        """
        return await self._change_many(user, channels, AddOptions(self._options.notify), assign, subscribed=False)

    async def mute(self, channel: str, *, user: str) -> bool:
        """Turn off push for new posts, and leave them out of the user's badge; return False if it was so already."""
        return await self.set_notifications(channel, Notifications.MUTED, user=user)

    async def unmute(self, channel: str, *, user: str) -> bool:
        """Turn on push for new posts, and count them in the user's badge; return False if it was so already."""
        return await self.set_notifications(channel, Notifications.ALL, user=user)

    async def notifications(self, channel: str, *, user: str) -> Notifications:
        """Return how new posts reach a user. Raises NotFoundError for a user who is not in the channel."""
        wanted, account = self._ids.channel(channel), ids.user_id(user)
        found = await self._members.get(wanted, account)
        if found is None:
            raise NotFoundError(f"{account!r} does not follow {wanted}", field="user")
        return found.notifications

    async def set_notifications(
        self, channel: str, notifications: Notifications | Literal["all", "muted", "off", "mentions"], *, user: str
    ) -> bool:
        """Set how new posts reach a subscriber: `all`, `muted`, `off`, `mentions`; return False if it was set already.

        `mentions` is documented for client apps only. Raises InvalidError for another value, and NotFoundError for a
        user who is not in the channel.
        """
        if notifications not in SETTABLE_NOTIFICATIONS:
            raise InvalidError(
                f"notifications must be one of {', '.join(SETTABLE_NOTIFICATIONS)}; got {shown_value(notifications)}",
                field="notifications",
            )
        return await self._members.set_notifications(
            self._ids.channel(channel), ids.user_id(user), Notifications(notifications)
        )

    async def is_subscribed(self, channel: str, users: Iterable[str]) -> dict[UserId, bool]:
        """Return which users receive the channel's posts, its owner included, 500 a call. Raises NotFoundError."""
        wanted = self._ids.channel(channel)
        unique = dict.fromkeys(ids.user_id(user, "users") for user in require_list(users, "users"))
        return await self._members.subscribed(wanted, [*unique])

    def subscribers(self, channel: str, *, cursor: str = "") -> Pages[Subscriber, str]:
        """Return an iterator over the users who follow the channel, without its owner, 100 a call.

        The iterator's `cursor` is where to resume another time, None at the end. Resuming reads the current page again:
        no user is left out, up to a page of users comes twice. Raises InvalidError for a cursor of the other mode.
        """
        wanted = self._ids.channel(channel)
        self._ids.from_cursor(cursor)
        guard: CursorLoopGuard[str] = CursorLoopGuard("subscribers", UnavailableError)
        return Pages(partial(self._members.page, wanted), cursor, guard)

    async def count(self, channel: str) -> int:
        """Return how many users follow the channel, without its owner. Raises NotFoundError."""
        return (await self._channels.get(self._ids.channel(channel))).subscriber_count

    async def _change_many(
        self,
        user: str,
        channels: Iterable[str],
        options: AddOptions,
        assign: bool | None,
        *,
        subscribed: bool,
    ) -> tuple[ChannelOutcome, ...]:
        account, wanted = ids.user_id(user), list(dict.fromkeys(self._ids.channels(channels)))
        known = await self._channels.known(wanted)
        if missing := [channel for channel in wanted if channel not in known]:
            known = known.union(await self._channels.read(missing))  # another process may have created some meanwhile
        change = self._add if subscribed else self._members.remove
        loop = BulkLoop(self._options.bulk)

        async def change_one(channel: ChannelId) -> tuple[ChannelOutcome, ChannelAdapterError | None]:
            if channel not in known:
                return _no_channel(channel, f"there is no channel {channel}"), None
            batch = await loop.run([account], partial(change, channel, options=options))
            if isinstance(batch.end, NotFoundError) and batch.end.field == "channel":  # deleted after it was read
                return _no_channel(channel, batch.end.message), None
            (outcome,) = batch.outcomes
            refused = batch.end if not isinstance(batch.end, TRANSIENT) else None
            return ChannelOutcome(channel, outcome.kind, outcome.reason), refused

        changed = await map_concurrently(wanted, change_one, limit=self._options.bulk.concurrency)
        outcomes = [outcome for outcome, _ in changed]
        tried = [refused for outcome, refused in changed if outcome.kind is not OutcomeKind.CHANNEL_NOT_FOUND]
        if tried and tried[0] is not None and len({(type(error), error and error.code) for error in tried}) == 1:
            raise tried[0]
        done = [outcome.channel for outcome in outcomes if outcome.done]
        assignments = await self._assigner.follow_one(account, done, assign, subscribed=subscribed)
        if not subscribed:
            await self._left.emit(*(UsersLeft(channel, (account,)) for channel in done))
        return tuple(replace(outcome, assignment=assignments.get(outcome.channel)) for outcome in outcomes)


def _no_channel(channel: ChannelId, reason: str) -> ChannelOutcome:
    return ChannelOutcome(channel, OutcomeKind.CHANNEL_NOT_FOUND, reason)
