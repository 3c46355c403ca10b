"""Unread counts under every interpretation of the documentation, and during posts, recalls and reads."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from channel_adapter import (
    ChannelAdapter,
    CountSource,
    InvalidError,
    PostRecalled,
    PostRef,
    Text,
)
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent.catalog import CREATE_GROUP
from tests.faults.test_adapter_trouble import USERS, Calls, opened, settings

ANN, BEN = USERS[:2]
GROUPS = "group_open_http_svc"


async def channels_on(adapter: ChannelAdapter, number: int) -> list[str]:
    made = [adapter.channels.create(slug=f"tides_{n}", name=f"Tides {n}", owner="owner") for n in range(number)]
    return [channel.id for channel in await asyncio.gather(*made)]


async def grouped(adapter: ChannelAdapter, user: str) -> set[str]:
    return {channel async for each in adapter.unread.groups(user) for channel in (*each.channels, *each.others)}


SWITCHES: dict[str, dict[str, Any]] = {
    "as decided": {},
    "the service counts": {"behaviour": {"joined_list_unread": True}},
    "an untyped list without Communities": {"behaviour": {"community_in_untyped_list": False}},
    "a duplicate create merges": {"behaviour": {"contact_group_duplicate": "merge"}},
    "repeats are refused item by item": {"behaviour": {"contact_group_repeat_code": 50002}},
    "groups that are not joined are accepted": {"behaviour": {"contact_group_needs_membership": False}},
    "a limit for each group": {"behaviour": {"contact_group_limit": "group"}},
    "leaving cleans up": {"behaviour": {"contact_group_cleaned": True}},
    "pages of two": {"limits": {"contact_group_page": 2}},
    "a search leaves out the bare": {"behaviour": {"search_returns_bare": False}},
}


@pytest.mark.parametrize("switch", SWITCHES)
async def test_unread_works_under_every_interpretation_of_the_documentation(switch: str) -> None:
    async with opened(SWITCHES[switch]) as (adapter, server):
        one, two, three = await channels_on(adapter, 3)
        for channel in (one, two, three):
            for _ in range(2):
                (outcome,) = await adapter.subscriptions.subscribe(channel, [ANN])
                assert outcome.assignment is not None
                assert outcome.assignment.done
        posts = [await adapter.posts.publish(one, Text("x"), silent=number == 1) for number in range(4)]
        await adapter.posts.recall(posts[0].ref)
        found = await adapter.unread.get(ANN, explain=True)
        assert ([each.count for each in found.channels], found.badge) == ([2, 0, 0], 2)
        by_server = switch == "the service counts"
        explained = found.channels[0].explanation
        assert explained is not None
        assert explained.source is (CountSource.SERVER if by_server else CountSource.POSITIONS)
        assert await adapter.unread.mark_read(one, 3, user=ANN) == 1
        await adapter.unread.star(one, user=ANN)
        assert (await adapter.unread.marks(one, user=ANN)).starred
        for _ in range(2):
            (outcome,) = await adapter.subscriptions.unsubscribe(two, [ANN])
            assert outcome.assignment is not None
            assert outcome.assignment.done
        await adapter.channels.delete(three)
        done = await adapter.unread.sync(ANN)
        assert done.removed == (() if switch == "leaving cleans up" else (three,))
        assert not (await adapter.unread.sync(ANN)).changed
        assert await grouped(adapter, ANN) == {one}
        assert server.world.state.contacts[ANN].conversations(1) == [(2, one)]


async def test_fewer_fields_are_requested_after_an_unknown_field_is_refused() -> None:
    """10004 for a field of the filter: the documented alternative is then the row of the member."""
    calls = Calls()
    async with opened({}, calls, concurrency=1) as (adapter, server):
        one, two = await channels_on(adapter, 2)
        await adapter.subscriptions.follow(ANN, [one, two])
        await adapter.posts.publish(one, Text("x"))
        server.faults.replace([Fault(command="get_joined_group_list", times=6, code=10004)])  # three lists, two fields
        for expected in (9, 3):
            calls.clear()
            found = await adapter.unread.get(ANN, explain=True)
            assert sorted(each.count for each in found.channels) == [0, 1]
            sources = {each.explanation.source for each in found.channels if each.explanation}
            assert sources == {CountSource.MEMBER}
            assert calls == {"get_joined_group_list": expected, "get_specified_group_member_info": 2}


async def test_chats_are_counted_separately_from_channels() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        await adapter.posts.publish(channel, Text("x"))
        for kind, name in (("Public", "club"), ("Private", "family"), ("ChatRoom", "hall"), ("Community", "@TGS#_row")):
            body = {"Type": kind, "GroupId": name, "Name": name, "Owner_Account": "owner"}
            await adapter.call(GROUPS, "create_group", {**body, "MemberList": [{"Member_Account": ANN}]})
            server.world.client("owner").post(name, "hello")
        assert (found := await adapter.unread.get(ANN)).badge == 1
        assert found.chats == 3  # meetings have no unread count
        server.world.client(ANN).set_receive_option("club", "AcceptNotNotify")
        assert (await adapter.unread.get(ANN)).chats == 2


async def test_silent_and_recalled_posts_of_another_process_are_found_in_history() -> None:
    calls = Calls()
    async with opened({}, calls) as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        async with ChannelAdapter.open(settings(server)) as other:
            for number in range(45):
                ref = (await other.posts.publish(channel, Text("x"), silent=number % 9 == 0)).ref
            await other.posts.recall(ref)
        server.world.client("owner").recall(channel, 2)
        assert (await adapter.unread.get(ANN)).badge == 45  # this process has not received them
        calls.clear()
        assert (await adapter.unread.get(ANN, exact=True)).badge == 45 - 5 - 2
        assert calls["group_msg_get_simple"] == 3
        calls.clear()
        assert await adapter.unread.mark_read(channel, 1, user=ANN, exact=True) == 45 - 5 - 2
        assert calls["group_msg_get_simple"] == 0
        await adapter.posts.publish(channel, Text("one more"))
        calls.clear()
        assert (await adapter.unread.get(ANN, exact=True)).badge == 45 - 5 - 2 + 1
        assert calls["group_msg_get_simple"] == 1  # recently read pages are not read again
        assert (await adapter.unread.get(ANN)).badge == 45 - 5 - 2 + 1
        server.world.client("owner").recall(channel, 3)
        recalled = PostRecalled(channel=ref.channel, refs=(PostRef(ref.channel, 3),))
        for _ in range(2):  # a webhook may repeat an event
            adapter.backend.observe(recalled)
        assert (await adapter.unread.get(ANN)).badge == 45 - 5 - 3 + 1


async def test_channel_with_the_id_of_a_deleted_one_counts_from_the_start() -> None:
    async with opened() as (adapter, _):
        for _ in range(2):
            (channel,) = await channels_on(adapter, 1)
            await adapter.subscriptions.subscribe(channel, [ANN])
            first = await adapter.posts.publish(channel, Text("x"))
            assert (await adapter.unread.get(ANN)).badge == 1
            await adapter.posts.recall(first.ref)
            assert (await adapter.unread.get(ANN)).badge == 0
            await adapter.channels.delete(channel)


async def test_post_published_during_mark_read_stays_unread() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        for _ in range(4):
            await adapter.posts.publish(channel, Text("x"))
        server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.2)])  # the last post at that time
        reading = asyncio.ensure_future(adapter.unread.mark_read(channel, 2, user=ANN))
        await asyncio.sleep(0.1)
        await adapter.posts.publish(channel, Text("x"))
        assert await reading == 3
        assert server.world.client(ANN).unread(channel) == 3


async def test_mark_read_accepts_a_time() -> None:
    calls = Calls()
    async with opened({}, calls) as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        began = int(time.time()) - 60
        server.world.clock.freeze(began)
        for _ in range(130):
            await adapter.posts.publish(channel, Text("x"))
            server.world.clock.advance(1)
        server.world.clock.resume()
        mark, moment = adapter.unread.mark_read, partial(datetime.fromtimestamp, tz=UTC)
        assert await mark(channel, moment(began - 1), user=ANN) == 130
        calls.clear()
        assert await mark(channel, moment(began + 20.5), user=ANN) == 130 - 21
        assert calls["group_msg_get_simple"] <= 4
        assert server.world.client(ANN).unread(channel) == 130 - 21
        assert await mark(channel, moment(began + 3), user=ANN) == 130 - 21  # never back
        assert await mark(channel, moment(began + 40).astimezone(timezone(timedelta(hours=8))), user=ANN) == 130 - 41
        assert await mark(channel, moment(began + 128), user=ANN) == 1  # later than our clock, and before the last post
        with pytest.raises(InvalidError, match="in the future"):
            await mark(channel, moment(began + 130), user=ANN)
        assert await mark(channel, moment(began + 129), user=ANN) == 0


async def test_mark_all_read_marks_the_other_channels_after_a_failure() -> None:
    async with opened() as (adapter, server):
        channels = await channels_on(adapter, 4)
        await adapter.subscriptions.follow(ANN, channels)
        for channel in channels:
            await adapter.posts.publish(channel, Text("x"))
        server.faults.replace([Fault(command="set_unread_msg_num", group=channels[1], code=10004)])
        with pytest.raises(Exception, match="10004"):
            await adapter.unread.mark_all_read(ANN)
        assert (await adapter.unread.get(ANN)).badge == 1
        server.faults.replace([])
        assert await adapter.unread.mark_all_read(ANN) == (channels[1],)


async def test_count_with_a_warm_cache_requires_only_the_list_pages() -> None:
    calls = Calls()
    async with opened({"limits": {"groups_per_user": 2000}}, calls) as (adapter, server):
        for number in range(450):
            tag = [{"Key": "ch_tag", "Value": "ch1"}] if number % 3 else []
            body = {"Type": "Community", "GroupId": f"@TGS#_{number}", "Name": "x", "Owner_Account": "owner"}
            more = {"AppDefinedData": tag, "MemberList": [{"Member_Account": ANN}]}
            server.world.execute(CREATE_GROUP, {**body, **more}, caller=server.admin)
            server.world.client("owner").post(f"@TGS#_{number}", "hello")
        calls.clear()
        found = await adapter.unread.get(ANN)
        assert (len(found.channels), found.badge, found.chats) == (300, 300, 150)
        assert calls == {"get_joined_group_list": 5, "get_group_info": 9}
        calls.clear()
        assert await adapter.unread.get(ANN) == found
        assert calls == {"get_joined_group_list": 5}  # three pages of Communities, one for each other type


async def test_history_is_read_once_for_many_users_and_again_after_a_failure() -> None:
    calls = Calls()
    async with opened({}, calls) as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, USERS[:10])
        async with ChannelAdapter.open(settings(server)) as other:
            await other.posts.publish(channel, Text("x"), silent=True)
        server.faults.replace([Fault(command="group_msg_get_simple", nth=(1,), code=10004)])
        with pytest.raises(InvalidError):
            await adapter.unread.get(ANN, exact=True)
        calls.clear()
        found = [each.badge async for each in adapter.unread.get_many(USERS[:10], exact=True)]
        assert (found, calls["group_msg_get_simple"]) == ([0] * 10, 1)


async def test_failed_count_makes_no_further_calls() -> None:
    calls = Calls()
    async with opened({}, calls, concurrency=2) as (adapter, server):
        channels = await channels_on(adapter, 12)
        await adapter.subscriptions.follow(ANN, channels)
        async with ChannelAdapter.open(settings(server)) as other:
            for channel in channels:
                await other.posts.publish(channel, Text("x"))
        command = "group_msg_get_simple"
        server.faults.replace([Fault(command=command, nth=(1,), code=10004), Fault(command=command, delay=0.05)])
        calls.clear()
        with pytest.raises(InvalidError):
            await adapter.unread.get(ANN, exact=True)
        await asyncio.sleep(0.2)
        assert calls[command] <= 2


async def test_channel_deleted_during_a_count_is_no_failure() -> None:
    async with opened(concurrency=1) as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        await adapter.posts.publish(channel, Text("x"))
        server.faults.replace([Fault(command="group_msg_get_simple", code=10010)])
        assert (await adapter.unread.get(ANN, exact=True)).badge == 1
        server.faults.replace(
            [
                Fault(command="get_joined_group_list", times=6, code=10004),
                Fault(command="get_specified_group_member_info", code=10010),
            ]
        )
        assert (await adapter.unread.get(ANN)).badge == 0
