"""`webhooks serve`, `list`, `retry`, `drop`, `tail`, `stats`: the installed command, with dead letters."""

import asyncio
import json
import os
import select
import signal
import sqlite3
import stat
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.cli.main import main
from tests.webhooks.rig import (
    COMMAND,
    ROOT,
    engine_of,
    receiver,
    start,
    wait_until_counted,
    wait_until_settled,
    write_settings,
)
from tests.webhooks.sender import TOKEN, Sender, body

START = 1_736_000_000_000


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return settings of an inbox with two handled events and two dead letters; its receiver has ended."""
    folder = tmp_path_factory.mktemp("used")
    url = f"sqlite:///{folder / 'inbox.db'}"
    settings = write_settings(folder, url, attempts=2, retry_seconds=0.01)
    engine = engine_of(url)
    with receiver(settings, handlers="tests.webhooks.effects:register_failing") as running:
        users = ("good_1", "bad_1", "bad_2", "good_2")
        bodies = [body("@TOA#_a", who, START + n) for n, who in enumerate(users)]
        sender = Sender(running.url)
        asyncio.run(sender.flood(bodies, 1))
        asyncio.run(sender.flood(bodies[:1], 1))
        wait_until_settled(engine, 4)
        wait_until_counted(engine, "handled", 2)
        wait_until_counted(engine, "dead", 2)
    engine.dispose()
    return settings


def test_lock_file_of_receiver_is_private(used: Path) -> None:
    assert stat.S_IMODE((used.parent / "inbox.db.receiver.lock").stat().st_mode) == 0o600


def run(settings: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["webhooks", *words, "--config", str(settings)])
    out, err = capsys.readouterr()
    assert TOKEN not in out + err
    return code, out, err


def rows(settings: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(settings, "list", "--json", *words, capsys=capsys)[1])
    return found


@pytest.mark.parametrize("words", [["--past", "9"], ["--past", "9", "--json"]], ids=["text", "json"])
def test_ctrl_c_ends_tail_with_success(used: Path, words: list[str]) -> None:
    command = [str(COMMAND), "webhooks", "tail", *words, "--config", str(used)]
    tail = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert tail.stdout is not None
    shown = [tail.stdout.readline() for _ in range(2)]
    tail.send_signal(signal.SIGINT)
    more, errors = tail.communicate(timeout=60)
    assert (tail.returncode, errors) == (0, b"")
    assert all(line.endswith(b"\n") for line in (*shown, *more.splitlines(keepends=True)))


def test_ctrl_c_ends_serve_with_success(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    errors = tmp_path / "stderr"
    running = start(settings, stderr=errors)
    assert asyncio.run(Sender(running.url).flood([body("@TOA#_a", "u", START)], 1)) == [200]
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    lines = errors.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("ended without waiting")] == []  # on a busy machine


def test_failed_events_are_listed_counted_and_tailed(used: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters = rows(used, capsys)
    assert [letter["body"]["Operator_Account"] for letter in letters] == ["bad_1", "bad_2"]
    assert {letter["reason"] for letter in letters} == {"ValueError: this one is not wanted"}
    assert {letter["attempts"] for letter in letters} == {2}
    assert rows(used, capsys, "--waiting") == []
    code, out, _ = run(used, "list", capsys=capsys)
    assert (code, out.count("this one is not wanted")) == (0, 2)
    stats = json.loads(run(used, "stats", "--json", capsys=capsys)[1])
    assert {name: stats[name] for name in ("received", "stored", "duplicates", "handled", "failed", "dead")} == {
        "received": 5, "stored": 4, "duplicates": 1, "handled": 2, "failed": 2, "dead": 2,
    }  # fmt: skip
    assert (stats["waiting"], stats["dead_letters"], stats["refused"], stats["lag_seconds"]) == (0, 2, {}, 0.0)
    tailed = run(used, "tail", "--json", "--past", "9", "--seconds", "0.1", capsys=capsys)[1].splitlines()
    assert sorted(json.loads(line)["state"] for line in tailed) == ["dead", "dead", "handled", "handled"]
    assert "dead: ValueError" in run(used, "tail", "--past", "9", "--seconds", "0.1", capsys=capsys)[1]
    assert run(used, "tail", "--seconds", "0.1", capsys=capsys)[1] == ""


def test_dead_letters_are_dropped_and_retried(used: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "inbox.db"
    with closing(sqlite3.connect(used.parent / "inbox.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    settings = write_settings(tmp_path, f"sqlite:///{copy}", attempts=2, retry_seconds=0.01)
    first, second = (letter["key"] for letter in rows(settings, capsys))
    assert run(settings, "drop", first, "no-such-key", capsys=capsys)[0] == 3
    assert run(settings, "drop", first, capsys=capsys)[0] == 1
    assert run(settings, "retry", capsys=capsys)[0] == 2
    assert run(settings, "retry", "--all", capsys=capsys)[0] == 0
    assert [row["key"] for row in rows(settings, capsys, "--waiting")] == [second]
    with receiver(settings):  # its handler accepts all users
        end = time.monotonic() + 90
        while rows(settings, capsys, "--waiting") and time.monotonic() < end:
            time.sleep(0.2)
    assert rows(settings, capsys, "--waiting") == rows(settings, capsys) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--handlers", "nothing"], "'nothing' is not MODULE:FUNCTION"),
        (["--handlers", "no_such_module:f"], "there is no module 'no_such_module'"),
        (["--handlers", "tests.webhooks.effects:nobody"], "has no function 'nobody'"),
        (["--path", "hooks"], "--path begins with /"),
        (["--cert", "chain.pem"], "--cert and --key-file belong together"),
    ],
)
def test_unusable_options_of_serve_are_reported(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    code, _, err = run(settings, "serve", *words, capsys=capsys)
    assert (code, said in err) == (2, True), err


@pytest.mark.parametrize("words", [["list"], ["stats"], ["tail"], ["retry", "--all"], ["drop", "--all"]])
def test_commands_on_missing_inbox_create_no_database(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    code, _, err = run(settings, *words, capsys=capsys)
    assert (code, "no receiver has run" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter.toml"]


def test_unreachable_database_exits_with_service_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = write_settings(tmp_path, "postgresql://u:hidden@127.0.0.1:1/d")
    code, _, err = run(settings, "serve", "--port", "0", capsys=capsys)
    assert (code, "hidden" in err) == (7, False), err


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["list"]])
@pytest.mark.parametrize("url", ["postgresql://u:hidden@host:no_port/d", "sqlite:///"])
def test_malformed_database_url_exits_with_usage_error(
    url: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(write_settings(tmp_path, url), *words, capsys=capsys)
    assert (code, "database_url" in err, "hidden" in err) == (2, True, False), err


def test_list_of_memory_inbox_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'unused.db'}", kind="memory")
    code, _, err = run(settings, "list", capsys=capsys)
    assert (code, "memory inbox" in err) == (2, True)


def test_memory_inbox_is_logged_and_used_port_is_refused(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, f"sqlite:///{tmp_path / 'unused.db'}", kind="memory")
    running = start(settings)
    words = ["webhooks", "serve", "--port", running.url.rpartition(":")[2].strip("/"), "--config", str(settings)]
    second = subprocess.run([COMMAND, *words], cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ)
    assert (second.returncode, "cannot listen on" in second.stderr) == (2, True)
    assert "webhooks.memory_inbox" in second.stderr
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0


def test_tail_shows_events_after_the_clock_was_set_back(used: Path, tmp_path: Path) -> None:
    copy = tmp_path / "inbox.db"
    with closing(sqlite3.connect(used.parent / "inbox.db")) as source, closing(sqlite3.connect(copy)) as inbox:
        source.backup(inbox)
        inbox.execute("UPDATE inbox_event SET changed = changed + 3600")  # as if the clock was an hour ahead then
        inbox.commit()
        (key,) = inbox.execute("SELECT key FROM inbox_event WHERE state = 'handled'").fetchone()
        settings = write_settings(tmp_path, f"sqlite:///{copy}")
        command = [str(COMMAND), "webhooks", "tail", "--json", "--config", str(settings)]
        tail = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE)
        try:
            assert tail.stdout is not None
            deadline = time.monotonic() + 60
            while not select.select([tail.stdout], [], [], 0.1)[0]:
                assert time.monotonic() < deadline, "nothing is shown"
                inbox.execute("UPDATE inbox_event SET changed = ? WHERE key = ?", [time.time(), key])
                inbox.commit()
            assert json.loads(tail.stdout.readline())["key"] == key
        finally:
            tail.kill()
            tail.communicate()
