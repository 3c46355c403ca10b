"""Reactions with a database: exact rows in the store, counts on messages that follow, merged keys of client apps.

This module and those that it imports need SQLAlchemy.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import date
from typing import Any, Final, TypeVar

from channel_adapter.backends.protocols import Backend, PostBackend
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef, PostState
from channel_adapter.domain.reaction import (
    Adopted,
    DisplayMode,
    DisplayStatus,
    MessageCapacity,
    ReactionChange,
    Reactions,
    Reactor,
    Reconciled,
)
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.reactions import to_reactions
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.reactions.publisher import LEASE_SECONDS, ClaimWriter, DisplayModes, Publisher
from channel_adapter.services.reactions.reconciler import Reconciler, deleted_post
from channel_adapter.services.reactions.rules import ReactionEligibility, ReactionOptions
from channel_adapter.store.client_reactions import ClientReactionMerge
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import PublishingStore
from channel_adapter.store.reactions import POSTS, CommandResult, ReactionCommand, ReactionStore

COMMANDS_PER_BATCH: Final = 500
"""The most reactions that share one commit."""
_POSTS_PER_READ: Final = 500
_FLUSH_INTERVAL: Final = 0.02
_NOTHING: Final = MessageCapacity(keys=0, keys_per_call=0, users=0, counts=0, users_without_store=0, write_interval=0.0)

T = TypeVar("T")


class StoredReactions:
    """Reactions in the store. `react` returns when its row is committed; counts on messages follow.

    The publisher is started by the first change, by `flush` and by `start`.
    """

    def __init__(
        self,
        store: ReactionStore,
        reconciler: Reconciler,
        display: DisplayModes,
        publisher: Publisher,
        posts: PostBackend,
        clock: Clock,
    ) -> None:
        self._store = store
        self._reconciler = reconciler
        self._display = display
        self._publisher = publisher
        self._posts = posts
        self._clock = clock
        self._running: set[asyncio.Task[object]] = set()
        self._commands: BatchLoader[None, ReactionCommand, bool] = BatchLoader(
            self._apply_commands, max_items=COMMANDS_PER_BATCH
        )

    def start(self) -> None:
        """Start to publish what this and other processes left."""
        self._publisher.wake()

    async def react(self, ref: PostRef, user: UserId, emoji: str) -> bool:
        """Add or replace a reaction; return whether something changed. Concurrent calls share a commit."""
        return await self._commands.load(None, ReactionCommand(ref, user, emoji))

    async def unreact(self, ref: PostRef, user: UserId, emoji: str | None) -> bool:
        """Remove one reaction of a user, or all of them; return whether something changed."""
        return await self._commands.load(None, ReactionCommand(ref, user, emoji, add=False))

    async def get(self, ref: PostRef, viewer: UserId | None) -> Reactions | None:
        """Return the counts of one post; None if the store knows nothing of it. Raises NotFoundError if deleted."""
        found = await self._store.get(ref, viewer)
        if found.dropped:
            raise deleted_post(ref)
        return None if found.dropped is None else to_reactions(ref, found.counts, found.chosen)

    async def get_many(self, refs: Sequence[PostRef], viewer: UserId | None) -> dict[PostRef, Reactions]:
        """Return the counts of many posts: one statement for up to 500 of them, and one more for the viewer."""
        found: dict[PostRef, Reactions] = {}
        for start in range(0, len(refs), _POSTS_PER_READ):
            batch = refs[start : start + _POSTS_PER_READ]
            stored = await self._store.get_many(batch, viewer)
            for ref in batch:
                each = stored.get(ref)
                found[ref] = to_reactions(ref, each.counts, each.chosen) if each else Reactions(ref=ref)
        return found

    async def reactors(self, ref: PostRef, emoji: str | None) -> AsyncIterator[Reactor]:
        """Yield the users who reacted, ordered by user id, 1000 for each statement."""
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page, after = await self._store.reactors(ref, emoji, after)
            for each in page:
                yield each

    async def by_day(self, ref: PostRef) -> dict[date, int]:
        """Return how many of the reactions were set on each day of UTC."""
        return await self._store.by_day(ref)

    async def merge(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int) -> int:
        """Merge the changes that an event reports; return how many reactions changed."""
        if not changes and not cleared:  # the counts of an adapter, for example
            return 0
        changed = await self._run_to_end(self._reconciler.merge(ref, list(changes), cleared=cleared))
        self._publisher.wake()
        return changed

    async def reconcile(self, ref: PostRef) -> Reconciled:
        """Compare one post with the service and merge what differs. Raises NotFoundError for one that is deleted."""
        found = await self._run_to_end(self._reconciler.reconcile(ref))
        self._publisher.wake()
        return found

    async def adopt(self, channel: ChannelId) -> AsyncIterator[Adopted]:
        """Copy the keys of every post of a channel; users who have a reaction in the store keep that one."""
        async for post in self._posts.history(channel, oldest_first=True):
            if post.state is PostState.PUBLISHED:
                found = await self._run_to_end(self._reconciler.reconcile(post.ref, adopting=True))
                self._publisher.wake()
                yield Adopted(post.ref, found.changed)

    async def drop(self, ref: PostRef) -> None:
        """Remove the reactions of a post that is deleted."""
        await self._store.drop(ref, self._clock.now())

    async def drop_channel(self, channel: ChannelId) -> None:
        """Remove the reactions of a channel that is deleted."""
        await self._store.drop_channel(channel)

    async def remove_users(self, channel: ChannelId, users: Iterable[UserId]) -> None:
        """Remove every reaction of users in a channel, 500 for each commit; posts that are deleted are ignored."""
        found = await self._store.posts_with(channel, list(users))
        for start in range(0, len(found), COMMANDS_PER_BATCH):
            batch = found[start : start + COMMANDS_PER_BATCH]
            await self._apply_commands(None, [ReactionCommand(ref, user, None, add=False) for ref, user in batch])

    async def probe(self, *, retry_posts: bool) -> DisplayStatus:
        """Check which display mode the service accepts; see DisplayModes.probe."""
        found = await self._run_to_end(self._display.probe(retry_posts=retry_posts))
        self._publisher.wake()
        return found

    async def flush(self, seconds: float, *, failing: bool = True) -> bool:
        """Wait until everything is published; return False if it took longer.

        Without `failing` posts that the service refuses at the moment are not waited for.
        """
        deadline = self._clock.monotonic() + seconds
        self._publisher.wake()
        while await self._store.pending(failing=failing):
            if self._clock.monotonic() >= deadline:
                return False
            await self._clock.sleep(_FLUSH_INTERVAL)
        return True

    async def unpublished(self) -> int:
        """Return how many posts have counts that are not published yet."""
        return await self._store.pending()

    async def close(self, flush_seconds: float) -> None:
        """Publish what can be published within some seconds, and stop; the rest stays in the store."""
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._store.database.close)
            closing.push_async_callback(self._publisher.close)
            await self._commands.drain()
            await asyncio.gather(*self._running, return_exceptions=True)
            with suppress(ChannelAdapterError):  # the database is not available: what was committed stays in it
                if self._publisher.started:
                    await self.flush(flush_seconds, failing=False)

    async def _apply_commands(self, _: None, commands: Sequence[ReactionCommand]) -> list[bool | Exception]:
        results = await self._store.apply(commands, self._clock.now())
        failpoint("react: committed")
        self._publisher.wake()
        changed: list[bool | Exception] = []
        for command, result in zip(commands, results, strict=True):
            dropped = result is CommandResult.DROPPED
            changed.append(deleted_post(command.ref) if dropped else result is CommandResult.CHANGED)
        return changed

    async def _run_to_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end, even if its caller is cancelled: a claim that is cut off blocks other processes."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


async def has_reactions(database_url: str) -> bool:
    """Return whether a database contains the tables of reactions. Creates nothing."""
    database = Database.shared(database_url)
    try:
        return await database.has_table(POSTS)
    finally:
        await database.close()


async def open_reaction_store(
    database_url: str,
    app: int,
    backend: Backend,
    eligibility: ReactionEligibility,
    options: ReactionOptions,
    clock: Clock,
) -> StoredReactions:
    """Open the store of an app, and create its tables if they are missing.

    Raises ConfigurationError for a database of another app or version, and UnavailableError.
    """
    database = Database.shared(database_url)
    store = ReactionStore(database, app, max_per_user=options.max_per_user, prefix=backend.ids.prefix)
    carrier = backend.reactions
    capacity = carrier.capacity or _NOTHING
    claims = PublishingStore(store, capacity, lease_seconds=LEASE_SECONDS)
    display = DisplayModes(carrier, claims, options.display if carrier.capacity else DisplayMode.STORE, clock)
    try:
        await store.prepare()
        await display.open()
    except BaseException:
        await database.close()
        raise
    merge = ClientReactionMerge(store, max_per_user=options.max_per_user)
    reconciler = Reconciler(store, merge, claims, backend, eligibility, clock)
    writer = ClaimWriter(carrier, capacity, claims, display, reconciler, clock)
    publisher = Publisher(claims, writer, clock, keep_seconds=options.keep_seconds)
    return StoredReactions(store, reconciler, display, publisher, backend.posts, clock)
