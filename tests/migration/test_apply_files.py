"""Files of another system as a source, an outage of the service, shared rate limits, and progress reports."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.cli.migrate.progress import MigrationProgress, WorkerProgress
from channel_adapter.cli.output import Output
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.migration.budget import Budget
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.run.apply import ChannelStatus, InProgress, Status
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from channel_adapter.store.migration import MigrationStore
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.tencent.catalog import ACCOUNT_CHECK
from channel_adapter.tencent.wire import accounts as wire
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.moved_world import moved_posts
from tests.migration.planned import planned
from tests.migration.worlds import Size

OLD = 1_600_000_000  # far beyond the reach of history


def write_files(folder: Path, posts: int = 20) -> None:
    """Write an old channel: an admin that follows, one that does not, unread counts, and an unknown user."""
    lines: dict[str, list[dict[str, Any]]] = {
        "channels": [{"id": "harbour", "name": "Harbour", "owner": worlds.OWNER, "created_at": OLD,
                      "admins": ["reader_000001", worlds.OTHER_OWNER]}],
        "subscribers": [
            *({"channel": "harbour", "user": f"reader_{n:06}", "since": OLD + 10 + n, "unread": n % 4,
               "notifications": "muted" if n == 3 else "all"} for n in range(10)),
            {"channel": "harbour", "user": "ghost"},
        ],
        "posts": [{"channel": "harbour", "id": str(n), "time": OLD + 100 + n // 2, "text": f"Post {n}"}
                  for n in range(posts)],
    }  # fmt: skip
    for kind, records in lines.items():
        (folder / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")


async def plan_of(s: System, folder: Path, policies: str = "all=cut") -> Plan:
    spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(folder)))
    async with s.adapter.migration.source(spec) as source:
        return await s.adapter.migration.plan(source, PlanOptions(policies=Resolutions.parse([policies])))


async def test_nul_in_ids_and_originals_does_not_stop_a_run(tmp_path: Path, postgres_url: str) -> None:
    """PostgreSQL cannot store NUL in text."""
    write_files(tmp_path, posts=2)
    ids = ["x\0y", "x\x1a0;y", "long " + "y" * 20_000, "z" * 500, "\0" * 500]
    with (tmp_path / "posts.jsonl").open("a", encoding="utf-8") as file:
        for n, key in enumerate(ids):
            post = {"channel": "harbour", "id": key, "time": OLD + 1000 + n, "text": f"Odd id {n} \0"}
            file.write("\n" + json.dumps(post))
        long = {"channel": "harbour", "id": "big\0", "time": OLD + 2000, "text": "\0 too long " * 2_000}
        file.write("\n" + json.dumps(long))
    channels = tmp_path / "channels.jsonl"
    introduction = "\0" + "what it is about " * 100
    channels.write_text(json.dumps({**json.loads(channels.read_text()), "introduction": introduction}))
    async with system(Size(12, 0), ids=(worlds.EMPTY,), database_url=postgres_url) as s:
        plan = await plan_of(s, tmp_path, "all=store")
        status = await s.adapter.migration.apply(plan)
        assert (status.complete, status.posts) == (True, 7)
        async with open_journal(postgres_url) as journal:
            moved = await moved_posts(journal.store, plan.migration, "harbour")
            assert set(moved) == {"0", "1", "big\0", *(key for key in ids if not key.startswith("long"))}
            assert await journal.store.originals("@TGS#_harbour", "introduction") == {"": introduction}
            (kept,) = (await journal.store.originals("@TGS#_harbour", "post")).items()
            assert kept[0] == "big\0"
        again = await s.adapter.migration.apply(plan)
        assert (again.complete, again.posts) == (True, 7)


async def test_files_become_a_channel_with_posts_members_and_quarantine(tmp_path: Path, database: str) -> None:
    write_files(tmp_path)
    async with system(Size(12, 0), ids=(worlds.EMPTY,), database_url=database) as s:
        plan = await plan_of(s, tmp_path)
        status = await s.adapter.migration.apply(plan)
        assert (status.complete, status.quarantined, status.posts, status.subscribers) == (True, 1, 20, 10)
        group = s.server.world.state.groups["@TGS#_harbour"]
        assert group.create_time == OLD
        assert [post.body[0].msg_content["Text"] for post in group.log] == [f"Post {n}" for n in range(20)]
        times = [post.time for post in group.log]
        assert times == sorted(set(times))
        rows = {user: group.members.find(user) for user in group.members}
        assert len(rows) == 12
        for n in range(10):
            row = rows[f"reader_{n:06}"]
            assert row is not None
            assert group.members.joined(row) == OLD + 10 + n
            assert 20 - group.members.read(row) == n % 4
        staff = {group.members.user(row): group.members.role(row) for row in group.members.staff()}
        admins = {"reader_000001": MemberRole.ADMIN, worlds.OTHER_OWNER: MemberRole.ADMIN}
        assert staff == {worlds.OWNER: MemberRole.OWNER, **admins}
        async with open_journal(database) as journal:
            [left] = await journal.store.quarantined(plan.migration)
        assert (left.key, left.reason) == ("ghost", "no account of the app")
        s.server.world.state.add_account("ghost")
        assert (await s.adapter.migration.retry(plan)).quarantined == 0
        assert "ghost" in group.members


async def test_posts_beyond_history_are_not_sent_again(tmp_path: Path, database: str) -> None:
    """The journal contains none of them; only the next number of the group shows that they exist."""
    write_files(tmp_path)
    async with system(Size(12, 0), ids=(worlds.EMPTY,), database_url=database) as s:
        plan = await plan_of(s, tmp_path)
        assert (await s.adapter.migration.apply(plan)).complete
        group = s.server.world.state.groups["@TGS#_harbour"]
        group.log._recent.clear()
        async with open_journal(database) as journal:
            await MigrationStore(journal.store.database).forget_channel(plan.migration, "harbour", "@TGS#_harbour")
        assert (await s.adapter.migration.apply(plan)).complete
        assert len(list(group.log)) == 20
        async with open_journal(database) as journal:
            moved = await moved_posts(journal.store, plan.migration, "harbour")
        assert sorted(row.seq for row in moved.values()) == list(range(1, 21))


async def test_channel_failed_by_an_outage_is_completed_by_the_next_run(database: str) -> None:
    async with system(Size(40, 12), ids=(worlds.TEXTS,), database_url=database, total_seconds=3.0) as s:
        plan = await planned(s)
        s.server.faults.replace([Fault(command="import_group_member", status=502)])
        status = await s.adapter.migration.apply(plan)
        assert [channel.transient for channel in status.failed] == [True]
        s.server.faults.replace([])
        assert (await s.adapter.migration.apply(plan)).complete


async def test_workers_share_the_calls_per_second(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.rate_limits.COUNT_SECONDS", 0.0)
    async with system(Size(1, 0), ids=(worlds.EMPTY,)) as s:
        clock = SystemClock()
        rated = s.settings.model_copy(update={"calls_per_second": {ACCOUNT_CHECK.path: 20.0}})
        context = MigrationContext(s.adapter.migration.context.api, rated, clock, journal=database)
        limiters = [context.journal_limiter() for _ in range(2)]
        workers = [context.budgeted_api(Budget(clock), limiter) for limiter in limiters]
        request = wire.AccountCheckRequest(check_item=[wire.UserIdItem(user_id="nobody")])
        for calls in workers:
            await calls.call(ACCOUNT_CHECK, request)  # the second is counted from here
        began = clock.monotonic()
        for _ in range(5):
            for calls in workers:
                await calls.call(ACCOUNT_CHECK, request)
        assert clock.monotonic() - began > 0.43
        assert [calls.budget.calls for calls in workers] == [6, 6]
        for limiter in limiters:
            assert limiter is not None
            await limiter.close()


async def test_progress_for_programs_is_written_as_json_lines() -> None:
    times = iter(range(0, 1_000, 5))
    async with system(Size(40, 12), ids=(worlds.TEXTS,)) as s:
        plan = await planned(s)
        err = io.StringIO()
        output = Output(json=True, stderr=err, stdout=io.StringIO())
        with MigrationProgress(plan, s.settings, output, clock=lambda: float(next(times))) as progress:
            progress.update(Status("m", 1, (), 2, calls=7))
    line = json.loads(err.getvalue())
    assert line["event"] == "progress"
    assert line["subscribers"] == {"done": 0, "of": 8, "per_second": 0.0, "limit": 4_000}
    assert (line["calls"], line["quarantined"]) == (7, 2)
    assert progress.so_far().endswith("7 calls were made; the same command goes on from there")
    assert line["seconds_left"] is None


async def test_progress_off_a_terminal_is_written_as_text_lines() -> None:
    times = iter(range(0, 1_000, 5))
    moving = ChannelStatus("@TOA#_a", "@TGS#_a", "posts", "queued", 0, 4, 0, "", transient=False)
    async with system(Size(40, 12), ids=(worlds.TEXTS,)) as s:
        plan, err = await planned(s), io.StringIO()
    output = Output(stderr=err, stdout=io.StringIO())
    first = "the journal is here"
    with MigrationProgress(plan, s.settings, output, first=first, clock=lambda: float(next(times))) as progress:
        assert err.getvalue() == ""
        progress.update(Status("m", 1, (replace(moving, subscribers=1),), 0))
        progress.update(Status("m", 1, (moving,), 0))
    first, _, line = err.getvalue().splitlines()
    assert first == "the journal is here"
    assert line.startswith("0 of 1 channel; posts 0 of ")
    assert line.endswith("; subscribers 4 of 8, 1/s of 4,000/s; 7 s left")


class Terminal(Output):
    """An output that counts as a terminal."""

    @property
    def watched(self) -> bool:
        return True


async def test_progress_on_a_terminal_is_shown_as_bars(capsys: pytest.CaptureFixture[str]) -> None:
    moving = ChannelStatus("@TOA#_a", "@TGS#_a", "posts", "queued", 0, 4, 0, "", transient=False)
    async with system(Size(40, 12), ids=(worlds.TEXTS,)) as s:
        plan = await planned(s)
    with MigrationProgress(plan, s.settings, Terminal(stdout=io.StringIO())) as progress:
        for subscribers in (4, 6, 8):
            progress.update(Status("m", 1, (replace(moving, subscribers=subscribers),), 0))
    channels, posts, subscribers_line = capsys.readouterr().err.splitlines()[-3:]
    assert "0/1" in channels
    assert "0/s of 1,400/s" in posts
    assert "8/8" in subscribers_line
    assert re.search(r"/s of 4,000/s +\d+:\d\d:\d\d", subscribers_line)


async def test_worker_shows_progress_of_one_migration_after_the_other() -> None:
    moving = ChannelStatus("@TOA#_a", "@TGS#_a", "posts", "queued", 0, 4, 0, "", transient=False)
    async with system(Size(40, 12), ids=(worlds.TEXTS,)) as s:
        plan, err = await planned(s), io.StringIO()
    times = iter(range(0, 1_000, 5))

    def clock() -> float:
        return float(next(times))

    with WorkerProgress(s.settings, Output(json=True, stderr=err, stdout=io.StringIO()), clock=clock) as view:
        for migration, subscribers in (("m", 4), ("m", 6), ("n", 1)):
            status = Status(migration, 1, (replace(moving, subscribers=subscribers),), 0, calls=9)
            view.update(9, InProgress(plan, status))
        view.update(11, None)
    lines = [json.loads(line) for line in err.getvalue().splitlines()]
    assert [(line["migration"], line["subscribers"]["done"]) for line in lines] == [("m", 4), ("m", 6), ("n", 1)]
    assert all(line["subscribers"]["limit"] == 4_000 for line in lines)
    assert lines[1]["subscribers"]["per_second"] > 0
    assert lines[1]["seconds_left"] is not None
    assert view.calls == 11
