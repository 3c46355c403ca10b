"""A channel's reaction policy, a part of its tag: every process and every phone reads it where it reads the tag.

ch1;reactions=basic        one of all, basic, none
ch1;reactions=👍 ❤️         a list, with a blank between
"""

from collections.abc import Iterable
from dataclasses import replace

from channel_adapter.domain.reaction import PolicyKind, ReactionPolicy
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.emoji import known_emoji, one_emoji
from channel_adapter.mapping.tag import Tag
from channel_adapter.mapping.text import byte_size
from channel_adapter.tencent import limits

NAME = "reactions="
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


def policy_in(tag: Tag | None) -> ReactionPolicy:
    """What the tag of a channel says; without a word on it, everything is taken."""
    for part in tag.others if tag else ():
        if part.startswith(NAME):
            said = part.removeprefix(NAME)
            emoji = dict.fromkeys(found for each in said.split(" ") if (found := known_emoji(each)) is not None)
            return _WORDS.get(said, ReactionPolicy(PolicyKind.SOME, tuple(emoji)))
    return ReactionPolicy()


def tag_with(tag: Tag, policy: ReactionPolicy) -> Tag:
    """The tag with this policy in it and everything else as it was. Raises InvalidError when it gets too long."""
    others = [part for part in tag.others if not part.startswith(NAME)]
    said = " ".join(policy.emoji) if policy.kind is PolicyKind.SOME else policy.kind.value
    written = replace(tag, others=(*others, NAME + said))
    size = byte_size(written.text())
    if size > limits.GROUP_FIELD_VALUE_BYTES:
        raise InvalidError(
            f"policy: the list makes the channel's tag {size} bytes long; {limits.GROUP_FIELD_VALUE_BYTES} are allowed",
            field="policy",
            limit=limits.GROUP_FIELD_VALUE_BYTES,
            size=size,
        )
    return written


def require_allowed(policy: ReactionPolicy, emoji: str) -> None:
    """Raises InvalidError, which names what is allowed."""
    if policy.allows(emoji):
        return
    allowed = " ".join(policy.allowed or ())
    said = f"this channel takes {allowed}" if allowed else "this channel takes no reactions"
    raise InvalidError(f"emoji: {emoji} is not allowed; {said}", field="emoji")
