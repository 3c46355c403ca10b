"""Every write, with its first answer lost in every possible way: carried out once, and reported as successful."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, OutcomeKind, PostState, Settings, Text
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import PostRef
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.scenario import Scenario
from channel_adapter.stub.server import StubServer

TIDES = ChannelId("@TGS#_tides")
USERS = [f"reader_{number}" for number in range(30)]
SCENARIOS = Path(__file__).parents[2] / "config" / "scenarios"

FAULTS = {
    "connection dropped before the effect": Fault(nth=(1,), drop=True),
    "connection dropped after the effect": Fault(nth=(1,), drop=True, applied=True),
    "a proxy's 502 page before the effect": Fault(nth=(1,), status=502),
    "a proxy's 502 page after the effect": Fault(nth=(1,), status=502, applied=True),
    "an answer cut in half": Fault(nth=(1,), cut=0.5),
    "an answer later than our patience": Fault(nth=(1,), delay=0.8),
    "an internal error after the effect": Fault(nth=(1,), code=10002, applied=True),
    "a frequency code": Fault(nth=(1,), code=60007),
    "an expired signature": Fault(nth=(1,), code=70001),
}


class HastyClock(SystemClock):
    """A clock that shortens waits between attempts."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@dataclass(frozen=True)
class System:
    """An adapter on a stub, with a channel, ten subscribers and a post."""

    adapter: ChannelAdapter
    server: StubServer
    post: PostRef

    async def state(self) -> tuple[object, ...]:
        """Return the publicly visible state, read by an adapter without faults."""
        self.server.faults.replace(())
        channels = await self.adapter.channels.get_many(["tides", "ferries"])
        profile = [(channel.slug, channel.name, channel.complete) for channel in channels.values()]
        if TIDES not in channels:
            return (profile,)
        users = [subscriber.user async for subscriber in self.adapter.subscriptions.subscribers("tides")]
        posts = [(post.content, post.state) async for post in self.adapter.posts.history("tides", oldest_first=True)]
        return profile, sorted(users), posts


def settings_of(server: StubServer) -> Settings:
    return Settings(sdkappid=server.sdkappid, key=SecretStr(server.key), base_url=server.url, call_seconds=0.5)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with StubServer() as server, ChannelAdapter.open(settings_of(server), clock=HastyClock()) as adapter:
        await adapter.accounts.add(["owner", *USERS])
        await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        await adapter.subscriptions.subscribe("tides", USERS[:10])
        post = await adapter.posts.publish("tides", Text("first"))
        yield System(adapter, server, post.ref)


async def create(system: System) -> None:
    assert (await system.adapter.channels.create(slug="ferries", name="Ferries", owner="owner")).complete


async def update(system: System) -> None:
    assert (await system.adapter.channels.update("tides", name="High tides")).name == "High tides"


async def delete(system: System) -> None:
    await system.adapter.channels.delete("tides")
    assert not await system.adapter.channels.exists("tides")


async def subscribe(system: System) -> None:
    outcomes = await system.adapter.subscriptions.subscribe("tides", USERS)
    assert outcomes.complete


async def unsubscribe(system: System) -> None:
    outcomes = await system.adapter.subscriptions.unsubscribe("tides", USERS[:5])
    assert outcomes.counts == {OutcomeKind.REMOVED: 5}


async def publish(system: System) -> None:
    assert (await system.adapter.posts.publish("tides", Text("second"))).ref.seq == system.post.seq + 1


async def edit(system: System) -> None:
    await system.adapter.posts.edit(system.post, Text("mended"))


async def recall(system: System) -> None:
    await system.adapter.posts.recall(system.post)
    assert (await system.adapter.posts.get(system.post)).state is PostState.RECALLED


Work = Callable[[System], Awaitable[None]]
WORK: dict[str, Work] = {
    "create_group": create,
    "modify_group_base_info": update,
    "destroy_group": delete,
    "add_group_member": subscribe,
    "delete_group_member": unsubscribe,
    "send_group_msg": publish,
    "modify_group_msg": edit,
    "group_msg_recall": recall,
    "get_group_info": create,
    "get_role_in_group": unsubscribe,
}


@pytest.fixture
def undisturbed() -> Callable[[Work], Awaitable[tuple[object, ...]]]:
    async def run(work: Work) -> tuple[object, ...]:
        async with StubServer() as server, ChannelAdapter.open(settings_of(server)) as adapter:
            await adapter.accounts.add(["owner", *USERS])
            await adapter.channels.create(slug="tides", name="Tides", owner="owner")
            await adapter.subscriptions.subscribe("tides", USERS[:10])
            post = await adapter.posts.publish("tides", Text("first"))
            system = System(adapter, server, post.ref)
            await work(system)
            return await system.state()

    return run


INTERNAL_ERRORS = {"modify_group_msg": 91000}  # its service uses different codes


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("command", WORK)
async def test_lost_answer_leaves_the_same_state_as_no_fault(
    system: System, undisturbed: Callable[[Work], Awaitable[tuple[object, ...]]], command: str, fault: Fault
) -> None:
    code = INTERNAL_ERRORS.get(command, fault.code) if fault.code == 10002 else fault.code
    system.server.faults.replace([fault.model_copy(update={"command": command, "code": code})])
    await WORK[command](system)
    assert await system.state() == await undisturbed(WORK[command])


async def test_change_of_a_conversation_group_whose_first_answer_was_lost_is_reported_as_made(system: System) -> None:
    groups, faults = system.adapter.unread, system.server.faults
    faults.replace([Fault(command="update_contact_group", nth=(1,), drop=True, applied=True)])
    assert await groups.rename(USERS[0], "Updates")
    faults.replace([Fault(command="del_contact_group", nth=(1,), drop=True, applied=True)])
    assert await groups.remove(USERS[0], "Updates")
    assert [each async for each in groups.groups(USERS[0])] == []


async def test_deletion_that_was_throttled_first_does_not_report_what_never_existed_as_deleted(system: System) -> None:
    for command in ("del_contact_group", "destroy_official_account"):
        system.server.faults.add(Fault(command=command, nth=(1,), code=60007))
    assert not await system.adapter.unread.remove(USERS[0], "No such group")
    official = settings_of(system.server).model_copy(update={"mode": Mode.OFFICIAL})
    async with ChannelAdapter.open(official, clock=HastyClock()) as adapter:
        assert not await adapter.channels.delete("no_such_channel")


async def test_operations_on_a_flaky_network_end_in_the_expected_state() -> None:
    scenario = Scenario.load(SCENARIOS / "flaky_network.toml")
    async with StubServer(scenario.settings, faults=scenario.faults, seed=7) as server:
        settings = Settings(sdkappid=server.sdkappid, key=SecretStr(server.key), base_url=server.url)
        async with ChannelAdapter.open(settings, clock=HastyClock()) as adapter:
            assert (await adapter.accounts.add(["owner", *USERS])).complete
            await adapter.channels.create(slug="tides", name="Tides", owner="owner")
            for start in range(0, len(USERS), 3):
                assert (await adapter.subscriptions.subscribe("tides", USERS[start : start + 3])).complete
            published = [await adapter.posts.publish("tides", Text(f"post {number}")) for number in range(60)]
            assert [post async for post in adapter.posts.history("tides", oldest_first=True)] == published
            assert await adapter.subscriptions.count("tides") == len(USERS)
