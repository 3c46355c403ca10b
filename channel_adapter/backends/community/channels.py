"""Channels as tagged groups: which groups are channels, by a cache of their tags; create, read, update and delete."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from itertools import count, islice
from typing import Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from channel_adapter.backends.caller import Caller, item_error, no_account, possibly_applied, without_account
from channel_adapter.backends.community import profile as profiles
from channel_adapter.backends.community.tag import Tag
from channel_adapter.backends.options import BackendOptions
from channel_adapter.backends.protocols import AccountBackend, require_same
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, read_pages
from channel_adapter.concurrency.retry import Backoff, retry
from channel_adapter.concurrency.single_flight import SingleFlight
from channel_adapter.domain.channel import CONTACT, SUSPENDED, Channel, ChannelProfile, IdKind, IdStatus, NewChannel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, ConflictError, InvalidError, NotFoundError, UnavailableError
from channel_adapter.mapping.text import byte_size, require_text
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_GROUP,
    DESTROY_GROUP,
    GET_APPID_GROUP_LIST,
    GET_GROUP_INFO,
    MODIFY_GROUP_BASE_INFO,
)
from channel_adapter.tencent.codes import look_up
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.tencent.retry import AMBIGUOUS_ATTEMPTS, FIRST_WAIT, MAX_WAIT
from channel_adapter.tencent.wire import groups

GET_GROUP_TAGS = GET_GROUP_INFO.read_as(groups.GroupTagsReply)

_ID_TAKEN_CODES: Final = frozenset({codes.GROUP_ID_TAKEN, codes.GROUP_ID_OWN})
TRANSIENT_CODES: Final = frozenset({codes.Repeat.IF_REPEATABLE, codes.Repeat.AFTER_WAIT})
"""What the rows of error codes say of failures that pass."""
ITEM_BACKOFF: Final = Backoff(FIRST_WAIT, MAX_WAIT)
"""The waits before items of a reply that failed are asked for again."""

ItemT = TypeVar("ItemT", groups.GroupInfo, groups.GroupTag)


_NO_TAG: Final = Tag()


class CacheEntry(NamedTuple):
    """What was read of a group: whether it is a channel, its fields and attributes, and its owner if that was read."""

    is_channel: bool
    fields: dict[str, str]
    read_at: float
    owner: UserId | None = None
    owner_known: bool = False
    attributes: Mapping[str, str] = _NO_TAG.attributes


class ChannelLookup(NamedTuple):
    """The channel with an id and its tag, or None; `taken`: a group of any kind has the id."""

    channel: Channel | None
    taken: bool
    tag: Tag | None


class ChannelCache:
    """Reads channels and caches their tags and owners.

    An entry is valid for `cache_seconds` of the options: a change made by another process is seen after that, a change
    made by this process immediately.
    """

    def __init__(self, caller: Caller, options: BackendOptions, clock: Clock) -> None:
        self.keys = options.field_keys
        self._caller = caller
        self._concurrency = options.concurrency
        self._seconds = options.cache_seconds
        self.clock = clock
        self._entries: dict[ChannelId, CacheEntry] = {}
        """What was read of groups, valid or not, in the order of reading: what was read first ends first."""
        self._max_entries = options.cache_entries
        self._asking: SingleFlight[ChannelId, CacheEntry] = SingleFlight(self._fetch_entry)
        self._changes = 0  # the result of a read that began before the latest change is not cached

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is cached of one group, or of all, and the results of running reads."""
        self._changes += 1
        self._asking.forget(channel)
        if channel is None:
            self._entries.clear()
        else:
            self._entries.pop(channel, None)

    def get_cached(self, channel: ChannelId, *, allow_stale: bool = False) -> bool | None:
        """Return whether this is a channel, without a call; None if it was not read, or not within the last seconds."""
        entry = self._entries.get(channel) if allow_stale else self._get_valid_entries([channel])[channel]
        return entry.is_channel if entry is not None else None

    async def read(self, channels: Iterable[ChannelId]) -> AsyncGenerator[Channel, None]:
        """Yield the channels among `channels`, read now, 50 a call, calls concurrently; other ids are left out."""
        ids = dict.fromkeys(channels)
        parts = batches(ids, limits.GROUP_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._read_batch, limit=self._concurrency, ordered=True)) as answers:
            async for found in answers:
                for channel in found:
                    yield channel

    async def fields(self, channels: Sequence[ChannelId]) -> dict[ChannelId, dict[str, str]]:
        """Return the custom fields of the channels among some ids, with a call only for ids that are not cached."""
        known = self._get_valid_entries(channels)
        unknown = [channel for channel, entry in known.items() if entry is None]
        size = limits.GROUP_INFO_PER_CALL
        parts = [unknown[start : start + size] for start in range(0, len(unknown), size)]
        async with aclosing(concurrently(parts, self._read_tags, limit=self._concurrency)) as answers:
            async for found in answers:
                known.update(found)
        return {channel: entry.fields for channel, entry in known.items() if entry is not None and entry.is_channel}

    async def require(self, channel: ChannelId) -> CacheEntry:
        """Return what is cached of a channel, its owner included. Raises NotFoundError if there is no such channel."""
        entry = self._entries.get(channel)
        if (
            entry is None
            or entry.read_at <= self.clock.monotonic() - self._seconds
            or not entry.owner_known
            or not entry.is_channel  # another process may have created it meanwhile
        ):
            entry = await self._asking.get(channel)
        if not entry.is_channel:
            raise no_such_channel(channel)
        return entry

    async def attributes(self, channel: ChannelId) -> Mapping[str, str]:
        """Return what the tag of a channel says besides that it is one. Raises NotFoundError."""
        entry = self._get_valid_entries([channel])[channel]
        if entry is None or not entry.is_channel:
            entry = await self.require(channel)
        return entry.attributes

    async def read_fields(self, group: ChannelId, fields: Sequence[str]) -> groups.GroupInfo:
        """Return these base fields of a group of any kind, read now. Raises NotFoundError if it does not exist."""
        item = await self._fetch_group_info(group, fields)
        if item.error_code in codes.NO_GROUP_CODES:
            raise no_such_channel(group)
        return item

    async def lookup(self, channel: ChannelId) -> ChannelLookup:
        """Return what this id belongs to, read now."""
        changes = self._changes
        item = await self._fetch_group_info(channel)
        tag = profiles.tag_of(profiles.fields_of(item), self.keys)
        return ChannelLookup(self._store_as_channel(item, changes), item.error_code not in codes.NO_GROUP_CODES, tag)

    def _get_valid_entries(self, channels: Iterable[ChannelId]) -> dict[ChannelId, CacheEntry | None]:
        """Return the valid entries of these groups."""
        oldest = self.clock.monotonic() - self._seconds
        cached = self._entries.get
        return {
            channel: entry if (entry := cached(channel)) is not None and entry.read_at > oldest else None
            for channel in channels
        }

    async def _read_batch(self, channels: Sequence[ChannelId]) -> list[Channel]:
        changes = self._changes
        found = [self._store_as_channel(item, changes) for item in await self._fetch_group_infos(channels)]
        return [channel for channel in found if channel is not None]

    async def _read_tags(self, channels: Sequence[ChannelId]) -> dict[ChannelId, CacheEntry]:
        changes = self._changes

        async def ask(some: Sequence[ChannelId]) -> list[groups.GroupTag]:
            request = profiles.info_request(some, self.keys, base=False)
            return (await self._caller.call(GET_GROUP_TAGS, request)).group_info

        items = await self._ask_until_settled(channels, ask)
        now = self.clock.monotonic()
        untagged = CacheEntry(False, {}, now)
        found = {
            ChannelId(item.group_id): self._make_entry(item, now) if item.app_defined_data else untagged
            for item in items
        }
        self._store_unless_changed(found, changes)
        return found

    async def _fetch_entry(self, channel: ChannelId) -> CacheEntry:
        changes = self._changes
        return self._store_entry(await self._fetch_group_info(channel), changes)

    async def _fetch_group_info(self, channel: ChannelId, fields: Sequence[str] | None = None) -> groups.GroupInfo:
        items = await self._fetch_group_infos([channel], fields)
        return items[0] if items else groups.GroupInfo(group_id=channel, error_code=codes.NO_SUCH_GROUP)

    async def _fetch_group_infos(
        self, channels: Sequence[ChannelId], fields: Sequence[str] | None = None
    ) -> list[groups.GroupInfo]:
        """Read groups: with these base fields and nothing else, or with all that a channel needs."""

        async def ask(some: Sequence[ChannelId]) -> list[groups.GroupInfo]:
            request = (
                profiles.info_request(some, self.keys) if fields is None else profiles.fields_request(some, fields)
            )
            return (await self._caller.call(GET_GROUP_INFO, request)).group_info

        return await self._ask_until_settled(channels, ask)

    async def _ask_until_settled(
        self, channels: Sequence[ChannelId], ask: Callable[[Sequence[ChannelId]], Awaitable[list[ItemT]]]
    ) -> list[ItemT]:
        """Return groups that were read or are certainly absent; ask again for one that failed for the moment."""
        items = {item.group_id: item for item in await ask(channels)}

        numbers = count(1)

        def failed() -> list[ItemT]:
            return [
                each for each in items.values() if each.error_code != 0 and each.error_code not in codes.NO_GROUP_CODES
            ]

        async def attempt() -> int:
            items.update({item.group_id: item for item in await ask([ChannelId(each.group_id) for each in failed()])})
            return next(numbers)

        def wait_after(number: int) -> float | None:
            left = failed()
            for item in left:
                row = look_up(GET_GROUP_INFO.service, GET_GROUP_INFO.name, item.error_code)
                if row.repeat not in TRANSIENT_CODES or number == AMBIGUOUS_ATTEMPTS:
                    raise item_error(GET_GROUP_INFO, item.error_code, item.error_info)
            return ITEM_BACKOFF.wait_after(number) if left else None

        if failed():
            await retry(next(numbers), attempt, wait_after, self.clock.sleep)
        return list(items.values())

    def _store_as_channel(self, item: groups.GroupInfo, changes: int) -> Channel | None:
        entry = self._store_entry(item, changes)
        if not entry.is_channel:
            return None
        return profiles.to_channel(ChannelId(item.group_id), item, entry.fields, self.keys)

    def _store_entry(self, item: groups.GroupInfo, changes: int) -> CacheEntry:
        entry = self._make_entry(item, self.clock.monotonic(), item)
        self._store_unless_changed({ChannelId(item.group_id): entry}, changes)
        return entry

    def _make_entry(
        self, item: groups.GroupInfo | groups.GroupTag, now: float, whole: groups.GroupInfo | None = None
    ) -> CacheEntry:
        """Return the entry for a group, with its owner if the `whole` group was read."""
        fields = profiles.fields_of(item)
        tag = profiles.tag_of(fields, self.keys) if item.error_code == 0 else None
        owner = UserId(whole.owner_account) if whole is not None and whole.owner_account else None
        return CacheEntry(tag is not None, fields, now, owner, whole is not None, (tag or _NO_TAG).attributes)

    def _store_unless_changed(self, found: dict[ChannelId, CacheEntry], changes: int) -> None:
        """Cache entries, unless something changed since the read began, and drop the oldest ones over the limit."""
        if changes != self._changes:
            return
        cache = self._entries
        for channel, entry in found.items():
            cache.pop(channel, None)
            cache[channel] = entry
        for channel in [*islice(cache, max(0, len(cache) - self._max_entries))]:
            del cache[channel]


class CommunityChannels:
    """Create, read, update and delete channels. Every method refuses groups that carry no tag."""

    def __init__(
        self, caller: Caller, cache: ChannelCache, options: BackendOptions, on_deleted: Callable[[ChannelId], None]
    ) -> None:
        """`on_deleted` drops what the backend has cached of a channel's posts."""
        self._caller = caller
        self._cache = cache
        self._on_deleted = on_deleted
        self._keys = options.field_keys
        self._limits = options.profile_limits
        self._changing: WeakValueDictionary[ChannelId, asyncio.Lock] = WeakValueDictionary()

    async def create(self, new: NewChannel) -> Channel:
        """Create a channel in three calls: create, close posting, read back.

        A channel that exists with the same values is finished if its creation was interrupted, and returned. Raises
        InvalidError for values over their limits, NotFoundError for an owner that is not an account, ConflictError if
        the id belongs to another group or to a channel with other values, ConfigurationError for custom group fields
        that are not declared in the console.
        """
        channel, profile = new.id, new.profile
        require_text(profile.name, "name", self._limits.name, empty=False)
        self.check(profile)
        request = profiles.create_request(channel, new.owner, profile, self._keys)
        try:
            await self._caller.call(CREATE_GROUP, request)
        except ChannelAdapterError as error:
            if error.code not in _ID_TAKEN_CODES:
                explained = profiles.explained(without_account(error, new.owner, "owner"), _sent_keys(request), profile)
                raise explained from (error if explained is not error else error.__cause__)
            existing = await self._require_same(new)
            if existing.complete:
                return existing
        finally:
            self._cache.forget(channel)
        try:
            await self._close_posting(channel)
        except ChannelAdapterError as error:
            raise type(error)(
                f"channel {channel} exists, but every subscriber can post in it: {error.message};"
                " create it again with the same slug, or let the doctor repair it",
                origin=error.origin,
            ) from error
        return (await self._require_channel(channel))[0]

    async def read(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the channels with these ids as they are now, 50 a call; other ids are left out."""
        async with aclosing(self._cache.read(channels)) as found:
            return {channel.id: channel async for channel in found}

    async def get(self, channel: ChannelId) -> Channel:
        """Return a channel as it is now. Raises NotFoundError, also for a group that is not a channel."""
        return (await self._require_channel(channel))[0]

    def check(self, change: ChannelProfile) -> None:
        """Raise InvalidError for values over their limits, and for custom data without enough custom group fields."""
        profiles.check_profile(change, self._keys, self._limits)

    async def update(self, channel: ChannelId, change: ChannelProfile) -> Channel:
        """Change the fields that differ, and return the channel. Raises InvalidError and NotFoundError."""
        self.check(change)
        if change.custom_data is None:
            return await self._change_profile(channel, change)
        async with self._changing_tag(channel):  # it counts the fields of custom data
            return await self._change_profile(channel, change)

    async def _change_profile(self, channel: ChannelId, change: ChannelProfile) -> Channel:
        current, tag = await self._require_channel(channel)
        difference = change.difference(current)
        if difference.is_empty():
            return current
        owned = current.owner is not None
        request = profiles.update_request(current.id, difference, self._keys, owned=owned, tag=tag)
        try:
            await self._caller.call(MODIFY_GROUP_BASE_INFO, request)
        except ChannelAdapterError as error:
            explained = profiles.explained(error, _sent_keys(request), difference)
            raise explained from (error if explained is not error else error.__cause__)
        finally:
            self._cache.forget(channel)
        return (await self._require_channel(channel))[0]

    async def delete(self, channel: ChannelId) -> bool:
        """Dissolve a channel; return False if it did not exist. Raises NotFoundError for another group."""
        found = await self._cache.lookup(channel)
        if found.channel is None:
            if found.taken:
                raise NotFoundError(f"{channel} is no channel, and nothing else is deleted here", field="channel")
            return False
        try:
            await self._caller.call(DESTROY_GROUP, groups.DestroyGroupRequest(group_id=channel))
        except NotFoundError as error:
            if error.code not in codes.NO_GROUP_CODES:
                raise
            return possibly_applied(error)  # by an earlier attempt of this call
        finally:
            self._cache.forget(channel)
            self._on_deleted(channel)
        return True

    async def finish(self, channel: ChannelId) -> bool:
        """Finish an interrupted creation; return False if the channel is complete. Raises NotFoundError."""
        if (await self._require_channel(channel))[0].complete:
            return False
        await self._close_posting(channel)
        return True

    async def all(self) -> AsyncGenerator[Channel, None]:
        """Yield every channel of the app once. The command behind it allows one call a second."""
        seen: set[ChannelId] = set()

        async def fetch(position: int) -> Page[ChannelId, int]:
            request = groups.GetAppidGroupListRequest(
                limit=limits.APP_GROUPS_PER_PAGE, next=position, group_type=groups.COMMUNITY
            )
            reply = await self._caller.call(GET_APPID_GROUP_LIST, request)
            found = [ChannelId(item.group_id) for item in reply.group_id_list]
            return Page(found, reply.next if reply.next and found else None)

        cursors: CursorLoopGuard[int] = CursorLoopGuard(GET_APPID_GROUP_LIST.name, UnavailableError)
        async with aclosing(read_pages(fetch, 0, cursors)) as pages:
            async for found in pages:
                new = [channel for channel in found if channel not in seen]
                seen.update(new)
                async with aclosing(self._cache.read(new)) as channels:
                    async for channel in channels:
                        yield channel

    async def adopt(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the channels with these ids: the service lists them by itself."""
        return await self.read(channels)

    async def require(self, channel: ChannelId) -> None:
        """Raise NotFoundError unless an id is a channel, with a call only if that is not cached."""
        await self._cache.require(channel)

    async def known(self, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return which ids are channels, with a call only for those that are not cached, 50 a call."""
        return frozenset(await self._cache.fields(channels))

    def cached(self, channel: ChannelId, *, allow_stale: bool = False) -> bool | None:
        """Return whether an id is a channel, without a call; None if that is not known."""
        return self._cache.get_cached(channel, allow_stale=allow_stale)

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is cached of one channel, or of all."""
        self._cache.forget(channel)

    async def classify(self, ids: Sequence[str]) -> dict[str, IdStatus]:
        """Return what these group ids are now, 50 a call.

        A Community without the tag was a channel if the tag field has another value, or if only owner and admins may
        post in it.
        """
        statuses: dict[str, IdStatus] = {}
        async for part in batches(ids, limits.GROUP_INFO_PER_CALL):
            request = profiles.info_request([ChannelId(each) for each in part], self._keys)
            items = {item.group_id: item for item in (await self._caller.call(GET_GROUP_INFO, request)).group_info}
            statuses |= {each: self._to_id_status(each, items.get(each)) for each in part}
        return statuses

    async def attributes(self, channel: ChannelId) -> Mapping[str, str]:
        """Return the attributes of a channel, which its tag carries. Cached. Raises NotFoundError."""
        return await self._cache.attributes(channel)

    async def set_attributes(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel; None removes one. The others stay.

        `suspended` also closes the group to users who join by themselves, in the same call. The service compares
        nothing when a tag is written: of two processes that change attributes of one channel concurrently, the later
        one may undo the change of the other. Raises NotFoundError, and InvalidError if the tag would exceed the size of
        a custom group field, 512 bytes.
        """
        async with self._changing_tag(channel):
            await self._change_attributes(channel, changes)

    def _changing_tag(self, channel: ChannelId) -> asyncio.Lock:
        """Return the lock of a channel: a part of its tag is changed by reading and writing the whole of it."""
        lock = self._changing.get(channel)
        if lock is None:
            lock = self._changing[channel] = asyncio.Lock()
        return lock

    async def _change_attributes(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        _, tag = await self._require_channel(channel)
        changed = (tag or Tag()).with_attributes(changes)
        size = byte_size(changed.text())
        if size > limits.GROUP_FIELD_VALUE_BYTES:
            raise InvalidError(
                f"the channel's tag would have {size} bytes; {limits.GROUP_FIELD_VALUE_BYTES} are allowed",
                field=next(iter(changes), None),
                limit=limits.GROUP_FIELD_VALUE_BYTES,
                size=size,
            )
        if changed == tag:
            return
        joining = changes[SUSPENDED] is None if SUSPENDED in changes else None
        request = profiles.retag_request(channel, changed, self._keys, joining=joining)
        try:
            await self._caller.call(MODIFY_GROUP_BASE_INFO, request)
        finally:
            self._cache.forget(channel)

    def _to_id_status(self, group: str, item: groups.GroupInfo | None) -> IdStatus:
        if item is None or item.error_code in codes.NO_GROUP_CODES:
            return IdStatus(IdKind.FREE)
        if item.error_code != codes.OK:
            return IdStatus(IdKind.UNCLEAR, f"{redact_text(item.error_info) or 'refused'} ({item.error_code})")
        fields = profiles.fields_of(item)
        if not group.startswith(limits.COMMUNITY_ID_PREFIX):
            return IdStatus(IdKind.OTHER)
        if profiles.is_channel(fields, self._keys):
            return IdStatus(IdKind.CHANNEL)
        was_channel = self._keys.tag in fields or profiles.posting_closed(item)
        return IdStatus(IdKind.WAS_CHANNEL if was_channel else IdKind.OTHER)

    async def _close_posting(self, channel: ChannelId) -> None:
        try:
            await self._caller.call(MODIFY_GROUP_BASE_INFO, profiles.close_posting(channel))
        finally:
            self._cache.forget(channel)

    async def _require_channel(self, channel: ChannelId) -> tuple[Channel, Tag | None]:
        found = await self._cache.lookup(channel)
        if found.channel is None:
            raise no_such_channel(channel)
        return found.channel, found.tag

    async def _require_same(self, new: NewChannel) -> Channel:
        """Return the channel that has the id, if it has the wanted values. Raises ConflictError."""
        found = (await self._cache.lookup(new.id)).channel
        if found is None:
            raise ConflictError(f"{new.id} belongs to a group that is no channel; choose another slug", field="slug")
        return require_same(new, found)


class ContactSenders:
    """The contacts of channels, which their tags name, as senders of one-to-one messages; without one the owner."""

    def __init__(self, cache: ChannelCache, channels: CommunityChannels, accounts: AccountBackend) -> None:
        self._cache = cache
        self._channels = channels
        self._accounts = accounts

    async def sender(self, channel: ChannelId) -> UserId:
        """Return the contact or the owner. Cached. Raises NotFoundError, also for a channel without either."""
        entry = await self._cache.require(channel)
        account = entry.attributes.get(CONTACT) or entry.owner
        if not account:
            raise NotFoundError(
                f"channel {channel} has neither a contact nor an owner to send messages", field="contact"
            )
        return UserId(account)

    async def set_contact(self, channel: ChannelId, account: UserId | None) -> None:
        """Set the contact, None removes it. Raises NotFoundError for the channel and for the account."""
        if account is not None and not (await self._accounts.check([account]))[account]:
            raise no_account(account, "contact")
        await self._channels.set_attributes(channel, {CONTACT: account})

    async def require(self, channel: ChannelId) -> None:
        """Raise NotFoundError if the channel does not exist."""
        self._cache.forget(channel)
        await self._cache.require(channel)

    def forget(self, channel: ChannelId) -> None:
        """Drop what is cached of the channel."""
        self._cache.forget(channel)


def no_such_channel(channel: ChannelId) -> NotFoundError:
    """Return the error for an id that is not a channel."""
    return NotFoundError(f"there is no channel {channel}", field="channel")


def _sent_keys(request: groups.CreateGroupRequest | groups.ModifyGroupBaseInfoRequest) -> list[str]:
    return [item.key for item in request.app_defined_data or ()]
