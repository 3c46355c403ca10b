"""Posts: publish, read back, edit, recall; with scheduled posts and drafts from `schedule`; pins."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.protocols import PostBackend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.signals import Signal
from channel_adapter.domain.post import Broadcast, Content, Draft, Post, PostPreview, PostRef, PostState
from channel_adapter.errors import LimitReachedError, NotFoundError
from channel_adapter.mapping import ids
from channel_adapter.mapping.ids import IdScheme, post_in
from channel_adapter.services.schedule import PostSchedule
from channel_adapter.services.scheduled_publisher import ScheduleOptions

if TYPE_CHECKING:
    from channel_adapter.store.pins import PinStore

MAX_PINS: Final = 10
"""Pinned posts of one channel, as many as the service's client SDKs allow for pins of their own."""


class Posts(PostSchedule):
    """Posts of any channel; a channel is named by slug or by id, a post by its ref."""

    def __init__(
        self,
        backend: PostBackend,
        scheme: IdScheme,
        published: Signal[Post, Broadcast | None],
        recalled: Signal[PostRef, None],
        options: ScheduleOptions,
        clock: Clock,
    ) -> None:
        super().__init__(scheme, options, clock)
        self._backend = backend
        self._published = published
        self._recalled = recalled

    async def publish(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> Post:
        """Publish one post, as the owner or as an admin named by `author`. `silent` posts do not count as unread.

        Every attempt carries the same dedupe number, so that a lost reply never posts twice; with an `idempotency_key`
        the same holds for calls up to 300 s apart, and the first content is kept. Reactions are enabled on every post,
        because that cannot be done later. Raises InvalidError (empty, over 12,000 bytes, two custom elements, an image
        without URL), PermissionDeniedError for an author who is neither owner nor admin, NotFoundError, ThrottledError
        if the service still drops the post at the deadline, and OutcomeUnknownError if it may have been published.
        """
        wanted = self._ids.channel(channel)
        post = await self._backend.send(
            wanted, self._make_draft(wanted, content, author, idempotency_key, silent=silent)
        )
        for broadcast in await self._published.emit(post):
            if broadcast is not None:
                post = replace(post, broadcast=broadcast)
        return post

    async def preview(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> PostPreview:
        """Return what `publish` would send for the same arguments, and send nothing: it only reads channel and roles.

        Raises what `publish` raises for content, author and channel.
        """
        wanted = self._ids.channel(channel)
        return await self._backend.preview(
            wanted, self._make_draft(wanted, content, author, idempotency_key, silent=silent)
        )

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """Return the number by which the service knows a post published with this key: `Post.dedupe` in history."""
        return ids.random_of(self._ids.channel(channel), ids.idempotency_key(idempotency_key))

    def history(
        self, channel: str, *, oldest_first: bool = False, before: int | PostRef | None = None
    ) -> AsyncGenerator[Post, None]:
        """Yield the posts that the service still keeps, newest first, 20 a call, with recalled and expired ones.

        `before` is the number or the ref of a post: it begins below that one. How far back it reaches is the plan's
        roaming time: 7 days or more.
        """
        wanted = self._ids.channel(channel)
        below = None if before is None else post_in(self._ids, wanted, before, "before")
        return self._backend.history(wanted, oldest_first=oldest_first, before=below)

    async def get(self, ref: PostRef) -> Post:
        """Return one post as it is now. Raises NotFoundError if the channel or the post does not exist."""
        wanted = self._ids.post(ref)
        post = await self._backend.get(wanted)
        if post is None:
            raise NotFoundError(f"channel {wanted.channel} has no post {wanted.seq}", field="seq")
        return post

    async def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a post permanently for every user; the last writer wins.

        Raises NotFoundError for a post that is gone or was recalled.
        """
        await self._backend.edit(self._ids.post(ref), content)

    async def recall(self, ref: PostRef, reason: str = "") -> None:
        """Recall a post permanently for every user; recalling it again changes nothing.

        `reason` has 100 bytes at most. Raises NotFoundError for a post that does not exist.
        """
        wanted = self._ids.post(ref)
        if error := (await self._backend.recall([wanted], reason))[wanted]:
            raise error
        await self._recalled.emit(wanted)

    async def pin(self, ref: PostRef) -> bool:
        """Pin a post of a channel, for `pinned`; return False if it is pinned already. Needs `database_url`.

        Pins are kept in the store: the service and its client SDKs know nothing of them. Raises NotFoundError for a
        post that is gone or was recalled, and LimitReachedError for the eleventh pin of a channel.
        """
        post = await self.get(ref)
        if post.state is not PostState.PUBLISHED:
            raise NotFoundError(f"post {post.ref.seq} of {post.ref.channel} is {post.state}", field="seq")
        from channel_adapter.store.pins import PinRow  # noqa: PLC0415 - an extra

        row = PinRow(post.ref.channel, post.ref.seq, post.ref.key, post.dedupe, self._clock.now())
        added = await self._open_pin_store().add(row, MAX_PINS)
        if added is None:
            await self.pinned(post.ref.channel)  # posts that are gone are not pinned any more
            added = await self._open_pin_store().add(row, MAX_PINS)
        if added is None:
            raise LimitReachedError(
                f"channel {post.ref.channel} has {MAX_PINS} pinned posts; unpin one first", limit=MAX_PINS
            )
        return added

    async def unpin(self, ref: PostRef) -> bool:
        """Unpin a post; return False if it was not pinned. Needs `database_url`."""
        wanted = self._ids.post(ref)
        return await self._open_pin_store().remove(wanted.channel, wanted.seq)

    async def pinned(self, channel: str) -> list[Post]:
        """Return the pinned posts of a channel as they are now, the last pinned first, one call a post.

        Posts that are gone, expired or recalled are left out, and are not pinned any more. Needs `database_url`.
        """
        wanted, posts = self._ids.channel(channel), []
        for row in await self._open_pin_store().pinned(wanted):
            post = await self._backend.get(PostRef(wanted, row.seq, row.message_key))
            if post is not None and post.state is PostState.PUBLISHED and post.dedupe == row.dedupe:
                posts.append(post)
            else:
                await self._open_pin_store().remove(wanted, row.seq)
        return posts

    def _open_pin_store(self) -> "PinStore":
        database = self._require_database("pinned posts")
        from channel_adapter.store.pins import PinStore  # noqa: PLC0415 - an extra

        return PinStore(database)

    def _make_draft(
        self,
        channel: str,
        content: Content | Sequence[Content],
        author: str | None,
        idempotency_key: str | None,
        *,
        silent: bool,
    ) -> Draft:
        return Draft(
            content,
            None if author is None else ids.user_id(author, "author"),
            None if idempotency_key is None else self.dedupe_of(channel, idempotency_key),
            silent,
        )
