"""`migrate apply`, `status`, `retry` and `worker` as shell commands."""

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.cli.shell import PROGRAM, Shell
from tests.migration import worlds
from tests.migration.conftest import planned_shell, world_served
from tests.migration.worlds import Size

IDS = (worlds.TEXTS, worlds.FLAGS)


@pytest.fixture
def served() -> Iterator[StubServer]:
    with world_served(Size(60, 21), IDS) as (server, _):
        yield server


@pytest.fixture
def cli(served: StubServer, tmp_path: Path) -> Shell:
    return planned_shell(served, tmp_path, IDS)


def test_plan_is_applied_in_two_runs_with_status(cli: Shell) -> None:
    first = cli("migrate", "apply", "plan.json", "--max-calls", "15", code=4)
    assert "stopped: its 15 calls are used up; the same command goes on from there" in first.out
    assert "the journal is plan.journal.db" in first.err
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cli.directory.glob("plan.*")}
    assert modes == dict.fromkeys(("plan.json", "plan.journal.db", "plan.journal.dbos.db"), 0o600)
    stopped = cli("migrate", "status", "plan.json", "--json", code=3).json
    assert stopped["complete"] is False
    second = cli("migrate", "apply", "plan.json", "--json").json
    assert second["complete"] is True
    assert (second["subscribers"], second["posts"], second["quarantined"], second["round"]) == (42, 9, 0, 1)
    assert {each["state"] for each in second["channels"]} == {"done"}
    third = cli("migrate", "apply", "plan.json")
    assert "2 of 2 channels brought up to date, run 2; 42 subscribers, 9 posts" in third.out
    assert not list(cli.directory.glob("*.quarantine.jsonl"))


def test_quarantine_file_exists_until_retry_succeeds(cli: Shell, served: StubServer) -> None:
    served.in_loop(lambda: served.faults.replace([Fault(command="import_group_member", fail_items=5)]))
    run = cli("migrate", "apply", "plan.json", code=3)
    assert "what could not go is in plan.quarantine.jsonl, with reasons" in run.out
    lines = [json.loads(line) for line in (cli.directory / "plan.quarantine.jsonl").read_text().splitlines()]
    assert lines
    assert lines[0].keys() == {"channel", "what", "key", "reason", "raw", "retry"}
    assert lines[0]["raw"]["user"] == lines[0]["key"]
    served.in_loop(lambda: served.faults.replace([]))
    cli("migrate", "retry", "plan.json")
    assert not (cli.directory / "plan.quarantine.jsonl").exists()


def test_retry_that_is_stopped_among_records_ends_with_4(cli: Shell, served: StubServer) -> None:
    served.in_loop(lambda: served.faults.replace([Fault(command="import_group_member", fail_items=5)]))
    cli("migrate", "apply", "plan.json", code=3)
    served.in_loop(lambda: served.faults.replace([]))
    stopped = cli("migrate", "retry", "plan.json", "--max-calls", "1", code=4)
    assert "stopped: its 1 calls are used up; the same command goes on from there" in stopped.out
    cli("migrate", "retry", "plan.json")


def test_edited_quarantine_file_does_not_end_an_apply(cli: Shell, served: StubServer) -> None:
    served.in_loop(lambda: served.faults.replace([Fault(command="import_group_member", fail_items=1)]))
    cli("migrate", "apply", "plan.json", code=3)
    file = cli.directory / "plan.quarantine.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["", '{"edited": ', "[1]", *lines, "  "]))
    cli("migrate", "apply", "plan.json", code=3)
    assert file.read_text().splitlines() == ['{"edited": ', "[1]", *lines]


def test_refused_plan_leaves_no_journal(cli: Shell) -> None:
    (cli.directory / "exported").mkdir()
    cli.file("exported/channels.csv", f"id,name,created_at\nharbour,{'x' * 101},1760000000\n")
    cli("migrate", "plan", "--files", "exported", "--owner", worlds.OWNER, "--accept-empty", code=1)
    refused = cli("migrate", "apply", "plan.json", code=1)
    assert "the plan cannot be applied: 0 problems, 1 loss that no policy allows; " in refused.err
    assert "the journal is" not in refused.err
    assert not list(cli.directory.glob("*.journal.db"))


def test_broken_source_lines_are_counted_by_apply_and_status(cli: Shell) -> None:
    cli.file("users.txt", "reader_000000\nghost\n")
    cli("migrate", "plan", "--users", "users.txt", "--policy", "all=cut", code=3)
    assert "could not go: 0 records, 1 broken line of the source" in cli("migrate", "apply", "plan.json", code=3).out
    told = cli("migrate", "status", "plan.json", "--json", code=3)
    assert (told.json["complete"], told.json["quarantined"], told.json["broken"]) == (True, 0, 1)
    assert "the journal is" not in told.err


def test_refused_command_has_its_message_and_exit_code(cli: Shell) -> None:
    assert "the database knows no migration" in cli("migrate", "status", "plan.json", code=1).err
    assert (
        "--max-duration must be like 90s, 30m, 2h, 7d or 2w; got 'soon'"
        in cli("migrate", "apply", "plan.json", "--max-duration", "soon", code=2).err
    )
    assert "sqlite" in cli("migrate", "apply", "plan.json", "--database", "mysql://x/y", code=2).err
    assert "no plan of a migration" in cli("migrate", "apply", cli.file("x.json", "{}"), code=1).err


def test_interrupted_apply_ends_with_4_and_the_next_apply_completes(cli: Shell, served: StubServer) -> None:
    slow = [Fault(command="import_group_member", delay=30)]
    served.in_loop(lambda: served.faults.replace(slow))
    words = [str(PROGRAM), "migrate", "apply", "plan.json", "--config", str(cli.directory / "adapter.toml")]
    process = subprocess.Popen(words, cwd=cli.directory, stderr=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"})
    for _ in range(2_000):
        if served.log.answers[("group_open_http_svc/import_group_msg", 0)] == len(IDS):  # the next step is users
            break
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=25)
    assert time.monotonic() - began < 20  # two seconds on an idle machine
    assert process.returncode == 4
    assert b"interrupted: " in err
    assert b"the same command goes on from there" in err
    served.in_loop(lambda: served.faults.replace([]))
    done = cli("migrate", "apply", "plan.json", "--json").json
    assert done["complete"] is True
    worked = cli("worker", "--database", "sqlite:///plan.journal.db", "--max-duration", "0.3s", code=4)
    assert "0 calls were made" in worked.out
