"""How reactions are kept in the extensions of a message. This is the only place that knows the layout.

Layout 1:

    r|<user id>   the person's emoji; several, where a person may have several, with a blank between them
    n|<emoji>     how many people chose it, in decimal digits

A client of the service that follows Tencent's own advice, to use the user id as key, reads and writes `r|<own id>` and
shows `n|*`. Keys with other beginnings belong to somebody else: they are neither read nor written. A user id has 32
bytes at most and the longest emoji 35, so keys and values stay far below the 100 and 1000 bytes of a pair [doc 52170].
A later layout takes other letters before the bar, so that both can stand on one message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.emoji import known_emoji
from channel_adapter.mapping.ids import user_id
from channel_adapter.tencent.wire.extensions import Extension

PERSON = "r|"
COUNT = "n|"
PROBE = Extension(key="v|1", value="1")
"""Set once on a message of our own, to find out whether it can be done."""


def person_key(user: UserId) -> str:
    """The key of a person's reaction."""
    return PERSON + user


def count_key(emoji: str) -> str:
    """The key of an emoji's count."""
    return COUNT + emoji


def person_value(emoji: Sequence[str]) -> str:
    """The value of a person's key."""
    return " ".join(emoji)


def person_pair(user: UserId, emoji: Sequence[str]) -> Extension:
    """A person's reaction as a pair to set."""
    return Extension(key=person_key(user), value=person_value(emoji))


def count_pair(emoji: str, count: int) -> Extension:
    """A count as a pair to set."""
    return Extension(key=count_key(emoji), value=str(count))


def emptied(key: str) -> Extension:
    """A pair to delete: its value is empty [doc 52170]."""
    return Extension(key=key, value="")


@dataclass(frozen=True, slots=True)
class Held:
    """What the keys of one message say. A count that is no number is -1: somebody else wrote it."""

    people: dict[UserId, ReactionChange] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    foreign: int = 0


def read_pairs(pairs: Iterable[Extension]) -> Held:
    """Sort the pairs of a message into people, counts and what is not ours; a pair without value is absent."""
    held = Held()
    foreign = 0
    for pair in pairs:
        if not pair.value:
            continue
        change = to_change(pair)
        if change is not None:
            held.people[change.user] = change
        elif pair.key.startswith(COUNT) and known_emoji(pair.key.removeprefix(COUNT)) is not None:
            held.counts[pair.key.removeprefix(COUNT)] = int(pair.value) if pair.value.isdecimal() else -1
        else:
            foreign += 1
    return Held(held.people, held.counts, foreign)


def to_change(pair: Extension, *, by_phone: bool | None = None) -> ReactionChange | None:
    """A pair of an event or a read as a change of somebody's reaction; None for keys of other kinds.

    A value that holds no emoji changes nothing that could be counted, but it takes a place: its `emoji` is `("",)`.
    """
    if not pair.key.startswith(PERSON):
        return None
    try:
        user = user_id(pair.key.removeprefix(PERSON))
    except InvalidError:
        return None
    return ReactionChange(user, _emoji_of(pair.value), pair.seq or 0, by_phone)


def to_changes(pairs: Iterable[Extension], *, by_phone: bool | None = None) -> list[ReactionChange]:
    """The changes of people's reactions among the pairs of one event."""
    return [change for pair in pairs if (change := to_change(pair, by_phone=by_phone)) is not None]


def _emoji_of(value: str) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(dict.fromkeys(known_emoji(part) or "" for part in value.split(" ")))
