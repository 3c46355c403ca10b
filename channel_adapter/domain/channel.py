"""A channel, what a caller may set of it, and what an id can be on the service."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from channel_adapter.domain.ids import ChannelId, UserId

CONTACT: Final = "contact"
"""Name of the attribute with the account that sends and receives one-to-one messages for a channel."""
DELETED_AT: Final = "deleted_at"
"""Name of the field of the registry with the time of a deletion, in Unix seconds; None while the channel exists."""
SUSPENDED: Final = "suspended"
"""Name of the attribute of a channel in which posting and subscribing are closed; its value is "1"."""
VERIFIED: Final = "verified"
"""Name of the attribute of a channel that the operator has verified; its value is "1"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel as it was when read.

    `subscriber_count` and `max_subscribers` leave the owner out. `custom_data_complete` is False when the data is
    spread over more custom fields than the settings name: `custom_data` is its beginning then. `complete` is False
    while a creation was interrupted before posting was closed to subscribers; creating again with the same slug, or
    the doctor, finishes it. `verified` and `suspended` are set by the operator of the app; `contact` is the account of
    one-to-one messages, None for the owner.
    """

    id: ChannelId
    slug: str
    name: str
    owner: UserId | None = None
    introduction: str = ""
    notification: str = ""
    avatar: str = ""
    organization: str = ""
    custom_data: str = ""
    custom_data_complete: bool = True
    subscriber_count: int = 0
    max_subscribers: int | None = None
    created_at: datetime | None = None
    last_post_at: datetime | None = None
    complete: bool = True
    verified: bool = False
    suspended: bool = False
    contact: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProfile:
    """What a caller may set. None leaves a field as it is, "" empties it."""

    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    avatar: str | None = None
    organization: str | None = None
    custom_data: str | None = None
    max_subscribers: int | None = None

    def is_empty(self) -> bool:
        """Return whether every field is None."""
        return not self.names()

    def names(self) -> list[str]:
        """Return the names of the fields that are not None."""
        return [each.name for each in fields(self) if getattr(self, each.name) is not None]

    def difference(self, channel: Channel) -> "ChannelProfile":
        """Return what of this profile the channel does not have yet."""
        changed = {name: value for name in self.names() if (value := getattr(self, name)) != getattr(channel, name)}
        if not channel.custom_data_complete:  # what was read is only its beginning
            changed["custom_data"] = self.custom_data
        return ChannelProfile(**changed)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel to be created."""

    id: ChannelId
    owner: UserId
    profile: ChannelProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """A channel as the directory has it: as last reported by webhooks, by this adapter, or by a refresh.

    `subscriber_count` is that of the last refresh, None before.
    """

    id: ChannelId
    slug: str
    name: str
    introduction: str = ""
    avatar: str = ""
    owner: UserId | None = None
    verified: bool = False
    categories: tuple[str, ...] = ()
    subscriber_count: int | None = None


class IdKind(StrEnum):
    """What an id is on the service."""

    FREE = "free"  # does not exist
    CHANNEL = "channel"
    WAS_CHANNEL = "was_channel"  # exists, and is not a channel any more
    OTHER = "other"  # exists, and never was a channel
    UNCLEAR = "unclear"  # could not be read


@dataclass(frozen=True, slots=True)
class IdStatus:
    """What an id belongs to; `reason` explains an unclear result."""

    kind: IdKind
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedChannel:
    """What an export has written to a folder.

    `without_content` counts recalled and expired posts, which are left out; `reactions` is None where they cannot be
    read. `resumed`: an earlier, interrupted run had begun it.
    """

    channel: ChannelId
    folder: str
    began_at: datetime
    subscribers: int
    posts: int
    without_content: int
    reactions: int | None
    resumed: bool = False


ObservedFields = Mapping[str, tuple[Any, float]]
"""Fields of a channel by name: the value, and when it was reported, in Unix seconds. Values are JSON."""


def merge_later(known: ObservedFields, reported: ObservedFields) -> ObservedFields:
    """Return the later report of each field."""
    later = {name: value for name, value in reported.items() if name not in known or value[1] >= known[name][1]}
    return {**known, **later}
