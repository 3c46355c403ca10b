"""Where pages of an account's history wait: they are read from the newest down and moved from the oldest up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from channel_adapter.tencent.wire import official_accounts as wire

PAGES_KEPT: Final = 32
"""Pages that wait in memory, so that coming up again costs no further calls for them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A page without its messages: the key it was asked with, the key of the next one below, its lowest number."""

    asked: str | None
    below: str | None
    lowest: int


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of one call, newest first. No `asked` is the newest page, no `below` the last one that is wanted."""

    place: Place
    messages: tuple[wire.OfficialHistoryMessage, ...]


class Waiting(Protocol):
    """Pages of one account, in the order in which they were read."""

    async def trail(self) -> list[Place]:
        """Pages that an earlier process has read and left, the newest first."""
        ...

    async def keep(self, number: int, page: Page) -> None:
        """One more page, the `number`th."""
        ...

    async def take(self, number: int) -> Sequence[wire.OfficialHistoryMessage] | None:
        """The messages of a page; None when they have to be read again, as the newest page must after a while."""
        ...


class WaitingPages(Protocol):
    """Pages of many accounts."""

    def of(self, account: str) -> Waiting:
        """Those of one."""
        ...


class InMemory:
    """Pages of one account while it is read once: the oldest ones only, the others are read again."""

    def __init__(self) -> None:
        self._pages: dict[int, Page] = {}

    async def trail(self) -> list[Place]:
        """Nothing outlives the process."""
        return []

    async def keep(self, number: int, page: Page) -> None:
        """One more."""
        self._pages[number] = page
        self._pages.pop(number - PAGES_KEPT, None)

    async def take(self, number: int) -> Sequence[wire.OfficialHistoryMessage] | None:
        """It waits no more then."""
        page = self._pages.pop(number, None)
        return page.messages if page else None


class AllInMemory:
    """For whoever reads a history in one go."""

    def of(self, account: str) -> Waiting:
        """A reading of its own."""
        return InMemory()
