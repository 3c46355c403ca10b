"""What happened: events of channels as webhooks tell them, whoever caused them, on a phone or on a server.

`at` is the service's time. `by` is who did it, None where the service does not say. `own` marks the echo of a call that
this adapter made itself, as far as `by` can tell: nobody deletes a channel, sends a broadcast or sets a reaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content, Post, PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.domain.subscription import Role


class Platform(StrEnum):
    """Where something was done."""

    SERVER = "server"  # by a call of a server: this adapter, another program, the console
    ANDROID = "android"
    IOS = "ios"
    IPAD = "ipad"
    WEB = "web"
    WINDOWS = "windows"
    MAC = "mac"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    at: datetime | None = None
    platform: Platform = Platform.UNKNOWN
    by: UserId | None = None
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEvent(Event):
    """Base of the events of one channel."""

    channel: ChannelId


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed(ChannelEvent):
    """People came: by themselves, or `invited`, which is also what the server's adding is called."""

    users: tuple[UserId, ...]
    invited: bool = False


class Departure(StrEnum):
    """How somebody went."""

    LEFT = "left"
    REMOVED = "removed"  # by a person or by the server, whose unsubscribing looks the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribed(ChannelEvent):
    """People went."""

    users: tuple[UserId, ...]
    reason: Departure = Departure.LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCreated(ChannelEvent):
    """A channel was made; `users` were in it from the start."""

    name: str = ""
    owner: UserId | None = None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChanged(ChannelEvent):
    """The profile was changed; None is what stayed. Changes of other fields are not told by the service."""

    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    avatar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDeleted(ChannelEvent):
    """A channel is gone. Without `confirmed` nobody here knew it: it may have been another kind of group."""

    name: str = ""
    owner: UserId | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFull(ChannelEvent):
    """A channel has as many subscribers as it may; told again whenever somebody does not get in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublished(ChannelEvent):
    """A post was delivered. `online_only` posts have no place in history; `app_data` is what the app attached."""

    post: Post
    online_only: bool = False
    app_data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEdited(ChannelEvent):
    """A post says something else now. Clients of the service let every member edit every post: look who it was."""

    ref: PostRef
    parts: tuple[Content, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRecalled(ChannelEvent):
    """Posts were taken back."""

    refs: tuple[PostRef, ...]


class Loss(StrEnum):
    """How a post got lost."""

    FAILED = "failed"  # the service says why
    VANISHED = "vanished"  # it was asked about, allowed, and never came: too many posts at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLost(ChannelEvent):
    """A post was not delivered, whatever its author was told. `code` and `text` are the service's, for FAILED."""

    author: UserId | None
    parts: tuple[Content, ...]
    dedupe: int | None = None
    reason: Loss = Loss.FAILED
    code: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionChanged(ChannelEvent):
    """People's reactions to a post are other ones now. `cleared`: all that were older than `version` are gone."""

    ref: PostRef
    changes: tuple[ReactionChange, ...]
    version: int = 0
    cleared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(ChannelEvent):
    """Somebody became an admin, or is none any more."""

    user: UserId
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChanged(ChannelEvent):
    """A channel belongs to somebody else."""

    old_owner: UserId | None
    new_owner: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class RateAlarm(Event):
    """A command is called at over 80 % of what the app may; both figures are calls per second."""

    service: str
    command: str
    calls: int
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountEvent(Event):
    """Base of the events of official accounts, which channels replace."""

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountCreated(OfficialAccountEvent):
    """An official account was made."""

    name: str = ""
    owner: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountChanged(OfficialAccountEvent):
    """Its profile was changed; None is what stayed."""

    name: str | None = None
    introduction: str | None = None
    avatar: str | None = None
    organization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountDeleted(OfficialAccountEvent):
    """An official account is gone."""

    name: str = ""
    owner: UserId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountSubscribed(OfficialAccountEvent):
    """People follow it now."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountUnsubscribed(OfficialAccountEvent):
    """People do not follow it any more; the service does not say whether by themselves."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialAccountFull(OfficialAccountEvent):
    """It has as many subscribers as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPostPublished(OfficialAccountEvent):
    """A broadcast was delivered; `key` is its name in the account's history."""

    key: str
    parts: tuple[Content, ...]
    published_at: datetime | None = None
    online_only: bool = False
    app_data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPostRecalled(OfficialAccountEvent):
    """Broadcasts were taken back."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Event):
    """Something documented that is about no channel, or no event of one. `about` is the group, "" where there is none.

    `body` is the service's own JSON.
    """

    command: str
    about: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """A command that is not documented here, or a body that is not as documented: kept raw."""

    command: str
    body: Mapping[str, Any] = field(default_factory=dict)
