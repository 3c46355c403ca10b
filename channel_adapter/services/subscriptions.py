"""Who follows a channel: subscribe, unsubscribe, ask, list, count."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.channels import ChannelCache, no_such_channel
from channel_adapter.backends.community.members import Membership, roles_in
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, Pages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import ChannelOutcome, Notifications, OutcomeKind, Subscriber
from channel_adapter.errors import InvalidError, UnavailableError
from channel_adapter.mapping import ids
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS, to_subscriber
from channel_adapter.mapping.text import require_text
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import BatchSize, Bulk, BulkTerms, Found, Users, Work, one_by_one
from channel_adapter.services.following import Following
from channel_adapter.services.joining import Joining
from channel_adapter.services.leaving import Leaving
from channel_adapter.services.patience import Patience
from channel_adapter.services.unread.assignment import ConversationGroupAssigner
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import GET_GROUP_MEMBER_INFO
from channel_adapter.tencent.wire import members

Left = Callable[[ChannelId, list[UserId]], Awaitable[None]]


class Subscriptions:
    """Every method takes a channel by slug or by id, and refuses groups that are no channels."""

    def __init__(
        self,
        gateway: ApiCaller,
        directory: ChannelCache,
        terms: BulkTerms,
        *,
        add_per_call: int,
        remove_per_call: int,
        notify: bool,
        membership: Membership,
        assigner: ConversationGroupAssigner,
        left: Left,
    ) -> None:
        """`left` is told of people who are not in a channel any more."""
        self._gateway = gateway
        self._directory = directory
        self._terms = terms
        self._membership = membership
        self._assigner = assigner
        self._left = left
        self._add_size = BatchSize(add_per_call)
        self._remove_per_call = remove_per_call
        self._notify = notify

    def subscribe(
        self, channel: str, users: Users, *, import_missing: bool = False, assign: bool | None = None
    ) -> Bulk:
        """Let people follow a channel: `await` it, or stream the outcomes of a million people with `async for`.

        A collection is checked whole before the first call (InvalidError, nothing changed); in a stream what is no
        user id is an outcome of its own. Accounts the app does not know are reported, or imported first with
        `import_missing`. A batch the service did not answer for gives `failed`; asking again is harmless. Raises
        NotFoundError for no channel, and UnavailableError when the service stays away.

        Whoever is subscribed then has the channel in their conversation group, as the settings or `assign` say; what
        became of that is the outcome's `assignment`, and asking again finishes it. It costs up to two calls a user, so
        none is assigned in a call for more than 1,000 users unless `assign` is True. Of an async stream, which cannot
        be looked ahead in without waiting, the first 1,000 are.
        """
        wanted = ids.channel_id(channel)
        people, shift = self._assigner.shift(users, assign)

        async def begin(calls: Patience) -> Work:
            await self._directory.require(wanted)
            joining = Joining(
                calls, Accounts(calls, self._terms), wanted,
                size=self._add_size, notify=self._notify, import_missing=import_missing,
            )  # fmt: skip
            return shift.assigning(joining.add, wanted) if shift else joining.add

        return Bulk(people, self._add_size, begin, self._gateway, self._terms)

    def unsubscribe(self, channel: str, users: Users, *, assign: bool | None = None) -> Bulk:
        """Take people out of a channel. Who was not in it is `already`; the owner, who cannot leave, is `refused`.

        Takes the channel out of their conversation group too, which leaving alone does not; `assign` as in `subscribe`.
        """
        wanted = ids.channel_id(channel)
        people, shift = self._assigner.shift(users, assign)

        async def begin(calls: Patience) -> Work:
            await self._directory.require(wanted)
            leaving = Leaving(calls, wanted, size=self._remove_per_call, notify=self._notify)
            work = shift.unassigning(leaving.remove, wanted) if shift else leaving.remove

            async def remove(batch: list[UserId], found: Found) -> None:
                await work(batch, found)
                gone = (OutcomeKind.REMOVED, OutcomeKind.ALREADY)
                await self._left(wanted, [user for user in batch if user in found and found[user].kind in gone])

            return remove

        return Bulk(people, BatchSize(limits.ROLES_PER_CALL), begin, self._gateway, self._terms)

    async def follow(
        self, user: str, channels: Iterable[str], *, import_missing: bool = False, assign: bool | None = None
    ) -> tuple[ChannelOutcome, ...]:
        """Let one person follow many channels: one outcome each, in their order, a channel named twice once.

        The conversation group is changed in one call for 100 channels. What is no channel is `channel_not_found`; an
        account that the app does not know is `not_found` for every channel.
        """
        wanted, person = list(dict.fromkeys(ids.channel_ids(channels))), ids.user_id(user)

        def begin(calls: Patience, channel: ChannelId) -> Work:
            return Joining(
                calls, Accounts(calls, self._terms), channel,
                size=self._add_size, notify=self._notify, import_missing=import_missing,
            ).add  # fmt: skip

        following = Following(self._gateway, self._directory, self._assigner, self._terms, begin)
        return await following.of(person, wanted, self._assigner.assign if self._assigner.is_on(assign) else None)

    async def unfollow(
        self, user: str, channels: Iterable[str], *, assign: bool | None = None
    ) -> tuple[ChannelOutcome, ...]:
        """Let one person leave many channels: one outcome each, and one change of their conversation group for 100.

        What is no channel is `channel_not_found`.
        """
        wanted, person = list(dict.fromkeys(ids.channel_ids(channels))), ids.user_id(user)

        def begin(calls: Patience, channel: ChannelId) -> Work:
            return Leaving(calls, channel, size=self._remove_per_call, notify=self._notify).remove

        following = Following(self._gateway, self._directory, self._assigner, self._terms, begin)
        return await following.of(person, wanted, self._assigner.unassign if self._assigner.is_on(assign) else None)

    async def mute(self, user: str, channel: str) -> bool:
        """No push for new posts, and none of them in the person's badge; False when it was so already."""
        return await self.set_notifications(user, channel, Notifications.MUTED)

    async def unmute(self, user: str, channel: str) -> bool:
        """Push for new posts, and all of them in the badge; False when it was so already."""
        return await self.set_notifications(user, channel, Notifications.ALL)

    async def notifications(self, user: str, channel: str) -> Notifications:
        """How new posts reach a person. Raises NotFoundError for who is not in the channel."""
        return await self._membership.notifications(ids.user_id(user), ids.channel_id(channel))

    async def set_notifications(
        self, user: str, channel: str, wanted: Notifications | Literal["all", "muted", "off"]
    ) -> bool:
        """Set how new posts reach a subscriber: `all`, `muted` or `off`; return False if it was set already.

        Raises InvalidError for another value and NotFoundError for a user who is not in the channel.
        """
        if wanted not in set(Notifications):
            raise InvalidError(f"{wanted!r} is none of {', '.join(Notifications)}", field="notifications")
        return await self._membership.set_notifications(
            ids.user_id(user), ids.channel_id(channel), Notifications(wanted)
        )

    async def is_subscribed(self, channel: str, users: Iterable[str]) -> dict[UserId, bool]:
        """Who of these people receives the channel's posts, 500 a call. The owner does."""
        wanted = ids.channel_id(channel)
        people = dict.fromkeys(ids.user_id(user, "users") for user in one_by_one(users))
        await self._directory.require(wanted)

        async def ask(batch: list[UserId]) -> dict[UserId, str]:
            return await roles_in(self._gateway, wanted, batch)

        inside: dict[UserId, bool] = dict.fromkeys(people, False)
        async for roles in concurrently(batches(people, limits.ROLES_PER_CALL), ask, limit=self._terms.at_once):
            inside.update({user: role != members.NOT_MEMBER for user, role in roles.items()})
        return inside

    def subscribers(self, channel: str, *, cursor: str = "") -> Pages[Subscriber, str]:
        """Everybody who follows the channel but its owner, 100 a call.

        The iterator's `cursor` is where to resume another time, None at the end. Resuming reads the page at hand again:
        nobody is left out, up to a page of people comes twice.
        """
        wanted = ids.channel_id(channel)
        require_text(cursor, "cursor")
        cursors: CursorLoopGuard[str] = CursorLoopGuard(GET_GROUP_MEMBER_INFO.name, UnavailableError)

        async def fetch(start: str) -> Page[Subscriber, str]:
            await self._directory.require(wanted)
            page = await self._subscriber_page(wanted, start)
            return page if page.next is None else Page(page.items, cursors.advance(start, page.next))

        return Pages(fetch, cursor)

    async def count(self, channel: str) -> int:
        """How many people follow the channel; its owner is not counted."""
        wanted = ids.channel_id(channel)
        found = (await self._directory.lookup(wanted)).channel
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
        ended = following in ("", "0") or not reply.member_list
        people = [to_subscriber(member) for member in reply.member_list if member.role != members.OWNER]
        return Page(people, None if ended else following)
