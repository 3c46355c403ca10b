"""Reactions of users to posts: one emoji, or several if the settings allow it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.batching import map_concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.extras import is_installed, needs_store
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    Adopted,
    DisplayMode,
    DisplayStatus,
    ReactionChange,
    ReactionPolicy,
    Reactions,
    Reactor,
    Reconciled,
)
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, needs_database
from channel_adapter.mapping import ids
from channel_adapter.mapping.emoji import one_emoji
from channel_adapter.mapping.reactions import to_policy
from channel_adapter.mapping.text import require_list
from channel_adapter.services.reactions.direct import DirectReactions
from channel_adapter.services.reactions.rules import ReactionEligibility, ReactionOptions

if TYPE_CHECKING:
    from channel_adapter.services.reactions.stored import StoredReactions

_NO_PLACE: Final = "messages carry no reactions in this mode"
FLUSH_SECONDS: Final = 5.0
"""How long closing waits for counts to be published; the rest stays in the store for another process."""
_FIRST_CHECK: Final = 1.0
"""Seconds until a process that does not use reactions looks for what others left; short processes end before."""
_CHECK_INTERVAL: Final = 5.0

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.reactions"))


class ReactionService:
    """Reactions of users to posts.

    Without `database_url` in direct mode: keys on the message, for 250 users a post. With it in store mode: any number
    of users. The store is opened, and the task that publishes counts started, by the first method that needs them.
    """

    def __init__(
        self,
        backend: Backend,
        options: ReactionOptions,
        database_url: str | None,
        app: int,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._ids = backend.ids
        self._options = options
        self._database_url = database_url
        self._app = app
        self._clock = clock
        self._eligibility = ReactionEligibility(backend, options, clock)
        self._direct: DirectReactions | None = None
        self._opening = asyncio.Lock()
        self._opened: StoredReactions | None = None
        self._publishing = False
        self._looked = asyncio.Event()  # nothing is to be published for other processes, or it is
        self._starting: asyncio.Task[None] | None = None

    async def react(self, ref: PostRef, user: str, emoji: str) -> bool:
        """Set the reaction of a user; return whether it changed. A new emoji replaces the old one.

        In store mode it is stored permanently when this returns. Raises InvalidError for text that is not one emoji or
        an emoji that the channel does not allow, NotFoundError if there is no such post, PermissionDeniedError for a
        user who does not follow the channel, LimitReachedError in direct mode for a 251st user, and UnavailableError if
        the store or the service fails; then nothing was counted.
        """
        post, user_id, chosen = self._ids.post(ref), ids.user_id(user), one_emoji(emoji)
        self._require_place()
        await self._eligibility.require(post, user_id, chosen)
        reactions = self._opened or await self._open_reactions()
        return await reactions.react(post, user_id, chosen)

    async def unreact(self, ref: PostRef, user: str, emoji: str | None = None) -> bool:
        """Remove the reactions of a user, or only `emoji`; return False if there was none."""
        post, user_id = self._ids.post(ref), ids.user_id(user)
        chosen = None if emoji is None else one_emoji(emoji)
        self._require_place()
        await self._eligibility.require_post(post)
        return await (await self._open_reactions()).unreact(post, user_id, chosen)

    async def get(self, ref: PostRef, viewer: str | None = None) -> Reactions:
        """Return the counts of a post, the most frequent emoji first, and what `viewer` chose. Raises NotFoundError."""
        post, user_id = self._ids.post(ref), None if viewer is None else ids.user_id(viewer, "viewer")
        self._require_place()
        if self._database_url is None:
            await self._eligibility.policy(post.channel)
            return await self._direct_reactions().get(post, user_id)
        found = await (await self._require_store()).get(post, user_id)
        if found is None:
            await self._eligibility.require_post(post)
        return found or Reactions(ref=post)

    async def get_many(self, refs: Iterable[PostRef], viewer: str | None = None) -> dict[PostRef, Reactions]:
        """Return the counts of many posts by the references that were asked for, in their order.

        A post that does not exist has no reactions. Store mode: one statement, and one more with a viewer, for up to
        500 posts. Direct mode: two calls for each post, `concurrency` of the settings at a time.
        """
        posts = self._ids.posts(refs)
        wanted = list(dict.fromkeys(posts.values()))
        user_id = None if viewer is None else ids.user_id(viewer, "viewer")
        if self._database_url is None:
            read = partial(self._direct_reactions().get_or_empty, viewer=user_id)
            answers = await map_concurrently(wanted, read, limit=self._options.concurrency)
            found = dict(zip(wanted, answers, strict=True))
        else:
            found = await (await self._require_store()).get_many(wanted, user_id)
        return {ref: found[post] for ref, post in posts.items()}

    async def reactors(self, ref: PostRef, emoji: str | None = None) -> AsyncIterator[Reactor]:
        """Yield the users who reacted, or those who chose `emoji`, ordered by user id. For administration."""
        post, chosen = self._ids.post(ref), None if emoji is None else one_emoji(emoji)
        async for each in (await self._open_reactions()).reactors(post, chosen):
            yield each

    async def by_day(self, ref: PostRef) -> dict[date, int]:
        """Return how many of the reactions that stand now were set on each day of UTC, the first day first.

        Days without any are left out, and so are reactions that were removed or replaced. Raises ConfigurationError in
        direct mode, where no times are stored.
        """
        return await (await self._require_store()).by_day(self._ids.post(ref))

    async def policy(self, channel: str) -> ReactionPolicy:
        """Return which emoji a channel accepts. Raises NotFoundError."""
        return await self._eligibility.policy(self._ids.channel(channel))

    async def set_policy(self, channel: str, policy: str | Iterable[str] | ReactionPolicy) -> ReactionPolicy:
        """Set which emoji a channel accepts: `all`, `basic` (six of them), `none`, or a list of about 50.

        It is stored with the channel: other processes see it within `channels.cache_seconds`. Existing reactions stay.
        Raises InvalidError, with limit and size in bytes for a list of more than 280 bytes, and NotFoundError.
        """
        wanted = to_policy(policy)
        await self._eligibility.set_policy(self._ids.channel(channel), wanted)
        return wanted

    async def merge(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int = 0) -> int:
        """Merge the changes of users' keys that an event reports; return how many reactions changed.

        Repeating it is harmless. `cleared`: all keys up to this version were removed together, which removes no
        reaction. Does nothing in direct mode, where the keys are all there is.
        """
        post = self._ids.post(ref)
        if self._database_url is None:
            return 0
        return await (await self._require_store()).merge(post, changes, cleared=cleared)

    async def reconcile(self, ref: PostRef) -> Reconciled:
        """Compare a post with the service: merge what client apps wrote, and find counts that others changed.

        Raises ConfigurationError in direct mode, and NotFoundError for a post that is deleted.
        """
        return await (await self._require_store()).reconcile(self._ids.post(ref))

    async def adopt(self, channel: str) -> AsyncIterator[Adopted]:
        """Copy into the store the reactions that direct mode left on a channel's posts; yield one result for each post.

        Users who have a reaction in the store keep that one. After an interruption, run it again. Raises
        ConfigurationError in direct mode.
        """
        wanted = self._ids.channel(channel)
        async for each in (await self._require_store()).adopt(wanted):
            yield each

    async def probe(self) -> DisplayStatus:
        """Check where counts can be displayed for other client apps, and write again posts that refused them.

        It is tried on a message in a channel of its own, which is deleted again. Raises ConfigurationError in direct
        mode.
        """
        return await (await self._require_store()).probe(retry_posts=True)

    async def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until every count is published; return False if that takes longer, for example during an outage.

        Returns True immediately in direct mode.
        """
        return self._database_url is None or await (await self._require_store()).flush(seconds)

    async def publish(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Publish every count, as `flush` does. Raises ConfigurationError in direct mode."""
        return await (await self._require_store()).flush(seconds)

    async def drop(self, ref: PostRef) -> None:
        """Remove the reactions of a post that is deleted; `posts.recall` does this itself."""
        post = self._ids.post(ref)
        self._eligibility.forget_post(post)
        if (stored := await self._open_existing_store()) is not None:
            await stored.drop(post)

    async def drop_channel(self, channel: str) -> None:
        """Remove all reactions of a channel that is deleted; `channels.delete` does this itself."""
        wanted = self._ids.channel(channel)
        self._eligibility.forget_channel(wanted)
        if (stored := await self._open_existing_store()) is not None:
            await stored.drop_channel(wanted)

    async def left(self, channel: str, users: Iterable[str]) -> None:
        """Remove the reactions of users who left a channel, if the settings demand it."""
        wanted, user_ids = self._ids.channel(channel), [ids.user_id(user) for user in require_list(users, "users")]
        self._eligibility.forget_users(wanted, user_ids)
        if self._options.keep_on_unsubscribe or not user_ids:
            return
        if (stored := await self._open_existing_store()) is not None:
            await stored.remove_users(wanted, user_ids)

    def start(self) -> None:
        """Publish in the background what other processes left in the store, until the adapter is closed.

        For processes that do not use reactions themselves, such as a webhook receiver. It creates no tables: it waits
        until there are some. Does nothing in direct mode.
        """
        if self._database_url is not None and self._starting is None:
            self._starting = asyncio.ensure_future(
                repeat(
                    self._publish_others, _CHECK_INTERVAL, self._clock, _log_failure, first=_FIRST_CHECK,
                    until=self._looked,
                )
            )  # fmt: skip

    async def unpublished(self) -> int:
        """Return how many posts have counts that are not published yet, of all processes; 0 in direct mode.

        It creates no tables.
        """
        return await self._opened.unpublished() if self._opened is not None else 0

    async def finding(self) -> HealthCheckResult:
        """Return for the doctor the mode of reactions and, in store mode, the result of a new probe."""
        capacity = self._backend.reactions.capacity
        if self._database_url is None and capacity is None:
            return HealthCheckResult(
                "reactions", True, "none: messages carry no reactions in this mode; set database_url"
            )
        if self._database_url is None:
            users = capacity.users_without_store if capacity is not None else 0
            return HealthCheckResult("reactions", True, f"direct mode: on the messages, {users} users a post")
        try:
            stored = await self._open_existing_store()
        except ChannelAdapterError as error:
            return HealthCheckResult("reactions", False, error.message, "check the database that database_url names")
        mode = self._options.display or DisplayMode.EXTENSIONS
        try:
            found = await (stored.probe(retry_posts=False) if stored else self._backend.reactions.probe(mode))
        except ChannelAdapterError as error:
            return HealthCheckResult("reactions", False, f"store; {error.message}", "run the doctor again later")
        if capacity is None:
            return HealthCheckResult("reactions", True, f"store; counts are shown nowhere else: {found.reason}")
        if found.mode is mode:
            return HealthCheckResult(
                "reactions", True, f"store; counts are shown as {mode.value.replace('_', ' ')}: {found.reason}"
            )
        return HealthCheckResult(
            "reactions",
            False,
            f"store; counts are shown nowhere else: {found.reason}",
            "enable message extensions in the console, they need a high plan; or set reactions.display",
        )

    async def aclose(self) -> None:
        """Publish what can be published within 5 seconds, and close the store."""
        self._looked.set()
        try:
            if self._starting is not None:
                await self._starting
        finally:
            async with self._opening:
                opened, self._opened, self._publishing = self._opened, None, False
            if opened is not None:
                await opened.close(FLUSH_SECONDS)

    async def _publish_others(self) -> None:
        """Open the store if there is one, and start its publisher."""
        try:
            stored = await self._open_existing_store()
        except ConfigurationError as error:
            _log.warning("reactions.store_refused", reason=error.message)
            self._looked.set()
            return
        if stored is not None:
            self._publishing = True
            stored.start()
            self._looked.set()

    async def _open_reactions(self) -> "StoredReactions | DirectReactions":
        return self._direct_reactions() if self._database_url is None else await self._require_store()

    def _direct_reactions(self) -> DirectReactions:
        if self._direct is None:
            carrier = self._backend.reactions
            if carrier.capacity is None:
                raise needs_database(_NO_PLACE)
            self._direct = DirectReactions(carrier, carrier.capacity, max_per_user=self._options.max_per_user)
        return self._direct

    def _require_place(self) -> None:
        """Raise ConfigurationError, before any call, if neither a database nor messages can hold reactions."""
        if self._database_url is None and self._backend.reactions.capacity is None:
            raise needs_database(_NO_PLACE)

    async def _open_existing_store(self) -> "StoredReactions | None":
        """Return the store if its tables exist. A process without SQLAlchemy has no store."""
        if self._opened is not None or self._database_url is None or not is_installed("sqlalchemy"):
            return self._opened
        with needs_store(self._database_url):
            from channel_adapter.services.reactions.stored import has_reactions  # noqa: PLC0415 - an extra
        return await self._open_store(self._database_url) if await has_reactions(self._database_url) else None

    async def _require_store(self) -> "StoredReactions":
        """Return the store, opened if necessary; the first use starts to publish what this and other processes left."""
        if self._database_url is None:
            raise needs_database("this needs the store of reactions")
        stored = self._opened or await self._open_store(self._database_url)
        if not self._publishing:
            self._publishing = True
            stored.start()
        return stored

    async def _open_store(self, database_url: str) -> "StoredReactions":
        with needs_store(database_url):
            from channel_adapter.services.reactions.stored import open_reaction_store  # noqa: PLC0415 - an extra
        async with self._opening:
            if self._opened is None:
                self._opened = await open_reaction_store(
                    database_url, self._app, self._backend, self._eligibility, self._options, self._clock
                )
            return self._opened


def _log_failure(error: Exception) -> None:
    if isinstance(error, ChannelAdapterError):
        _log.warning("reactions.store_failed", reason=error.message)
    else:
        _log.exception("reactions.store_failed")
