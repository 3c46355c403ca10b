"""Transactions: all or nothing after cancellation, 2 s for locks, errors that report what was stored."""

import asyncio
import os
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, create_engine, func, insert, select, text, tuple_

from channel_adapter.durable.database import JobDatabase
from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    ConflictError,
    InvalidError,
    UnavailableError,
)
from channel_adapter.store.database import Database, ForeignText, Schema, use_write_ahead_log

NUMBERS = Table("numbers", MetaData(), Column("number", Integer, unique=True))
SCHEMA = Schema("numbers", 1, NUMBERS.metadata)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'numbers.db'}"
    made: str = request.getfixturevalue("postgres_url")
    return made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        await opened.prepare(SCHEMA)
        yield opened


def add(connection: Connection, *numbers: int) -> int:
    for number in numbers:
        connection.execute(insert(NUMBERS).values(number=number))
    return len(numbers)


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(NUMBERS)) or 0


def connection_parameters(connection: Connection) -> dict[str, str]:
    driver: Any = connection.connection.driver_connection
    found: dict[str, str] = driver.info.get_parameters()
    return found


async def test_write_returns_result_and_commits(database: Database, url: str) -> None:
    assert await database.write(add, 1, 2) == 2
    async with Database(url) as other:
        assert await other.read(count) == 2


async def test_error_of_function_rolls_back_and_is_raised(database: Database) -> None:
    def fail(connection: Connection) -> None:
        add(connection, 1)
        raise LookupError("no such number")

    with pytest.raises(LookupError, match="no such number"):
        await database.write(fail)
    assert await database.read(count) == 0


async def test_error_of_driver_contains_no_statement_and_no_value(database: Database) -> None:
    await database.write(add, 48151623)
    with pytest.raises(ConflictError, match="nothing was stored") as raised:
        await database.write(add, 42108, 48151623)
    for hidden in ("INSERT", "VALUES", "42108", "48151623"):
        assert hidden not in f"{raised.value} {raised.value!r}"
    assert await database.read(count) == 1


async def test_transaction_of_cancelled_caller_is_committed_completely(database: Database, url: str) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        add(connection, 1)
        running.set()
        assert go_on.wait(10)
        add(connection, 2)

    caller = asyncio.ensure_future(database.write(slow))
    assert await asyncio.to_thread(running.wait, 10)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    go_on.set()
    await database.write(add, 3)
    await database.close()  # waits for the transaction, which PostgreSQL runs concurrently
    async with Database(url) as other:
        assert await other.read(count) == 3


async def test_transaction_of_caller_cancelled_in_queue_does_not_start(tmp_path: Path) -> None:
    running, go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        running.set()
        assert go_on.wait(10)

    async with Database(f"sqlite:///{tmp_path / 'numbers.db'}") as database:
        await database.prepare(SCHEMA)
        holder = asyncio.ensure_future(database.write(hold))
        assert await asyncio.to_thread(running.wait, 10)
        queued = asyncio.ensure_future(database.write(add, 1))
        await asyncio.sleep(0)
        queued.cancel()
        await asyncio.wait([queued])
        go_on.set()
        await holder
        await database.write(add, 2)
        assert await database.read(count) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_caller_leaves_no_lock(database: Database, url: str, turns: int) -> None:
    caller = asyncio.ensure_future(database.write(add, *range(100)))
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    async with Database(url) as other:
        await other.write(add, 1_000)
        await database.write(add, 2_000)
        assert await other.read(count) in (2, 102)


async def test_closing_waits_for_transactions_of_cancelled_callers(url: str) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        running.set()
        assert go_on.wait(10)
        add(connection, 1)

    database = Database(url)
    await database.prepare(SCHEMA)
    caller = asyncio.ensure_future(database.write(slow))
    assert await asyncio.to_thread(running.wait, 10)
    caller.cancel()
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    go_on.set()
    await closing
    with pytest.raises(UnavailableError, match="closed"):
        await database.read(count)
    async with Database(url) as again:
        assert await again.read(count) == 1


async def test_locked_file_delays_all_writes_by_two_seconds_in_total(tmp_path: Path) -> None:
    file = tmp_path / "numbers.db"
    async with Database(f"sqlite:///{file}") as database:
        await database.prepare(SCHEMA)
        other = sqlite3.connect(file)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        failed = await asyncio.gather(*(database.write(add, n) for n in range(5)), return_exceptions=True)
        took = time.monotonic() - began
        other.close()
        assert all(isinstance(each, UnavailableError) and "locked" in each.message for each in failed)
        assert 1.9 <= took < 3.5  # five waits in sequence, each of 2 seconds, would last 10
        await database.write(add, 1)


async def test_new_connection_to_locked_file_fails_after_two_seconds(tmp_path: Path) -> None:
    file = tmp_path / "numbers.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE mine (x)")
    other.execute("BEGIN EXCLUSIVE")
    async with Database(f"sqlite:///{file}") as database:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="locked"):
            await database.prepare(SCHEMA)
        assert time.monotonic() - began < 3.5
    other.close()


async def test_locked_rows_of_postgresql_raise_unavailable(postgres_url: str) -> None:
    async with Database(postgres_url, lock_seconds=0.5) as database:
        await database.prepare(SCHEMA)
        with psycopg.connect(postgres_url) as other:
            other.execute("LOCK TABLE numbers")
            with pytest.raises(UnavailableError, match="locked by another transaction"):
                await database.write(add, 1)


async def test_connections_that_the_server_closed_are_replaced(postgres_url: str) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    async with Database(postgres_url) as database:
        await database.prepare(SCHEMA)
        await asyncio.gather(*(database.read(lambda connection: connection.scalar(text("SELECT 1"))) for _ in range(9)))
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(f"SELECT pg_terminate_backend(pid) {others}")
            while admin.execute(f"SELECT pid {others}").fetchone():  # noqa: ASYNC110 - processes have no waiters
                await asyncio.sleep(0.01)
        assert await asyncio.gather(*(database.write(add, number) for number in range(9))) == [1] * 9
        assert await database.read(count) == 9


async def test_connections_end_soon_after_the_network_falls_silent(postgres_url: str) -> None:
    def parameters(connection: Connection) -> dict[str, str]:
        found = connection_parameters(connection)
        return {name: found[name] for name in ("keepalives_idle", "tcp_user_timeout")}

    async with Database(postgres_url) as database, Database(f"{postgres_url}&tcp_user_timeout=9") as other:
        assert await database.read(parameters) == {"keepalives_idle": "10", "tcp_user_timeout": "15000"}
        assert await other.read(parameters) == {"keepalives_idle": "10", "tcp_user_timeout": "9"}
    jobs = JobDatabase(postgres_url)
    with (await jobs.open()).connect() as connection:
        assert parameters(connection) == {"keepalives_idle": "10", "tcp_user_timeout": "15000"}
    await jobs.close()


async def test_options_of_the_url_are_used(postgres_url: str) -> None:
    def show(connection: Connection) -> list[str]:
        names = ("search_path", "lock_timeout", "statement_timeout")
        return [str(connection.scalar(text(f"SHOW {name}"))) for name in names]

    given = "options=-c%20search_path%3Dharbor%20-c%20statement_timeout%3D9s"
    async with Database(f"{postgres_url}&{given}&connect_timeout=7") as database:
        assert await database.read(show) == ["harbor", "2s", "9s"]
        assert (await database.read(connection_parameters))["connect_timeout"] == "7"
    async with Database(postgres_url) as database:
        assert await database.read(show) == ['"$user", public', "2s", "20s"]
        assert (await database.read(connection_parameters))["connect_timeout"] == "5"


async def test_notices_of_the_server_end_no_connection(postgres_url: str) -> None:
    def number(connection: Connection) -> int:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)

    async with Database(postgres_url) as database:
        first = await database.read(number)
        await database.read(lambda connection: connection.execute(text("LISTEN news")) and None)
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            for _ in range(20):
                admin.execute("NOTIFY news")
                assert await database.read(number) == first


async def test_statement_timeout_is_not_reported_as_lock(postgres_url: str) -> None:
    def sleep(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 50")
        connection.exec_driver_sql("SELECT pg_sleep(60)")

    async with Database(postgres_url) as database:
        with pytest.raises(UnavailableError, match="did not finish a statement within"):
            await database.write(sleep)


@pytest.mark.parametrize("replaced", [False, True])
async def test_deleted_or_replaced_file_raises_unavailable(tmp_path: Path, replaced: bool) -> None:
    file = tmp_path / "numbers.db"
    async with Database(f"sqlite:///{file}") as database:
        await database.prepare(SCHEMA)
        await database.write(add, 1)
        file.unlink()
        if replaced:
            async with Database(f"sqlite:///{file}") as other:
                await other.prepare(SCHEMA)
        calls: list[Callable[[], object]] = [lambda: database.write(add, 2), lambda: database.read(count)] * 4
        for call in calls:
            with pytest.raises(UnavailableError, match="deleted or replaced"):
                await call()  # type: ignore[misc]
        assert file.exists() is replaced


async def test_file_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "numbers.db"
    async with Database(f"sqlite:///{file}") as database:
        await database.prepare(SCHEMA)
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    assert set(modes.values()) == {0o600}
    assert "numbers.db" in modes


async def test_words_of_database_message_do_not_change_its_classification(database: Database) -> None:
    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM full_and_locked")

    with pytest.raises(UnavailableError, match=r"failed: .*full_and_locked"):
        await database.write(fail)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO numbers VALUES (3000000000)", InvalidError),  # above the range of the column
        ("INSERT INTO names VALUES ('too long')", InvalidError),
        ("INSERT INTO names VALUES ('a'), ('a')", ConflictError),  # checked by the commit
        ("SELECT nothing FROM numbers", ConfigurationError),
        ("SELECT * FROM elsewhere", UnavailableError),  # tables and permissions may come back
    ],
)
async def test_errors_that_repeating_does_not_change_are_not_unavailable(
    postgres_url: str, statement: str, kind: type[ChannelAdapterError]
) -> None:
    async with Database(postgres_url) as database:
        await database.prepare(SCHEMA)
        table = text("CREATE TABLE names (name VARCHAR(3) UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        await database.write(lambda connection: connection.execute(table))
        with pytest.raises(ChannelAdapterError, match="nothing was stored") as raised:
            await database.write(lambda connection: connection.exec_driver_sql(statement))
        assert type(raised.value) is kind
        assert await database.read(count) == 0


async def test_full_disk_is_reported(tmp_path: Path) -> None:
    def bound(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 10")

    async with Database(f"sqlite:///{tmp_path / 'numbers.db'}") as database:
        await database.prepare(SCHEMA)
        await database.write(bound)
        with pytest.raises(UnavailableError, match="is full; nothing was stored"):
            await database.write(add, *range(100_000))
        assert await database.read(count) == 0


async def test_database_of_another_version_is_refused(database: Database, url: str) -> None:
    newer = Schema("numbers", 2, NUMBERS.metadata)
    with pytest.raises(ConfigurationError, match="version 1, this program needs 2"):
        async with Database(url) as other:
            await other.prepare(newer)


async def test_shared_database_is_closed_by_its_last_user(url: str) -> None:
    first, second = Database.shared(url), Database.shared(url)
    assert first is second
    await first.prepare(SCHEMA)
    await first.close()
    assert await second.write(add, 1) == 1
    await second.close()
    with pytest.raises(UnavailableError, match="closed"):
        await second.write(add, 2)
    third = Database.shared(url)
    assert third is not first
    assert await third.read(count) == 1
    await third.close()


async def test_lookup_of_table_creates_no_file(tmp_path: Path, database: Database) -> None:
    assert await database.has_table(NUMBERS)
    missing = tmp_path / "missing.db"
    async with Database(f"sqlite:///{missing}") as other:
        assert not await other.has_table(NUMBERS)
    assert "missing.db" not in {entry.name for entry in os.scandir(tmp_path)}
    async with Database(f"sqlite:///{tmp_path}/no-folder/missing.db") as other:
        with pytest.raises(UnavailableError, match="nothing was stored"):
            await other.has_table(NUMBERS)


async def test_longer_wait_shares_connections_and_applies_only_to_its_caller(postgres_url: str) -> None:
    async with Database(postgres_url, lock_seconds=0.2) as database:
        await database.prepare(SCHEMA)
        with psycopg.connect(postgres_url) as other:
            other.execute("LOCK TABLE numbers")
            patient = asyncio.ensure_future(database.waiting(60).write(add, 1))
            for _ in range(2):
                with pytest.raises(UnavailableError, match="locked"):
                    await database.write(add, 2)
            assert not patient.done()
            other.rollback()
            assert await patient == 1


async def test_databases_can_be_prepared_concurrently(url: str) -> None:
    databases = [Database(url) for _ in range(6)]
    await asyncio.gather(*(each.prepare(SCHEMA) for each in databases))
    for each in databases:
        await each.close()


def test_switch_to_write_ahead_log_waits_for_other_connections(tmp_path: Path) -> None:
    reader = sqlite3.connect(tmp_path / "numbers.db", check_same_thread=False, isolation_level=None)
    reader.execute("CREATE TABLE number (value INTEGER)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM number").fetchall()  # holds a lock for which the switch does not wait by itself
    release = threading.Timer(0.2, reader.execute, ["COMMIT"])
    release.start()
    connection = sqlite3.connect(tmp_path / "numbers.db", timeout=0)
    use_write_ahead_log(connection, 10.0)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    release.join()
    for each in (connection, reader):
        each.close()


def test_database_can_be_used_by_successive_event_loops(url: str) -> None:
    database = Database(url)
    asyncio.run(database.prepare(SCHEMA))
    assert asyncio.run(database.write(add, 1)) == 1
    asyncio.run(database.close())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("mysql://host/name", "neither sqlite nor postgresql"),
        ("postgresql://user:s3c@ret@host/name", "^database_url: an @ in a user name or password is written %40$"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://host:port/name", "is not a database URL"),
        ("nothing", "is not a database URL"),
    ],
)
def test_bad_url_raises_configuration_error(bad: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Database(bad)


def test_password_is_not_shown() -> None:
    shown = Database("postgresql://user:s3cret@host/name?password=s3cret&sslmode=require")
    assert "s3cret" not in repr(shown)
    assert "sslmode=require" in repr(shown)


async def test_unreachable_server_raises_unavailable(tmp_path: Path) -> None:
    async with Database(f"postgresql:///name?host={tmp_path}") as database:
        with pytest.raises(UnavailableError, match="nothing was stored"):
            await database.read(count)
    async with Database(f"sqlite:///{tmp_path / 'missing' / 'numbers.db'}") as database:
        with pytest.raises(ChannelAdapterError, match="nothing was stored"):
            await database.write(add, 1)


FOREIGN = Table(
    "foreign_text", MetaData(), Column("key", ForeignText, primary_key=True), Column("text", ForeignText, nullable=True)
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=[]), max_size=20), st.none() | st.text(max_size=20)))
@example({"\x00": "\x1a0;", "\x1a": "\x00\x1a", "\ud800\udfff": "x\ud83d", "\x1ad800;": "\x1a1a;", "": None})
def test_foreign_text_reads_back_unchanged(rows: dict[str, str | None]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        FOREIGN.create(connection)
        if rows:
            connection.execute(insert(FOREIGN), [{"key": key, "text": text} for key, text in rows.items()])
        assert {row.key: row.text for row in connection.execute(select(FOREIGN))} == rows
        assert set(connection.scalars(select(FOREIGN.c.key).where(FOREIGN.c.key.in_(rows)))) == set(rows)
    engine.dispose()


async def test_foreign_text_with_characters_unsupported_by_database_is_stored(database: Database) -> None:
    texts = ["nul \x00 end", "half \ud83d pair", "\x1a0;", "plain 潮汐"]

    def transaction(connection: Connection) -> list[str]:
        FOREIGN.create(connection)
        connection.execute(insert(FOREIGN), [{"key": text, "text": text} for text in texts])
        pairs = tuple_(FOREIGN.c.key, FOREIGN.c.text).in_([(text, text) for text in texts])
        return list(connection.scalars(select(FOREIGN.c.text).where(pairs)))

    assert sorted(await database.write(transaction)) == sorted(texts)
