"""Which users may react to which posts, and with which emoji. The answers of the service are cached."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cachetools import TTLCache

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.single_flight import SingleFlight
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef, PostState
from channel_adapter.domain.reaction import DisplayMode, FilteredChange, PolicyKind, ReactionChange, ReactionPolicy
from channel_adapter.errors import InvalidError, NotFoundError, PermissionDeniedError
from channel_adapter.mapping.reactions import POLICY, parse_policy, policy_text

CACHE_ENTRIES: Final = 100_000
"""How many memberships and how many posts are cached; each takes a few hundred bytes."""
_USERS_PER_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionOptions:
    """Settings of reactions, as plain values. `display` None: automatic. `keep_seconds` None: for ever.

    `concurrency` bounds the posts of one call that are read concurrently without a store.
    """

    max_per_user: int = 1
    subscribers_only: bool = True
    client_reactions: bool = True
    keep_on_unsubscribe: bool = True
    display: DisplayMode | None = None
    keep_seconds: float | None = None
    cache_seconds: float
    concurrency: int


class ReactionEligibility:
    """Checks reactions against the policy of the channel, the state of the post and the subscription of the user.

    Policies are cached with the channel. Of posts and users only positive answers are cached, for `cache_seconds`.
    """

    def __init__(self, backend: Backend, options: ReactionOptions, clock: Clock) -> None:
        self._backend = backend
        self._options = options
        cache: Callable[[], TTLCache[Any, bool]] = lambda: TTLCache(  # noqa: E731
            CACHE_ENTRIES, options.cache_seconds, timer=clock.monotonic
        )
        self._members: TTLCache[tuple[ChannelId, UserId], bool] = cache()
        self._posts: TTLCache[PostRef, bool] = cache()
        self._changes = 0  # the answer to a question that was asked before the latest change is not cached
        self._member_loader: BatchLoader[ChannelId, UserId, bool] = BatchLoader(
            self._load_members, max_items=_USERS_PER_BATCH
        )
        self._post_lookups: SingleFlight[PostRef, PostState | None] = SingleFlight(self._look_up_post)

    async def policy(self, channel: ChannelId) -> ReactionPolicy:
        """Return the policy of a channel. Raises NotFoundError."""
        return parse_policy((await self._backend.channels.attributes(channel)).get(POLICY))

    async def set_policy(self, channel: ChannelId, policy: ReactionPolicy) -> None:
        """Store the policy of a channel. Raises InvalidError for a list that is too long, and NotFoundError."""
        self._backend.channels.forget(channel)
        try:
            await self._backend.channels.set_attributes(channel, {POLICY: policy_text(policy)})
        except InvalidError as error:
            raise InvalidError(f"policy: {error.message}", field="policy", limit=error.limit, size=error.size) from None

    async def require(self, ref: PostRef, user: UserId, emoji: str) -> None:
        """Raise InvalidError, NotFoundError or PermissionDeniedError unless this reaction is allowed."""
        policy = parse_policy((await self._backend.channels.attributes(ref.channel)).get(POLICY))
        if policy.kind is not PolicyKind.ALL and not policy.allows(emoji):
            raise _not_allowed(policy, emoji)
        if not self._posts.get(ref):
            await self.require_post(ref)
        if not self._options.subscribers_only or self._members.get((ref.channel, user)):
            return
        if not await self._member_loader.load(ref.channel, user):
            raise PermissionDeniedError(
                f"user {user!r} does not follow {ref.channel}, and only subscribers may react", field="user"
            )

    async def require_post(self, ref: PostRef) -> None:
        """Raise NotFoundError for a post that does not exist, was recalled or has expired."""
        if self._posts.get(ref):
            return
        state = await self._post_lookups.get(ref)
        if state is None:
            raise NotFoundError(f"channel {ref.channel} has no post {ref.seq}", field="seq")
        if state is not PostState.PUBLISHED:
            raise NotFoundError(f"post {ref.seq} of {ref.channel} was recalled or has expired", field="seq")

    async def filter_allowed(self, channel: ChannelId, changes: Sequence[ReactionChange]) -> list[FilteredChange]:
        """Return changes that client apps made, with whether each counts by the settings, the policy and subscription.

        A removal always counts, unless the settings ignore client apps.
        """
        if not self._options.client_reactions:
            return [FilteredChange(change, False) for change in changes]
        policy = await self.policy(channel)
        fits = [all(each and policy.allows(each) for each in change.emoji) for change in changes]
        if self._options.subscribers_only:
            users = {change.user for change, fit in zip(changes, fits, strict=True) if fit and change.emoji}
            members = await self._members_among(channel, users)
            fits = [
                fit and (not change.emoji or change.user in members) for change, fit in zip(changes, fits, strict=True)
            ]
        return [FilteredChange(change, fit) for change, fit in zip(changes, fits, strict=True)]

    def forget_post(self, ref: PostRef) -> None:
        """Drop what is cached of a post."""
        self._changes += 1
        self._posts.pop(ref, None)

    def forget_channel(self, channel: ChannelId) -> None:
        """Drop what is cached of the posts of a channel."""
        self._changes += 1
        for ref in [each for each in self._posts if each.channel == channel]:
            self._posts.pop(ref, None)

    def forget_users(self, channel: ChannelId, users: Iterable[UserId]) -> None:
        """Drop what is cached of users of a channel."""
        self._changes += 1
        for user in users:
            self._members.pop((channel, user), None)

    async def _members_among(self, channel: ChannelId, users: set[UserId]) -> set[UserId]:
        unknown = [user for user in users if not self._members.get((channel, user))]
        found = await self._read_members(channel, unknown) if unknown else {}
        return {user for user in users if found.get(user, True)}

    async def _load_members(self, channel: ChannelId, users: Sequence[UserId]) -> list[bool | Exception]:
        inside = await self._read_members(channel, list(dict.fromkeys(users)))
        return [inside[user] for user in users]

    async def _read_members(self, channel: ChannelId, users: Sequence[UserId]) -> dict[UserId, bool]:
        changes = self._changes
        inside = await self._backend.members.subscribed(channel, users)
        if changes == self._changes:
            self._members.update({(channel, user): True for user in users if inside[user]})
        return inside

    async def _look_up_post(self, ref: PostRef) -> PostState | None:
        changes = self._changes
        post = await self._backend.posts.get(ref)
        if post is not None and post.state is PostState.PUBLISHED and changes == self._changes:
            self._posts[ref] = True
        return post.state if post is not None else None


def _not_allowed(policy: ReactionPolicy, emoji: str) -> InvalidError:
    allowed = " ".join(policy.allowed or ()) or "no reactions"
    return InvalidError(f"emoji {emoji} is not allowed: this channel accepts {allowed}", field="emoji")
