"""Imports of subscribers from files: checked completely, run in parts, and continued after a kill."""

import asyncio
import csv
import io
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from channel_adapter import ChannelAdapter, OutcomeKind, ScheduleState, Text
from channel_adapter.console import application
from channel_adapter.console.app import has_local_work
from channel_adapter.console.server import listening_socket, serve
from channel_adapter.store.console import ConsoleRows, SubscriberImport
from channel_adapter.store.database import Database
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.console.conftest import FIELDS, READERS, ROLE_HEADER, Answer, Browser, Served, authorise, settings_for

PROGRAM = Path(sys.executable).with_name("channel-adapter")
UPLOAD, SYNC = "/c/harbor_news/imports", "/c/harbor_news/sync"
SECONDS = 60
FAILS = "BEGIN SELECT abs(-9223372036854775807 - 1 + 0 * random()); END"
"""Body of a trigger that lets a statement fail as in an outage of the database: by an integer overflow."""


async def uploaded(browser: Browser, text: str, name: str = "users.csv", place: str = UPLOAD, **fields: str) -> Answer:
    form = FormData(fields)
    form.add_field("file", io.BytesIO(text.encode()), filename=name, content_type="text/csv")
    return await browser.post(place, form)


async def ended(browser: Browser, place: str) -> Answer:
    """Load the page of an import repeatedly until the import has ended."""
    deadline = time.monotonic() + SECONDS
    while "<strong>running" in (page := await browser.get(place)).text:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return page


def counts(page: Answer) -> dict[str, int]:
    """Return the number of users by outcome on a page."""
    found = re.findall(r"<li>([\w ]+): ([\d,]+)</li>", page.text)
    return {kind: int(number.replace(",", "")) for kind, number in found}


async def failures(browser: Browser, place: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO((await browser.get(f"{place}/failed.csv")).text)))


async def test_file_is_checked_before_users_are_imported(browser: Browser, served: Served) -> None:
    sent = await uploaded(browser, "user,name\nreader_1,Ann\nnobody_9,Bo\n,Cy\nreader_2,Di\nreader_1,Ann\n=1+1é,X\n")
    assert sent.status == 303
    page = await browser.get(sent.place)
    assert "checked, not started" in page.text
    assert "<code>reader_2</code>" in page.text
    assert "the user id is empty" in page.text
    assert await served.adapter.subscriptions.count("harbor_news") == 0

    assert (await browser.submit(sent.place)).place == sent.place
    page = await ended(browser, sent.place)
    assert counts(page) == {"line cannot be used": 2, "named twice": 1, "added": 2, "no such account": 1}
    assert await served.adapter.subscriptions.count("harbor_news") == 2
    rows = await failures(browser, sent.place)
    assert rows[0] == ["line", "user", "outcome", "reason"]
    assert {(row[0], row[2]) for row in rows[1:]} == {
        ("4", "unusable"), ("6", "repeated"), ("7", "unusable"), ("3", "not_found"),
    }  # fmt: skip
    assert "'=1+1" in next(row[1] for row in rows if row[0] == "7")


async def test_missing_accounts_are_imported_if_chosen(browser: Browser, served: Served) -> None:
    sent = await uploaded(browser, "reader_1\nnobody_9\n")
    await browser.submit(sent.place, import_missing="on")
    assert counts(await ended(browser, sent.place)) == {"added": 2}
    assert await served.adapter.subscriptions.is_subscribed("harbor_news", ["nobody_9"]) == {"nobody_9": True}


@pytest.mark.parametrize(
    ("text", "fields", "says"),
    [
        ("a;b\nc,d\n", {}, "separates the columns is not certain"),
        ("name,city\nAnn,Rome\n", {}, "none has a name that is known"),
        ("user,name\nreader_1,Ann\n", {"column": "age"}, "no column is named"),
        ("", {}, "has no users"),
    ],
)
async def test_ambiguous_file_is_refused_with_its_reason(
    text: str, fields: dict[str, str], says: str, browser: Browser
) -> None:
    sent = await uploaded(browser, text, **fields)
    assert sent.status in (404, 422)
    assert says in sent.text
    assert sent.form(UPLOAD).get("column") == fields.get("column", "")


async def test_form_without_a_file_is_shown_again(browser: Browser) -> None:
    form = FormData({"column": "id"})
    form.add_field("file", b"", filename="", content_type="application/octet-stream")
    sent = await browser.post(UPLOAD, form)
    assert sent.status == 422
    assert sent.form(UPLOAD)["column"] == "id"


async def test_100000_lines_with_one_percent_invalid_are_checked(browser: Browser) -> None:
    lines = [f"user_{n}" if n % 100 else f"user {n}é" for n in range(1, 100_001)]
    page = await browser.get((await uploaded(browser, "\n".join(lines))).place)
    assert counts(page) == {"line cannot be used": 1_000}
    assert "0 of 99,000 users" in page.text
    assert "1,000 lines cannot be used" in page.text or "1000 lines cannot be used" in page.text


async def test_import_continues_after_temporary_service_failure(browser: Browser, served: Served) -> None:
    served.stub.faults.add(Fault(command="add_group_member", drop=True, times=3))
    sent = await uploaded(browser, "\n".join(READERS))
    await browser.submit(sent.place)
    assert counts(await ended(browser, sent.place)) == {"added": len(READERS)}
    assert len(served.stub.log.calls("add_group_member")) > 3
    assert await served.adapter.subscriptions.count("harbor_news") == len(READERS)


async def test_progress_is_sent_as_events_until_the_end(browser: Browser, served: Served) -> None:
    sent = await uploaded(browser, "\n".join(READERS))
    await browser.submit(sent.place)
    stream = (await browser.get(f"{sent.place}/events")).text
    assert stream.startswith("event: message\ndata: ")
    assert stream.rstrip().rpartition("\n\n")[2].startswith("event: end\n")
    assert "12 of 12 users" in stream


async def test_downloaded_subscribers_are_imported_whatever_their_ids_begin_with(
    browser: Browser, served: Served
) -> None:
    users = ["+4912345", "@ada", "-1", "=1+1", "'eve", "reader_1"]
    await served.adapter.accounts.add(users)
    await served.adapter.subscriptions.subscribe("harbor_news", users)
    await served.adapter.channels.create(slug="other", name="Other", owner="editor_7")
    file = (await browser.get("/c/harbor_news/subscribers.csv")).text
    assert "\r\n'=1+1," in file
    sent = await uploaded(browser, file, place="/c/other/imports")
    await browser.submit(sent.place)
    assert counts(await ended(browser, sent.place)) == {"added": len(users)}


async def test_events_end_when_their_page_is_closed(adapter: ChannelAdapter, served: Served) -> None:
    app, listening = application(adapter, authorise), listening_socket("127.0.0.1", 0)
    served.stub.faults.add(Fault(command="add_group_member", drop=True))
    async with (
        serve(app, listening, ""),
        aiohttp.ClientSession(
            f"http://127.0.0.1:{listening.getsockname()[1]}", headers={ROLE_HEADER: "admin"}
        ) as session,
    ):
        browser = Browser(cast("Any", session), "admin")
        sent = await uploaded(browser, "\n".join(READERS))
        await browser.submit(sent.place)
        before = len(asyncio.all_tasks())
        for _ in range(10):
            async with session.get(f"{sent.place}/events") as answer:
                assert (await answer.content.readline()) == b"event: message\n"
                answer.close()
        deadline = time.monotonic() + 10
        while len(asyncio.all_tasks()) > before + 3:
            assert time.monotonic() < deadline, "requests whose page is closed go on"
            await asyncio.sleep(0.1)


async def test_name_of_a_file_that_is_not_utf_8_is_shown(browser: Browser, served: Served) -> None:
    disposition = b'Content-Disposition: form-data; name="file"; filename="r\xe9ad.csv"'
    body = b"--b\r\n" + disposition + b"\r\n\r\nreader_1\r\n--b--\r\n"
    sent = await browser.post(UPLOAD, body, Content_Type="multipart/form-data; boundary=b")
    page = await browser.get(sent.place)
    assert (page.status, "Import of r?ad.csv" in page.text) == (200, True)
    assert (await browser.get("/c/harbor_news/subscribers")).status == 200


async def test_import_is_not_found_under_another_channel(browser: Browser, served: Served) -> None:
    await served.adapter.channels.create(slug="other", name="Other", owner="editor_7")
    sent = await uploaded(browser, "reader_1\n")
    assert (await browser.get(sent.place.replace("harbor_news", "other"))).status == 404


async def test_finished_import_cannot_be_started_again(browser: Browser) -> None:
    sent = await uploaded(browser, "reader_1\n")
    form = (await browser.get(sent.place)).form(sent.place)
    await browser.post(sent.place, form)
    await ended(browser, sent.place)
    assert (await browser.post(sent.place, form)).status == 409


async def test_import_with_database_is_completed_by_a_job_and_logged(
    stub: StubServer, adapter: ChannelAdapter, tmp_path: Path
) -> None:
    settings = settings_for(stub, database_url=f"sqlite:///{tmp_path / 'a.db'}")
    async with ChannelAdapter.open(settings) as own:
        app = application(own, authorise)
        async with TestClient(TestServer(app)) as client:
            browser = Browser(client, "admin")
            sent = await uploaded(browser, "\n".join(READERS))
            await browser.submit(sent.place)
            assert counts(await ended(browser, sent.place)) == {"added": len(READERS)}
            log = (await browser.get("/log")).text
            assert "import started" in log
    with closing(sqlite3.connect(tmp_path / "a.dbos.db")) as jobs:
        ((status, number),) = jobs.execute("SELECT status, count(*) FROM workflow_status GROUP BY status")
    assert (status, number) == ("SUCCESS", 1)


async def test_import_continues_in_another_console_of_the_process(
    stub: StubServer, adapter: ChannelAdapter, tmp_path: Path
) -> None:
    settings = settings_for(stub, database_url=f"sqlite:///{tmp_path / 'a.db'}")
    async with ChannelAdapter.open(settings) as other, TestClient(TestServer(application(other, authorise))) as client:
        browser = Browser(client, "admin")
        async with ChannelAdapter.open(settings) as own, TestClient(TestServer(application(own, authorise))) as first:
            sent = await uploaded(Browser(first, "admin"), "reader_1\n")
            await Browser(first, "admin").submit(sent.place)
            assert counts(await ended(browser, sent.place)) == {"added": 1}
            stub.faults.add(Fault(command="add_group_member", status=502))
            sent = await uploaded(browser, "\n".join(READERS))
            await browser.submit(sent.place)
            deadline = time.monotonic() + SECONDS
            while not any(call.code is None for call in stub.log.calls("add_group_member")):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        stub.faults.replace([])
        assert counts(await ended(browser, sent.place)) == {"added": len(READERS) - 1, "subscribed before": 1}


async def test_groups_of_all_subscribers_and_of_a_file_are_synced(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.subscriptions.subscribe("harbor_news", READERS, assign=False)
    for kind in ("changed", "right before"):
        sent = await browser.submit(SYNC)
        assert counts(await ended(browser, sent.place)) == {kind: len(READERS)}
    (group,) = [each async for each in stored.adapter.unread.groups("reader_3")]
    assert (group.name, group.channels) == ("Channels", ("@TGS#_harbor_news",))
    await stored.adapter.subscriptions.unsubscribe("harbor_news", ["reader_1"], assign=False)
    sent = await uploaded(browser, "user\nreader_1\nreader_2\nnobody_9\n", place=f"{SYNC}/file")
    page = await browser.get(sent.place)
    assert "checked, not started" in page.text
    await browser.submit(sent.place)
    assert counts(await ended(browser, sent.place)) == {"changed": 1, "right before": 1, "failed": 1}
    (row,) = (await failures(browser, sent.place))[1:]
    assert row[:3] == ["4", "nobody_9", "failed"]
    (group,) = [each async for each in stored.adapter.unread.groups("reader_1")]
    assert group.channels == ()
    assert (await browser.get(sent.place)).heading == "Sync of users.csv"
    wrong = await uploaded(browser, "name,city\nAnn,Rome\n", place=f"{SYNC}/file")
    assert (wrong.status, wrong.heading) == (422, "Sync conversation groups")


async def test_sync_continues_when_the_console_is_started_again(
    stub: StubServer, adapter: ChannelAdapter, tmp_path: Path
) -> None:
    settings = settings_for(stub, database_url=f"sqlite:///{tmp_path / 'a.db'}")
    await adapter.subscriptions.subscribe("harbor_news", READERS, assign=False)
    for faults in ([Fault(command="get_group_member_info", status=502)], []):
        stub.faults.replace(faults)
        async with ChannelAdapter.open(settings) as own, TestClient(TestServer(application(own, authorise))) as client:
            browser = Browser(client, "admin")
            if faults:
                sent = await browser.submit(SYNC)
                assert "the subscribers are listed first" in (await browser.get(sent.place)).text
            else:
                assert counts(await ended(browser, sent.place)) == {"changed": len(READERS)}


def run_sql(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(statement)


async def test_end_of_an_import_is_recorded_after_an_outage_of_the_database(
    stored: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    browser, file = stored.browser(), tmp_path / "console.db"
    sent = await uploaded(browser, "\n".join(READERS))
    run_sql(
        file,
        "CREATE TRIGGER outage BEFORE UPDATE ON console_import WHEN NEW.state <> 'running' " + FAILS,
    )
    await browser.submit(sent.place)
    deadline = time.monotonic() + SECONDS
    while "console.database_not_ready" not in caplog.text:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert "<strong>running" in (await browser.get(sent.place)).text
    run_sql(file, "DROP TRIGGER outage")
    assert counts(await ended(browser, sent.place)) == {"added": len(READERS)}


async def test_console_knows_whether_work_ends_with_its_process(
    stub: StubServer, adapter: ChannelAdapter, stored: Served
) -> None:
    app = application(adapter, authorise)
    async with TestClient(TestServer(app)) as client:
        browser = Browser(client, "admin")
        assert not has_local_work(app)
        stub.faults.add(Fault(command="add_group_member", status=502))
        sent = await uploaded(browser, "reader_1\n")
        await browser.submit(sent.place)
        assert has_local_work(app)
        stub.faults.replace([])
        await ended(browser, sent.place)
        assert not has_local_work(app)
    browser = stored.browser()
    sent = await uploaded(browser, "reader_2\n")
    await browser.submit(sent.place)
    assert not has_local_work(stored.client.app), "a job goes on elsewhere"
    await ended(browser, sent.place)


async def test_import_whose_job_cannot_start_can_be_started_again(stored: Served, tmp_path: Path) -> None:
    browser = stored.browser()
    sent = await uploaded(browser, "reader_1\n")
    (tmp_path / "console.dbos.db").mkdir()
    assert (await browser.submit(sent.place)).status in (500, 503)
    assert "<strong>interrupted" in (await ended(browser, sent.place)).text
    (tmp_path / "console.dbos.db").rmdir()
    await browser.submit(sent.place)
    assert counts(await ended(browser, sent.place)) == {"added": 1}


async def test_console_that_starts_without_its_database_continues_imports_later(
    stub: StubServer, adapter: ChannelAdapter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.db"
    settings = settings_for(stub, database_url=f"sqlite:///{file}")
    stub.faults.add(Fault(command="add_group_member", status=502))
    async with ChannelAdapter.open(settings) as own, TestClient(TestServer(application(own, authorise))) as client:
        sent = await uploaded(Browser(client, "admin"), "reader_1\n")
        await Browser(client, "admin").submit(sent.place)
    stub.faults.replace([])
    run_sql(file, "INSERT INTO console_write (at, operator, route, channel, outcome) VALUES (0, '', '', '', '')")
    run_sql(file, "CREATE TRIGGER outage BEFORE DELETE ON console_write " + FAILS)
    async with ChannelAdapter.open(settings) as own, TestClient(TestServer(application(own, authorise))) as client:
        assert "console.database_not_ready" in caplog.text
        assert counts(await ended(Browser(client, "admin"), sent.place)) == {"added": 1}


async def test_ended_import_and_later_run_are_not_changed(stored: Served, tmp_path: Path) -> None:
    """A console that starts marks what another one has left; it may have ended, or run again, meanwhile."""
    browser = stored.browser()
    sent = await uploaded(browser, "reader_1\n")
    await browser.submit(sent.place)
    await ended(browser, sent.place)
    id_ = sent.place.rpartition("/")[2]
    async with Database.shared(f"sqlite:///{tmp_path / 'console.db'}") as database:
        rows = ConsoleRows(database)
        assert not await rows.set_import(id_, state="failed", message="It was interrupted")
        assert "<strong>done" in (await browser.get(sent.place)).text
        run_sql(tmp_path / "console.db", "UPDATE console_import SET state = 'running', run = 2")
        assert not await rows.set_import(id_, state="failed", run=1)
        assert await rows.set_import(id_, state="failed", run=2)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_users_without_outcome_become_a_part_of_their_own(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else f"sqlite:///{tmp_path / 'a.db'}"
    import_of = partial(
        SubscriberImport, channel="c", name="n", operator="o", state="preview", total=4, import_missing=False, run=0,
        created=time.time(), started=None, ended=None, message="", counts={},
    )  # fmt: skip
    async with Database.shared(url) as database:
        rows = ConsoleRows(database)
        await rows.add_import(import_of(id="one"), [[(1, "a"), (2, "b"), (3, "c"), (4, "d")]], [])
        assert await rows.start_import("one", import_missing=False) == 1
        failed = [(2, "b", "failed", "down"), (3, "c", "not_found", "")]
        await rows.end_part("one", 1, {"added": 1, "failed": 1, "not_found": 1}, failed, [(4, "d")])
        await rows.end_part("one", 1, {"added": 4}, [])  # it has ended before
        assert await rows.part("one", 2, is_open=True) == [(4, "d")]
        assert await rows.set_import("one", state="failed")
        assert await rows.start_import("one", import_missing=False) == 2
        assert [await rows.part("one", number, is_open=True) for number in (1, 2, 3)] == [[], [(4, "d")], [(2, "b")]]
        found = await rows.get_import("one")
        assert found is not None
        assert found.counts == {"added": 1, "not_found": 1}
        await rows.end_part("one", 3, {"failed": 1}, [(2, "b", "failed", "down")])
        await rows.set_import("one", state="failed")
        await rows.start_import("one", import_missing=False)
        assert await rows.parts("one") == [1, 2, 3], "a part of failed users only is opened again"
        assert await rows.failures("one", 1) == [[3, "c", "not_found", ""]]


async def test_only_failed_users_are_done_again(stored: Served) -> None:
    browser = stored.browser()
    users = [f"user_{number}" for number in range(119)]
    await stored.adapter.accounts.add(users)
    await stored.adapter.subscriptions.subscribe("harbor_news", users, assign=False)
    sent = await uploaded(browser, "\n".join(["nobody_9", *users]), place=f"{SYNC}/file")
    stored.stub.faults.add(Fault(account="user_110", code=70003))
    await browser.submit(sent.place)
    page = await ended(browser, sent.place)
    assert "<strong>interrupted" in page.text
    before = counts(page)
    assert (99 <= before["changed"] < 119, before["failed"]) == (True, 1)
    await stored.adapter.accounts.add(["nobody_9"])
    stored.stub.faults.replace([])
    await browser.submit(sent.place)
    found = counts(await ended(browser, sent.place))
    assert before["changed"] <= found["changed"], "users of a part with a failure keep their outcomes"
    assert (set(found), sum(found.values())) == ({"changed", "right before"}, 120)
    assert await failures(browser, sent.place) == [["line", "user", "outcome", "reason"]]


class Console:
    """A console in a separate process."""

    def __init__(self, config: Path, ready: Path) -> None:
        ready.unlink(missing_ok=True)
        arguments = ["console", "--port", "0", "--config", str(config), "--ready-file", str(ready)]
        self.process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._ready = ready

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    async def url(self) -> str:
        deadline = time.monotonic() + SECONDS
        while not self._ready.exists():
            assert self.process.poll() is None, self.process.stdout.read() if self.process.stdout else ""
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        found: str = json.loads(self._ready.read_text())["url"]
        return found

    def end(self, number: int) -> bytes:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=SECONDS)
        return out


async def test_import_continues_after_a_kill_and_scheduled_posts_are_published(tmp_path: Path) -> None:
    fields = StubSettings.model_validate({"app": {"group_fields": FIELDS}})
    async with (
        StubServer(fields, latency=0.01) as stub,
        ChannelAdapter.open(settings_for(stub, total_seconds=60.0)) as adapter,
    ):
        added = await adapter.accounts.add(["editor_7", *(f"user_{n}" for n in range(1, 3_001))])
        assert added.counts == {OutcomeKind.ADDED: 3_001}
        await adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        config = tmp_path / "adapter.toml"
        config.write_text(
            f'sdkappid = {stub.sdkappid}\nkey = "{stub.key}"\nbase_url = "{stub.url}"\nconcurrency = 4\n'
            f'rate_limits = false\ndatabase_url = "sqlite:///{tmp_path / "a.db"}"\n'
        )
        lines = [f"user_{n}" if n % 100 else f"user {n}é" for n in range(1, 3_001)]
        with Console(config, tmp_path / "ready.json") as first:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                place = await started(session, await first.url(), "\n".join(lines))
                while await adapter.subscriptions.count("harbor_news") < 700:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
            first.end(signal.SIGKILL)
        assert await adapter.subscriptions.count("harbor_news") < 2_970
        async with ChannelAdapter.open(config) as planning:
            at = datetime.now(UTC) + timedelta(seconds=2)
            scheduled = await planning.posts.schedule("harbor_news", Text("By the console"), at=at)
        with Console(config, tmp_path / "ready.json") as second:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                found, broken = await finished(session, await second.url(), place)
            async with ChannelAdapter.open(config) as planning, asyncio.timeout(SECONDS):
                while (await planning.posts.get_scheduled(scheduled.id)).state is not ScheduleState.PUBLISHED:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            out = second.end(signal.SIGTERM)
        assert second.process.returncode == 0, out
        assert stub.key.encode() not in out
        assert found.get("added", 0) + found.get("subscribed before", 0) == 2_970
        assert found["line cannot be used"] == len(broken) == 30
        assert await adapter.subscriptions.count("harbor_news") == 2_970


async def test_import_that_ends_with_the_process_is_reported(tmp_path: Path) -> None:
    fields = StubSettings.model_validate({"app": {"group_fields": FIELDS}})
    async with StubServer(fields) as stub, ChannelAdapter.open(settings_for(stub)) as adapter:
        await adapter.accounts.add(["editor_7", "user_1"])
        await adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        stub.faults.add(Fault(command="add_group_member", status=502))
        config = tmp_path / "adapter.toml"
        config.write_text(f'sdkappid = {stub.sdkappid}\nkey = "{stub.key}"\nbase_url = "{stub.url}"\n')
        for is_started, code in ((False, 0), (True, 4)):
            with Console(config, tmp_path / "ready.json") as console:
                async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                    url = await console.url()
                    if is_started:
                        await started(session, url, "user_1\n")
                out = console.end(signal.SIGTERM)
            assert console.process.returncode == code, out
            assert (b"an import or a sync of users was interrupted" in out) is is_started


async def finished(session: aiohttp.ClientSession, url: str, place: str) -> tuple[dict[str, int], list[list[str]]]:
    """Wait until an import is done; return its counts and its failed lines."""
    base = await signed_in(session, url)
    text = ""
    while "<strong>done" not in text:
        assert "<strong>interrupted" not in text
        async with session.get(base + place) as page:
            text = await page.text()
        await asyncio.sleep(0.1)
    async with session.get(f"{base}{place}/failed.csv") as page:
        return counts(Answer(200, text, {})), list(csv.reader(io.StringIO(await page.text())))[1:]


async def signed_in(session: aiohttp.ClientSession, url: str) -> str:
    """Open the sign-in link and return the address of the console."""
    async with session.get(url) as page:
        assert page.status == 200
    return url.partition("/?")[0]


async def started(session: aiohttp.ClientSession, url: str, text: str) -> str:
    """Upload a file and start its import; return the path of its page."""
    base = await signed_in(session, url)
    headers = {"Sec-Fetch-Site": "same-origin"}
    form = FormData()
    form.add_field("file", io.BytesIO(text.encode()), filename="users.csv")
    async with session.post(base + UPLOAD, data=form, headers=headers, allow_redirects=False) as sent:
        place = sent.headers["Location"]
    async with session.post(base + place, data={}, headers=headers, allow_redirects=False) as begun:
        assert begun.status == 303
    return place
