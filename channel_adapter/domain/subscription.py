"""Subscriptions, and the outcomes of calls that change them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId

MEMBERSHIP_READS: Final = 3
"""Reads of membership after a change of a group, while other processes go on changing membership."""

REPEAT_HINT: Final = "asking again finishes it, and so does unread.sync"


class Role(StrEnum):
    """Role of a user in a channel. Owner and admins may post, and change the profile in a client app."""

    OWNER = "owner"
    ADMIN = "admin"
    SUBSCRIBER = "subscriber"


class Notifications(StrEnum):
    """How new posts reach a subscriber."""

    ALL = "all"  # delivered, with offline push
    MUTED = "muted"  # delivered, without offline push; not in totals of unread posts
    OFF = "off"  # not delivered
    MENTIONS = "mentions"  # as muted, with push for posts that mention the user
    UNKNOWN = "unknown"  # a setting of a client app that this version does not know; it cannot be set


SETTABLE_NOTIFICATIONS: Final = tuple(each for each in Notifications if each is not Notifications.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The subscription of one user to one channel. `notifications` is None where the service does not return them."""

    channel: Channel
    user: UserId
    role: Role
    since: datetime | None = None
    notifications: Notifications | None = Notifications.ALL


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One row of a channel's list of subscribers, without the owner.

    `custom_data` is the app's own text of the subscription, which official accounts have: 3,000 bytes.
    """

    user: UserId
    role: Role
    since: datetime | None = None
    notifications: Notifications = Notifications.ALL
    custom_data: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BlockedUser:
    """A user who is blocked in a channel, and since when."""

    user: UserId
    since: datetime


class OutcomeKind(StrEnum):
    """Result for one user in a bulk call. `already` is an outcome, not an error."""

    ADDED = "added"
    REMOVED = "removed"
    SENT = "sent"  # a message
    CHANGED = "changed"  # has another role now
    ALREADY = "already"  # was subscribed or an account before; for removal: was not subscribed
    PENDING = "pending"  # waits for the user's consent
    NOT_FOUND = "not_found"  # no such account in the app
    NOT_SUBSCRIBED = "not_subscribed"  # only subscribers can have another role
    CHANNEL_NOT_FOUND = "channel_not_found"  # no such channel; only where one call names many channels
    REFUSED = "refused"  # by the app's own webhook, or for the owner, who cannot leave
    FULL = "full"  # the channel has no room
    TOO_MANY_CHANNELS = "too_many_channels"  # the user is in as many groups as the plan allows
    INVALID = "invalid"  # no legal user id; only for streams, which cannot be checked before
    FAILED = "failed"  # the service or the network; repeating is harmless
    UNKNOWN = "unknown"  # a message that may have been sent: the answer was lost, and repeating may send it twice


DONE: Final = frozenset(
    {OutcomeKind.ADDED, OutcomeKind.REMOVED, OutcomeKind.CHANGED, OutcomeKind.SENT, OutcomeKind.ALREADY}
)


class AssignmentStatus(StrEnum):
    """Result for one user and one channel. An assignment never decides whether a subscription worked."""

    ASSIGNED = "assigned"
    TAKEN_OUT = "taken_out"
    LEFT_OUT = "left_out"  # not tried: too many users in one call; sync them later
    FULL = "full"  # the user has as many assigned conversations or groups as the service allows
    UNSUPPORTED = "unsupported"  # the edition has no conversation groups
    NOT_SUBSCRIBED = "not_subscribed"  # the service takes only channels that the user is in
    UNCERTAIN = "uncertain"  # membership changed meanwhile and may differ from the group; sync repairs it
    FAILED = "failed"  # asking again finishes it


SETTLED: Final = frozenset({AssignmentStatus.ASSIGNED, AssignmentStatus.TAKEN_OUT})
"""Statuses after which the conversation group is as requested."""


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """`reason` gives details, if there are any. `transient`: it failed because the service was unavailable or busy."""

    status: AssignmentStatus
    reason: str = ""
    transient: bool = field(default=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the conversation group is as requested."""
        return self.status in SETTLED


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome for one user; `reason` is empty if there is nothing to add.

    `assignment` is the result for the user's conversation group, None if it was not to be changed.
    """

    user: str
    kind: OutcomeKind
    reason: str = ""
    assignment: GroupAssignment | None = None

    @property
    def done(self) -> bool:
        """Whether the requested state holds now; the assignment does not count."""
        return self.kind in DONE


@dataclass(frozen=True, slots=True)
class ChannelOutcome:
    """Outcome for one channel in a call about one user."""

    channel: ChannelId
    kind: OutcomeKind
    reason: str = ""
    assignment: GroupAssignment | None = None

    @property
    def done(self) -> bool:
        """Whether the requested state holds now; the assignment does not count."""
        return self.kind in DONE


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a bulk call, or those of one that ended early."""

    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> Counter[OutcomeKind]:
        """Number of users by outcome."""
        return Counter(outcome.kind for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether the requested state holds for every user now."""
        return all(outcome.done for outcome in self.outcomes)

    @property
    def assignments(self) -> Counter[AssignmentStatus]:
        """Number of users by the result for their conversation group."""
        return Counter(outcome.assignment.status for outcome in self.outcomes if outcome.assignment is not None)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)
