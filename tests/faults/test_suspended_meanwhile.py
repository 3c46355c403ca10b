"""A channel that is suspended while a long bulk call subscribes users."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, OutcomeKind
from channel_adapter.config.settings import ChannelSettings
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
