"""Jobs of dead processes are resumed once, by the process that acquires the lease; live processes keep theirs."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from channel_adapter.durable import open_jobs
from channel_adapter.durable.executor import Executor
from channel_adapter.store.database import Database
from channel_adapter.store.leases import SCHEMA, Leases, live_workers
from tests.durable.test_durable import lines, wait_for, worker
from tests.durable.worker import KIND, serving

HOUR = 3_600.0


@pytest.fixture(params=["sqlite", "postgresql"])
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """Yield one database, opened twice as by two processes."""
    url = (
        f"sqlite:///{tmp_path / 'leases.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )
    async with Database(url) as first, Database(url) as second:
        await first.prepare(SCHEMA)
        yield first, second


def steps_of(notes: list[str]) -> Counter[str]:
    """Count the steps in notes of workers, regardless of the process that wrote them."""
    return Counter(" ".join(line.split()[:2]) for line in notes if line.split()[1] in ("one", "two"))


async def _workers(database: Database) -> int:
    return await database.read(live_workers, "k", database.now(time.time()))


async def test_live_executor_is_not_taken_over(databases: tuple[Database, Database]) -> None:
    first, second = (Executor(database, ["k"]) for database in databases)
    await first.begin()
    await second.begin()
    assert await second.acquire_dead([first.id]) == set()
    assert await first.renew()
    assert first.fresh
    assert await _workers(databases[0]) == 2
    await first.end()
    assert await _workers(databases[0]) == 1
    assert await second.acquire_dead([first.id]) == {first.id}


async def test_clock_difference_of_an_hour_causes_no_takeover(postgres_url: str) -> None:
    async with Database(postgres_url) as database:
        first = Executor(database, ["k"], lambda: time.time() - HOUR)
        second = Executor(database, ["k"], lambda: time.time() + HOUR)
        await first.begin()
        await second.begin()
        assert await second.acquire_dead([first.id]) == set()
        assert await first.acquire_dead([second.id]) == set()
        assert await first.renew()
        assert await second.renew()


async def test_dead_executor_is_acquired_by_one_of_two_processes(databases: tuple[Database, Database]) -> None:
    executors = [Executor(database, ["k"]) for database in databases]
    for executor in executors:
        await executor.begin()
    dead = Leases(databases[0], "dead", seconds=-1)
    await databases[0].write(dead.acquire, ["executor:dead"], time.time())
    found = await asyncio.gather(*(executor.acquire_dead(["dead"]) for executor in executors))
    assert sorted(map(len, found)) == [0, 1]


async def test_ended_process_of_this_machine_is_detected_before_its_lease_ends(tmp_path: Path) -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with Database(f"sqlite:///{tmp_path / 'leases.db'}") as database:
        living = Executor(database, ["k"])
        await living.begin()
        machine = living.id.partition(":")[0]
        names = {pid: f"{machine}:{pid}:other" for pid in (ended.pid, os.getpid())}
        elsewhere = f"elsewhere:{ended.pid}:other"
        for name in (*names.values(), elsewhere):
            leases = Leases(database, name, seconds=HOUR)
            await database.write(leases.acquire, [f"executor:{name}"], time.time())
        assert await living.acquire_dead([*names.values(), elsewhere]) == {names[ended.pid]}


def test_jobs_of_killed_process_are_taken_over_once(postgres_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with (
        worker(postgres_url, file, "begin", 8) as first,
        worker(postgres_url, file, "serve"),
        worker(postgres_url, file, "serve"),
    ):
        wait_for(file, 3, word="ready", seconds=60)
        # The first process still has all jobs that the others did not fetch from the queue.
        first.send_signal(signal.SIGKILL)
        done = wait_for(file, 8, word="two", seconds=60)
    steps = steps_of(done)
    assert {name for name, count in steps.items() if count == 1 and name.endswith("two")} == {
        f"w{number} two" for number in range(8)
    }


async def test_temporarily_failing_lease_renewal_keeps_the_jobs(postgres_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        async with serving(postgres_url, file) as jobs:
            executor = jobs.executor
            assert executor is not None
            admin.execute("ALTER TABLE lease RENAME TO away")
            async with asyncio.timeout(60):
                while executor.fresh:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.05)
            await jobs.start(KIND, "w0", ["w0", 0.0])
            await asyncio.sleep(1)
            assert not lines(file)  # no step begins without a lease
            admin.execute("ALTER TABLE away RENAME TO lease")
            assert await jobs.wait("w0") == "w0"
            assert jobs.executor is executor


async def test_process_that_lost_its_lease_restarts_its_executor(postgres_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        async with serving(postgres_url, file) as jobs:
            before = jobs.executor
            await jobs.start(KIND, "w0", ["w0", 3.0])
            await asyncio.to_thread(wait_for, file, 1, word="recorded")
            admin.execute("UPDATE lease SET owner = 'other', until = 0 WHERE name LIKE 'executor:%'")
            assert await jobs.wait("w0") == "w0"
            assert jobs.executor is not before
    assert steps_of(lines(file)) == {"w0 one": 1, "w0 two": 1}


async def test_suspended_process_repeats_no_step_done_by_another(postgres_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with worker(postgres_url, file, "begin", 1) as first:
        await asyncio.to_thread(wait_for, file, 1, word="recorded")
        first.send_signal(signal.SIGSTOP)
        async with serving(postgres_url, file) as jobs:
            assert await jobs.wait("w0") == "w0"
        first.send_signal(signal.SIGCONT)
        async with open_jobs(postgres_url) as jobs:
            await jobs.start(KIND, "w1", ["w1", 0.0])
            assert await jobs.wait("w1") == "w1"
    assert steps_of(lines(file)) == {f"w{number} {step}": 1 for number in (0, 1) for step in ("one", "two")}
