"""Versions of Python, SQLite and DBOS that durable work supports."""

import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.extras import durable_fault
from channel_adapter.durable import open_jobs
from channel_adapter.errors import ConfigurationError
from channel_adapter.stub.server import StubServer
from tests.cli.shell import KEY, Shell


@pytest.mark.parametrize(
    ("python", "sqlite", "dbos"),
    [
        ((3, 11, 2), (3, 40, 1), "3.4.0"),
        ((3, 12, 0), (3, 42, 0), "3.4.0"),
        ((3, 13, 1), (3, 50, 0), "3.99.1"),
        ((3, 13, 1), None, "3.4.1rc1"),
    ],
)
def test_supported_versions_have_no_fault(python: tuple[int, ...], sqlite: tuple[int, ...] | None, dbos: str) -> None:
    assert durable_fault(python=python, sqlite=sqlite, dbos=dbos) is None


@pytest.mark.parametrize(
    ("python", "sqlite", "dbos", "message"),
    [
        ((3, 12, 0), (3, 41, 2), "3.4.0", r"needs SQLite 3\.42 or newer on Python 3\.12, which has SQLite 3\.41\.2"),
        ((3, 13, 1), (3, 40, 1), "3.4.0", "PostgreSQL in database_url"),
        ((3, 11, 2), (3, 40, 1), "3.3.9", r"needs DBOS 3\.4 or newer and older than 4\.0, and 3\.3\.9 is installed"),
        ((3, 11, 2), None, "4.0.0", "4.0.0 is installed"),
        ((3, 11, 2), None, "10.1", "10.1 is installed"),
    ],
)
def test_unsupported_version_is_named(
    python: tuple[int, ...], sqlite: tuple[int, ...] | None, dbos: str, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        assert durable_fault(python=python, sqlite=sqlite, dbos=dbos) is None


def test_installed_dbos_is_supported() -> None:
    """Name the unsupported version, with which all other tests of durable work fail too."""
    fault = durable_fault(python=sys.version_info[:3], sqlite=sqlite3.sqlite_version_info, dbos=version("dbos"))
    assert fault is None, fault


@pytest.fixture
def unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the installed DBOS version count as too old."""
    monkeypatch.setattr("channel_adapter.config.extras.DBOS_FROM", (3, 999))


@pytest.mark.usefixtures("unsupported")
async def test_durable_work_does_not_start_with_unsupported_versions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'adapter.db'}"
    with pytest.raises(ConfigurationError, match=r"needs DBOS 3\.999"):
        async with open_jobs(url):
            pass
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs


@pytest.mark.usefixtures("unsupported")
def test_command_with_unsupported_versions_fails_with_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "adapter.toml"
    config.write_text(f'sdkappid = 1\nkey = "{KEY}"\nbase_url = "http://127.0.0.1:1"\n', encoding="utf-8")
    shell = Shell(tmp_path, config)
    refused = shell("worker", "--database", f"sqlite:///{tmp_path / 'j.db'}", code=2)
    assert "error: durable work needs DBOS 3.999 or newer" in refused.err


@pytest.mark.usefixtures("unsupported")
async def test_doctor_reports_unsupported_versions() -> None:
    async with StubServer() as server:
        settings = Settings(sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url)
        async with ChannelAdapter.open(settings) as adapter:
            (found,) = [each for each in await adapter.doctor() if each.check == "durable"]
    assert not found.ok
    assert "needs DBOS 3.999 or newer" in found.message


async def test_doctor_omits_supported_versions() -> None:
    async with StubServer() as server:
        settings = Settings(sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url)
        async with ChannelAdapter.open(settings) as adapter:
            assert "durable" not in [each.check for each in await adapter.doctor()]
