"""A directory of channels made of their events: their names, their owners, when they last spoke.

It knows what it was told since it began: with `database_url` since the first receiver of this app, else since this
process started. It also answers for a deleted channel, which the service cannot any more.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache, TTLCache

from channel_adapter.config.extras import needs_store
from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef

if TYPE_CHECKING:
    from channel_adapter.store.channel_registry import ChannelRows, ObservedFields


MOST: Final = 100_000
"""Channels in memory; the quietest is forgotten first."""
DELETED: Final = "deleted_at"
_UNKNOWN_SECONDS: Final = 30.0  # another receiver may write the row that was looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedChannel:
    """What events said of one channel; None is what none of them has said."""

    id: ChannelId
    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    avatar: str | None = None
    owner: UserId | None = None
    last_post: PostRef | None = None
    last_post_at: datetime | None = None
    deleted_at: datetime | None = None


class ChannelRegistry:
    """Learns from events of channels, in any order: of two that say the same thing the later one counts.

    The last post is known to this process alone: not every post is worth a row.
    """

    def __init__(self, rows: "ChannelRows | None" = None, *, most: int = MOST) -> None:
        self._rows = rows
        self._said: LRUCache[ChannelId, ObservedFields] = LRUCache(most)
        self._posts: LRUCache[ChannelId, e.PostPublished] = LRUCache(most)
        self._unknown: TTLCache[ChannelId, bool] = TTLCache(most, _UNKNOWN_SECONDS)  # no row when it was looked for

    async def __aiter__(self) -> AsyncIterator[ObservedChannel]:
        """Those that are not deleted, as they are now."""
        if self._rows is not None:
            async for channel, said in self._rows.present():
                yield self._built(channel, said)
            return
        for channel, said in list(self._said.items()):
            if said.get(DELETED, (None, 0.0))[0] is None:
                yield self._built(channel, said)

    async def get(self, channel: ChannelId) -> ObservedChannel | None:
        """What is known of a channel, a deleted one too; where there are rows, also what other receivers know."""
        if self._rows is None:
            said = self._said.get(channel)
        elif channel in self._unknown:
            said = None
        else:
            said = await self._rows.get(channel)
            if said is None:
                self._unknown[channel] = True
        return None if said is None else self._built(channel, said)

    async def learn(self, event: e.ChannelEvent) -> None:
        """Take in what an event says. The channel must be one: nothing here asks for tags.

        A deletion that is not confirmed may be another kind of group's, and is left out.
        """
        if isinstance(event, e.ChannelDeleted) and not event.confirmed:
            return
        if isinstance(event, e.PostPublished) and not event.online_only:
            last = self._posts.get(event.channel)
            if last is None or _place(event) > _place(last):
                self._posts[event.channel] = event
        self._unknown.pop(event.channel, None)
        at = event.at.timestamp() if event.at is not None else 0.0
        news: ObservedFields = {name: (value, at) for name, value in _said(event).items()}
        if self._rows is not None and (news or event.channel not in self._said):
            news = await self._rows.merge(event.channel, news)
        self._said[event.channel] = _later(self._said.get(event.channel, {}), news)

    async def aclose(self) -> None:
        """Close the connections to the database, if there are any."""
        if self._rows is not None:
            await self._rows.close()

    def _built(self, channel: ChannelId, said: "ObservedFields") -> ObservedChannel:
        fields: dict[str, Any] = {name: value for name, (value, _) in said.items()}
        if fields.get(DELETED) is not None:
            fields[DELETED] = datetime.fromtimestamp(fields[DELETED], UTC)
        last = self._posts.get(channel)
        if last is not None:
            fields |= {"last_post": last.post.ref, "last_post_at": last.post.published_at or last.at}
        return ObservedChannel(id=channel, **fields)


def open_channel_registry(database_url: str | None) -> ChannelRegistry:
    """The directory of an app; nothing is opened before it is used. Raises ConfigurationError without the extra."""
    if database_url is None:
        return ChannelRegistry()
    with needs_store(database_url):
        from channel_adapter.store.channel_registry import ChannelRows  # noqa: PLC0415 - an extra
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
    return ChannelRegistry(ChannelRows(Database.shared(database_url), deleted=DELETED))


def _place(event: e.PostPublished) -> tuple[float, PostRef]:
    """By time first: in a channel that was deleted and made again the numbers begin anew."""
    at = event.post.published_at or event.at
    return (at.timestamp() if at is not None else 0.0), event.post.ref


def _later(known: "ObservedFields", news: "ObservedFields") -> "ObservedFields":
    """Each field as it was said last."""
    return {**known, **{name: told for name, told in news.items() if name not in known or told[1] >= known[name][1]}}


def _said(event: e.ChannelEvent) -> dict[str, Any]:
    """The fields that an event is about, with their values since then."""
    match event:
        case e.ChannelCreated(name=name, owner=owner):
            return {"name": name, "owner": owner, DELETED: None}
        case e.ChannelChanged():
            changed = {name: getattr(event, name) for name in ("name", "introduction", "notification", "avatar")}
            return {name: value for name, value in changed.items() if value is not None}
        case e.OwnerChanged(new_owner=owner):
            return {"owner": owner}
        case e.ChannelDeleted(name=name, owner=owner, at=at):
            return {"name": name, "owner": owner, DELETED: at.timestamp() if at is not None else 0.0}
        case _:
            return {}
