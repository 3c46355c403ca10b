"""Conversation groups of users follow their subscriptions: the second pass of calls that subscribe or remove users."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from channel_adapter.backends.protocols import GroupingBackend, MemberBackend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import (
    DONE,
    MEMBERSHIP_READS,
    REPEAT_HINT,
    SETTLED,
    AssignmentStatus,
    GroupAssignment,
    Outcome,
)
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.services.bulk import Users

Pair = tuple[UserId, ChannelId]

MAX_UNANSWERED: Final = 5
"""Consecutive calls without an answer after which no further one is made for PAUSE_SECONDS."""
PAUSE_SECONDS: Final = 10.0
EDITION_SECONDS: Final = 300.0
"""How long a refusal because of the app's edition is cached."""

_SYNC: Final = "unread.sync repairs it"
_LEFT_OUT: Final = GroupAssignment(
    AssignmentStatus.LEFT_OUT,
    "too many users in one call to assign each; assign=True does, and so does unread.sync_many later",
)
_NOT_TRIED: Final = GroupAssignment(AssignmentStatus.FAILED, REPEAT_HINT)


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
        self.name: str = options.name
        self.slots: asyncio.Semaphore = asyncio.Semaphore(options.concurrency)
        self._backend = backend
        self._members = members
        self._options = options
        self._clock = clock
        self._unanswered = 0
        self._paused: GroupAssignment | None = None  # what calls result in until `_resume_at`
        self._resume_at = 0.0

    def for_call(
        self, channel: ChannelId, users: Users, wanted: bool | None, *, subscribed: bool
    ) -> "BulkAssignment | None":
        """Return the second pass of a bulk call that subscribes users or removes them.

        None if groups are not changed: `wanted` is False, or None and the settings say so.
        """
        if not (self._options.enabled if wanted is None else wanted):
            return None
        max_users = None if wanted else self._options.max_users
        return BulkAssignment(self, channel, users, subscribed=subscribed, max_users=max_users)

    async def follow_one(
        self, user: UserId, channels: Sequence[ChannelId], wanted: bool | None, *, subscribed: bool
    ) -> Mapping[ChannelId, GroupAssignment]:
        """Do the second pass of a call about one user and many channels; nothing as `for_call` returns None."""
        if not channels or not (self._options.enabled if wanted is None else wanted):
            return {}
        return await self.change(user, channels, subscribed=subscribed)

    async def assign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the group of a user, 100 a call."""
        return await self.send(user, channels, subscribed=True)

    async def unassign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the group of a user, 100 a call; a channel that is not in it is out."""
        return await self.send(user, channels, subscribed=False)

    async def change(
        self, user: UserId, channels: Sequence[ChannelId], *, subscribed: bool
    ) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the group of a user or take them out, and follow membership if it changes meanwhile."""
        made = await self.send(user, channels, subscribed=subscribed)
        settled = await self.follow_membership({(user, channel): each for channel, each in made.items()})
        return {channel: assignment for (_, channel), assignment in settled.items()}

    async def send(
        self, user: UserId, channels: Sequence[ChannelId], *, subscribed: bool
    ) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the group of a user or take them out, unless assignments are paused."""
        if self._paused is not None and self._clock.monotonic() < self._resume_at:
            return dict.fromkeys(channels, self._paused)
        change = self._backend.put if subscribed else self._backend.take_out
        made = await change(user, self.name, list(dict.fromkeys(channels)))
        first = next(iter(made.values()), None)
        if first is None:
            return made
        self._unanswered = self._unanswered + 1 if first.transient else 0
        if first.status is AssignmentStatus.UNSUPPORTED:
            self._paused, self._resume_at = first, self._clock.monotonic() + EDITION_SECONDS
        elif self._unanswered >= MAX_UNANSWERED:
            self._paused, self._resume_at = first, self._clock.monotonic() + PAUSE_SECONDS
        return made

    async def follow_membership(self, assignments: Mapping[Pair, GroupAssignment]) -> dict[Pair, GroupAssignment]:
        """Read membership after assignments, and repeat in the other direction those that it contradicts.

        The pairs are those of one user or of one channel. Another process may have changed membership between this
        process's change of it and its assignment, and the other assignment may have come first. Each process that reads
        membership after its own last assignment leaves the group as membership is. Assignments whose membership cannot
        be read, or keeps changing, are UNCERTAIN.
        """
        settled = dict(assignments)
        doubtful: list[Pair] = []
        for pair, assignment in assignments.items():
            if assignment.status in SETTLED:
                doubtful.append(pair)
        for _ in range(MEMBERSHIP_READS):
            if not doubtful:
                return settled
            try:
                inside = await self._members_among(doubtful)
            except ChannelAdapterError as error:
                reason = f"{error.message}; membership could not be read again; {_SYNC}"
                return settled | _to_uncertain_assignments(doubtful, reason)
            repeated: list[Pair] = []
            for pair in doubtful:
                subscribed = pair in inside
                if subscribed is not (settled[pair].status is AssignmentStatus.ASSIGNED):
                    settled[pair] = await self._assign_reversed(pair, subscribed=subscribed)
                    if settled[pair].done:
                        repeated.append(pair)
            doubtful = repeated
        if not doubtful:
            return settled
        return settled | _to_uncertain_assignments(
            doubtful, f"the subscription changed {MEMBERSHIP_READS} times meanwhile; {_SYNC}"
        )

    async def _assign_reversed(self, pair: Pair, *, subscribed: bool) -> GroupAssignment:
        """Assign as membership is now, against what the caller asked for."""
        user, channel = pair
        async with self.slots:
            assignment = (await self.send(user, [channel], subscribed=subscribed))[channel]
        if assignment.status is AssignmentStatus.NOT_SUBSCRIBED:  # ended again, and the channel is out
            return GroupAssignment(AssignmentStatus.TAKEN_OUT)
        if not assignment.done:
            return assignment
        return replace(assignment, reason="subscribed again meanwhile" if subscribed else "unsubscribed meanwhile")

    async def _members_among(self, pairs: Sequence[Pair]) -> set[Pair]:
        """Return the pairs whose user is in the channel; a channel that does not exist any more has no members."""
        users, channels = zip(*pairs, strict=True)
        user, channel = pairs[0]
        inside: set[Pair] = set()
        if channels[-1] != channel:
            for found in await self._members.subscribed_to(user, channels):
                inside.add((user, found))
            return inside
        try:
            subscribed = await self._members.subscribed(channel, users)
        except NotFoundError:
            return inside
        for pair in pairs:
            if subscribed[pair[0]]:
                inside.add(pair)
        return inside


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
        self.users: Users = users
        self._assigner = assigner
        self._channel = channel
        self._subscribed = subscribed
        self._max_users = max_users
        self._count = 0
        if max_users is None:
            return
        if isinstance(users, Collection):
            self._max_users = max_users if len(users) <= max_users else 0
        elif isinstance(users, Iterable):
            self.users = self._count_ahead(users, max_users)

    async def add_to(self, outcomes: Sequence[Outcome], ended: bool) -> Sequence[Outcome]:
        """Return the outcomes with an assignment for each user who is done. `ended`: no further call is made."""
        done: dict[Pair, Outcome] = {}
        rest: list[Outcome] = []
        for outcome in outcomes:
            if outcome.kind in DONE:
                done[UserId(outcome.user), self._channel] = outcome
            else:
                rest.append(outcome)
        if ended:
            settled = dict.fromkeys(done, _NOT_TRIED)
        else:
            made = await asyncio.gather(*map(self._assign_pair, done))
            settled = await self._assigner.follow_membership(dict(zip(done, made, strict=True)))
        for pair, outcome in done.items():
            rest.append(replace(outcome, assignment=settled[pair]))
        return rest

    async def _assign_pair(self, pair: Pair) -> GroupAssignment:
        self._count += 1
        if self._max_users is not None and self._count > self._max_users:
            return _LEFT_OUT
        user, channel = pair
        async with self._assigner.slots:
            return (await self._assigner.send(user, [channel], subscribed=self._subscribed))[channel]

    def _count_ahead(self, users: Iterable[str], max_users: int) -> Iterator[str]:
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


def _to_uncertain_assignments(pairs: Iterable[Pair], reason: str) -> dict[Pair, GroupAssignment]:
    return dict.fromkeys(pairs, GroupAssignment(AssignmentStatus.UNCERTAIN, reason, transient=True))
