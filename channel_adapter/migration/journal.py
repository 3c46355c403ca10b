"""What happened, written down in the database: many small notes in few transactions.

Notes wait a thirtieth of a second and are then written together, whatever channel they are about; `flush` waits
until all are there. What was done and not yet noted when the process is killed is recognised by the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.store.database import Database
from channel_adapter.store.migration import ChannelRow, MigrationStore, QuarantineRow, Row

EVERY_SECONDS: Final = 0.03
_LOCK_SECONDS: Final = 15.0  # nobody waits for an answer: rather late than stopped by a busy disk
_MOST_WAITING: Final = 20_000
CALLS_AHEAD: Final = 32
"""Calls with people that may be made, or under way, and not written down: a kill costs no more of them."""


class Journal:
    """Notes of one process. Use `open_journal`."""

    def __init__(self, store: MigrationStore) -> None:
        self.store = store
        self._waiting: dict[tuple[object, ...], Row] = {}
        self._writing = asyncio.Lock()
        self._ahead = asyncio.Semaphore(CALLS_AHEAD)
        self._unwritten = 0  # calls that are made and noted
        self._writer: asyncio.Task[None] | None = None
        self.failure: ChannelAdapterError | None = None
        """Why the latest notes are not written; None when they are, or will be."""

    def start(self) -> None:
        """Begin to write what is noted."""
        self._writer = asyncio.ensure_future(self._keep_writing())

    async def close(self) -> None:
        """Write what is left, and stop. Raises UnavailableError when it cannot be written."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self.flush()

    async def note(self, rows: Iterable[Row]) -> None:
        """Write these down soon. Raises the error of an earlier attempt: nothing goes on without its journal."""
        self._check()
        for row in rows:
            # A channel's row changes on; the latest state is what is to be written.
            self._waiting[_key(row)] = row
        if len(self._waiting) > _MOST_WAITING:
            await self.flush()

    @asynccontextmanager
    async def ahead(self) -> AsyncIterator[None]:
        """For the length of a call and until what was noted of it is written: waits while too many others are there.

        However slow the disk is, only so much is repeated after a kill. Raises the error of an earlier attempt.
        """
        await self._ahead.acquire()
        try:
            self._check()
            yield
        except BaseException:
            self._ahead.release()
            raise
        self._unwritten += 1

    async def flush(self) -> None:
        """Wait until everything noted so far is written. Raises UnavailableError."""
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
            finally:  # who waits after a failure is told of it
                for _ in range(calls):
                    self._ahead.release()

    async def forget(self, rows: list[QuarantineRow]) -> None:
        """Take these out of the quarantine."""
        await self.flush()
        await self.store.release(rows)

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except ChannelAdapterError as trouble:
                self.failure = trouble


def _key(row: Row) -> tuple[object, ...]:
    if isinstance(row, ChannelRow):
        return ("channel", *row.key)
    named = (getattr(row, name, "") for name in ("migration", "source", "channel", "what", "key", "person", "number"))
    return (type(row), *named)


@asynccontextmanager
async def open_journal(url: str) -> AsyncIterator[Journal]:
    """The journal in a database. Raises ConfigurationError and UnavailableError."""
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
    """Raises ConfigurationError for a job of another app."""
    if app != found:
        raise ConfigurationError(
            f"the database holds a migration of app {found}, and this is app {app}", field="database_url"
        )
