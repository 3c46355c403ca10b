"""A later plan of a migration leaves out a channel: it is shown as no longer in the plan, and counts nowhere."""

import json
from pathlib import Path

import pytest

from channel_adapter.migration.cutover.cutover import CutoverOptions
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.stub.faults.faults import Fault
from tests.migration import worlds
from tests.migration.conftest import System, planned_shell, system, world_served
from tests.migration.worlds import Size

IDS = (worlds.TEXTS, worlds.FULL)
SIZE = Size(30, 12)
LINE = "no longer in the plan, and left as it is: @TOA#_full"


async def plan_of(at: System, *accounts: str) -> Plan:
    options = PlanOptions(migration="m", policies=Resolutions.parse(["all=cut"]))
    async with at.adapter.migration.accounts_source(Discovered(accounts)) as source:
        return await at.adapter.migration.plan(source, options)


@pytest.mark.parametrize("failing", [False, True])
async def test_run_of_a_plan_without_a_channel_ends_complete(database: str, failing: bool) -> None:
    async with system(SIZE, ids=IDS, database_url=database) as at:
        migration = at.adapter.migration
        if failing:
            at.server.faults.replace(
                [Fault(command="import_group_member", group=f"@TGS#_{worlds.FULL.removeprefix('@TOA#_')}", code=10007)]
            )
        assert (await migration.apply(await plan_of(at, *IDS))).complete is not failing
        at.server.faults.replace([])
        smaller = await plan_of(at, worlds.TEXTS)
        for number in (2, 3):
            status = await migration.apply(smaller)
            assert {each.source: each.status for each in status.channels} == {
                worlds.TEXTS: "done", worlds.FULL: "dropped",
            }  # fmt: skip
            assert (status.complete, status.failed, status.round) == (True, (), number)
            assert (status.done, status.posts, status.subscribers) == (1, 4, 6)
            assert (await migration.status("m")).channels == status.channels
        assert (await migration.retry(smaller)).complete
        assert (await migration.cutover(smaller, CutoverOptions(window_seconds=0, fill=False))).complete


async def test_channel_that_a_plan_names_again_is_moved_on(database: str) -> None:
    async with system(SIZE, ids=IDS, database_url=database) as at:
        migration = at.adapter.migration
        whole = await plan_of(at, *IDS)
        assert (await migration.apply(whole)).complete
        assert (await migration.apply(await plan_of(at, worlds.TEXTS))).complete
        at.server.world.state.official[worlds.FULL].name = "Renamed"
        status = await migration.apply(whole)
        assert (status.complete, status.done, status.subscribers) == (True, 2, 36)
        assert (await at.adapter.channels.get("full")).name == "Renamed"


async def test_unfinished_channel_that_a_plan_names_again_counts_all_moved_users(database: str) -> None:
    async with system(SIZE, ids=IDS, database_url=database) as at:
        migration = at.adapter.migration
        whole = await plan_of(at, *IDS)
        at.server.faults.replace([Fault(command="modify_group_base_info", group="@TGS#_full", code=10007)])
        assert [each.subscribers for each in (await migration.apply(whole)).failed] == [30]
        at.server.faults.replace([])
        assert (await migration.apply(await plan_of(at, worlds.TEXTS))).complete
        status = await migration.apply(whole)
        assert (status.complete, status.subscribers) == (True, 36)


def test_commands_name_a_channel_that_is_no_longer_in_the_plan(tmp_path: Path) -> None:
    with world_served(SIZE, IDS) as (server, _):
        cli = planned_shell(server, tmp_path, IDS)
        named = ("--policy", "all=cut", "--name", "m", "--accept-empty")
        cli("migrate", "plan", "--accounts", "accounts.txt", *named)
        broken = Fault(command="import_group_member", group="@TGS#_full", fail_items=1)
        server.in_loop(lambda: server.faults.replace([broken]))
        cli("migrate", "apply", "plan.json", code=3)
        assert (tmp_path / "plan.quarantine.jsonl").exists()
        cli.file("accounts.txt", worlds.TEXTS)
        cli("migrate", "plan", "--accounts", "accounts.txt", *named)
        applied = cli("migrate", "apply", "plan.json").out
        assert LINE in applied
        assert "1 of 1 channel brought up to date" in applied
        assert not (tmp_path / "plan.quarantine.jsonl").exists()
        assert LINE in cli("migrate", "status", "plan.json").out
        status = cli("migrate", "status", "plan.json", "--json").json
        assert {each["source"]: each["status"] for each in status["channels"]} == {
            worlds.TEXTS: "done", worlds.FULL: "dropped",
        }  # fmt: skip
        assert status["quarantined"] == 0
        cli("migrate", "verify", "plan.json")
        report = cli("migrate", "report", "plan.json", "--json").json
        assert report["no_longer_planned"] == [{"source": worlds.FULL, "target": "@TGS#_full"}]
        assert json.loads((tmp_path / "plan.report.json").read_text())["quarantine"] == []
        assert "No longer in the plan, and left as it is: @TOA#_full." in (tmp_path / "plan.report.md").read_text()
