"""Counts as people read them: the most frequent emoji first, equals in a fixed order."""

from collections import Counter
from collections.abc import Mapping

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Reactions


def of_counts(ref: PostRef, counts: Mapping[str, int], mine: tuple[str, ...] = ()) -> Reactions:
    """The value for these counts."""
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Reactions(ref=ref, counts=ordered, total=sum(ordered.values()), mine=mine)


def of_people(people: Mapping[UserId, tuple[str, ...]]) -> Counter[str]:
    """How many people chose each emoji."""
    return Counter(emoji for chosen in people.values() for emoji in chosen)
