"""Who follows what, and what came of asking."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.assignment import AssignmentStatus, GroupAssignment
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId


class Role(StrEnum):
    """What a user is in a channel. Owner and admins may post, and change the profile from a client app."""

    OWNER = "owner"
    ADMIN = "admin"
    SUBSCRIBER = "subscriber"


class Notifications(StrEnum):
    """How new posts reach a subscriber."""

    ALL = "all"  # delivered, with offline push
    MUTED = "muted"  # delivered, without offline push; not in totals of unread posts
    OFF = "off"  # not delivered
    MENTIONS = "mentions"  # as muted, with push for posts that mention the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One person's view of a channel they are in."""

    channel: Channel
    user: UserId
    role: Role
    since: datetime | None = None
    notifications: Notifications = Notifications.ALL


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One row of a channel's list of subscribers; the owner is not in it."""

    user: UserId
    role: Role
    since: datetime | None = None
    notifications: Notifications = Notifications.ALL


class OutcomeKind(StrEnum):
    """What came of one person in a bulk call. "Already so" is an outcome, not an error."""

    ADDED = "added"
    REMOVED = "removed"
    ALREADY = "already"  # was subscribed or an account before; for removal: was not subscribed
    PENDING = "pending"  # waits for the person's consent
    NOT_FOUND = "not_found"  # no such account in the app
    CHANNEL_NOT_FOUND = "channel_not_found"  # no such channel; only where one call names many channels
    REFUSED = "refused"  # by the app's own webhook, or for the owner, who cannot leave
    FULL = "full"  # the channel has no room
    TOO_MANY_CHANNELS = "too_many_channels"  # the person is in as many groups as the plan allows
    INVALID = "invalid"  # no legal user id; only for streams, which cannot be checked before
    FAILED = "failed"  # the service or the network; asking again is harmless


DONE = frozenset({OutcomeKind.ADDED, OutcomeKind.REMOVED, OutcomeKind.ALREADY})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one person; `reason` is empty when there is nothing to add.

    `assignment` is what became of their conversation group, None where no group was to be changed.
    """

    user: str
    kind: OutcomeKind
    reason: str = ""
    assignment: GroupAssignment | None = None

    @property
    def done(self) -> bool:
        """The state that was asked for holds now, whatever became of the assignment."""
        return self.kind in DONE


@dataclass(frozen=True, slots=True)
class ChannelOutcome:
    """What came of one channel in a call about one person."""

    channel: ChannelId
    kind: OutcomeKind
    reason: str = ""
    assignment: GroupAssignment | None = None

    @property
    def done(self) -> bool:
        """The state that was asked for holds now, whatever became of the assignment."""
        return self.kind in DONE


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a bulk call, or those of one that ended early."""

    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> Counter[OutcomeKind]:
        """How many people came to which outcome."""
        return Counter(outcome.kind for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """What was asked for holds for everybody now."""
        return all(outcome.done for outcome in self.outcomes)

    @property
    def assignments(self) -> Counter[AssignmentStatus]:
        """What became of the conversation groups of those who were to be filed."""
        return Counter(outcome.assignment.status for outcome in self.outcomes if outcome.assignment is not None)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)
