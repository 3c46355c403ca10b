"""Members of Community groups: add, remove, list, roles, notifications, and the channels of a user."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from cachetools import TTLCache

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.caller import Caller, possibly_applied, without_account
from channel_adapter.backends.community import profile
from channel_adapter.backends.community.channels import ChannelCache, no_such_channel
from channel_adapter.backends.community.joined import JoinedPages, communities_request
from channel_adapter.backends.members import OTHERS_ADDED, WEBHOOK_REFUSED, MemberAddition, interrupted_batch
from channel_adapter.backends.options import BackendOptions
from channel_adapter.backends.protocols import SUSPENDED_REASON
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, Pages
from channel_adapter.domain.batch import AddOptions, BatchResult
from channel_adapter.domain.channel import SUSPENDED
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.insights import ReadPosition
from channel_adapter.domain.subscription import Notifications, Outcome, OutcomeKind, Role, Subscriber, Subscription
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    UnavailableError,
)
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import COMMUNITY_IDS
from channel_adapter.mapping.subscription_member import (
    ADD_OUTCOMES,
    MSG_FLAGS,
    SELF_FIELDS,
    SUBSCRIBER_FIELDS,
    to_subscriber,
    to_subscription,
)
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    ADD_GROUP_MEMBER,
    CHANGE_GROUP_OWNER,
    DELETE_GROUP_MEMBER,
    GET_GROUP_MEMBER_INFO,
    GET_ROLE_IN_GROUP,
    GET_SPECIFIED_GROUP_MEMBER_INFO,
    MODIFY_GROUP_MEMBER_INFO,
)
from channel_adapter.tencent.wire import groups, members

POSTERS = frozenset({members.OWNER, members.ADMIN})
MAX_AUTHORS = 10_000
"""Cached authors; each takes a few hundred bytes."""

_ROLES = {Role.ADMIN: members.ADMIN, Role.SUBSCRIBER: members.MEMBER}
_UNCHANGEABLE = {
    members.OWNER: (OutcomeKind.REFUSED, "the owner's role changes only when the channel is transferred"),
    members.NOT_MEMBER: (OutcomeKind.NOT_SUBSCRIBED, "not subscribed to the channel"),
}
"""Outcomes for users whose role cannot be changed, by the role that they have."""


async def roles_in(caller: Caller, channel: ChannelId, users: Sequence[UserId]) -> dict[UserId, str]:
    """Return the role of each of up to 500 users, `NotMember` also for those that the reply leaves out."""
    request = members.GetRoleInGroupRequest(group_id=channel, user_account=[*users])
    roles = dict.fromkeys(users, members.NOT_MEMBER)
    for item in (await caller.call(GET_ROLE_IN_GROUP, request)).user_id_list:
        if item.member_account in roles:
            roles[UserId(item.member_account)] = item.role
    return roles


class RoleCache:
    """Whether users may post in a channel, read from the service and cached for a while."""

    def __init__(self, caller: Caller, *, seconds: float, clock: Clock) -> None:
        self._caller = caller
        self._posters: TTLCache[tuple[ChannelId, UserId], bool] = TTLCache(MAX_AUTHORS, seconds, timer=clock.monotonic)
        self._asking: BatchLoader[ChannelId, UserId, bool] = BatchLoader(
            self._fetch_poster_roles, max_items=limits.ROLES_PER_CALL
        )
        self._changes = 0  # the result of a read that began before the latest change is not cached

    def forget(self, channel: ChannelId, users: Iterable[UserId] | None = None) -> None:
        """Drop what is cached of some users of a channel, or of all, and the results of running reads."""
        self._changes += 1
        for known in [(channel, user) for user in users] if users is not None else list(self._posters):
            if known[0] == channel:
                self._posters.pop(known, None)

    async def require_poster(self, channel: ChannelId, user: UserId) -> None:
        """Raise PermissionDeniedError unless a user is owner or admin of the channel. A refusal is not cached."""
        if not self._posters.get((channel, user)) and not await self._asking.load(channel, user):
            raise PermissionDeniedError(
                f"{user!r} is neither owner nor admin of {channel} and cannot be the author of a post", field="author"
            )

    async def may_post(self, channel: ChannelId, user: UserId) -> bool:
        """Return whether a user is owner or admin. Both results are cached; events correct them."""
        cached = self._posters.get((channel, user))
        return await self._asking.load(channel, user) if cached is None else cached

    async def _fetch_poster_roles(self, channel: ChannelId, users: Sequence[UserId]) -> list[bool]:
        changes = self._changes
        found = await roles_in(self._caller, channel, [*dict.fromkeys(users)])
        if changes == self._changes:
            self._posters.update({(channel, user): role in POSTERS for user, role in found.items()})
        return [found[user] in POSTERS for user in users]


FIELDS = ("Role", "MsgSeq", "MsgFlag")


class Membership:
    """Rows of members, read one by one."""

    def __init__(self, caller: Caller, directory: ChannelCache) -> None:
        self._caller = caller
        self._directory = directory

    async def require(self, user: UserId, channel: ChannelId) -> members.Member:
        """Return the row of a user. Raises NotFoundError if there is no such channel, or the user is not in it."""
        await self._directory.require(channel)
        member = await self.find(user, channel)
        if member is None:
            raise NotFoundError(f"{user!r} does not follow {channel}", field="user")
        return member

    async def find(self, user: UserId, channel: ChannelId) -> members.Member | None:
        """Return the row of a user in any group; None if the reply leaves the user out (inferred)."""
        request = members.GetSpecifiedGroupMemberInfoRequest(
            group_id=channel, member_list_account=[user], member_info_filter=list(FIELDS)
        )
        reply = await self._caller.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
        return next((member for member in reply.member_list if member.member_account == user), None)


class BatchSize:
    """How many users a call adds: as the settings say, until the service shows that it accepts fewer."""

    def __init__(self, users: int) -> None:
        self.users = users

    def too_many(self, users: int) -> None:
        """Learn that a call with so many users was refused."""
        self.users = max(1, min(self.users, users // 2))


class CommunityMembers:
    """Subscribers of channels as group members. `add` and `remove` put every failure into their result."""

    def __init__(
        self, caller: Caller, cache: ChannelCache, accounts: AppAccounts, pages: JoinedPages, options: BackendOptions
    ) -> None:
        self._caller = caller
        self._cache = cache
        self._accounts = accounts
        self._pages = pages
        self._add_size = BatchSize(options.add_per_call)
        self._remove_per_call = options.remove_per_call
        self._concurrency = options.concurrency

    def add_batch(self) -> int:
        """Return how many users one call adds, as learned so far."""
        return self._add_size.users

    def remove_batch(self) -> int:
        """Return how many users one call removes."""
        return limits.ROLES_PER_CALL

    async def add(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Add different users to a channel, in as many calls as it takes.

        A refusal of a whole call is resolved into outcomes: the call is halved or made smaller, unknown accounts are
        looked up and imported if `options` say so, and a channel without capacity for all is filled up. The result ends
        with the first call that has no answer or asks for a lower rate. In a suspended channel every user is refused.
        """
        addition = _Addition(
            caller=self._caller, accounts=self._accounts, channel=channel, import_missing=options.import_missing,
            cache=self._cache, size=self._add_size, notify=options.notify,
        )  # fmt: skip
        try:
            if SUSPENDED in await self._cache.attributes(channel):
                return BatchResult(tuple(Outcome(user, OutcomeKind.REFUSED, SUSPENDED_REASON) for user in users))
            await addition.add(users)
        except ChannelAdapterError as error:
            return self._to_interrupted_result(channel, addition.outcomes.values(), addition.called, users, error)
        return BatchResult(tuple(addition.outcomes.values()))

    async def remove(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Remove different users from a channel: roles first, 500 a call, as the service reports no result per user."""
        outcomes: list[Outcome] = []
        for start in range(0, len(users), limits.ROLES_PER_CALL):
            part, rest = users[start : start + limits.ROLES_PER_CALL], users[start + limits.ROLES_PER_CALL :]
            try:
                roles = await roles_in(self._caller, channel, part)
            except ChannelAdapterError as error:
                return self._to_interrupted_result(channel, outcomes, part, [*part, *rest], error)
            outcomes += [Outcome(user, OutcomeKind.ALREADY) for user in part if roles[user] == members.NOT_MEMBER]
            owner = [user for user in part if roles[user] == members.OWNER]
            outcomes += [Outcome(user, OutcomeKind.REFUSED, "the owner cannot leave the channel") for user in owner]
            inside = [user for user in part if roles[user] not in (members.NOT_MEMBER, members.OWNER)]
            for first in range(0, len(inside), self._remove_per_call):
                leaving = inside[first : first + self._remove_per_call]
                request = members.DeleteGroupMemberRequest(
                    group_id=channel, member_to_del_account=[*leaving], silence=0 if options.notify else 1
                )
                try:
                    await self._caller.call(DELETE_GROUP_MEMBER, request)
                except ChannelAdapterError as error:
                    return self._to_interrupted_result(channel, outcomes, leaving, [*part, *rest], error)
                outcomes += [Outcome(user, OutcomeKind.REMOVED) for user in leaving]
        return BatchResult(tuple(outcomes))

    async def subscribed(self, channel: ChannelId, users: Sequence[UserId]) -> dict[UserId, bool]:
        """Return which users are members, the owner included, 500 a call. Raises NotFoundError for the channel."""
        await self._cache.require(channel)
        roles: dict[UserId, str] = {}
        if 0 < len(users) <= limits.ROLES_PER_CALL:
            roles = await roles_in(self._caller, channel, users)
        else:
            read = partial(roles_in, self._caller, channel)
            async for found in concurrently(batches(users, limits.ROLES_PER_CALL), read, limit=self._concurrency):
                roles.update(found)
        inside: dict[UserId, bool] = {}
        for user in users:
            inside[user] = roles[user] != members.NOT_MEMBER
        return inside

    async def subscribed_to(self, user: UserId, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return which of these channels a user is a member of, from the joined list, 200 groups a call."""
        return frozenset(await self._pages.group_ids(user)).intersection(channels)

    async def get(self, channel: ChannelId, user: UserId) -> Subscriber | None:
        """Return one member, or None. Raises NotFoundError for the channel."""
        await self._cache.require(channel)
        request = members.GetSpecifiedGroupMemberInfoRequest(
            group_id=channel, member_list_account=[user], member_info_filter=list(SUBSCRIBER_FIELDS)
        )
        reply = await self._caller.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
        return next((to_subscriber(each) for each in reply.member_list if each.member_account == user), None)

    async def page(self, channel: ChannelId, cursor: str) -> Page[Subscriber, str]:
        """Return one page of members without the owner, 100 a call. Raises NotFoundError for the channel.

        The call has no role filter: a page that a filter left empty would look like the end of the list.
        """
        start = COMMUNITY_IDS.from_cursor(cursor)
        await self._cache.require(channel)
        page = await self._read_subscriber_page(channel, start)
        return Page([row for row in page.items if row.role is not Role.OWNER], page.next)

    async def read_positions(self, channel: ChannelId, cursor: str) -> Page[ReadPosition, str]:
        """Return the join times and read positions of one page of members without the owner, 100 a call."""
        await self._cache.require(channel)
        found, following = await self._read_raw_page(channel, cursor, ("Role", "JoinTime", "MsgSeq"))
        positions = [
            ReadPosition(to_datetime(each.join_time), each.msg_seq or 0) for each in found if each.role != members.OWNER
        ]
        return Page(positions, following)

    async def set_notifications(self, channel: ChannelId, user: UserId, wanted: Notifications) -> bool:
        """Set how new posts reach a member; return False if it was set already. Raises NotFoundError."""
        member = await self.get(channel, user)
        if member is None:
            raise NotFoundError(f"{user!r} does not follow {channel}", field="user")
        if member.notifications is wanted:
            return False
        request = members.ModifyGroupMemberInfoRequest(
            group_id=channel, member_account=user, msg_flag=MSG_FLAGS[wanted]
        )
        await self._caller.call(MODIFY_GROUP_MEMBER_INFO, request)
        return True

    async def staff(self, channel: ChannelId) -> list[Subscriber]:
        """Return the owner, if there is one, and the admins in the order of the service."""
        await self._cache.require(channel)
        fetch = partial(self._read_subscriber_page, channel, roles=(members.OWNER, members.ADMIN))
        cursors: CursorLoopGuard[str] = CursorLoopGuard(GET_GROUP_MEMBER_INFO.name, UnavailableError)
        found = {row.user: row async for row in Pages(fetch, "", cursors) if row.role is not Role.SUBSCRIBER}
        return sorted(found.values(), key=lambda row: row.role is not Role.OWNER)

    async def set_role(self, channel: ChannelId, users: Sequence[UserId], role: Role) -> BatchResult:
        """Make different members admins, or admins plain members: roles first, 500 a call, then one call for each.

        The owner is `refused`, a user who is no member `not_subscribed`.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(users), limits.ROLES_PER_CALL):
            part, rest = users[start : start + limits.ROLES_PER_CALL], users[start + limits.ROLES_PER_CALL :]
            try:
                roles = await roles_in(self._caller, channel, part)
            except ChannelAdapterError as error:
                return self._to_interrupted_result(channel, outcomes, part, [*part, *rest], error)
            for user in part:
                outcome = _UNCHANGEABLE.get(roles[user])
                if outcome is not None:
                    outcomes.append(Outcome(user, *outcome))
                elif roles[user] == _ROLES[role]:
                    outcomes.append(Outcome(user, OutcomeKind.ALREADY))
                else:
                    try:
                        outcomes.append(await self._change_role(channel, user, role))
                    except ChannelAdapterError as error:
                        return self._to_interrupted_result(channel, outcomes, [user], [*part, *rest], error)
        return BatchResult(tuple(outcomes))

    async def transfer(self, channel: ChannelId, new_owner: UserId) -> UserId | None:
        """Make a member the owner, who is read before and after; return the owner before, None without one."""
        self._cache.forget(channel)
        old_owner = (await self._cache.require(channel)).owner
        if old_owner == new_owner:
            return old_owner
        if (await roles_in(self._caller, channel, [new_owner]))[new_owner] == members.NOT_MEMBER:
            exists = (await self._accounts.check([new_owner])).get(new_owner, False)
            reason = f"does not follow {channel}; subscribe it first" if exists else "is not an account of the app"
            raise NotFoundError(f"new_owner {new_owner!r} {reason}", field="new_owner")
        request = groups.ChangeGroupOwnerRequest(group_id=channel, new_owner_account=new_owner)
        try:
            await self._caller.call(CHANGE_GROUP_OWNER, request)
        except ChannelAdapterError as error:
            self._cache.forget(channel)
            if not possibly_applied(error) or (await self._cache.require(channel)).owner != new_owner:
                raise
        finally:
            self._cache.forget(channel)
        return old_owner

    async def subscriptions(self, user: UserId) -> AsyncGenerator[Subscription, None]:
        """Yield the channels of a user, each once, 200 joined groups a call; groups without the tag are left out.

        The list is read for Communities without topics [5][6]. Raises NotFoundError for an account that does not exist.
        """
        seen: set[ChannelId] = set()  # the list may shift between pages
        wanted = groups.JoinedResponseFilter(
            group_base_info_filter=list(profile.BASE_FIELDS), self_info_filter=list(SELF_FIELDS)
        )
        request = partial(communities_request, user, wanted)
        try:
            async with aclosing(self._pages.each(request, partial(self._to_subscriptions, user))) as pages:
                async for found in pages:
                    for mine in found:
                        if mine.channel.id not in seen:
                            seen.add(mine.channel.id)
                            yield mine
        except NotFoundError as error:
            named = without_account(error, user, "user")
            raise named from (error if named is not error else error.__cause__)

    async def _read_subscriber_page(
        self, channel: ChannelId, cursor: str, *, roles: Sequence[str] = ()
    ) -> Page[Subscriber, str]:
        """Return one page of members, of these roles if some are given.

        An empty page is the end of the whole list, and may be a page of other roles in a list of some roles.
        """
        found, following = await self._read_raw_page(channel, cursor, SUBSCRIBER_FIELDS, roles)
        return Page([to_subscriber(member) for member in found], following)

    async def _read_raw_page(
        self, channel: ChannelId, cursor: str, fields: Sequence[str], roles: Sequence[str] = ()
    ) -> tuple[list[members.Member], str | None]:
        """Return the rows of one page with these fields, and the cursor of the next one."""
        request = members.GetGroupMemberInfoRequest(
            group_id=channel,
            limit=limits.MEMBERS_PER_PAGE,
            next=cursor,
            member_info_filter=[*fields],
            member_role_filter=[*roles] or None,
        )
        reply = await self._caller.call(GET_GROUP_MEMBER_INFO, request)
        following = str(reply.next) if reply.next else ""
        ended = following in ("", "0") or not (reply.member_list or roles)
        return reply.member_list, None if ended else following

    async def _change_role(self, channel: ChannelId, user: UserId, role: Role) -> Outcome:
        """Change the role of one member. Raises errors after which the others cannot be tried either."""
        request = members.ModifyGroupMemberInfoRequest(group_id=channel, member_account=user, role=_ROLES[role])
        try:
            await self._caller.call(MODIFY_GROUP_MEMBER_INFO, request)
        except (InvalidError, LimitReachedError, PermissionDeniedError, RefusedError) as error:
            still = (await roles_in(self._caller, channel, [user]))[user]
            return Outcome(user, *_UNCHANGEABLE.get(still, (OutcomeKind.REFUSED, error.message)))
        return Outcome(user, OutcomeKind.CHANGED)

    async def _to_subscriptions(self, user: UserId, page: list[groups.JoinedRow]) -> list[Subscription]:
        found = {ChannelId(item.group_id): item for item in page}
        tagged = await self._cache.fields(list(found))
        keys = self._cache.keys
        return [
            to_subscription(user, profile.to_channel(channel, found[channel], fields, keys), found[channel].self_info)
            for channel, fields in tagged.items()
        ]

    def _to_interrupted_result(
        self,
        channel: ChannelId,
        outcomes: Iterable[Outcome],
        called: Sequence[UserId],
        users: Sequence[UserId],
        error: ChannelAdapterError,
    ) -> BatchResult:
        """Return the result of a batch of `users` that ends with a failed call for `called`, for example because the
        channel was deleted meanwhile.
        """
        if isinstance(error, NotFoundError) and error.code in codes.NO_GROUP_CODES:
            self._cache.forget(channel)
            error = NotFoundError(no_such_channel(channel).message, field="channel", origin=error.origin)
        return interrupted_batch(outcomes, called, users, error)


@dataclass(slots=True, kw_only=True)
class _Addition(MemberAddition):
    cache: ChannelCache
    size: BatchSize
    notify: bool

    async def add(self, users: Sequence[UserId]) -> None:
        """Add the users. Raises the error of the first call that fails for a reason that no outcome describes."""
        while users:
            self.called, users = users[: self.size.users], users[self.size.users :]
            called = self.called
            request = members.AddGroupMemberRequest(
                group_id=self.channel,
                member_list=[members.MemberAccount(member_account=user) for user in called],
                silence=0 if self.notify else 1,
            )
            try:
                reply = await self.caller.call(ADD_GROUP_MEMBER, request)
            except ChannelAdapterError as error:
                await self._handle_refusal(called, error)
            else:
                results: dict[str, int] = {}
                for item in reply.member_list:
                    results[item.member_account] = item.result
                await self.read_results(called, results, ADD_OUTCOMES, unexplained=members.RESULT_FAILED)

    async def _handle_refusal(self, users: Sequence[UserId], error: ChannelAdapterError) -> None:
        """Resolve the refusal of a whole call into outcomes, and add the users to whom it does not apply."""
        match error.code:
            case codes.TOO_MANY_ACCOUNTS if len(users) > 1:
                self.size.too_many(len(users))
                await self.add(users)
            case codes.NO_SUCH_ACCOUNT:
                await self._add_existing(users, error)
            case codes.GROUP_FULL | codes.MEMBERS_OVER_PLAN:
                await self._fill_channel(users)
            case codes.USER_IN_TOO_MANY_GROUPS if len(users) > 1:
                await self._add_halves(users)
            case codes.USER_IN_TOO_MANY_GROUPS:
                self.set_outcome(users, OutcomeKind.TOO_MANY_CHANNELS)
            case codes.WEBHOOK_REFUSED:
                self.set_outcome(users, OutcomeKind.REFUSED, WEBHOOK_REFUSED)
            case _:
                raise error

    async def _add_halves(self, users: Sequence[UserId]) -> None:
        middle = len(users) // 2
        await self.add(users[:middle])
        await self.add(users[middle:])

    async def _add_existing(self, users: Sequence[UserId], error: ChannelAdapterError) -> None:
        """Add the accounts that exist: 10019 names none, so they are checked, and imported if that is wanted."""
        self.called = users
        known = await self.accounts.check(users)
        unknown = [user for user in users if not known.get(user, False)]
        if unknown:
            await self.import_unknown(unknown)
            await self.add([user for user in users if user not in self.outcomes])
        elif len(users) > 1:  # the check knows them all: the one that the service does not know fails alone
            for user in users:
                await self.add([user])
        else:
            self.set_outcome(users, OutcomeKind.FAILED, error.message)

    async def _fill_channel(self, users: Sequence[UserId]) -> None:
        """Add as many users as the channel has capacity for; the others are `full`."""
        self.called = users
        roles = await roles_in(self.caller, self.channel, users)
        inside = [user for user in users if roles[user] != members.NOT_MEMBER]
        self.set_outcome(inside, OutcomeKind.ALREADY)
        outside = [user for user in users if roles[user] == members.NOT_MEMBER]
        capacity = await self._read_capacity()
        if capacity >= len(outside):  # a limit of the plan, or members left meanwhile: found by halving
            if len(outside) > 1:
                await self._add_halves(outside)
                return
            capacity = 0
        first, rest = outside[:capacity], outside[capacity:]
        await self.add(first)
        if all(self.outcomes[user].done for user in first):
            self.set_outcome(rest, OutcomeKind.FULL)
        else:  # users who could not be added have left capacity
            await self.add(rest)

    async def _read_capacity(self) -> int:
        info = await self.cache.read_fields(self.channel, ["MemberNum", "MaxMemberNum"])
        return max(0, (info.max_member_num or 0) - (info.member_num or 0))

    async def explain_known(self, users: Sequence[UserId]) -> None:
        """Set the outcomes of accounts that were not added: the app's webhook refused, or the service for no reason."""
        self.set_outcome(users, OutcomeKind.REFUSED, OTHERS_ADDED)
