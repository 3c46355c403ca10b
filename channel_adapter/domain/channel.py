"""A channel: an account that people follow, read and react to."""

from dataclasses import dataclass
from datetime import datetime

from channel_adapter.domain.ids import ChannelId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel as it was when read.

    `subscriber_count` and `max_subscribers` leave the owner out. `custom_data_complete` is False when the data is
    spread over more custom fields than the settings name: `custom_data` is its beginning then. `complete` is False
    while a creation was interrupted before posting was closed to subscribers; creating again with the same slug, or
    the doctor, finishes it.
    """

    id: ChannelId
    slug: str
    name: str
    owner: UserId | None = None
    introduction: str = ""
    notification: str = ""
    avatar: str = ""
    organization: str = ""
    custom_data: str = ""
    custom_data_complete: bool = True
    subscriber_count: int = 0
    max_subscribers: int | None = None
    created_at: datetime | None = None
    last_post_at: datetime | None = None
    complete: bool = True
