"""Durations that options name, parsed: a number and a unit."""

import re
from typing import Final

from channel_adapter.cli.exits import UsageError
from channel_adapter.quoting import shown_value

_SECONDS_OF: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw]?)")
_LONGEST: Final = 100 * 365 * 86_400.0
DURATIONS: Final = "90s, 30m, 2h, 7d or 2w"
"""Examples for help texts and messages."""


def match_duration(text: str) -> float | None:
    """Return the seconds of a number with the unit s, m, h, d or w, of seconds without one; None for another text."""
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _SECONDS_OF[found[2]] if found else None
    return seconds if seconds is not None and seconds <= _LONGEST else None


def parse_duration(text: str, option: str, *, zero: bool = False) -> float:
    """Return the seconds of a duration; with `zero`, it may be 0. Raises UsageError that names the option."""
    seconds = match_duration(text)
    if seconds is None or not (seconds or zero):
        examples = f"{DURATIONS}, or 0" if zero else DURATIONS
        raise UsageError(f"--{option} must be like {examples}; got {shown_value(text)}", field=option.replace("-", "_"))
    return seconds
