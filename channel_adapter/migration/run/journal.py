"""The journal of a migration: many small notes in few transactions, and pages of history that wait to be moved.

Notes wait 30 ms and are then written together, for all channels; `flush` waits until all are written. What was done
and not yet noted when the process is killed is recognised by the next process.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, UnavailableError
from channel_adapter.migration.sources.accounts import AccountPages, HistoryPage, PagePosition
from channel_adapter.store.database import Database
from channel_adapter.store.migration import ChannelRow, MigrationStore, PageRow, QuarantineRow, ReleasedRow, Row
from channel_adapter.tencent.wire.official_accounts import OfficialHistoryMessage

FLUSH_SECONDS: Final = 0.03
_LOCK_SECONDS: Final = 15.0  # no caller waits for an answer, so a busy disk may take longer
_MAX_WAITING: Final = 20_000
_log = get_logger("channel_adapter.migration")

UNRECORDED_CALLS: Final = 32
"""Calls with subscribers that may be in progress or unrecorded: the most that a kill costs."""


class Journal:
    """The journal of one process. Use `open_journal`."""

    def __init__(self, store: MigrationStore) -> None:
        self.store = store
        self._waiting: dict[tuple[object, ...], Row] = {}
        self._writing = asyncio.Lock()
        self._slots = asyncio.Semaphore(UNRECORDED_CALLS)
        self._unwritten = 0  # calls that were made and noted
        self._writer: asyncio.Task[None] | None = None
        self.failure: ChannelAdapterError | None = None
        """Why the latest notes are not written; None when they are, or will be."""

    def start(self) -> None:
        """Start writing notes in the background."""
        self._writer = asyncio.ensure_future(
            repeat(self.flush, FLUSH_SECONDS, SystemClock(), self._record_failure, first=FLUSH_SECONDS)
        )

    async def close(self) -> None:
        """Write what is left and stop. Raises UnavailableError when it cannot be written."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self.flush()

    async def note(self, rows: Iterable[Row]) -> None:
        """Write rows within 30 ms. Raises the error of an earlier attempt: no work continues without its journal."""
        self._raise_failure()
        for row in rows:
            # A channel's row changes on; the latest state is what is to be written.
            self._waiting[_row_key(row)] = row
        if len(self._waiting) > _MAX_WAITING:
            await self.flush()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for the length of a call and until its notes are written; wait while there are too many others.

        However slow the disk is, only so much is repeated after a kill. Raises the error of an earlier attempt.
        """
        await self._slots.acquire()
        try:
            self._raise_failure()
            yield
        except BaseException:
            self._slots.release()
            raise
        self._unwritten += 1

    async def flush(self) -> None:
        """Write everything that was noted so far. Raises UnavailableError."""
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            calls, self._unwritten = self._unwritten, 0
            try:
                if waiting:
                    await self.store.write(waiting.values())
                    self.failure = None
            except BaseException:
                self._waiting = waiting | self._waiting
                raise
            finally:  # a waiting caller gets the failure
                for _ in range(calls):
                    self._slots.release()

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _record_failure(self, error: Exception) -> None:
        """Keep why notes are not written: work that waits for its notes gets it."""
        if isinstance(error, ChannelAdapterError):
            self.failure = error
            return
        if self.failure is None:
            _log.exception("migration.journal_not_written")
        self.failure = UnavailableError(f"the journal cannot be written: {type(error).__name__}")


def _row_key(row: Row) -> tuple[object, ...]:
    if isinstance(row, ChannelRow):
        return ("channel", *row.key)
    if isinstance(row, QuarantineRow | ReleasedRow):  # the later one of a record is what is to be written
        return ("quarantine", row.migration, row.source, row.what, row.key)
    named = (getattr(row, name, "") for name in ("migration", "source", "channel", "what", "key", "user_id", "number"))
    return (type(row), *named)


@asynccontextmanager
async def open_journal(url: str) -> AsyncIterator[Journal]:
    """Open the journal in a database for the length of a block. Raises ConfigurationError and UnavailableError."""
    database = Database.shared(url).waiting(_LOCK_SECONDS)
    try:
        journal = Journal(MigrationStore(database))
        await journal.store.prepare()
        journal.start()
        try:
            yield journal
        finally:
            await journal.close()
    finally:
        await database.close()


def require_same_app(app: int, found: int) -> None:
    """Raise ConfigurationError for a job of another app."""
    if app != found:
        raise ConfigurationError(
            f"the database holds a migration of app {found}, and this is app {app}", field="database_url"
        )


FRESH_SECONDS: Final = 3_600.0
"""Age at which pages are read again: too much may have been recalled since."""
NEWEST_SECONDS: Final = 60.0
"""Age at which the newest page is read again: more may have been posted since."""


@dataclass(frozen=True, slots=True)
class JournalPageCache:
    """Pages of all accounts of a migration, in the journal."""

    journal: Journal
    migration: str
    clock: Clock

    def account(self, account: str) -> AccountPages:
        """Return the pages of one account."""
        return _JournalPages(self, account)


class _JournalPages:
    def __init__(self, pages: JournalPageCache, account: str) -> None:
        self._journal = pages.journal
        self._clock = pages.clock
        self._whose = (pages.migration, account)
        self._newest = 0.0  # when the newest page was read

    async def saved_pages(self) -> list[PagePosition]:
        """Return the pages that an earlier process has saved; none when they are too old."""
        found = await self._journal.store.pages(*self._whose)
        oldest = min((row.read for row in found), default=0.0)
        if found and self._clock.now() - oldest > FRESH_SECONDS:
            await self._journal.store.drop_pages(*self._whose)
            return []
        self._newest = oldest
        return [PagePosition(row.asked or None, row.below or None, row.lowest) for row in found]

    async def save(self, number: int, page: HistoryPage) -> None:
        """Save a page before the next one is read."""
        position, now = page.position, self._clock.now()
        self._newest = now if number == 0 else self._newest
        text = orjson.dumps([message.model_dump(mode="json", by_alias=True) for message in page.messages]).decode()
        row = PageRow(*self._whose, number, position.asked or "", position.below or "", position.lowest, now, text)
        await self._journal.note([row])
        await self._journal.flush()

    async def load(self, number: int) -> Sequence[OfficialHistoryMessage] | None:
        """Return the messages of a page; None when it has to be read again."""
        if number == 0 and self._clock.now() - self._newest > NEWEST_SECONDS:
            return None
        text = await self._journal.store.page(*self._whose, number)
        if text is None:
            return None
        return [OfficialHistoryMessage.model_validate(message) for message in orjson.loads(text)]
