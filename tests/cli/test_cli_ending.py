"""The start and the end of commands that run until they are stopped: what they report, and their exit codes."""

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.hanging import STARTED
from tests.cli.shell import SECONDS, Shell
from tests.webhooks.rig import COMMAND, ROOT, start, write_settings
from tests.webhooks.sender import Sender, body


@pytest.mark.parametrize(("kind", "code", "says"), [("durable", 0, "goes on"), ("memory", 4, "are lost")])
def test_process_that_hangs_at_its_end_says_whether_work_is_lost(
    kind: str, code: int, says: str, tmp_path: Path
) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}", kind=kind)
    running = start(settings, handlers="tests.cli.hanging:register", stderr=tmp_path / "stderr")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(SECONDS) == code
    last = (tmp_path / "stderr").read_text().splitlines()[-1]
    assert last.startswith("ended without waiting any longer; ")
    assert says in last


@pytest.mark.parametrize(("kind", "code"), [("durable", 0), ("memory", 4)])
def test_events_that_are_lost_at_the_end_are_reported(kind: str, code: int, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}", kind=kind)
    running = start(settings, handlers="tests.cli.hanging:register_waiting", stderr=tmp_path / "stderr")
    event = body("@TOA#_a", "u", 1_736_000_000_000)
    assert asyncio.run(Sender(running.url).flood([event], 1)) == [200]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(SECONDS) == code
    assert ("had not been handled are lost" in (tmp_path / "stderr").read_text()) is (kind == "memory")


def test_error_after_the_signal_decides_the_exit_code(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    started = tmp_path / "started"
    words = ["webhooks", "serve", "--port", "0", "--handlers", "tests.cli.hanging:register_failing"]
    process = subprocess.Popen(
        [COMMAND, *words, "--config", settings], cwd=ROOT, env={**os.environ, STARTED: str(started)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + SECONDS
    while not started.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    started.unlink()
    _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, "the handlers cannot be registered" in errors) == (7, True), errors


@pytest.mark.parametrize("words", [("webhooks", "serve"), ("console",), ("stub",)])
def test_ready_file_that_cannot_be_written_is_named(words: tuple[str, ...], cli: Shell, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "ready.json"
    memory = cli.having(CHANNEL_ADAPTER_INBOX__KIND="memory")
    refused = memory.installed(*words, "--port", "0", "--ready-file", str(missing), "--json", code=2)
    error = json.loads(refused.err.splitlines()[-1])["error"]
    assert (error["field"], error["message"]) == (
        "ready_file",
        f"{missing} cannot be written: No such file or directory",
    )


@pytest.mark.parametrize("words", [("webhooks", "serve"), ("stub",)])
def test_output_that_nobody_reads_is_no_fault_of_the_address(words: tuple[str, ...], cli: Shell) -> None:
    memory = cli.having(CHANNEL_ADAPTER_INBOX__KIND="memory")
    process = memory.start(*words, "--port", "0")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(SECONDS) == 4
    with process.stderr:
        errors = process.stderr.read().decode()
    assert "cannot" not in errors, errors


@pytest.mark.parametrize("words", [("webhooks", "serve"), ("stub",)])
def test_certificate_needs_both_files(words: tuple[str, ...], cli: Shell, tmp_path: Path) -> None:
    said = cli(*words, "--cert", "chain.pem", "--json", code=2).error
    assert (said["field"], said["message"]) == ("cert", "--cert and --key-file belong together")
    here = cli.file("chain.pem", "")
    said = cli(*words, "--cert", here, "--key-file", str(tmp_path / "key.pem"), "--json", code=2).error
    assert (said["field"], said["message"]) == ("cert", f"{tmp_path / 'key.pem'} cannot be read: no such file")
