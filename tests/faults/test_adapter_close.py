"""Closing an adapter closes every part of it, also if one of them fails or the call is cancelled."""

import asyncio
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter
from channel_adapter.store.database import Database
from channel_adapter.stub.faults.faults import Fault
from tests.faults.reaction_system import SLUG, open_system


async def test_cancelled_close_leaves_no_connection_to_the_database(tmp_path: Path) -> None:
    """Counts cannot be published, so that closing waits for them when it is cancelled."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with open_system(1, url) as system:
        adapter = ChannelAdapter.open(system.settings())
        await adapter.__aenter__()
        await adapter.posts.schedule_status()
        assert adapter.guard is not None  # with the pipeline and the accounts that were moved
        await adapter.invites.create(SLUG)
        system.server.faults.replace([Fault(command="group_set_key_values", status=503)])
        await adapter.reactions.react(system.ref, system.users[0], "👍")
        database = Database.shared(url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await adapter.aclose()
        await database.close()
        await assert_closed(database, url)
        with pytest.raises(RuntimeError, match="not open"):
            await adapter.channels.get(SLUG)


async def assert_closed(database: Database, url: str) -> None:
    """Assert that the shared object of a URL has no user left: the next one gets another object."""
    async with Database.shared(url) as another:
        assert another is not database


async def test_second_close_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with open_system(1, url) as system, system.adapter() as other:
        async with system.adapter() as adapter:
            await adapter.reactions.react(system.ref, system.users[0], "👍")
            await adapter.invites.create(SLUG)
            await other.invites.create(SLUG)
        await adapter.aclose()
        assert (await other.invites.create(SLUG)).code
