"""Channels: create, read, change, delete, and what a person follows."""

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing

from channel_adapter.concurrency.paging import CursorLoopGuard
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import ChannelAdapterError, ConflictError, NotFoundError, UnavailableError
from channel_adapter.mapping import channel_group, ids
from channel_adapter.mapping.channel_group import Profile
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.refusals import explained, without_account
from channel_adapter.mapping.tag import Tag
from channel_adapter.mapping.text import require_text
from channel_adapter.services.directory import ABSENT, Directory, no_such_channel
from channel_adapter.services.gateway import Gateway
from channel_adapter.services.joined import JoinedList
from channel_adapter.services.uncounted import Uncounted
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_GROUP,
    DESTROY_GROUP,
    GET_APPID_GROUP_LIST,
    MODIFY_GROUP_BASE_INFO,
)
from channel_adapter.tencent.limits import GroupProfileBytes
from channel_adapter.tencent.wire import groups

ID_TAKEN = frozenset({codes.GROUP_ID_TAKEN, codes.GROUP_ID_OWN})


class Channels:
    """All of an app's channels. Every method takes a channel by slug or by id."""

    def __init__(
        self,
        gateway: Gateway,
        directory: Directory,
        joined: JoinedList,
        sizes: GroupProfileBytes,
        uncounted: Uncounted,
        deleted: Callable[[ChannelId], Awaitable[None]],
    ) -> None:
        """`deleted` is told of channels that are gone."""
        self._gateway = gateway
        self._directory = directory
        self._joined = joined
        self._sizes = sizes
        self._uncounted = uncounted
        self._deleted = deleted

    @property
    def _keys(self) -> FieldKeys:
        return self._directory.keys

    async def create(
        self,
        *,
        name: str,
        owner: str,
        slug: str | None = None,
        introduction: str = "",
        notification: str = "",
        avatar: str = "",
        organization: str = "",
        custom_data: str = "",
        max_subscribers: int | None = None,
        idempotency_key: str | None = None,
    ) -> Channel:
        """Create a channel that anybody may follow and only owner and admins post in.

        Three calls: create, close posting, read back. Repeating with the same slug (or, without a slug, the same
        `idempotency_key`) finishes what was interrupted and changes nothing that is complete.

        Raises InvalidError for values over their bytes, NotFoundError for an owner the app does not know,
        ConflictError when the id belongs to a group that is no channel of ours, or to a channel with other values,
        ConfigurationError for custom group fields that are not declared in the console.
        """
        if slug is None:
            key = uuid.uuid4().hex if idempotency_key is None else ids.idempotency_key(idempotency_key)
            slug = ids.generated_slug(key)
        channel = ids.slug_to_id(slug)
        owner_id = ids.user_id(owner, "owner")
        profile = Profile(
            name=name, introduction=introduction, notification=notification, avatar=avatar,
            organization=organization, custom_data=custom_data, max_subscribers=max_subscribers,
        )  # fmt: skip
        require_text(name, "name", self._sizes.name, empty=False)
        channel_group.check_profile(profile, self._keys, self._sizes)
        request = channel_group.create_request(channel, owner_id, profile, self._keys)
        try:
            await self._gateway.call(CREATE_GROUP, request)
        except ChannelAdapterError as error:
            if error.code not in ID_TAKEN:
                told = explained(without_account(error, owner_id, "owner"), _sent_keys(request), profile)
                raise told from (error if told is not error else error.__cause__)
            existing = await self._same_as_wanted(channel, owner_id, profile)
            if existing.complete:
                return existing
        finally:
            self._directory.forget(channel)
        try:
            await self._close_posting(channel)
        except ChannelAdapterError as error:
            raise type(error)(
                f"channel {channel} exists, but every subscriber can post in it: {error.message};"
                " create it again with the same slug, or let the doctor repair it",
                origin=error.origin,
            ) from error
        return await self.get(channel)

    async def get(self, channel: str) -> Channel:
        """The channel as it is now. Raises NotFoundError, also for groups that are no channels."""
        return (await self._found(ids.channel_id(channel)))[0]

    async def get_many(self, channels: Iterable[str]) -> dict[ChannelId, Channel]:
        """The channels among any number of ids, 50 a call; what is no channel is left out."""
        wanted = ids.channel_ids(channels)
        return {channel.id: channel async for channel in self._directory.read(wanted)}

    async def exists(self, channel: str) -> bool:
        """Is there a channel with this id? A group of another kind does not count."""
        return (await self._directory.lookup(ids.channel_id(channel))).channel is not None

    async def update(
        self,
        channel: str,
        *,
        name: str | None = None,
        introduction: str | None = None,
        notification: str | None = None,
        avatar: str | None = None,
        organization: str | None = None,
        custom_data: str | None = None,
        max_subscribers: int | None = None,
    ) -> Channel:
        """Change what differs and nothing else; None leaves a field as it is, "" empties it. Gives the channel back.

        Raises InvalidError and NotFoundError, before anything is changed.
        """
        change = Profile(
            name=name, introduction=introduction, notification=notification, avatar=avatar,
            organization=organization, custom_data=custom_data, max_subscribers=max_subscribers,
        )  # fmt: skip
        channel_group.check_profile(change, self._keys, self._sizes)
        current, tag = await self._found(ids.channel_id(channel))
        difference = channel_group.difference(change, current)
        if difference.empty():
            return current
        owned = current.owner is not None
        request = channel_group.update_request(current.id, difference, self._keys, owned=owned, tag=tag)
        try:
            await self._gateway.call(MODIFY_GROUP_BASE_INFO, request)
        except ChannelAdapterError as error:
            told = explained(error, _sent_keys(request), difference)
            raise told from (error if told is not error else error.__cause__)
        finally:
            self._directory.forget(current.id)
        return await self.get(current.id)

    async def delete(self, channel: str) -> bool:
        """Dissolve a channel for good; False when it was gone already. Refuses groups that are no channels."""
        wanted = ids.channel_id(channel)
        found = await self._directory.lookup(wanted)
        if found.channel is None:
            if found.taken:
                raise NotFoundError(f"{wanted} is no channel, and nothing else is deleted here", field="channel")
            await self._deleted(wanted)  # what an interrupted deletion left
            return False
        try:
            await self._gateway.call(DESTROY_GROUP, groups.DestroyGroupRequest(group_id=wanted))
        except NotFoundError as error:
            if error.code not in ABSENT:
                raise
            return error.origin is not None and error.origin.attempts > 1  # an earlier attempt of ours did it
        finally:
            self._directory.forget(wanted)
            self._uncounted.forget(wanted)
        await self._deleted(wanted)
        return True

    def subscribed(self, user: str) -> AsyncGenerator[Subscription, None]:
        """The channels a person is in, with role and notifications, in the service's order; other groups are left out.

        Costs one call for 200 joined groups, and one for 50 groups whose tag is not remembered.
        """
        return self._joined.channels(ids.user_id(user))

    async def all(self) -> AsyncGenerator[Channel, None]:
        """Every channel of the app once. For administration: the list behind it allows one call a second."""
        cursors: CursorLoopGuard[int] = CursorLoopGuard(GET_APPID_GROUP_LIST.name, UnavailableError)
        seen: set[ChannelId] = set()
        position = 0
        while True:
            request = groups.GetAppidGroupListRequest(
                limit=limits.APP_GROUPS_PER_PAGE, next=position, group_type=groups.COMMUNITY
            )
            page = await self._gateway.call(GET_APPID_GROUP_LIST, request)
            new = [ChannelId(item.group_id) for item in page.group_id_list if item.group_id not in seen]
            seen.update(new)
            async with aclosing(self._directory.read(new)) as channels:
                async for channel in channels:
                    yield channel
            if page.next == 0 or not page.group_id_list:
                return
            position = cursors.advance(position, page.next)

    async def finish(self, channel: str) -> bool:
        """Finish an interrupted creation; False when there was nothing to do."""
        found = await self.get(channel)
        if found.complete:
            return False
        await self._close_posting(found.id)
        return True

    def forget(self, channel: str | None = None) -> None:
        """Drop remembered tags, of one channel or of all, when another process has changed them."""
        self._directory.forget(ids.channel_id(channel) if channel is not None else None)

    async def _close_posting(self, channel: ChannelId) -> None:
        try:
            await self._gateway.call(MODIFY_GROUP_BASE_INFO, channel_group.close_posting(channel))
        finally:
            self._directory.forget(channel)

    async def _found(self, channel: ChannelId) -> tuple[Channel, Tag | None]:
        found = await self._directory.lookup(channel)
        if found.channel is None:
            raise no_such_channel(channel)
        return found.channel, found.tag

    async def _same_as_wanted(self, channel: ChannelId, owner: UserId, profile: Profile) -> Channel:
        """The channel that has the id already, if it is the one we want. A group that is not ours is never adopted."""
        found = (await self._directory.lookup(channel)).channel
        if found is None:
            raise ConflictError(f"{channel} belongs to a group that is no channel; choose another slug", field="slug")
        difference = channel_group.difference(profile, found)
        other = [name for name in Profile.__slots__ if getattr(difference, name) is not None]
        if found.owner != owner:
            other.insert(0, "owner")
        if other:
            raise ConflictError(
                f"channel {channel} exists with another {', '.join(other)}; choose another slug, or update it",
                field=other[0],
            )
        return found


def _sent_keys(request: groups.CreateGroupRequest | groups.ModifyGroupBaseInfoRequest) -> list[str]:
    return [item.key for item in request.app_defined_data or ()]
