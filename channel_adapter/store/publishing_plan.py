"""What a claim writes on a message, as pure values: one call planned from the counts and keys of a post."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Rung


@dataclass(frozen=True, slots=True)
class MessageCapacity:
    """How many keys a message takes in all and in one call, how many keys of users stay, how many counts are shown."""

    keys: int
    per_call: int
    people: int
    counts: int


class Count(NamedTuple):
    """One emoji's number, and what stands on the message: None when that is not known."""

    emoji: str
    number: int
    published: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One call's worth of writing. `whole`: nothing is left to write after it."""

    sets: dict[str, int] = field(default_factory=dict)
    removals: tuple[str, ...] = ()
    people: tuple[UserId, ...] = ()
    data: dict[str, int] | None = None  # for custom data: all counts, or none to take ours out of it
    whole: bool = True

    @property
    def empty(self) -> bool:
        """Is there nothing to call for?"""
        return not (self.sets or self.removals or self.people) and self.data is None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write on one message until its lease ends."""

    ref: PostRef
    owner: str  # of the lease; no two claims share one
    version: int
    rung: Rung | None
    failures: int
    plan: Plan


class Outcome(NamedTuple):
    """How a claim ended. The next one may begin after `pause` seconds.

    `versions` are those of the keys of users that were deleted. `rung`: the message alone goes down to it.
    """

    claim: Claim
    result: "Result"
    pause: float
    versions: Mapping[UserId, int] | None = None
    rung: Rung | None = None


class Result(Enum):
    """What became of what a claim planned."""

    WRITTEN = "written"
    FAILED = "failed"  # or unknown: what was announced stays "not known"
    RELEASED = "released"  # a claim for reading
    DOWNGRADED = "downgraded"  # the counts are written on a lower rung


def plan_keys(counts: Sequence[Count], surplus: Sequence[UserId], people: int, capacity: MessageCapacity) -> Plan:
    """The next call for a message with extensions, where `people` have a key, and those of `surplus` are to go.

    New counts come first, unless there might be no place for them.
    """
    shown = _shown(counts, capacity)
    wrong = [each for each in counts if each.emoji in shown and each.published != each.number]
    sets = {each.emoji: each.number for each in wrong[: capacity.per_call]}
    leaving = [each.emoji for each in counts if each.emoji not in shown and each.published != 0]
    adding = sum(not each.published for each in wrong)
    standing = sum(each.published != 0 for each in counts)
    crowded = people + standing + adding > capacity.keys
    if sets and not (crowded and (leaving or surplus)):
        return Plan(sets=sets, whole=not leaving and not surplus and len(wrong) <= capacity.per_call)
    removals = tuple(leaving[: capacity.per_call])
    gone = tuple(surplus[: capacity.per_call - len(removals)])
    done = len(removals) == len(leaving) and len(gone) == len(surplus)
    return Plan(removals=removals, people=gone, whole=done and not sets)


def plan_data(counts: Sequence[Count], capacity: MessageCapacity) -> Plan:
    """The next call for a message whose custom data holds the counts: all of them, when one differs."""
    shown = _shown(counts, capacity)
    if all(each.published == shown.get(each.emoji, 0) for each in counts):
        return Plan()
    return Plan(data=shown)


def _shown(counts: Sequence[Count], capacity: MessageCapacity) -> dict[str, int]:
    ordered = sorted((each for each in counts if each.number > 0), key=lambda each: (-each.number, each.emoji))
    return {each.emoji: each.number for each in ordered[: capacity.counts]}


def fills_data(rung: Rung | None, plan: Plan) -> bool:
    """Return whether a plan puts counts into custom data; on a better rung it takes them out."""
    return plan.data is not None and rung is Rung.CUSTOM_DATA
