"""A directory of channels built from their events: names, owners, last posts.

It knows what was reported since it began: with `database_url` since the first receiver of this app, else since this
process started. It also answers for a deleted channel, which the service no longer does.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache, TTLCache

from channel_adapter.config.extras import needs_store
from channel_adapter.domain import events as e
from channel_adapter.domain.channel import DELETED_AT, ObservedFields, merge_later
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef

if TYPE_CHECKING:
    from channel_adapter.store.channel_registry import ChannelRows

MAX_CHANNELS: Final = 100_000
"""Channels in memory; the least recently observed is forgotten first."""
_UNKNOWN_SECONDS: Final = 30.0  # another receiver may write the missing row


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedChannel:
    """What events reported of one channel; None is what none of them reported."""

    id: ChannelId
    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    avatar: str | None = None
    owner: UserId | None = None
    last_post: PostRef | None = None
    last_post_at: datetime | None = None
    deleted_at: datetime | None = None


_OBSERVED: Final = frozenset(field.name for field in dataclass_fields(ObservedChannel))
"""Fields of the registry that events report; the directory adds others."""


class ChannelRegistry:
    """Collects what events of channels report, in any order: of two reports of one field the later one counts.

    The last post is known to this process alone: it is not written for every post.
    """

    def __init__(self, rows: "ChannelRows | None" = None, *, max_channels: int = MAX_CHANNELS) -> None:
        self._rows = rows
        self._fields: LRUCache[ChannelId, ObservedFields] = LRUCache(max_channels)
        self._posts: LRUCache[ChannelId, e.PostPublished] = LRUCache(max_channels)
        self._unknown: TTLCache[ChannelId, bool] = TTLCache(max_channels, _UNKNOWN_SECONDS)  # without a row

    async def __aiter__(self) -> AsyncIterator[ObservedChannel]:
        """Yield the channels that are not deleted."""
        if self._rows is not None:
            async for channel, fields in self._rows.existing():
                yield self._to_observed_channel(channel, fields)
            return
        for channel, fields in list(self._fields.items()):
            if fields.get(DELETED_AT, (None, 0.0))[0] is None:
                yield self._to_observed_channel(channel, fields)

    async def get(self, channel: ChannelId) -> ObservedChannel | None:
        """Return what is known of a channel, also of a deleted one; with a database, by all its receivers."""
        if self._rows is None:
            fields = self._fields.get(channel)
        elif channel in self._unknown:
            fields = None
        else:
            fields = await self._rows.get(channel)
            if fields is None:
                self._unknown[channel] = True
        return None if fields is None else self._to_observed_channel(channel, fields)

    async def observe(self, event: e.ChannelEvent) -> None:
        """Add what an event of a channel reports. The caller has checked that it is about a channel.

        A deletion that is not confirmed may be about another kind of group, and is ignored.
        """
        if isinstance(event, e.ChannelDeleted) and not event.confirmed:
            return
        if isinstance(event, e.PostPublished) and not event.online_only:
            last = self._posts.get(event.channel)
            if last is None or _post_position(event) > _post_position(last):
                self._posts[event.channel] = event
        self._unknown.pop(event.channel, None)
        at = event.at.timestamp() if event.at is not None else 0.0
        fields: ObservedFields = {name: (value, at) for name, value in _reported_fields(event).items()}
        if self._rows is not None and (fields or event.channel not in self._fields):
            fields = await self._rows.merge(event.channel, fields)
        self._fields[event.channel] = merge_later(self._fields.get(event.channel, {}), fields)

    async def aclose(self) -> None:
        """Close the connections to the database, if there are any."""
        if self._rows is not None:
            await self._rows.close()

    def _to_observed_channel(self, channel: ChannelId, fields: ObservedFields) -> ObservedChannel:
        values: dict[str, Any] = {name: value for name, (value, _) in fields.items() if name in _OBSERVED}
        if values.get(DELETED_AT) is not None:
            values[DELETED_AT] = datetime.fromtimestamp(values[DELETED_AT], UTC)
        last = self._posts.get(channel)
        if last is not None:
            values |= {"last_post": last.post.ref, "last_post_at": last.post.published_at or last.at}
        return ObservedChannel(id=channel, **values)


def open_channel_registry(database_url: str | None) -> ChannelRegistry:
    """Return the registry of an app; connections open when first used. Raises ConfigurationError without the extra."""
    if database_url is None:
        return ChannelRegistry()
    with needs_store(database_url):
        from channel_adapter.store.channel_registry import ChannelRows  # noqa: PLC0415 - an extra
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
    return ChannelRegistry(ChannelRows(Database.shared(database_url)))


def _post_position(event: e.PostPublished) -> tuple[float, PostRef]:
    """Return the place of a post, by time first: a channel that is deleted and created again starts at number 1."""
    at = event.post.published_at or event.at
    return (at.timestamp() if at is not None else 0.0), event.post.ref


def _reported_fields(event: e.ChannelEvent) -> dict[str, Any]:
    """Return the fields that an event is about, with their values after it."""
    match event:
        case e.ChannelCreated(name=name, owner=owner):
            return {"name": name, "owner": owner, DELETED_AT: None}
        case e.ChannelChanged():
            changed = {name: getattr(event, name) for name in ("name", "introduction", "notification", "avatar")}
            return {name: value for name, value in changed.items() if value is not None}
        case e.OwnerChanged(new_owner=owner):
            return {"owner": owner}
        case e.ChannelDeleted(name=name, owner=owner, at=at):
            return {"name": name, "owner": owner, DELETED_AT: at.timestamp() if at is not None else 0.0}
        case _:
            return {}
