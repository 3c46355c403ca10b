"""Guarantees of both inboxes, and those of the durable one only."""

import asyncio
import gc
import logging
import re
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import text

from channel_adapter.errors import ConfigurationError
from channel_adapter.store.database import Database
from channel_adapter.store.inbox import InboxTable
from channel_adapter.store.leases import Leases
from channel_adapter.webhooks import storage
from channel_adapter.webhooks.inbox import (
    DurableInbox,
    HandlerStep,
    Inbox,
    InboxOptions,
    MemoryInbox,
)
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.retry import RetryPolicy
from channel_adapter.webhooks.storage import NotStoredError
from tests.webhooks.events_made import Recorder, followed, who_of

QUICK = InboxOptions(RetryPolicy(3, 0.01), window=0.02)
Make = Callable[..., Inbox]
Open = Callable[..., DurableInbox]


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'inbox.db'}"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extend the store timeout for busy machines."""
    monkeypatch.setattr("channel_adapter.webhooks.durable_storage.STORE_SECONDS", 60.0)


@pytest.fixture
async def durable() -> AsyncIterator[Open]:
    """Return a factory of durable inboxes, and stop those that a failed test left running."""
    made: list[DurableInbox] = []

    def make(url: str, **more: Any) -> DurableInbox:
        made.append(DurableInbox(url, replace(QUICK, **more)))
        return made[-1]

    yield make
    for inbox in made:
        await inbox.stop()


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, durable: Open) -> Make:
    if request.param == "memory":
        return lambda **more: MemoryInbox(replace(QUICK, **more))
    url: str = request.getfixturevalue("file_url")
    return lambda **more: durable(url, **more)


def counts(inbox: Any) -> dict[str, int]:
    return dict(inbox.counters.snapshot())


async def test_events_are_handled_once_and_in_order(make: Make) -> None:
    inbox, app = make(), Recorder()
    await inbox.start(app.plan)
    events = [followed(f"u{n}", at=n) for n in (3, 1, 2, 5, 4, 1, 3)]
    new = await asyncio.gather(*(inbox.store(event) for event in events))
    await inbox.idle()
    assert app.seen == ["u1", "u2", "u3", "u4", "u5"]
    assert sum(new) == 5
    assert not await inbox.store(followed("u1", at=1))
    assert (counts(inbox)["handled"], counts(inbox)["duplicates"]) == (5, 3)
    await inbox.stop()
    with pytest.raises(NotStoredError):
        await inbox.store(followed("u9", at=9))


async def test_failing_event_is_retried_and_becomes_a_dead_letter(make: Make) -> None:
    inbox, app = make(), Recorder()
    await inbox.start(app.plan)
    app.failing = {"once": 1, "always": 3}
    for number, name in enumerate(["once", "always", "after"]):
        await inbox.store(followed(name, at=number))
    await inbox.idle()
    assert app.seen == ["once", "once", "always", "always", "always", "after"]
    (letter,) = await inbox.dead_letters()
    assert (letter.channel, letter.attempts) == ("@TOA#_a", 3)
    assert letter.reason == "ValueError: always is not wanted, token=***"
    assert counts(inbox) == {"handled": 2, "failed": 3, "dead": 1}
    assert await inbox.retry(letter.key)
    assert not await inbox.retry("no such key")
    await inbox.idle()
    assert app.seen[-1] == "always"
    assert await inbox.dead_letters() == []
    await inbox.stop()


async def test_failed_handler_is_logged_with_its_traceback(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "channel_adapter.webhooks")
    inbox, app = make(), Recorder()
    await inbox.start(app.plan)
    app.failing = {"always": 3}
    await inbox.store(followed("always", at=1))
    await inbox.idle()
    await inbox.stop()
    traces = [record for record in caplog.records if "Traceback (most recent call last)" in record.getMessage()]
    assert [record.levelname for record in traces] == ["DEBUG", "DEBUG", "ERROR"]
    for record in traces:
        assert "in run" in record.getMessage()
        assert "always is not wanted" in record.getMessage()
        assert "abc123" not in record.getMessage()
    caplog.clear()
    caplog.set_level(logging.INFO, "channel_adapter.webhooks")
    quiet = make()
    await quiet.start(app.plan)
    app.failing = {"twice": 2}
    await quiet.store(followed("twice", at=2))
    await quiet.idle()
    await quiet.stop()
    assert "webhooks.failed" in caplog.text
    assert "Traceback" not in caplog.text


async def stored(inbox: Inbox, event: WebhookEvent) -> bool:
    """Store an event; return False when there is no room for it."""
    try:
        return await inbox.store(event)
    except NotStoredError:
        return False


async def test_waiting_events_are_limited_by_their_bytes(make: Make) -> None:
    """A full inbox raises an error for a refused event and keeps no memory of it."""
    go = asyncio.Event()
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Any) -> None:
            await go.wait()
            seen.append(who_of(event))

        return [HandlerStep("run", run)]

    def big(number: int) -> WebhookEvent:
        return followed(f"u{number}-" + "x" * 50_000, account=f"@TOA#_{number}", at=number)

    inbox = make(waiting_bytes=1_500_000)
    await inbox.start(plan)
    taken = [await stored(inbox, big(number)) for number in range(100)]
    held = sum(taken)
    assert 10 <= held <= 15  # an event has the name twice
    assert taken == sorted(taken, reverse=True)
    with pytest.raises(NotStoredError, match="bytes wait"):
        await inbox.store(big(100))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    assert not any([await stored(inbox, big(number)) for number in range(100, 600)])
    gc.collect()
    assert tracemalloc.get_traced_memory()[0] - before < 500_000
    tracemalloc.stop()
    go.set()
    await inbox.idle()
    assert await inbox.store(big(1000))
    await inbox.idle()
    assert len(seen) == held + 1
    await inbox.stop()


async def test_dead_letters_in_memory_are_limited_by_their_bytes() -> None:
    app = Recorder()
    inbox = MemoryInbox(InboxOptions(RetryPolicy(1, 0.0), window=0.0, waiting_bytes=250_000))
    await inbox.start(app.plan)
    users = [f"u{number}-" + "x" * 50_000 for number in range(4)]
    app.failing = dict.fromkeys(users, 1)
    for number, who in enumerate(users):
        await inbox.store(followed(who, at=number))
        await inbox.idle()
    first, second = await inbox.dead_letters()
    assert await inbox.retry(first.key)
    await inbox.idle()
    assert app.seen == [*users, users[2]]
    assert await inbox.drop(second.key)
    assert await inbox.dead_letters() == []
    await inbox.stop()


async def test_dead_letter_stored_again_counts_its_bytes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_KNOWN_KEYS", 1)
    app = Recorder()
    inbox = MemoryInbox(InboxOptions(RetryPolicy(1, 0.0), window=0.0, waiting_bytes=450_000))  # enough for four
    await inbox.start(app.plan)
    users = [f"u{number}-" + "x" * 50_000 for number in range(3)]
    app.failing = dict.fromkeys(users, 2)
    for number in (0, 1, 0, 1, 2):
        assert await inbox.store(followed(users[number], at=number))
        await inbox.idle()
    assert len(await inbox.dead_letters()) == 3
    await inbox.stop()


async def test_dropped_dead_letter_is_not_stored_again(make: Make) -> None:
    inbox, app = make(), Recorder()
    await inbox.start(app.plan)
    app.failing = {"bad": 9}
    await inbox.store(followed("bad"))
    await inbox.idle()
    (letter,) = await inbox.dead_letters()
    assert await inbox.drop(letter.key)
    assert not await inbox.drop(letter.key)
    assert not await inbox.store(followed("bad"))
    await inbox.idle()
    assert (len(app.seen), await inbox.dead_letters()) == (3, [])
    await inbox.stop()


async def test_successful_step_is_not_repeated_when_another_fails(make: Make) -> None:
    runs: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def first(_: Any) -> None:
            runs.append("first")

        async def second(_: Any) -> None:
            runs.append("second")
            if runs.count("second") < 3:
                raise RuntimeError("not yet")

        return [HandlerStep("first", first), HandlerStep("second", second)]

    inbox = make()
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    assert runs == ["first", "second", "second", "second"]
    assert await inbox.dead_letters() == []
    await inbox.stop()


async def test_stored_events_are_handled_by_the_next_receiver(file_url: str, durable: Open) -> None:
    first, app = durable(file_url), Recorder()
    blocked = asyncio.Event()

    async def never(event: WebhookEvent) -> list[HandlerStep]:
        blocked.set()
        await asyncio.sleep(60)
        return []

    await first.start(never)
    for number in range(5):
        await first.store(followed(f"u{number}", at=number))
    await blocked.wait()
    await first.stop()
    second = durable(file_url)
    await second.start(app.plan)
    async with asyncio.timeout(60):
        while len(app.seen) < 5:  # noqa: ASYNC110 - it was stored by another inbox
            await asyncio.sleep(0.02)
    await second.idle()
    assert sorted(app.seen) == [f"u{number}" for number in range(5)]
    for number in range(5):
        await second.store(followed(f"u{number}", at=number))
    await second.idle()
    assert len(app.seen) == 5
    await second.stop()


async def test_recovered_event_and_earlier_event_are_both_handled(postgres_url: str, durable: Open) -> None:
    """The later event had begun in another process; the two must not wait for each other."""
    app = Recorder()
    begun = asyncio.Event()

    async def never(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Any) -> None:
            begun.set()
            await asyncio.sleep(60)

        return [HandlerStep("record", run)]

    first = durable(postgres_url)
    await first.start(never)
    await first.store(followed("late", at=2))
    await begun.wait()
    await first.stop()
    second = durable(postgres_url, window=1.0)
    await second.start(app.plan)
    await second.store(followed("early", at=1))
    async with asyncio.timeout(60):
        while len(app.seen) < 2:  # noqa: ASYNC110 - it was stored by another inbox
            await asyncio.sleep(0.02)
    assert sorted(app.seen) == ["early", "late"]
    await second.stop()


async def test_recovered_event_waits_for_earlier_event(file_url: str, durable: Open) -> None:
    """The later event had begun in another process before the earlier one was stored."""
    app = Recorder()
    begun = asyncio.Event()

    async def never(event: WebhookEvent) -> list[HandlerStep]:
        begun.set()
        await asyncio.sleep(60)
        return []

    first = durable(file_url)
    await first.start(never)
    await first.store(followed("late", at=2))
    await begun.wait()
    await first.store(followed("early", at=1))
    await first.stop()
    second = durable(file_url)
    await second.start(app.plan)
    async with asyncio.timeout(60):
        while len(app.seen) < 2:  # noqa: ASYNC110 - it was stored by another inbox
            await asyncio.sleep(0.02)
    assert app.seen == ["early", "late"]
    await second.stop()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_failed_transaction_of_a_handler_leaves_no_effect(
    kind: str, file_url: str, durable: Open, request: pytest.FixtureRequest
) -> None:
    url: str = file_url if kind == "sqlite" else request.getfixturevalue("postgres_url")
    tried = 0

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        def write(connection: Any) -> None:
            nonlocal tried
            tried += 1
            connection.execute(text("INSERT INTO effect VALUES (:who)"), {"who": who_of(event)})
            if tried < 3:
                raise RuntimeError("too early")

        return [HandlerStep("write", write, transaction=True)]

    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE effect (who VARCHAR(20))"))
    inbox = durable(url)
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    await inbox.stop()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT who FROM effect")).scalars().all() == ["u"]
    engine.dispose()
    assert tried == 3


async def test_failed_statement_of_a_handler_is_reported_without_its_values(
    file_url: str, durable: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        def write(connection: Any) -> None:
            connection.execute(text("INSERT INTO missing VALUES (:who)"), {"who": f"private {who_of(event)}"})

        return [HandlerStep("write", write, transaction=True)]

    inbox = durable(file_url)
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    (letter,) = await inbox.dead_letters()
    await inbox.stop()
    assert "no such table: missing" in letter.reason
    assert "private u" not in letter.reason + caplog.text


async def test_event_is_not_stored_while_the_disk_is_full(file_url: str, durable: Open) -> None:
    inbox, app = durable(file_url), Recorder()
    await inbox.start(app.plan)
    await inbox.store(followed("before", at=1))
    await inbox.idle()
    database = Database.shared(file_url)
    engine = database.engine
    engine.dispose()

    def fill(connection: Any, _: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(engine, "connect", fill)
    big = followed("x" * 50_000, at=2)
    with pytest.raises(NotStoredError):
        await inbox.store(big)
    sa.event.remove(engine, "connect", fill)
    engine.dispose()
    assert await inbox.store(big)
    await inbox.idle()
    assert app.seen == ["before", "x" * 50_000]
    await inbox.stop()
    await database.close()


async def test_event_is_not_stored_while_the_database_is_unreachable(
    postgres_url: str, postgres_server: Any, durable: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.durable_storage.STORE_SECONDS", 1.5)
    inbox, app = durable(postgres_url), Recorder()
    await inbox.start(app.plan)
    server = sa.create_engine(
        postgres_server.get_uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    name = re.search(r"/(test_\d+)\?", postgres_url)
    assert name
    with server.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name[1]} ALLOW_CONNECTIONS false"))
        ending = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(ending, {"name": name[1]})
        with pytest.raises(NotStoredError):
            await inbox.store(followed("u"))
        connection.execute(text(f"ALTER DATABASE {name[1]} ALLOW_CONNECTIONS true"))
    async with asyncio.timeout(60):
        while not app.seen:
            try:
                await inbox.store(followed("u"))
            except NotStoredError:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)
    await inbox.idle()
    assert app.seen == ["u"]
    await inbox.stop()
    server.dispose()


async def test_counts_and_states_are_readable_from_the_database(file_url: str, durable: Open) -> None:
    inbox, app = durable(file_url, remember_seconds=0.0), Recorder()
    await inbox.start(app.plan)
    app.failing = {"bad": 9}
    for name in ("good", "bad"):
        await inbox.store(followed(name, account=name))
    await inbox.idle()
    await inbox.share_counts()
    database = Database.shared(file_url)
    table = InboxTable(database, Leases(database, "test", seconds=1.0))
    counted, by_state, oldest = await database.read(table.stats)
    assert counted == {"handled": 1, "failed": 2, "dead": 1}
    assert (by_state, oldest) == ({"handled": 1, "dead": 1}, None)
    assert await database.write(table.tidy, 0.0, 10, 2e9 * 2) == 1
    await inbox.stop()
    await database.close()


async def test_repeats_are_recognised_after_a_restart(file_url: str, durable: Open) -> None:
    inbox, app = durable(file_url), Recorder()
    await inbox.start(app.plan)
    event = followed("u")
    await inbox.store(event)
    await inbox.idle()
    await inbox.stop()
    second = durable(file_url)
    await second.start(app.plan)
    await second.store(event)
    await second.idle()
    assert (app.seen, counts(second)) == (["u"], {"duplicates": 1})


async def test_second_durable_inbox_of_a_process_is_refused(file_url: str, durable: Open) -> None:
    await durable(file_url).start(Recorder().plan)
    with pytest.raises(ConfigurationError):
        await durable(file_url).start(Recorder().plan)
