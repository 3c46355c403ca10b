"""Pages of history in the journal: a resumed read reads only unread pages, and yields every post once."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.migration.run.journal import FRESH_SECONDS, NEWEST_SECONDS, Journal, JournalPageCache, open_journal
from channel_adapter.migration.sources.accounts import AccountsSource, sequence_of
from channel_adapter.stub.world.message_log import StoredMessage, pack
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

POSTS = 107
PAGES_OF_POSTS = 6
TO_THE_END = PAGES_OF_POSTS + 1
"""Calls: the last one finds nothing more."""


class LaterClock(SystemClock):
    """System clock plus an adjustable offset."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Reading:
    """History that is read by successive processes, all with one journal."""

    def __init__(self, at: System, journal: Journal) -> None:
        self.at, self.journal = at, journal
        self.clock = LaterClock()
        self.log = at.server.world.state.official[worlds.BUSY].log

    def source(self) -> AccountsSource:
        pages = JournalPageCache(self.journal, "move", self.clock)
        official = self.at.adapter.migration.context.official
        return AccountsSource(official, (worlds.BUSY,), pages=pages)

    async def posts(self, most: int = 1_000, after: int = 0) -> tuple[list[int], int]:
        """Return the numbers of the posts that a process reads until it is killed, and its calls."""
        self.at.server.log.clear()
        found: list[int] = []
        async with aclosing(self.source().posts(worlds.BUSY, after=self._key(after))) as posts:  # type: ignore[type-var]
            async for post in posts:
                found.append(sequence_of(post.key))
                if len(found) == most:
                    break
        await self.journal.flush()
        return found, self.at.server.log.count("official_account_msg_get_simple")

    def publish(self, count: int) -> None:
        for _ in range(count):
            last = self.log.get(self.log.next_seq - 1)
            assert last is not None
            self.log.append(StoredMessage(self.log.next_seq, last.time + 1, 1, "", 2, pack([worlds.text("new")])))

    def _key(self, number: int) -> str:
        message = self.log.get(number)
        return f"{number}_1_{message.time}" if message else ""


@asynccontextmanager
async def reading(folder: Path, **behaviour: bool) -> AsyncIterator[Reading]:
    async with (
        system(Size(3, POSTS), ids=(worlds.BUSY,), stub={"behaviour": behaviour}) as at,
        open_journal(f"sqlite:///{folder / 'journal.db'}") as journal,
    ):
        yield Reading(at, journal)


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("moved", [1, 20, 55, 106])
async def test_interrupted_upward_read_continues_without_calls(tmp_path: Path, moved: int, inclusive: bool) -> None:
    async with reading(tmp_path, official_history_inclusive=inclusive) as r:
        first, calls = await r.posts(moved)
        assert first == list(range(1, moved + 1))
        assert calls == TO_THE_END
        rest, calls = await r.posts(after=moved)
        assert rest == list(range(moved + 1, POSTS + 1))
        assert calls == 0


@pytest.mark.parametrize("pages", [1, 3, 5])
async def test_interrupted_downward_read_skips_saved_pages(tmp_path: Path, pages: int) -> None:
    async with reading(tmp_path) as r:
        source = r.source()
        waiting = JournalPageCache(r.journal, "move", r.clock).account(worlds.BUSY)
        async with aclosing(source._pages_downwards(worlds.BUSY, 0)) as down:
            number = 0
            async for page in down:
                await waiting.save(number, page)
                number += 1
                if number == pages:
                    break
        await r.journal.flush()
        found, calls = await r.posts()
        assert found == list(range(1, POSTS + 1))
        assert calls == TO_THE_END - pages


async def test_posts_published_during_interruption_are_yielded_last(tmp_path: Path) -> None:
    async with reading(tmp_path) as r:
        await r.posts(30)
        r.publish(45)
        r.clock.ahead = NEWEST_SECONDS + 1
        rest, calls = await r.posts(after=30)
        assert rest == list(range(31, POSTS + 46))
        assert calls <= 4


async def test_outdated_pages_are_read_again(tmp_path: Path) -> None:
    async with reading(tmp_path) as r:
        await r.posts(30)
        r.clock.ahead = FRESH_SECONDS + 1
        rest, calls = await r.posts(after=30)
        assert rest == list(range(31, POSTS + 1))
        assert calls == 4


async def test_all_pages_are_read_again_without_journal(tmp_path: Path) -> None:
    async with reading(tmp_path) as r:
        await r.posts(30)
        await r.journal.store.drop_pages("move", worlds.BUSY)
        found, calls = await r.posts()
        assert found == list(range(1, POSTS + 1))
        assert calls == TO_THE_END
