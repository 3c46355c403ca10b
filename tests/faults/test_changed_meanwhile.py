"""What changes while it is read or while a bulk call goes on: suspended channels, and users who leave."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, ChannelId, NotFoundError, OutcomeKind, PermissionDeniedError, Text
from channel_adapter.backends.official.channels import OfficialAttributes
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.domain.channel import SUSPENDED
from channel_adapter.store.channel_attributes import ChannelAttributeRows
from channel_adapter.store.database import Database
from channel_adapter.stub.faults.faults import Fault
from tests.faults.test_adapter_trouble import USERS, channel_on, opened, settings


async def suspended_after_the_first_batch(channel: str, suspending: ChannelAdapter) -> AsyncIterator[str]:
    for number, user in enumerate(USERS):
        if number == 20:
            assert await suspending.channels.suspend(channel)
        yield user


@pytest.mark.parametrize("mode", ["community", "official"])
async def test_users_are_refused_after_the_channel_was_suspended_in_this_process(mode: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/app.db"
    async with opened(mode=mode, database_url=database, concurrency=1) as (adapter, _):
        channel = await channel_on(adapter)
        outcomes = await adapter.subscriptions.subscribe(channel, suspended_after_the_first_batch(channel, adapter))
        assert outcomes.counts[OutcomeKind.REFUSED] >= 15
        assert await adapter.subscriptions.count(channel) == 40 - outcomes.counts[OutcomeKind.REFUSED]


async def test_users_are_refused_after_the_channel_was_suspended_elsewhere() -> None:
    async with (
        opened(concurrency=1, channels=ChannelSettings(cache_seconds=0)) as (adapter, server),
        ChannelAdapter.open(settings(server)) as other,
    ):
        channel = await channel_on(adapter)
        outcomes = await adapter.subscriptions.subscribe(channel, suspended_after_the_first_batch(channel, other))
        assert outcomes.counts[OutcomeKind.REFUSED] >= 15


async def test_user_who_leaves_while_a_reaction_is_checked_cannot_react_again() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        post = await adapter.posts.publish(channel, Text("x"))
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        server.faults.replace([Fault(command="get_role_in_group", nth=(1,), delay=0.4)])
        reacting = asyncio.ensure_future(adapter.reactions.react(post.ref, USERS[0], "👍"))
        await asyncio.sleep(0.15)  # the service has answered that the user is inside
        await adapter.subscriptions.unsubscribe(channel, USERS[:1])
        await reacting
        with pytest.raises(PermissionDeniedError):
            await adapter.reactions.react(post.ref, USERS[0], "🙏")


async def test_channel_that_another_process_creates_is_found_after_it_was_missing() -> None:
    async with opened() as (adapter, server), ChannelAdapter.open(settings(server)) as other:
        with pytest.raises(NotFoundError):
            await adapter.posts.publish("tides", Text("x"))
        assert not (await adapter.subscriptions.follow(USERS[0], ["tides"]))[0].done
        await channel_on(other)
        assert (await adapter.subscriptions.follow(USERS[0], ["tides"]))[0].done
        assert (await adapter.posts.publish("tides", Text("x"))).ref.seq == 1
        assert (await adapter.reactions.policy("tides")).kind == "all"


async def test_missing_channel_is_published_to_after_it_was_created_elsewhere() -> None:
    async with opened() as (adapter, server), ChannelAdapter.open(settings(server)) as other:
        for call in (adapter.posts.publish("tides", Text("x")), adapter.subscriptions.subscribe("tides", USERS[:1])):
            with pytest.raises(NotFoundError):
                await call
        await channel_on(other)
        assert (await adapter.posts.publish("tides", Text("x"))).ref.seq == 1
        assert (await adapter.subscriptions.subscribe("tides", USERS[:1])).complete


class SlowRows(ChannelAttributeRows):
    """Rows whose first read returns late."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_read, self.go_on = asyncio.Event(), asyncio.Event()

    async def read(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Mapping[str, str]]:
        found = await super().read(channels)
        self.has_read.set()
        await self.go_on.wait()
        return found


async def test_flag_that_is_set_while_attributes_are_read_is_seen(tmp_path: Path) -> None:
    database, channel = Database.shared(f"sqlite:///{tmp_path}/app.db"), ChannelId("@TOA#_tides")
    slow = SlowRows(database)
    attributes = OfficialAttributes(slow, 300.0, SystemClock())
    reading = asyncio.ensure_future(attributes.read([channel]))
    await slow.has_read.wait()
    await ChannelAttributeRows(database).write(channel, {SUSPENDED: "1"})
    attributes.forget(channel)  # as after a change by this process, or one that another process reports
    slow.go_on.set()
    assert await reading == {}
    assert await attributes.is_suspended(channel)
    await database.close()
