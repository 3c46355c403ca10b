"""Applying a plan on the stub: everything is moved once, and what cannot be moved is reported."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from channel_adapter.errors import ConfigurationError, ConflictError, InvalidError
from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.cutover.cutover import CutoverOptions
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.store.migration import MigrationStore
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.scenario import Scenario
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.moved_world import check_against_source, moved_posts, picture
from tests.migration.planned import planned
from tests.migration.worlds import Size

SCENARIO = Scenario.load(Path(__file__).parents[2] / "config" / "scenarios" / "flaky_network.toml")
SMALL = Size(subscribers=230, posts=60)
TINY = (worlds.TEXTS, worlds.FLAGS, worlds.GONE)


@pytest.fixture
async def small(database: str) -> AsyncIterator[System]:
    async with system(SMALL, database_url=database) as s:
        yield s


@pytest.fixture
async def tiny(database: str) -> AsyncIterator[System]:
    async with system(Size(60, 21), ids=TINY, database_url=database) as s:
        yield s


async def rows(database: str, plan: Plan) -> list[Any]:
    async with open_journal(database) as journal:
        return await journal.store.quarantined(plan.migration)


async def test_apply_moves_every_channel_post_and_subscriber(small: System, database: str) -> None:
    plan = await planned(small)
    before = small.server.world.state.groups[small.moving.stranger]
    status = await small.adapter.migration.apply(plan)
    assert status.complete
    assert (status.quarantined, status.round, status.stopped) == (0, 1, "")
    check_against_source(small.server.world, plan)
    assert status.subscribers == sum(
        len([user for user in small.server.world.state.official[account].subscribers if user != worlds.OWNER])
        for account in small.moving.ids
    )
    assert small.server.world.state.groups[small.moving.stranger] is before
    async with open_journal(database) as journal:
        posts = await moved_posts(journal.store, plan.migration, worlds.BUSY)
    assert [post.seq for post in posts.values()] == list(range(1, SMALL.posts + 1))
    assert [post.number for post in posts.values()] == list(range(1, SMALL.posts + 1))
    again = await small.adapter.migration.status(plan.migration)
    assert again.channels == status.channels


async def test_apply_completes_on_a_network_that_loses_one_call_in_ten(database: str) -> None:
    async with system(Size(230, 36), ids=(*TINY, worlds.FULL), database_url=database) as s:
        plan = await planned(s)
        s.server.faults.replace(SCENARIO.faults)
        status = await s.adapter.migration.apply(plan)
        s.server.faults.replace([])
        assert status.complete
        assert status.quarantined == 0
        check_against_source(s.server.world, plan)
        channel = plan.channel(worlds.FULL)
        assert channel is not None
        randoms = [post.random for post in s.server.world.state.groups[channel.target.id].log]
        assert len(randoms) == len(set(randoms))


async def test_run_stopped_by_its_call_limit_is_completed_by_the_next(tiny: System) -> None:
    plan = await planned(tiny)
    first = await tiny.adapter.migration.apply(plan, limits=BudgetLimits(calls=20))
    assert not first.complete
    assert first.stopped == "its 20 calls are used up"
    assert first.calls == 20
    second = await tiny.adapter.migration.apply(plan)
    assert second.complete
    assert second.round == 1
    check_against_source(tiny.server.world, plan)


async def test_cancelled_run_ends_immediately_and_is_completed_by_the_next(tiny: System) -> None:
    plan = await planned(tiny)
    tiny.server.faults.replace([Fault(command="import_group_member", delay=0.2)])
    task = asyncio.ensure_future(tiny.adapter.migration.apply(plan))
    for _ in range(500):
        if ("group_open_http_svc/import_group_msg", 0) in tiny.server.log.answers:
            break
        await asyncio.sleep(0.02)
    began = asyncio.get_running_loop().time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() - began < 2
    assert (await tiny.adapter.migration.apply(plan)).complete
    check_against_source(tiny.server.world, plan)


async def test_store_policy_keeps_complete_originals(database: str) -> None:
    async with system(Size(60, 24), ids=(worlds.LIMITS, worlds.FLAGS), database_url=database) as s:
        plan = await planned(s, policies=["all=store"])
        assert (await s.adapter.migration.apply(plan)).complete
        source = s.server.world.state.official[worlds.LIMITS]
        limits, flags = plan.channel(worlds.LIMITS), plan.channel(worlds.FLAGS)
        assert limits is not None
        assert flags is not None
        async with open_journal(database) as journal:
            assert await journal.store.originals(limits.target.id, "name") == {"": source.name}
            [post] = (await journal.store.originals(limits.target.id, "post")).values()
            users = await journal.store.originals(flags.target.id, "subscriber")
        assert orjson.loads(post)["body"] == [each.model_dump(by_alias=True) for each in worlds.huge()]
        assert users == s.server.world.state.official[worlds.FLAGS].subscriber_strings
        assert "kept=name+posts" in s.server.world.state.groups[limits.target.id].fields["ch_tag"]


async def test_refused_users_stay_in_quarantine_until_a_retry_succeeds(tiny: System, database: str) -> None:
    plan = await planned(tiny)
    refusing = [Fault(command="import_group_member", fail_items=7)]
    tiny.server.faults.replace(refusing)
    status = await tiny.adapter.migration.apply(plan)
    assert status.complete
    found = await rows(database, plan)
    assert len(found) == status.quarantined > 3
    assert found[0].reason.startswith("the target refused this user: the channel is full")
    assert "migrate retry" in found[0].retry
    assert orjson.loads(found[0].raw)["user"] == found[0].key
    tiny.server.faults.replace([Fault(command="import_group_member", fail_items=1)])
    assert (await tiny.adapter.migration.retry(plan)).quarantined == len(found)
    tiny.server.faults.replace([])
    after = await tiny.adapter.migration.retry(plan)
    assert after.quarantined == 0
    assert after.subscribers == status.subscribers + len(found)
    check_against_source(tiny.server.world, plan)


async def test_failed_channel_is_reported_and_completed_by_retry(tiny: System) -> None:
    plan = await planned(tiny)
    tiny.server.faults.replace([Fault(command="modify_group_base_info", code=10007)])
    status = await tiny.adapter.migration.apply(plan)
    assert [channel.status for channel in status.failed] == ["failed"] * 3
    assert "10007" in status.failed[0].reason
    tiny.server.faults.replace([])
    assert (await tiny.adapter.migration.retry(plan)).complete
    check_against_source(tiny.server.world, plan)


async def test_failed_call_leaves_no_call_about_other_subscribers_behind(database: str) -> None:
    async with system(Size(230, 3), ids=(worlds.FULL,), database_url=database) as s:
        plan = await planned(s)
        failing = Fault(command="import_group_member", nth=(2,), code=10007)
        s.server.faults.replace([failing, Fault(command="import_group_member", delay=1.0)])
        status = await s.adapter.migration.apply(plan)
        assert "10007" in status.failed[0].reason
        left = [str(task.get_coro()) for task in asyncio.all_tasks()]
        assert [each for each in left if "_move_part" in each] == []
        s.server.faults.replace([])
        assert (await s.adapter.migration.retry(plan)).complete
        check_against_source(s.server.world, plan)


async def test_posts_sent_long_ago_are_recognised(tiny: System, database: str) -> None:
    """The journal is lost, and the service no longer recognises the numbers of the posts as repeats."""
    plan = await planned(tiny)
    assert (await tiny.adapter.migration.apply(plan)).complete
    origin = 0
    before = picture(tiny.server.world, plan, origin)
    async with open_journal(database) as journal:
        for channel in plan.channels:
            forgetting = MigrationStore(journal.store.database)
            await forgetting.forget_channel(plan.migration, channel.source.id, channel.target.id)
    for channel in plan.channels:
        tiny.server.world.state.groups[channel.target.id].log._recent.clear()
    assert (await tiny.adapter.migration.apply(plan)).complete
    assert picture(tiny.server.world, plan, origin) == before


class TestRefusals:
    """A refused plan leaves all group fields unchanged, and the error names the reason."""

    async def test_plan_with_losses_without_policy_is_refused(self, tiny: System) -> None:
        plan = await planned(tiny, policies=())
        await self._refused(tiny, plan, InvalidError, "the plan cannot be applied")

    async def test_plan_of_another_app_is_refused(self, tiny: System) -> None:
        plan = (await planned(tiny)).model_copy(update={"sdkappid": 7})
        await self._refused(tiny, plan, InvalidError, "is a plan for app 7")

    async def test_plan_older_than_the_source_is_refused(self, tiny: System) -> None:
        plan = await planned(tiny)
        tiny.server.world.state.official[worlds.TEXTS].name = "Another"
        await self._refused(tiny, plan, InvalidError, "name was 'News of only_texts', is 'Another'")

    async def test_plan_with_accounts_of_another_migration_is_refused(self, tiny: System) -> None:
        plan = await planned(tiny, migration="first")
        await tiny.adapter.migration.apply(plan, limits=BudgetLimits(calls=4))
        other = plan.model_copy(update={"migration": "second"})
        await self._refused(tiny, other, ConflictError, "migration first in this database moves")

    async def test_plan_without_a_database_is_refused(self, tiny: System) -> None:
        plan = await planned(tiny)
        tiny.adapter.settings.__dict__["database_url"] = None
        await self._refused(tiny, plan, ConfigurationError, "set database_url, or give a database")

    async def test_plan_for_an_edition_without_imports_is_refused(self, tiny: System) -> None:
        plan = await planned(tiny)
        tiny.server.faults.replace([Fault(command="import_group_msg", code=10007)])
        await self._refused(tiny, plan, ConfigurationError, "may not import into groups")

    async def _refused(self, tiny: System, plan: Plan, kind: type[Exception], words: str) -> None:
        before = {name: dict(group.fields) for name, group in tiny.server.world.state.groups.items()}
        with pytest.raises(kind, match=words.replace("(", r"\(")):
            await tiny.adapter.migration.apply(plan)
        assert {name: dict(group.fields) for name, group in tiny.server.world.state.groups.items()} == before


async def test_progress_callback_that_raises_is_logged_once_and_stops_nothing(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[tuple[object, ...]] = []

    def tell(*progress: object) -> None:
        calls.append(progress)
        raise LookupError("no such bar")

    def logged() -> int:
        """Return the number of callbacks logged since the last call; check that each has its exception."""
        records = [record.getMessage() for record in caplog.records if record.name == "channel_adapter.callbacks"]
        caplog.clear()
        assert all("LookupError: no such bar" in record for record in records)
        return len(records)

    async with system(Size(12, 6), ids=(worlds.TEXTS, worlds.BUSY), database_url=database) as s:
        migration = s.adapter.migration
        async with migration.accounts_source(Discovered(tuple(s.moving.ids))) as source:
            plan = await migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])), on_progress=tell)
        assert (len(calls) > 1, logged()) == (True, 1)
        assert (await migration.apply(plan, on_progress=tell)).complete
        assert logged() == 1
        assert (await migration.verify(plan, on_progress=tell)).clean
        assert logged() == 1
        done = await migration.cutover(plan, CutoverOptions(window_seconds=0, fill=False), on_progress=tell)
        assert done.posting_moved
        assert logged() <= 2  # its own and that of the verification in it
        assert (await migration.rollback(plan, on_progress=tell)).items
        assert logged() == 1
        await migration.work(limits=BudgetLimits(seconds=1.5), on_progress=tell)
        assert logged() == 1
