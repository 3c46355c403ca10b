"""A worker that lives longer than a plan: each run moves the source as it is then."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from channel_adapter.migration.plan.document import Plan, write_plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.run.apply import Status
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from tests.migration import mover, worlds
from tests.migration.conftest import System, system
from tests.migration.test_apply_killed import KILLED
from tests.migration.worlds import Size

BORN = 1_700_000_000
SECONDS = 60.0


def write_files(folder: Path, channels: Sequence[str], posts: int) -> None:
    lines: dict[str, list[dict[str, Any]]] = {
        "channels": [{"id": each, "name": each, "owner": worlds.OWNER, "created_at": BORN} for each in channels],
        "subscribers": [{"channel": each, "user": "reader_000000"} for each in channels],
        "posts": [{"channel": each, "id": f"p{n}", "time": BORN + 100 + n, "text": f"Post {n}"}
                  for each in channels for n in range(posts)],
    }  # fmt: skip
    for kind, records in lines.items():
        (folder / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")


async def plan_files(s: System, folder: Path) -> Plan:
    spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(folder)))
    async with s.adapter.migration.source(spec) as source:
        return await s.adapter.migration.plan(source, PlanOptions(migration="m"))


@asynccontextmanager
async def worker(s: System, database: str) -> AsyncIterator[None]:
    working = asyncio.ensure_future(s.adapter.migration.work(database=database))
    try:
        yield
        assert not working.done()
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def moved_by_worker(s: System, plan: Plan, file: Path, database: str, number: int) -> Status:
    """Queue the channels of a plan in a process that ends there, and wait until the worker is done with them."""
    write_plan(file, plan)
    assert await mover.carried_out(mover.orders(s, file, database, point="queued")) == KILLED
    async with asyncio.timeout(SECONDS):
        while True:
            status = await s.adapter.migration.status(plan.migration, database=database)
            if status.round == number and all(each.status != "queued" for each in status.channels):
                return status
            await asyncio.sleep(0.05)


def posts_on_target(s: System, plan: Plan) -> dict[str, int]:
    groups = s.server.world.state.groups
    return {each.source.id: len(list(groups[each.target.id].log)) for each in plan.channels}


async def test_worker_moves_files_that_were_planned_again(tmp_path: Path, database: str) -> None:
    files = tmp_path / "files"
    files.mkdir()
    async with system(Size(1, 0), ids=(worlds.EMPTY,)) as s, worker(s, database):
        write_files(files, ("a", "b", "c"), posts=2)
        status = await moved_by_worker(s, await plan_files(s, files), tmp_path / "plan.json", database, 1)
        assert (status.complete, status.posts) == (True, 6)
        write_files(files, ("a", "b", "c", "fresh"), posts=4)
        plan = await plan_files(s, files)
        status = await moved_by_worker(s, plan, tmp_path / "plan.json", database, 2)
        assert [(each.source, each.reason) for each in status.failed] == []
        assert posts_on_target(s, plan) == dict.fromkeys(("a", "b", "c", "fresh"), 4)


async def test_worker_moves_files_that_changed_after_the_plan(tmp_path: Path, database: str) -> None:
    files = tmp_path / "files"
    files.mkdir()
    async with system(Size(1, 0), ids=(worlds.EMPTY,)) as s, worker(s, database):
        write_files(files, ("a", "b"), posts=2)
        plan = await plan_files(s, files)
        assert (await moved_by_worker(s, plan, tmp_path / "plan.json", database, 1)).complete
        write_files(files, ("a",), posts=4)
        status = await moved_by_worker(s, plan, tmp_path / "plan.json", database, 2)
        assert posts_on_target(s, plan) == {"a": 4, "b": 2}
        [failed] = status.failed
        assert (failed.source, failed.reason) == (
            "b",
            "the source of migration m has no channel b any more: plan again without it, with --name m",
        )


async def test_worker_moves_accounts_that_a_later_plan_adds(tmp_path: Path, database: str) -> None:
    async with system(Size(12, 12), ids=(worlds.TEXTS, worlds.FULL)) as s, worker(s, database):

        async def plan_accounts(*accounts: str) -> Plan:
            async with s.adapter.migration.accounts_source(Discovered(accounts)) as source:
                options = PlanOptions(migration="m")
                return await s.adapter.migration.plan(source, options)

        first = await plan_accounts(worlds.TEXTS)
        assert (await moved_by_worker(s, first, tmp_path / "plan.json", database, 1)).complete
        both = await plan_accounts(worlds.TEXTS, worlds.FULL)
        status = await moved_by_worker(s, both, tmp_path / "plan.json", database, 2)
        assert [(each.source, each.reason) for each in status.failed] == []
        assert status.done == 2
