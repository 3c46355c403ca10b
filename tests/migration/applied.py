"""A stub whose accounts were moved by the transforms alone: the start of verify, cutover and rollback."""

from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.discover import Discovered
from tests.migration import worlds
from tests.migration.conftest import System
from tests.migration.test_transform_world import move


async def moved(at: System, *policies: str) -> Plan:
    """Plan all accounts of the system, and move them."""
    renamed = worlds.RENAMED if worlds.TAKEN in at.moving.ids else {}
    options = PlanOptions(policies=Resolutions.parse(policies or ["all=cut"]), renamed=renamed)
    async with at.adapter.migration.accounts_source(Discovered(tuple(at.moving.ids))) as source:
        plan = await at.adapter.migration.plan(source, options)
        for channel in plan.channels:
            await move(at, source, plan, channel)
    return plan
