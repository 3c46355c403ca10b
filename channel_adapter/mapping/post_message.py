"""A message of history as a post."""

from typing import Final

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Post, PostRef, PostState
from channel_adapter.mapping.moments import moment
from channel_adapter.mapping.post_body import from_elements
from channel_adapter.tencent.wire import messages

STATES: Final = {
    messages.PLACE_NORMAL: PostState.PUBLISHED,
    messages.PLACE_GONE: PostState.EXPIRED,
    messages.PLACE_RECALLED: PostState.RECALLED,
}


def to_post(channel: ChannelId, message: messages.HistoryMessage) -> Post:
    """Recalled and expired messages lose their parts, whatever body came along [doc 34971]."""
    state = STATES.get(message.is_place_msg, PostState.EXPIRED)
    return Post(
        ref=PostRef(channel, message.msg_seq),
        author=UserId(message.from_account) if message.from_account else None,
        published_at=moment(message.msg_time_stamp),
        parts=from_elements(message.msg_body) if state is PostState.PUBLISHED else (),
        state=state,
        dedupe=message.msg_random,
    )


def is_post(message: messages.HistoryMessage) -> bool:
    """System messages take a number in history and are nobody's post."""
    return not message.is_system_msg
