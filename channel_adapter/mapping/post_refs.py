"""References to posts as callers give them: checked before anything is sent."""

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.ids import channel_id


def post_ref(ref: object, field: str = "ref") -> tuple[ChannelId, int]:
    """Channel and number of a post. Raises InvalidError for what is no PostRef, or one that cannot be."""
    if not isinstance(ref, PostRef):
        hint = "; give its ref" if isinstance(ref, Post) else ""
        raise InvalidError(f"{field}: a {type(ref).__name__} is no PostRef{hint}", field=field)
    return channel_id(ref.channel), post_number(ref.seq, "seq")


def post_number(value: object, field: str) -> int:
    """The number of a post in its channel. Raises InvalidError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidError(f"{field}: {value!r} is no number of a post; they start at 1", field=field)
    return value
