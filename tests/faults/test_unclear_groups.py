"""Groups that the service cannot read for the moment, and a tag of which two calls change a part concurrently."""

import asyncio

import pytest

from channel_adapter import InvalidError, OutcomeKind, Text
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.stub.faults.faults import Fault
from tests.faults.test_adapter_trouble import USERS, channel_on, opened

DATA_KEYS = ("ch_data_1", "ch_data_2")
BUSY = Fault(command="get_group_info", fail_items=1, times=1, item_code=10002)


async def test_posts_are_marked_as_read_after_group_could_not_be_read_at_first() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        for number in range(4):
            await adapter.posts.publish(channel, Text(str(number)))
        server.faults.replace([BUSY])
        assert await adapter.unread.mark_read(channel, 2, user=USERS[0]) == 2


async def test_channel_with_room_is_filled_after_it_could_not_be_read_at_first() -> None:
    async with opened() as (adapter, server):
        channel = (await adapter.channels.create(slug="tides", name="T", owner="owner", max_subscribers=3)).id
        await adapter.channels.get(channel)
        server.faults.replace([BUSY])
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:5])
        assert outcomes.counts == {OutcomeKind.ADDED: 3, OutcomeKind.FULL: 2}


async def test_flag_that_is_set_while_custom_data_changes_is_kept() -> None:
    app = {"app": {"group_fields": ["ch_tag", *DATA_KEYS]}}
    async with opened(app, channels=ChannelSettings(custom_data_keys=DATA_KEYS)) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.3)])
        changing = asyncio.ensure_future(adapter.channels.update(channel, custom_data="x" * 600))
        await asyncio.sleep(0.1)  # it has read the tag, and writes it later
        assert await adapter.channels.suspend(channel)
        await changing
        found = await adapter.channels.get(channel)
        assert (found.suspended, found.custom_data) == (True, "x" * 600)


async def test_changes_of_tags_of_different_channels_do_not_wait_for_each_other() -> None:
    async with opened() as (adapter, server):
        slow, quick = [
            (await adapter.channels.create(slug=slug, name=slug, owner="owner")).id for slug in ("slow", "quick")
        ]
        server.faults.replace([Fault(command="modify_group_base_info", group=slow, delay=1.0)])
        changes = [asyncio.ensure_future(adapter.channels.verify(channel)) for channel in (slow, quick)]
        done, pending = await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({changes[1]}, {changes[0]})
        assert await asyncio.gather(*changes) == [True, True]


async def test_contact_is_not_changed_by_an_update_with_an_invalid_field() -> None:
    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        for name in ("", "x" * 500):
            with pytest.raises(InvalidError, match="name"):
                await adapter.channels.update(channel, contact=USERS[0], name=name)
        assert (await adapter.channels.get(channel)).contact is None
