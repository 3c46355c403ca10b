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
    changed_at: datetime | None = None
    deleted_at: datetime | None = None


class KnownChannels:
    """Learns from events of channels; from late ones only what no later one said. Forgets the quietest first."""

    def __init__(self, most: int = MOST) -> None:
        self._channels: LRUCache[ChannelId, KnownChannel] = LRUCache(most)

    def __len__(self) -> int:
        return len(self._channels)

    def __iter__(self) -> Iterator[KnownChannel]:
        """Those that are not deleted, as they are now."""
        return iter([known for known in self._channels.values() if known.deleted_at is None])

    def get(self, channel: ChannelId) -> KnownChannel | None:
        """What is known of a channel, a deleted one too."""
        return self._channels.get(channel)

    def learn(self, event: e.ChannelEvent) -> None:
        """Take in what an event says. The channel must be one: nothing here asks for tags."""
        known = self._channels.get(event.channel) or KnownChannel(id=event.channel)
        self._channels[event.channel] = _after(known, event)


def _after(known: KnownChannel, event: e.ChannelEvent) -> KnownChannel:
    match event:
        case e.PostPublished(online_only=False, post=post):
            if known.last_post is not None and known.last_post.seq >= post.ref.seq:
                return known
            return replace(known, last_post=post.ref, last_post_at=post.published_at or event.at)
        case e.ChannelCreated() | e.ChannelChanged() | e.OwnerChanged() | e.ChannelDeleted():
            return _profile(known, event, late=(event.at or _NEVER) < (known.changed_at or _NEVER))
        case _:
            return known


def _profile(
    known: KnownChannel,
    event: e.ChannelCreated | e.ChannelChanged | e.OwnerChanged | e.ChannelDeleted,
    *,
    late: bool,
) -> KnownChannel:
    """`late`: another change came first that was made afterwards; this one fills gaps and overrides nothing."""
    said = {name: value for name, value in _said(event).items() if value is not None}
    if late:
        said = {name: value for name, value in said.items() if getattr(known, name) is None}
    changed_at = max(event.at or _NEVER, known.changed_at or _NEVER)
    if isinstance(event, e.ChannelDeleted):
        return known if late else replace(known, **said, deleted_at=changed_at, changed_at=changed_at)
    made_again = isinstance(event, e.ChannelCreated) and not late
    return replace(known, **said, deleted_at=None if made_again else known.deleted_at, changed_at=changed_at)


def _said(event: e.ChannelCreated | e.ChannelChanged | e.OwnerChanged | e.ChannelDeleted) -> dict[str, Any]:
    match event:
        case e.OwnerChanged(new_owner=owner):
            return {"owner": owner}
        case e.ChannelChanged():
            return {name: getattr(event, name) for name in ("name", "introduction", "notification", "avatar")}
        case _:
            return {"name": event.name or None, "owner": event.owner}
