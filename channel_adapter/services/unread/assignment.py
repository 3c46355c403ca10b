"""Filing channels in a person's conversation group beside a subscription, which it never holds up."""

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
from channel_adapter.domain.assignment import Filing, FilingKind
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, NotFoundError
from channel_adapter.mapping.unread_groups import FULL, Conversation, followed_request
from channel_adapter.services.bulk import TRANSIENT, Found, Users, Work
from channel_adapter.services.conversation_groups import ConversationGroups, Failures, parts_of
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import groups, members

Act = Callable[[UserId, Sequence[ChannelId]], Awaitable[dict[ChannelId, Filing]]]
Pair = tuple[UserId, ChannelId]

REMEMBERED = 20_000
"""People whose group is known to exist; each is a few hundred bytes."""

IN_A_ROW = 5
"""Filings without an answer after which the next ones are not tried for a while."""
PAUSE_SECONDS = 10.0
EDITION_SECONDS = 300.0
"""For so long a refusal because of the edition is believed."""

CHECKS = 3
"""Reads of membership after an assignment, while other processes go on changing it."""

LATER = "too many people in one call to file each; file=True does, and so does unread.sync_many later"
ONCE_MORE = "asking again finishes it, and so does unread.sync"
SYNC = "unread.sync repairs it"


class FilingDesk:
    """Knows the group's name and for whom it exists. Every failure of filing is an outcome."""

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
        self._closed: Filing | None = None
        self._opens_at = 0.0

    def is_on(self, wanted: bool | None) -> bool:
        """Is anything filed? `wanted` is the caller's word, None the settings'."""
        return self._on if wanted is None else wanted

    def shift(self, users: Users, wanted: bool | None) -> "tuple[Users, Shift | None]":
        """The people of one bulk call, to be taken from here on, and how they are filed; None: not at all."""
        if not self.is_on(wanted):
            return users, None
        if wanted:
            return users, Shift(self, None)
        if isinstance(users, Collection):
            return users, Shift(self, 0 if len(users) > self._most_people else self._most_people)
        shift = Shift(self, self._most_people)
        return (shift.counted(users) if isinstance(users, Iterable) else users), shift

    async def file(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, Filing]:
        """Put channels into the person's group, up to 100 a call; reads first only where the group is not known."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        wanted = [Conversation(channel) for channel in dict.fromkeys(channels)]
        try:
            return self._outcomes(wanted, await self._put(user, wanted), FilingKind.FILED)
        except ChannelAdapterError as error:
            return dict.fromkeys(channels, self._failed(error))

    async def unfile(self, user: UserId, channels: Sequence[ChannelId]) -> dict[ChannelId, Filing]:
        """Take channels out of the person's group; what is not in it, or has no group to be in, is out."""
        if closed := self._is_closed():
            return dict.fromkeys(channels, closed)
        unwanted = [Conversation(channel) for channel in dict.fromkeys(channels)]
        try:
            failures = await self.folders.take(user, self.name, unwanted)
            return self._outcomes(unwanted, failures, FilingKind.TAKEN_OUT)
        except ChannelAdapterError as error:
            if error.code == codes.CONTACT_NO_SUCH_ACCOUNT:  # nobody has no groups
                return dict.fromkeys(channels, Filing(FilingKind.TAKEN_OUT))
            return dict.fromkeys(channels, self._failed(error))

    async def follow_membership(self, filings: dict[Pair, Filing]) -> dict[Pair, Filing]:
        """Read membership after assignments, and repeat in the other direction those that it contradicts.

        The pairs are those of one user or of one channel.

        Another process may have changed membership between our change of it and our assignment, and its assignment may
        have come before ours. Each process that reads membership after its own last assignment leaves the group as
        membership is. What cannot be read, or keeps changing, is UNCERTAIN.
        """
        settled = dict(filings)
        doubtful = [pair for pair, filing in filings.items() if filing.done]
        for _ in range(CHECKS):
            if not doubtful:
                return settled
            try:
                inside = await self._members_among(doubtful)
            except ChannelAdapterError as error:
                reason = f"{error.message}; membership could not be read again; {SYNC}"
                return settled | dict.fromkeys(doubtful, Filing(FilingKind.UNCERTAIN, reason, passing=True))
            wrong = [pair for pair in doubtful if (pair in inside) is not (settled[pair].kind is FilingKind.FILED)]
            opposite = {pair: await self._opposite(pair, subscribed=pair in inside) for pair in wrong}
            settled |= opposite
            doubtful = [pair for pair, filing in opposite.items() if filing.done]
        reason = f"the subscription changed {CHECKS} times meanwhile; {SYNC}"
        return settled | dict.fromkeys(doubtful, Filing(FilingKind.UNCERTAIN, reason, passing=True))

    async def _opposite(self, pair: Pair, *, subscribed: bool) -> Filing:
        """Assign as membership is now, against what the caller asked for."""
        user, channel = pair
        async with self.turns:
            filing = (await (self.file if subscribed else self.unfile)(user, [channel]))[channel]
        if filing.kind is FilingKind.NOT_SUBSCRIBED:  # ended again, and the channel is out
            return Filing(FilingKind.TAKEN_OUT)
        if not filing.done:
            return filing
        return replace(filing, reason="subscribed again meanwhile" if subscribed else "unsubscribed meanwhile")

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
        """The person's group may be gone: read before the next filing."""
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
        self, conversations: Sequence[Conversation], failures: Failures, kind: FilingKind
    ) -> dict[ChannelId, Filing]:
        self._unanswered = 0
        return {
            ChannelId(each.id): _refused(*failures[each]) if each in failures else Filing(kind)
            for each in conversations
        }

    def _failed(self, error: ChannelAdapterError) -> Filing:
        """The outcome for an error; a low edition, and silence, are remembered for a while."""
        if error.code == codes.CONTACT_EDITION_TOO_LOW:
            self._close(Filing(FilingKind.UNSUPPORTED, "the app's edition has no conversation groups"), EDITION_SECONDS)
            return Filing(FilingKind.UNSUPPORTED, "the app's edition has no conversation groups")
        failed = Filing(FilingKind.FAILED, f"{error.message}; {ONCE_MORE}", passing=isinstance(error, TRANSIENT))
        if isinstance(error, TRANSIENT):
            self._unanswered += 1
            if self._unanswered >= IN_A_ROW:
                self._close(failed, PAUSE_SECONDS)
        return failed

    def _close(self, reason: Filing, seconds: float) -> None:
        self._closed, self._opens_at = reason, self._clock.monotonic() + seconds

    def _is_closed(self) -> Filing | None:
        return self._closed if self._closed and self._clock.monotonic() < self._opens_at else None


class Shift:
    """The filing of one bulk call, which is left out once it has been `most` people's; None: never."""

    def __init__(self, desk: FilingDesk, most: int | None) -> None:
        self._desk = desk
        self._most = most
        self._people = 0

    def counted(self, users: Iterable[str]) -> Iterator[str]:
        """The same people. Looks ahead far enough to know, before one of them is filed, that they are too many."""
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

    def filing(self, work: Work, channel: ChannelId) -> Work:
        """`work`, and whoever is subscribed after it has the channel in their group."""
        return self._beside(work, channel, self._desk.file)

    def unfiling(self, work: Work, channel: ChannelId) -> Work:
        """`work`, and whoever is not subscribed after it has the channel out of their group."""
        return self._beside(work, channel, self._desk.unfile)

    def _beside(self, work: Work, channel: ChannelId, act: Act) -> Work:
        async def both(users: list[UserId], found: Found) -> None:
            not_tried = Filing(FilingKind.FAILED, ONCE_MORE)
            try:
                await work(users, found)
            except ChannelAdapterError:
                found |= {user: replace(each, filing=not_tried) for user, each in found.items() if each.done}
                raise
            done = [user for user, outcome in found.items() if outcome.done]
            filings = await asyncio.gather(*(self._one(user, channel, act) for user in done))
            made = {(user, channel): filing for user, filing in zip(done, filings, strict=True)}
            settled = await self._desk.follow_membership(made)
            found |= {user: replace(found[user], filing=settled[user, channel]) for user in done}

        return both

    async def _one(self, user: UserId, channel: ChannelId, act: Act) -> Filing:
        self._people += 1
        if self._most is not None and self._people > self._most:
            return LEFT_OUT
        async with self._desk.turns:
            return (await act(user, [channel]))[channel]


LEFT_OUT = Filing(FilingKind.LEFT_OUT, LATER)


def _refused(code: int, text: str) -> Filing:
    """What a refusal of one conversation comes to."""
    if code in FULL:
        return Filing(FilingKind.FULL, "the person's conversation groups are full")
    if code == codes.CONVERSATION_UNRESOLVED:
        return Filing(FilingKind.NOT_SUBSCRIBED, "the user is not subscribed to the channel, or the channel is gone")
    return Filing(FilingKind.FAILED, f"{text or 'refused'} ({code})")
