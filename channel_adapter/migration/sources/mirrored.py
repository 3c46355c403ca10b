"""A source without the broadcasts that repeat posts of the target since posting has moved there."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Final

from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    BrokenRecord,
    Source,
    SourceChannel,
    SourceKind,
    SourcePost,
    SourceSpec,
    SubscriberPage,
)
from channel_adapter.store.cutover import SENT, CutoverStore
from channel_adapter.store.database import Database

NONE: Final[frozenset[str]] = frozenset()


class ExcludeMirroredPosts:
    """A source whose posts lack those that the database records as mirrored."""

    def __init__(self, source: Source, url: str) -> None:
        self._source = source
        self._url = url

    @property
    def spec(self) -> SourceSpec:
        return self._source.spec

    def channels(self) -> AsyncIterator[SourceChannel]:
        """Yield all channels."""
        return self._source.channels()

    async def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Yield posts, the oldest first."""
        async with aclosing(self._skip_mirrored_posts(channel, self._source.posts(channel, after=after))) as posts:
            async for post in posts:
                yield post

    async def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """Yield posts in the order that costs least."""
        async with aclosing(self._skip_mirrored_posts(channel, self._source.posts_any_order(channel))) as posts:
            async for post in posts:
                yield post

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """Return a page of subscribers."""
        return await self._source.subscribers(channel, cursor)

    def broken(self) -> AsyncIterator[BrokenRecord]:
        """Yield records that cannot be used."""
        return self._source.broken()

    async def aclose(self) -> None:
        """Close the source."""
        await self._source.aclose()

    async def _skip_mirrored_posts(
        self, channel: str, posts: AsyncIterator[SourcePost]
    ) -> AsyncGenerator[SourcePost, None]:
        copies = (await copies_of(self._url)).get(channel, NONE)
        async for post in posts:
            if post.key not in copies:
                yield post


async def copies_of(url: str) -> Mapping[str, frozenset[str]]:
    """Return the keys of mirrored posts by account; none where there was no cutover. Raises UnavailableError."""
    database = Database.shared(url)
    try:
        found: dict[str, set[str]] = {}
        for row in await CutoverStore(database).broadcasts_if_any(SENT):
            found.setdefault(row.source, set()).add(row.result)
    finally:
        await database.close()
    return {source: frozenset(keys) for source, keys in found.items()}


def exclude_mirrored(source: Source, database_url: str | None) -> Source:
    """Return a source whose posts lack the broadcasts that repeat posts of channels, as the database names them."""
    if database_url is None or source.spec.kind is not SourceKind.ACCOUNTS:
        return source
    return ExcludeMirroredPosts(source, database_url)
