"""Paged lists: an iterator over the items of all pages, which can be resumed at its cursor."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Page(Generic[T, C]):
    """Items of one page and the cursor of the next page; None after the last."""

    items: Sequence[T]
    next: C | None


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


async def read_pages(
    fetch: Callable[[C], Awaitable[Page[T, C]]], start: C, guard: CursorLoopGuard[C] | None = None
) -> AsyncGenerator[Sequence[T], None]:
    """Yield the items of one page after the other, from cursor `start` on.

    A page is fetched when it is needed. With `guard` a list that returns to a page is an error.
    """
    cursor: C | None = start
    while cursor is not None:
        page = await fetch(cursor)
        yield page.items
        cursor = page.next if guard is None or page.next is None else guard.advance(cursor, page.next)


class Pages(AsyncIterator[T], Generic[T, C]):
    """Iterate over the items of all pages from cursor `start` on. A page is fetched when its first item is needed.

    After a failed fetch, iteration can be continued: the page is fetched again. With `guard` a list that returns to a
    page is an error.
    """

    def __init__(
        self, fetch: Callable[[C], Awaitable[Page[T, C]]], start: C, guard: CursorLoopGuard[C] | None = None
    ) -> None:
        self._guard = guard
        self._fetch = fetch
        self._cursor: C | None = start
        self._page: Page[T, C] | None = None
        self._yielded = 0

    @property
    def cursor(self) -> C | None:
        """Where to resume: the current page while it has items left, else the next page; None at the end."""
        if self._page is not None and self._yielded == len(self._page.items):
            return self._page.next
        return self._cursor

    def __aiter__(self) -> "Pages[T, C]":
        return self

    async def __anext__(self) -> T:
        while self._page is None or self._yielded == len(self._page.items):
            await self._fetch_next()
        item = self._page.items[self._yielded]
        self._yielded += 1
        return item

    async def _fetch_next(self) -> None:
        """Fetch the page after the current one."""
        cursor = self.cursor
        if cursor is None:
            raise StopAsyncIteration
        page = await self._fetch(cursor)
        if self._guard is not None and page.next is not None:
            self._guard.advance(cursor, page.next)
        self._cursor, self._page, self._yielded = cursor, page, 0
