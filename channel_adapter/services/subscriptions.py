"""Who follows a channel: subscribe, unsubscribe, ask, list, count."""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Outcome, Subscriber
from channel_adapter.mapping import ids
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS, to_subscriber
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import Bulk, Users, checked, in_batches, one_by_one
from channel_adapter.services.directory import Directory, no_such_channel
from channel_adapter.services.gateway import Gateway
from channel_adapter.services.joining import Joining
from channel_adapter.services.leaving import Leaving
from channel_adapter.tencent import limits
from channel_adapter.tencent.batching import batches, concurrently
from channel_adapter.tencent.catalog import GET_GROUP_MEMBER_INFO, GET_ROLE_IN_GROUP
from channel_adapter.tencent.paging import Page, Pages
from channel_adapter.tencent.wire import members


class Subscriptions:
    """Every method takes a channel by slug or by id, and refuses groups that are no channels."""

    def __init__(
        self,
        gateway: Gateway,
        directory: Directory,
        accounts: Accounts,
        *,
        add_per_call: int,
        remove_per_call: int,
        notify: bool,
        concurrency: int,
    ) -> None:
        self._gateway = gateway
        self._directory = directory
        self._accounts = accounts
        self._add_per_call = add_per_call
        self._remove_per_call = remove_per_call
        self._notify = notify
        self._concurrency = concurrency

    def subscribe(self, channel: str, users: Users, *, import_missing: bool = False) -> Bulk:
        """Let people follow a channel: `await` it, or stream the outcomes of a million people with `async for`.

        A collection is checked whole before the first call (InvalidError, nothing changed); in a stream what is no
        user id is an outcome of its own. Accounts the app does not know are reported, or imported first with
        `import_missing`. A batch the service did not answer for gives `failed`; asking again is harmless. Raises
        NotFoundError for no channel, and UnavailableError when the service stays away.
        """
        wanted, people = ids.channel_id(channel), checked(users)

        async def start() -> AsyncIterator[Outcome]:
            await self._directory.require(wanted)
            joining = Joining(
                self._gateway, self._accounts, wanted,
                size=self._add_per_call, notify=self._notify, import_missing=import_missing,
            )  # fmt: skip
            async with aclosing(
                in_batches(people, self._add_per_call, joining.add, at_once=self._concurrency)
            ) as outcomes:
                async for outcome in outcomes:
                    yield outcome

        return Bulk(start)

    def unsubscribe(self, channel: str, users: Users) -> Bulk:
        """Take people out of a channel. Who was not in it is `already`; the owner, who cannot leave, is `refused`."""
        wanted, people = ids.channel_id(channel), checked(users)

        async def start() -> AsyncIterator[Outcome]:
            await self._directory.require(wanted)
            leaving = Leaving(self._gateway, wanted, size=self._remove_per_call, notify=self._notify)
            async with aclosing(
                in_batches(people, limits.ROLES_PER_CALL, leaving.remove, at_once=self._concurrency)
            ) as outcomes:
                async for outcome in outcomes:
                    yield outcome

        return Bulk(start)

    async def is_subscribed(self, channel: str, users: Iterable[str]) -> dict[UserId, bool]:
        """Who of these people receives the channel's posts, 500 a call. The owner does."""
        wanted = ids.channel_id(channel)
        people = dict.fromkeys(ids.user_id(user, "users") for user in one_by_one(users))
        await self._directory.require(wanted)

        async def ask(batch: list[UserId]) -> list[members.MemberRole]:
            request = members.GetRoleInGroupRequest(group_id=wanted, user_account=list(batch))
            return (await self._gateway.call(GET_ROLE_IN_GROUP, request)).user_id_list

        answers: dict[UserId, bool] = {}
        async for roles in concurrently(batches(people, limits.ROLES_PER_CALL), ask, limit=self._concurrency):
            answers.update({UserId(item.member_account): item.role != members.NOT_MEMBER for item in roles})
        return {user: answers.get(user, False) for user in people}

    def subscribers(self, channel: str, *, cursor: str = "") -> Pages[Subscriber, str]:
        """Everybody who follows the channel but its owner, 100 a call.

        The iterator's `cursor` is where to resume another time, None at the end. Resuming reads the page at hand again:
        nobody is left out, up to a page of people comes twice.
        """
        wanted = ids.channel_id(channel)

        async def fetch(start: str) -> Page[Subscriber, str]:
            await self._directory.require(wanted)
            return await self._subscriber_page(wanted, start)

        return Pages(fetch, cursor)

    async def count(self, channel: str) -> int:
        """How many people follow the channel; its owner is not counted."""
        wanted = ids.channel_id(channel)
        found, _ = await self._directory.lookup(wanted)
        if found is None:
            raise no_such_channel(wanted)
        return found.subscriber_count

    async def _subscriber_page(self, channel: ChannelId, start: str) -> Page[Subscriber, str]:
        """One page of members without the owner.

        No role filter in the call: a page that a filter left empty could not be told from the end of the list.
        """
        request = members.GetGroupMemberInfoRequest(
            group_id=channel,
            limit=limits.MEMBERS_PER_PAGE,
            next=start,
            member_info_filter=list(SUBSCRIBER_FIELDS),
        )
        reply = await self._gateway.call(GET_GROUP_MEMBER_INFO, request)
        following = str(reply.next) if reply.next else ""
        ended = following in ("", "0", start) or not reply.member_list
        people = [to_subscriber(member) for member in reply.member_list if member.role != members.OWNER]
        return Page(people, None if ended else following)
