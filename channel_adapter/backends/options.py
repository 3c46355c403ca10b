"""Settings of a backend, as plain values."""

from dataclasses import dataclass

from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.tencent.limits import GroupProfileBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """How a backend stores channels and makes its calls. Durations are in seconds, sizes in bytes."""

    field_keys: FieldKeys
    profile_limits: GroupProfileBytes
    post_bytes: int
    posts_per_second: float
    add_per_call: int
    remove_per_call: int
    cache_seconds: float
    cache_entries: int
    total_seconds: float
    concurrency: int
