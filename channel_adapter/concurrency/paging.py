"""Lists that come in pages: an iterator over the items that can be stopped and taken up again at its cursor."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Page(Generic[T, C]):
    """Items of one call, and where the next call starts; None when this was the last."""

    items: Sequence[T]
    next: C | None


class Pages(AsyncIterator[T], Generic[T, C]):
    """Items of all pages from `start` on. A page is fetched when its first item is asked for.

    After a failed fetch the iterator can simply be asked again.
    """

    def __init__(self, fetch: Callable[[C], Awaitable[Page[T, C]]], start: C) -> None:
        self._fetch = fetch
        self._cursor: C | None = start
        self._page: Page[T, C] | None = None
        self._given = 0

    @property
    def cursor(self) -> C | None:
        """Where to start another time: the page at hand while it has items left, else the next one; None at the end."""
        if self._page is not None and self._given == len(self._page.items):
            return self._page.next
        return self._cursor

    def __aiter__(self) -> "Pages[T, C]":
        return self

    async def __anext__(self) -> T:
        while self._page is None or self._given == len(self._page.items):
            await self._turn()
        item = self._page.items[self._given]
        self._given += 1
        return item

    async def _turn(self) -> None:
        """Fetch the page after the one at hand."""
        cursor = self.cursor
        if cursor is None:
            raise StopAsyncIteration
        page = await self._fetch(cursor)
        self._cursor, self._page, self._given = cursor, page, 0


class CursorLoopGuard(Generic[C]):
    """Raise when a list returns to a page that was read before: reading on would never end, or would skip items.

    `error` makes the exception from its text; `name` names the list in it.
    """

    def __init__(self, name: str, error: Callable[[str], Exception]) -> None:
        self._name = name
        self._error = error
        self._read: set[C] = set()

    def advance(self, cursor: C, following: C) -> C:
        """Return `following` after the page at `cursor` was read. Raises `error` if that page was read before."""
        self._read.add(cursor)
        if following in self._read:
            raise self._error(
                f"{self._name}: the list came back to {following!r}, which was read already; it cannot be read to its"
                " end"
            )
        return following
