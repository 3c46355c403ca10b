"""Results of assigning a channel to a user's conversation group, or of taking it out."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MEMBERSHIP_READS: Final = 3
"""Reads of membership after a change of a group, while other processes go on changing membership."""

REPEAT_HINT: Final = "asking again finishes it, and so does unread.sync"


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


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """`reason` gives details, if there are any. `transient`: it failed because the service was unavailable or busy."""

    status: AssignmentStatus
    reason: str = ""
    transient: bool = field(default=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the conversation group is as requested."""
        return self.status in (AssignmentStatus.ASSIGNED, AssignmentStatus.TAKEN_OUT)
