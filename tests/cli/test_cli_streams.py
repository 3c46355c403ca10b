"""The version; output that cannot be written; Ctrl-C while a command reads; single reports of -v."""

import fcntl
import json
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.shell import KEY, PROGRAM, SECONDS, Shell, interrupted

FULL = "/dev/full"


def test_version_is_that_of_the_installed_package(cli: Shell) -> None:
    assert cli.installed("--version").out == f"channel-adapter {version('channel-adapter')}\n"
    assert cli("--json", "--version").json == {"version": version("channel-adapter")}
    assert "--version" in cli("--help").out


def in_a_shell(cli: Shell, line: str) -> "subprocess.CompletedProcess[bytes]":
    script = f'"$0" {line}'
    return subprocess.run(
        ["sh", "-c", script, PROGRAM],
        stdin=subprocess.DEVNULL, capture_output=True, cwd=cli.directory, env=cli.environment, timeout=SECONDS,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("line", ["--help >&-", "accounts check reader_1 >&-", "accounts check reader_1 <&- >&-"])
def test_closed_stdout_discards_result_without_error(cli: Shell, line: str) -> None:
    done = in_a_shell(cli, line)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_stderr_keeps_exit_code(cli: Shell) -> None:
    assert in_a_shell(cli, "channels show no_such_channel 2>&-").returncode == 1


@pytest.mark.parametrize("line", ["accounts check reader_1", "accounts check reader_1 --json", "--help"])
def test_full_disk_is_reported_with_exit_code_4(cli: Shell, line: str) -> None:
    done = in_a_shell(cli, f"{line} >{FULL}")
    assert done.returncode == 4
    (sentence,) = done.stderr.decode().splitlines()
    assert "stdout cannot be written: No space left on device" in sentence


@pytest.mark.parametrize(
    "words",
    [
        ("posts", "publish", "news", "-"),
        ("posts", "import-feed", "news", "-"),
        ("channels", "update", "news", "--custom-data-file", "-"),
        ("call", "openim", "x", "-"),
        ("subscribers", "import", "news", "-"),
        ("console", "hash-password"),
    ],
)
def test_ctrl_c_ends_a_command_that_reads_stdin(
    cli: Shell, new_channel: Callable[[], str], words: tuple[str, ...]
) -> None:
    process = cli.start(*(new_channel() if word == "news" else word for word in words), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"# half a text")
    process.stdin.flush()
    until = time.monotonic() + SECONDS
    while waiting_bytes(process.stdin.fileno()):  # once they are read, the process waits for more input
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    said = interrupted(process)
    process.stdin.close()
    assert said.err.startswith("error: interrupted")


def waiting_bytes(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")


def test_verbose_shows_failed_call_once(cli: Shell) -> None:
    said = cli("channels", "create", "--name", "x", "--owner", "nobody_at_all", "--slug", "x", "-v", code=1).err
    assert len([line for line in said.splitlines() if "create_group" in line and "10019" in line]) == 1, said


def test_verbose_shows_calls_of_the_demo(cli: Shell) -> None:
    users = cli.file("users.csv", "ann\nbob\n")
    said = cli("demo", "--subscribers", users, "-v").err
    assert "group_open_http_svc/create_group: success, " in said
    assert cli("demo", "--subscribers", users).err == ""


def test_verbose_shows_requests_to_the_stub(cli: Shell, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = cli.start("stub", "--port", "0", "--key", KEY, "--ready-file", str(ready), "-v")
    assert process.stderr is not None
    try:
        until = time.monotonic() + SECONDS
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        at = cli.having(CHANNEL_ADAPTER_BASE_URL=json.loads(ready.read_text())["url"])
        at("accounts", "check", "reader_1")
        first = process.stderr.readline().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert first.startswith("im_open_login_svc/account_check by administrator: 0, ")
