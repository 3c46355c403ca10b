"""Calls about many people: one outcome each, as a stream in bounded memory or collected."""

from collections import Counter, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.ids import user_id
from channel_adapter.tencent.batching import batches, concurrently

TRANSIENT = (OutcomeUnknownError, ThrottledError, UnavailableError)
"""Errors after which the rest of a bulk call may still succeed."""

Users = Iterable[str] | AsyncIterable[str]
"""People of a bulk call: a collection, which is checked whole before anything is sent, or a stream of any length."""


SomeUsers = TypeVar("SomeUsers", bound=Users)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a bulk call."""

    outcomes: tuple[Outcome, ...]

    @property
    def counts(self) -> Counter[OutcomeKind]:
        """How many people came to which outcome."""
        return Counter(outcome.kind for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """What was asked for holds for everybody now."""
        return all(outcome.done for outcome in self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)


class Bulk:
    """A bulk call that has not begun. `await` it for all outcomes, or `async for` over it to keep none.

    Outcomes come as the service answers, not in the order of the people. Leaving the loop stops the call; what was
    sent before stays done.
    """

    def __init__(self, start: Callable[[], AsyncIterator[Outcome]]) -> None:
        self._start = start

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self._start()

    def __await__(self) -> Generator[Any, None, Outcomes]:
        return self._collect().__await__()

    async def _collect(self) -> Outcomes:
        return Outcomes(tuple([outcome async for outcome in self]))


class Patience:
    """How many batches in a row may stay without an answer before a bulk call ends: the service is gone then."""

    def __init__(self, batches: int = 5) -> None:
        self._batches = batches
        self._unanswered = 0

    def answered(self) -> None:
        self._unanswered = 0

    def unanswered(self, users: Sequence[str], error: ChannelAdapterError) -> dict[str, Outcome]:
        """Outcomes of a batch that failed; raises `error` when it was one too many."""
        self._unanswered += 1
        if self._unanswered >= self._batches:
            raise error
        return {user: Outcome(user, OutcomeKind.FAILED, error.message) for user in users}


def one_by_one(users: SomeUsers) -> SomeUsers:
    """The same, unless it is a bare text, whose letters would be taken for people. Raises InvalidError."""
    if isinstance(users, (str, bytes)):
        raise InvalidError(f"users: {users!r} is one text; give a list of ids", field="users")
    return users


def checked(users: Users) -> Users:
    """Refuse a bare text, and check every id of a collection. Raises InvalidError before anything is sent."""
    one_by_one(users)
    if isinstance(users, Collection):
        for number, user in enumerate(users):
            try:
                user_id(user, "users")
            except InvalidError as wrong:
                message = f"users[{number}] is {user!r}: {wrong.message}"
                raise InvalidError(message, field="users", limit=wrong.limit, size=wrong.size) from None
    return users


async def in_batches(
    users: Users, size: int, work: Callable[[Sequence[UserId]], Awaitable[Iterable[Outcome]]], *, at_once: int
) -> AsyncGenerator[Outcome, None]:
    """Outcomes of `work` on batches of valid ids, several at once; what is no id comes out in between."""
    refused: deque[Outcome] = deque()
    people = batches(_valid(users, refused.append), size)
    async with aclosing(concurrently(people, work, limit=at_once)) as answers:
        async for outcomes in answers:
            for outcome in outcomes:
                yield outcome
            while refused:
                yield refused.popleft()
    for outcome in refused:
        yield outcome


async def _valid(users: Users, refuse: Callable[[Outcome], None]) -> AsyncIterator[UserId]:
    """Valid ids as they come; what is no id goes to `refuse` as an outcome of its own."""
    async for user in _stream(users):
        try:
            yield user_id(user, "users")
        except InvalidError as wrong:
            refuse(Outcome(str(user), OutcomeKind.INVALID, wrong.message))


async def _stream(users: Users) -> AsyncIterator[str]:
    if isinstance(users, AsyncIterable):
        async for user in users:
            yield user
    else:
        for user in users:
            yield user
