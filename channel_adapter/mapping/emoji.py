"""Recognise single emoji, and spell each in its one full form, by the emoji library."""

from functools import lru_cache

from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value

_COMPONENT = 1  # `status` of skin tones and hair, which are parts and no emoji by themselves
_EMOJI_STYLE = "\ufe0f"
"""Variation selector 16. Clients also send it where Unicode's list has none, as in `👍` + U+FE0F: the same emoji."""


def one_emoji(text: object, field: str = "emoji") -> str:
    """Return the one emoji that `text` is, fully qualified: skin tones, flags and joined sequences count as one.

    Variation selectors (U+FE0F) may be missing or superfluous. Raises InvalidError for anything else.
    """
    if not isinstance(text, str):
        raise InvalidError(f"{field} must be one emoji; got {shown_value(text)}", field=field)
    if not text:
        raise InvalidError(f"{field} must be one emoji; got an empty text", field=field, size=0)
    found = known_emoji(text)
    if found is not None:
        return found
    count = _count_emoji(text)
    if count > 1:
        raise InvalidError(
            f"{field} must be one emoji; {shown_value(text)} contains {count} emoji", field=field, limit=1, size=count
        )
    raise InvalidError(f"{field} must be one emoji; {shown_value(text)} is not an emoji", field=field)


@lru_cache(maxsize=4096)
def known_emoji(text: str) -> str | None:
    """Return the emoji that `text` is, fully qualified, or None."""
    import emoji  # noqa: PLC0415 - its tables are large, and most programs do not need them

    unqualified = text.replace(_EMOJI_STYLE, "")
    data = emoji.EMOJI_DATA.get(unqualified)  # has every emoji in this spelling too
    if data is None or data["status"] == _COMPONENT:
        return None
    return emoji.emojize(emoji.demojize(unqualified))


def _count_emoji(text: str) -> int:
    import emoji  # noqa: PLC0415

    unqualified = text.replace(_EMOJI_STYLE, "")
    return emoji.emoji_count(unqualified) if emoji.purely_emoji(unqualified) else 0
