"""What a plan is made of: every channel of the source with its posts counted, and what stands on the target. Values."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from channel_adapter.domain.subscription import Notifications
from channel_adapter.migration.plan import PeopleCounts, PostCounts, SourceSpec, TargetState
from channel_adapter.migration.policies import Loss
from channel_adapter.migration.records import BrokenRecord, SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.migration.transform import PostLosses, SendTimes, subscriber_losses


@dataclass(slots=True)
class PostTally:
    """Counts posts as they are read, in any order; bodies are not kept."""

    reachable: int = 0
    recalled: int = 0
    expired: int = 0
    foreign: int = 0
    elements: Counter[str] = field(default_factory=Counter)
    lost: dict[Loss, list[str]] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list)
    _times: "array[int]" = field(default_factory=lambda: array("q"))
    _newest: tuple[int, int, str] = (0, 0, "")
    _oldest_time: int | None = None

    def add(self, post: SourcePost, losses: PostLosses) -> None:
        """Count one post and what becomes of it."""
        self._newest = max(self._newest, (post.time, post.number, post.key))
        self._oldest_time = min(post.time, self._oldest_time or post.time)
        if post.state is SourceState.RECALLED:
            self.recalled += 1
        elif post.state is SourceState.EXPIRED:
            self.expired += 1
        elif post.state is SourceState.FOREIGN:
            self.foreign += 1
        else:
            self._add_published(post, losses)

    def _add_published(self, post: SourcePost, losses: PostLosses) -> None:
        self.reachable += 1
        self.elements.update({element.msg_type for element in post.body})
        for loss in losses.lost:
            self.lost.setdefault(loss, []).append(post.key)
        if losses.left_behind:
            self.left_behind.append(post.key)
        else:
            self._times.append(post.time)

    def any(self) -> bool:
        """Is there any post, in whatever state?"""
        return bool(self.reachable or self.recalled or self.expired)

    @property
    def oldest(self) -> int | None:
        """When the oldest post was made."""
        return self._oldest_time

    def counts(self, created_at: int) -> PostCounts:
        """The counts, for a channel born at `created_at`."""
        times = SendTimes(created_at)
        for time in sorted(self._times):
            times.next(time)
        return PostCounts(
            reachable=self.reachable, recalled=self.recalled, expired=self.expired,
            foreign=self.foreign, moved_in_time=times.moved,
            newest=self._newest[2], elements=dict(sorted(self.elements.items())),
        )  # fmt: skip


@dataclass(slots=True)
class PeopleTally:
    """Counts subscribers as they are read."""

    read: int = 0
    not_default: int = 0
    with_data: int = 0
    earliest: int | None = None

    def add(self, subscriber: SourceSubscriber) -> None:
        """Count one person."""
        self.read += 1
        self.not_default += subscriber.notifications is not Notifications.ALL
        self.with_data += bool(subscriber_losses(subscriber))
        if subscriber.since is not None:
            self.earliest = min(subscriber.since, self.earliest or subscriber.since)

    def counts(self, subscribers: int) -> PeopleCounts:
        """The counts of a list that was read whole; `subscribers` is how many the source says there are."""
        return PeopleCounts(subscribers=subscribers, read=True, not_default=self.not_default, with_data=self.with_data)


@dataclass(frozen=True, slots=True)
class TakenId:
    """What stands at an id on the target. `said` is what it says of itself: its name, or the id of its migration."""

    state: TargetState
    said: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One channel of the source with what was counted of it; `people` is None where only its count is known."""

    channel: SourceChannel
    posts: PostTally
    people: PeopleTally | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything a plan is made of. `taken` is by target id, `accounts` says which people the app knows."""

    spec: SourceSpec
    found: tuple[Found, ...]
    taken: Mapping[str, TakenId]
    accounts: Mapping[str, bool]
    broken: tuple[BrokenRecord, ...] = ()
    broken_count: int = 0
