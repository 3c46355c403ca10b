"""Users whom the target has refused: one who subscribes there later is no user that was moved."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.rollback import RollbackStatus
from channel_adapter.migration.run.apply import Status
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

CHANNEL = "@TGS#_news"


@dataclass
class Scene:
    """Files with one channel, and what a migration makes of them."""

    system: System
    files: Path

    def write(self, *users: str, data: str = "") -> None:
        channel = {"id": "news", "name": "News", "owner": worlds.OWNER, "created_at": 1_700_000_000}
        (self.files / "channels.jsonl").write_text(json.dumps(channel))
        lines = [{"channel": "news", "user": user, "custom_data": data} for user in users]
        (self.files / "subscribers.jsonl").write_text("\n".join(map(json.dumps, lines)))

    async def plan(self, *policies: str) -> Plan:
        spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(self.files)))
        options = PlanOptions(migration="m", policies=Resolutions.parse(policies))
        async with self.system.adapter.migration.source(spec) as source:
            return await self.system.adapter.migration.plan(source, options)

    async def apply(self) -> Status:
        return await self.system.adapter.migration.apply(await self.plan())

    async def members(self, users: Sequence[str]) -> dict[str, bool]:
        found = await self.system.adapter.subscriptions.is_subscribed("news", users)
        return {str(user): subscribed for user, subscribed in found.items()}


@pytest.fixture
async def refused(tmp_path: Path, database: str) -> AsyncIterator[Scene]:
    """Return a channel in which `moved` was moved, and `late` was refused twice: it had no account."""
    async with system(Size(1, 0), ids=(worlds.EMPTY,), database_url=database) as s:
        scene = Scene(s, tmp_path)
        await s.adapter.accounts.add(["moved"])
        scene.write("moved", "late")
        status = await scene.apply()
        assert (status.complete, status.quarantined, status.subscribers) == (True, 1, 1)
        assert (await s.adapter.migration.retry(await scene.plan())).quarantined == 1
        assert (await scene.apply()).quarantined == 1
        await s.adapter.accounts.add(["late"])
        yield scene


async def test_refused_user_who_subscribes_is_not_removed_with_the_source(refused: Scene) -> None:
    await refused.system.adapter.subscriptions.subscribe("news", ["late"], assign=False)
    refused.write("moved")
    status = await refused.apply()
    assert (status.complete, status.subscribers, status.channels[0].removed) == (True, 1, 0)
    assert await refused.members(["moved", "late"]) == {"moved": True, "late": True}


@pytest.mark.parametrize("again", ["apply", "retry"])
async def test_user_who_subscribed_before_the_next_attempt_is_not_counted_as_moved(refused: Scene, again: str) -> None:
    await refused.system.adapter.subscriptions.subscribe("news", ["late"], assign=False)
    if again == "apply":
        await refused.apply()
    else:
        assert (await refused.system.adapter.migration.retry(await refused.plan())).quarantined == 0
    refused.write("moved")
    status = await refused.apply()
    assert (status.subscribers, status.channels[0].removed) == (1, 0)
    assert await refused.members(["late"]) == {"late": True}


@pytest.mark.parametrize("again", ["apply", "retry"])
async def test_refused_user_who_is_moved_later_is_removed_with_the_source(refused: Scene, again: str) -> None:
    plan = await refused.plan()
    await getattr(refused.system.adapter.migration, again)(plan)
    assert await refused.members(["late"]) == {"late": True}
    refused.write("moved")
    status = await refused.apply()
    assert (status.subscribers, status.channels[0].removed) == (1, 1)
    assert await refused.members(["moved", "late"]) == {"moved": True, "late": False}


@pytest.mark.parametrize("calls", [1, 2, 3])
async def test_user_of_a_call_that_the_limits_prevent_is_not_counted_as_moved(refused: Scene, calls: int) -> None:
    users = [f"next_{number}" for number in range(3)]
    await refused.system.adapter.accounts.add(users)
    refused.write("moved", *users)
    limits = BudgetLimits(calls=calls)
    await refused.system.adapter.migration.apply(await refused.plan(), limits=limits)
    prevented = [user for user, member in (await refused.members(users)).items() if not member]
    if prevented:
        await refused.system.adapter.subscriptions.subscribe("news", prevented, assign=False)
    assert (await refused.apply()).complete
    refused.write("moved")
    assert (await refused.apply()).complete
    assert await refused.members(users) == {user: user in prevented for user in users}


async def test_channel_with_a_refused_user_who_subscribed_is_not_removable(refused: Scene) -> None:
    await refused.system.adapter.subscriptions.subscribe("news", ["late"], assign=False)
    refused.write("moved")
    [item] = (await refused.system.adapter.migration.rollback(await refused.plan())).items
    assert (item.status, item.own_subscribers) == (RollbackStatus.LIVES, 1)


async def test_retry_stores_the_text_of_a_subscription_that_a_later_policy_stores(
    refused: Scene, database: str
) -> None:
    planned = await refused.plan()
    refused.write("moved", "late", data="since the beginning")
    assert (await refused.system.adapter.migration.apply(planned)).quarantined == 1
    plan = await refused.plan("subscriber_data=store")
    assert (await refused.system.adapter.migration.retry(plan)).quarantined == 0
    assert await refused.members(["late"]) == {"late": True}
    async with open_journal(database) as journal:
        assert await journal.store.originals(CHANNEL, "subscriber") == {"late": "since the beginning"}
