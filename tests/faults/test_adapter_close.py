"""Closing an adapter closes every part of it, also if one of them fails or the call is cancelled."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, Unsubscribed
from channel_adapter.store.database import Database
from channel_adapter.stub.callbacks.request import CallbackSettings as ToReceiver
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.webhooks import serve
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


async def test_cancelled_stop_of_a_receiver_closes_its_inbox(tmp_path: Path) -> None:
    """The stop waits for a handler, and is cancelled meanwhile."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with open_system(1, None) as system:
        own = system.settings(database_url=url)
        adapter = ChannelAdapter.open(own)
        handling, end = asyncio.Event(), asyncio.Event()

        @adapter.events.on(Unsubscribed)
        async def handle(_: Unsubscribed) -> None:
            handling.set()
            while not end.is_set():
                with suppress(asyncio.CancelledError):
                    await end.wait()

        async with adapter:
            serving = serve(adapter)
            _, address = await serving.__aenter__()
            database = Database.shared(url)
            system.server.webhooks.settings = ToReceiver(url=address, timeout=60.0)
            system.server.world.client(system.users[0]).leave(system.ref.channel)
            async with asyncio.timeout(60):
                await handling.wait()
            asyncio.get_running_loop().call_later(1.0, end.set)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await serving.__aexit__(None, None, None)
        await database.close()
        await assert_closed(database, url)
