"""Failures of an inbox: duplicate ownership of work, values that databases refuse, an unavailable service."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.errors import ChannelAdapterError, ThrottledError, UnavailableError
from channel_adapter.store.database import Database
from channel_adapter.store.inbox import SCHEMA, InboxTable, NewEvent
from channel_adapter.store.leases import SCHEMA as LEASES
from channel_adapter.store.leases import Leases
from channel_adapter.store.marks import DEAD, HANDLED, WAITING, Failure, InboxMark, Recorded
from channel_adapter.webhooks.durable_storage import DurableStorage, StoreQueue
from channel_adapter.webhooks.inbox import (
    DurableInbox,
    HandlerStep,
    InboxOptions,
    MemoryInbox,
    StepPlanner,
)
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.retry import RetryPolicy
from channel_adapter.webhooks.storage import NotStoredError
from tests.webhooks.events_made import Recorder, followed, who_of

QUICK = InboxOptions(RetryPolicy(3, 0.01), window=0.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path') / 'inbox.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@asynccontextmanager
async def running(url: str, plan: StepPlanner) -> AsyncIterator[DurableInbox]:
    inbox = DurableInbox(url, QUICK)
    await inbox.start(plan)
    try:
        yield inbox
    finally:
        await inbox.stop()


class Rows:
    """The inbox table of a database, for several named processes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def of(self, owner: str, seconds: float = 60.0) -> InboxTable:
        return InboxTable(self.database, Leases(self.database, owner, seconds=seconds))


@pytest.fixture
async def rows(url: str) -> AsyncIterator[Rows]:
    async with Database(url) as database:
        await database.prepare(LEASES)
        await database.prepare(SCHEMA)
        yield Rows(database)


def event(key: str, channel: str = "a", at: int = 0) -> NewEvent:
    return NewEvent(key, channel, at, 0, "c", 1.0, "{}", 0.0)


async def test_two_receivers_of_the_same_event_record_each_step_once(rows: Rows) -> None:
    """The first process continues after its channel was taken over; only the owner of the channel can write."""
    ran: list[str] = []

    def mark(step: str, *, ended: bool = False) -> list[InboxMark]:
        return [InboxMark("a", "k", step, lambda connection: ran.append(step), ended=ended)]

    first, second = rows.of("first", seconds=-1.0), rows.of("second")
    write = rows.database.write
    await write(first.put, [event("k")], 1.0)
    await write(first.claim, ["a"], 1.0)
    assert await write(first.record, mark("one"), 1.0) == [Recorded.DONE]
    assert await write(second.claim, ["a"], 1.0) == ["a"]
    assert await write(first.record, mark("two"), 1.0) == [Recorded.LOST]
    assert await write(second.record, mark("one"), 1.0) == [Recorded.DONE]
    (found,) = await write(second.read, ["a"], 9, 1.0)
    assert found.done == "one\n"
    assert await write(second.record, mark("two", ended=True), 1.0) == [Recorded.DONE]
    assert await write(second.record, mark("three"), 1.0) == [Recorded.DONE]
    assert ran == ["one", "two"]


async def test_unstorable_characters_in_reason_are_replaced(url: str) -> None:
    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        raise ValueError("not \x00 even \udcff this")

    async with running(url, plan) as inbox:
        await inbox.store(followed("u"))
        async with asyncio.timeout(60):
            await inbox.idle()
        (letter,) = await inbox.dead_letters()
        assert letter.reason == "ValueError: not \ufffd even ? this"


async def test_events_with_unstorable_channel_names_are_handled(url: str) -> None:
    app = Recorder()
    async with running(url, app.plan) as inbox:
        await asyncio.gather(
            *(inbox.store(followed(f"u{n}", account=name)) for n, name in enumerate(["@a" * 500, "nul\x00", "@b"]))
        )
        async with asyncio.timeout(60):
            await inbox.idle()
    assert sorted(app.seen) == ["u0", "u1", "u2"]


async def test_interrupted_retry_keeps_the_dead_letter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is never left in a state that is neither dead nor waiting."""
    app = Recorder()
    app.failing = {"bad": 3}
    async with running(url, app.plan) as inbox:
        await inbox.store(followed("bad"))
        await inbox.idle()
        (letter,) = await inbox.dead_letters()

        def killed(*_: Any, **__: Any) -> None:
            raise ConnectionAbortedError

        with monkeypatch.context() as patch:
            patch.setattr("channel_adapter.store.database.Connection.commit", killed)
            with pytest.raises(ChannelAdapterError):
                await inbox.retry(letter.key)
        assert [each.key for each in await inbox.dead_letters()] == [letter.key]
        assert await inbox.retry(letter.key)
        await inbox.idle()
        async with Database(url) as database:
            table = Rows(database).of("test")
            assert [each.state for each in await database.read(table.rows, [WAITING, DEAD, HANDLED], 9)] == [HANDLED]
    assert app.seen == ["bad"] * 4


async def test_timed_out_store_leaves_no_queued_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.durable_storage.STORE_SECONDS", 0.02)
    hangs = asyncio.Event()

    async def put(events: list[NewEvent]) -> list[bool]:
        await hangs.wait()
        return [True] * len(events)

    queue = StoreQueue(put)
    for _ in range(3):
        outcomes = await asyncio.gather(*(queue.store(event(f"k{n}")) for n in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {NotStoredError}
    assert len(queue) == 0
    await queue.stop()


@pytest.mark.parametrize("away", [UnavailableError, ThrottledError])
async def test_short_outage_of_the_service_uses_up_no_attempts(away: type[ChannelAdapterError]) -> None:
    seen: list[str] = []
    answers = [away("not now")] * 20

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        if answers:
            raise answers.pop()

        async def run(connection: Any) -> None:
            seen.append(who_of(event))

        return [HandlerStep("run", run)]

    inbox = MemoryInbox(InboxOptions(RetryPolicy(2, 0.0), window=0.0))
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    assert (seen, await inbox.dead_letters()) == (["u"], [])
    await inbox.stop()


async def test_long_outage_of_the_service_uses_up_attempts() -> None:
    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        raise UnavailableError("not now")

    inbox = MemoryInbox(InboxOptions(RetryPolicy(2, 0.0, away_seconds=0.0), window=0.0))
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    (letter,) = await inbox.dead_letters()
    assert (letter.attempts, letter.reason) == (2, "UnavailableError: not now")
    await inbox.stop()


async def test_unavailable_database_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def put(events: list[NewEvent]) -> list[bool]:
        raise OSError("no disk")

    queue = StoreQueue(put)
    for n in range(5):
        with pytest.raises(NotStoredError):
            await queue.store(event(f"k{n}"))
    assert caplog.text.count("webhooks.not_stored") == 1
    await queue.stop()


async def test_failed_recording_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.durable_storage._WRITE_AGAIN_SECONDS", 0.0)
    url = f"sqlite:///{tmp_path / 'i.db'}"
    storage = DurableStorage(url, 60.0, 0.0, SystemClock())
    await storage.open()
    with sqlite3.connect(tmp_path / "i.db") as other:
        other.execute("ALTER TABLE lease RENAME TO elsewhere")
        written: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        storage.record(InboxMark("a", release=True), written.set_result)
        other.commit()
        async with asyncio.timeout(60):
            while "webhooks.marks_not_recorded" not in caplog.text:  # noqa: ASYNC110 - a log has no waiters
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        other.execute("ALTER TABLE elsewhere RENAME TO lease")
        other.commit()
    other.close()
    async with asyncio.timeout(60):
        assert await written is Recorded.LOST
    assert caplog.text.count("webhooks.marks_not_recorded") == 1
    await storage.close()


async def test_mark_that_the_database_refuses_delays_no_other_channel(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = DurableStorage(postgres_url, 60.0, 0.0, SystemClock())
    await storage.open()
    results: dict[str, object] = {}
    marks = [
        InboxMark("plain", release=True),
        InboxMark("bad", "k", failure=Failure(1, "nul \x00", dead=False)),
        InboxMark("within", "k", "s", lambda connection: None),
    ]
    async with Database(postgres_url) as database:
        table = Rows(database).of("other")
        await database.write(table.put, [event("k", "bad")], 1.0)
    await storage.claim([mark.channel for mark in marks], 9)
    async with asyncio.timeout(60):
        for mark in marks:
            storage.record(mark, partial(results.__setitem__, mark.channel))
        assert await storage.drain(60.0)
    assert results == {"plain": Recorded.DONE, "bad": Recorded.LOST, "within": Recorded.DONE}
    assert caplog.text.count("webhooks.mark_refused channel=bad") == 1
    await storage.close()


async def test_event_with_a_value_that_no_column_takes_becomes_a_dead_letter(postgres_url: str) -> None:
    """It does not count as an outage, in which an event waits for an hour without using up attempts."""
    async with Database(postgres_url) as database:
        await database.prepare(SCHEMA)

        async def plan(received: WebhookEvent) -> list[HandlerStep]:
            table = Rows(database).of("other")
            await database.write(table.put, [event("other", "a" * 201)], 1.0)
            return []

        async with running(postgres_url, plan) as inbox:
            await inbox.store(followed("u"))
            async with asyncio.timeout(60):
                await inbox.idle()
            (letter,) = await inbox.dead_letters()
    assert (letter.attempts, letter.reason.partition(":")[0]) == (3, "InvalidError")


async def test_inbox_stops_while_its_database_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran and could not be recorded runs again at the next start."""
    monkeypatch.setattr("channel_adapter.webhooks.inbox._STOP_SECONDS", 0.1)
    file, away = tmp_path / "inbox.db", tmp_path / "away.db"
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Any) -> None:
            if not seen:
                file.rename(away)
            seen.append(who_of(event))

        return [HandlerStep("run", run)]

    async with asyncio.timeout(60):
        async with running(f"sqlite:///{file}", plan) as inbox:
            await inbox.store(followed("u"))
            while "webhooks.marks_not_recorded" not in caplog.text:  # noqa: ASYNC110 - a log has no waiters
                await asyncio.sleep(0.01)
        assert "webhooks.marks_given_up marks=" in caplog.text
        away.rename(file)
        async with running(f"sqlite:///{file}", plan) as inbox:
            while len(seen) < 2:  # noqa: ASYNC110 - stored by the first receiver
                await asyncio.sleep(0.01)
    assert seen == ["u", "u"]


async def test_cancellation_within_a_handler_fails_only_its_event() -> None:
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Any) -> None:
            seen.append(who_of(event))
            if who_of(event) == "bad":
                work = asyncio.ensure_future(asyncio.sleep(60))
                work.cancel()
                await work

        return [HandlerStep("run", run)]

    inbox = MemoryInbox(InboxOptions(RetryPolicy(2, 0.0), window=0.0))
    await inbox.start(plan)
    for number, who in enumerate(["bad", "good"]):
        await inbox.store(followed(who, at=number))
    await inbox.idle()
    assert seen == ["bad", "bad", "good"]
    (letter,) = await inbox.dead_letters()
    assert letter.reason.startswith("CancelledError")
    await inbox.stop()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_cancellation_within_a_handler_with_transaction_fails_only_its_event(kind: str, tmp_path: Path) -> None:
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        def run(connection: Any) -> None:
            seen.append(who_of(event))
            if who_of(event) == "bad":
                raise asyncio.CancelledError

        return [HandlerStep("run", run, transaction=True)]

    options = InboxOptions(RetryPolicy(2, 0.0), window=0.0)
    inbox = MemoryInbox(options) if kind == "memory" else DurableInbox(f"sqlite:///{tmp_path / 'inbox.db'}", options)
    await inbox.start(plan)
    for number, who in enumerate(["bad", "good"]):
        await inbox.store(followed(who, at=number))
    async with asyncio.timeout(60):
        await inbox.idle()
    assert seen == ["bad", "bad", "good"]
    (letter,) = await inbox.dead_letters()
    assert letter.reason.startswith("CancelledError")
    await inbox.stop()


async def test_memory_inbox_that_starts_again_handles_what_was_under_way() -> None:
    seen: list[str] = []
    begun, go = asyncio.Event(), asyncio.Event()

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Any) -> None:
            begun.set()
            await go.wait()
            seen.append(who_of(event))

        return [HandlerStep("run", run)]

    inbox = MemoryInbox(InboxOptions(window=0.0))
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await begun.wait()
    await inbox.stop()
    go.set()
    await inbox.start(plan)
    async with asyncio.timeout(60):
        await inbox.idle()
    await inbox.stop()
    assert seen == ["u"]
