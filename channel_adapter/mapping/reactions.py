"""Reactions as texts: the keys of extensions, the JSON of custom data, and the policy in the attributes of a channel.

This is the only file that knows the layouts. Extensions, layout 1:

    r|<user id>   the emoji of a user; several, where a user may have several, with a blank between them
    n|<emoji>     how many users chose it, in decimal digits

A client app that follows Tencent's advice to use the user id as key reads and writes `r|<own id>` and shows `n|*`.
Keys with other prefixes belong to other programs: they are neither read nor written. A user id has at most 32 bytes and
the longest emoji 35, so keys and values stay far below the 100 and 1000 bytes of a pair [doc 52170]. A later layout has
other letters before the bar, so that both can stand on one message.

Custom data of a message, where counts are not written as extensions: a member of a JSON object.

    {"channel_adapter": {"v": 1, "reactions": {"👍": 41, "❤️": 7}}, "other_program": ...}

The policy is an attribute of the channel: `all`, `basic`, `none`, or emoji with blanks between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import PolicyKind, ReactionChange, ReactionPolicy, Reactions
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.emoji import known_emoji, one_emoji
from channel_adapter.mapping.ids import user_id
from channel_adapter.mapping.text import byte_size, parse_digits, require_list
from channel_adapter.quoting import shown_value
from channel_adapter.tencent.wire.extensions import Extension

_USER: Final = "r|"
_COUNT: Final = "n|"
PROBE: Final = Extension(key="v|1", value="1")
"""Is set on a message of a probe, to check that messages accept extensions."""


def user_key(user: UserId) -> str:
    """Return the key of a user's reaction."""
    return _USER + user


def count_key(emoji: str) -> str:
    """Return the key of an emoji's count."""
    return _COUNT + emoji


def user_pair(user: UserId, emoji: Sequence[str]) -> Extension:
    """Return the pair that sets a user's reaction."""
    return Extension(key=user_key(user), value=" ".join(emoji))


def count_pair(emoji: str, count: int) -> Extension:
    """Return the pair that sets a count."""
    return Extension(key=count_key(emoji), value=str(count))


def deletion(key: str) -> Extension:
    """Return the pair that deletes a key: its value is empty [doc 52170]."""
    return Extension(key=key, value="")


@dataclass(frozen=True, slots=True)
class ParsedExtensions:
    """The keys of one message. A count that is not a number is -1. `other` is how many keys are of other programs."""

    users: Mapping[UserId, ReactionChange] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    other: int = 0


def parse_extensions(pairs: Iterable[Extension]) -> ParsedExtensions:
    """Parse the pairs of a message; a pair without value is absent."""
    users: dict[UserId, ReactionChange] = {}
    counts: dict[str, int] = {}
    other = 0
    for pair in pairs:
        if not pair.value:
            continue
        change = to_change(pair)
        if change is not None:
            users[change.user] = change
        elif pair.key.startswith(_COUNT) and known_emoji(pair.key.removeprefix(_COUNT)) is not None:
            number = parse_digits(pair.value)
            counts[pair.key.removeprefix(_COUNT)] = -1 if number is None else number
        else:
            other += 1
    return ParsedExtensions(users, counts, other)


def to_change(pair: Extension, *, from_client: bool | None = None) -> ReactionChange | None:
    """Return the change of a user's reaction that a pair reports; None for other keys.

    A value without an emoji is no reaction, but its key takes room: its `emoji` is `("",)`.
    """
    if not pair.key.startswith(_USER):
        return None
    try:
        user = user_id(pair.key.removeprefix(_USER))
    except InvalidError:
        return None
    return ReactionChange(user, _emoji_of(pair.value), pair.seq or 0, from_client)


def to_changes(pairs: Iterable[Extension], *, from_client: bool | None = None) -> list[ReactionChange]:
    """Return the changes of users' reactions among the pairs of an event."""
    return [change for pair in pairs if (change := to_change(pair, from_client=from_client)) is not None]


def _emoji_of(value: str) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(dict.fromkeys(known_emoji(part) or "" for part in value.split(" ")))


_NAMESPACE: Final = "channel_adapter"
_VERSION: Final = 1
_EMPTY: Final = "{}"
"""Custom data without members. Whether the service takes an empty text for "unchanged" is unknown [messages 3]."""


def with_counts(current: str | None, counts: Mapping[str, int]) -> str | None:
    """Return custom data with these counts in our member and every other member as it was; None for other formats."""
    data = _parse_object(current)
    if data is None:
        return None
    if counts:
        data[_NAMESPACE] = {"v": _VERSION, "reactions": dict(counts)}
    else:
        data.pop(_NAMESPACE, None)
    return orjson.dumps(data).decode() if data else _EMPTY


def _parse_object(current: str | None) -> dict[str, Any] | None:
    if not current:
        return {}
    try:
        data = orjson.loads(current)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


POLICY: Final = "reactions"
"""The attribute of a channel that contains its policy."""
POLICY_BYTES: Final = 280
"""The longest policy: with the flags, the contact and what a migration writes it fits into the tag of a channel."""

_WORDS: Final = {kind.value: ReactionPolicy(kind) for kind in (PolicyKind.ALL, PolicyKind.BASIC, PolicyKind.NONE)}


def to_policy(wanted: str | Iterable[str] | ReactionPolicy) -> ReactionPolicy:
    """Return the policy for `all`, `basic`, `none`, or a list of emoji. Raises InvalidError."""
    if isinstance(wanted, ReactionPolicy):
        if wanted.kind is not PolicyKind.SOME:
            return wanted
        wanted = wanted.emoji
    if isinstance(wanted, str):
        if wanted in _WORDS:
            return _WORDS[wanted]
        if known_emoji(wanted) is None:
            raise InvalidError(
                f"policy must be {', '.join(_WORDS)} or a list of emoji; got {shown_value(wanted)}", field="policy"
            )
        wanted = [wanted]
    emoji = tuple(dict.fromkeys(one_emoji(each, "policy") for each in require_list(wanted, "policy", "emoji")))
    if not emoji:
        raise InvalidError(
            "policy must not be an empty list; use 'none' to accept no reactions", field="policy", size=0
        )
    return ReactionPolicy(PolicyKind.SOME, emoji)


@lru_cache(maxsize=1024)
def parse_policy(text: str | None) -> ReactionPolicy:
    """Return the policy in the attribute of a channel; every emoji is accepted without one."""
    if text is None:
        return ReactionPolicy()
    emoji = dict.fromkeys(found for each in text.split(" ") if (found := known_emoji(each)) is not None)
    return _WORDS.get(text, ReactionPolicy(PolicyKind.SOME, tuple(emoji)))


def policy_text(policy: ReactionPolicy) -> str:
    """Return the value of the attribute for a policy. Raises InvalidError for a list that is too long."""
    text = " ".join(policy.emoji) if policy.kind is PolicyKind.SOME else policy.kind.value
    if (size := byte_size(text)) > POLICY_BYTES:
        raise InvalidError(
            f"the list has {size} bytes; {POLICY_BYTES} are allowed", field=POLICY, limit=POLICY_BYTES, size=size
        )
    return text


def to_reactions(ref: PostRef, counts: Mapping[str, int], mine: tuple[str, ...] = ()) -> Reactions:
    """Return the reactions of a post: the most frequent emoji first, equal counts in a fixed order."""
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Reactions(ref=ref, counts=ordered, total=sum(ordered.values()), mine=mine)
