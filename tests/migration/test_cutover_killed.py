"""A cutover that is killed for real, in its delta and while it fills groups, and then run again."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.serve import StubServer
from tests.cli.shell import PROGRAM, Shell, interrupted
from tests.migration import worlds
from tests.migration.conftest import shell_on, world_served
from tests.migration.worlds import Size

TWO = (worlds.TEXTS, worlds.BUSY)
CUTOVER = ("migrate", "cutover", "plan.json", "--window", "1h", "--farewell", "We have moved")
HELD = "SELECT count(*) FROM cutover_channels WHERE held_until > 0"
FILLED = "SELECT fill_done FROM cutovers"
UNFINISHED = "unfinished"
FILLING = "SELECT count(*) FROM cutover_people"


@pytest.fixture
def served() -> Iterator[StubServer]:
    with world_served(Size(300, 12), TWO) as (server, _):
        yield server


@pytest.fixture
def cli(served: StubServer, tmp_path: Path) -> Shell:
    shell = shell_on(served, tmp_path, database=True)
    shell.file("accounts.txt", "\n".join(TWO))
    shell("migrate", "plan", "--accounts", "accounts.txt", "--policy", "all=cut")
    return shell


def killed_when(shell: Shell, query: str) -> None:
    """Start the cutover, and kill it as soon as the database answers this with more than nothing."""
    process = subprocess.Popen(
        [PROGRAM, *CUTOVER], cwd=shell.directory, env=shell.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until_true(shell, query, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL


def until_true(shell: Shell, query: str, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Wait until the database answers this with more than nothing."""
    end = time.monotonic() + 60
    while not counted(shell.directory / "adapter.db", query):
        assert process is None or process.poll() is None, "the cutover ended before it could be killed"
        assert time.monotonic() < end, "the database did not get there"
        time.sleep(0.01)


def counted(database: Path, query: str) -> int:
    with sqlite3.connect(database) as rows:
        try:
            return int(rows.execute(query).fetchone()[0])
        except sqlite3.OperationalError:  # there is no such table yet
            return 0


def test_killed_in_the_delta_and_while_it_fills(cli: Shell, served: StubServer) -> None:
    for moment in (HELD, FILLING):
        killed_when(cli, moment)
    assert cli("migrate", "status", "plan.json", "--json").json["cutover"]["conversation_groups"]["state"] == UNFINISHED
    worker = cli.start("migrate", "worker")
    try:
        until_true(cli, FILLED)
    finally:
        interrupted(worker)
    done = cli(*CUTOVER, "--json").json
    assert done["posting_moved"] is True
    assert [each["sent"] for each in done["farewells"]] == [True, True]
    assert done["conversation_groups"] == {"state": "done", "filled": 61, "left": 0, "problems": 0, "reason": None}
    verdict = cli("migrate", "verify", "plan.json", "--json").json
    assert verdict["clean"] is True

    def farewells() -> list[int]:
        logs = [served.world.state.official[account].log for account in TWO]
        return [sum("We have moved" in str(message.body) for message in log) for log in logs]

    assert served.in_loop(farewells) == [1, 1]
