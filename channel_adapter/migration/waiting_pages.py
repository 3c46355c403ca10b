"""Pages of history that wait in the journal: who goes on after a kill goes on from there, and reads nothing twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from channel_adapter.concurrency.clock import Clock
from channel_adapter.migration.journal import Journal
from channel_adapter.migration.sources.history import Page, Place, Waiting
from channel_adapter.store.migration import PageRow
from channel_adapter.tencent.wire.official_accounts import OfficialHistoryMessage

FRESH_SECONDS: Final = 3_600.0
"""Pages that were read before that are read again: too much may have been recalled since."""
NEWEST_SECONDS: Final = 60.0
"""The newest page is read again when it is older: more may have been posted since."""


@dataclass(frozen=True, slots=True)
class JournalPages:
    """Pages of all accounts of a migration."""

    journal: Journal
    migration: str
    clock: Clock

    def of(self, account: str) -> Waiting:
        """Those of one account."""
        return _Pages(self, account)


class _Pages:
    def __init__(self, pages: JournalPages, account: str) -> None:
        self._journal = pages.journal
        self._clock = pages.clock
        self._whose = (pages.migration, account)
        self._newest = 0.0  # when the newest page was read

    async def trail(self) -> list[Place]:
        """What an earlier process has left; nothing when it is too old."""
        found = await self._journal.store.pages(*self._whose)
        oldest = min((row.read for row in found), default=0.0)
        if found and self._clock.now() - oldest > FRESH_SECONDS:
            await self._journal.store.drop_pages(*self._whose)
            return []
        self._newest = oldest
        return [Place(row.asked or None, row.below or None, row.lowest) for row in found]

    async def keep(self, number: int, page: Page) -> None:
        """One more page, written down before the next one is read."""
        place, now = page.place, self._clock.now()
        self._newest = now if number == 0 else self._newest
        text = orjson.dumps([message.model_dump(mode="json", by_alias=True) for message in page.messages]).decode()
        row = PageRow(*self._whose, number, place.asked or "", place.below or "", place.lowest, now, text)
        await self._journal.note([row])
        await self._journal.flush()

    async def take(self, number: int) -> Sequence[OfficialHistoryMessage] | None:
        """The messages of a page; it waits on, until the posts of the channel are done."""
        if number == 0 and self._clock.now() - self._newest > NEWEST_SECONDS:
            return None
        text = await self._journal.store.page(*self._whose, number)
        if text is None:
            return None
        return [OfficialHistoryMessage.model_validate(message) for message in orjson.loads(text)]
