"""Reactions with a database: rows are the truth, a publisher shows their counts, phones' own keys are folded in."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from channel_adapter.backends.community.history import History
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef, PostState
from channel_adapter.domain.reaction import Adopted, Ladder, ReactionChange, Reactions, Reactor, Reconciled, Rung
from channel_adapter.errors import ChannelAdapterError, NotFoundError, ThrottledError
from channel_adapter.mapping.content import STATES
from channel_adapter.mapping.reactions import of_counts
from channel_adapter.services.message_keys import EDITION, GONE, UNSUPPORTED, MessageKeys, Pairs
from channel_adapter.services.reactions.direct import explained
from channel_adapter.services.reactions.ladder import ReactionLadder
from channel_adapter.services.reactions.publisher import Publisher
from channel_adapter.services.reactions.writer import DATA_SECONDS, Checkpoint
from channel_adapter.store.reaction_publishing import Claim, Outcome, Result
from channel_adapter.tencent import codes

if TYPE_CHECKING:
    from channel_adapter.store.client_reactions import Folding, KeyRow
    from channel_adapter.store.reaction_publishing import PublishingStore
    from channel_adapter.store.reactions import ReactionStore

WISHES_TOGETHER: Final = 500
"""Reactions that share one commit at most."""
REFS_TOGETHER: Final = 500
CLAIM_SECONDS: Final = 15.0  # to wait for the lease of a post
TRY_EVERY: Final = 0.1
FLUSH_EVERY: Final = 0.02

T = TypeVar("T")


class Admission(Protocol):
    """Which changes made on phones count."""

    async def __call__(self, channel: ChannelId, changes: Sequence[ReactionChange]) -> list[bool]:
        """One answer a change."""


class StoredReactions:
    """Reactions in the store. `react` is done when its row is committed; all else catches up."""

    def __init__(
        self,
        store: "ReactionStore",
        folding: "Folding",
        claims: "PublishingStore",
        ladder: ReactionLadder,
        keys: MessageKeys,
        history: History,
        publisher: Publisher,
        clock: Clock,
        *,
        admit: Admission,
    ) -> None:
        self.ladder = ladder
        self.publisher = publisher
        self.checkpoint: Checkpoint = lambda name: None
        self._store = store
        self._folding = folding
        self._claims = claims
        self._keys = keys
        self._history = history
        self._clock = clock
        self._admit = admit
        publisher.writer.look = self.reconcile
        publisher.writer.gone = self.is_gone
        self._under_way: set[asyncio.Task[object]] = set()
        self._wishes: BatchLoader[None, tuple[PostRef, UserId, str | None, bool], bool] = BatchLoader(
            self._grant, max_items=WISHES_TOGETHER
        )

    async def react(self, ref: PostRef, user: UserId, emoji: str) -> bool:
        """Add or replace; True when something changed. Concurrent calls share a commit."""
        return await self._wishes.load(None, (ref, user, emoji, True))

    async def unreact(self, ref: PostRef, user: UserId, emoji: str | None) -> bool:
        """Take one reaction or all of them back."""
        return await self._wishes.load(None, (ref, user, emoji, False))

    async def of(self, ref: PostRef, viewer: UserId | None) -> Reactions | None:
        """Counts of one post; None when nothing is known of it. Raises NotFoundError for a dropped one."""
        found = await self._store.get(ref, viewer)
        if found.dropped:
            raise gone(ref)
        return None if found.dropped is None else of_counts(ref, found.counts, found.chosen)

    async def of_many(self, refs: Sequence[PostRef], viewer: UserId | None) -> dict[PostRef, Reactions]:
        """Counts of many posts: one statement for up to 500 of them, and one more for the viewer."""
        found: dict[PostRef, Reactions] = {}
        for start in range(0, len(refs), REFS_TOGETHER):
            some = refs[start : start + REFS_TOGETHER]
            stored = await self._store.get_many(some, viewer)
            for ref in some:
                each = stored.get(ref)
                found[ref] = of_counts(ref, each.counts, each.chosen) if each else of_counts(ref, {})
        return found

    async def reactors(self, ref: PostRef, emoji: str | None) -> AsyncIterator[Reactor]:
        """Everybody who reacted, by user id, 1000 a page."""
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page, after = await self._store.reactors(ref, emoji, after)
            for each in page:
                yield each

    async def fold(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int) -> int:
        """Take in what an event told; gives how many reactions changed."""
        if not changes and not cleared:  # counts of our own, for example
            return 0
        return await self._whole(self._fold(ref, changes, cleared))

    async def _fold(self, ref: PostRef, changes: Sequence[ReactionChange], cleared: int) -> int:
        from channel_adapter.store.client_reactions import Admitted  # noqa: PLC0415 - SQLAlchemy only for those who store

        counts = await self._admit(ref.channel, changes)
        admitted = [Admitted(change, each) for change, each in zip(changes, counts, strict=True)]
        self.checkpoint("fold: before the commit")
        taken = await self._folding.events(ref, admitted, cleared=cleared, now=self._clock.now())
        self.checkpoint("fold: committed")
        self.publisher.wake()
        return taken

    async def reconcile(self, ref: PostRef) -> Reconciled:
        """Compare one post with the service and take in what differs. Raises NotFoundError for one that is gone."""
        return await self._whole(self._compare(ref, adopting=False))

    async def adopt(self, channel: ChannelId) -> AsyncIterator[Adopted]:
        """Take over the keys of every post of a channel; who has a reaction in the store keeps that one."""
        async for post in self._history.posts(channel, oldest_first=True, before=None):
            if post.state is PostState.PUBLISHED:
                found = await self._whole(self._compare(post.ref, adopting=True))
                yield Adopted(post.ref, found.taken)

    async def drop(self, ref: PostRef) -> None:
        """Forget the reactions of a post that is gone."""
        await self._store.drop(ref, self._clock.now())

    async def drop_channel(self, channel: ChannelId) -> None:
        """Forget the reactions of a channel that is gone."""
        await self._store.drop_channel(channel)

    async def forget(self, channel: ChannelId, users: Iterable[UserId]) -> None:
        """Take back everything that these people have in a channel."""
        for ref, user in await self._store.posts_with(channel, list(users)):
            await self.unreact(ref, user, None)

    async def probe(self) -> Ladder:
        """Find out the app's rung anew."""
        found = await self._whole(self.ladder.probe(anew=True))
        self.publisher.wake()
        return found

    async def finding(self) -> HealthCheckResult:
        """For the doctor."""
        return await self.ladder.finding()

    async def flush(self, seconds: float, *, troubled: bool = True) -> bool:
        """Wait until everything is published; False: it took too long.

        Without `troubled` what the service refuses at the moment is not waited for.
        """
        ends = self._clock.monotonic() + seconds
        self.publisher.wake()
        while await self._store.pending(failing=troubled):
            if self._clock.monotonic() >= ends:
                return False
            await self._clock.sleep(FLUSH_EVERY)
        return True

    async def close(self, flush_seconds: float) -> None:
        """Publish what can be published soon, and stop; the rest waits in the store for the next process."""
        await self._wishes.drain()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        try:
            await self.flush(flush_seconds, troubled=False)
        except ChannelAdapterError:  # the store is gone: what was committed is in it
            return
        finally:
            await self.publisher.close()
            await self._store.database.close()

    async def _grant(
        self, _: None, wishes: Sequence[tuple[PostRef, UserId, str | None, bool]]
    ) -> list[bool | Exception]:
        from channel_adapter.store.reactions import CommandResult, ReactionCommand  # noqa: PLC0415

        results = await self._store.apply([ReactionCommand(*wish) for wish in wishes], self._clock.now())
        self.checkpoint("react: committed")
        self.publisher.wake()
        return [
            gone(wish[0]) if each is CommandResult.DROPPED else each is CommandResult.CHANGED
            for wish, each in zip(wishes, results, strict=True)
        ]

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work to its end, even if its caller is cancelled: a transaction that is cut off blocks others."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _compare(self, ref: PostRef, *, adopting: bool) -> Reconciled:
        claim = await self._claim(ref)
        try:
            if claim.rung not in (None, Rung.EXTENSION) and not adopting:
                return Reconciled(ref)
            known = await self._folding.known(ref)
            pairs = await self._read(ref)
            if pairs is None:
                return Reconciled(ref)
            self.checkpoint("fold: read, not taken in")
            taken, mended = await self._take_in(ref, known, pairs, adopting=adopting)
            self.checkpoint("fold: committed")
            return Reconciled(ref, taken, mended)
        finally:
            await self._release(claim)
            self.publisher.wake()

    async def _claim(self, ref: PostRef) -> Claim:
        """Claim a post for a read during which no process writes on it."""
        ends = self._clock.monotonic() + CLAIM_SECONDS
        while (claim := await self._claims.claim_for_reading(ref, self._clock.now())) is None:
            if self._clock.monotonic() >= ends:
                raise ThrottledError(f"post {ref.seq} of {ref.channel} is being written on all the time; try later")
            await self._clock.sleep(TRY_EVERY)
        return claim

    async def _release(self, claim: Claim) -> None:
        await self._claims.finish([Outcome(claim, Result.RELEASED, 0.0)], self._clock.now())

    async def _read(self, ref: PostRef) -> Pairs | None:
        """All keys of a message; None for one that carries none."""
        try:
            return await self._keys.read(ref, deadline=DATA_SECONDS)
        except ChannelAdapterError as error:
            if error.code == GONE and await self.is_gone(ref):
                raise gone(ref) from error
            if error.code == EDITION or error.code in UNSUPPORTED:
                return None
            raise explained(error, ref) from error

    async def is_gone(self, ref: PostRef) -> bool:
        """Was the post recalled, or was there never one? Then it is dropped. An expired one keeps its reactions.

        A channel that was dissolved unheard is dropped as a whole.
        """
        try:
            message = await self._history.message(ref.channel, ref.seq, deadline=DATA_SECONDS)
        except NotFoundError as error:
            if error.code != codes.NO_SUCH_GROUP:
                raise
            await self._store.drop_channel(ref.channel)
            return True
        if message is not None and STATES.get(message.is_place_msg) is not PostState.RECALLED:
            return False
        await self._store.drop(ref, self._clock.now())
        return True

    async def _take_in(
        self, ref: PostRef, known: "dict[UserId, KeyRow]", pairs: Pairs, *, adopting: bool
    ) -> tuple[int, int]:
        from channel_adapter.store.client_reactions import Admitted, Snapshot  # noqa: PLC0415

        people = list(pairs.held.people.values())
        fresh = [change for change in people if known.get(change.user) is None
                 or known[change.user].folded != change.seq]  # fmt: skip
        answers = [all(change.emoji) for change in fresh] if adopting else await self._admit(ref.channel, fresh)
        counts = {change.user: each for change, each in zip(fresh, answers, strict=True)}
        taken_back = ReactionChange(UserId(""), (), pairs.latest)
        seen = Snapshot(
            people=[Admitted(change, counts.get(change.user, True)) for change in people],
            counts=pairs.held.counts,
            latest=pairs.latest,
            cleared=pairs.cleared,
            complete=pairs.complete,
            before=known,
            absence_counts=(await self._admit(ref.channel, [taken_back]))[0],
        )
        return await self._folding.snapshot(ref, seen, now=self._clock.now(), override=not adopting)


def gone(ref: PostRef) -> NotFoundError:
    """For posts that were recalled or deleted."""
    return NotFoundError(f"post {ref.seq} of {ref.channel} was recalled or deleted", field="seq")
