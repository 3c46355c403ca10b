"""Official accounts as a source: profiles 50 a call, posts 20 a page from the newest down, subscribers 200 a page.

Pages of history wait in a page cache: they are read from the newest down and moved from the oldest up.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from channel_adapter.backends.official.backend import OfficialBackend
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.subscription import Subscriber
from channel_adapter.errors import NotFoundError
from channel_adapter.mapping.text import parse_digits
from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    BrokenRecord,
    SourceChannel,
    SourceKind,
    SourcePost,
    SourceSpec,
    SourceState,
    SourceSubscriber,
    SubscriberPage,
)
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.msg_body import Element

CACHED_PAGES: Final = 32
"""Pages of an account that are cached in memory, so that they are not read twice."""


@dataclass(frozen=True, slots=True)
class PagePosition:
    """A page without its messages: the key of its request, the key of the next older page, its lowest number."""

    asked: str | None
    below: str | None
    lowest: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages of one call, newest first. `asked` is None for the newest page, `below` for the last one."""

    position: PagePosition
    messages: tuple[wire.OfficialHistoryMessage, ...]


class AccountPages(Protocol):
    """Saved pages of one account, in the order in which they were read."""

    async def saved_pages(self) -> list[PagePosition]:
        """Return the pages that an earlier process has saved, the newest first."""
        ...

    async def save(self, number: int, page: HistoryPage) -> None:
        """Save the page with this number."""
        ...

    async def load(self, number: int) -> Sequence[wire.OfficialHistoryMessage] | None:
        """Return the messages of a page; None when it has to be read again, as the newest page after a while."""
        ...


class PageCache(Protocol):
    """Saved pages of many accounts."""

    def account(self, account: str) -> AccountPages:
        """Return the pages of one account."""
        ...


class MemoryPages:
    """Pages of one account in memory: the oldest ones only, the others are read again."""

    def __init__(self) -> None:
        self._pages: dict[int, HistoryPage] = {}

    async def saved_pages(self) -> list[PagePosition]:
        """Return no pages: none outlive the process."""
        return []

    async def save(self, number: int, page: HistoryPage) -> None:
        """Save a page."""
        self._pages[number] = page
        self._pages.pop(number - CACHED_PAGES, None)

    async def load(self, number: int) -> Sequence[wire.OfficialHistoryMessage] | None:
        """Return the messages of a page, once."""
        page = self._pages.pop(number, None)
        return page.messages if page else None


class MemoryPageCache:
    """Pages of accounts whose history is read in one run."""

    def account(self, account: str) -> AccountPages:
        """Return an empty cache."""
        return MemoryPages()


STATES: Final = {
    messages.PLACE_NORMAL: SourceState.PUBLISHED,
    messages.PLACE_GONE: SourceState.EXPIRED,
    messages.PLACE_RECALLED: SourceState.RECALLED,
}


class AccountsSource:
    """Official accounts of the app as a source."""

    def __init__(
        self,
        official: OfficialBackend,
        accounts: Sequence[str],
        *,
        searched: bool = False,
        broken: Sequence[BrokenRecord] = (),
        pages: PageCache | None = None,
    ) -> None:
        """`searched`: the ids were not named one by one; `broken` are the lines of the search that named none.

        `pages` keeps pages of history until they are wanted; without it they wait in memory.
        """
        self._official = official
        self._accounts = list(dict.fromkeys(accounts))
        self._searched = searched
        self._broken = tuple(broken)
        self._pages = pages or MemoryPageCache()

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(kind=SourceKind.ACCOUNTS, accounts=tuple(self._accounts), searched=self._searched)

    async def channels(self) -> AsyncIterator[SourceChannel]:
        """Yield the accounts in the order of the ids. Raises NotFoundError that names those that do not exist."""
        missing: list[str] = []
        async with aclosing(
            self._official.channels.read_each([ChannelId(each) for each in self._accounts])
        ) as accounts:
            async for account, channel in accounts:
                if channel is None:
                    missing.append(account)
                elif not missing:
                    yield _source_channel(channel)
        if missing:
            raise NotFoundError(
                f"{len(missing)} of {len(self._accounts)} official accounts do not exist, or not any more:"
                f" {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}",
                field="accounts", size=len(missing),
            )  # fmt: skip

    async def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Yield posts, oldest first: read down to find the pages, and up again page by page.

        Pages that are not cached are read twice. Pages of an earlier process are continued. What
        is posted meanwhile may be given or not.
        """
        done = sequence_of(after)
        cache = self._pages.account(channel)
        positions = await cache.saved_pages()
        page: HistoryPage | None = None
        async with aclosing(self._pages_downwards(channel, done, positions[-1] if positions else None)) as pages:
            async for page in pages:
                await cache.save(len(positions), page)
                positions.append(page.position)
        if page is not None and page.position.below is not None:  # only the next call showed that it was the last one
            await cache.save(len(positions) - 1, replace(page, position=replace(page.position, below=None)))
        for number in range(len(positions) - 1, -1, -1):
            position = positions[number]
            if number and positions[number - 1].lowest <= done + 1:
                continue
            found = await cache.load(number)
            if found is None:
                found = await self._reread_page(channel, position, done)
            for message in _oldest_first(found, done):
                done = message.msg_seq
                yield _to_post(channel, message)

    async def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """Yield posts, newest first, each page read once."""
        async with aclosing(self._pages_downwards(channel, 0)) as pages:
            async for page in pages:
                for message in page.messages:
                    yield _to_post(channel, message)

    async def _reread_page(
        self, channel: str, position: PagePosition, done: int
    ) -> Sequence[wire.OfficialHistoryMessage]:
        """Read a page again; the newest one may have more now, so read down from the top to `done`."""
        if position.asked is not None:
            return (await self._official.posts.raw_page(ChannelId(channel), position.asked)).messages
        async with aclosing(self._pages_downwards(channel, done)) as pages:
            return [message async for page in pages for message in page.messages]

    async def _pages_downwards(
        self, channel: str, above: int, last: PagePosition | None = None
    ) -> AsyncGenerator[HistoryPage, None]:
        """Yield pages from the newest message, or from below `last`, down to the first one above `above`."""
        if last is not None and (last.below is None or last.lowest <= above + 1):
            return
        asked = last.below if last else None
        lowest = last.lowest if last else None
        while True:
            page = await self._official.posts.raw_page(ChannelId(channel), asked)
            fresh = [each for each in page.messages if lowest is None or each.msg_seq < lowest]
            wanted = tuple(each for each in fresh if each.msg_seq > above)
            if not wanted:
                return
            lowest = wanted[-1].msg_seq
            below: str | None = page.below or wanted[-1].msg_key
            if len(wanted) < len(fresh) or page.finished or below == asked:
                below = None
            yield HistoryPage(PagePosition(asked, below, lowest), wanted)
            if below is None:
                return
            asked = below

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """Return up to 200 subscribers. Raises UnavailableError for an empty first page if the service counts some."""
        page = await self._official.members.raw_page(ChannelId(channel), cursor)
        return SubscriberPage(tuple(map(_source_subscriber, page.items)), page.next)

    async def broken(self) -> AsyncIterator[BrokenRecord]:
        """Yield lines of the search for accounts that name none."""
        for record in self._broken:
            yield record

    async def aclose(self) -> None:
        """Do nothing: no file is open."""


def _oldest_first(page: Sequence[wire.OfficialHistoryMessage], done: int) -> list[wire.OfficialHistoryMessage]:
    """Return the messages above `done`, the oldest first."""
    return sorted((each for each in page if each.msg_seq > done), key=lambda each: each.msg_seq)


def sequence_of(key: str) -> int:
    """Return the number in a key `{number}_1_{seconds}`; 0 for no key."""
    return parse_digits(key.partition("_")[0]) or 0


def _to_post(channel: str, message: wire.OfficialHistoryMessage) -> SourcePost:
    """Convert a message. A body that no service accepts is dropped: the post is left behind and reported.

    Whether the history contains what users wrote to the account is unknown; if it does, that is no post.
    """
    state = STATES.get(message.is_place_msg, SourceState.EXPIRED)
    if message.from_account not in ("", channel):
        state = SourceState.FOREIGN
    whole = all(isinstance(each.msg_content, dict) for each in message.msg_body)
    body = tuple(
        Element.model_construct(msg_type=each.msg_type, msg_content=each.msg_content)
        for each in message.msg_body
        if whole
    )
    return SourcePost(
        key=message.msg_key,
        number=message.msg_seq,
        time=message.msg_time_stamp,
        body=body if state is SourceState.PUBLISHED else (),
        state=state,
    )


def _source_channel(channel: Channel) -> SourceChannel:
    return SourceChannel(
        id=channel.id,
        owner=channel.owner or "",
        name=channel.name,
        introduction=channel.introduction,
        avatar=channel.avatar,
        organization=channel.organization,
        custom_data=channel.custom_data,
        created_at=_to_unix_seconds(channel.created_at) or 0,
        last_post_at=_to_unix_seconds(channel.last_post_at) or 0,
        subscriber_count=channel.subscriber_count,
        max_subscribers=channel.max_subscribers,
    )


def _source_subscriber(subscriber: Subscriber) -> SourceSubscriber:
    return SourceSubscriber(
        user=subscriber.user,
        since=_to_unix_seconds(subscriber.since),
        notifications=subscriber.notifications,
        custom_data=subscriber.custom_data,
    )


def _to_unix_seconds(time: datetime | None) -> int | None:
    return int(time.timestamp()) if time else None
