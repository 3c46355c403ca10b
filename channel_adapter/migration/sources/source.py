"""The interface of a source, and the values that it yields. Times are unix seconds.

A source is read only, and in pieces: no list of subscribers or posts is held in memory.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from channel_adapter.concurrency.paging import CursorLoopGuard
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import InvalidError, UnavailableError
from channel_adapter.tencent.wire.msg_body import Element


class SourceKind(StrEnum):
    """Where channels come from."""

    ACCOUNTS = "official_accounts"
    FILES = "files"


class SourceSpec(BaseModel):
    """How the source is opened again. Paths are as they were given; digests are SHA-256 of the files as they were.

    `searched`: the accounts were found by what users follow or in callbacks, and not named one by one.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    kind: SourceKind
    accounts: tuple[str, ...] = ()
    searched: bool = False
    files: dict[str, str] = {}
    digests: dict[str, str] = {}
    owner: str = ""


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
    """What is left of a post in the source."""

    PUBLISHED = "published"
    RECALLED = "recalled"
    EXPIRED = "expired"  # or deleted, or never stored: the source does not tell them apart [doc 60812]
    FOREIGN = "foreign"  # written by another user than the channel: private, and never moved


@dataclass(frozen=True, slots=True)
class SourcePost:
    """One post. `key` names it in the source, `number` is unique in its channel and below 2**32.

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
    """One subscriber. `since` and `unread` are None where the source does not know them."""

    user: str
    since: int | None = None
    notifications: Notifications = Notifications.ALL
    custom_data: str = ""
    unread: int | None = None

    @property
    def target_notifications(self) -> Notifications:
        """The setting to give on the target; the default in place of one that this version does not know."""
        return Notifications.ALL if self.notifications is Notifications.UNKNOWN else self.notifications


@dataclass(frozen=True, slots=True)
class SubscriberPage:
    """Some subscribers of a channel, and the cursor behind them; None when these were the last."""

    subscribers: tuple[SourceSubscriber, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A line or an item of the source that cannot be used: where it is, what is wrong, and its text."""

    where: str
    field: str
    reason: str
    raw: str


FIRST_PAGE = ""


class Source(Protocol):
    """An open source. Every method may be called again at any time and then reads again.

    A failing source raises a ChannelAdapterError; one that is empty where it says that it is not raises one too.
    """

    @property
    def spec(self) -> SourceSpec:
        """Return how the source is opened again."""
        ...

    def channels(self) -> AsyncIterator[SourceChannel]:
        """Yield all channels, in the order of the spec. Raises NotFoundError for one that does not exist any more."""
        ...

    def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Yield posts of a channel, oldest first, recalled and expired ones too; only those behind the key `after`."""
        ...

    def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """Yield posts in the order that costs least, for counting."""
        ...

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """Return a page of subscribers. Raises InvalidError for an expired cursor: start with the first page then."""
        ...

    def broken(self) -> AsyncIterator[BrokenRecord]:
        """Yield records that cannot be used, as far as they were found."""
        ...

    async def aclose(self) -> None:
        """Close the source."""
        ...


async def channels_by_id(source: Source) -> dict[str, SourceChannel]:
    """Return all channels of a source by their ids."""
    return {channel.id: channel async for channel in source.channels()}


async def every_subscriber(source: Source, channel: str) -> AsyncGenerator[tuple[SourceSubscriber, ...], None]:
    """Yield all pages of subscribers. When a cursor expires, start again: then some appear twice."""
    cursor, begun_anew, guard = FIRST_PAGE, False, subscriber_guard()
    while True:
        try:
            page = await source.subscribers(channel, cursor)
        except InvalidError:
            if cursor == FIRST_PAGE or begun_anew:
                raise
            cursor, begun_anew, guard = FIRST_PAGE, True, subscriber_guard()
            continue
        yield page.subscribers
        if page.next is None:
            return
        cursor = guard.advance(cursor, page.next)


def subscriber_guard() -> CursorLoopGuard[str]:
    """Return a guard of the list of subscribers of one channel, which raises UnavailableError."""
    return CursorLoopGuard("subscribers", UnavailableError)
