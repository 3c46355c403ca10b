"""One-to-one messages between the account of a channel and a user."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content

PeerId = UserId | ChannelId
"""An end of a one-to-one conversation: a user, or an official account."""


class Direction(StrEnum):
    """Who sent a message."""

    SENT = "sent"  # by the account of the channel
    RECEIVED = "received"  # by the user


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message between a channel and a user, by the key that the service gave it."""

    channel: ChannelId
    user: UserId
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it was when read. `read`: the user has read it, or for a received one the channel's account.

    A recalled message has no parts. `edited_at` is known from webhooks alone, and so is `read` for a message without a
    receipt of its own: the service stores neither with the message.
    """

    channel: ChannelId
    user: UserId
    key: str
    direction: Direction
    parts: tuple[Content, ...]
    sent_at: datetime | None
    edited_at: datetime | None = None
    recalled: bool = False
    read: bool = False

    @property
    def content(self) -> Content | None:
        """The first part; None for a recalled message."""
        return self.parts[0] if self.parts else None

    @property
    def ref(self) -> MessageRef:
        """The reference by which the message is edited and recalled."""
        return MessageRef(self.channel, self.user, self.key)


@dataclass(frozen=True, slots=True)
class SentBatch:
    """The outcomes of sending to a batch of users, and the messages that were sent."""

    result: BatchResult
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The messages between a channel and a user: the last one, and how many of the user's are unread."""

    channel: ChannelId
    user: UserId
    last: Message
    unread: int


@dataclass(frozen=True, slots=True)
class Contact:
    """The account that sends a channel's messages, and the other channels known to use the same account."""

    channel: ChannelId
    account: PeerId
    shared_with: tuple[ChannelId, ...] = ()
