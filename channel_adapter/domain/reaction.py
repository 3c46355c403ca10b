"""Values of reactions: the emoji of a user on a post, the policy of a channel, and what a message shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.errors import ChannelAdapterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactions:
    """Reactions to one post. `counts` is in descending order; `mine` is what the viewer chose, the oldest first."""

    ref: PostRef
    counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    mine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reactor:
    """One reaction of a user. `since` is None where no time is stored."""

    user: UserId
    emoji: str
    since: datetime | None = None


class PolicyKind(StrEnum):
    """Which emoji a channel accepts."""

    ALL = "all"
    BASIC = "basic"
    NONE = "none"
    SOME = "some"  # the emoji of a list


BASIC = ("👍", "❤️", "😂", "😮", "😢", "🙏")
"""The six emoji that WhatsApp offers first."""


@dataclass(frozen=True, slots=True)
class ReactionPolicy:
    """Which emoji a channel accepts; `emoji` is the list of PolicyKind.SOME."""

    kind: PolicyKind = PolicyKind.ALL
    emoji: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """The emoji that are accepted; None if every one is."""
        return {PolicyKind.ALL: None, PolicyKind.BASIC: BASIC, PolicyKind.NONE: ()}.get(self.kind, self.emoji)

    def allows(self, emoji: str) -> bool:
        """Return whether an emoji is accepted."""
        return self.allowed is None or emoji in self.allowed


@dataclass(frozen=True, slots=True)
class ReactionChange:
    """The key of a user on a post, as an event or a read reports it: `emoji` is empty if the key is gone.

    `seq` is the version of the key. `from_client` is True for a key that a client app wrote, False for one that was
    written through the server API, where deletions only make room and remove no reaction, and None if it is unknown.
    """

    user: UserId
    emoji: tuple[str, ...]
    seq: int
    from_client: bool | None = None


@dataclass(frozen=True, slots=True)
class FilteredChange:
    """A change, and whether it counts: not for users who may not react, and not for emoji that are not allowed."""

    change: ReactionChange
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Result of comparing one post with the service: reactions that changed in the store, and wrong counts."""

    ref: PostRef
    changed: int = 0
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class Adopted:
    """Result of copying the reactions on one message into the store: how many were new there."""

    ref: PostRef
    reactions: int


class DisplayMode(StrEnum):
    """Where client apps without this adapter can read the counts of posts."""

    EXTENSIONS = "extensions"  # key and value pairs on the message
    CUSTOM_DATA = "custom_data"  # custom data of the message
    STORE = "store"  # nowhere: only in the adapter's store


@dataclass(frozen=True, slots=True)
class DisplayStatus:
    """The display mode of an app; `mode` is None before the service has accepted or refused a count."""

    mode: DisplayMode | None = None
    reason: str = ""
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCapacity:
    """What one message of the service can carry. Numbers are keys: each user and each count takes one.

    `users` keys of users stay in store mode, where older ones are deleted once they are merged, and `counts` counts are
    shown; without a store `users_without_store` users may react. `write_interval` is the seconds between two writes.
    """

    keys: int
    keys_per_call: int
    users: int
    counts: int
    users_without_store: int
    write_interval: float


@dataclass(frozen=True, slots=True)
class CarriedReactions:
    """What stands on a message. A count that is not a number is -1.

    `latest` is the newest version of a key. `cleared`: all keys up to this version were removed together. `complete` is
    False if not every key could be read.
    """

    users: Mapping[UserId, ReactionChange] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    latest: int = 0
    cleared: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierChange:
    """A change of what stands on a message: counts and emoji of users to set, and keys to remove."""

    set_counts: Mapping[str, int] = field(default_factory=dict)
    set_users: Mapping[UserId, tuple[str, ...]] = field(default_factory=dict)
    remove_counts: tuple[str, ...] = ()
    remove_users: tuple[UserId, ...] = ()


class CarrierStatus(Enum):
    """How a write on a message ended."""

    WRITTEN = "written"
    FULL = "full"  # some keys were refused: there is no room, or the keys are not as expected
    MISSING = "missing"  # the message or its channel does not exist, or the message was recalled or has expired
    UNSUPPORTED = "unsupported"  # the message, or messages of this kind, cannot carry it
    EDITION = "edition"  # the plan of the app does not include it
    REFUSED = "refused"  # for a reason that the service does not name


@dataclass(frozen=True, slots=True)
class CarrierResult:
    """Result of a write on a message.

    `versions` are the versions of removed keys of users, 0 for a key that was gone already. `failed` are the users
    whose key was refused. `error` is the refusal of the whole write.
    """

    status: CarrierStatus
    versions: Mapping[UserId, int] = field(default_factory=dict)
    failed: Mapping[UserId, ChannelAdapterError] = field(default_factory=dict)
    error: ChannelAdapterError | None = None
