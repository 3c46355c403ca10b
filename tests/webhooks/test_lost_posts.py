"""Posts that were announced and never arrived; tags that are read once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from channel_adapter import ChannelId, UnavailableError
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.domain import events as e
from channel_adapter.services.messages import ContactRegistry
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.webhooks import lost_posts
from channel_adapter.webhooks.channel_registry import ChannelRegistry
from channel_adapter.webhooks.dispatch import EventResolver
from channel_adapter.webhooks.lost_posts import MAX_EXPECTED, LostPosts
from channel_adapter.webhooks.parse import WebhookEvent, make_event
from channel_adapter.webhooks.storage import NotStoredError
from tests.backends import community
from tests.webhooks.scenario import KEEPER, LIGHTHOUSE, Scenario, lighthouse, open_scenario

BEFORE, AFTER = "Group.CallbackBeforeSendMsg", "Group.CallbackAfterSendMsg"
FAILED = "Group.CallbackSendMsgException"


class FakeClock(SystemClock):
    """Monotonic time that is set by a test."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed


def message(command: str, random: int, *, ahead: float = 0.0, **more: object) -> WebhookEvent:
    """Return a webhook about a post; the receiver's clock is ahead by some seconds."""
    body = {"CallbackCommand": command, "GroupId": LIGHTHOUSE, "Type": "Community", "From_Account": KEEPER,
            "Random": random, "EventTime": 1_736_000_000_000 + random, "MsgSeq": random, **more}  # fmt: skip
    return make_event(command, body, {}, now=SystemClock().now() + ahead)


@pytest.fixture
async def scenario() -> AsyncIterator[Scenario]:
    async with open_scenario(total_seconds=3.0, webhooks={"lost_after_seconds": 0}) as built:
        yield await lighthouse(built)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lost(scenario: Scenario, clock: FakeClock) -> LostPosts:
    return LostPosts(scenario.adapter.pipeline.callbacks, scenario.adapter.backend.posts, clock, seconds=5.0)


async def test_lost_post_is_reported_once_after_its_time(lost: LostPosts, clock: FakeClock) -> None:
    first = message(BEFORE, 1)
    lost.expect(first)
    clock.passed = 4.9
    assert await lost.overdue() == []
    lost.expect(message(BEFORE, 2))
    clock.passed = 5.0
    assert await lost.overdue() == [first]
    assert await lost.overdue() == []
    clock.passed = 10.0
    assert len(await lost.overdue()) == 1
    assert len(lost) == 0


@pytest.mark.parametrize("command", [AFTER, FAILED])
async def test_post_is_confirmed_by_published_or_failed_event(lost: LostPosts, clock: FakeClock, command: str) -> None:
    lost.expect(message(BEFORE, 1))
    lost.confirm(message(command, 2))
    assert len(lost) == 1
    lost.confirm(message(command, 1))
    clock.passed = 60.0
    assert await lost.overdue() == []


async def test_post_received_by_another_receiver_is_not_lost(
    scenario: Scenario, lost: LostPosts, clock: FakeClock
) -> None:
    """It is in the history."""
    await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", random=7)
    for number in (7, 8):
        lost.expect(message(BEFORE, number))
    clock.passed = 60.0
    assert [each.body["Random"] for each in await lost.overdue()] == [8]


async def test_post_in_history_is_not_lost_for_a_receiver_whose_clock_is_ahead(
    scenario: Scenario, lost: LostPosts, clock: FakeClock
) -> None:
    for number in (7, 8, 9):
        await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", random=number)
    lost.expect(message(BEFORE, 7, ahead=50.0, EventTime=int(SystemClock().now() * 1_000)))
    clock.passed = 60.0
    assert await lost.overdue() == []


async def test_history_is_read_in_few_calls_for_all_posts_of_a_channel(
    scenario: Scenario, lost: LostPosts, clock: FakeClock
) -> None:
    for number in range(1, 31):
        await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", random=number)
    for number in range(1, 61):
        lost.expect(message(BEFORE, number))
    clock.passed = 60.0
    read = sum(call.command == "group_msg_get_simple" for call in scenario.stub.log)
    assert [each.body["Random"] for each in await lost.overdue()] == list(range(31, 61))
    assert sum(call.command == "group_msg_get_simple" for call in scenario.stub.log) - read <= 3


async def test_post_beyond_the_history_limit_is_not_reported_as_lost(
    scenario: Scenario, lost: LostPosts, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may exist, and another receiver may have received it."""
    monkeypatch.setattr(lost_posts, "LOOK_BACK", 10)
    for number in range(1, 13):
        await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog", random=number)
    lost.expect(message(BEFORE, 1))
    clock.passed = 60.0
    assert await lost.overdue() == []
    assert len(lost) == 0


async def test_unreadable_history_is_read_again(scenario: Scenario, lost: LostPosts, clock: FakeClock) -> None:
    lost.expect(message(BEFORE, 1))
    scenario.stub.faults.replace([Fault.model_validate({"command": "group_msg_get_simple", "code": 10002})])
    clock.passed = 60.0
    assert await lost.overdue() == []
    assert len(lost) == 1
    scenario.stub.faults.replace([])
    clock.passed = 120.0
    assert len(await lost.overdue()) == 1


async def test_lost_post_that_cannot_be_stored_is_stored_later(scenario: Scenario, clock: FakeClock) -> None:
    """The database is away in the moment in which the post becomes overdue."""
    lost = LostPosts(scenario.adapter.pipeline.callbacks, scenario.adapter.backend.posts, clock, seconds=0.01)
    failures = [NotStoredError("no database"), LookupError("a fault"), NotStoredError("no database")]
    stored: list[int] = []
    done = asyncio.Event()

    async def store(webhook: WebhookEvent) -> None:
        if failures:
            raise failures.pop()
        stored.append(webhook.body["Random"])
        if len(stored) == 2:
            done.set()

    for number in (31, 32):
        lost.expect(message(BEFORE, number))
    clock.passed = 60.0
    watching = asyncio.ensure_future(lost.watch(store))
    await asyncio.wait_for(done.wait(), 60)
    assert sorted(stored) == [31, 32]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_uncheckable_posts_are_not_expected(lost: LostPosts, clock: FakeClock, scenario: Scenario) -> None:
    for more in (
        {"OnlineOnlyFlag": 1}, {"TopicId": "t"}, {"Type": "Public"}, {"GroupId": "@TGS#ordinary"}, {"Random": 0},
        {"From_Account": ""}, {"MsgBody": "no list"},
    ):  # fmt: skip
        lost.expect(message(BEFORE, 1, **more))
    lost.expect(message(AFTER, 1))
    assert len(lost) == 0
    lost.expect(message(BEFORE, 1, GroupId="@TGS#_no_channel"))
    clock.passed = 60.0
    assert await lost.overdue() == [], "nobody misses a message of another group"
    off = LostPosts(scenario.adapter.pipeline.callbacks, scenario.adapter.backend.posts, clock, seconds=0)
    off.expect(message(BEFORE, 1))
    await asyncio.wait_for(off.watch(never), 60)
    assert len(off) == 0


async def test_number_of_expected_posts_is_limited(lost: LostPosts) -> None:
    for number in range(1, MAX_EXPECTED + 51):
        lost.expect(message(BEFORE, number))
    assert len(lost) == MAX_EXPECTED


async def never(received: WebhookEvent) -> None:
    pytest.fail(f"nothing is lost, least of all {received.command}")


def interpreter_of(scenario: Scenario) -> EventResolver:
    return EventResolver(
        scenario.adapter.pipeline.callbacks, scenario.adapter.backend.channels, ChannelRegistry(), ContactRegistry()
    )


def tag_reads(scenario: Scenario) -> int:
    return len([call for call in scenario.stub.log if call.command == "get_group_info"])


async def test_concurrent_events_of_one_channel_read_its_tag_once(scenario: Scenario) -> None:
    community(scenario.adapter).channel_cache.forget()
    before = tag_reads(scenario)
    resolver = interpreter_of(scenario)
    found = await asyncio.gather(*(resolver.resolve(message(AFTER, number)) for number in range(1, 51)))
    assert {type(event) for event in found} == {e.PostPublished}
    assert tag_reads(scenario) == before + 1


async def test_unreadable_tag_raises_unavailable_error(scenario: Scenario) -> None:
    """The inbox tries again; the event is not reported as one of another group."""
    community(scenario.adapter).channel_cache.forget()
    resolver = interpreter_of(scenario)
    scenario.stub.faults.replace([Fault.model_validate({"command": "get_group_info", "code": 10002})])
    results = await asyncio.gather(
        *(resolver.resolve(message(AFTER, number)) for number in (1, 2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [UnavailableError] * 2
    scenario.stub.faults.replace([])
    assert isinstance(await resolver.resolve(message(AFTER, 1)), e.PostPublished)


async def test_cancelled_lookup_continues_for_other_callers(scenario: Scenario) -> None:
    community(scenario.adapter).channel_cache.forget()
    resolver = interpreter_of(scenario)
    hasty = asyncio.ensure_future(resolver.is_channel(LIGHTHOUSE))
    patient = asyncio.ensure_future(resolver.is_channel(LIGHTHOUSE))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient
    assert not await resolver.is_channel(ChannelId("@TGS#_nothing_here"))
