"""A channel's reaction policy as an attribute of the channel: `all`, `basic`, `none`, or emoji with blanks between."""

from collections.abc import Iterable, Mapping
from typing import Final

from channel_adapter.domain.reaction import PolicyKind, ReactionPolicy
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.emoji import known_emoji, one_emoji

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
