"""Put channels into conversation groups of users, and take them out, after subscriptions changed."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from channel_adapter.backends.protocols import GroupingBackend, MemberBackend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.assignment import MEMBERSHIP_READS, REPEAT_HINT, AssignmentStatus, GroupAssignment
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Outcome
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.services.bulk import Users

Pair = tuple[UserId, ChannelId]

IN_A_ROW = 5
"""Assignments without an answer after which the next ones are not tried for a while."""
PAUSE_SECONDS = 10.0
EDITION_SECONDS = 300.0
"""For so long a refusal because of the edition is believed."""

LATER = "too many users in one call to assign each; assign=True does, and so does unread.sync_many later"
SYNC = "unread.sync repairs it"


@dataclass(frozen=True, slots=True)
class AssignmentOptions:
    """Which conversation group holds the channels of a user, and when it is changed."""

    name: str
    enabled: bool  # after subscriptions, unless a call says otherwise
    max_users: int  # of one call, unless the call asks for assignments
    concurrency: int


class ConversationGroupAssigner:
    """Puts channels into the conversation groups of users and takes them out. Every failure is a GroupAssignment.

    Makes no call for 300 s after a refusal because of the edition, and for 10 s after five consecutive assignments for
    which the service failed.
    """

    def __init__(
        self, backend: GroupingBackend, members: MemberBackend, options: AssignmentOptions, clock: Clock
    ) -> None:
        self.name = options.name
        self.turns = asyncio.Semaphore(options.concurrency)
        self._backend = backend
        self._members = members
        self._on = options.enabled
        self._max_users = options.max_users
        self._clock = clock
        self._unanswered = 0
        self._closed: GroupAssignment | None = None
        self._opens_at = 0.0

    def is_on(self, wanted: bool | None) -> bool:
        """Return whether groups are changed: as `wanted` says, or as the settings say if it is None."""
        return self._on if wanted is None else wanted

    def for_call(
        self, channel: ChannelId, users: Users, wanted: bool | None, *, subscribed: bool
    ) -> "BulkAssignment | None":
        """Return the second pass of a bulk call that subscribes users or removes them; None if groups stay."""
        if not self.is_on(wanted):
            return None
        max_users = None if wanted else self._max_users
        return BulkAssignment(self, channel, users, subscribed=subscribed, max_users=max_users)

    async def assign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the user's group, up to 100 a call."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        return self._record(await self._backend.put(user, self.name, channels))

    async def unassign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the user's group, 100 a call; a channel is out without a group too."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        return self._record(await self._backend.take_out(user, self.name, channels))

    async def change(
        self, user: UserId, channels: Sequence[ChannelId], *, subscribed: bool
    ) -> dict[ChannelId, GroupAssignment]:
        """Put channels into a user's group, or take them out, and follow membership if it changes meanwhile."""
        made = await (self.assign if subscribed else self.unassign)(user, channels)
        settled = await self.follow_membership({(user, channel): each for channel, each in made.items()})
        return {channel: assignment for (_, channel), assignment in settled.items()}

    async def follow_membership(self, assignments: dict[Pair, GroupAssignment]) -> dict[Pair, GroupAssignment]:
        """Read membership after assignments, and repeat in the other direction those that it contradicts.

        The pairs are those of one user or of one channel.

        Another process may have changed membership between our change of it and our assignment, and its assignment may
        have come before ours. Each process that reads membership after its own last assignment leaves the group as
        membership is. What cannot be read, or keeps changing, is UNCERTAIN.
        """
        settled = dict(assignments)
        doubtful = [pair for pair, assignment in assignments.items() if assignment.done]
        for _ in range(MEMBERSHIP_READS):
            if not doubtful:
                return settled
            try:
                inside = await self._members_among(doubtful)
            except ChannelAdapterError as error:
                reason = f"{error.message}; membership could not be read again; {SYNC}"
                return settled | dict.fromkeys(
                    doubtful, GroupAssignment(AssignmentStatus.UNCERTAIN, reason, transient=True)
                )
            wrong = [
                pair for pair in doubtful if (pair in inside) is not (settled[pair].status is AssignmentStatus.ASSIGNED)
            ]
            opposite = {pair: await self._opposite(pair, subscribed=pair in inside) for pair in wrong}
            settled |= opposite
            doubtful = [pair for pair, assignment in opposite.items() if assignment.done]
        reason = f"the subscription changed {MEMBERSHIP_READS} times meanwhile; {SYNC}"
        return settled | dict.fromkeys(doubtful, GroupAssignment(AssignmentStatus.UNCERTAIN, reason, transient=True))

    async def _opposite(self, pair: Pair, *, subscribed: bool) -> GroupAssignment:
        """Assign as membership is now, against what the caller asked for."""
        user, channel = pair
        async with self.turns:
            assignment = (await (self.assign if subscribed else self.unassign)(user, [channel]))[channel]
        if assignment.status is AssignmentStatus.NOT_SUBSCRIBED:  # ended again, and the channel is out
            return GroupAssignment(AssignmentStatus.TAKEN_OUT)
        if not assignment.done:
            return assignment
        return replace(assignment, reason="subscribed again meanwhile" if subscribed else "unsubscribed meanwhile")

    async def _members_among(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Return the pairs whose user is in the channel; a channel that is gone has no members."""
        users, channels = dict.fromkeys(user for user, _ in pairs), dict.fromkeys(channel for _, channel in pairs)
        if len(channels) > 1:
            (user,) = users
            return {(user, channel) for channel in await self._members.subscribed_to(user, [*channels])}
        (channel,) = channels
        try:
            inside = await self._members.subscribed(channel, [*users])
        except NotFoundError:
            return set()
        return {(user, channel) for user in users if inside[user]}

    def _record(self, assignments: dict[ChannelId, GroupAssignment]) -> dict[ChannelId, GroupAssignment]:
        """Return the assignments; a low edition, and a service that does not answer, end calls for a while."""
        for assignment in assignments.values():  # a call that failed has one outcome for every channel
            if assignment.status is AssignmentStatus.UNSUPPORTED:
                self._close(assignment, EDITION_SECONDS)
            elif assignment.transient:
                self._unanswered += 1
                if self._unanswered >= IN_A_ROW:
                    self._close(assignment, PAUSE_SECONDS)
            else:
                self._unanswered = 0
            break
        return assignments

    def _close(self, reason: GroupAssignment, seconds: float) -> None:
        self._closed, self._opens_at = reason, self._clock.monotonic() + seconds

    def _is_closed(self) -> GroupAssignment | None:
        return self._closed if self._closed and self._clock.monotonic() < self._opens_at else None


class BulkAssignment:
    """The second pass of one bulk call: conversation groups follow the outcomes.

    Users beyond `max_users` of one call are left out; None is no limit. `users` are the users of the call, to be
    taken from here: an iterator is read ahead far enough to know, before the first assignment, that they are too many.
    """

    def __init__(
        self,
        assigner: ConversationGroupAssigner,
        channel: ChannelId,
        users: Users,
        *,
        subscribed: bool,
        max_users: int | None,
    ) -> None:
        self._assigner = assigner
        self._channel = channel
        self._act = assigner.assign if subscribed else assigner.unassign
        self._max_users = max_users
        self._count = 0
        self.users = users
        if max_users is None:
            return
        if isinstance(users, Collection):
            self._max_users = max_users if len(users) <= max_users else 0
        elif isinstance(users, Iterable):
            self.users = self._counted(users, max_users)

    async def add_to(self, outcomes: Sequence[Outcome], ended: bool) -> Sequence[Outcome]:
        """Return the outcomes with an assignment for each user who is done. `ended`: no further call is made."""
        done = [UserId(outcome.user) for outcome in outcomes if outcome.done]
        if ended:
            assignments = dict.fromkeys(done, GroupAssignment(AssignmentStatus.FAILED, REPEAT_HINT))
        else:
            made = await asyncio.gather(*(self._one(user) for user in done))
            pairs = {(user, self._channel): each for user, each in zip(done, made, strict=True)}
            settled = await self._assigner.follow_membership(pairs)
            assignments = {user: each for (user, _), each in settled.items()}
        return [replace(each, assignment=assignments.get(UserId(each.user))) for each in outcomes]

    async def _one(self, user: UserId) -> GroupAssignment:
        self._count += 1
        if self._max_users is not None and self._count > self._max_users:
            return LEFT_OUT
        async with self._assigner.turns:
            return (await self._act(user, [self._channel]))[self._channel]

    def _counted(self, users: Iterable[str], max_users: int) -> Iterator[str]:
        source = iter(users)
        ahead: list[str] = []
        try:
            for user in islice(source, max_users + 1):
                ahead.append(user)  # noqa: PERF402 - users that a source yielded before it failed are not lost
        except BaseException:
            yield from ahead
            raise
        if len(ahead) > max_users:
            self._max_users = 0
        yield from ahead
        yield from source


LEFT_OUT = GroupAssignment(AssignmentStatus.LEFT_OUT, LATER)
