"""Reactions without a database: one key for each user on the message itself, and nothing anywhere else."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from channel_adapter.backends.protocols import ReactionCarrier
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    CarrierChange,
    CarrierResult,
    CarrierStatus,
    MessageCapacity,
    Reactions,
    Reactor,
)
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, LimitReachedError, NotFoundError
from channel_adapter.mapping.reactions import to_reactions


class _Change(NamedTuple):
    user: UserId
    emoji: str | None
    add: bool


class DirectReactions:
    """Reads all keys of a post, and changes up to 20 of them together. Calls for one post wait for each other."""

    def __init__(self, carrier: ReactionCarrier, capacity: MessageCapacity, *, max_per_user: int) -> None:
        self._carrier = carrier
        self._max_users = capacity.users_without_store
        self._max_per_user = max_per_user
        self._changes: BatchLoader[PostRef, _Change, bool] = BatchLoader(
            self._apply_changes, max_items=capacity.keys_per_call
        )

    async def react(self, ref: PostRef, user: UserId, emoji: str) -> bool:
        """Set the key of a user; return whether it changed. Raises LimitReachedError if 250 users reacted before."""
        return await self._changes.load(ref, _Change(user, emoji, True))

    async def unreact(self, ref: PostRef, user: UserId, emoji: str | None) -> bool:
        """Remove the key of a user, or one emoji of it; return whether it changed."""
        return await self._changes.load(ref, _Change(user, emoji, False))

    async def get(self, ref: PostRef, viewer: UserId | None) -> Reactions:
        """Return the counts of one post, at two calls at most: a message has 300 keys. Raises NotFoundError."""
        chosen = await self._read_chosen(ref)
        counts = Counter(emoji for emojis in chosen.values() for emoji in emojis)
        return to_reactions(ref, counts, chosen.get(viewer, ()) if viewer else ())

    async def get_or_empty(self, ref: PostRef, viewer: UserId | None) -> Reactions:
        """Return the counts of one post; none for a post that does not exist."""
        try:
            return await self.get(ref, viewer)
        except NotFoundError:
            return Reactions(ref=ref)

    async def reactors(self, ref: PostRef, emoji: str | None) -> AsyncIterator[Reactor]:
        """Yield the users who reacted, ordered by user id."""
        for user, chosen in sorted((await self._read_chosen(ref)).items()):
            for each in chosen:
                if emoji is None or each == emoji:
                    yield Reactor(user, each)

    async def _read_chosen(self, ref: PostRef) -> dict[UserId, tuple[str, ...]]:
        """Return the emoji of each user; the newest if a client app wrote too many."""
        found = await self._read_keys(ref)
        return {user: emoji for user, emoji in found.items() if emoji}

    async def _read_keys(self, ref: PostRef) -> dict[UserId, tuple[str, ...]]:
        """Return the emoji of each user who has a key, though it may contain none."""
        carried = await self._carrier.read(ref)
        if carried is None:
            raise _no_extensions_error(ref)
        return {
            user: tuple(filter(None, change.emoji))[-self._max_per_user :] for user, change in carried.users.items()
        }

    async def _apply_changes(self, ref: PostRef, changes: Sequence[_Change]) -> list[bool | Exception]:
        before = await self._read_keys(ref)
        after = dict(before)
        results: list[bool | Exception] = []
        for change in changes:
            chosen = after.get(change.user, ())
            wanted = _apply_change(chosen, change, self._max_per_user)
            if wanted and change.user not in after and len(after) >= self._max_users:
                results.append(_too_many_users_error(ref, self._max_users))
                continue
            after[change.user] = wanted
            results.append(wanted != chosen)
        failed = await self._write_keys(
            ref, {user: each for user, each in after.items() if each != before.get(user, ())}
        )
        return [failed.get(change.user, result) for change, result in zip(changes, results, strict=True)]

    async def _write_keys(
        self, ref: PostRef, changed: Mapping[UserId, tuple[str, ...]]
    ) -> Mapping[UserId, ChannelAdapterError]:
        """Set and remove keys; return the users whose key was refused."""
        if not changed:
            return {}
        change = CarrierChange(
            set_users={user: chosen for user, chosen in changed.items() if chosen},
            remove_users=tuple(user for user, chosen in changed.items() if not chosen),
        )
        result = await self._carrier.write(ref, change)
        if result.error is not None:
            raise _to_refused_error(ref, result) from result.error
        return result.failed


def _apply_change(chosen: tuple[str, ...], change: _Change, max_per_user: int) -> tuple[str, ...]:
    if not change.add:
        return tuple(each for each in chosen if change.emoji is not None and each != change.emoji)
    if change.emoji is None or change.emoji in chosen:
        return chosen
    return (*chosen, change.emoji)[-max_per_user:]


def _to_refused_error(ref: PostRef, result: CarrierResult) -> ChannelAdapterError:
    if result.error is None or result.status is CarrierStatus.MISSING:
        message = f"post {ref.seq} of {ref.channel} does not exist, or was recalled or has expired"
        return NotFoundError(message, field="seq", origin=result.error.origin if result.error else None)
    return _no_extensions_error(ref, result.error)


def _no_extensions_error(ref: PostRef, cause: ChannelAdapterError | None = None) -> ConfigurationError:
    reason = cause.message if cause else "message extensions are off, or it was sent without them"
    return ConfigurationError(
        f"post {ref.seq} of {ref.channel} cannot carry reactions on the service: {reason}; set database_url to store"
        " reactions",
        field="database_url",
        origin=cause.origin if cause else None,
    )


def _too_many_users_error(ref: PostRef, limit: int) -> LimitReachedError:
    return LimitReachedError(
        f"post {ref.seq} of {ref.channel} has reactions of {limit} users, which is the limit without a store;"
        " database_url turns on the store, and `reactions adopt` copies what is there",
        field="database_url",
        limit=limit,
        size=limit + 1,
    )
