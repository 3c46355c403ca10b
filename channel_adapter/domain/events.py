"""Events of channels as webhooks report them, caused by client apps or servers.

`at` is the service's time. `by` is the user who caused it, None if the service does not report one. `own` marks the
echo of a call of this adapter, as far as `by` identifies it: the service reports no user for deleted channels,
broadcasts and reactions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Direction, MessageRef, PeerId
from channel_adapter.domain.post import Content, Post, PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.domain.subscription import Role


class Platform(StrEnum):
    """Platform on which something was done."""

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
    """Base of the events of one channel.

    `other_mode`: it is about a channel of the mode that this adapter does not use, such as an official account beside
    Communities during a migration. Only handlers that are registered with `other_mode=True` get it.
    """

    channel: ChannelId
    other_mode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed(ChannelEvent):
    """Users subscribed: on their own, or `invited`, which the service also reports if a server adds them."""

    users: tuple[UserId, ...]
    invited: bool = False


class Departure(StrEnum):
    """How a user's subscription ended."""

    LEFT = "left"
    REMOVED = "removed"  # by an admin or by a server; the service reports both alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribed(ChannelEvent):
    """Users unsubscribed or were removed."""

    users: tuple[UserId, ...]
    reason: Departure = Departure.LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCreated(ChannelEvent):
    """A channel was created; `users` are its first members."""

    name: str = ""
    owner: UserId | None = None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChanged(ChannelEvent):
    """The profile was changed; None for fields that did not change. The service reports no other fields."""

    name: str | None = None
    introduction: str | None = None
    notification: str | None = None
    avatar: str | None = None
    organization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDeleted(ChannelEvent):
    """A channel was deleted. Not `confirmed`: it is unknown here, and may have been another kind of group."""

    name: str = ""
    owner: UserId | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFull(ChannelEvent):
    """A channel has its maximum of subscribers; reported again for every user who cannot subscribe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPublished(ChannelEvent):
    """A post was published. `online_only` posts are not in history; `app_data` is what the app attached."""

    post: Post
    online_only: bool = False
    app_data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEdited(ChannelEvent):
    """A post was edited. Client SDKs of the service let every member edit every post: check `by`."""

    ref: PostRef
    parts: tuple[Content, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRecalled(ChannelEvent):
    """Posts were recalled."""

    refs: tuple[PostRef, ...]


class Loss(StrEnum):
    """How a post was lost."""

    FAILED = "failed"  # the service reports why
    VANISHED = "vanished"  # it was announced and allowed, and never arrived: too many posts a second


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLost(ChannelEvent):
    """A post was not delivered, though its author may see success. `code` and `text` of the service, for FAILED."""

    author: UserId | None
    parts: tuple[Content, ...]
    dedupe: int | None = None
    reason: Loss = Loss.FAILED
    code: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionChanged(ChannelEvent):
    """Reactions of users to a post changed. `cleared`: all that were older than `version` were removed."""

    ref: PostRef
    changes: tuple[ReactionChange, ...]
    version: int = 0
    cleared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(ChannelEvent):
    """A user became an admin, or is an admin no longer."""

    user: UserId
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChanged(ChannelEvent):
    """A channel has another owner."""

    old_owner: UserId | None
    new_owner: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent(Event):
    """Base of the events of one-to-one messages between a user and the account of a channel.

    `channel` is None if the account is the contact of several channels. `other_mode` as for the events of channels.
    """

    account: PeerId
    user: UserId
    channel: ChannelId | None
    other_mode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage(MessageEvent):
    """Base of the events of a message that was sent. `online_only` messages are stored nowhere."""

    key: str
    parts: tuple[Content, ...]
    sent_at: datetime | None
    online_only: bool = False
    app_data: str = ""

    @property
    def ref(self) -> MessageRef | None:
        """The reference of the message; None if the account is the contact of several channels."""
        return None if self.channel is None else MessageRef(self.channel, self.user, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(NewMessage):
    """A user wrote to the account of a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(NewMessage):
    """The account of a channel wrote to a user: by this adapter, another server, or a client app.

    The service reports no event for messages of `messages.send_many`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRead(MessageEvent):
    """Messages of one direction were read: SENT ones by the user, RECEIVED ones by the account.

    All that were sent up to `until`, or without it those with `keys`.
    """

    direction: Direction
    until: datetime | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecalled(MessageEvent):
    """A message was recalled by its sender or by a server."""

    direction: Direction
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited(MessageEvent):
    """A message was edited; `app_data` is what the app attached."""

    direction: Direction
    key: str
    parts: tuple[Content, ...]
    app_data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllRead(Event):
    """A user marked everything as read in a client app: all one-to-one messages, and posts up to these numbers."""

    user: UserId
    posts: tuple[PostRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RateAlarm(Event):
    """A command is called at over 80 % of the allowed rate; both numbers are calls per second."""

    service: str
    command: str
    calls: int
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Event):
    """A documented webhook that is not about a channel, or is no event of one. `about` is the group, "" without one.

    `body` is the JSON of the service.
    """

    command: str
    about: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """An undocumented command, or a body that is not as documented; `body` is the JSON of the service."""

    command: str
    body: Mapping[str, Any] = field(default_factory=dict)
