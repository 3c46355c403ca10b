"""Calls about many users: one outcome for each, as a stream in bounded memory or collected."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from channel_adapter.backends.protocols import attempt_status
from channel_adapter.concurrency.batching import concurrently, stream
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.outage import PAUSE, AttemptStatus, OutageGuard
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind, Outcomes
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping import text
from channel_adapter.mapping.ids import user_id

TRANSIENT = (OutcomeUnknownError, ThrottledError, UnavailableError)
"""Errors after which the rest of a bulk call may still succeed."""

Users = Iterable[str] | AsyncIterable[str]
"""Users of a bulk call: a collection, which is checked whole before anything is sent, or a stream of any length."""

SomeUsers = TypeVar("SomeUsers", bound=Users)

BatchHandler = Callable[[Sequence[UserId]], Awaitable[BatchResult]]
"""Does the work on different users."""

SecondPass = Callable[[Sequence[Outcome], bool], Awaitable[Sequence[Outcome]]]
"""Does what follows from the outcomes of a batch, and returns them with its results. True: the call ends early."""


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """How bulk calls are made: `concurrency` batches at a time; one ends after `stall_timeout` seconds of silence."""

    concurrency: int
    stall_timeout: float
    clock: Clock


@dataclass(frozen=True, slots=True)
class HandledBatch:
    """One outcome for every user of a batch, and the error that ends the call, if there was one."""

    outcomes: Sequence[Outcome]
    end: ChannelAdapterError | None = None


class BulkLoop:
    """The batches of one call. They share an outage guard, and end together once it is open.

    A batch that the service asks to send later is repeated with the users who were not tried, and no others. `lost` is
    the outcome of users in a batch that may have been carried out: its answer was lost.
    """

    def __init__(self, options: BulkOptions, *, lost: OutcomeKind = OutcomeKind.FAILED) -> None:
        self._options = options
        self._lost = lost
        self._guard = OutageGuard(ChannelAdapterError, attempt_status, options.clock, options.stall_timeout)

    async def outcomes(
        self,
        users: Users,
        size: Callable[[], int],
        handle: BatchHandler,
        *,
        then: SecondPass | None = None,
        prepare: Callable[[], Awaitable[object]] | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Yield the outcomes as the service answers, not in the order of the users; `size` returns users per batch.

        `prepare` runs before the first batch.

        A call that ends early first yields everything that is known, then raises. Closing the generator stops the call;
        what was sent before stays done.
        """
        if prepare is not None:
            await prepare()
        if isinstance(users, Collection) and len(users) <= size():
            batch = await self.run(list(map(UserId, users)), handle, then)
            for outcome in batch.outcomes:
                yield outcome
            if batch.end is not None:
                raise batch.end
            return

        async def work(piece: list[UserId] | Outcome) -> HandledBatch:
            return HandledBatch([piece]) if isinstance(piece, Outcome) else await self.run(piece, handle, then)

        end: ChannelAdapterError | None = None
        async with aclosing(
            concurrently(
                _split_valid_ids(users, size),
                work,
                limit=self._options.concurrency,
                until=lambda batch: batch.end is not None,
            )
        ) as batches:
            async for batch in batches:
                end = end or batch.end
                for outcome in batch.outcomes:
                    yield outcome
        if end is not None:
            raise end

    async def run(self, users: Sequence[UserId], handle: BatchHandler, then: SecondPass | None = None) -> HandledBatch:
        """Return one outcome for every element of a batch; a user named again is `already` if the first one is done."""
        outcomes, end = await self._run_until_ended(tuple(dict.fromkeys(users)), handle)
        if then is not None:
            try:
                for outcome in await then([*outcomes.values()], end is not None):
                    outcomes[outcome.user] = outcome
            except ChannelAdapterError as error:
                end = end or error
        if len(outcomes) == len(users):
            return HandledBatch(list(map(outcomes.__getitem__, users)), end)
        return HandledBatch(_with_repeats(users, outcomes), end)

    async def _run_until_ended(
        self, untried: tuple[UserId, ...], handle: BatchHandler
    ) -> tuple[dict[str, Outcome], ChannelAdapterError | None]:
        """Return an outcome for each of these different users, and the error that ends the call, if there was one."""
        outcomes: dict[str, Outcome] = {}
        error: ChannelAdapterError | None = None
        while untried:
            tried = untried
            try:
                result = await self._guard.run(partial(_handle_batch, handle, tried), _error_without_outcome)
            except ChannelAdapterError as raised:
                result = BatchResult(error=raised)
            untried, error = result.untried, result.error
            for outcome in result.outcomes:
                outcomes[outcome.user] = outcome
            if error is None or not isinstance(error, TRANSIENT):
                untried = ()
            kind = self._lost if isinstance(error, OutcomeUnknownError) else OutcomeKind.FAILED
            for user in tried:
                if user not in outcomes and user not in untried:
                    outcomes[user] = Outcome(user, kind, error.message if error else "no result")
            if untried and error is not None and attempt_status(error) is not AttemptStatus.UNANSWERED:
                await self._options.clock.sleep(PAUSE)
        return outcomes, self._guard.tripped if error is None or isinstance(error, TRANSIENT) else error


async def collect(outcomes: AsyncIterator[Outcome]) -> Outcomes:
    """Return all outcomes. An error of a call that ended early holds those that are known, in `outcomes`."""
    found: list[Outcome] = []
    try:
        async for outcome in outcomes:
            found.append(outcome)  # noqa: PERF401 - kept when the loop ends early
    except ChannelAdapterError as error:
        error.outcomes = Outcomes(tuple(found))
        raise
    return Outcomes(tuple(found))


def require_users(users: SomeUsers) -> SomeUsers:
    """Return `users` unless it is one string or no list; the ids of a collection are checked. Raises InvalidError."""
    if not isinstance(users, Collection) or isinstance(users, (str, bytes)):
        return require_list(users)
    for number, user in enumerate(users):
        try:
            user_id(user, f"users[{number}]")
        except InvalidError as wrong:
            raise InvalidError(wrong.message, field="users", limit=wrong.limit, size=wrong.size) from None
    return users


def require_list(users: SomeUsers) -> SomeUsers:
    """Return `users` unless it is one string, whose letters would be read as ids, or no list. Raises InvalidError."""
    if not isinstance(users, AsyncIterable):
        text.require_list(users, "users")
    return users


async def _handle_batch(handle: BatchHandler, users: Sequence[UserId], _: float | None) -> BatchResult:
    return await handle(users)


def _error_without_outcome(result: BatchResult) -> ChannelAdapterError | None:
    """Return the error of a result without an outcome: nothing is known to be done, so all of it may be repeated."""
    return None if result.outcomes else result.error


async def _split_valid_ids(users: Users, size: Callable[[], int]) -> AsyncGenerator[list[UserId] | Outcome, None]:
    """Yield batches of valid ids; what is no id is yielded immediately, as an outcome."""
    batch: list[UserId] = []
    async with aclosing(stream(users)) as source:
        async for user in source:
            try:
                batch.append(user_id(user, "users"))
            except InvalidError as wrong:
                yield Outcome(str(user), OutcomeKind.INVALID, wrong.message)
                continue
            if len(batch) >= size():
                yield batch
                batch = []
    if batch:
        yield batch


def _with_repeats(users: Sequence[UserId], outcomes: Mapping[str, Outcome]) -> list[Outcome]:
    """Return an outcome for every mention of a user."""
    mentions: list[Outcome] = []
    seen: set[str] = set()
    for user in users:
        outcome = outcomes[user]
        repeated = user in seen and outcome.done
        mentions.append(Outcome(user, OutcomeKind.ALREADY, "named twice in this call") if repeated else outcome)
        seen.add(user)
    return mentions
