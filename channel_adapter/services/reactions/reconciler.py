"""Merging what client apps write on messages into the store: from events, and by reading whole messages."""

from typing import Final

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef, PostState
from channel_adapter.domain.reaction import (
    CarriedReactions,
    DisplayMode,
    FilteredChange,
    ReactionChange,
    Reconciled,
)
from channel_adapter.errors import NotFoundError, ThrottledError
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.reactions.rules import ReactionEligibility
from channel_adapter.store.client_reactions import ClientReactionMerge, KeyRow, Snapshot
from channel_adapter.store.reaction_publishing import Claim, ClaimEnd, ClaimResult, PublishingStore
from channel_adapter.store.reactions import ReactionStore

READ_TIMEOUT: Final = 2.0
"""Seconds for each call that reads a message; both calls end before the lease does."""
_CLAIM_TIMEOUT: Final = 15.0
_CLAIM_INTERVAL: Final = 0.1


class Reconciler:
    """Merges keys that client apps wrote. A message is read while this process holds the lease of its post."""

    def __init__(
        self,
        store: ReactionStore,
        merge: ClientReactionMerge,
        claims: PublishingStore,
        backend: Backend,
        eligibility: ReactionEligibility,
        clock: Clock,
    ) -> None:
        self._store = store
        self._merge = merge
        self._claims = claims
        self._backend = backend
        self._eligibility = eligibility
        self._clock = clock

    async def merge(self, ref: PostRef, changes: list[ReactionChange], *, cleared: int) -> int:
        """Merge the changes of one event; return how many reactions changed."""
        filtered = await self._eligibility.filter_allowed(ref.channel, changes)
        failpoint("merge: before the commit")
        changed = await self._merge.events(ref, filtered, cleared=cleared, now=self._clock.now())
        failpoint("merge: committed")
        return changed

    async def reconcile(self, ref: PostRef, *, adopting: bool = False) -> Reconciled:
        """Read a message and merge what differs from the store. Raises NotFoundError for a post that is deleted.

        With `adopting` the keys of users are copied without checking them, and users who have a reaction in the store
        keep that one.
        """
        claim = await self._claim_for_reading(ref)
        try:
            if claim.mode not in (None, DisplayMode.EXTENSIONS) and not adopting:
                return Reconciled(ref)
            known = await self._merge.known(ref)
            carried = await self._read_carried(ref)
            if carried is None:
                return Reconciled(ref)
            failpoint("merge: read, not merged")
            seen = await self._take_snapshot(ref, known, carried, adopting=adopting)
            changed, repaired = await self._merge.snapshot(ref, seen, now=self._clock.now(), override=not adopting)
            failpoint("merge: committed")
            return Reconciled(ref, changed, repaired)
        finally:
            await self._claims.finish([ClaimResult(claim, ClaimEnd.RELEASED, 0.0)], self._clock.now())

    async def is_deleted(self, ref: PostRef) -> bool:
        """Return whether a post was recalled or never existed; its reactions are removed then.

        An expired post keeps its reactions. If its channel does not exist, the reactions of the channel are removed.
        """
        channels = self._backend.channels
        try:
            post = await self._backend.posts.get(ref, deadline=READ_TIMEOUT)
        except NotFoundError:
            channels.forget(ref.channel)
            if await channels.read([ref.channel]):
                raise
            await self._store.drop_channel(ref.channel)
            return True
        if post is not None and post.state is not PostState.RECALLED:
            return False
        await self._store.drop(ref, self._clock.now())
        return True

    async def _claim_for_reading(self, ref: PostRef) -> Claim:
        """Claim a post for a read during which no process writes on it."""
        deadline = self._clock.monotonic() + _CLAIM_TIMEOUT
        while (claim := await self._claims.claim_for_reading(ref, self._clock.now())) is None:
            if self._clock.monotonic() >= deadline:
                raise ThrottledError(f"post {ref.seq} of {ref.channel} is being written without a pause; try later")
            await self._clock.sleep(_CLAIM_INTERVAL)
        return claim

    async def _read_carried(self, ref: PostRef) -> CarriedReactions | None:
        try:
            return await self._backend.reactions.read(ref, timeout=READ_TIMEOUT)
        except NotFoundError as error:
            if await self.is_deleted(ref):
                raise deleted_post(ref) from error
            raise

    async def _take_snapshot(
        self, ref: PostRef, known: dict[UserId, KeyRow], carried: CarriedReactions, *, adopting: bool
    ) -> Snapshot:
        new = [
            change
            for change in carried.users.values()
            if (row := known.get(change.user)) is None or row.merged != change.seq
        ]
        removal = ReactionChange(UserId(""), (), carried.latest)
        filtered = await self._eligibility.filter_allowed(ref.channel, [removal, *new])
        counts = {each.change.user: each.counts for each in filtered}
        if adopting:
            counts.update({change.user: all(change.emoji) for change in new})
        users = [FilteredChange(change, counts.get(change.user, True)) for change in carried.users.values()]
        return Snapshot(carried, users, known, absence_counts=filtered[0].counts)


def deleted_post(ref: PostRef) -> NotFoundError:
    """Return the error for a post that was recalled or deleted."""
    return NotFoundError(f"post {ref.seq} of {ref.channel} was recalled or deleted", field="seq")
