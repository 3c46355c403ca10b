"""A directory of channels made of their events: their names, their owners, when they last spoke.

It knows what it was told since it began. It also answers for a deleted channel, which the service cannot any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from cachetools import LRUCache

from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef

MOST: Final = 100_000
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownChannel:
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


class KnownChannels:
    """Learns from events of channels, in any order: of two that say the same thing the later one counts.

    Forgets the quietest channel first when there are too many.
    """

    def __init__(self, most: int = MOST) -> None:
        self._channels: LRUCache[ChannelId, tuple[KnownChannel, dict[str, datetime]]] = LRUCache(most)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[KnownChannel]:
        """Those that are not deleted, as they are now."""
        return iter([known for known, _ in self._channels.values() if known.deleted_at is None])

    def get(self, channel: ChannelId) -> KnownChannel | None:
        """What is known of a channel, a deleted one too."""
        known = self._channels.get(channel)
        return known[0] if known is not None else None

    def learn(self, event: e.ChannelEvent) -> None:
        """Take in what an event says. The channel must be one: nothing here asks for tags."""
        known, said_at = self._channels.get(event.channel) or (KnownChannel(id=event.channel), {})
        if isinstance(event, e.PostPublished):
            known = _with_post(known, event)
        at = event.at or _NEVER
        news = {name: value for name, value in _said(event).items() if at >= said_at.get(name, _NEVER)}
        self._channels[event.channel] = (replace(known, **news), {**said_at, **dict.fromkeys(news, at)})


def _with_post(known: KnownChannel, event: e.PostPublished) -> KnownChannel:
    """Posts have an order of their own; those without a place in history do not count."""
    ref = event.post.ref
    if event.online_only or (known.last_post is not None and known.last_post.seq >= ref.seq):
        return known
    return replace(known, last_post=ref, last_post_at=event.post.published_at or event.at)


def _said(event: e.ChannelEvent) -> dict[str, Any]:
    """The fields that an event is about, with their values since then."""
    match event:
        case e.ChannelCreated(name=name, owner=owner):
            return {"name": name, "owner": owner, "deleted_at": None}
        case e.ChannelChanged():
            changed = {name: getattr(event, name) for name in ("name", "introduction", "notification", "avatar")}
            return {name: value for name, value in changed.items() if value is not None}
        case e.OwnerChanged(new_owner=owner):
            return {"owner": owner}
        case e.ChannelDeleted(name=name, owner=owner, at=at):
            return {"name": name, "owner": owner, "deleted_at": at or _NEVER}
        case _:
            return {}
