"""Who may react to what, and with which emoji: asked of the service in batches, remembered for a while."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cachetools import TTLCache

from channel_adapter.backends.protocols import ChannelBackend, PostBackend
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef, PostState
from channel_adapter.domain.reaction import ReactionChange, ReactionPolicy
from channel_adapter.errors import NotFoundError, PermissionDeniedError
from channel_adapter.mapping.ids import post_ref
from channel_adapter.mapping.reactions import policy_in, require_allowed
from channel_adapter.services.subscriptions import Subscriptions
from channel_adapter.tencent import limits

REMEMBERED: Final = 100_000
"""How many memberships and how many posts are remembered; each is a few hundred bytes."""


@dataclass(frozen=True, slots=True)
class ReactionRules:
    """What is allowed whatever a channel says."""

    per_person: int = 1
    subscribers_only: bool = True
    phones: bool = True  # what phones write into their keys by themselves counts
    kept_on_leaving: bool = True


class Gatekeeper:
    """Answers are believed for `seconds`; only good news is remembered."""

    def __init__(
        self,
        channels: ChannelBackend,
        subscriptions: Subscriptions,
        posts: PostBackend,
        rules: ReactionRules,
        *,
        seconds: float,
        clock: Clock,
    ) -> None:
        self._channels = channels
        self._subscriptions = subscriptions
        self._backend = posts
        self._rules = rules
        remembered: Callable[[], TTLCache[Any, bool]] = lambda: TTLCache(  # noqa: E731
            REMEMBERED, seconds, timer=clock.monotonic
        )
        self._members: TTLCache[tuple[ChannelId, UserId], bool] = remembered()
        self._posts: TTLCache[PostRef, bool] = remembered()
        self._asked: BatchLoader[ChannelId, UserId, bool] = BatchLoader(self._ask, max_items=limits.ROLES_PER_CALL)
        self._looked_up: BatchLoader[PostRef, None, PostState | None] = BatchLoader(self._look_up, max_items=REMEMBERED)

    async def policy(self, channel: ChannelId) -> ReactionPolicy:
        """What the channel takes. Raises NotFoundError for no channel."""
        return policy_in(await self._channels.attributes(channel))

    async def require(self, ref: PostRef, user: UserId, emoji: str) -> None:
        """Raises InvalidError, PermissionDeniedError or NotFoundError unless this reaction may be."""
        require_allowed(await self.policy(ref.channel), emoji)
        await self.require_post(ref)
        if self._rules.subscribers_only and not await self._is_member(ref.channel, user):
            raise PermissionDeniedError(
                f"{user!r} does not follow {ref.channel}, and only subscribers may react", field="user"
            )

    async def require_post(self, ref: PostRef) -> None:
        """Raises NotFoundError for a post that never was, was recalled or has expired."""
        if self._posts.get(ref):
            return
        state = await self._looked_up.load(ref, None)
        if state is None:
            raise NotFoundError(f"channel {ref.channel} has no post {ref.seq}", field="seq")
        if state is not PostState.PUBLISHED:
            raise NotFoundError(f"post {ref.seq} of {ref.channel} was recalled or has expired", field="seq")
        self._posts[ref] = True

    async def admit(self, channel: ChannelId, changes: Sequence[ReactionChange]) -> list[bool]:
        """Which changes made on phones count: none where they are ignored, else by policy and subscription."""
        if not self._rules.phones:
            return [False] * len(changes)
        policy = await self.policy(channel)
        fits = [all(each and policy.allows(each) for each in change.emoji) for change in changes]
        if not self._rules.subscribers_only:
            return fits
        asked = {change.user for change, fit in zip(changes, fits, strict=True) if fit and change.emoji}
        members = await self._members_among(channel, asked)
        return [fit and (not change.emoji or change.user in members) for change, fit in zip(changes, fits, strict=True)]

    def forget_post(self, ref: PostRef) -> None:
        """The post is gone."""
        self._posts.pop(ref, None)

    def forget_channel(self, channel: ChannelId) -> None:
        """The channel is gone, with all its posts; one that is made anew has none of them."""
        for ref in [each for each in self._posts if each.channel == channel]:
            self._posts.pop(ref, None)

    def forget_people(self, channel: ChannelId, users: Iterable[UserId]) -> None:
        """These people left."""
        for user in users:
            self._members.pop((channel, user), None)

    async def _is_member(self, channel: ChannelId, user: UserId) -> bool:
        return bool(self._members.get((channel, user))) or await self._asked.load(channel, user)

    async def _members_among(self, channel: ChannelId, users: set[UserId]) -> set[UserId]:
        unknown = [user for user in users if not self._members.get((channel, user))]
        found = await self._subscriptions.is_subscribed(channel, unknown) if unknown else {}
        self._members.update({(channel, user): True for user, inside in found.items() if inside})
        return {user for user in users if found.get(user, True)}

    async def _ask(self, channel: ChannelId, users: Sequence[UserId]) -> list[bool | Exception]:
        members = await self._members_among(channel, set(users))
        return [user in members for user in users]

    async def _look_up(self, ref: PostRef, asked: Sequence[None]) -> list[PostState | Exception | None]:
        post = await self._backend.get(ref)
        return [post.state if post is not None else None] * len(asked)


def checked(ref: PostRef) -> PostRef:
    """The ref, with the whole id of its channel. Raises InvalidError."""
    return PostRef(*post_ref(ref))
