"""Reactions: what a person thinks of a post, in one emoji."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.protocols import ChannelBackend
from channel_adapter.concurrency.clock import Clock, wait_or_set
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    Adopted,
    Ladder,
    ReactionChange,
    ReactionPolicy,
    Reactions,
    Reactor,
    Reconciled,
)
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, InvalidError
from channel_adapter.mapping import ids
from channel_adapter.mapping.emoji import one_emoji
from channel_adapter.mapping.reactions import NAME, policy_text, to_policy
from channel_adapter.services.reactions.direct import REACTORS, DirectReactions
from channel_adapter.services.reactions.rules import Gatekeeper, ReactionRules, checked

if TYPE_CHECKING:
    from channel_adapter.services.reactions.stored import StoredReactions

FLUSH_SECONDS: Final = 5.0
"""How long closing waits for counts to be published; what is left waits in the store for the next process."""


START_AFTER: Final = 1.0
"""Seconds until a process that does not use reactions opens their store; short commands end before, and never do."""
START_AGAIN: Final = 5.0

log = get_logger("channel_adapter.reactions")


class ReactionService:
    """Without a database direct mode: keys on the message, 250 people a post. With one store mode: any number.

    The store is opened, and its publisher started, by the first call, or soon after `start`.
    """

    def __init__(
        self,
        channels: ChannelBackend,
        gatekeeper: Gatekeeper,
        rules: ReactionRules,
        direct: DirectReactions,
        stored: "Callable[[], Awaitable[StoredReactions]] | None",
        clock: Clock,
    ) -> None:
        self._channels = channels
        self._gatekeeper = gatekeeper
        self._rules = rules
        self._direct = direct
        self._open = stored
        self._opening = asyncio.Lock()
        self._opened: StoredReactions | None = None
        self._clock = clock
        self._closing = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Publish what another process left, though nobody may ever ask for reactions here; nothing in direct mode."""
        if self._open is not None and self._starting is None:
            self._starting = asyncio.ensure_future(self._start())

    async def react(self, ref: PostRef, user: str, emoji: str) -> bool:
        """Set a person's reaction; True when it changed. A new one replaces the old one, the same again is harmless.

        In store mode it is kept for good when this returns. Raises InvalidError for what is not one emoji or is not
        allowed in the channel, NotFoundError for no post, PermissionDeniedError for somebody who does not follow the
        channel, LimitReachedError in direct mode for a 251st person, and UnavailableError when the store or the service
        fails; then nothing was counted.
        """
        ref, person, chosen = checked(ref), ids.user_id(user), one_emoji(emoji)
        await self._gatekeeper.require(ref, person, chosen)
        stored = await self._store()
        return await (stored.react(ref, person, chosen) if stored else self._direct.react(ref, person, chosen))

    async def unreact(self, ref: PostRef, user: str, emoji: str | None = None) -> bool:
        """Take a person's reaction back, or one of several; False when there was none."""
        ref, person = checked(ref), ids.user_id(user)
        chosen = None if emoji is None else one_emoji(emoji)
        await self._gatekeeper.require_post(ref)
        stored = await self._store()
        return await (stored.unreact(ref, person, chosen) if stored else self._direct.unreact(ref, person, chosen))

    async def of(self, ref: PostRef, viewer: str | None = None) -> Reactions:
        """Counts of a post, the most frequent first, and what `viewer` chose. Raises NotFoundError for no post."""
        ref, person = checked(ref), None if viewer is None else ids.user_id(viewer, "viewer")
        stored = await self._store()
        if stored is None:
            await self._channels.attributes(ref.channel)  # raises NotFoundError
            return await self._direct.of(ref, person)
        found = await stored.of(ref, person)
        if found is None:
            await self._gatekeeper.require_post(ref)
        return found or Reactions(ref=ref)

    async def of_many(self, refs: Iterable[PostRef], viewer: str | None = None) -> dict[PostRef, Reactions]:
        """The same for many posts, in their order; a post that is not there has none.

        Store mode: one statement, and one more with a viewer, for up to 500 posts. Direct mode: all posts at once.
        """
        wanted = list(dict.fromkeys(checked(ref) for ref in refs))
        person = None if viewer is None else ids.user_id(viewer, "viewer")
        stored = await self._store()
        if stored is not None:
            return await stored.of_many(wanted, person)
        found = await asyncio.gather(*(self._direct.of_some(ref, person) for ref in wanted))
        return dict(zip(wanted, found, strict=True))

    async def reactors(self, ref: PostRef, emoji: str | None = None) -> AsyncIterator[Reactor]:
        """Everybody who reacted, by user id: for admins."""
        ref, chosen = checked(ref), None if emoji is None else one_emoji(emoji)
        stored = await self._store()
        found = stored.reactors(ref, chosen) if stored else self._direct.reactors(ref, chosen)
        async for each in found:
            yield each

    async def policy(self, channel: str) -> ReactionPolicy:
        """Which emoji a channel takes."""
        return await self._gatekeeper.policy(ids.channel_id(channel))

    async def set_policy(self, channel: str, policy: str | Iterable[str] | ReactionPolicy) -> ReactionPolicy:
        """Say which emoji a channel takes from now on: `all`, `basic` (six of them), `none`, or a list.

        It is kept in the channel's tag: other processes see it when they read the tag again. Reactions that are there
        stay. Raises InvalidError and NotFoundError.
        """
        wanted, said = ids.channel_id(channel), to_policy(policy)
        self._channels.forget(wanted)
        try:
            await self._channels.set_attributes(wanted, {NAME: policy_text(said)})
        except InvalidError as error:
            raise InvalidError(f"policy: {error.message}", field="policy", limit=error.limit, size=error.size) from None
        return said

    async def fold(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int = 0) -> int:
        """Take in what an event told of people's own keys; gives how many reactions changed. Twice is harmless.

        `cleared`: all keys up to this version were cleared at once, which takes nobody's reaction back. Nothing to do
        in direct mode, where the keys are all there is.
        """
        ref, stored = checked(ref), await self._store()
        return await stored.fold(ref, changes, cleared=cleared) if stored else 0

    async def reconcile(self, ref: PostRef) -> Reconciled:
        """Compare a post with the service: take in what phones did unheard, mend counts that others changed.

        Raises ConfigurationError in direct mode.
        """
        return await (await self._required()).reconcile(checked(ref))

    async def adopt(self, channel: str) -> AsyncIterator[Adopted]:
        """Take over into the store what direct mode left on a channel's posts, one outcome a post.

        Who has a reaction in the store keeps that one. Interrupted anywhere, run it again. Raises ConfigurationError
        in direct mode.
        """
        async for each in (await self._required()).adopt(ids.channel_id(channel)):
            yield each

    async def probe(self) -> Ladder:
        """Find out anew where counts can be shown to plain clients. Raises ConfigurationError in direct mode."""
        return await (await self._required()).probe()

    async def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until every count is published; False when it took longer, for example because the service is away.

        True at once in direct mode.
        """
        stored = await self._store()
        return await stored.flush(seconds) if stored else True

    async def publish(self, seconds: float = FLUSH_SECONDS) -> bool:
        """`flush` for those who count on a store. Raises ConfigurationError in direct mode."""
        return await (await self._required()).flush(seconds)

    async def drop(self, ref: PostRef) -> None:
        """Forget the reactions of a post that was recalled or deleted; `posts.recall` does this by itself."""
        ref = checked(ref)
        self._gatekeeper.forget_post(ref)
        if (stored := await self._store()) is not None:
            await stored.drop(ref)

    async def drop_channel(self, channel: str) -> None:
        """Forget all reactions of a channel that was deleted; `channels.delete` does this by itself."""
        wanted = ids.channel_id(channel)
        self._gatekeeper.forget_channel(wanted)
        if (stored := await self._store()) is not None:
            await stored.drop_channel(wanted)

    async def left(self, channel: str, users: Iterable[str]) -> None:
        """People left a channel: their reactions stay, unless the settings say otherwise."""
        wanted, people = ids.channel_id(channel), [ids.user_id(user) for user in users]
        self._gatekeeper.forget_people(wanted, people)
        if self._rules.kept_on_leaving or not people:
            return
        if (stored := await self._store()) is not None:
            await stored.forget(wanted, people)

    async def finding(self) -> HealthCheckResult:
        """For the doctor: the mode, and in store mode where counts are shown, or what is wrong with the store."""
        try:
            stored = await self._store()
            if stored is None:
                return HealthCheckResult("reactions", True, f"direct mode: on the messages, {REACTORS} people a post")
            return await stored.finding()
        except ChannelAdapterError as error:
            return HealthCheckResult("reactions", False, error.message, "see to the database that database_url names")

    async def aclose(self) -> None:
        """Publish what can be published soon, and close the store."""
        self._closing.set()
        if self._starting is not None:
            await self._starting
        async with self._opening:
            opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close(FLUSH_SECONDS)

    async def _start(self) -> None:
        """Open the store, as soon as it can be; one that never can be is an error for whoever uses it."""
        pause = START_AFTER
        while self._opened is None:
            await wait_or_set(self._clock, pause, self._closing)
            if self._closing.is_set():
                return
            try:
                await self._store()
            except ConfigurationError as refused:
                log.warning("reactions.store_refused", reason=refused.message)
                return
            except ChannelAdapterError as trouble:
                log.warning("reactions.store_failed", reason=trouble.message)
                pause = START_AGAIN

    async def _store(self) -> "StoredReactions | None":
        """The store, opened; None in direct mode."""
        if self._opened is not None or self._open is None:
            return self._opened
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
                self._opened.publisher.wake()
            return self._opened

    async def _required(self) -> "StoredReactions":
        stored = await self._store()
        if stored is None:
            raise ConfigurationError(
                "this needs the store of reactions: set database_url, for example sqlite:///reactions.db",
                field="database_url",
            )
        return stored
