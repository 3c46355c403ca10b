"""Reactions without a database: a key a person on the message itself, and nothing anywhere else."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from channel_adapter.backends.caller import ApiCaller, item_error
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Reactions, Reactor
from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    LimitReachedError,
    NotFoundError,
    ThrottledError,
)
from channel_adapter.mapping.reactions import Held, of_counts, of_people, person_key, person_pair
from channel_adapter.services.message_keys import EDITION, GONE, UNSUPPORTED, MessageKeys
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import GROUP_SET_KEY_VALUES
from channel_adapter.tencent.rate_limit import KeyedLimiter, RateLimitTimeout
from channel_adapter.tencent.wire.extensions import ExtensionResult

REACTORS: Final = 250
"""People a post; the rest of its 300 pairs is room for phones that react at the same moment."""


class DirectReactions:
    """Reads all keys of a post, changes up to 20 of them a call; calls on one post wait for each other."""

    def __init__(
        self, gateway: ApiCaller, keys: MessageKeys, pace: KeyedLimiter, *, most: int, longest_wait: float
    ) -> None:
        self._gateway = gateway
        self._keys = keys
        self._pace = pace
        self._most = most
        self._longest_wait = longest_wait
        self._writes: BatchLoader[PostRef, tuple[UserId, str | None, bool], bool] = BatchLoader(
            self._carry_out, max_items=limits.EXTENSION_KEYS_PER_CALL
        )

    async def react(self, ref: PostRef, user: UserId, emoji: str) -> bool:
        """Set a person's key. Raises LimitReachedError where 250 people reacted before."""
        return await self._writes.load(ref, (user, emoji, True))

    async def unreact(self, ref: PostRef, user: UserId, emoji: str | None) -> bool:
        """Delete a person's key, or take one emoji out of it."""
        return await self._writes.load(ref, (user, emoji, False))

    async def of(self, ref: PostRef, viewer: UserId | None) -> Reactions:
        """Counts of one post: two calls at most, 300 keys are all there can be."""
        people = _people(await self._read(ref), self._most)
        return of_counts(ref, of_people(people), people.get(viewer, ()) if viewer else ())

    async def of_some(self, ref: PostRef, viewer: UserId | None) -> Reactions:
        """The same, with nothing for a post that is not there."""
        try:
            return await self.of(ref, viewer)
        except NotFoundError:
            return Reactions(ref=ref)

    async def reactors(self, ref: PostRef, emoji: str | None) -> AsyncIterator[Reactor]:
        """Everybody who reacted, by user id."""
        for user, chosen in sorted(_people(await self._read(ref), self._most).items()):
            for each in chosen:
                if emoji is None or each == emoji:
                    yield Reactor(user, each)

    async def _read(self, ref: PostRef) -> Held:
        try:
            return (await self._keys.read(ref)).held
        except ChannelAdapterError as error:
            raise explained(error, ref) from error

    async def _carry_out(
        self, ref: PostRef, wishes: Sequence[tuple[UserId, str | None, bool]]
    ) -> list[bool | Exception]:
        held = await self._read(ref)
        before = _people(held, self._most)
        taken = set(held.people)
        after = dict(before)
        results: list[bool | Exception] = []
        for user, emoji, there in wishes:
            had = after.get(user, ())
            wanted = _changed(had, emoji, there=there, most=self._most)
            if wanted and user not in taken and len(taken) >= REACTORS:
                results.append(_full(ref))
                continue
            taken.add(user)
            after[user] = wanted
            results.append(wanted != had)
        changed = {user: chosen for user, chosen in after.items() if chosen != before.get(user, ())}
        failed = await self._write(ref, changed)
        return [failed.get(user, result) for (user, *_), result in zip(wishes, results, strict=True)]

    async def _write(self, ref: PostRef, changed: Mapping[UserId, tuple[str, ...]]) -> dict[UserId, Exception]:
        """Set and delete; gives the people whose key failed on its own."""
        setting = [person_pair(user, chosen) for user, chosen in changed.items() if chosen]
        deleting = [person_key(user) for user, chosen in changed.items() if not chosen]
        results: list[ExtensionResult] = []
        try:
            if setting:
                await self._take_turn(ref)
                results += await self._keys.set(ref, setting)
            if deleting:
                await self._take_turn(ref)
                results += [each for each in await self._keys.delete(ref, deleting) if each.error_code != GONE]
        except ChannelAdapterError as error:
            raise explained(error, ref) from error
        failed = {result.extension.key: result.error_code for result in results if result.error_code}
        return {
            user: item_error(GROUP_SET_KEY_VALUES, failed[person_key(user)], "")
            for user in changed
            if person_key(user) in failed
        }

    async def _take_turn(self, ref: PostRef) -> None:
        try:
            await self._pace.acquire(f"{ref.channel} {ref.seq}", timeout=self._longest_wait)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"post {ref.seq} of {ref.channel} has {late.seconds:.0f} s of reactions waiting already;"
                " database_url turns on the store, which takes any number"
            ) from None


def explained(error: ChannelAdapterError, ref: PostRef) -> ChannelAdapterError:
    """The same failure in words of reactions."""
    where = f"post {ref.seq} of {ref.channel}"
    if error.code == GONE:
        return NotFoundError(
            f"{where} does not exist, or was recalled or has expired", field="seq", origin=error.origin
        )
    if error.code in UNSUPPORTED or error.code == EDITION:
        return ConfigurationError(
            f"{where} cannot carry reactions on the service: {error.message};"
            " database_url turns on the store, which does not need it to",
            field="database_url",
            origin=error.origin,
        )
    return error


def _people(held: Held, most: int) -> dict[UserId, tuple[str, ...]]:
    """What counts of people's keys: the emoji in them, the newest where a phone wrote too many."""
    found = {user: tuple(filter(None, change.emoji))[-most:] for user, change in held.people.items()}
    return {user: emoji for user, emoji in found.items() if emoji}


def _changed(had: tuple[str, ...], emoji: str | None, *, there: bool, most: int) -> tuple[str, ...]:
    if not there:
        return tuple(each for each in had if emoji is not None and each != emoji)
    if emoji is None or emoji in had:
        return had
    return (*had, emoji)[-most:]


def _full(ref: PostRef) -> LimitReachedError:
    return LimitReachedError(
        f"post {ref.seq} of {ref.channel} has reactions of {REACTORS} people, which is all that direct mode keeps;"
        " database_url turns on the store, and `reactions adopt` takes over what is there",
        field="database_url",
        limit=REACTORS,
        size=REACTORS + 1,
    )
