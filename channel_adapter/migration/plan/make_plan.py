"""Turn an inventory into a plan: ids of the targets, conflicts, losses, and the cost in calls.

Pure: equal input yields equal plans, byte for byte.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, Literal

import orjson

from channel_adapter.backends.community.tag import migration_id
from channel_adapter.domain.channel import ChannelProfile
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import InvalidError
from channel_adapter.migration.plan.document import (
    Plan,
    PlannedCalls,
    PlannedChannel,
    PlannedIncompatibility,
    PlannedLimits,
    PlannedSource,
    PlannedTarget,
    PostCounts,
    Problem,
    SubscriberCounts,
    TargetState,
    UnusableRecord,
)
from channel_adapter.migration.plan.resolutions import PROFILE_INCOMPATIBILITIES, Incompatibility, Resolutions
from channel_adapter.migration.plan.transform import (
    MappedProfile,
    PostAssessment,
    SendTimes,
    TargetLimits,
    map_profile,
    subscriber_losses,
    target_id,
    to_store,
)
from channel_adapter.migration.sources.source import (
    BrokenRecord,
    SourceChannel,
    SourceKind,
    SourcePost,
    SourceSpec,
    SourceState,
    SourceSubscriber,
)
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import catalog, limits
from channel_adapter.tencent.catalog import Command


@dataclass(slots=True)
class PostTally:
    """Count posts as they are read, in any order; bodies are not kept."""

    reachable: int = 0
    recalled: int = 0
    expired: int = 0
    foreign: int = 0
    elements: Counter[str] = field(default_factory=Counter)
    lost: dict[Incompatibility, list[str]] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list)
    _times: "array[int]" = field(default_factory=lambda: array("q"))
    _newest: tuple[int, int, str] = (0, 0, "")
    _oldest_time: int | None = None

    def add(self, post: SourcePost, losses: PostAssessment) -> None:
        """Count one post and its assessment."""
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

    def _add_published(self, post: SourcePost, losses: PostAssessment) -> None:
        self.reachable += 1
        self.elements.update({element.msg_type for element in post.body})
        for loss in losses.lost:
            self.lost.setdefault(loss, []).append(post.key)
        if losses.left_behind:
            self.left_behind.append(post.key)
        else:
            self._times.append(post.time)

    def any(self) -> bool:
        """Return whether there is any post."""
        return bool(self.reachable or self.recalled or self.expired)

    @property
    def oldest(self) -> int | None:
        """The time of the oldest post."""
        return self._oldest_time

    def counts(self, created_at: int) -> PostCounts:
        """Return the counts for a channel that is created at `created_at`."""
        times = SendTimes(created_at)
        for time in sorted(self._times):
            times.next(time)
        return PostCounts(
            reachable=self.reachable, recalled=self.recalled, expired=self.expired,
            foreign=self.foreign, moved_in_time=times.moved,
            newest=self._newest[2], elements=dict(sorted(self.elements.items())),
        )  # fmt: skip


@dataclass(slots=True)
class SubscriberTally:
    """Count subscribers as they are read."""

    read: int = 0
    not_default: int = 0
    with_data: int = 0
    earliest: int | None = None

    def add(self, subscriber: SourceSubscriber) -> None:
        """Count one subscriber."""
        self.read += 1
        self.not_default += subscriber.target_notifications is not Notifications.ALL
        self.with_data += bool(subscriber_losses(subscriber))
        if subscriber.since is not None:
            self.earliest = min(subscriber.since, self.earliest or subscriber.since)

    def counts(self, subscribers: int) -> SubscriberCounts:
        """Return the counts of a complete list; `subscribers` is the source's own count."""
        return SubscriberCounts(
            subscribers=subscribers, read=True, not_default=self.not_default, with_data=self.with_data
        )


@dataclass(frozen=True, slots=True)
class IdConflict:
    """What exists at an id on the target. `detail` is the name of the group, or the id of its migration."""

    state: TargetState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChannelInventory:
    """One channel of the source with its counts; `tally` is None where only the source's count is known."""

    channel: SourceChannel
    posts: PostTally
    tally: SubscriberTally | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything a plan is made of. `conflicts` are by target id, `accounts` tells which users are accounts."""

    spec: SourceSpec
    found: tuple[ChannelInventory, ...]
    conflicts: Mapping[str, IdConflict]
    accounts: Mapping[str, bool]
    broken: tuple[BrokenRecord, ...] = ()
    broken_count: int = 0


@dataclass(frozen=True, slots=True)
class CallRates:
    """Rates of the settings: users of one import call, and ceilings other than the documented ones."""

    import_members: int = limits.IMPORT_MEMBERS_PER_CALL
    per_second: Mapping[str, float] | None = None

    def rate(self, command: Command[Any, Any]) -> float:
        """Return the calls per second of a command."""
        return (self.per_second or {}).get(command.path, float(command.calls_per_second))


Count = Callable[[PlannedChannel], int]


@dataclass(frozen=True, slots=True)
class _CommandCost:
    """One command: what it is called for in a channel, and how much of it fits into a call.

    `together`: one call may be about several channels. `looks`: a call is made even for nothing, to find that out.
    `ends_empty`: the list ends with a page that is empty.
    """

    stage: Literal["move", "verify"]
    command: Command[Any, Any]
    items: Count
    per_call: int
    together: bool = False
    looks: bool = False
    ends_empty: bool = False


def _count_moved_posts(channel: PlannedChannel) -> int:
    return max(0, channel.source.posts.reachable - len(channel.left_behind))


def _count_history_messages(channel: PlannedChannel) -> int:
    counts = channel.source.posts
    return counts.reachable + counts.recalled + counts.expired + counts.foreign


def _count_subscribers(channel: PlannedChannel) -> int:
    return channel.source.audience.subscribers


def _count_one(channel: PlannedChannel) -> int:
    return 1


def _command_costs(kind: SourceKind, import_members: int) -> Sequence[_CommandCost]:
    moving = (
        _CommandCost("move", catalog.IMPORT_GROUP, _count_one, 1),
        _CommandCost("move", catalog.IMPORT_GROUP_MSG, _count_moved_posts, limits.IMPORT_MESSAGES_PER_CALL),
        _CommandCost("move", catalog.IMPORT_GROUP_MEMBER, _count_subscribers, import_members),
        _CommandCost("move", catalog.MODIFY_GROUP_MEMBER_INFO,
             lambda channel: (channel.source.audience.not_default or 0) + len(channel.target.admins), 1),
        _CommandCost("move", catalog.MODIFY_GROUP_BASE_INFO, _count_one, 1),
    )  # fmt: skip
    checking = (
        _CommandCost("verify", catalog.GET_GROUP_INFO, _count_one, limits.GROUP_INFO_PER_CALL, together=True),
        _CommandCost(
            "verify", catalog.GROUP_MSG_GET_SIMPLE, _count_moved_posts, limits.HISTORY_PER_CALL, ends_empty=True
        ),
        _CommandCost("verify", catalog.GET_GROUP_MEMBER_INFO, _count_subscribers, limits.MEMBERS_PER_PAGE, looks=True),
    )
    if kind is SourceKind.FILES:
        return (*moving, *checking)
    reading: list[_CommandCost] = []
    stages: Final[tuple[Literal["move", "verify"], ...]] = ("move", "verify")
    for stage in stages:
        reading += [
            _CommandCost(
                stage, catalog.GET_OFFICIAL_ACCOUNT_INFO, _count_one, limits.OFFICIAL_INFO_PER_CALL, together=True
            ),
            _CommandCost(
                stage,
                catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE,
                _count_history_messages,
                limits.OFFICIAL_HISTORY_PER_CALL,
                ends_empty=True,
            ),
            _CommandCost(
                stage, catalog.GET_SUBSCRIBER_INFO, _count_subscribers, limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, looks=True
            ),
        ]
    return (*(row for row in reading if row.stage == "move"), *moving,
            *(row for row in reading if row.stage == "verify"), *checking)  # fmt: skip


def estimate(channels: Sequence[PlannedChannel], kind: SourceKind, pace: CallRates) -> tuple[PlannedCalls, ...]:
    """Return one row a command, in the order of the work."""
    return tuple(_plan_calls(row, channels, pace) for row in _command_costs(kind, pace.import_members))


def shortest(calls: Iterable[PlannedCalls]) -> float:
    """Return the shortest duration in seconds: commands run concurrently, each under its own limit."""
    stages: dict[str, float] = {}
    for row in calls:
        stages[row.stage] = max(stages.get(row.stage, 0.0), row.seconds)
    return round(sum(stages.values()), 1)


def _plan_calls(row: _CommandCost, channels: Sequence[PlannedChannel], pace: CallRates) -> PlannedCalls:
    counts = [row.items(channel) for channel in channels]
    pages = [sum(counts)] if row.together else counts
    calls = sum(max(row.looks, ceil(count / row.per_call)) for count in pages) + len(channels) * row.ends_empty
    rate = pace.rate(row.command)
    return PlannedCalls(
        stage=row.stage, command=row.command.path, items=sum(counts), per_call=row.per_call, calls=calls,
        per_second=rate, seconds=round(calls / rate, 1),
    )  # fmt: skip


KEPT_POSTS: Final = "posts"
KEPT_PEOPLE: Final = "subscribers"
BROKEN_LISTED: Final = 100

NOT_CARRIED: Final = {
    SourceKind.ACCOUNTS: (
        "the account's id: clients find the channel under another one",
        "the limit on subscribers: the source cannot be asked for it",
        "when a subscriber wrote last, and the one-to-one messages of subscribers and the account",
        "recalled and expired posts",
        "custom data of posts, and read positions of subscribers",
        "reactions: the source has none, and moved posts may not take any",
    ),
    SourceKind.FILES: ("reactions: moved posts may not take any",),
}
"""What has no place on the target or cannot be read, whatever the policies say [official accounts 5.4]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a plan is to contain, and what the settings allow.

    `renamed` gives other target ids by source id. `member_cap` is the plan's number of members of a Community.
    """

    sdkappid: int
    target: TargetLimits
    policies: Resolutions = field(default_factory=Resolutions)
    migration: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    member_cap: int = limits.COMMUNITY_MEMBERS
    pace: CallRates = field(default_factory=CallRates)


def migration_of(spec_ids: Sequence[str], request: PlanRequest) -> str:
    """Return the id of the migration: as named, or derived from app and source ids. Raises InvalidError."""
    if request.migration:
        return migration_id(request.migration)
    text = "\x1f".join([str(request.sdkappid), *sorted(spec_ids)])
    return "m" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def target_ids(source_ids: Sequence[str], request: PlanRequest) -> dict[str, ChannelId | InvalidError]:
    """Return the id of each channel on the target, or why there is none. Raises InvalidError for an unknown rename."""
    unknown = sorted(request.renamed.keys() - set(source_ids))
    if unknown:
        raise InvalidError(f"rename: {shown_value(unknown[0])} is not in the source", field="rename")
    return {source: _target_id(request.renamed.get(source, source)) for source in source_ids}


def make_plan(inventory: Inventory, request: PlanRequest) -> Plan:
    """Return the plan. Raises InvalidError when the request contradicts the source."""
    ids = [found.channel.id for found in inventory.found]
    goals = target_ids(ids, request)
    together = Counter(str(goal) for goal in goals.values() if not isinstance(goal, InvalidError))
    migration = migration_of(ids, request)
    channels = tuple(
        _Planner(found, goals[found.channel.id], inventory, request, migration).channel(together)
        for found in inventory.found
    )
    calls = estimate(channels, inventory.spec.kind, request.pace)
    return Plan(
        migration=migration,
        sdkappid=request.sdkappid,
        fingerprint=fingerprint(channels),
        source=inventory.spec,
        policies={loss: request.policies.of(loss) for loss in Incompatibility},
        limits=PlannedLimits.of(request.target),
        channels=channels,
        broken=tuple(
            UnusableRecord(where=each.where, field=each.field, reason=each.reason)
            for each in inventory.broken[:BROKEN_LISTED]
        ),
        broken_count=inventory.broken_count,
        calls=calls,
        seconds=shortest(calls),
        not_carried=NOT_CARRIED[inventory.spec.kind],
    )


def fingerprint(channels: Sequence[PlannedChannel]) -> str:
    """Return a digest of the source as it was read: equal for plans that were made of the same state."""
    facts = [channel.source.model_dump(mode="json") for channel in channels]
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _sort_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """Return keys of posts ordered by the number that they begin with."""
    return tuple(sorted(keys, key=lambda key: (len(key.partition("_")[0]), key)))


def _target_id(source: str) -> ChannelId | InvalidError:
    try:
        return target_id(source)
    except InvalidError as wrong:
        return wrong


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plan one channel."""

    found: ChannelInventory
    goal: ChannelId | InvalidError
    inventory: Inventory
    request: PlanRequest
    migration: str

    def channel(self, together: Mapping[str, int]) -> PlannedChannel:
        source = self.found.channel
        problems = [*self._id_problems(together), *self._subscriber_problems()]
        try:
            mapped = map_profile(source, self.request.target)
        except InvalidError as wrong:
            problems.append(Problem(field=wrong.field or "profile", message=wrong.message))
            mapped = MappedProfile(ChannelProfile(name=source.name), ())
        losses = [*self._profile_losses(mapped), *self._other_losses()]
        return PlannedChannel(
            source=self._plan_source(),
            target=self._plan_target(mapped, losses),
            losses=tuple(losses),
            left_behind=_sort_keys(self.found.posts.left_behind),
            problems=tuple(problems),
        )

    @property
    def _created_at(self) -> int | None:
        """The creation time of the channel: the source's, else just before its first post or subscriber."""
        source, tally = self.found.channel, self.found.tally
        if source.created_at:
            return source.created_at
        first = [moment for moment in (self.found.posts.oldest, tally.earliest if tally else None) if moment]
        return min(first) - 1 if first else None

    @property
    def _subscriber_counts(self) -> SubscriberCounts:
        tally, count = self.found.tally, self.found.channel.subscriber_count
        return tally.counts(count) if tally else SubscriberCounts(subscribers=count)

    def _plan_source(self) -> PlannedSource:
        source = self.found.channel
        names = PlannedSource.model_fields.keys() - {"posts", "audience"}
        return PlannedSource(
            **{name: getattr(source, name) for name in names},
            posts=self.found.posts.counts(self._created_at or 0),
            audience=self._subscriber_counts,
        )

    def _plan_target(self, mapped: MappedProfile, losses: Sequence[PlannedIncompatibility]) -> PlannedTarget:
        source, profile = self.found.channel, mapped.profile
        stored = to_store([loss.loss for loss in losses], self.request.policies)
        kept = [loss.value for loss in stored if loss in PROFILE_INCOMPATIBILITIES]
        kept += [KEPT_POSTS] * bool({Incompatibility.POST_MEDIA, Incompatibility.POST_SIZE} & set(stored))
        kept += [KEPT_PEOPLE] * (Incompatibility.SUBSCRIBER_DATA in stored)
        goal = self.goal
        return PlannedTarget(
            id="" if isinstance(goal, InvalidError) else goal,
            owner=source.owner,
            name=profile.name or "",
            introduction=profile.introduction or "",
            avatar=profile.avatar or "",
            organization=profile.organization or "",
            custom_data=profile.custom_data or "",
            created_at=self._created_at,
            max_subscribers=self._member_limit(),
            admins=source.admins,
            kept=tuple(kept),
            state=self._id_conflict().state,
        )

    def _member_limit(self) -> int | None:
        """Return the limit on subscribers, if it is below what the app allows."""
        most = self.found.channel.max_subscribers
        return most if most is not None and most < self.request.member_cap else None

    def _id_conflict(self) -> IdConflict:
        if isinstance(self.goal, InvalidError):
            return IdConflict(TargetState.UNKNOWN)
        return self.inventory.conflicts.get(self.goal, IdConflict(TargetState.FREE))

    def _id_problems(self, together: Mapping[str, int]) -> list[Problem]:
        goal, source, conflict = self.goal, self.found.channel.id, self._id_conflict()
        if isinstance(goal, InvalidError):
            return [Problem(field="id", message=f"{goal.message}; give it another with --rename")]
        if together[goal] > 1:
            return [Problem(field="id", message=f"{goal} is where {together[goal]} channels of the source would go")]
        if conflict.state in (TargetState.FREE, TargetState.OURS):
            return []
        whose = {
            TargetState.STRANGER: f"by a group that is no channel, {shown_value(conflict.detail)}",
            TargetState.CHANNEL: f"by a channel that no migration made, {shown_value(conflict.detail)}",
            TargetState.OTHER_MIGRATION: f"by migration {conflict.detail}",
        }[conflict.state]
        return [Problem(field="id", message=f"{goal} is taken {whose}; move {source} elsewhere with --rename")]

    def _subscriber_problems(self) -> list[Problem]:
        source, cap = self.found.channel, self.request.member_cap
        unknown = [user for user in (source.owner, *source.admins) if not self.inventory.accounts.get(user, False)]
        problems = [
            Problem(field="owner", message=f"{shown_value(user)} is not an account of the app; add it first")
            for user in unknown
        ]
        count, room = self._subscriber_counts.subscribers, min(cap - 1, source.max_subscribers or cap)
        if count > room:
            full = f"{count} subscribers beside the owner, and room for {room}"
            problems.append(Problem(field="subscribers", message=f"{full}; ask for more, and say so with --member-cap"))
        return problems

    def _profile_losses(self, mapped: MappedProfile) -> list[PlannedIncompatibility]:
        policies = self.request.policies
        return [
            PlannedIncompatibility(
                loss=lost.loss, policy=policies.of(lost.loss), count=1, size=lost.size, limit=lost.limit, kept=lost.kept
            )
            for lost in mapped.lost
        ]  # fmt: skip

    def _other_losses(self) -> list[PlannedIncompatibility]:
        policies, posts = self.request.policies, self.found.posts
        losses = [
            PlannedIncompatibility(loss=loss, policy=policies.of(loss), count=len(posts.lost[loss]),
                        limit=self.request.target.post_bytes if loss is Incompatibility.POST_SIZE else None,
                        posts=_sort_keys(posts.lost[loss]))
            for loss in (Incompatibility.POST_MEDIA, Incompatibility.POST_SIZE) if loss in posts.lost
        ]  # fmt: skip
        tally = self.found.tally
        if tally and tally.with_data:
            policy = policies.of(Incompatibility.SUBSCRIBER_DATA)
            losses.append(
                PlannedIncompatibility(loss=Incompatibility.SUBSCRIBER_DATA, policy=policy, count=tally.with_data)
            )
        return losses
