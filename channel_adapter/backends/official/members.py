"""Subscribers of official accounts: add, remove, list, and the accounts that a user follows."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.caller import Caller, no_account
from channel_adapter.backends.members import (
    OTHERS_ADDED,
    WEBHOOK_REFUSED,
    MemberAddition,
    interrupted_batch,
    unknown_result,
)
from channel_adapter.backends.official.channels import NOT_FOUND_CODES, OfficialChannels, no_such_channel, to_channel
from channel_adapter.backends.protocols import SUSPENDED_REASON
from channel_adapter.concurrency.batching import map_concurrently
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, read_pages
from channel_adapter.domain.batch import AddOptions, BatchResult
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.insights import ReadPosition
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.subscription import (
    Notifications,
    Outcome,
    OutcomeKind,
    Role,
    Subscriber,
    Subscription,
)
from channel_adapter.errors import ChannelAdapterError, NotFoundError, UnavailableError, UnsupportedError
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import OFFICIAL_IDS
from channel_adapter.mapping.subscription_member import to_notifications
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    ADD_SUBSCRIBER,
    DELETE_SUBSCRIBER,
    GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST,
    GET_SUBSCRIBER_INFO,
)
from channel_adapter.tencent.wire import official_accounts as wire

_PROFILE: Final = tuple(
    field.alias
    for name, field in wire.OfficialProfile.model_fields.items()
    if field.alias and name not in ("official_account", "max_subscriber_num")
)
_NAME: Final = wire.OfficialProfile.model_fields["name"].alias or ""
_SINCE: Final = wire.SubscriptionSelfInfo.model_fields["subscribe_time"].alias or ""
_ADDED: Final = {wire.RESULT_DONE: OutcomeKind.ADDED, wire.RESULT_ALREADY: OutcomeKind.ALREADY}
_REMOVED: Final = {wire.RESULT_DONE: OutcomeKind.REMOVED, wire.RESULT_ALREADY: OutcomeKind.ALREADY}
_OF_ONE_USER: Final = {
    codes.ALREADY_SUBSCRIBED: OutcomeKind.ALREADY,
    codes.OFFICIAL_ACCOUNT_FULL: OutcomeKind.FULL,
    codes.OFFICIAL_ACCOUNT_QUOTA: OutcomeKind.TOO_MANY_CHANNELS,
}
"""Refusals of a whole call that are about one of its users, who is found by halving the call."""

_FEW: Final = 2
"""Users of whom it is cheaper to read their own lists than the first page of an account's subscribers."""


class OfficialMembers:
    """Subscribers of accounts. `add` and `remove` put every failure into their result."""

    def __init__(self, caller: Caller, channels: OfficialChannels, accounts: AppAccounts, concurrency: int) -> None:
        self._caller = caller
        self._channels = channels
        self._accounts = accounts
        self._concurrency = concurrency

    def add_batch(self) -> int:
        """Return how many users one call adds."""
        return limits.OFFICIAL_SUBSCRIBERS_PER_CALL

    def remove_batch(self) -> int:
        """Return how many users one call removes."""
        return limits.OFFICIAL_SUBSCRIBERS_PER_CALL

    async def add(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Subscribe different users to an account, 100 a call.

        A refusal that is about one user is found by halving the call. Unknown accounts are looked up, and imported if
        `options` say so. The result ends with the first call that has no answer or asks for a lower rate. The service
        sends no notices: `options.notify` makes no difference. In a suspended channel every user is refused.
        """
        addition = _SubscriberAddition(
            caller=self._caller, accounts=self._accounts, channel=channel, import_missing=options.import_missing,
            channels=self._channels,
        )  # fmt: skip
        try:
            if await self._channels.is_suspended(channel):
                return BatchResult(tuple(Outcome(user, OutcomeKind.REFUSED, SUSPENDED_REASON) for user in users))
            for start in range(0, len(users), limits.OFFICIAL_SUBSCRIBERS_PER_CALL):
                await addition.add(users[start : start + limits.OFFICIAL_SUBSCRIBERS_PER_CALL])
        except ChannelAdapterError as error:
            return _to_interrupted_result(channel, addition.outcomes.values(), addition.called, users, error)
        return BatchResult(tuple(addition.outcomes.values()))

    async def remove(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Unsubscribe different users, 100 a call. The owner may leave as well: an account needs no subscriber."""
        outcomes: list[Outcome] = []
        for start in range(0, len(users), limits.OFFICIAL_SUBSCRIBERS_PER_CALL):
            part = users[start : start + limits.OFFICIAL_SUBSCRIBERS_PER_CALL]
            request = wire.DeleteSubscriberRequest(official_account=channel, subscriber_to_del_account=[*part])
            try:
                reply = await self._caller.call(DELETE_SUBSCRIBER, request)
                results = {item.subscriber_account: item.result for item in reply.subscriber_list}
                failed = [user for user in part if results.get(user) == wire.RESULT_FAILED]
                known = await self._accounts.check(failed) if failed else {}
            except ChannelAdapterError as error:
                return _to_interrupted_result(channel, outcomes, part, users, error)
            for user in part:
                result = results.get(user)
                if result in _REMOVED:
                    outcomes.append(Outcome(user, _REMOVED[result]))
                elif result == wire.RESULT_FAILED and not known[user]:  # an account that does not exist follows nothing
                    outcomes.append(Outcome(user, OutcomeKind.ALREADY))
                else:
                    unexplained = result == wire.RESULT_FAILED
                    reason = (
                        "the service did not remove it and gives no reason" if unexplained else unknown_result(result)
                    )
                    outcomes.append(Outcome(user, OutcomeKind.FAILED, reason))
        return BatchResult(tuple(outcomes))

    async def subscribed(self, channel: ChannelId, users: Sequence[UserId]) -> dict[UserId, bool]:
        """Return which users follow an account, by the cheaper of two ways. Raises NotFoundError for the channel.

        Either the lists of the users are read, one call for 200 accounts of each, or the list of the account's
        subscribers, 200 a call, until all of them are found. One call of the second way decides which is shorter.
        """
        if len(users) <= _FEW:
            return await self._read_users_lists(channel, users, read=not users)
        first = await self._read_subscriber_page(channel, "")
        missing = _without_found(dict.fromkeys(users), first.subscriber_list)
        following = _next_position(first)
        pages_left = -(-(first.subscriber_num - len(first.subscriber_list)) // limits.OFFICIAL_SUBSCRIBERS_PER_PAGE)
        if following is not None and missing and len(missing) <= pages_left:
            return dict.fromkeys(users, True) | await self._read_users_lists(channel, list(missing), read=True)
        if following is not None and missing:
            missing = await self._find_missing(channel, missing, following)
        return {user: user not in missing for user in users}

    async def _find_missing(
        self, channel: ChannelId, users: Mapping[UserId, None], position: str
    ) -> Mapping[UserId, None]:
        """Return the users who are not in the list of subscribers from a position on, read until all are found."""

        async def fetch(position: str) -> Page[wire.SubscriberRow, str]:
            reply = await self._read_subscriber_page(channel, position)
            return Page(reply.subscriber_list, _next_position(reply))

        missing = users
        guard: CursorLoopGuard[str] = CursorLoopGuard(GET_SUBSCRIBER_INFO.name, UnavailableError)
        async with aclosing(read_pages(fetch, position, guard)) as pages:
            async for rows in pages:
                missing = _without_found(missing, rows)
                if not missing:
                    break
        return missing

    async def subscribed_to(self, user: UserId, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return which of these accounts a user follows, 200 a call; none for a user who is not known."""
        wanted, found = set(channels), set[ChannelId]()
        try:
            async with aclosing(self.followed(user)) as followed:
                async for channel in followed:
                    if channel in wanted:
                        found.add(channel)
                        if len(found) == len(wanted):
                            break
        except NotFoundError:
            return frozenset()
        return frozenset(found)

    async def require(self, user: UserId, channel: ChannelId) -> None:
        """Raise NotFoundError if there is no such channel, or the user does not follow it."""
        if not (await self.subscribed(channel, [user]))[user]:
            raise NotFoundError(f"{user!r} does not follow {channel}", field="user")

    async def get(self, channel: ChannelId, user: UserId) -> Subscriber | None:
        """Raise UnsupportedError: the service lists subscribers, and returns no single one."""
        raise UnsupportedError(
            Mode.OFFICIAL, "subscriptions.notifications", "the service has them in the list of all subscribers only"
        )

    async def page(self, channel: ChannelId, cursor: str) -> Page[Subscriber, str]:
        """Return one page of subscribers, 200 a call. Raises NotFoundError, and InvalidError for an expired cursor."""
        page = await self.raw_page(channel, OFFICIAL_IDS.from_cursor(cursor))
        return Page(page.items, None if page.next is None else OFFICIAL_IDS.to_cursor(page.next))

    async def raw_page(self, account: ChannelId, position: str) -> Page[Subscriber, str]:
        """Return up to 200 subscribers at a position as the service has it; "" is the first page.

        Raises InvalidError for an expired position, and UnavailableError for an empty first page if the service counts
        subscribers.
        """
        reply = await self._read_subscriber_page(account, position)
        if not position and not reply.subscriber_list and reply.subscriber_num:
            raise UnavailableError(
                f"{account} counts {reply.subscriber_num} subscribers and lists none", field="subscribers"
            )
        return Page([_to_subscriber(item) for item in reply.subscriber_list], _next_position(reply))

    async def read_positions(self, channel: ChannelId, cursor: str) -> Page[ReadPosition, str]:
        """Raise UnsupportedError: subscribers have no read positions."""
        raise UnsupportedError(Mode.OFFICIAL, "insights.views", "the service reports no read positions")

    async def set_notifications(self, channel: ChannelId, user: UserId, wanted: Notifications) -> bool:
        """Raise UnsupportedError: only a reader's own client app sets them."""
        raise UnsupportedError(
            Mode.OFFICIAL, "subscriptions.set_notifications", "only the client app of the user sets them"
        )

    async def staff(self, channel: ChannelId) -> list[Subscriber]:
        """Return the owner, if there is one: an account has no admins. Raises NotFoundError."""
        owner = (await self._channels.get(channel)).owner
        return [Subscriber(owner, Role.OWNER)] if owner is not None else []

    async def set_role(self, channel: ChannelId, users: Sequence[UserId], role: Role) -> BatchResult:
        """Raise UnsupportedError: an account has an owner and no admins."""
        raise UnsupportedError(Mode.OFFICIAL, "channels.promote and channels.demote", "an account has no admins")

    async def transfer(self, channel: ChannelId, new_owner: UserId) -> UserId | None:
        """Raise UnsupportedError: the owner is set when the account is created."""
        raise UnsupportedError(Mode.OFFICIAL, "channels.transfer", "the owner of an account cannot be changed")

    async def subscriptions(self, user: UserId) -> AsyncGenerator[Subscription, None]:
        """Yield the accounts that a user follows with their profiles, each once, 200 a call.

        Notifications are None: the list does not have them. Raises NotFoundError for an account that does not exist.
        """
        seen: set[ChannelId] = set()
        async with aclosing(self._read_subscription_pages(user, _PROFILE, (_SINCE,))) as pages:
            async for page in pages:
                rows = {ChannelId(row.official_account): row for row in page if row.official_account}
                attributes = await self._channels.attributes_of(list(rows))
                for channel, row in rows.items():
                    if channel not in seen:
                        seen.add(channel)
                        yield _to_subscription(user, to_channel(channel, row, attributes.get(channel, {})), row)

    async def followed(self, user: UserId) -> AsyncGenerator[ChannelId, None]:
        """Yield the ids of the accounts that a user follows. Raises NotFoundError for an unknown user."""
        async with aclosing(self._read_subscription_pages(user, (_NAME,), ())) as pages:
            async for page in pages:
                for row in page:
                    if row.official_account:
                        yield ChannelId(row.official_account)

    async def followed_list(self, user: UserId) -> list[ChannelId]:
        """Return the ids that `followed` yields, each once."""
        async with aclosing(self.followed(user)) as followed:
            return list(dict.fromkeys([channel async for channel in followed]))

    def _read_subscription_pages(
        self, user: UserId, profile: Sequence[str], own: Sequence[str]
    ) -> AsyncGenerator[Sequence[wire.SubscribedOfficialAccount], None]:
        """Yield pages of the accounts of a user with some fields. Raises NotFoundError for an unknown user."""

        async def fetch(offset: int) -> Page[wire.SubscribedOfficialAccount, int]:
            request = wire.GetSubscribedOfficialAccountListRequest(
                subscriber_account=user, limit=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE, offset=offset,
                response_filter=wire.SubscribedResponseFilter(
                    official_account_base_info_filter=[*profile], self_info_filter=[*own]
                ),
            )  # fmt: skip
            try:
                reply = await self._caller.call(GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST, request)
            except ChannelAdapterError as error:
                if error.code == codes.OFFICIAL_BAD_PARAMETER and not (await self._accounts.check([user]))[user]:
                    raise no_account(user, error=error) from error
                raise
            more = not reply.complete_flag and reply.official_account_info_list
            return Page(reply.official_account_info_list, reply.next if more else None)

        guard: CursorLoopGuard[int] = CursorLoopGuard(GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST.name, UnavailableError)
        return read_pages(fetch, 0, guard)

    async def _read_subscriber_page(self, channel: ChannelId, position: str) -> wire.GetSubscriberInfoReply:
        request = wire.GetSubscriberInfoRequest(
            official_account=channel, limit=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, next=position
        )
        try:
            return await self._caller.call(GET_SUBSCRIBER_INFO, request)
        except ChannelAdapterError as error:
            if error.code in NOT_FOUND_CODES:
                raise no_such_channel(channel, error) from error
            raise

    async def _read_users_lists(self, channel: ChannelId, users: Sequence[UserId], *, read: bool) -> dict[UserId, bool]:
        """Read the lists of the users. `read`: the channel is known to exist; else that is checked if no user is in."""

        async def follows(user: UserId) -> tuple[UserId, bool]:
            return user, bool(await self.subscribed_to(user, [channel]))

        inside = dict(await map_concurrently(users, follows, limit=self._concurrency))
        if not read and not any(inside.values()):
            await self._channels.get(channel)
        return inside


def _next_position(reply: wire.GetSubscriberInfoReply) -> str | None:
    """Return the position of the next page of subscribers; None after the last."""
    return reply.next if reply.next and reply.subscriber_list else None


def _without_found(users: Mapping[UserId, None], rows: Sequence[wire.SubscriberRow]) -> Mapping[UserId, None]:
    """Return the users who are not among some subscribers."""
    found = {row.subscriber_account for row in rows}
    return {user: None for user in users if user not in found}


@dataclass(slots=True, kw_only=True)
class _SubscriberAddition(MemberAddition):
    channels: OfficialChannels

    async def add(self, users: Sequence[UserId]) -> None:
        """Add up to 100 users. Raises the error of a call that fails for a reason that no outcome describes."""
        if not users:
            return
        self.called = users
        request = wire.AddSubscriberRequest(
            official_account=self.channel,
            subscriber_list=[wire.SubscriberItem(subscriber_account=user) for user in users],
        )
        try:
            reply = await self.caller.call(ADD_SUBSCRIBER, request)
        except ChannelAdapterError as error:
            await self._handle_refusal(users, error)
        else:
            results = {item.subscriber_account: item.result for item in reply.subscriber_list}
            await self.read_results(users, results, _ADDED, unexplained=wire.RESULT_FAILED)

    async def _handle_refusal(self, users: Sequence[UserId], error: ChannelAdapterError) -> None:
        if error.code == codes.MESSAGE_WEBHOOK_REFUSED:
            self.set_outcome(users, OutcomeKind.REFUSED, WEBHOOK_REFUSED)
        elif error.code not in _OF_ONE_USER or error.code is None:
            raise error
        elif len(users) == 1:
            self.set_outcome(users, _OF_ONE_USER[error.code])
        else:
            middle = len(users) // 2
            await self.add(users[:middle])
            await self.add(users[middle:])

    async def explain_known(self, users: Sequence[UserId]) -> None:
        """Set the outcomes of accounts that were not added: the channel is full, or their addition was refused."""
        channel = await self.channels.get(self.channel)
        if channel.subscriber_count >= self.channels.max_subscribers(channel):
            self.set_outcome(users, OutcomeKind.FULL)
        else:
            self.set_outcome(users, OutcomeKind.REFUSED, OTHERS_ADDED)


def _to_interrupted_result(
    channel: ChannelId,
    outcomes: Iterable[Outcome],
    called: Sequence[UserId],
    users: Sequence[UserId],
    error: ChannelAdapterError,
) -> BatchResult:
    """Return the result of a batch of `users` that ends with a failed call for `called`."""
    if error.code in NOT_FOUND_CODES:
        error = no_such_channel(channel, error)
    return interrupted_batch(outcomes, called, users, error)


def _to_subscription(user: UserId, channel: Channel, row: wire.SubscribedOfficialAccount) -> Subscription:
    return Subscription(
        channel=channel,
        user=user,
        role=Role.OWNER if channel.owner == user else Role.SUBSCRIBER,
        since=to_datetime(row.self_info.subscribe_time) if row.self_info else None,
        notifications=None,
    )


def _to_subscriber(item: wire.SubscriberRow) -> Subscriber:
    return Subscriber(
        user=UserId(item.subscriber_account),
        role=Role.SUBSCRIBER,
        since=to_datetime(item.subscribe_time),
        notifications=to_notifications(item.msg_flag),
        custom_data=item.custom_string or "",
    )
