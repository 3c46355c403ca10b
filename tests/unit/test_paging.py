"""Pages: every item once, a cursor to resume from, no endless loop."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.concurrency.paging import CursorLoopGuard, Page, Pages, read_pages


class Book:
    """Pages of the given sizes; the cursor is the page number."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.asked: list[int] = []
        self.fail_at: int | None = None

    async def fetch(self, cursor: int) -> Page[tuple[int, int], int]:
        self.asked.append(cursor)
        if cursor == self.fail_at:
            self.fail_at = None
            raise ConnectionError("once")
        following = cursor + 1 if cursor + 1 < len(self.sizes) else None
        return Page([(cursor, line) for line in range(self.sizes[cursor])], following)

    def lines(self) -> list[tuple[int, int]]:
        return [(page, line) for page, size in enumerate(self.sizes) for line in range(size)]


books = st.lists(st.integers(0, 4), min_size=1, max_size=8)


@given(books)
def test_pages_yield_every_item_once_and_fetch_every_page_once(sizes: list[int]) -> None:
    async def read() -> None:
        book = Book(sizes)
        pages = Pages(book.fetch, 0)
        assert [line async for line in pages] == book.lines()
        assert book.asked == list(range(len(sizes)))
        assert pages.cursor is None
        assert [line async for line in pages] == []

    asyncio.run(read())


@given(books, st.integers(0, 32))
def test_resumed_reading_misses_no_item_and_repeats_one_page_at_most(sizes: list[int], stop_after: int) -> None:
    async def read() -> None:
        book = Book(sizes)
        pages = Pages(book.fetch, 0)
        before = [line async for _, line in _first(pages, stop_after)]
        cursor = pages.cursor
        after = [] if cursor is None else [line async for line in Pages(book.fetch, cursor)]
        assert sorted({*before, *after}) == book.lines()
        repeated = set(before) & set(after)
        assert len({page for page, _ in repeated}) <= 1
        if not before or before[-1][1] + 1 == sizes[before[-1][0]]:
            assert not repeated

    asyncio.run(read())


async def _first(pages: Pages[tuple[int, int], int], count: int):  # type: ignore[no-untyped-def]
    for number in range(count):
        try:
            yield number, await anext(pages)
        except StopAsyncIteration:
            return


async def test_page_is_fetched_when_its_first_item_is_needed() -> None:
    book = Book([2, 2])
    pages = Pages(book.fetch, 0)
    assert book.asked == []
    await anext(pages)
    await anext(pages)
    assert book.asked == [0]
    assert pages.cursor == 1
    await anext(pages)
    assert book.asked == [0, 1]


async def test_failed_fetch_can_be_repeated() -> None:
    book = Book([1, 1, 1])
    book.fail_at = 1
    pages = Pages(book.fetch, 0)
    assert await anext(pages) == (0, 0)
    with pytest.raises(ConnectionError):
        await anext(pages)
    assert pages.cursor == 1
    assert [line async for line in pages] == [(1, 0), (2, 0)]


async def test_read_pages_yields_pages_up_to_the_last_one() -> None:
    pages: dict[int, Page[int, int]] = {0: Page([1, 2], 2), 2: Page([], 5), 5: Page([3], None)}

    async def fetch(cursor: int) -> Page[int, int]:
        return pages[cursor]

    assert [list(items) async for items in read_pages(fetch, 0)] == [[1, 2], [], [3]]


async def test_list_that_returns_to_a_read_page_raises_error() -> None:
    pages = {0: Page([1], 1), 1: Page([2], 0)}

    async def fetch(cursor: int) -> Page[int, int]:
        return pages[cursor]

    reading = read_pages(fetch, 0, CursorLoopGuard("numbers", LookupError))
    assert [await anext(reading), await anext(reading)] == [[1], [2]]
    with pytest.raises(LookupError, match="the list came back to 0, which was read already"):
        await anext(reading)
    iterator = Pages(fetch, 0, CursorLoopGuard("numbers", LookupError))
    assert await anext(iterator) == 1
    with pytest.raises(LookupError, match="the list came back to 0"):
        await anext(iterator)
