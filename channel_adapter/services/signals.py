"""What services report to other parts of the same process."""

from dataclasses import dataclass, field

from channel_adapter.concurrency.signals import Signal
from channel_adapter.domain.events import AllRead, ChannelEvent, MessageEvent, RateAlarm
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Broadcast, Post, PostRef
from channel_adapter.errors import InvalidError, NotFoundError, OutcomeUnknownError, ThrottledError, UnavailableError


def severity(error: Exception) -> int:
    """Return a higher number for errors that repeating may change: they must not be hidden by one that it does not."""
    if isinstance(error, UnavailableError | ThrottledError | OutcomeUnknownError):
        return 2
    return 0 if isinstance(error, InvalidError | NotFoundError) else 1


@dataclass(frozen=True, slots=True)
class UsersLeft:
    """Users who are no longer subscribed to a channel."""

    channel: ChannelId
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class ContactChange:
    """A channel is to have another account for one-to-one messages; "" is its owner."""

    channel: ChannelId
    account: str


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one adapter. A listener of `post_published` may return a Broadcast for `Post.broadcast`.

    `channel_event` is what webhooks report of channels, `channel_changed` what this adapter has changed itself:
    OwnerChanged, RoleChanged, ChannelChanged.
    """

    post_published: Signal[Post, Broadcast | None] = field(default_factory=lambda: Signal("post published", severity))
    post_recalled: Signal[PostRef, None] = field(default_factory=lambda: Signal("post recalled", severity))
    channel_deleted: Signal[ChannelId, None] = field(default_factory=lambda: Signal("channel deleted", severity))
    contact_changed: Signal[ContactChange, None] = field(default_factory=lambda: Signal("contact changed", severity))
    message_event: Signal[MessageEvent | AllRead, None] = field(
        default_factory=lambda: Signal("message event", severity)
    )
    channel_event: Signal[ChannelEvent, None] = field(default_factory=lambda: Signal("channel event", severity))
    channel_changed: Signal[ChannelEvent, None] = field(default_factory=lambda: Signal("channel changed", severity))
    rate_alarm: Signal[RateAlarm, None] = field(default_factory=lambda: Signal("rate alarm", severity))
    users_left: Signal[UsersLeft, None] = field(default_factory=lambda: Signal("users left", severity))
