"""Scheduled posts, drafts, pins and exports on the command line, and the worker that publishes due posts."""

import json
import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.shell import SECONDS, Shell


@pytest.fixture
def stored(cli: Shell, tmp_path: Path) -> Shell:
    """Return a shell with a database."""
    return cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'adapter.db'}")


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_post_is_scheduled_moved_published_and_cancelled(stored: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    made = stored("posts", "schedule", news, "Tides", "--at", at(3_600), "--idempotency-key", "k", "--json").json
    assert made["state"] == "scheduled"
    assert made["parts"] == [{"text": "Tides", "kind": "text"}]
    post = made["id"]
    said = stored("posts", "schedule", news, "Later", "--at", at(7_200))
    assert re.match(rf"[0-9a-f]{{12}} is published in @TGS#_{news} at 20", said.out)
    assert said.err.startswith("no process publishes scheduled posts yet: run `channel-adapter worker`; ")
    rows = stored("posts", "scheduled", news).out.splitlines()
    assert re.split(r"\s{2,}", rows[0]) == ["id", "at", "channel", "state", "late", "content", "remark"]
    assert [row.split()[0] for row in rows[1:]] == [post, said.out.split()[0]]
    moved = stored("posts", "reschedule", post, "--at", "2027-03-28T04:30", "--zone", "Europe/Berlin").out
    assert moved == f"{post} is published in @TGS#_{news} at 2027-03-28 02:30:00Z\n"
    assert stored("posts", "publish-now", post).out == f"{post} is published as number 1 of @TGS#_{news}\n"
    other = said.out.split()[0]
    assert stored("posts", "unschedule", other).out == f"{other} is cancelled\n"
    assert stored("posts", "scheduled").err == "no post is scheduled\n"
    assert len(stored("posts", "scheduled", "--all", "--json").json) == 2
    assert "was published as number 1" in stored("posts", "unschedule", post, code=1).err
    assert "there is no scheduled post '1234'" in stored("posts", "publish-now", "1234", code=1).err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--at", "2026-12-24T18:00"], 2, "has no time zone: add Z or an offset like +01:00, or name one with --zone"),
        (["--at", "soon"], 2, "--at must be a time like 2026-12-24T18:00+01:00; got 'soon'"),
        (["--at", "2026-12-24T18:00", "--zone", "Nowhere/None"], 2, "--zone Nowhere/None is not a time zone"),
        (["--at", "2020-01-01T00:00Z"], 1, "2020-01-01 00:00:00Z lies "),
        (["--at", "2999-01-01T00:00Z"], 1, "lies more than a year ahead"),
        (["--at", "0001-01-01T00:00:00+05:00"], 1, "lies outside the years 1 to 9999 of UTC"),
        (
            ["--at", "2027-03-28T02:30", "--zone", "Europe/Berlin"], 1,
            "2027-03-28 02:30 does not exist in Europe/Berlin, where clocks go forward then; nothing was scheduled",
        ),
    ],
)  # fmt: skip
def test_invalid_times_are_refused(
    stored: Shell, new_channel: Callable[[], str], words: list[str], code: int, message: str
) -> None:
    error = stored("posts", "schedule", new_channel(), "a", *words, "--json", code=code).error
    assert message in error["message"]
    assert error["field"] in ("at", "zone")
    assert stored("posts", "scheduled", "--json").json == []


def test_worker_publishes_due_posts_and_problems_are_acknowledged(
    stored: Shell, new_channel: Callable[[], str]
) -> None:
    news, gone = new_channel(), new_channel()
    failed = stored("posts", "schedule", gone, "a", "--at", at(1), "--json").json["id"]
    stored("channels", "delete", gone, "--yes")
    worker = stored.start_forked("worker", "--only", "schedule")
    try:
        post = stored("posts", "schedule", news, "Due", "--at", at(1), "--json").json["id"]
        deadline = time.monotonic() + SECONDS
        while not stored("posts", "list", news, "--json").json or not _ended(stored, failed):
            assert time.monotonic() < deadline
            time.sleep(0.3)
    finally:
        worker.send_signal(signal.SIGINT)
        _, err = worker.communicate(timeout=SECONDS)
    assert worker.returncode == 4
    assert f"schedule.failed post={failed}" in err.decode()
    shown = stored("posts", "scheduled", "--problems", code=1).out
    assert failed in shown
    assert post not in shown
    doctor = [each for each in stored("doctor", "--json", code=1).json if each["check"] == "schedule"]
    assert doctor[0]["message"] == "1 scheduled post failed, late or missed"
    assert stored("posts", "scheduled", "--problems", "--acknowledge", failed).err == "no problem\n"


def _ended(stored: Shell, post: str) -> bool:
    (found,) = [each for each in stored("posts", "scheduled", "--all", "--json").json if each["id"] == post]
    return str(found["state"]) == "failed"


def test_drafts_are_published_and_posts_are_pinned(stored: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    draft = stored("posts", "draft", news, "Ferries", "--json").json["id"]
    assert stored("posts", "draft", news, "Ferries today", "--replace", draft).out == f"stored as draft {draft}\n"
    assert "Ferries today" in stored("posts", "drafts", news).out
    assert stored("posts", "publish-draft", draft).out == f"{draft} is published as number 1 of @TGS#_{news}\n"
    assert stored("posts", "drafts").err == "there is no draft\n"
    assert stored("posts", "discard-draft", draft).out == f"draft {draft} was gone already\n"
    assert stored("posts", "pin", news, "1").out == f"number 1 of @TGS#_{news} is pinned\n"
    assert stored("posts", "pin", news, "1").out == f"number 1 of @TGS#_{news} is pinned already\n"
    assert [post["ref"]["seq"] for post in stored("posts", "pinned", news, "--json").json] == [1]
    again = stored("posts", "pin", news, "1", "--json").json
    assert (again["pinned"], again["changed"]) == (True, False)
    assert stored("posts", "unpin", news, "1").out == f"number 1 of @TGS#_{news} is unpinned\n"
    assert stored("posts", "pinned", news).err == "no post is pinned\n"


def test_export_is_readable_by_a_migration_plan(stored: Shell, new_channel: Callable[[], str], tmp_path: Path) -> None:
    news = new_channel()
    stored("subscribers", "add", news, "reader_1", "reader_2")
    stored("posts", "publish", news, "One")
    said = stored("channels", "export", news, "--out", str(tmp_path / "out")).out
    assert said == f"{tmp_path / 'out'}: 2 subscribers, 1 post, 0 reactions\n"
    (post,) = [json.loads(line) for line in (tmp_path / "out" / "posts.jsonl").read_text().splitlines()]
    assert post["content"] == [{"text": "One", "kind": "text"}]
    again = stored("channels", "export", news, "--out", str(tmp_path / "out"), code=2).err
    assert "holds a complete export" in again
    plan = stored("migrate", "plan", "--files", str(tmp_path / "out"), "--rename", f"{news}={news}_2").out
    assert "1 posts;" in plan or "1 post" in plan


def test_schedule_and_worker_need_a_database(cli: Shell, new_channel: Callable[[], str]) -> None:
    error = cli("posts", "schedule", new_channel(), "a", "--at", at(60), code=2).err
    assert error == (
        "error: scheduled posts and drafts need a database: set database_url, for example sqlite:///adapter.db\n"
    )
    assert "database" in cli("worker", "--only", "schedule", code=2).err
