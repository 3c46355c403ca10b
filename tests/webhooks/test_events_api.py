"""`adapter.events`: delivery to handlers, repetitions, and loops over a stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.domain.events import ChannelEvent, Event, Subscribed, Unknown
from channel_adapter.errors import ConfigurationError
from channel_adapter.webhooks.inbox import InboxOptions, MemoryInbox
from channel_adapter.webhooks.parse import make_event
from channel_adapter.webhooks.retry import RetryPolicy
from tests.webhooks.events_made import followed


@pytest.fixture
async def adapter() -> AsyncIterator[ChannelAdapter]:
    settings = Settings.load(None, sdkappid=1, key="0" * 64, base_url="http://127.0.0.1:9")
    async with ChannelAdapter.open(settings) as opened:
        yield opened


@pytest.fixture
async def inbox(adapter: ChannelAdapter) -> AsyncIterator[MemoryInbox]:
    made = MemoryInbox(InboxOptions(RetryPolicy(3, 0.01), window=0.0))
    await made.start(adapter.events.plan)
    yield made
    await made.stop()


async def test_handler_receives_its_types_and_their_subclasses(adapter: ChannelAdapter, inbox: MemoryInbox) -> None:
    heard: list[tuple[str, str]] = []
    adapter.events.on(other_mode=True)(lambda event: heard.append(("all", type(event).__name__)))
    adapter.events.on(ChannelEvent, other_mode=True)(lambda event: heard.append(("accounts", type(event).__name__)))
    adapter.events.on(Unknown, ChannelEvent)(lambda event: heard.append(("others", type(event).__name__)))

    @adapter.events.on(Subscribed, transaction=True, other_mode=True)
    def write(event: Subscribed, connection: Any) -> None:
        heard.append((f"with {connection}", event.users[0]))

    await inbox.store(followed("u"))
    await inbox.idle()
    await inbox.store(make_event("New.Command", {"CallbackCommand": "New.Command"}, {}, now=1.0))
    await inbox.idle()
    name = "Subscribed"
    assert heard == [
        ("all", name), ("accounts", name), ("with None", "u"), ("all", "Unknown"), ("others", "Unknown"),
    ]  # fmt: skip


async def test_events_of_other_mode_are_delivered_only_on_request(adapter: ChannelAdapter, inbox: MemoryInbox) -> None:
    received: list[tuple[str, bool]] = []
    adapter.events.on()(lambda event: received.append(("all", event.other_mode)))
    adapter.events.on(Subscribed)(lambda event: received.append(("default", event.other_mode)))
    adapter.events.on(Subscribed, other_mode=True)(lambda event: received.append(("both", event.other_mode)))
    default, both = adapter.events.stream(Subscribed), adapter.events.stream(Subscribed, other_mode=True)
    steps = await adapter.events.plan(followed("u"))
    assert len(steps) == 2  # one handler and one stream
    await default.aclose()
    await both.aclose()
    await inbox.store(followed("u"))
    await inbox.idle()
    assert received == [("both", True)]


async def test_only_the_failed_handler_is_called_again_with_the_same_key(
    adapter: ChannelAdapter, inbox: MemoryInbox
) -> None:
    keys: list[str | None] = []
    calls: list[str] = []

    @adapter.events.on(Subscribed, other_mode=True)
    async def first(event: Event) -> None:
        calls.append("first")

    @adapter.events.on(Subscribed, other_mode=True)
    async def second(event: Event) -> None:
        calls.append("second")
        keys.append(adapter.events.key)
        if len(keys) < 3:
            raise ValueError("not yet")

    event = followed("u")
    await inbox.store(event)
    await inbox.idle()
    assert calls == ["first", "second", "second", "second"]
    assert set(keys) == {event.dedupe_key}
    assert adapter.events.key is None


async def test_loop_acknowledges_an_event_by_requesting_the_next(adapter: ChannelAdapter, inbox: MemoryInbox) -> None:
    stream = adapter.events.stream(Subscribed, other_mode=True)
    for number in range(3):
        await inbox.store(followed(f"u{number}", at=number))
    seen = []
    async for event in stream:
        seen.append(event.users[0])
        assert inbox.counters["handled"] == len(seen) - 1
        if len(seen) == 2:
            break
    await stream.aclose()
    await inbox.idle()
    assert seen == ["u0", "u1"]
    assert inbox.counters["handled"] == 3
    assert len(await adapter.events.plan(followed("later"))) == 0


async def test_functions_of_the_same_name_are_separate_handlers(adapter: ChannelAdapter) -> None:
    for _ in range(2):

        @adapter.events.on(other_mode=True)
        async def same(event: Event) -> None:
            await asyncio.sleep(0)

    steps = await adapter.events.plan(followed("u"))
    assert len({step.name for step in steps}) == 2


async def test_ended_stream_leaves_unique_step_names(adapter: ChannelAdapter) -> None:
    """Steps are identified by their names: with a duplicate name the second step would count as done."""
    streams = [adapter.events.stream(Unknown) for _ in range(2)]
    await streams[0].aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(streams[0])
    streams.append(adapter.events.stream(Unknown))
    steps = await adapter.events.plan(make_event("New.Command", {"CallbackCommand": "New.Command"}, {}, now=1.0))
    assert len({step.name for step in steps}) == len(steps) == 2


async def test_only_open_stream_delays_events_and_until_it_is_deleted(
    adapter: ChannelAdapter, inbox: MemoryInbox
) -> None:
    closed = adapter.events.stream()
    await closed.aclose()
    forgotten = adapter.events.stream()
    del forgotten
    late = adapter.events.stream(other_mode=True)
    await inbox.store(followed("u"))
    async with asyncio.timeout(60):
        while not inbox.lag:  # noqa: ASYNC110 - it has no waiters
            await asyncio.sleep(0.01)
        assert inbox.counters["handled"] == 0
        del late
        await inbox.idle()
    assert inbox.counters["handled"] == 1


async def test_waiting_loop_ends_when_its_stream_is_closed(adapter: ChannelAdapter) -> None:
    stream = adapter.events.stream()

    async def read() -> list[Event]:
        return [event async for event in stream]

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    await stream.aclose()
    assert await asyncio.wait_for(reading, 60) == []


async def test_handler_for_other_type_than_event_is_refused(adapter: ChannelAdapter) -> None:
    with pytest.raises(TypeError, match="is no event"):
        adapter.events.on(str)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is no event"):
        adapter.events.stream(str)  # type: ignore[type-var]


async def test_coroutine_handler_with_transaction_is_refused_at_registration(adapter: ChannelAdapter) -> None:
    async def handle(event: Event, connection: Any) -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError, match="plain function") as refused:
        adapter.events.on(Subscribed, transaction=True)(handle)
    assert refused.value.field == "transaction"
