"""Posts that are published later, and drafts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Content, PostRef

LATE_SECONDS: Final = 120.0
"""A post that is published later than this after its time is reported as late."""
SCHEDULE_JOBS: Final[Mapping[Mode, str]] = {Mode.COMMUNITY: "schedule", Mode.OFFICIAL: "schedule_official"}
"""The kinds of the jobs that publish scheduled posts: a process runs those of its mode."""


class ScheduleState(StrEnum):
    """Where a scheduled post is."""

    SCHEDULED = "scheduled"  # waits for its time, or for the next attempt
    PUBLISHING = "publishing"  # is being sent
    PUBLISHED = "published"
    FAILED = "failed"  # was refused for good
    CANCELLED = "cancelled"
    MISSED = "missed"  # was not sent within `schedule.max_lateness` of its time, and will not be


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledPost:
    """One scheduled post as it was when read.

    `late`: it was published more than 2 minutes after its time, or still waits then. `error` is why the last attempt
    failed, and `retry_at` when the next one is made. `acknowledged`: a failed, late or missed post was acknowledged.
    `published_at` is the service's time, in whole seconds.
    """

    id: str
    channel: ChannelId
    at: datetime
    state: ScheduleState
    parts: tuple[Content, ...]
    author: UserId | None = None
    silent: bool = False
    created_at: datetime
    ref: PostRef | None = None
    published_at: datetime | None = None
    late: bool = False
    error: str = ""
    retry_at: datetime | None = None
    acknowledged: bool = False

    @property
    def problem(self) -> bool:
        """Whether it failed, was missed or is late, and that was not acknowledged."""
        bad = self.late or self.state in (ScheduleState.FAILED, ScheduleState.MISSED)
        return bad and not self.acknowledged and self.state is not ScheduleState.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedDraft:
    """A post that is stored and has no time yet."""

    id: str
    channel: ChannelId
    parts: tuple[Content, ...]
    author: UserId | None = None
    silent: bool = False
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """How many posts are in each state, and how many of them have a problem.

    `waiting_seconds` is how long the oldest post that is due has waited, `lag` how late this process sent its last one.
    `workers` counts the processes that publish scheduled posts; they start to do so when there are any.
    """

    states: Mapping[ScheduleState, int]
    problems: int
    waiting_seconds: float
    lag: float
    workers: int
