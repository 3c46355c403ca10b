"""Reactions: one person's emoji on one post, what a channel allows, and what was seen of changes made elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactions:
    """What people think of one post. `counts` is in descending order; `mine` is what the viewer who was named chose."""

    ref: PostRef
    counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    mine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reactor:
    """One person's reaction. `since` is None where no time is kept."""

    user: UserId
    emoji: str
    since: datetime | None = None


class PolicyKind(StrEnum):
    """Which emoji a channel takes."""

    ALL = "all"
    BASIC = "basic"
    NONE = "none"
    SOME = "some"  # those of a list


BASIC = ("👍", "❤️", "😂", "😮", "😢", "🙏")
"""The six that WhatsApp offers first."""


@dataclass(frozen=True, slots=True)
class ReactionPolicy:
    """What a channel allows; `emoji` is the list of SOME."""

    kind: PolicyKind = PolicyKind.ALL
    emoji: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """The emoji that are taken; None: every one."""
        return {PolicyKind.ALL: None, PolicyKind.BASIC: BASIC, PolicyKind.NONE: ()}.get(self.kind, self.emoji)

    def allows(self, emoji: str) -> bool:
        """Is this one taken?"""
        return self.allowed is None or emoji in self.allowed


@dataclass(frozen=True, slots=True)
class ReactionChange:
    """A person's key on a post as an event or a read told of it: `emoji` is empty when the key is gone.

    `seq` is the key's version. `by_phone` says who wrote it where that is known: False for the server API, whose
    deletions are our own housekeeping and take no reaction back.
    """

    user: UserId
    emoji: tuple[str, ...]
    seq: int
    by_phone: bool | None = None


class Rung(StrEnum):
    """Where counts can be shown to plain clients of the service, best first."""

    EXTENSION = "extension"  # key and value pairs on the message
    CUSTOM_DATA = "custom_data"  # custom data of the message
    STORE = "store"  # nowhere but in our own store


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rung an app stands on; `rung` is None before anything was found out."""

    rung: Rung | None = None
    reason: str = ""
    probed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a comparison of one post with the service found: changes that were taken in, and counts to be mended."""

    ref: PostRef
    taken: int = 0
    mended: int = 0


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over of one post: reactions that were new to the store."""

    ref: PostRef
    reactions: int
