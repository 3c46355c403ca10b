"""Leases: one owner at a time, free after their end, renewed and released only by their owner."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from channel_adapter.store.database import Database
from channel_adapter.store.leases import LEASES, SCHEMA, Leases, live_workers

HERE = 1_000.0


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = (
        f"sqlite:///{tmp_path / 'leases.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )
    async with Database(url) as opened:
        await opened.prepare(SCHEMA)
        yield opened


async def test_lease_has_one_owner(database: Database) -> None:
    first, second = Leases(database, "first", seconds=60), Leases(database, "second", seconds=60)
    assert await database.write(first.acquire, ["a", "b"], HERE) == {"a", "b"}
    assert await database.write(second.acquire, ["a", "b", "c"], HERE) == {"c"}
    assert await database.write(first.acquire, ["a"], HERE) == {"a"}
    assert await database.write(second.renew, ["a", "c"], HERE) == {"c"}
    assert await database.write(second.held, ["a", "c"]) == {"c"}


async def test_expired_lease_can_be_acquired_by_another_owner(database: Database) -> None:
    first, second = Leases(database, "first", seconds=-1), Leases(database, "second", seconds=60)
    await database.write(first.acquire, ["a"], HERE)
    assert await database.write(second.acquire, ["a"], HERE) == {"a"}
    assert await database.write(first.renew, ["a"], HERE) == set()
    await database.write(first.release, ["a"])
    assert await database.write(second.held, ["a"]) == {"a"}


async def test_released_lease_can_be_acquired(database: Database) -> None:
    first, second = Leases(database, "first", seconds=60), Leases(database, "second", seconds=60)
    await database.write(first.acquire, ["a"], HERE)
    await database.write(first.release, ["a"])
    assert await database.write(second.acquire, ["a"], HERE) == {"a"}


async def test_delayed_lease_cannot_be_acquired_before_its_time(database: Database) -> None:
    first, second = Leases(database, "first", seconds=60), Leases(database, "second", seconds=60)
    await database.write(first.acquire, ["a"], HERE)
    await database.write(first.delay, {"a": 60.0}, HERE)
    assert await database.write(second.acquire, ["a"], HERE) == set()
    assert await database.write(first.acquire, ["a"], HERE) == set()


async def test_postgresql_compares_leases_with_server_clock(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        await database.prepare(SCHEMA)
        first, second = Leases(database, "first", seconds=60), Leases(database, "second", seconds=60)
        await database.write(first.acquire, ["a"], HERE)
        assert await database.write(second.acquire, ["a"], HERE + 1e12) == set()


async def test_lease_is_rolled_back_with_transaction_of_caller(database: Database) -> None:
    leases = Leases(database, "first", seconds=60)

    def acquire_and_fail(connection: Connection) -> None:
        leases.acquire(connection, ["a"], HERE)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(acquire_and_fail)
    assert await database.read(lambda connection: connection.scalars(select(LEASES.c.name)).all()) == []


async def test_lease_from_before_clock_was_set_back_has_ended(tmp_path: Path) -> None:
    first, second = "first", "second"
    async with Database(f"sqlite:///{tmp_path / 'leases.db'}") as database:
        await database.prepare(SCHEMA)
        before, after = (Leases(database, owner, seconds=60) for owner in (first, second))
        await database.write(before.acquire, ["a", "b"], HERE + 3_600)
        await database.write(before.delay, {"b": 60.0}, HERE + 3_600)
        assert await database.write(after.acquire, ["a"], HERE, trust_clock=True) == set()
        assert await database.write(after.acquire, ["a", "b"], HERE) == {"a", "b"}
        await database.write(before.acquire, ["worker:k:dead"], HERE + 3_600)
        await database.write(after.acquire, ["worker:k:living"], HERE)
        assert await database.read(live_workers, "k", database.now(HERE)) == 1
