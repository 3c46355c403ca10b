"""A cutover that is killed in its delta and while it fills groups, and then run again."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.tencent.catalog import GET_CONTACT_GROUP
from tests.cli.shell import Shell, interrupted
from tests.migration import worlds
from tests.migration.conftest import shell_on, world_served
from tests.migration.worlds import Size

TWO = (worlds.TEXTS, worlds.BUSY)
CUTOVER = ("migrate", "cutover", "plan.json", "--window", "1h", "--final-broadcast", "We have moved")


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


def killed_when(shell: Shell, condition: Callable[[], bool]) -> None:
    """Start the cutover, and kill it as soon as the condition is true."""
    process = shell.start(*CUTOVER)
    try:
        wait_until(condition, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait for the condition while the process is running."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the process ended before that"
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def broadcasters_wait(database: Path) -> bool:
    with sqlite3.connect(database) as rows:
        try:
            return bool(rows.execute("SELECT count(*) FROM cutover_channels WHERE held_until > 0").fetchone()[0])
        except sqlite3.OperationalError:  # the table does not exist yet
            return False


def test_cutover_killed_in_delta_and_in_filling_is_completed_by_the_next_run(cli: Shell, served: StubServer) -> None:
    def looked_at() -> int:
        return served.in_loop(lambda: served.log.answers[GET_CONTACT_GROUP.path, 0])

    killed_when(cli, lambda: broadcasters_wait(cli.directory / "adapter.db"))
    served.in_loop(lambda: served.faults.replace([Fault(command=GET_CONTACT_GROUP.name, delay=0.7)]))
    killed_when(cli, lambda: looked_at() > 0)
    told = cli("migrate", "status", "plan.json", "--json").json["cutover"]
    assert (told["moved"], told["conversation_groups"]["state"]) == (2, "unfinished")
    before = looked_at()
    worker = cli.start("worker")
    wait_until(lambda: looked_at() > before + 20, worker)
    assert "others, or the next start, go on" in interrupted(worker).err
    served.in_loop(lambda: served.faults.replace([]))
    done = cli(*CUTOVER, "--json").json
    assert done["posting_moved"] is True
    assert [each["sent"] for each in done["final_broadcasts"]] == [True, True]
    assert done["conversation_groups"] == {"state": "done", "filled": 61, "left": 0, "problems": 0, "reason": None}
    verdict = cli("migrate", "verify", "plan.json", "--json").json
    assert verdict["clean"] is True

    def final_broadcasts() -> list[int]:
        logs = [served.world.state.official[account].log for account in TWO]
        return [sum("We have moved" in str(message.body) for message in log) for log in logs]

    assert served.in_loop(final_broadcasts) == [1, 1]
