"""Each record of the quarantine names what to do about it, and leaves the quarantine when that is done."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.run.apply import Status
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.migration.run.quarantine import read_quarantine, replaced_quarantine
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from channel_adapter.store.migration import QuarantineRow
from channel_adapter.stub.faults.faults import Fault
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

BORN = 1_700_000_000
HUGE = '"港"' * 5_000


def post(number: int, text: str = "", author: str = "") -> dict[str, Any]:
    more = {"author": author} if author else {}
    return {"id": f"p{number}", "time": BORN + number, "text": text or f"Post {number}", **more}


@dataclass
class Scene:
    """Files with one channel, and what a migration makes of them."""

    system: System
    files: Path
    database: str

    def write(self, posts: Sequence[dict[str, Any]] = (), users: Sequence[str] = ("here",), **channel: Any) -> None:
        profile = {"id": "news", "name": "News", "owner": worlds.OWNER, "created_at": BORN, **channel}
        lines: dict[str, list[dict[str, Any]]] = {
            "channels": [profile],
            "subscribers": [{"channel": "news", "user": user} for user in users],
            "posts": [{"channel": "news", **each} for each in posts],
        }
        for kind, records in lines.items():
            (self.files / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")

    async def plan(self, *policies: str) -> Plan:
        spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(self.files)))
        options = PlanOptions(migration="m", policies=Resolutions.parse(policies))
        async with self.system.adapter.migration.source(spec) as source:
            return await self.system.adapter.migration.plan(source, options)

    async def apply(self, plan: Plan) -> Status:
        status = await self.system.adapter.migration.apply(plan)
        assert status.complete
        return status

    async def retry(self, plan: Plan, limits: BudgetLimits | None = None) -> Status:
        return await self.system.adapter.migration.retry(plan, limits=limits)

    async def quarantine(self) -> list[QuarantineRow]:
        async with open_journal(self.database) as journal:
            return await journal.store.quarantined("m")

    @property
    def texts(self) -> list[str]:
        log = self.system.server.world.state.groups["@TGS#_news"].log
        return [message.body[0].msg_content["Text"] for message in log]


@pytest.fixture
async def scene(tmp_path: Path, database: str) -> AsyncIterator[Scene]:
    async with system(Size(1, 0), ids=(worlds.EMPTY,), database_url=database) as s:
        await s.adapter.accounts.add(["here"])
        yield Scene(s, tmp_path, database)


async def test_post_of_an_unknown_author_is_moved_by_retry_when_the_account_exists(scene: Scene) -> None:
    scene.write([post(1), post(2, author="later"), post(3)])
    plan = await scene.plan()
    assert (await scene.apply(plan)).quarantined == 1
    [row] = await scene.quarantine()
    assert row.retry == "check that its author is an account of the app, then `channel-adapter migrate retry`"
    refused = await scene.retry(plan)
    assert (refused.quarantined, refused.posts, refused.stopped) == (1, 2, "")
    await scene.system.adapter.accounts.add(["later"])
    retried = await scene.retry(plan)
    assert (retried.quarantined, retried.posts) == (0, 3)
    assert scene.texts == ["Post 1", "Post 3", "Post 2"]
    scene.write([post(1), post(2, author="later"), post(3), post(4)])
    assert (await scene.apply(plan)).quarantined == 0
    assert (await scene.retry(plan)).posts == 4
    assert scene.texts == ["Post 1", "Post 3", "Post 2", "Post 4"]


async def test_post_whose_answer_was_lost_in_a_retry_is_not_moved_twice(scene: Scene) -> None:
    scene.write([post(1), post(2, author="later")])
    plan = await scene.plan()
    await scene.apply(plan)
    await scene.system.adapter.accounts.add(["later"])
    async with open_journal(scene.database) as journal:
        rows = await journal.store.quarantined("m")
        [channel] = await journal.store.channels("m")
    await scene.retry(plan)
    async with open_journal(scene.database) as journal:  # as if the process had ended before it noted the result
        posts = await journal.store.posts("m", "news", ["p2"])
        assert posts
        await journal.note([*rows, channel])
        await journal.flush()
    assert (await scene.retry(plan)).quarantined == 0
    assert scene.texts == ["Post 1", "Post 2"]


async def test_post_that_a_policy_refused_is_moved_by_retry_with_another_plan(scene: Scene) -> None:
    scene.write([post(1)])
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write([post(1), post(2, text=HUGE), post(3)])
    assert (await scene.apply(plan)).quarantined == 1
    [row] = await scene.quarantine()
    assert row.retry == "plan again with a policy for it, then `channel-adapter migrate retry`"
    assert (await scene.retry(plan)).quarantined == 1
    assert (await scene.retry(await scene.plan("all=cut"))).quarantined == 0
    assert scene.texts[:2] == ["Post 1", "Post 3"]
    assert HUGE.startswith(scene.texts[2].rstrip("…"))


async def test_refused_profile_field_is_moved_by_a_plan_with_a_policy(scene: Scene) -> None:
    scene.write()
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write(name="N" * 150)
    for _ in range(2):
        assert (await scene.apply(plan)).quarantined == 1
    [row] = await scene.quarantine()
    assert row.retry == "plan again with a policy for it, and apply"
    assert (await scene.apply(await scene.plan("all=cut"))).quarantined == 0
    assert (await scene.system.adapter.channels.get("news")).name == "N" * 100


async def test_refused_profile_field_that_fits_again_leaves_the_quarantine(scene: Scene) -> None:
    scene.write()
    plan = await scene.plan()
    await scene.apply(plan)
    for name in ("News", "Shorter"):
        scene.write(name="N" * 150)
        assert (await scene.apply(plan)).quarantined == 1
        scene.write(name=name)
        assert (await scene.apply(plan)).quarantined == 0
        assert (await scene.system.adapter.channels.get("news")).name == name


async def test_new_owner_is_reported_until_the_channel_is_handed_over(scene: Scene) -> None:
    scene.write()
    plan = await scene.plan()
    await scene.apply(plan)
    scene.write(owner=worlds.OTHER_OWNER)
    for _ in range(2):
        assert (await scene.apply(plan)).quarantined == 1
    [row] = await scene.quarantine()
    assert row.retry == "subscribe the new owner, then `channel-adapter channels transfer`, and apply"
    await scene.system.adapter.subscriptions.subscribe("news", [worlds.OTHER_OWNER], assign=False)
    await scene.system.adapter.channels.transfer("news", worlds.OTHER_OWNER)
    assert (await scene.apply(plan)).quarantined == 0


async def test_apply_releases_users_that_it_moves_and_users_that_the_source_has_no_more(scene: Scene) -> None:
    scene.write(users=["here", "late", "never"])
    plan = await scene.plan()
    assert (await scene.apply(plan)).quarantined == 2
    await scene.system.adapter.accounts.add(["late"])
    assert (await scene.apply(plan)).quarantined == 1
    scene.write(users=["here", "late"])
    assert (await scene.apply(plan)).quarantined == 0
    assert "never" not in scene.system.server.world.state.groups["@TGS#_news"].members


async def test_retry_reports_a_channel_whose_group_is_gone_and_goes_on_with_the_others(scene: Scene) -> None:
    profiles = [
        {"id": name, "name": name, "owner": worlds.OWNER, "created_at": BORN} for name in ("gone", "news", "users")
    ]
    posts = [{"channel": name, **post(1, author="later")} for name in ("gone", "news")]
    users = [{"channel": name, "user": "later"} for name in ("gone", "users")]
    for kind, records in (("channels", profiles), ("posts", posts), ("subscribers", users)):
        (scene.files / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    plan = await scene.plan()
    assert (await scene.apply(plan)).quarantined == 4
    await scene.system.adapter.accounts.add(["later"])
    await scene.system.adapter.channels.delete("gone")
    retried = await scene.retry(plan)
    [failed] = retried.failed
    assert (failed.source, failed.transient) == ("gone", False)
    assert failed.reason == "@TGS#_gone was made by this migration and is gone; roll back and plan again"
    assert (retried.complete, retried.done, retried.posts, retried.quarantined) == (False, 2, 1, 2)
    assert scene.texts == ["Post 1"]
    assert await scene.system.adapter.subscriptions.is_subscribed("users", ["later"]) == {"later": True}


async def test_limits_of_a_retry_count_once_for_channels_and_records(scene: Scene) -> None:
    scene.write([post(1), post(2, author="later")], users=["here", "ghost"])
    plan = await scene.plan()
    assert (await scene.apply(plan)).quarantined == 2
    stopped = await scene.retry(plan, BudgetLimits(calls=1))
    assert (stopped.complete, stopped.stopped) == (True, "its 1 calls are used up")
    scene.write([post(1), post(2, author="later"), post(3)], users=["here", "ghost"])
    scene.system.server.faults.replace([Fault(command="import_group_msg", code=10015)])
    failed = await scene.system.adapter.migration.apply(plan)
    assert [each.status for each in failed.channels] == ["failed"]
    scene.system.server.faults.replace([])
    whole = await scene.retry(plan)
    assert (whole.complete, whole.stopped, whole.quarantined) == (True, "", 2)


async def test_posts_that_a_reply_lacks_are_moved_by_the_next_run(scene: Scene) -> None:
    posts = [post(number) for number in range(9)]
    scene.write(posts)
    plan = await scene.plan()
    short = {"ImportMsgResult": [{"MsgSeq": 1, "MsgTime": BORN, "Result": 0}]}
    scene.system.server.faults.replace([Fault(command="import_group_msg", extra=short)])
    [failed] = (await scene.system.adapter.migration.apply(plan)).failed
    assert failed.transient
    assert failed.reason == "import_group_msg reported on 1 of 7 items: the others may have been imported"
    scene.system.server.faults.replace([])
    status = await scene.apply(plan)
    assert (status.posts, status.quarantined) == (9, 0)
    assert scene.texts == [each["text"] for each in posts]


@pytest.mark.parametrize("code", [10002, 10006])
async def test_post_with_a_code_of_a_passing_failure_is_moved_by_the_next_run(scene: Scene, code: int) -> None:
    posts = [post(number) for number in range(9)]
    scene.write(posts)
    plan = await scene.plan()
    scene.system.server.faults.replace([Fault(command="import_group_msg", fail_items=3, item_code=code)])
    [failed] = (await scene.system.adapter.migration.apply(plan)).failed
    assert failed.transient
    scene.system.server.faults.replace([])
    status = await scene.apply(plan)
    assert (status.posts, status.quarantined) == (9, 0)
    assert sorted(scene.texts) == [each["text"] for each in posts]


async def test_users_that_a_reply_lacks_are_moved_by_the_next_run(scene: Scene) -> None:
    users = [f"user_{number}" for number in range(5)]
    await scene.system.adapter.accounts.add(users)
    scene.write(users=users)
    plan = await scene.plan()
    short = {"MemberList": [{"Member_Account": "user_0", "Result": 1}]}
    scene.system.server.faults.replace([Fault(command="import_group_member", extra=short)])
    [failed] = (await scene.system.adapter.migration.apply(plan)).failed
    assert failed.transient
    scene.system.server.faults.replace([])
    status = await scene.apply(plan)
    assert (status.subscribers, status.quarantined) == (5, 0)


async def test_quarantine_of_many_users_is_read_and_written_in_bounded_memory(scene: Scene) -> None:
    scene.write()
    plan = await scene.plan()
    await scene.apply(plan)
    raw = json.dumps({"user": "u", "since": None, "notifications": "all", "custom_data": "d" * 400, "unread": None})
    async with open_journal(scene.database) as journal:
        for first in range(0, 20_000, 2_000):
            await journal.store.write(
                QuarantineRow("m", "news", "subscriber", f"ghost_{number:06}", "no account of the app", raw, "again")
                for number in range(first, first + 2_000)
            )
        file = scene.files / "plan.quarantine.jsonl"
        for _ in range(2):
            tracemalloc.start()
            with replaced_quarantine(file) as written:
                async for rows in read_quarantine(journal, plan):
                    written.add(rows)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert written.count == 20_000
            assert peak < 4_000_000
    assert len(file.read_bytes().splitlines()) == 20_000
    made = await scene.system.adapter.migration.report(plan)
    assert [each["count"] for each in made.document["quarantine"]] == [20_000]
