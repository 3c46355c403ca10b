"""Calls about many people: one outcome each, as a stream in bounded memory or collected."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from channel_adapter.backends.caller import Caller
from channel_adapter.concurrency.batching import concurrently, stream
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind, Outcomes
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.ids import user_id
from channel_adapter.services.patience import Patience

TRANSIENT = (OutcomeUnknownError, ThrottledError, UnavailableError)
"""Errors after which the rest of a bulk call may still succeed."""

Users = Iterable[str] | AsyncIterable[str]
"""People of a bulk call: a collection, which is checked whole before anything is sent, or a stream of any length."""

SomeUsers = TypeVar("SomeUsers", bound=Users)

Found = dict[UserId, Outcome]
"""What came of the people of a batch, filled in as it becomes known."""

Work = Callable[[list[UserId], Found], Awaitable[None]]
"""Deals with one batch of different people. Whoever has no outcome at its end, or when it raises, has failed."""


UNNAMED = "the service's answer does not name this person"


@dataclass(frozen=True, slots=True)
class BulkTerms:
    """How bulk calls are made: so many batches at once, and so many seconds without an answer before one ends."""

    at_once: int
    seconds: float
    clock: Clock


class BatchSize:
    """People in a call: as the settings say, until the service shows that it takes fewer [1]."""

    def __init__(self, people: int) -> None:
        self.people = people

    def too_many(self, people: int) -> None:
        """A call with so many was refused."""
        self.people = max(1, min(self.people, people // 2))


class Bulk:
    """A bulk call that has not begun. `await` it for all outcomes, or `async for` over it to keep none.

    Outcomes come as the service answers, not in the order of the people. Leaving the loop stops the call; what was
    sent before stays done. A call that ends early first hands over everything it knows, then raises: the stream has
    brought the outcomes before, and the error of an awaited call holds them in `outcomes`.
    """

    def __init__(
        self,
        users: Users,
        size: BatchSize,
        begin: Callable[[Patience], Awaitable[Work]],
        calls: Caller,
        terms: BulkTerms,
    ) -> None:
        """`begin` gives the work on batches, whose calls go through the `Patience` it is handed.

        Raises InvalidError for a bare text and for a collection with a wrong id in it.
        """
        self._users = _checked(users)
        self._size = size
        self._begin = begin
        self._calls = calls
        self._terms = terms

    def __aiter__(self) -> AsyncGenerator[Outcome, None]:
        return self._outcomes()

    def __await__(self) -> Generator[Any, None, Outcomes]:
        return self._collect().__await__()

    async def _collect(self) -> Outcomes:
        outcomes = []
        try:
            async for outcome in self:
                outcomes.append(outcome)  # noqa: PERF401 - kept when the loop is broken off
        except ChannelAdapterError as error:
            error.outcomes = Outcomes(tuple(outcomes))
            raise
        return Outcomes(tuple(outcomes))

    async def _outcomes(self) -> AsyncGenerator[Outcome, None]:
        patience = Patience(self._calls, self._terms.clock, self._terms.seconds)
        work = await self._begin(patience)

        async def deal_with(piece: list[UserId] | Outcome) -> _Dealt:
            return _Dealt([piece]) if isinstance(piece, Outcome) else await _deal(piece, work, patience)

        end: ChannelAdapterError | None = None
        pieces = _pieces(self._users, self._size)
        async with aclosing(
            concurrently(pieces, deal_with, limit=self._terms.at_once, until=lambda dealt: dealt.end is not None)
        ) as answers:
            async for dealt in answers:
                end = end or dealt.end
                for outcome in dealt.outcomes:
                    yield outcome
        if end is not None:
            raise end


@dataclass(frozen=True, slots=True)
class _Dealt:
    """What came of one piece of the stream, and the error that ends the call, if there was one."""

    outcomes: Sequence[Outcome]
    end: ChannelAdapterError | None = None


async def _deal(batch: Sequence[UserId], work: Work, patience: Patience) -> _Dealt:
    """One outcome for every element of a batch, whatever becomes of the work on it."""
    people = list(dict.fromkeys(batch))
    found: Found = {}
    end: ChannelAdapterError | None = None
    reason = UNNAMED
    try:
        await work(people, found)
    except ChannelAdapterError as error:
        end, reason = None if isinstance(error, TRANSIENT) else error, error.message
    found |= everybody([user for user in people if user not in found], OutcomeKind.FAILED, reason)
    return _Dealt(_in_order(batch, found), end or patience.gone)


def everybody(users: Iterable[UserId], kind: OutcomeKind, reason: str = "") -> Found:
    """The same outcome for all of these people."""
    return {user: Outcome(user, kind, reason) for user in users}


def one_by_one(users: SomeUsers) -> SomeUsers:
    """The same, unless it is a bare text, whose letters would be taken for people, or no list. Raises InvalidError."""
    if isinstance(users, (str, bytes)):
        raise InvalidError(f"users: {users!r} is one text; give a list of ids", field="users")
    if not isinstance(users, Iterable | AsyncIterable):
        raise InvalidError(f"users: {users!r} is no list of ids", field="users")
    return users


def _checked(users: Users) -> Users:
    """Refuse a bare text, and check every id of a collection. Raises InvalidError before anything is sent."""
    one_by_one(users)
    if isinstance(users, Collection):
        for number, user in enumerate(users):
            try:
                user_id(user, f"users[{number}]")
            except InvalidError as wrong:
                raise InvalidError(wrong.message, field="users", limit=wrong.limit, size=wrong.size) from None
    return users


async def _pieces(users: Users, size: BatchSize) -> AsyncGenerator[list[UserId] | Outcome, None]:
    """Batches of valid ids; what is no id comes at once, as an outcome."""
    batch: list[UserId] = []
    async with aclosing(stream(users)) as people:
        async for user in people:
            try:
                batch.append(user_id(user, "users"))
            except InvalidError as wrong:
                yield Outcome(str(user), OutcomeKind.INVALID, wrong.message)
                continue
            if len(batch) >= size.people:
                yield batch
                batch = []
    if batch:
        yield batch


def _in_order(users: Sequence[UserId], found: Found) -> list[Outcome]:
    """An outcome for every mention: what was done for somebody at the first one holds already at the second."""
    seen: set[str] = set()
    ordered = []
    for user in users:
        outcome = found[user]
        repeated = user in seen and outcome.done
        ordered.append(Outcome(user, OutcomeKind.ALREADY, "named twice in this call") if repeated else outcome)
        seen.add(user)
    return ordered
