"""Which groups are channels: the tag, read in batches and remembered for a while."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.single_flight import SingleFlight
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import NotFoundError
from channel_adapter.mapping import channel_group
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.tag import Tag
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_GROUP_INFO
from channel_adapter.tencent.codes import look_up
from channel_adapter.tencent.retry import FIRST_WAIT, GROWTH, UNCLEAR_ATTEMPTS
from channel_adapter.tencent.wire import groups

GET_GROUP_TAGS = GET_GROUP_INFO.read_as(groups.GroupTagsReply)

ABSENT = frozenset({codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID})
PASSING: Final = frozenset({codes.Again.IF_REPEATABLE, codes.Again.AFTER_WAIT})
"""What the rows of error codes say of trouble that passes."""

ItemT = TypeVar("ItemT", groups.GroupInfo, groups.GroupTag)


class Entry(NamedTuple):
    """What is remembered of a group: is it a channel, its custom fields, and its owner where that was read."""

    is_channel: bool
    fields: dict[str, str]
    read_at: float
    owner: UserId | None = None
    owner_known: bool = False


class Found(NamedTuple):
    """What stands under an id: a channel and its tag, or nothing of ours; `taken` says whether any group has the id."""

    channel: Channel | None
    taken: bool
    tag: Tag | None


class Directory:
    """Reads channels and remembers their tags.

    An answer is believed for `seconds`; a change made by another process is seen after that, one made here at once.
    """

    def __init__(
        self, gateway: Gateway, keys: FieldKeys, *, seconds: float, entries: int, concurrency: int, clock: Clock
    ) -> None:
        self.keys = keys
        self._gateway = gateway
        self._concurrency = concurrency
        self._seconds = seconds
        self._clock = clock
        self._cache: dict[ChannelId, Entry] = {}  # in the order of reading: what was read first ends first
        self._entries = entries
        self._asking: SingleFlight[ChannelId, Entry] = SingleFlight(self._ask)
        self._changes = 0  # a read that began before the latest one may know less, and is not remembered

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is remembered of one group, or of all, and what reads under way would remember."""
        self._changes += 1
        self._asking.forget(channel)
        if channel is None:
            self._cache.clear()
        else:
            self._cache.pop(channel, None)

    def remembered(self, channel: ChannelId, *, however_old: bool = False) -> bool | None:
        """Is this a channel, as far as is known without asking? None: not known, or not believed any more."""
        entry = self._cache.get(channel) if however_old else self._remembered([channel])[channel]
        return entry.is_channel if entry is not None else None

    async def read(self, channels: Iterable[ChannelId]) -> AsyncGenerator[Channel, None]:
        """The channels among `channels`, read now, 50 a call and several calls at once; others are left out."""
        ids = dict.fromkeys(channels)
        parts = batches(ids, limits.GROUP_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._read_batch, limit=self._concurrency, ordered=True)) as answers:
            async for found in answers:
                for channel in found:
                    yield channel

    async def fields(self, channels: Sequence[ChannelId]) -> dict[ChannelId, dict[str, str]]:
        """Custom fields of the channels among `channels`; asks the service only for groups it does not remember."""
        known = self._remembered(channels)
        unknown = [channel for channel, entry in known.items() if entry is None]
        size = limits.GROUP_INFO_PER_CALL
        parts = [unknown[start : start + size] for start in range(0, len(unknown), size)]
        async with aclosing(concurrently(parts, self._read_tags, limit=self._concurrency)) as answers:
            async for found in answers:
                known.update(found)
        return {channel: entry.fields for channel, entry in known.items() if entry is not None and entry.is_channel}

    async def require(self, channel: ChannelId) -> Entry:
        """What is remembered of a channel, its owner included. Raises NotFoundError when it is no channel of ours."""
        entry = self._remembered([channel])[channel]
        if entry is None or (entry.is_channel and not entry.owner_known):
            entry = await self._asking.get(channel)
        if not entry.is_channel:
            raise no_such_channel(channel)
        return entry

    async def lookup(self, channel: ChannelId) -> Found:
        """What stands under this id, read now."""
        changes = self._changes
        item = await self._one(channel)
        tag = channel_group.tag_of(channel_group.fields_of(item), self.keys)
        return Found(self._channel(item, changes), item.error_code not in ABSENT, tag)

    def _remembered(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Entry | None]:
        """What was read of these groups and is still believed."""
        oldest = self._clock.monotonic() - self._seconds
        cached = self._cache.get
        return {
            channel: entry if (entry := cached(channel)) is not None and entry.read_at > oldest else None
            for channel in channels
        }

    async def _read_batch(self, channels: Sequence[ChannelId]) -> list[Channel]:
        changes = self._changes
        found = [self._channel(item, changes) for item in await self._info(channels)]
        return [channel for channel in found if channel is not None]

    async def _read_tags(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Entry]:
        changes = self._changes

        async def ask(some: Sequence[ChannelId]) -> list[groups.GroupTag]:
            request = channel_group.info_request(some, self.keys, base=False)
            return (await self._gateway.call(GET_GROUP_TAGS, request)).group_info

        items = await self._settled(channels, ask)
        now = self._clock.monotonic()
        untagged = Entry(False, {}, now)
        found = {
            ChannelId(item.group_id): self._entry(item, now) if item.app_defined_data else untagged for item in items
        }
        self._keep(found, changes)
        return found

    async def _ask(self, channel: ChannelId) -> Entry:
        changes = self._changes
        return self._remember(await self._one(channel), changes)

    async def _one(self, channel: ChannelId) -> groups.GroupInfo:
        items = await self._info([channel])
        return items[0] if items else groups.GroupInfo(group_id=channel, error_code=codes.NO_SUCH_GROUP)

    async def _info(self, channels: Sequence[ChannelId]) -> list[groups.GroupInfo]:
        async def ask(some: Sequence[ChannelId]) -> list[groups.GroupInfo]:
            request = channel_group.info_request(some, self.keys)
            return (await self._gateway.call(GET_GROUP_INFO, request)).group_info

        return await self._settled(channels, ask)

    async def _settled(
        self, channels: Sequence[ChannelId], ask: Callable[[Sequence[ChannelId]], Awaitable[list[ItemT]]]
    ) -> list[ItemT]:
        """Groups that were read or are surely absent; one that failed for the moment is asked for again."""
        items = {item.group_id: item for item in await ask(channels)}
        attempt = 1
        while failed := [item for item in items.values() if item.error_code != 0 and item.error_code not in ABSENT]:
            for item in failed:
                passing = look_up(GET_GROUP_INFO.service, GET_GROUP_INFO.name, item.error_code).again in PASSING
                if not passing or attempt == UNCLEAR_ATTEMPTS:
                    raise self._gateway.item_error(GET_GROUP_INFO, item.error_code, item.error_info)
            await self._clock.sleep(FIRST_WAIT * GROWTH ** (attempt - 1))
            attempt += 1
            items |= {item.group_id: item for item in await ask([ChannelId(item.group_id) for item in failed])}
        return list(items.values())

    def _channel(self, item: groups.GroupInfo, changes: int) -> Channel | None:
        entry = self._remember(item, changes)
        if not entry.is_channel:
            return None
        return channel_group.to_channel(ChannelId(item.group_id), item, entry.fields, self.keys)

    def _remember(self, item: groups.GroupInfo, changes: int) -> Entry:
        entry = self._entry(item, self._clock.monotonic(), item)
        self._keep({ChannelId(item.group_id): entry}, changes)
        return entry

    def _entry(
        self, item: groups.GroupInfo | groups.GroupTag, now: float, whole: groups.GroupInfo | None = None
    ) -> Entry:
        """What is to be remembered of a group, and of its owner where the `whole` group was read."""
        fields = channel_group.fields_of(item)
        ours = item.error_code == 0 and channel_group.is_channel(fields, self.keys)
        owner = UserId(whole.owner_account) if whole is not None and whole.owner_account else None
        return Entry(ours, fields, now, owner, whole is not None)

    def _keep(self, found: dict[ChannelId, Entry], changes: int) -> None:
        """Remember it, unless something changed since the reading began; what is too much goes, the oldest first."""
        if changes != self._changes:
            return
        cache = self._cache
        for channel, entry in found.items():
            cache.pop(channel, None)
            cache[channel] = entry
        for channel in [*islice(cache, max(0, len(cache) - self._entries))]:
            del cache[channel]


def no_such_channel(channel: ChannelId) -> NotFoundError:
    return NotFoundError(f"there is no channel {channel}", field="channel")
