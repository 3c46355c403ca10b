"""Transactions that are cut off in the middle leave nothing behind: no row, and above all no lock."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, func, insert, select

from channel_adapter.store.engine import Area, Database

TIDES = Table("tides", MetaData(), Column("height", Integer))
LOCK_SECONDS = 3.0


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """Two of one file, as two processes have them."""
    url = f"sqlite:///{tmp_path / 'tides.db'}"
    both = Database(url, lock_seconds=LOCK_SECONDS), Database(url, lock_seconds=LOCK_SECONDS)
    await both[0].prepare(Area("tides", 1, TIDES.metadata))
    yield both
    for each in both:
        await each.close()


async def rise(database: Database, *heights: int) -> None:
    async with database.writing() as connection:
        for height in heights:
            await connection.execute(insert(TIDES).values(height=height))
            await connection.execute(select(TIDES))


async def count(database: Database) -> int:
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(TIDES)) or 0


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT", "SELECT", "COMMIT"])
@pytest.mark.parametrize("times", [1, 2])
async def test_the_lock_goes_with_whoever_is_cancelled(
    databases: tuple[Database, Database], statement: str, times: int
) -> None:
    ours, theirs = databases
    await rise(ours, 1)
    under_way = asyncio.Event()

    def begins(said: str) -> None:
        if said.startswith(statement):
            under_way.set()

    engine = ours._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *given: begins(given[2]))
    event.listen(engine, "commit", lambda _: begins("COMMIT"))
    kept: list[BaseException] = []  # an error that somebody holds holds the frames, and they the statement
    writer = asyncio.ensure_future(rise(ours, *range(100)))
    await under_way.wait()
    for _ in range(times):
        writer.cancel()
        await asyncio.sleep(0)
    try:
        await writer
    except asyncio.CancelledError as cancelled:
        kept.append(cancelled)
    assert writer.cancelled()
    assert len(kept) == 1
    before = await count(theirs)
    assert before in ((1, 101) if statement == "COMMIT" else (1,))
    await rise(theirs, 2)
    await rise(ours, 3)
    assert await count(ours) == before + 2


async def test_no_connection_is_left_by_whoever_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[aiosqlite.Connection] = []  # held here, none is closed by being forgotten
    connect = aiosqlite.connect

    def noted(*where: Any, **how: Any) -> aiosqlite.Connection:
        opened.append(connect(*where, **how))
        return opened[-1]

    monkeypatch.setattr(aiosqlite, "connect", noted)
    for moment in range(40):
        database = Database(f"sqlite:///{tmp_path / 'tides.db'}", lock_seconds=LOCK_SECONDS)
        preparing = asyncio.ensure_future(database.prepare(Area("tides", 1, TIDES.metadata)))
        await asyncio.sleep(moment * 0.0005)
        preparing.cancel()
        await asyncio.wait([preparing])
        await database.close()
    for connection in opened:
        await asyncio.to_thread(connection._thread.join, 5)
    assert len(opened) > 20
    assert [connection for connection in opened if connection._thread.is_alive()] == []
