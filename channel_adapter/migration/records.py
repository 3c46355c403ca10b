"""What a source holds, whatever system it is. Times are unix seconds, as both services count them."""

from dataclasses import dataclass
from enum import StrEnum

from channel_adapter.domain.subscription import Notifications
from channel_adapter.tencent.wire.msg_body import Element


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChannel:
    """One channel's profile. `id` is the source's own; texts are whole, whatever their bytes.

    `subscriber_count` is what the source says of itself. `max_subscribers` is None where it cannot be read: official
    accounts have no way to read it back [doc 60758]. `admins` may post beside the owner.
    """

    id: str
    owner: str
    name: str
    introduction: str = ""
    avatar: str = ""
    organization: str = ""
    custom_data: str = ""
    created_at: int = 0
    last_post_at: int = 0
    subscriber_count: int = 0
    max_subscribers: int | None = None
    admins: tuple[str, ...] = ()


class SourceState(StrEnum):
    """What is left of a post at the source."""

    PUBLISHED = "published"
    RECALLED = "recalled"
    EXPIRED = "expired"  # or deleted, or never stored: the source does not tell them apart [doc 60812]
    FOREIGN = "foreign"  # said by somebody else than the channel: private, and never moved


@dataclass(frozen=True, slots=True)
class SourcePost:
    """One post. `key` names it at the source, `number` is unique in its channel and below 2**32.

    `author` is empty where the source knows none, or where it is the channel itself: then the owner posts.
    """

    key: str
    number: int
    time: int
    body: tuple[Element, ...]
    author: str = ""
    state: SourceState = SourceState.PUBLISHED


@dataclass(frozen=True, slots=True)
class SourceSubscriber:
    """One person who follows. `since` and `unread` are None where the source does not know them."""

    user: str
    since: int | None = None
    notifications: Notifications = Notifications.ALL
    custom_data: str = ""
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriberPage:
    """Some subscribers of a channel, and the cursor behind them; None when these were the last."""

    subscribers: tuple[SourceSubscriber, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A line or an item of the source that cannot be used: where, what is wrong, and what it says."""

    where: str
    field: str
    reason: str
    raw: str
