"""Channels as official accounts: create, read, update, delete."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from cachetools import LRUCache, TTLCache

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.caller import Caller, item_error, no_account, possibly_applied
from channel_adapter.backends.protocols import (
    AttributeRows,
    ChannelRegistryRows,
    PostKeys,
    deleted_in_part,
    require_same,
)
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.channel import (
    CONTACT,
    DELETED_AT,
    SUSPENDED,
    VERIFIED,
    Channel,
    ChannelProfile,
    IdKind,
    IdStatus,
    NewChannel,
)
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
    UnsupportedError,
    needs_database,
)
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import OFFICIAL_IDS
from channel_adapter.mapping.text import byte_size, require_text, require_url
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_OFFICIAL_ACCOUNT,
    DESTROY_OFFICIAL_ACCOUNT,
    GET_OFFICIAL_ACCOUNT_INFO,
    MODIFY_OFFICIAL_ACCOUNT_BASE_INFO,
)
from channel_adapter.tencent.wire import official_accounts as wire

NOT_FOUND_CODES: Final = frozenset({codes.NO_SUCH_OFFICIAL_ACCOUNT, codes.BAD_OFFICIAL_ACCOUNT_ID})
_TEXTS: Final = {
    "name": limits.OFFICIAL_NAME_BYTES,
    "introduction": limits.OFFICIAL_INTRODUCTION_BYTES,
    "avatar": limits.OFFICIAL_FACE_URL_BYTES,
    "organization": limits.OFFICIAL_ORGANIZATION_BYTES,
    "custom_data": limits.OFFICIAL_CUSTOM_BYTES,
}
"""Fields of a profile that are texts, with their bytes."""
_REGISTERED: Final = ("name", "introduction", "avatar", "owner")
"""Fields of a channel that the registry has."""
_CACHED: Final = 10_000


class OfficialAttributes:
    """Attributes of channels, which the database keeps because the service has no field for them."""

    def __init__(self, rows: AttributeRows | None, seconds: float, clock: Clock) -> None:
        self._rows = rows
        self._cache: TTLCache[ChannelId, Mapping[str, str]] = TTLCache(_CACHED, seconds, timer=clock.monotonic)
        self._changes = 0  # the result of a read that began before the latest change is not cached

    async def get(self, channel: ChannelId) -> Mapping[str, str]:
        """Return the attributes of a channel; none without a database. Cached."""
        if (cached := self._cache.get(channel)) is not None:
            return cached
        return (await self.read([channel])).get(channel, {})

    async def read(self, channels: Sequence[ChannelId]) -> Mapping[ChannelId, Mapping[str, str]]:
        """Return the attributes of the channels that have some; none without a database."""
        if self._rows is None:
            return {}
        changes = self._changes
        found = await self._rows.read(channels)
        if changes == self._changes:
            self._cache.update({channel: found.get(channel, {}) for channel in channels})
        return found

    async def set(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel; None removes one. Raises ConfigurationError without a database."""
        if self._rows is None:
            raise needs_database("attributes of channels are kept in a database in official mode")
        merged = {**(await self.read([channel])).get(channel, {}), **changes}
        size = sum(byte_size(f";{name}={value}") for name, value in merged.items() if value is not None)
        if size > limits.GROUP_FIELD_VALUE_BYTES:
            raise InvalidError(
                f"the channel's attributes would have {size} bytes; {limits.GROUP_FIELD_VALUE_BYTES} are allowed, as in"
                " the other mode",
                field=next(iter(changes), None), limit=limits.GROUP_FIELD_VALUE_BYTES, size=size,
            )  # fmt: skip
        try:
            await self._rows.write(channel, changes)
        finally:
            self.forget(channel)

    async def is_suspended(self, channel: ChannelId) -> bool:
        """Return whether posting and subscribing are closed; without a database they are open."""
        return SUSPENDED in await self.get(channel)

    async def clear(self, channel: ChannelId) -> None:
        """Delete the attributes of a deleted channel."""
        if self._rows is not None and (known := (await self.read([channel])).get(channel)):
            await self.set(channel, dict.fromkeys(known))

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is cached of one channel, or of all, and the results of running reads."""
        self._changes += 1
        if channel is None:
            self._cache.clear()
        else:
            self._cache.pop(channel, None)


class OfficialRegistry:
    """The channels that were created, read or reported here, in the database: the service has no list of them."""

    def __init__(self, rows: ChannelRegistryRows | None, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._added: LRUCache[ChannelId, Channel] = LRUCache(_CACHED)  # what this process has written

    async def add(self, channels: Iterable[Channel]) -> None:
        """Write channels that are new or have changed; nothing without a database."""
        if self._rows is None:
            return
        at = self._clock.now()
        changed: dict[ChannelId, Channel] = {}
        for channel in channels:
            known = self._added.get(channel.id)
            if known is None or any(getattr(known, name) != getattr(channel, name) for name in _REGISTERED):
                changed[channel.id] = channel
        if changed:
            await self._rows.merge_many({each.id: _registry_fields(each, at) for each in changed.values()})
            self._added.update(changed)

    async def remove(self, channel: ChannelId) -> None:
        """Note that a channel is deleted; nothing without a database."""
        self._added.pop(channel, None)
        if self._rows is not None:
            at = self._clock.now()
            await self._rows.merge_many({channel: {DELETED_AT: (at, at)}})

    def forget(self, channel: ChannelId | None = None) -> None:
        """Write a channel, or all, again when it is read next: another process may have deleted its row."""
        if channel is None:
            self._added.clear()
        else:
            self._added.pop(channel, None)

    def ids(self) -> AsyncIterator[ChannelId]:
        """Yield the ids of the channels that are not deleted. Raises ConfigurationError without a database."""
        return self._read_official_ids(self.require())

    def require(self) -> ChannelRegistryRows:
        """Return the rows. Raises ConfigurationError without a database."""
        if self._rows is None:
            raise needs_database(
                "the service does not list official accounts; those created, read or adopted here are kept in a"
                " database"
            )
        return self._rows

    @staticmethod
    async def _read_official_ids(rows: ChannelRegistryRows) -> AsyncGenerator[ChannelId, None]:
        async for channel, _ in rows.existing():
            if channel.startswith(OFFICIAL_IDS.prefix):
                yield channel


class OfficialChannels:
    """Official accounts of the app."""

    def __init__(
        self,
        caller: Caller,
        accounts: AppAccounts,
        keys: PostKeys,
        attributes: OfficialAttributes,
        registry: OfficialRegistry,
        concurrency: int,
    ) -> None:
        self._caller = caller
        self._accounts = accounts
        self._concurrency = concurrency
        self._keys = keys
        self._attributes = attributes
        self._registry = registry
        self._max_subscribers: LRUCache[ChannelId, int] = LRUCache(_CACHED)  # as set here: it cannot be read

    async def create(self, new: NewChannel) -> Channel:
        """Create an account, and read it back; return the one that exists with the same values.

        Raises InvalidError for values over their limits and for a notification text, NotFoundError for an owner that is
        not an account of the app, ConflictError if the id is taken with other values, LimitReachedError if the app has
        as many accounts as the plan allows, ConfigurationError if the plan has none.
        """
        profile = new.profile
        require_text(profile.name, "name", limits.OFFICIAL_NAME_BYTES, empty=False)
        self.check(profile)
        request = wire.CreateOfficialAccountRequest(
            owner_account=new.owner,
            official_account_user_id=new.id,
            name=profile.name or "",
            introduction=profile.introduction or None,
            face_url=profile.avatar or None,
            max_subscriber_num=profile.max_subscribers,
            organization=profile.organization or None,
            custom_string=profile.custom_data or None,
        )
        try:
            await self._caller.call(CREATE_OFFICIAL_ACCOUNT, request)
        except ChannelAdapterError as error:
            if error.code == codes.OFFICIAL_ACCOUNT_ID_TAKEN:
                return await self._require_same(new)
            await self._raise_for_owner(error, new.owner)
            raise
        self._keep_maximum(new.id, profile)
        return await self.get(new.id)

    async def read(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the accounts with these ids as they are now, 50 a call; others are left out."""
        async with aclosing(self.read_each(list(dict.fromkeys(channels)))) as found:
            return {account: channel async for account, channel in found if channel is not None}

    async def read_each(self, accounts: Sequence[ChannelId]) -> AsyncGenerator[tuple[ChannelId, Channel | None], None]:
        """Yield accounts as they are now, in the order of their ids, 50 a call; None for one that does not exist.

        Raises UnavailableError for a reply that leaves accounts out.
        """
        parts = batches(accounts, limits.OFFICIAL_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._read_profiles, limit=self._concurrency, ordered=True)) as replies:
            async for channels in replies:
                for account, channel in channels.items():
                    yield account, channel

    async def get(self, channel: ChannelId) -> Channel:
        """Return an account as it is now. Raises NotFoundError."""
        found = (await self._read_profiles([channel]))[channel]
        if found is None:
            raise no_such_channel(channel)
        return found

    def check(self, change: ChannelProfile) -> None:
        """Raise InvalidError for values over their limits, and for a notification text."""
        check_profile(change)

    async def update(self, channel: ChannelId, change: ChannelProfile) -> Channel:
        """Change the fields that differ, and read the account back.

        Raises InvalidError and NotFoundError, and OutcomeUnknownError if a field that was to be emptied has its value
        still: no page says that an empty text clears one.
        """
        self.check(change)
        current = await self.get(channel)
        difference = change.difference(current)
        if difference.is_empty():
            return current
        request = wire.ModifyOfficialAccountBaseInfoRequest(
            official_account=channel,
            name=difference.name,
            introduction=difference.introduction,
            face_url=difference.avatar,
            organization=difference.organization,
            custom_string=difference.custom_data,
            max_subscriber_num=difference.max_subscribers,
        )
        try:
            await self._caller.call(MODIFY_OFFICIAL_ACCOUNT_BASE_INFO, request)
        except NotFoundError as error:
            raise no_such_channel(channel, error) from error
        self._keep_maximum(channel, difference)
        changed = await self.get(channel)
        for name in _TEXTS:
            if getattr(difference, name) == "" and getattr(changed, name):
                raise OutcomeUnknownError(
                    f"{name} of channel {channel} was to be emptied and still has its value: the service may keep it",
                    field=name,
                )
        return changed

    async def delete(self, channel: ChannelId) -> bool:
        """Destroy an account, and delete what the database has of it; return False if it did not exist.

        The database is not changed if the call fails, or if its outcome is unknown: the account may exist. Repeating
        deletes what a database that failed still has.
        """
        deleted = True
        try:
            await self._caller.call(
                DESTROY_OFFICIAL_ACCOUNT, wire.DestroyOfficialAccountRequest(official_account=channel)
            )
        except NotFoundError as error:
            if error.code not in NOT_FOUND_CODES:
                raise
            deleted = possibly_applied(error)  # by an earlier attempt of this call
        finally:
            self._attributes.forget(channel)
            self._registry.forget(channel)
        self.forget(channel)
        try:
            await self._keys.forget(channel)
            await self._attributes.clear(channel)
            await self._registry.remove(channel)
        except (OutcomeUnknownError, UnavailableError) as error:
            raise deleted_in_part(channel, error) from error
        return deleted

    async def finish(self, channel: ChannelId) -> bool:
        """Return False: an account is created in one call, so that nothing can be unfinished."""
        return False

    def all(self) -> AsyncGenerator[Channel, None]:
        """Yield the channels of the registry as they are now, 50 a call: the service lists accounts in its console.

        The registry has what was created, read, adopted, or reported by a webhook with this database. Raises
        ConfigurationError without one.
        """
        return self._read_all(self._registry.ids())

    async def adopt(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Add the accounts with these ids to the registry, and return them; others are left out.

        Raises ConfigurationError without a database.
        """
        self._registry.require()
        return await self.read(channels)

    async def require(self, channel: ChannelId) -> None:
        """Do nothing: an id of an official account is a channel, and the next call reports one that does not exist."""

    async def known(self, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return all of the ids, without a call."""
        return frozenset(channels)

    def cached(self, channel: ChannelId, *, allow_stale: bool = False) -> bool | None:
        """Return True: every official account is a channel."""
        return True

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is cached of one channel, or of all."""
        self._attributes.forget(channel)
        self._registry.forget(channel)
        if channel is None:
            self._max_subscribers.clear()
        else:
            self._max_subscribers.pop(channel, None)

    async def classify(self, ids: Sequence[str]) -> dict[str, IdStatus]:
        """Return what these partners of one-to-one conversations are now: accounts, free ids, or users."""
        statuses = {each: IdStatus(IdKind.OTHER) for each in ids}
        async for part in batches([each for each in ids if each.startswith(OFFICIAL_IDS.prefix)],
                                  limits.OFFICIAL_INFO_PER_CALL):  # fmt: skip
            accounts = [ChannelId(each) for each in part]
            for account, item in (await self._fetch_items(accounts)).items():
                if item.error_code in NOT_FOUND_CODES:
                    statuses[account] = IdStatus(IdKind.FREE)
                elif item.error_code != codes.OK:
                    error = item_error(GET_OFFICIAL_ACCOUNT_INFO, item.error_code, item.error_info)
                    statuses[account] = IdStatus(IdKind.UNCLEAR, error.message)
                else:
                    statuses[account] = IdStatus(IdKind.CHANNEL)
        return statuses

    async def attributes(self, channel: ChannelId) -> Mapping[str, str]:
        """Return the attributes of a channel from the database; none without one."""
        return await self._attributes.get(channel)

    async def set_attributes(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel in the database; None removes one.

        Raises NotFoundError, and ConfigurationError without a database.
        """
        await self.get(channel)
        await self._attributes.set(channel, changes)

    async def attributes_of(self, channels: Sequence[ChannelId]) -> Mapping[ChannelId, Mapping[str, str]]:
        """Return the attributes of the channels that have some, in one statement; none without a database."""
        return await self._attributes.read(channels)

    async def is_suspended(self, channel: ChannelId) -> bool:
        """Return whether posting and subscribing are closed."""
        return await self._attributes.is_suspended(channel)

    def max_subscribers(self, channel: Channel) -> int:
        """Return how many subscribers an account can have: as read or set here, else the service's default."""
        if channel.max_subscribers is not None:
            return channel.max_subscribers
        return int(self._max_subscribers.get(channel.id, limits.OFFICIAL_SUBSCRIBERS))

    def _keep_maximum(self, channel: ChannelId, profile: ChannelProfile) -> None:
        if profile.max_subscribers is not None:
            self._max_subscribers[channel] = profile.max_subscribers

    async def _read_all(self, ids: AsyncIterator[ChannelId]) -> AsyncGenerator[Channel, None]:
        async with aclosing(batches(ids, limits.OFFICIAL_INFO_PER_CALL)) as parts:
            async for part in parts:
                for channel in (await self._read_profiles(part)).values():
                    if channel is not None:
                        yield channel

    async def _read_profiles(self, accounts: Sequence[ChannelId]) -> dict[ChannelId, Channel | None]:
        found: dict[ChannelId, Channel | None] = {}
        items, attributes = await self._fetch_items(accounts), await self._attributes.read(accounts)
        for account, item in items.items():
            if item.error_code in NOT_FOUND_CODES:
                found[account] = None
            elif item.error_code != codes.OK:
                raise item_error(GET_OFFICIAL_ACCOUNT_INFO, item.error_code, item.error_info)
            else:
                found[account] = to_channel(account, item, attributes.get(account, {}))
        await self._registry.add(channel for channel in found.values() if channel is not None)
        return found

    async def _fetch_items(self, accounts: Sequence[ChannelId]) -> dict[ChannelId, wire.OfficialAccountInfo]:
        """Return one item for each account. Raises UnavailableError for a reply that leaves accounts out."""
        items = [wire.OfficialAccountItem(official_account=account) for account in accounts]
        request = wire.GetOfficialAccountInfoRequest(official_account_id_list=items)
        found = (await self._caller.call(GET_OFFICIAL_ACCOUNT_INFO, request)).official_account_info_list
        if len(found) != len(accounts):
            raise UnavailableError(
                f"asked for {len(accounts)} official accounts and got {len(found)}", field="accounts"
            )
        named = {item.official_account: item for item in found if item.official_account}
        by_index = dict(zip(accounts, found, strict=True))
        return {account: named.get(account, by_index[account]) for account in accounts}

    async def _require_same(self, new: NewChannel) -> Channel:
        """Return the account that has the id, if it has the wanted values. Raises ConflictError."""
        found = (await self._read_profiles([new.id]))[new.id]
        if found is None:
            raise ConflictError(
                f"{new.id} belonged to a channel that was deleted, and the service does not assign it again; choose"
                " another slug",
                field="slug",
            )
        return require_same(new, found)

    async def _raise_for_owner(self, error: ChannelAdapterError, owner: UserId) -> None:
        """Raise NotFoundError if a creation was refused because its owner is not an account of the app."""
        if error.code == codes.OFFICIAL_NOT_ALLOWED and not (await self._accounts.check([owner]))[owner]:
            raise no_account(owner, "owner", error) from error


def to_channel(account: ChannelId, item: wire.OfficialProfile, attributes: Mapping[str, str]) -> Channel:
    """Return an account as a channel. Its creation is always complete, and its posting always closed."""
    contact = attributes.get(CONTACT)
    return Channel(
        id=account,
        slug=OFFICIAL_IDS.slug(account),
        owner=UserId(item.owner_account) if item.owner_account else None,
        name=item.name or "",
        introduction=item.introduction or "",
        avatar=item.face_url or "",
        organization=item.organization or "",
        custom_data=item.custom_string or "",
        subscriber_count=item.subscriber_num or 0,
        max_subscribers=item.max_subscriber_num,
        created_at=to_datetime(item.create_time),
        last_post_at=to_datetime(item.last_msg_time),
        verified=VERIFIED in attributes,
        suspended=SUSPENDED in attributes,
        contact=UserId(contact) if contact else None,
    )


def _registry_fields(channel: Channel, at: float) -> dict[str, tuple[object, float]]:
    """Return what the registry keeps of a channel that exists."""
    return {DELETED_AT: (None, at), **{name: (getattr(channel, name), at) for name in _REGISTERED}}


def check_profile(profile: ChannelProfile) -> None:
    """Raise InvalidError for a text over its bytes, an empty name, a notification text, and a maximum below 1."""
    for name, limit in _TEXTS.items():
        value = getattr(profile, name)
        if value is not None:
            (require_url if name == "avatar" else require_text)(value, name, limit, empty=name != "name")
    if profile.notification:
        raise InvalidError("notification: official accounts have no notification text", field="notification")
    highest = profile.max_subscribers
    if highest is not None and (isinstance(highest, bool) or not isinstance(highest, int) or highest < 1):
        raise InvalidError(
            f"max_subscribers must be a positive integer; got {shown_value(highest)}", field="max_subscribers"
        )


def no_such_channel(channel: ChannelId, error: ChannelAdapterError | None = None) -> NotFoundError:
    """Return the error for an account that does not exist; `error` is the service's own."""
    return NotFoundError(f"there is no channel {channel}", field="channel", origin=error.origin if error else None)


class AccountSenders:
    """Official accounts as senders of one-to-one messages: each sends its own."""

    def __init__(self, channels: OfficialChannels) -> None:
        self._channels = channels

    async def sender(self, channel: ChannelId) -> ChannelId:
        """Return the id itself, without a call."""
        return channel

    async def set_contact(self, channel: ChannelId, account: UserId | None) -> None:
        """Raise UnsupportedError: no other account sends the messages of an official account."""
        raise UnsupportedError(Mode.OFFICIAL, "channels.update(contact=)", "an account sends its own messages")

    async def require(self, channel: ChannelId) -> None:
        """Raise NotFoundError if the channel does not exist, with one call."""
        if not await self._channels.read([channel]):
            raise no_such_channel(channel)

    def forget(self, channel: ChannelId) -> None:
        """Do nothing: nothing is cached."""
