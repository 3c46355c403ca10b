"""Settings of official-account mode, as plain values."""

from dataclasses import dataclass

from channel_adapter.tencent import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialOptions:
    """How broadcasts are sent and calls are made. `total_seconds` bounds a wait; `post_bytes` is a body as JSON.

    Attributes of a channel that were read from the database are used for `cache_seconds`.
    """

    post_bytes: int = limits.MESSAGE_BYTES
    posts_per_second: float = limits.OFFICIAL_MESSAGES_PER_SECOND
    posts_per_hour: int = limits.OFFICIAL_BROADCASTS_PER_HOUR
    total_seconds: float
    cache_seconds: float = 300.0
    concurrency: int
