"""Applying a plan on the stub's world: all of it arrives, once; later runs move what has changed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channel_adapter.migration.plan import Plan
from channel_adapter.migration.planning import Options
from channel_adapter.migration.policies import Policies
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.status import Status
from channel_adapter.stub.world.state import Group
from tests.migration import worlds
from tests.migration.conftest import Stage, stage
from tests.migration.worlds import Size

SMALL = Size(subscribers=230, posts=60)


async def planned(s: Stage, **more: Any) -> Plan:
    policies = more.pop("policies", ["all=cut"])
    options = Options(policies=Policies.parse(policies), renamed=worlds.RENAMED, **more)
    async with s.adapter.migration.accounts_source(Discovered(tuple(s.moving.ids))) as source:
        return await s.adapter.migration.plan(source, options)


@pytest.fixture
async def small(database: str) -> AsyncIterator[Stage]:
    async with stage(SMALL, database_url=database) as s:
        yield s


def group_of(s: Stage, plan: Plan, account: str) -> Group:
    channel = plan.channel(account)
    assert channel is not None
    return s.server.world.state.groups[channel.target.id]


async def test_everything_arrives(small: Stage) -> None:
    plan = await planned(small)
    status: Status = await small.adapter.migration.apply(plan)
    assert status.complete, status
    assert status.quarantined == 0
    for account in small.moving.ids:
        source = small.server.world.state.official[account]
        group = group_of(small, plan, account)
        people = {user for user in source.subscribers if user != worlds.OWNER}
        assert {user for user in group.members if user != worlds.OWNER} == people
