"""A plan of all accounts of a system."""

from collections.abc import Sequence
from typing import Any

from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.discover import Discovered
from tests.migration import worlds
from tests.migration.conftest import System


async def planned(system: System, *, policies: Sequence[str] = ("all=cut",), **more: Any) -> Plan:
    """Plan all accounts, with every loss cut unless other policies are passed."""
    ids = tuple(system.moving.ids)
    renamed = {old: new for old, new in worlds.RENAMED.items() if old in ids}
    options = PlanOptions(policies=Resolutions.parse(policies), renamed=renamed, **more)
    async with system.adapter.migration.accounts_source(Discovered(ids)) as source:
        return await system.adapter.migration.plan(source, options)
