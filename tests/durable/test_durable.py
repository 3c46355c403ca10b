"""The engine for durable work: another process finishes started work exactly once, and processes stop quickly."""

import asyncio
import logging
import os
import signal
import stat
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest
from dbos import DBOS

from channel_adapter.durable import Job, Jobs, Kind, open_jobs
from channel_adapter.errors import ConfigurationError, UnavailableError
from tests import forked
from tests.durable.worker import serving

OTHER, THIRD = Kind("test-other"), Kind("test-third")


async def echo(_: Job, text: str) -> str:
    await asyncio.sleep(0)
    return text


@asynccontextmanager
async def running(url: str, kind: Kind = OTHER) -> AsyncIterator[Jobs]:
    async with open_jobs(url) as jobs:
        jobs.register(kind, echo)
        async with jobs.run_worker([kind]):
            yield jobs


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'adapter.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        file: str = request.getfixturevalue("file_url")
        return file
    found: str = request.getfixturevalue("postgres_url")
    return found


@contextmanager
def worker(url: str, file: Path, role: str, count: int = 0) -> Iterator["forked.Forked | subprocess.Popen[bytes]"]:
    process = forked.start(["python", "-m", "tests.durable.worker", url, file, role, str(count)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def wait_for(file: Path, needed: int, *, word: str, seconds: float = 20) -> list[str]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if sum(word in line for line in lines(file)) >= needed:
            return lines(file)
        time.sleep(0.02)
    raise AssertionError(lines(file))


def test_work_of_killed_process_is_finished_by_another_process(url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with worker(url, file, "begin", 5) as first, worker(url, file, "serve"):
        wait_for(file, 2, word="ready")
        wait_for(file, 5, word="recorded")
        first.send_signal(signal.SIGKILL)
        done = wait_for(file, 5, word="two")
    steps = Counter(" ".join(line.split()[:2]) for line in done if line.split()[1] in ("one", "two"))
    assert steps == {f"w{n} {step}": 1 for n in range(5) for step in ("one", "two")}


async def test_work_of_unregistered_kind_is_not_resumed(file_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with worker(file_url, file, "begin", 1) as first:
        await asyncio.to_thread(wait_for, file, 1, word="one")
        first.send_signal(signal.SIGKILL)
    async with running(file_url) as jobs:
        assert await jobs.take_over() == 0
    async with serving(file_url, file) as jobs:
        assert await jobs.wait("w0") == "w0"


async def test_running_process_keeps_its_work(url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with worker(url, file, "begin", 3):
        await asyncio.to_thread(wait_for, file, 3, word="recorded")
        async with serving(url, file) as jobs:
            assert await jobs.take_over() == 0
            done = await asyncio.to_thread(wait_for, file, 3, word="two")
    assert len({line.split()[-1] for line in done}) == 1


async def test_engine_serves_several_features_and_stops_with_the_last(file_url: str) -> None:
    first, second = AsyncExitStack(), AsyncExitStack()
    jobs = await first.enter_async_context(running(file_url, THIRD))
    assert await second.enter_async_context(running(file_url)) is jobs
    await first.aclose()
    await jobs.start(OTHER, "a", ["still here"])
    assert await jobs.wait("a") == "still here"
    begun = time.monotonic()
    await second.aclose()
    assert time.monotonic() - begun < 2
    assert await asyncio.to_thread(lambda: "threads of the loop are whole") == "threads of the loop are whole"


async def test_job_key_runs_once_across_restarts(file_url: str) -> None:
    for text in ("first", "second"):
        async with running(file_url) as jobs:
            await jobs.start(OTHER, "same", [text])
            assert await jobs.wait("same") == "first"


async def test_second_database_in_one_process_is_refused(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'a.db'}"):
        with pytest.raises(ConfigurationError, match="one database"):
            async with running(f"sqlite:///{tmp_path / 'b.db'}"):
                pass
    async with running(f"sqlite:///{tmp_path / 'b.db'}") as jobs:
        assert "b.dbos.db" in repr(jobs)


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/d", "sqlite://", "no url", "postgresql://u:secret@h:p/d", "postgresql://u:x@secret@h/d"]
)
async def test_unusable_database_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        async with running(url):
            pass
    assert refusal.value.field == "database_url"
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:1/d", "sqlite:////nowhere/at/all.db"])
async def test_unreachable_database_error_omits_the_password(url: str) -> None:
    with pytest.raises(UnavailableError) as refusal:
        async with running(url):
            pass
    assert "secret" not in str(refusal.value)


async def test_dbos_log_is_not_written_to_the_console(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with running(f"sqlite:///{tmp_path / 'a.db'}"):
        logging.getLogger("dbos").info("chatter")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def connections(admin: "psycopg.Connection[tuple[int]]", *, waiting: bool = False) -> int:
    """Return the number of other connections to the database; `waiting`: only those that wait for a lock."""
    found = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND (NOT %s OR wait_event_type = 'Lock')",
        [waiting],
    ).fetchone()
    return found[0] if found else 0


async def until_connections(admin: "psycopg.Connection[tuple[int]]", wanted: int, *, waiting: bool = False) -> None:
    async with asyncio.timeout(30):
        while connections(admin, waiting=waiting) != wanted:  # noqa: ASYNC110 - the server reports nothing by itself
            await asyncio.sleep(0.02)


async def test_stop_closes_connections_in_use_when_they_are_returned(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin, psycopg.connect(postgres_url) as blocker:
        stack = AsyncExitStack()
        jobs = await stack.enter_async_context(running(postgres_url))
        pool = jobs.database.engine.pool if jobs.database.engine else None  # kept, so that only closing closes them
        await jobs.start(OTHER, "a", ["x"])
        blocker.execute("LOCK TABLE dbos.notifications IN ACCESS EXCLUSIVE MODE")
        sending = asyncio.create_task(asyncio.to_thread(DBOS.send, "a", "y"))
        await until_connections(admin, 1, waiting=True)
        await stack.aclose()
        blocker.rollback()
        await asyncio.wait([sending])
        blocker.close()
        await until_connections(admin, 0)
        assert pool is not None


async def test_cancelled_start_leaves_no_connection(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for _ in range(3):
            start = asyncio.create_task(AsyncExitStack().enter_async_context(running(postgres_url)))
            while not connections(admin) and not start.done():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            start.cancel()
            await asyncio.wait([start])
            await until_connections(admin, 0)


async def test_files_beside_the_database_are_private(file_url: str, tmp_path: Path) -> None:
    async with running(file_url):
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
        names = [f"{name}{end}" for name in ("adapter.db", "adapter.dbos.db") for end in ("", "-shm", "-wal")]
        assert modes == dict.fromkeys(names, 0o600)
