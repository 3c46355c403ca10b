"""How reactions are kept in the extensions of a message. This is the only place that knows the layout.

Layout 1:

    r|<user id>   the person's emoji; several, where a person may have several, with a blank between them
    n|<emoji>     how many people chose it, in decimal digits

A client of the service that follows Tencent's own advice, to use the user id as key, reads and writes `r|<own id>` and
shows `n|*`. Keys with other beginnings belong to somebody else: they are neither read nor written. A user id has 32
bytes at most and the longest emoji 35, so keys and values stay far below the 100 and 1000 bytes of a pair [doc 52170].
A later layout takes other letters before the bar, so that both can stand on one message.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import PolicyKind, ReactionChange, ReactionPolicy, Reactions
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.emoji import known_emoji, one_emoji
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


NAMESPACE: Final = "channel_adapter"
VERSION: Final = 1
NOTHING: Final = "{}"
"""Whether an empty text would be taken for "leave it as it is" is not known [messages 3]."""


def with_counts(held: str | None, counts: Mapping[str, int]) -> str | None:
    """Custom data with these counts in our namespace and all else as it was; None when `held` is no JSON object."""
    data = _object(held)
    if data is None:
        return None
    if counts:
        data[NAMESPACE] = {"v": VERSION, "reactions": dict(counts)}
    else:
        data.pop(NAMESPACE, None)
    return orjson.dumps(data).decode() if data else NOTHING


def counts_in(held: str | None) -> dict[str, int]:
    """The counts that stand in custom data; empty where there are none of ours."""
    own = (_object(held) or {}).get(NAMESPACE)
    counts = own.get("reactions") if isinstance(own, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {emoji: count for emoji, count in counts.items() if isinstance(count, int)}


def _object(held: str | None) -> dict[str, Any] | None:
    if not held:
        return {}
    try:
        data = orjson.loads(held)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


NAME: Final = "reactions"
"""The attribute of a channel that contains its policy."""

_WORDS = {kind.value: ReactionPolicy(kind) for kind in (PolicyKind.ALL, PolicyKind.BASIC, PolicyKind.NONE)}


def to_policy(wanted: str | Iterable[str] | ReactionPolicy) -> ReactionPolicy:
    """The policy for `all`, `basic`, `none`, or a list of emoji. Raises InvalidError."""
    if isinstance(wanted, ReactionPolicy):
        return wanted
    if isinstance(wanted, str):
        if wanted in _WORDS:
            return _WORDS[wanted]
        if known_emoji(wanted) is None:
            words = ", ".join(_WORDS)
            raise InvalidError(f"policy: {wanted!r} is none of {words} and no emoji", field="policy")
        wanted = [wanted]
    emoji = tuple(dict.fromkeys(one_emoji(each, "policy") for each in wanted))
    if not emoji:
        raise InvalidError("policy: the list is empty; to take no reactions, say none", field="policy", size=0)
    return ReactionPolicy(PolicyKind.SOME, emoji)


def policy_in(attributes: Mapping[str, str]) -> ReactionPolicy:
    """Return the policy that the attributes of a channel contain; every emoji is allowed without one."""
    text = attributes.get(NAME)
    if text is None:
        return ReactionPolicy()
    emoji = dict.fromkeys(found for each in text.split(" ") if (found := known_emoji(each)) is not None)
    return _WORDS.get(text, ReactionPolicy(PolicyKind.SOME, tuple(emoji)))


def policy_text(policy: ReactionPolicy) -> str:
    """Return the value of the attribute for a policy."""
    return " ".join(policy.emoji) if policy.kind is PolicyKind.SOME else policy.kind.value


def require_allowed(policy: ReactionPolicy, emoji: str) -> None:
    """Raises InvalidError, which names what is allowed."""
    if policy.allows(emoji):
        return
    allowed = " ".join(policy.allowed or ())
    said = f"this channel takes {allowed}" if allowed else "this channel takes no reactions"
    raise InvalidError(f"emoji: {emoji} is not allowed; {said}", field="emoji")


def of_counts(ref: PostRef, counts: Mapping[str, int], mine: tuple[str, ...] = ()) -> Reactions:
    """The value for these counts."""
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Reactions(ref=ref, counts=ordered, total=sum(ordered.values()), mine=mine)


def of_people(people: Mapping[UserId, tuple[str, ...]]) -> Counter[str]:
    """How many people chose each emoji."""
    return Counter(emoji for chosen in people.values() for emoji in chosen)
