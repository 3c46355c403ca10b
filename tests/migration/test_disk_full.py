"""A full disk, for the journal, for DBOS and for written files: reported, without loss, and continued later."""

import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from channel_adapter.concurrency.files import replace_file
from channel_adapter.errors import UnavailableError
from channel_adapter.migration.plan.document import read_plan
from channel_adapter.migration.run.quarantine import replaced_quarantine
from channel_adapter.migration.sources.files import RecordIndex
from channel_adapter.migration.verify.scratch import ComparisonScratchDb
from channel_adapter.store.migration import QuarantineRow
from channel_adapter.stub.server import StubServer
from tests.cli.shell import PROGRAM, Shell, checked
from tests.migration import worlds
from tests.migration.conftest import planned_shell, system, world_served
from tests.migration.moved_world import check_against_source
from tests.migration.planned import planned
from tests.migration.worlds import Size

IDS = (worlds.TEXTS, worlds.FLAGS)
SIZE = Size(300, 60)


class Disk:
    """Disk space for the journal: none when full, not even in spare pages of its file."""

    full = False

    def write(self, connection: Connection, _: object, statement: str, *__: object) -> None:
        """Raise an error before a write statement of a full journal."""
        journal = not str(connection.engine.url.database).endswith(".dbos.db")
        if self.full and journal and statement.startswith(("INSERT", "UPDATE")):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError(statement, None, error)


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    event.listen(Engine, "before_cursor_execute", made.write)
    yield made
    event.remove(Engine, "before_cursor_execute", made.write)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Limit the size of all files that this process writes."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


@pytest.fixture
def served() -> Iterator[StubServer]:
    with world_served(SIZE, IDS) as (server, _):
        yield server


@pytest.fixture
def cli(served: StubServer, tmp_path: Path) -> Shell:
    return planned_shell(served, tmp_path, IDS)


@pytest.mark.parametrize("point", ["channel.made", "subscribers.sent"])
async def test_full_journal_ends_the_run_and_the_next_run_completes(tmp_path: Path, disk: Disk, point: str) -> None:
    file = tmp_path / "journal.db"
    async with system(SIZE, ids=IDS) as at:
        plan = await planned(at)

        def fill(passed: str) -> None:
            disk.full = disk.full or passed == point

        url = f"sqlite:///{file}"
        with pytest.raises(UnavailableError, match=rf"{file} is full; nothing was stored"):
            await at.adapter.migration.apply(plan, database=url, failpoint=fill)
        disk.full = False
        found = await at.adapter.migration.apply(plan, database=url)
        assert found.complete
        assert found.round == 1
        check_against_source(at.server.world, plan)


@pytest.mark.timeout(90)
def test_move_with_a_file_size_limit_ends_and_the_next_run_completes(cli: Shell, served: StubServer) -> None:
    """Journal and DBOS both start, and one of them ends the run."""
    cli("migrate", "apply", "plan.json", "--max-calls", "15", code=4)
    files = {path.name for path in cli.directory.iterdir()}
    limited = f"ulimit -f 100; exec {PROGRAM} migrate apply plan.json"
    process = subprocess.run(
        ["bash", "-c", limited], cwd=cli.directory, env=cli.environment, capture_output=True, timeout=60, check=False
    )
    refused = checked(process.returncode, process.stdout, process.stderr, 7)
    assert "plan.journal" in refused.err
    assert "disk I/O error" in refused.err
    assert cli("migrate", "apply", "plan.json", "--json").json["complete"] is True
    assert {path.name for path in cli.directory.iterdir()} <= files
    plan = read_plan(cli.directory / "plan.json")
    served.in_loop(lambda: check_against_source(served.world, plan))


def _quarantine(path: Path) -> None:
    with replaced_quarantine(path) as file:
        file.add([QuarantineRow("move", worlds.TEXTS, "post", "1_1_1", "no room", "{}", "make some")])


def _report(path: Path) -> None:
    replace_file(path, b"# Migration of twelve accounts\n")


@pytest.mark.parametrize("write", [_quarantine, _report])
def test_failed_write_names_the_file_and_keeps_the_old_content(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "plan.file"
    path.write_bytes(b'{"what": "before"}\n')
    with files_up_to(20), pytest.raises(OSError, match="File too large") as refusal:
        write(path)
    assert refusal.value.filename == str(path)
    assert path.read_bytes() == b'{"what": "before"}\n'
    assert list(tmp_path.iterdir()) == [path]
    write(path)
    assert len(path.read_bytes()) > 20


def test_failed_write_of_a_plan_keeps_the_previous_plan(cli: Shell) -> None:
    before = (cli.directory / "plan.json").read_bytes()
    cli.file("accounts.txt", IDS[0])
    with files_up_to(100):
        refused = cli("migrate", "plan", "--accounts", "accounts.txt", "--policy", "all=cut", code=2)
    assert "plan.json: File too large" in refused.err
    assert (cli.directory / "plan.json").read_bytes() == before


@pytest.mark.parametrize("create", [ComparisonScratchDb, RecordIndex])
def test_temporary_file_is_removed_when_the_disk_is_full_at_its_first_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, create: Callable[[], object]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with files_up_to(0), pytest.raises(OSError, match="cannot grow"):
        create()
    assert list(tmp_path.iterdir()) == []
