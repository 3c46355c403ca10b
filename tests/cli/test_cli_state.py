"""`stub --state` and `state dump`, `load`, `diff`."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Served
from tests.cli.shell import KEY, SECONDS, Shell

GROUPS = "group_open_http_svc"
SERVICE = {"Type": "Community", "GroupId": "@TGS#_news", "Name": "News", "Owner_Account": "ann", "SupportTopic": 0}
Serve = Callable[..., AbstractContextManager[tuple[Shell, str, "subprocess.Popen[bytes]"]]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Return a function that starts a stub with control plane; it yields a shell, the URL and the process."""

    @contextmanager
    def start(*words: str) -> Iterator[tuple[Shell, str, "subprocess.Popen[bytes]"]]:
        ready = tmp_path / "ready.json"
        ready.unlink(missing_ok=True)
        plain = Shell(tmp_path, None)
        process = plain.start_forked(
            "stub", "--port", "0", "--key", KEY, "--ready-file", str(ready), "--control", *words
        )
        try:
            deadline = time.monotonic() + SECONDS
            while not ready.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            about = json.loads(ready.read_text())
            config = tmp_path / "adapter.toml"
            config.write_text(f'sdkappid = {about["sdkappid"]}\nkey = "{KEY}"\nbase_url = "{about["url"]}"\n')
            yield Shell(tmp_path, config), about["url"], process
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, err) == (0, b"")

    return start


def call(shell: Shell, command: str, body: dict[str, Any], service: str = GROUPS) -> None:
    shell("call", service, command, json.dumps(body))


def test_stub_saves_and_loads_its_state(serve: Serve, tmp_path: Path) -> None:
    with serve("--state", "stub.state", "--save-every", "1000") as (shell, url, _):
        for user in ("ann", "bob"):
            call(shell, "account_import", {"UserID": user}, "im_open_login_svc")
        call(shell, "create_group", SERVICE)
        shell("state", "dump", "--url", url, "--output", "before.json")
        call(shell, "add_group_member", {"GroupId": "@TGS#_news", "MemberList": [{"Member_Account": "bob"}]})
        call(shell, "modify_group_base_info", {"GroupId": "@TGS#_news", "Name": "Olds"})
        said = shell("state", "diff", "before.json", "--url", url, code=1).out.splitlines()
    assert said[0].split() == ["where", "what", "first", "second"]
    assert said[1].split()[:5] == ["group", "@TGS#_news", "name", "News", "Olds"]
    changed = [line.split("  ")[1].strip() for line in said[1:]]
    assert [what for what in changed if what != "last_info_time"] == ["name", "info_seq", "member bob"]
    assert (tmp_path / "stub.state").stat().st_mode & 0o777 == 0o600
    shell("state", "diff", "before.json", "stub.state", code=1)
    readable = json.loads(shell("state", "dump", "stub.state").out)
    assert readable["groups"][0]["members"]["users"] == ["ann", "bob"]
    assert KEY not in json.dumps(readable)
    with serve("--state", "stub.state") as (shell, url, _):
        assert shell("state", "diff", "stub.state", "--url", url).out == ""
        assert json.loads(shell("state", "diff", "stub.state", "--url", url, "--json").out) == []
        assert shell("state", "load", "before.json", "--url", url).out == f"{url} has 3 accounts and 1 group now\n"
        assert shell("state", "diff", "before.json", "--url", url).err == "the same\n"
    assert shell("state", "diff", "before.json", "stub.state").out == ""


def test_diff_lists_differences_of_two_states(cli: Shell) -> None:
    message = {"time": 1, "sender": "ann", "body": [], "recalled": False}
    columns = {"users": ["ann"], "serials": [1], "joined": [5], "read": [0], "roles": [3], "flags": [0]}
    group = {"group_id": "g", "name": "n", "name_cards": {"ann": "A"}, "members": columns, "messages": [message]}
    nothing: dict[str, Any] = {
        "version": 2, "random": [], "accounts": ["ann"], "profiles": {}, "online": [], "deleted": {}, "groups": [],
        "official_accounts": [], "official_gone": [], "contacts": {},
    }  # fmt: skip
    other = group | {
        "name_cards": {},
        "next_serial": 77,
        "serial": 5,
        "members": columns | {"users": ["bob"], "serials": [3], "roles": [1]},
        "messages": [message | {"recalled": True}, message],
    }
    one = cli.file("one.json", json.dumps(nothing | {"groups": [group], "random": [1]}))
    two = cli.file("two.json", json.dumps(nothing | {"groups": [other], "online": ["ann"], "accounts": ["ann", "bob"]}))
    three = cli.file("three.json", json.dumps(nothing | {"official_accounts": [{"account_id": "o"} | other]}))
    found = cli("state", "diff", one, two, "--json", code=1).json
    shown = {"joined": 5, "read up to": 0, "receive option": 0}
    assert [list(entry.values()) for entry in found] == [
        ["accounts", "ann: online", False, True],
        ["accounts", "bob", None, {"imported": True, "online": False}],
        ["group g", "member ann", {"role": "Owner", **shown, "name card": "A"}, None],
        ["group g", "member bob", None, {"role": "Member", **shown}],
        ["group g", "message 1: recalled", False, True],
        ["group g", "message 2", None, message],
    ]
    assert list(found[0]) == ["where", "what", "first", "second"]
    assert cli("state", "diff", one, three, code=1).out.splitlines()[1:] == [
        "group g             exists  yes    no",
        "official account o  exists  no     yes",
    ]


def test_diff_lists_differing_one_to_one_messages(cli: Shell) -> None:
    nothing: dict[str, Any] = {
        "version": 2, "random": [], "accounts": ["ann"], "profiles": {}, "online": [], "deleted": {}, "groups": [],
        "official_accounts": [], "official_gone": [], "contacts": {},
    }  # fmt: skip
    message = {"sender": "ann", "receiver": "@TOA#_o", "seq": 7, "random": 8, "time": 9, "recalled": False}
    one = cli.file("one.json", json.dumps(nothing))
    two = cli.file("two.json", json.dumps(nothing | {"one_to_one": [message]}))
    three = cli.file("three.json", json.dumps(nothing | {"one_to_one": [message | {"recalled": True}]}))
    where, name = "one-to-one messages", "ann to @TOA#_o 7_8_9"
    found = [cli("state", "diff", first, second, "--json", code=1).json for first, second in ((one, two), (two, three))]
    assert [[list(entry.values()) for entry in entries] for entries in found] == [
        [[where, name, None, message]], [[where, f"{name}: recalled", False, True]],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"version": 9}', "the state has version 9, this stub reads 1 and 2"),
        ("nonsense", "it is no state of the stub"),
        (None, "No such file or directory"),
    ],
)
def test_file_without_state_is_refused(cli: Shell, content: str | None, complaint: str) -> None:
    path = cli.file("wrong", content) if content is not None else str(cli.directory / "nowhere")
    commands = [["state", "dump", path], ["state", "load", path], ["state", "diff", path, path]]
    for words in commands if content is None else [["stub", "--port", "0", "--state", path], *commands]:
        assert cli(*words, code=2).err == f"error: {path}: {complaint}\n"
    if content is not None:
        assert Path(path).read_text() == content


def test_unreachable_stub_is_reported(cli: Shell, served: Served) -> None:
    without = cli("state", "dump", "--url", served.url, code=1).err
    assert without == f"error: the stub at {served.url} has no control plane; start it with --control\n"
    closed = cli("state", "dump", "--url", "http://127.0.0.1:1", code=7).err
    assert closed == "error: the stub at http://127.0.0.1:1 cannot be reached: ClientConnectorError\n"
    for url, code in (("http://keeper:abc123@127.0.0.1:1", 7), ("keeper:abc123@h", 7)):
        complaint = cli("state", "dump", "--url", url, code=code).err
        assert ("***@" in complaint, "abc123" in complaint) == (True, False)
    assert "is not an address" in cli("state", "dump", "--url", "nonsense", code=2).err
    assert "cannot be read" in cli("state", "dump", "--url", "https://localhost:1", "--ca-file", "none", code=2).err


def test_dump_is_written_into_a_pipe_that_stays(serve: Serve, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with serve() as (shell, url, _), ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        shell("state", "dump", "--url", url, "--output", str(pipe))
        assert pipe.is_fifo()
        assert json.loads(read.result(SECONDS))["accounts"] == ["administrator"]


def test_token_with_line_break_is_refused(tmp_path: Path) -> None:
    error = Shell(tmp_path, None)("state", "dump", "--token", "two\nlines", "--json", code=2).error
    assert (error["kind"], error["field"]) == ("usage", "token")
    assert "two" not in error["message"]
