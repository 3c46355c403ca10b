"""State of a stub in a file: what survives each kind of end, and unusable files."""

# ruff: noqa: ASYNC240 - small files, and no other task in the loop

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import TLSSigAPIv2

from channel_adapter.stub.control.plane import ControlSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import DEFAULT_KEY, StubSettings
from channel_adapter.stub.state_file import StateFileError, read_document
from tests.stub.conftest import ACCOUNTS, GROUPS, Start

IMPORT = f"{ACCOUNTS}/account_import"
GROUP = {"Type": "Community", "Name": "News", "GroupId": "@TGS#_news", "Owner_Account": "ann"}
SEND = {"GroupId": "@TGS#_news", "Random": 1, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "tide"}}]}
HEADER = '{"format":"channel-adapter stub state","version":2}\n'
SERVE = """
import asyncio, sys
from pathlib import Path
from channel_adapter.stub.server import serve
asyncio.run(serve(ready_file=Path(sys.argv[1]), state=Path(sys.argv[2]), save_every=float(sys.argv[3])))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


LEFT = [".state.jsonl.lock", "state.jsonl"]  # files that a stub leaves in a folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def accounts_in(file: Path) -> list[str]:
    accounts: list[str] = read_document(file)["accounts"]
    return accounts


async def test_next_stub_continues_with_saved_state(file: Path, stranger: Start) -> None:
    async with StubServer(state=file) as one:
        caller = stranger(one)
        await caller.must(IMPORT, {"UserID": "ann"})
        await caller.must(f"{GROUPS}/create_group", GROUP)
        first = await caller.must(f"{GROUPS}/send_group_msg", SEND)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names_in(file.parent) == LEFT
    async with StubServer(state=file) as two:
        caller = stranger(two)
        assert await caller.must(f"{GROUPS}/send_group_msg", SEND) == first  # a repetition of the first stub's message
        history = await caller.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": "@TGS#_news", "ReqMsgNumber": 5})
        assert [message["MsgSeq"] for message in history["RspMsgList"]] == [1]
        assert two.log.count("create_group") == 0
    said = file.read_text()
    assert said.startswith(HEADER)
    assert DEFAULT_KEY not in said
    assert "usersig" not in said
    assert "account_import" not in said


async def test_unchanged_state_is_not_written(file: Path, stranger: Start) -> None:
    async with StubServer(state=file):
        assert accounts_in(file) == ["administrator"]  # the first file is written at the start, as a check of the path
    before = file.stat().st_ino
    async with StubServer(state=file, save_every=0.01) as server:
        await stranger(server).must(f"{ACCOUNTS}/account_check", {"CheckItem": [{"UserID": "ann"}]})
        await asyncio.sleep(0.05)
    assert file.stat().st_ino == before


async def test_state_is_saved_periodically(file: Path, stranger: Start) -> None:
    async with StubServer(state=file, save_every=0.02) as server:
        await stranger(server).must(IMPORT, {"UserID": "ann"})
        async with asyncio.timeout(5):
            while "ann" not in accounts_in(file):  # noqa: ASYNC110 - a save is not reported
                await asyncio.sleep(0.01)


async def test_state_is_saved_before_every_answer(file: Path, stranger: Start) -> None:
    async with StubServer(state=file, save_every=0) as server:
        for number in range(20):
            await stranger(server).must(IMPORT, {"UserID": f"user_{number}"})
            assert accounts_in(file)[-1] == f"user_{number}"


async def test_restarted_stub_keeps_its_state_in_memory(file: Path, stranger: Start) -> None:
    server = StubServer(state=file)
    async with server:
        caller = stranger(server)
        await caller.must(IMPORT, {"UserID": "ann"})
        await caller.must(f"{GROUPS}/create_group", GROUP)
        await caller.must(f"{GROUPS}/send_group_msg", SEND)
        server.world.client("administrator").login()
    file.unlink()
    server.world.client("administrator").logout()
    async with server:
        caller = stranger(server)
        history = await caller.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": GROUP["GroupId"], "ReqMsgNumber": 5})
        assert [message["MsgSeq"] for message in history["RspMsgList"]] == [1]
        assert server.world.state.online == {}
    document = read_document(file)
    assert ([group["group_id"] for group in document["groups"]], document["online"]) == ([GROUP["GroupId"]], {})


async def test_list_of_groups_goes_on_after_a_restart(file: Path, stranger: Start) -> None:
    ids = [f"@TGS#_{number}" for number in range(8)]
    page = {"GroupType": "Community", "Limit": 2}
    async with StubServer(state=file) as server:
        caller = stranger(server)
        for group_id in ids:
            await caller.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": group_id})
        for group_id in ids[:3]:
            await caller.must(f"{GROUPS}/destroy_group", {"GroupId": group_id})
        first = await caller.must(f"{GROUPS}/get_appid_group_list", page)
    async with StubServer(state=file) as server:
        caller = stranger(server)
        await caller.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": "@TGS#_new"})
        rest = await caller.must(f"{GROUPS}/get_appid_group_list", page | {"Limit": 9, "Next": first["Next"]})
    listed = [item["GroupId"] for answer in (first, rest) for item in answer["GroupIdList"]]
    assert listed == [*ids[3:], "@TGS#_new"]


async def test_json_document_is_accepted_as_state(file: Path, stranger: Start) -> None:
    async with StubServer() as server:
        await stranger(server).must(IMPORT, {"UserID": "ann"})
        document = server.world.dump()
    file.write_text(json.dumps(document, indent=2))
    async with StubServer(state=file) as server:
        assert server.world.state.account("ann") == "ann"
    assert read_document(file) == document


async def test_state_may_be_larger_than_request_limit(session: aiohttp.ClientSession) -> None:
    small = StubSettings.model_validate({"limits": {"request_bytes": 100}})
    async with StubServer(small, control=ControlSettings()) as server:
        users = [f"reader_{number}" for number in range(10_000)]
        document = server.world.dump() | {"accounts": [server.admin, *users]}
        async with session.put(f"{server.url}/_stub/state", json=document) as response:
            assert response.status == 200
        assert list(server.world.state.accounts())[-1] == users[-1]


async def test_older_file_is_read_and_rewritten_after_change(file: Path) -> None:
    older = Path(__file__).parents[1] / "unit" / "state_version_1.json"
    shutil.copy(older, file)
    async with StubServer(state=file) as server:
        assert len(server.world.state.groups) == 2
        assert file.read_bytes() == older.read_bytes()  # no change so far
        server.world.client("a").logout()
    assert file.read_text().startswith(HEADER)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "it is no state of the stub"),
        ("[]", "the state has version None, this stub reads 1 and 2"),
        ("not JSON", "it is no state of the stub"),
        ('{"version": 2}', "the state is damaged: 'random' is missing"),
        ('{"version": 3}', "the state has version 3, this stub reads 1 and 2"),
        ('{"format":"channel-adapter stub state","version":3}\n', "the state has version 3, this stub reads 1 and 2"),
        ('{"format":"channel-adapter stub state"}\n', "the state has version None, this stub reads 1 and 2"),
        (HEADER, "its end is missing"),
        (HEADER + '["accounts",["ann"]]\n["end",2]\n', "it holds 1 records of 2"),
        (HEADER + '["accounts",["ann"]\n', "line 2 is damaged"),
        (HEADER + '["accounts"]\n', "line 2 is damaged"),
        (HEADER + '["wishes",[]]\n["end",1]\n', "the state is damaged: unknown record 'wishes'"),
        (HEADER + '["end",0]\n', "the state is damaged: it is empty"),
    ],
)
async def test_unusable_file_is_refused_and_left_unchanged(file: Path, content: str, complaint: str) -> None:
    file.write_text(content)
    server = StubServer(state=file)
    with pytest.raises(StateFileError) as refused:
        await server.start()
    assert str(refused.value) == f"{file}: {complaint}"
    await server.stop()
    assert file.read_text() == content
    assert names_in(file.parent) == LEFT
    assert server.world.state.account_count() == 1


async def test_directory_or_missing_folder_is_refused_as_state(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="Is a directory"):
        await StubServer(state=tmp_path).start()
    with pytest.raises(StateFileError, match="No such file or directory"):
        await StubServer(state=tmp_path / "nowhere" / "state").start()


async def test_failed_save_is_logged_and_tried_again(
    tmp_path: Path, stranger: Start, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with StubServer(state=folder / "state", save_every=0.01) as server:
        shutil.rmtree(folder)
        with caplog.at_level(logging.ERROR):
            await stranger(server).must(IMPORT, {"UserID": "ann"})
            async with asyncio.timeout(5):
                while caplog.text.count("cannot be saved: No such file or directory") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        folder.mkdir()
        async with asyncio.timeout(5):
            while not (folder / "state").exists():  # noqa: ASYNC110 - a save is not reported
                await asyncio.sleep(0.01)
        assert "ann" in accounts_in(folder / "state")


async def test_control_request_whose_effect_cannot_be_saved_is_answered_with_500(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    server = StubServer(state=folder / "state", save_every=0, control=ControlSettings())
    await server.start()
    shutil.rmtree(folder)
    async with session.post(f"{server.url}/_stub/reset") as answer:
        assert (answer.status, list(await answer.json())) == (500, ["error"])
    assert server.app.failures == 1
    with pytest.raises(StateFileError, match="cannot be saved"):
        await server.stop()


async def test_failed_save_is_logged_and_raised_at_stop(
    tmp_path: Path, stranger: Start, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    server = StubServer(state=folder / "state", save_every=0.01)
    await server.start()
    shutil.rmtree(folder)
    with caplog.at_level(logging.ERROR):
        await stranger(server).must(IMPORT, {"UserID": "ann"})
        async with asyncio.timeout(5):
            while "cannot be saved: No such file or directory" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    with pytest.raises(StateFileError, match="cannot be saved"):
        await server.stop()
    with pytest.raises(RuntimeError, match="no address"):
        _ = server.url


def test_failed_save_at_stop_leaves_no_thread(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    server = StubServer(state=folder / "state")
    before = threading.active_count()
    running = server.run_in_thread()
    running.__enter__()
    server.in_loop(server.reset)
    shutil.rmtree(folder)
    with pytest.raises(StateFileError):
        running.__exit__(None, None, None)
    assert threading.active_count() == before


async def test_second_stub_on_same_state_is_refused(file: Path, stranger: Start) -> None:
    link = file.with_name("link")
    async with StubServer(state=file, save_every=0) as first:
        link.symlink_to(file)
        for path in (file, link):
            second = StubServer(state=path, save_every=0)
            with pytest.raises(StateFileError, match="another stub uses this state"):
                await second.start()
            with pytest.raises(RuntimeError, match="no address"):
                _ = second.url
            await second.stop()
        await stranger(first).must(IMPORT, {"UserID": "ann"})
    async with StubServer(state=link) as third:
        assert third.world.state.account("ann") == "ann"


async def test_failed_start_releases_state(file: Path) -> None:
    async with StubServer() as other:
        taken = int(other.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await StubServer(state=file, port=taken).start()
    async with StubServer(state=file):
        pass


def test_state_of_killed_stub_can_be_used(file: Path) -> None:
    with process(file, 0) as (running, ready):
        import_account(ready, "ann")
        with (
            pytest.raises(StateFileError, match="another stub uses this state"),
            StubServer(state=file).run_in_thread(),
        ):
            pytest.fail("two stubs have one state")
        os.kill(running.pid, signal.SIGKILL)
        running.wait(10)
    with StubServer(state=file).run_in_thread() as server:
        assert server.world.state.account("ann") == "ann"


async def test_link_to_state_stays_link(tmp_path: Path, stranger: Start) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    for _ in range(2):
        async with StubServer(state=link) as server:
            await stranger(server).must(IMPORT, {"UserID": "ann"})
    assert link.is_symlink()
    assert "ann" in accounts_in(real)


@contextlib.contextmanager
def process(file: Path, save_every: float) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """Yield a process with a stub that has a state file, and the content of its ready file."""
    ready = file.with_name("ready.json")
    ready.unlink(missing_ok=True)
    running = subprocess.Popen([sys.executable, "-c", SERVE, str(ready), str(file), str(save_every)])
    try:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield running, json.loads(ready.read_text())
    finally:
        running.kill()
        running.wait()


def import_account(ready: dict[str, Any], user: str) -> None:
    signature = TLSSigAPIv2.TLSSigAPIv2(ready["sdkappid"], ready["key"]).gen_sig(ready["admin"])
    query = f"sdkappid={ready['sdkappid']}&identifier={ready['admin']}&usersig={signature}"
    body = json.dumps({"UserID": user}).encode()
    with urllib.request.urlopen(f"{ready['url']}/v4/{IMPORT}?{query}", body, timeout=10) as answer:  # noqa: S310
        assert json.load(answer)["ErrorCode"] == 0


def test_sigterm_saves_state(file: Path) -> None:
    with process(file, 1_000) as (running, ready):
        import_account(ready, "ann")
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0
    assert "ann" in accounts_in(file)


def test_sigkill_loses_only_changes_after_last_save(file: Path) -> None:
    (file.parent / f".{file.name}.half.new").write_text("{")  # left by a stub that was killed during a save
    with process(file, 0) as (running, ready):
        for number in range(50):
            import_account(ready, f"user_{number}")
        os.kill(running.pid, signal.SIGKILL)
        running.wait(10)
    assert len(accounts_in(file)) == 51
    with process(file, 1_000) as (running, ready):
        import_account(ready, "late")
        os.kill(running.pid, signal.SIGKILL)
        running.wait(10)
    assert len(accounts_in(file)) == 51
    assert names_in(file.parent) == [LEFT[0], "ready.json", LEFT[1]]
