"""Values as messages show them: those from outside in bounded length, and time spans in words.

Every package may import this one.
"""

from collections.abc import Sized
from typing import Final

VALUE_CHARACTERS: Final = 80
"""The most characters that an error shows of a wrong value."""

TEXT_CHARACTERS: Final = 240
"""The most characters that an error shows of a path, of the name of a setting, or of another library's message."""


def shown_value(value: object, max_characters: int = VALUE_CHARACTERS) -> str:
    """Return a value as an error shows it: its `repr`, or the beginning of that and the value's size.

    `'harbor news'` stays as it is, and 20,000 letters become `'aaaa...' (20,000 characters)`. Control characters and
    halves of surrogate pairs are escaped.
    """
    if isinstance(value, str):
        kept = value[:max_characters]
        while len(repr(kept)) > max_characters + 2:  # escapes are longer than what they stand for
            kept = kept[:-1]
        return repr(value) if kept == value else f"{kept + '...'!r} ({len(value):,} characters)"
    try:
        text = repr(value)
    except ValueError:  # Python writes no integers of more than 4,300 digits
        text = f"<{type(value).__name__}>"
        return f"{text} ({value.bit_length():,} bits)" if isinstance(value, int) else text
    if len(text) <= max_characters:
        return text
    if isinstance(value, bytes):
        size = f"{len(value):,} bytes"
    else:
        size = f"{len(value):,} items" if isinstance(value, Sized) else f"{len(text):,} characters"
    return f"{text[:max_characters]}... ({size})"


def shown_text(text: object) -> str:
    """Return a path, a name or a message as an error shows it: without quotes, or shortened as by `shown_value`."""
    whole = str(text)
    return whole if len(whole) <= TEXT_CHARACTERS else shown_value(whole, TEXT_CHARACTERS)


def duration(seconds: float) -> str:
    """Return a time span in words: the largest unit that fits, to one decimal place at most."""
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = round(seconds / unit, 1)
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    whole = round(seconds)
    return f"{whole} second{'' if whole == 1 else 's'}"
