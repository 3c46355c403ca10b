"""Put channels into conversation groups of users, and take them out, after subscriptions changed."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import islice

from cachetools import LRUCache

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.backends.community.members import roles_in
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.assignment import AssignmentStatus, GroupAssignment
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.mapping.unread_groups import FULL, Conversation, followed_request
from channel_adapter.services.bulk import TRANSIENT, Found, Users, Work
from channel_adapter.services.conversation_groups import ConversationGroups, Failures, parts_of
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import groups, members

Act = Callable[[UserId, Sequence[ChannelId]], Awaitable[dict[ChannelId, GroupAssignment]]]
Pair = tuple[UserId, ChannelId]

REMEMBERED = 20_000
"""People whose group is known to exist; each is a few hundred bytes."""

IN_A_ROW = 5
"""Assignments without an answer after which the next ones are not tried for a while."""
PAUSE_SECONDS = 10.0
EDITION_SECONDS = 300.0
"""For so long a refusal because of the edition is believed."""

CHECKS = 3
"""Reads of membership after an assignment, while other processes go on changing it."""

LATER = "too many users in one call to assign each; assign=True does, and so does unread.sync_many later"
ONCE_MORE = "asking again finishes it, and so does unread.sync"
SYNC = "unread.sync repairs it"


class ConversationGroupAssigner:
    """Knows the group's name and for whom it exists. Every failure of assignment is an outcome."""

    def __init__(
        self, gateway: ApiCaller, *, name: str, on: bool, most_people: int, at_once: int, clock: Clock
    ) -> None:
        self.name = name
        self.folders = ConversationGroups(gateway)
        self.turns = asyncio.Semaphore(at_once)
        self._gateway = gateway
        self._pages = JoinedPages(gateway, at_once)
        self._on = on
        self._most_people = most_people
        self._clock = clock
        self._known: LRUCache[UserId, bool] = LRUCache(REMEMBERED)
        self._unanswered = 0
        self._closed: GroupAssignment | None = None
        self._opens_at = 0.0

    def is_on(self, wanted: bool | None) -> bool:
        """Return whether groups are changed: as `wanted` says, or as the settings say if it is None."""
        return self._on if wanted is None else wanted

    def shift(self, users: Users, wanted: bool | None) -> "tuple[Users, BulkAssignment | None]":
        """The people of one bulk call, to be taken from here on, and how they are assigned; None: not at all."""
        if not self.is_on(wanted):
            return users, None
        if wanted:
            return users, BulkAssignment(self, None)
        if isinstance(users, Collection):
            return users, BulkAssignment(self, 0 if len(users) > self._most_people else self._most_people)
        shift = BulkAssignment(self, self._most_people)
        return (shift.counted(users) if isinstance(users, Iterable) else users), shift

    async def assign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the person's group, up to 100 a call; reads first only where the group is not known."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        wanted = [Conversation(channel) for channel in dict.fromkeys(channels)]
        try:
            return self._outcomes(wanted, await self._put(user, wanted), AssignmentStatus.ASSIGNED)
        except ChannelAdapterError as error:
            return dict.fromkeys(channels, self._failed(error))

    async def unassign(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the person's group; what is not in it, or has no group to be in, is out."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        unwanted = [Conversation(channel) for channel in dict.fromkeys(channels)]
        try:
            failures = await self.folders.take(user, self.name, unwanted)
            return self._outcomes(unwanted, failures, AssignmentStatus.TAKEN_OUT)
        except ChannelAdapterError as error:
            if error.code == codes.CONTACT_NO_SUCH_ACCOUNT:  # nobody has no groups
                return dict.fromkeys(channels, GroupAssignment(AssignmentStatus.TAKEN_OUT))
            return dict.fromkeys(channels, self._failed(error))

    async def follow_membership(self, assignments: dict[Pair, GroupAssignment]) -> dict[Pair, GroupAssignment]:
        """Read membership after assignments, and repeat in the other direction those that it contradicts.

        The pairs are those of one user or of one channel.

        Another process may have changed membership between our change of it and our assignment, and its assignment may
        have come before ours. Each process that reads membership after its own last assignment leaves the group as
        membership is. What cannot be read, or keeps changing, is UNCERTAIN.
        """
        settled = dict(assignments)
        doubtful = [pair for pair, assignment in assignments.items() if assignment.done]
        for _ in range(CHECKS):
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
        reason = f"the subscription changed {CHECKS} times meanwhile; {SYNC}"
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
        """Return the pairs whose user is in the channel; a channel that is gone has no members.

        Reads the list of one user's channels, 200 a call, or the roles of one channel's users, 500 a call.
        """
        by_channel: dict[ChannelId, list[UserId]] = {}
        for user, channel in pairs:
            by_channel.setdefault(channel, []).append(user)
        if len(by_channel) > 1:
            (user,) = {user for user, _ in pairs}
            return await self._joined_by(user)
        inside: set[Pair] = set()
        for channel, users in by_channel.items():
            for part in parts_of(users, limits.ROLES_PER_CALL):
                try:
                    roles = await roles_in(self._gateway, channel, part)
                except NotFoundError:
                    return set()
                inside |= {(user, channel) for user, role in roles.items() if role != members.NOT_MEMBER}
        return inside

    async def _joined_by(self, user: UserId) -> set[Pair]:
        async def pairs_of(page: list[groups.JoinedRow]) -> set[Pair]:
            return {(user, ChannelId(item.group_id)) for item in page}

        def ask(start: int, size: int) -> groups.GetJoinedGroupListRequest:
            return followed_request(user, start, size)

        inside: set[Pair] = set()
        async with aclosing(self._pages.each(ask, pairs_of)) as pages:
            async for page in pages:
                inside |= page
        return inside

    def forget(self, user: UserId) -> None:
        """The person's group may be gone: read before the next assignment."""
        self._known.pop(user, None)

    async def _put(self, user: UserId, wanted: Sequence[Conversation]) -> Failures:
        exists, missing = bool(self._known.get(user)), wanted
        if not exists:
            filed = await self.folders.first_page(user)
            exists = filed.has(self.name)
            inside = set(filed.of(self.name))
            missing = [each for each in wanted if each not in inside]
        failures = await self.folders.put(user, self.name, missing, exists=exists)
        if len(failures) < len(wanted):
            self._known[user] = True
        return failures

    def _outcomes(
        self, conversations: Sequence[Conversation], failures: Failures, status: AssignmentStatus
    ) -> dict[ChannelId, GroupAssignment]:
        self._unanswered = 0
        return {
            ChannelId(each.id): _refused(*failures[each]) if each in failures else GroupAssignment(status)
            for each in conversations
        }

    def _failed(self, error: ChannelAdapterError) -> GroupAssignment:
        """The outcome for an error; a low edition, and silence, are remembered for a while."""
        if error.code == codes.CONTACT_EDITION_TOO_LOW:
            self._close(
                GroupAssignment(AssignmentStatus.UNSUPPORTED, "the app's edition has no conversation groups"),
                EDITION_SECONDS,
            )
            return GroupAssignment(AssignmentStatus.UNSUPPORTED, "the app's edition has no conversation groups")
        failed = GroupAssignment(
            AssignmentStatus.FAILED, f"{error.message}; {ONCE_MORE}", transient=isinstance(error, TRANSIENT)
        )
        if isinstance(error, TRANSIENT):
            self._unanswered += 1
            if self._unanswered >= IN_A_ROW:
                self._close(failed, PAUSE_SECONDS)
        return failed

    def _close(self, reason: GroupAssignment, seconds: float) -> None:
        self._closed, self._opens_at = reason, self._clock.monotonic() + seconds

    def _is_closed(self) -> GroupAssignment | None:
        return self._closed if self._closed and self._clock.monotonic() < self._opens_at else None


class BulkAssignment:
    """The assignment of one bulk call, which is left out once it has been `most` people's; None: never."""

    def __init__(self, assigner: ConversationGroupAssigner, most: int | None) -> None:
        self._assigner = assigner
        self._most = most
        self._people = 0

    def counted(self, users: Iterable[str]) -> Iterator[str]:
        """The same people. Looks ahead far enough to know, before one of them is assigned, that they are too many."""
        most = self._most or 0
        people = iter(users)
        ahead: list[str] = []
        try:
            for user in islice(people, most + 1):
                ahead.append(user)  # noqa: PERF402 - whom a source gave before it failed are not lost
        except BaseException:
            yield from ahead
            raise
        if len(ahead) > most:
            self._most = 0
        yield from ahead
        yield from people

    def assigning(self, work: Work, channel: ChannelId) -> Work:
        """`work`, and whoever is subscribed after it has the channel in their group."""
        return self._beside(work, channel, self._assigner.assign)

    def unassigning(self, work: Work, channel: ChannelId) -> Work:
        """`work`, and whoever is not subscribed after it has the channel out of their group."""
        return self._beside(work, channel, self._assigner.unassign)

    def _beside(self, work: Work, channel: ChannelId, act: Act) -> Work:
        async def both(users: list[UserId], found: Found) -> None:
            not_tried = GroupAssignment(AssignmentStatus.FAILED, ONCE_MORE)
            try:
                await work(users, found)
            except ChannelAdapterError:
                found |= {user: replace(each, assignment=not_tried) for user, each in found.items() if each.done}
                raise
            done = [user for user, outcome in found.items() if outcome.done]
            assignments = await asyncio.gather(*(self._one(user, channel, act) for user in done))
            made = {(user, channel): assignment for user, assignment in zip(done, assignments, strict=True)}
            settled = await self._assigner.follow_membership(made)
            found |= {user: replace(found[user], assignment=settled[user, channel]) for user in done}

        return both

    async def _one(self, user: UserId, channel: ChannelId, act: Act) -> GroupAssignment:
        self._people += 1
        if self._most is not None and self._people > self._most:
            return LEFT_OUT
        async with self._assigner.turns:
            return (await act(user, [channel]))[channel]


UNSUPPORTED = GroupAssignment(AssignmentStatus.UNSUPPORTED, "the app's edition has no conversation groups")
LEFT_OUT = GroupAssignment(AssignmentStatus.LEFT_OUT, LATER)


def _refused(code: int, text: str) -> GroupAssignment:
    """What a refusal of one conversation comes to."""
    if code in FULL:
        return GroupAssignment(AssignmentStatus.FULL, "the person's conversation groups are full")
    if code == codes.CONVERSATION_UNRESOLVED:
        return GroupAssignment(
            AssignmentStatus.NOT_SUBSCRIBED, "the user is not subscribed to the channel, or the channel is gone"
        )
    return GroupAssignment(AssignmentStatus.FAILED, f"{text or 'refused'} ({code})")
