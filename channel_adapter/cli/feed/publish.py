"""Posts a feed's entries in a channel, each once: what stands in the channel's history already is not posted again."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
from typing import Protocol

from channel_adapter.cli.feed.entries import FeedEntry
from channel_adapter.domain.post import Article, Content, Post, PostRef
from channel_adapter.errors import InvalidError, RefusedError


class EntryState(StrEnum):
    """States of an entry after an import."""

    PUBLISHED = "published"
    ALREADY = "already"  # in the channel from an earlier run
    PLANNED = "planned"  # would be published; a dry run writes nothing
    REFUSED = "refused"  # too long, or declined by the service; the others go on


@dataclass(frozen=True, slots=True)
class Imported:
    """Holds an entry and its state after the import."""

    key: str
    title: str
    link: str
    image_url: str
    published: datetime | None
    shortened: bool
    notes: tuple[str, ...]
    state: EntryState
    ref: PostRef | None = None
    reason: str = ""


class FeedPosts(Protocol):
    """Methods of `adapter.posts` that an import needs."""

    def history(self, channel: str) -> AsyncIterator[Post]:
        """Read all posts of a channel."""

    async def publish(
        self, channel: str, content: Content, *, author: str | None = None, idempotency_key: str | None = None
    ) -> Post:
        """Publish a post."""

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """Return `Post.dedupe` of a post that is published with that key."""


class FeedImport:
    """Publishes entries one after another, so that their order in the channel is the order of the feed."""

    def __init__(self, posts: FeedPosts, channel: str, author: str | None) -> None:
        self._posts = posts
        self._channel = channel
        self._author = author
        self._known: dict[int, list[Post]] = {}
        self._shared: frozenset[int] = frozenset()
        self.counts: Counter[EntryState] = Counter()
        self.shortened = 0
        """Of those that were published, or would be."""

    async def read_history(self, progress: Callable[[], None]) -> None:
        """Read which posts are in the channel already."""
        async for post in self._posts.history(self._channel):
            progress()
            if post.dedupe is not None:
                self._known.setdefault(post.dedupe, []).append(post)

    async def run(self, entries: Sequence[FeedEntry], *, dry_run: bool, limit: int | None) -> AsyncIterator[Imported]:
        """Publish what is new, at most `limit` of it. An entry that is refused does not stop the others; a failing
        service does, because going on would change the order."""
        numbers = Counter(self._posts.dedupe_of(self._channel, entry.key) for entry in entries)
        self._shared = frozenset(number for number, times in numbers.items() if times > 1)
        for entry in entries:
            if limit is not None and self.counts[EntryState.PUBLISHED] + self.counts[EntryState.PLANNED] >= limit:
                return
            done = await self._import_entry(entry, dry_run=dry_run)
            self.counts[done.state] += 1
            self.shortened += done.shortened and done.state in (EntryState.PUBLISHED, EntryState.PLANNED)
            yield done

    async def _import_entry(self, entry: FeedEntry, *, dry_run: bool) -> Imported:
        key, there = self._find_free_key(entry)
        if there is not None:
            return _entry_result(entry, EntryState.ALREADY, there.ref)
        if dry_run:
            return _entry_result(entry, EntryState.PLANNED)
        article = Article(title=entry.title, text=entry.text, link=entry.link, image_url=entry.image_url)
        try:
            post = await self._posts.publish(self._channel, article, author=self._author, idempotency_key=key)
        except (InvalidError, RefusedError) as wrong:
            return _entry_result(entry, EntryState.REFUSED, reason=wrong.message)
        self._known.setdefault(self._posts.dedupe_of(self._channel, key), []).append(post)
        return _entry_result(entry, EntryState.PUBLISHED, post.ref)

    def _find_free_key(self, entry: FeedEntry) -> tuple[str, Post | None]:
        """Return the key to publish with, and the post that is the entry already, if there is one.

        An entry is known by its key, of which the service keeps 32 bits as the post's dedupe number. Where two entries
        of the feed have the same number, their texts distinguish them, and one of them gets a key with a suffix.
        An earlier run may have known the entry by another key, when other entries stood in the feed: then link and
        title must be the same.
        """
        for other in entry.other_keys:
            for post in self._known.get(self._posts.dedupe_of(self._channel, other), ()):
                if isinstance(post.content, Article) and _article_identity(post.content) == _article_identity(entry):
                    return other, post
        for number in count(1):
            key = entry.key if number == 1 else f"{entry.key}#{number}"
            dedupe = self._posts.dedupe_of(self._channel, key)
            same_number = self._known.get(dedupe, [])
            if not same_number:
                return key, None
            for post in same_number:
                if dedupe not in self._shared or _is_entry(entry, post):
                    return key, post
        raise AssertionError("count() has no end")


def _article_identity(article: Article | FeedEntry) -> tuple[str, str]:
    return article.link or "", article.title


def _is_entry(entry: FeedEntry, post: Post) -> bool:
    """Return whether a post is this entry; a recalled or expired one cannot be compared and counts as it."""
    article = post.content
    if article is None:
        return True
    if not isinstance(article, Article):
        return True  # edited by hand since; another text has this number once in four thousand million
    return article.title == entry.title or (article.link == entry.link and bool(entry.link))


def _entry_result(entry: FeedEntry, state: EntryState, ref: PostRef | None = None, reason: str = "") -> Imported:
    return Imported(
        key=entry.key, title=entry.title, link=entry.link, image_url=entry.image_url, published=entry.published,
        shortened=entry.shortened, notes=entry.notes, state=state, ref=ref, reason=reason,
    )  # fmt: skip
