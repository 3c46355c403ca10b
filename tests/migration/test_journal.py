"""The journal of a migration: what cannot be written is reported to all who wait for it."""

import asyncio

import pytest

from channel_adapter.errors import UnavailableError
from channel_adapter.migration.run.journal import UNRECORDED_CALLS, Journal, open_journal
from channel_adapter.store.migration import MOVED, UserRow

UNWRITABLE = "\ud800"


async def make_calls(journal: Journal) -> None:
    for _ in range(2 * UNRECORDED_CALLS):
        async with journal.slot():
            pass


async def use(database: str) -> None:
    row = UserRow("m", "news", UNWRITABLE, 1, MOVED, "all")
    async with open_journal(database) as journal, asyncio.timeout(30):
        await journal.note([row])
        with pytest.raises(UnavailableError, match="the journal cannot be written: UnicodeEncodeError"):
            await make_calls(journal)
        with pytest.raises(UnavailableError):
            await journal.note([row])


async def test_row_that_cannot_be_written_ends_the_waits_of_all_calls(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnicodeEncodeError):
        await use(database)
    assert caplog.text.count("migration.journal_not_written") == 1
