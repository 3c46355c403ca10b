"""One question about each of many people: answers in their order, several questions at once, in bounded memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from channel_adapter.domain.ids import UserId
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    RefusedError,
)
from channel_adapter.mapping.ids import user_id
from channel_adapter.services.bulk import TRANSIENT, Users, one_by_one
from channel_adapter.tencent.batching import concurrently, stream

IN_A_ROW = 5
"""People without an answer after whom the call ends: it is not about them then."""

OWN = (ConflictError, InvalidError, LimitReachedError, NotFoundError)
"""Errors that one person has and the next one has not."""

R = TypeVar("R")


class PerPerson(AsyncIterator[R], Generic[R]):
    """`work` for each of the people, from number `cursor` on; `problem` makes the answer for who cannot be asked about.

    `cursor` then says where to begin another time: everybody before it has their answer. That somebody is not known, or
    has no room, is an answer too; when five people in a row got none, the error is raised and the cursor stays in front
    of them. An error that is nobody's own, of key, settings or edition, is raised at once.
    """

    def __init__(
        self,
        users: Users,
        work: Callable[[UserId], Awaitable[R]],
        problem: Callable[[UserId, str], R],
        *,
        cursor: int,
        at_once: int,
    ) -> None:
        if isinstance(cursor, bool) or not isinstance(cursor, int) or cursor < 0:
            raise InvalidError(f"cursor: {cursor!r} is no number of people", field="cursor")
        self._work = work
        self._problem = problem
        self._given = cursor
        self._unanswered = 0
        self._answers = concurrently(_from(one_by_one(users), cursor), self._one, limit=at_once, ordered=True)

    @property
    def cursor(self) -> int:
        """How many people, from the beginning of the source, have their answer."""
        return self._given - self._unanswered

    async def __anext__(self) -> R:
        answer, error = await anext(self._answers)
        self._given += 1
        self._unanswered = self._unanswered + 1 if error is not None else 0
        if error is not None and self._unanswered >= IN_A_ROW:
            await self.aclose()
            raise error
        return answer

    async def aclose(self) -> None:
        """Stop the questions that are under way."""
        await self._answers.aclose()

    async def _one(self, user: str) -> tuple[R, ChannelAdapterError | None]:
        try:
            return await self._work(user_id(user, "users")), None
        except OWN as wrong:
            return self._problem(UserId(str(user)), wrong.message), None
        except (*TRANSIENT, RefusedError) as error:
            return self._problem(UserId(str(user)), error.message), error


async def _from(users: Users, start: int) -> AsyncGenerator[str, None]:
    """The people behind the first `start`."""
    place = 0
    async with aclosing(stream(users)) as source:
        async for user in source:
            if place >= start:
                yield user
            place += 1
