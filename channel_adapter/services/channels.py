"""Channels: create, read, change, delete, and the channels of a user."""

import uuid
from collections.abc import AsyncGenerator, Iterable

from channel_adapter.backends.protocols import deleted_in_part
from channel_adapter.domain.channel import Channel, ChannelProfile, NewChannel
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import OutcomeUnknownError, UnavailableError
from channel_adapter.mapping import ids
from channel_adapter.services.signals import ContactChange
from channel_adapter.services.staff import ChannelStaff


class Channels(ChannelStaff):
    """The channels of an app. Every method accepts a channel by slug or by id."""

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
        """Create a channel that every user may follow and in which only owner and admins post.

        Three calls: create, close posting, read back. Repeating with the same slug (or, without a slug, the same
        `idempotency_key`) finishes what was interrupted and changes nothing that is complete.

        Raises InvalidError for values over their bytes, NotFoundError for an owner that is not an account of the app,
        ConflictError when the id belongs to a group that is not a channel, or to a channel with other values,
        ConfigurationError for custom group fields that are not declared in the console.
        """
        if slug is None:
            key = uuid.uuid4().hex if idempotency_key is None else ids.idempotency_key(idempotency_key)
            slug = ids.generated_slug(key)
        profile = ChannelProfile(
            name=name, introduction=introduction, notification=notification, avatar=avatar,
            organization=organization, custom_data=custom_data, max_subscribers=max_subscribers,
        )  # fmt: skip
        new = NewChannel(self._ids.from_slug(slug), ids.user_id(owner, "owner"), profile)
        created = await self._channels.create(new)
        await self._directory.record(created)
        return created

    async def get(self, channel: str) -> Channel:
        """Return a channel as it is now. Raises NotFoundError, also for a group that is not a channel."""
        return await self._channels.get(self._ids.channel(channel))

    async def get_many(self, channels: Iterable[str]) -> dict[ChannelId, Channel]:
        """Return the channels among any number of ids, 50 a call; ids that are not channels are left out."""
        return await self._channels.read(self._ids.channels(channels))

    async def exists(self, channel: str) -> bool:
        """Return whether there is a channel with this id. A group of another kind does not count."""
        return bool(await self._channels.read([self._ids.channel(channel)]))

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
        contact: str | None = None,
        categories: Iterable[str] | None = None,
    ) -> Channel:
        """Change the fields that differ, and return the channel; None leaves a field as it is, "" empties it.

        `categories` replaces those of the directory: up to 20 of 60 bytes each, kept in `database_url`.

        `contact` is the account that sends and receives one-to-one messages for the channel, "" its owner. An account
        may be the contact of several channels, with a warning in the log: its messages do not name the channel then.
        Raises InvalidError and NotFoundError, before anything is changed.
        """
        change = ChannelProfile(
            name=name, introduction=introduction, notification=notification, avatar=avatar,
            organization=organization, custom_data=custom_data, max_subscribers=max_subscribers,
        )  # fmt: skip
        wanted = self._ids.channel(channel)
        chosen = None if categories is None else self._directory.require_categories(categories)
        self._channels.check(change)
        if contact is not None:
            await self._signals.contact_changed.emit(ContactChange(wanted, contact))
        changed = await self._channels.update(wanted, change)
        await self._directory.record(changed)
        if chosen is not None:
            try:
                await self._directory.set_categories(wanted, chosen)
            except (OutcomeUnknownError, UnavailableError) as error:
                raise type(error)(f"all but the categories is changed: {error.message}", field="categories") from error
        return changed

    async def delete(self, channel: str) -> bool:
        """Delete a channel permanently; return False if it did not exist. Raises NotFoundError for other groups.

        UnavailableError that says so: the channel is deleted, and a repetition deletes what the database still has.
        """
        wanted = self._ids.channel(channel)
        deleted = await self._channels.delete(wanted)
        try:  # also after False: an earlier deletion may have been interrupted
            await self._signals.channel_deleted.emit(wanted)
        except (OutcomeUnknownError, UnavailableError) as error:
            raise deleted_in_part(wanted, error) from error
        return deleted

    def subscribed(self, user: str) -> AsyncGenerator[Subscription, None]:
        """Yield the channels of a user, with role and notifications, in the service's order; other groups are left out.

        Costs one call for 200 joined groups, and one for 50 groups whose tag is not cached.
        """
        return self._members.subscriptions(ids.user_id(user))

    def all(self) -> AsyncGenerator[Channel, None]:
        """Yield every channel of the app once. For administration: the list behind it allows one call a second.

        Where `adapter.can.list_all` is False, these are the channels of the adapter's own registry in `database_url`,
        filled by `create`, by reading channels, by webhooks and by `adopt`; without it ConfigurationError is raised.
        """
        return self._channels.all()

    async def adopt(self, channels: Iterable[str]) -> dict[ChannelId, Channel]:
        """Add existing channels to the registry that `all` lists, and return them, 50 a call.

        Ids that are not channels are left out. Where `adapter.can.list_all` is True it only reads: `all` needs no
        registry. Else it raises ConfigurationError without `database_url`.
        """
        return await self._channels.adopt(self._ids.channels(channels))

    async def finish(self, channel: str) -> bool:
        """Finish an interrupted creation; return False if there was nothing to do."""
        return await self._channels.finish(self._ids.channel(channel))

    def forget(self, channel: str | None = None) -> None:
        """Drop what is cached of one channel or of all, when another process has changed it."""
        self._channels.forget(self._ids.channel(channel) if channel is not None else None)
