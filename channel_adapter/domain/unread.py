"""Unread posts of a user, and the conversation groups and marks of a user."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications


class CountSource(StrEnum):
    """Where a count came from, cheapest first."""

    SERVER = "server"  # the service counted
    POSITIONS = "positions"  # last post and read post, both from the list of joined groups
    MEMBER = "member"  # last post and read post, from calls for one group
    CONVERSATION = "conversation"  # the service counted a one-to-one conversation: posts and messages to the user


@dataclass(frozen=True, slots=True)
class Explanation:
    """The inputs of one count: numbers of the last post and of the last post that was read, and what does not count.

    `left_out` are numbers of recalled and silent posts and of system notices after `read_up_to`, as far as this process
    knows them, at most 1,000. Where the service counted, `read_up_to` may be unknown and nothing needs to be left out.
    """

    source: CountSource
    last_post: int | None
    read_up_to: int | None
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUnread:
    """The unread posts of one user in one channel. `notifications` is None where the service does not return them.

    In official-account mode `count` includes unread one-to-one messages of the account to the user.
    """

    channel: ChannelId
    name: str
    count: int
    notifications: Notifications | None = Notifications.ALL
    last_post_at: datetime | None = None
    explanation: Explanation | None = None

    @property
    def muted(self) -> bool:
        """Whether the channel is left out of the badge."""
        return self.notifications not in (Notifications.ALL, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """The unread counts of a user.

    `badge` is the sum over channels and `chats` the sum over the user's other groups, both without muted ones; in
    official-account mode `chats` is the sum over other one-to-one conversations. If
    `error` is not empty, the user could not be counted and the numbers have no meaning; only `get_many` returns that.
    """

    user: UserId
    channels: tuple[ChannelUnread, ...] = ()
    badge: int = 0
    chats: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConversationGroup:
    """A named group of a user's conversations. `others` are one-to-one partners and groups that cannot be channels."""

    name: str
    channels: tuple[ChannelId, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of a user on one channel. `text` is set by the app, 256 bytes at most."""

    starred: bool = False
    hidden: bool = False
    folded: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkChange:
    """A change of marks; None leaves a mark as it is. `text` has 256 bytes at most, "" clears it."""

    starred: bool | None = None
    hidden: bool | None = None
    folded: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """The changes that a sync made in a user's group of channels, and those that failed.

    `kept` are conversations that are not channels and were left in place. `failed` are channels with the reason why
    they could not be put in or taken out. If `error` is not empty, the user's groups or channels could not be read.
    """

    user: UserId
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    error: str = ""

    @property
    def changed(self) -> bool:
        """Whether a conversation was put in or taken out."""
        return bool(self.added or self.removed)

    @property
    def done(self) -> bool:
        """Whether the group holds exactly the channels that the user follows."""
        return not self.failed and not self.error
