"""Lists that the service aborts, repeats in a cycle or returns in part: one known to be incomplete raises an error."""

import asyncio
import re
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from aioresponses import CallbackResult, aioresponses

from channel_adapter import (
    ChannelAdapter,
    NotFoundError,
    PermissionDeniedError,
    Settings,
    Text,
    UnavailableError,
)
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.stub.faults.faults import Fault
from tests.faults.conftest import OK, PRIMARY, FakeClock, Script, ScriptedResponse
from tests.faults.test_adapter_trouble import USERS, Calls, channel_on, opened, settings
from tests.faults.test_broadcasts import TIDES
from tests.faults.test_broadcasts import opened as official
from tests.faults.test_broadcasts import stub as official_stub
from tests.faults.test_lost_answers import HastyClock

MANY = [f"person_{number}" for number in range(250)]
STRANGERS = [f"stranger_{number}" for number in range(40)]


async def filled(adapter: ChannelAdapter) -> str:
    channel = await channel_on(adapter)
    await adapter.accounts.add(MANY)
    assert (await adapter.subscriptions.subscribe(channel, MANY)).complete
    return channel


async def second_cursor(adapter: ChannelAdapter, channel: str) -> str:
    body = {"GroupId": channel, "Limit": 100, "Next": ""}
    return str((await adapter.call("group_open_http_svc", "get_group_member_info", body))["Next"])


@pytest.mark.parametrize("nth", [2, 3])
async def test_cycle_in_the_subscriber_list_raises_unavailable(nth: int) -> None:
    async with opened() as (adapter, server):
        channel = await filled(adapter)
        cursor = await second_cursor(adapter, channel)
        server.faults.replace([Fault(command="get_group_member_info", nth=(nth,), extra={"Next": cursor})])
        rows = adapter.subscriptions.subscribers(channel)
        found = []
        with pytest.raises(UnavailableError, match="came back to"):  # noqa: PT012 - the loop is what raises
            async with asyncio.timeout(5):
                async for row in rows:
                    found.append(row.user)  # noqa: PERF401
        assert len(found) == len(set(found)) == (nth - 1) * 100 - 1
        server.faults.replace([])
        found += [row.user async for row in rows]  # the next request succeeds
        assert sorted(found) == sorted(MANY)


async def test_list_of_all_channels_has_each_channel_once_and_ends() -> None:
    async with opened() as (adapter, server):
        slugs = [f"channel_{number}" for number in range(6)]
        for slug in slugs:
            await adapter.channels.create(slug=slug, name="Tides", owner="owner")
        server.faults.replace([Fault(command="get_appid_group_list", nth=(1,), extra={"Next": 3})])
        assert sorted([channel.slug async for channel in adapter.channels.all()]) == slugs
        assert server.log.count("get_appid_group_list") == 2
        server.faults.replace([Fault(command="get_appid_group_list", extra={"Next": 3})])
        found = []
        with pytest.raises(UnavailableError, match="came back to"):  # noqa: PT012 - the loop is what raises
            async with asyncio.timeout(10):
                async for channel in adapter.channels.all():
                    found.append(channel.slug)  # noqa: PERF401
        assert sorted(found) == slugs


async def test_joined_list_shorter_than_its_total_count_raises_unavailable() -> None:
    async with opened() as (adapter, server):
        for number in range(3):
            channel = await adapter.channels.create(slug=f"channel_{number}", name="Tides", owner="owner")
            await adapter.subscriptions.subscribe(channel.id, USERS[:1])
        server.faults.replace([Fault(command="get_joined_group_list", extra={"TotalCount": 4})])
        with pytest.raises(UnavailableError, match="3 of 4"):
            assert [mine async for mine in adapter.channels.subscribed(USERS[0])]


def joined(total: int, *numbers: int) -> dict[str, Any]:
    rows = [{"GroupId": f"@TGS#_channel_{number}", "Name": "Tides", "Type": "Community"} for number in numbers]
    return OK | {"TotalCount": total, "GroupIdList": rows}


def tagged(*numbers: int) -> dict[str, Any]:
    tag = [{"Key": "ch_tag", "Value": "ch1"}]
    rows = [{"GroupId": f"@TGS#_channel_{n}", "ErrorCode": 0, "ErrorInfo": "", "AppDefinedData": tag} for n in numbers]
    return OK | {"GroupInfo": rows}


@pytest.mark.parametrize(
    ("pages", "offsets"),
    [
        ([joined(3, 0, 1), joined(3, 2)], [0, 2]),  # the service returns smaller pages than requested
        ([joined(5, 0, 1, 2), joined(5, 3), joined(5, 4)], [0, 3, 4]),
    ],
)
async def test_short_page_of_the_joined_list_is_continued(
    script: Script, clock: FakeClock, pages: list[dict[str, Any]], offsets: list[int]
) -> None:
    numbers = [number for page in pages for number in range(5) if f"_{number}'" in str(page)]
    script.then(*pages, tagged(*numbers))
    given = Settings(sdkappid=1400000001, key="k" * 64, base_url=PRIMARY)
    async with ChannelAdapter.open(given, clock=clock) as adapter:
        slugs = [mine.channel.slug async for mine in adapter.channels.subscribed("ann")]
    assert slugs == [f"channel_{number}" for number in numbers]
    assert [body["Offset"] for body in script.bodies if "Offset" in body] == offsets


async def test_joined_list_that_becomes_shorter_within_a_page_is_read_again(script: Script, clock: FakeClock) -> None:
    script.then(joined(4, 0, 1, 2), joined(3), tagged(0, 1, 2), joined(3, 1, 2, 3), tagged(3))  # channel 0 was left
    given = Settings(sdkappid=1400000001, key="k" * 64, base_url=PRIMARY)
    async with ChannelAdapter.open(given, clock=clock) as adapter:
        slugs = [mine.channel.slug async for mine in adapter.channels.subscribed("ann")]
    assert slugs == [f"channel_{number}" for number in range(4)]
    assert [body["Offset"] for body in script.bodies if "Offset" in body] == [0, 3, 0]


async def test_temporarily_failing_groups_of_a_batch_are_requested_again() -> None:
    async with opened() as (_, server), ChannelAdapter.open(settings(server), clock=HastyClock()) as adapter:
        slugs = [f"channel_{number}" for number in range(4)]
        for slug in slugs:
            await adapter.channels.create(slug=slug, name="Tides", owner="owner")
        before = server.log.count("get_group_info")
        server.faults.replace([Fault(command="get_group_info", fail_items=2, item_code=10002, times=1)])
        assert [channel.slug for channel in (await adapter.channels.get_many(slugs)).values()] == slugs
        calls = list(server.log.calls("get_group_info"))[before:]
        assert [len(call.body["GroupIdList"]) for call in calls] == [4, 2]
        server.faults.replace([Fault(command="get_group_info", fail_items=1, item_code=10002)])
        with pytest.raises(UnavailableError):
            await adapter.channels.get_many(slugs)
        assert server.log.count("get_group_info") - before == 2 + 3


async def test_failed_read_of_tags_leaves_no_other_read_running() -> None:
    async with opened() as (adapter, server):
        for number in range(120):
            await adapter.channels.create(slug=f"channel_{number}", name="Tides", owner="owner")
        adapter.channels.forget()
        server.faults.replace(
            [Fault(command="get_group_info", nth=(1,), code=10007), Fault(command="get_group_info", delay=0.3)]
        )
        with pytest.raises(PermissionDeniedError):
            assert [mine async for mine in adapter.channels.subscribed("owner")]
        running = [task for task in asyncio.all_tasks() if "_read_tags" in repr(task.get_coro())]
        assert not running


async def test_concurrent_posts_in_one_channel_cause_one_read() -> None:
    calls = Calls()
    async with opened({}, calls) as (adapter, _):
        channel = await channel_on(adapter)
        adapter.channels.forget()
        calls.clear()
        await asyncio.gather(*(adapter.posts.publish(channel, Text(f"post {number}")) for number in range(10)))
        assert calls == {"get_group_info": 1, "send_group_msg": 10}


async def test_pending_read_does_not_hide_a_newly_created_channel() -> None:
    async with opened() as (adapter, server):
        server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.4)])
        early = asyncio.create_task(adapter.posts.publish("tides", Text("too early")))
        await asyncio.sleep(0.1)
        await channel_on(adapter)
        assert (await adapter.posts.publish("tides", Text("in time"))).ref.seq == 1
        with pytest.raises(NotFoundError, match="there is no channel"):
            await early


async def test_custom_data_in_unconfigured_fields_is_marked_incomplete() -> None:
    keys = tuple(f"ch_data_{number}" for number in range(3))
    stub = {"app": {"group_fields": ["ch_tag", *keys]}}
    async with opened(stub, channels=ChannelSettings(custom_data_keys=keys)) as (wide, server):
        narrow_settings = settings(server, channels=ChannelSettings(custom_data_keys=keys[:1]))
        async with ChannelAdapter.open(narrow_settings) as narrow:
            data = "海" * 400
            await wide.channels.create(slug="tides", name="Tides", owner="owner", custom_data=data)
            assert (await wide.channels.get("tides")).custom_data_complete
            cut = await narrow.channels.get("tides")
            assert (cut.custom_data, cut.custom_data_complete) == ("海" * 170, False)
            again = await narrow.channels.update("tides", custom_data=cut.custom_data)
            assert again.custom_data_complete
            assert await wide.channels.get("tides") == again


async def test_list_iterators_can_be_closed() -> None:
    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        await adapter.posts.publish(channel, Text("first"))
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        async with (
            aclosing(adapter.channels.all()) as everything,
            aclosing(adapter.channels.subscribed(USERS[0])) as mine,
            aclosing(adapter.posts.history(channel)) as posts,
        ):
            assert (await anext(everything)).id == (await anext(mine)).channel.id == (await anext(posts)).ref.channel


class Shifting:
    """A joined list that changes between pages: page n+1 is cut from `lists[n]`."""

    def __init__(self, mock: aioresponses, lists: list[list[int]]) -> None:
        self.offsets: list[int] = []
        self._lists = lists
        mock.post(re.compile(".*"), callback=self.answer, repeat=True)

    def answer(self, url: Any, *, data: bytes, **_: Any) -> CallbackResult:
        body = orjson.loads(data)
        if url.path.endswith("get_group_info"):
            found = tagged(*(int(group.rpartition("_")[2]) for group in body["GroupIdList"]))
        else:
            numbers = self._lists[min(len(self.offsets), len(self._lists) - 1)]
            self.offsets.append(body["Offset"])
            found = joined(len(numbers), *numbers[body["Offset"] : body["Offset"] + body["Limit"]])
        return CallbackResult(body=orjson.dumps(found), response_class=ScriptedResponse)


@pytest.mark.parametrize(
    ("lists", "offsets", "found"),
    [
        ([list(range(250)), list(range(401))], [0, 200, 400], list(range(401))),  # many more at the end
        ([list(range(400)), [999, *range(400)]], [0, 200, 400], list(range(400))),  # one more at the beginning
        (  # one is left: channel 200 moves to the first page
            [list(range(250)), list(range(1, 250))],
            [0, 200, 0, 200],
            [*range(200), *range(201, 250), 200],
        ),
    ],
)
async def test_joined_list_that_changes_while_read_has_each_channel_once(
    clock: FakeClock, lists: list[list[int]], offsets: list[int], found: list[int]
) -> None:
    given = Settings(sdkappid=1400000001, key="k" * 64, base_url=PRIMARY, concurrency=1)
    with aioresponses() as mock:
        service = Shifting(mock, lists)
        async with ChannelAdapter.open(given, clock=clock) as adapter:
            slugs = [mine.channel.slug async for mine in adapter.channels.subscribed("ann")]
    assert slugs == [f"channel_{number}" for number in found]
    assert service.offsets == offsets


async def test_joined_list_that_becomes_shorter_each_time_raises_unavailable(clock: FakeClock) -> None:
    given = Settings(sdkappid=1400000001, key="k" * 64, base_url=PRIMARY, concurrency=1)
    with aioresponses() as mock:
        service = Shifting(mock, [list(range(number, 250)) for number in range(6)])
        async with ChannelAdapter.open(given, clock=clock) as adapter:
            with pytest.raises(UnavailableError, match="changed while it was read; list them again"):
                assert [mine async for mine in adapter.channels.subscribed("ann")]
    assert service.offsets == [0, 200] * 3


async def test_cycle_in_lists_of_official_accounts_raises_unavailable() -> None:
    async with official_stub() as server, official(server) as adapter:
        await adapter.accounts.add([*MANY, *STRANGERS])
        assert (await adapter.subscriptions.subscribe("tides", MANY)).complete
        body = {"Official_Account": TIDES, "Limit": 200, "Next": ""}
        second = (await adapter.call("official_account_open_http_svc", "get_subscriber_info", body))["Next"]
        server.faults.replace(
            [
                Fault(command="get_subscriber_info", extra={"Next": second}),
                Fault(command="get_subscribed_official_account_list", extra={"Next": 0, "CompleteFlag": 0}),
            ]
        )
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError, match="get_subscriber_info: the list came back to"):
                await adapter.subscriptions.is_subscribed("tides", STRANGERS)
            with pytest.raises(UnavailableError, match="subscribers: the list came back to"):
                assert [row async for row in adapter.subscriptions.subscribers("tides")]
            with pytest.raises(UnavailableError, match="get_subscribed_official_account_list: the list came back to 0"):
                assert [mine async for mine in adapter.channels.subscribed(MANY[0])]
        server.faults.replace([])
        found = await adapter.subscriptions.is_subscribed("tides", [*STRANGERS, MANY[-1]])
        assert [user for user, inside in found.items() if inside] == [MANY[-1]]
