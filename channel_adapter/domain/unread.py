"""What a person has not read yet, and how their conversations are filed and marked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications


class CountSource(StrEnum):
    """Where a count came from, cheapest first."""

    SERVER = "server"  # the service counted
    POSITIONS = "positions"  # last post and read post, both in the list of joined groups
    MEMBER = "member"  # the same two numbers, asked for one by one


@dataclass(frozen=True, slots=True)
class Explanation:
    """The inputs of one count: posts in all, the number of the last one that was read, and what does not count.

    `left_out` are numbers of recalled and quiet posts and of system notices behind `read_up_to`, as far as they are
    known here; where the service counted, `read_up_to` may be unknown and nothing needs to be left out.
    """

    source: CountSource
    last_post: int | None
    read_up_to: int | None
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUnread:
    """One channel of one person."""

    channel: ChannelId
    name: str
    count: int
    notifications: Notifications = Notifications.ALL
    last_post_at: datetime | None = None
    explanation: Explanation | None = None

    @property
    def muted(self) -> bool:
        """Is it left out of the badge?"""
        return self.notifications is not Notifications.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A person's two numbers, and the channels that the first one is made of.

    `badge` is the sum over channels and `chats` the sum over the person's other groups, both without muted ones. With
    a `problem` the person could not be counted and the numbers mean nothing; only `of_many` gives such.
    """

    user: UserId
    channels: tuple[ChannelUnread, ...] = ()
    badge: int = 0
    chats: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ConversationGroup:
    """A folder of a person's conversations. `others` are one-to-one partners and groups that cannot be channels."""

    name: str
    channels: tuple[ChannelId, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Marks:
    """How a person has marked one channel. `text` is the app's own, 256 bytes."""

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
    """What a sync changed in a person's group of channels, and what it could not.

    `kept` are conversations that are no channels and were left in place. `failed` are channels with the reason why
    they could not be put in or taken out. With a `problem` nothing could be found out about the person.
    """

    user: UserId
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    @property
    def changed(self) -> bool:
        """Was anything put in or taken out?"""
        return bool(self.added or self.removed)

    @property
    def done(self) -> bool:
        """The group holds what it should."""
        return not self.failed and not self.problem
