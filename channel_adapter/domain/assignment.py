"""What became of putting a channel into a person's conversation group, or taking it out."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MEMBERSHIP_READS: Final = 3
"""Reads of membership after a change of a group, while other processes go on changing membership."""

REPEAT_HINT: Final = "asking again finishes it, and so does unread.sync"


class AssignmentStatus(StrEnum):
    """One person and one channel. An assignment never decides whether a subscription worked."""

    ASSIGNED = "assigned"
    TAKEN_OUT = "taken_out"
    LEFT_OUT = "left_out"  # not tried: too many people in one call; sync them later
    FULL = "full"  # the person has as many assigned conversations or groups as the service allows
    UNSUPPORTED = "unsupported"  # the edition has no conversation groups
    NOT_SUBSCRIBED = "not_subscribed"  # the service takes only channels that the user is in
    UNCERTAIN = "uncertain"  # membership changed meanwhile and may differ from the group; sync repairs it
    FAILED = "failed"  # asking again finishes it


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """`reason` says more where there is more to say. `transient`: it failed because the service was away or busy."""

    status: AssignmentStatus
    reason: str = ""
    transient: bool = field(default=False, compare=False)

    @property
    def done(self) -> bool:
        """The conversation group is as it should be."""
        return self.status in (AssignmentStatus.ASSIGNED, AssignmentStatus.TAKEN_OUT)
