"""Verify after apply: stored originals, files, a network that loses calls."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec, SourceSubscriber
from channel_adapter.migration.verify.compare import (
    FEWER_POSTS,
    SINCE_THE_CUTOVER,
    UNKNOWN_SETTING,
    UNTOLD,
    CompareContext,
    PostCutover,
    compare_subscriber,
)
from channel_adapter.migration.verify.findings import FieldDifference, Finding, Mark, Subject
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.scenario import Scenario
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.members import Member
from tests.migration import worlds
from tests.migration.applied import moved
from tests.migration.conftest import System, system
from tests.migration.planned import planned
from tests.migration.worlds import Size

BEYOND_HISTORY = (limits.ROAMING_DAYS + 30) * worlds.DAY
SCENARIO = Scenario.load(Path(__file__).parents[2] / "config" / "scenarios" / "flaky_network.toml")


async def test_loss_is_explained_only_by_stored_original(database: str) -> None:
    async with system(Size(30, 14), ids=(worlds.LIMITS, worlds.FLAGS, worlds.FULL), database_url=database) as at:
        plan = await planned(at, policies=["all=store"])
        assert (await at.adapter.migration.apply(plan)).complete
        findings: list[Finding] = []
        assert (await at.adapter.migration.verify(plan, on_finding=findings.append)).clean
        explained = {each.explained for finding in findings for each in finding.differences}
        assert {"policy name=store", "policy post_size=store", "policy subscriber_data=store"} <= explained
        with sqlite3.connect(database.removeprefix("sqlite:///")) as rows:
            rows.execute("DELETE FROM migration_originals WHERE what = 'name'")
            rows.execute("UPDATE migration_originals SET text = '{\"body\": []}' WHERE what = 'post'")
            rows.execute("UPDATE migration_originals SET text = 'other' WHERE what = 'subscriber'")
        spoilt = await at.adapter.migration.verify(plan)
        assert {finding.what for finding in spoilt.named} == {Subject.PROFILE, Subject.POST, Subject.SUBSCRIBER}


async def plan_of_files(at: System, folder: Path, old: int, now: int) -> Plan:
    """Write a channel with five subscribers and five posts, two of which are beyond the target's history; plan it."""
    lines: dict[str, list[dict[str, Any]]] = {
        "channels": [
            {"id": "quay", "name": "Quay", "owner": worlds.OWNER, "created_at": old, "admins": [worlds.OTHER_OWNER]}
        ],
        "subscribers": [
            {
                "channel": "quay",
                "user": f"reader_{n:06}",
                "since": old + n,
                "notifications": "muted" if n else "all",
                "unread": n if n < 4 else 99,
            }
            for n in range(5)
        ],
        "posts": [
            {"channel": "quay", "id": str(n), "time": time, "text": f"Post {n}"}
            for n, time in enumerate((old + 9, old + 99, now - 900, now - 900, now - 300))
        ],
    }
    for kind, records in lines.items():
        (folder / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(folder)))
    async with at.adapter.migration.source(spec) as source:
        return await at.adapter.migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])))


async def test_files_are_compared_and_posts_beyond_history_are_unreadable(tmp_path: Path, database: str) -> None:
    async with system(Size(12, 0), ids=(worlds.EMPTY,), database_url=database) as at:
        now = int(at.server.world.clock.now())
        plan = await plan_of_files(at, tmp_path, now - BEYOND_HISTORY, now)
        assert (await at.adapter.migration.apply(plan)).complete
        findings: list[Finding] = []
        verdict = await at.adapter.migration.verify(plan, on_finding=findings.append)
        assert verdict.named == []
        assert verdict.count(Mark.UNREADABLE, Subject.POST) == 2
        assert verdict.count(Mark.SAME, Subject.POST) == 2
        assert verdict.count(Mark.SAME, Subject.SUBSCRIBER) + verdict.count(Mark.DIFFERS, Subject.SUBSCRIBER) == 5
        users = {each.key: each.differences for each in findings if each.what is Subject.SUBSCRIBER}
        assert [each.explained for each in users["reader_000004"] if each.field == "unread"] == [FEWER_POSTS]
        assert all(each.field != "unread" for n in range(4) for each in users[f"reader_{n:06}"])
        assert verdict.not_compared == ()
        admins = next(each for each in findings if each.key == "admins")
        assert admins.mark is Mark.SAME
        group = at.server.world.state.groups[plan.channels[0].target.id]
        row = group.members.find("reader_000002")
        assert row is not None
        group.members.set_read(row, group.log.next_seq - 1)
        verdict = await at.adapter.migration.verify(plan)
        assert [(each.key, each.differences) for each in verdict.named] == [
            ("reader_000002", (FieldDifference("unread", 2, 0),))
        ]


async def test_unread_posts_of_a_channel_that_was_cut_over_are_explained(tmp_path: Path) -> None:
    async with system(Size(12, 0), ids=(worlds.EMPTY,)) as at:
        now = int(at.server.world.clock.now())
        old = now - BEYOND_HISTORY
        plan = await plan_of_files(at, tmp_path, old, now)
        terms = CompareContext(
            plan.channels[0],
            plan.migration,
            plan.limits.target(),
            plan.chosen,
            old,
            now,
            PostCutover(now, now),
            last_seq=3,
        )
        user = SourceSubscriber("reader_000002", unread=2)
        for seq, told in ((3, SINCE_THE_CUTOVER), (None, UNTOLD)):
            member = Member(member_account=user.user, msg_flag="AcceptAndNotify", msg_seq=seq)
            [difference] = compare_subscriber(terms, user, member, None).differences
            assert told in difference.explained


async def test_lost_calls_change_no_finding() -> None:
    async with system(Size(120, 24), ids=(worlds.FULL, worlds.TEXTS)) as at:
        plan = await moved(at)
        calm: list[Finding] = []
        await at.adapter.migration.verify(plan, on_finding=calm.append)
        at.server.faults.replace(SCENARIO.faults)
        shaken: list[Finding] = []
        verdict = await at.adapter.migration.verify(plan, on_finding=shaken.append)
        assert verdict.clean
        assert shaken == calm


async def test_unknown_notification_setting_is_not_moved_and_its_difference_is_explained(database: str) -> None:
    async with system(Size(4, 2), ids=(worlds.FULL,), database_url=database) as at:
        row = {"Subscriber_Account": "reader_000001", "SubscribeTime": 1_700_000_000, "MsgFlag": "AcceptOnTuesdays"}
        listed = Fault(command="get_subscriber_info", extra={"SubscriberList": [row], "SubscriberNum": 1, "Next": ""})
        at.server.faults.replace([listed])
        plan = await planned(at)
        assert (await at.adapter.migration.apply(plan)).complete
        findings: list[Finding] = []
        await at.adapter.migration.verify(plan, on_finding=findings.append)
        (user,) = [each for each in findings if each.key == "reader_000001"]
        assert FieldDifference("notifications", "unknown", "all", UNKNOWN_SETTING) in user.differences
        assert at.server.log.count("modify_group_member_info") == 0
