"""Counts in the custom data of a message, where it carries no extensions: a member of our own in a JSON object.

{"channel_adapter": {"v": 1, "reactions": {"👍": 41, "❤️": 7}}, "somebody_else": ...}
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

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
