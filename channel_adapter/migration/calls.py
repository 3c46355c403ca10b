"""How many calls a plan takes, and how long they take under the limits. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal

from channel_adapter.migration.plan import PlannedCalls, PlannedChannel, SourceKind
from channel_adapter.tencent import catalog, limits
from channel_adapter.tencent.command import Command


@dataclass(frozen=True, slots=True)
class Pace:
    """What the settings say: people in one import call, and ceilings other than the documented ones."""

    import_members: int = limits.IMPORT_MEMBERS_PER_CALL
    per_second: Mapping[str, float] | None = None

    def rate(self, command: Command[Any, Any]) -> float:
        """Calls per second of a command."""
        return (self.per_second or {}).get(command.path, float(command.calls_per_second))


Count = Callable[[PlannedChannel], int]


@dataclass(frozen=True, slots=True)
class _Row:
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


def _posts(channel: PlannedChannel) -> int:
    return max(0, channel.source.posts.reachable - len(channel.left_behind))


def _history(channel: PlannedChannel) -> int:
    counts = channel.source.posts
    return counts.reachable + counts.recalled + counts.expired + counts.foreign


def _people(channel: PlannedChannel) -> int:
    return channel.source.people.subscribers


def _one(channel: PlannedChannel) -> int:
    return 1


def _rows(kind: SourceKind, import_members: int) -> Sequence[_Row]:
    moving = (
        _Row("move", catalog.IMPORT_GROUP, _one, 1),
        _Row("move", catalog.IMPORT_GROUP_MSG, _posts, limits.IMPORT_MESSAGES_PER_CALL),
        _Row("move", catalog.IMPORT_GROUP_MEMBER, _people, import_members),
        _Row("move", catalog.MODIFY_GROUP_MEMBER_INFO,
             lambda channel: (channel.source.people.not_default or 0) + len(channel.target.admins), 1),
        _Row("move", catalog.MODIFY_GROUP_BASE_INFO, _one, 1),
    )  # fmt: skip
    checking = (
        _Row("verify", catalog.GET_GROUP_INFO, _one, limits.GROUP_INFO_PER_CALL, together=True),
        _Row("verify", catalog.GROUP_MSG_GET_SIMPLE, _posts, limits.HISTORY_PER_CALL, ends_empty=True),
        _Row("verify", catalog.GET_GROUP_MEMBER_INFO, _people, limits.MEMBERS_PER_PAGE, looks=True),
    )
    if kind is SourceKind.FILES:
        return (*moving, *checking)
    reading: list[_Row] = []
    stages: Final[tuple[Literal["move", "verify"], ...]] = ("move", "verify")
    for stage in stages:
        reading += [
            _Row(stage, catalog.GET_OFFICIAL_ACCOUNT_INFO, _one, limits.OFFICIAL_INFO_PER_CALL, together=True),
            _Row(stage, catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, _history, limits.OFFICIAL_HISTORY_PER_CALL,
                 ends_empty=True),
            _Row(stage, catalog.GET_SUBSCRIBER_INFO, _people, limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, looks=True),
        ]  # fmt: skip
    return (*(row for row in reading if row.stage == "move"), *moving,
            *(row for row in reading if row.stage == "verify"), *checking)  # fmt: skip


def estimate(channels: Sequence[PlannedChannel], kind: SourceKind, pace: Pace) -> tuple[PlannedCalls, ...]:
    """One row a command, in the order of the work."""
    return tuple(_planned(row, channels, pace) for row in _rows(kind, pace.import_members))


def shortest(calls: Iterable[PlannedCalls]) -> float:
    """Seconds that the limits leave at least: commands run side by side, each under its own limit."""
    stages: dict[str, float] = {}
    for row in calls:
        stages[row.stage] = max(stages.get(row.stage, 0.0), row.seconds)
    return round(sum(stages.values()), 1)


def _planned(row: _Row, channels: Sequence[PlannedChannel], pace: Pace) -> PlannedCalls:
    counts = [row.items(channel) for channel in channels]
    pages = [sum(counts)] if row.together else counts
    calls = sum(max(row.looks, ceil(count / row.per_call)) for count in pages) + len(channels) * row.ends_empty
    rate = pace.rate(row.command)
    return PlannedCalls(
        stage=row.stage, command=row.command.path, items=sum(counts), per_call=row.per_call, calls=calls,
        per_second=rate, seconds=round(calls / rate, 1),
    )  # fmt: skip
