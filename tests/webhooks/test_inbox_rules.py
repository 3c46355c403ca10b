"""Guarantees of a durable inbox for order, leases and several processes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select, text

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.errors import ConfigurationError, UnavailableError
from channel_adapter.store.database import Database
from channel_adapter.store.inbox import EVENTS, InboxTable, NewEvent
from channel_adapter.store.inbox import SCHEMA as INBOX
from channel_adapter.store.leases import LEASES, Leases
from channel_adapter.store.leases import SCHEMA as LEASE_SCHEMA
from channel_adapter.store.marks import InboxMark, Recorded
from channel_adapter.webhooks import durable_storage
from channel_adapter.webhooks.durable_storage import DurableStorage
from channel_adapter.webhooks.inbox import (
    DurableInbox,
    HandlerStep,
    InboxOptions,
    MemoryInbox,
    StepPlanner,
)
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.retry import RetryPolicy
from channel_adapter.webhooks.storage import NotStoredError, document_of
from tests.webhooks.events_made import Recorder, followed, who_of

A = "@TOA#_a"
QUICK = InboxOptions(RetryPolicy(3, 0.01), window=0.0)


class ShiftedClock(SystemClock):
    """Clock of a machine that is ahead of the others."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class SetClock(SystemClock):
    """Clock of a machine whose time is set; its monotonic time goes on."""

    ahead = 3_600.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.fixture(autouse=True)
def no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extend the store timeout for busy machines."""
    monkeypatch.setattr(durable_storage, "STORE_SECONDS", 60.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'inbox.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@asynccontextmanager
async def running(
    url: str, plan: StepPlanner, options: InboxOptions = QUICK, clock: SystemClock | None = None
) -> AsyncIterator[DurableInbox]:
    inbox = DurableInbox(url, options, clock=clock)
    await inbox.start(plan)
    try:
        yield inbox
    finally:
        await inbox.stop()


@asynccontextmanager
async def tables(url: str) -> AsyncIterator[tuple[Database, Callable[[str, float], InboxTable]]]:
    async with Database(url) as database:
        await database.prepare(LEASE_SCHEMA)
        await database.prepare(INBOX)
        yield database, lambda owner, seconds: InboxTable(database, Leases(database, owner, seconds=seconds))


def new(key: str, channel: str = A, at: int = 0) -> NewEvent:
    return NewEvent(key, channel, at, 0, "c", 1.0, "{}", 0.0)


def leases(connection: Connection) -> list[tuple[str, str | None, float]]:
    return [
        (str(n), o, float(u)) for n, o, u in connection.execute(select(LEASES.c.name, LEASES.c.owner, LEASES.c.until))
    ]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what it looks at has no waiters
            await asyncio.sleep(0.01)


class Gate:
    """A plan whose events wait until `go` is set; `begun` and `seen` contain their users."""

    def __init__(self, *held: str) -> None:
        self.go = asyncio.Event()
        self.held = held
        self.begun: list[str] = []
        self.seen: list[str] = []

    async def plan(self, event: WebhookEvent) -> list[HandlerStep]:
        async def run(_: Any) -> None:
            self.begun.append(who_of(event))
            if not self.held or who_of(event) in self.held:
                await self.go.wait()
            self.seen.append(who_of(event))

        return [HandlerStep("run", run)]


# Order


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
async def test_due_event_waits_for_an_earlier_one_that_is_not_due(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options, app = InboxOptions(window=2.0), Recorder()
    if kind == "memory":
        inbox: Any = MemoryInbox(options)
    else:
        file = f"sqlite:///{tmp_path / 'inbox.db'}"
        inbox = DurableInbox(file if kind == "sqlite" else request.getfixturevalue("postgres_url"), options)
    await inbox.start(app.plan)
    await inbox.store(followed("late", at=2))
    await asyncio.sleep(0.5)
    await inbox.store(followed("early", at=1))  # due half a second after the other
    await inbox.idle()
    await inbox.stop()
    assert app.seen == ["early", "late"]


async def test_event_stored_while_its_channel_is_handled_is_handled_in_order(url: str) -> None:
    first = Gate()
    async with running(url, first.plan) as inbox:
        for at in (1, 5, 9):
            await inbox.store(followed(f"u{at}", at=at))
        await until(lambda: bool(first.begun))
    gate = Gate("u1")
    async with running(url, gate.plan) as inbox:
        await until(lambda: bool(gate.begun))
        await inbox.store(followed("u3", at=3))
        gate.go.set()
        await inbox.idle()
    assert gate.seen == ["u1", "u3", "u5", "u9"]


async def test_slow_event_delays_only_its_own_channel(url: str) -> None:
    gate = Gate("a1")
    async with running(url, gate.plan) as inbox:
        for name, account, at in (("a1", "a", 1), ("a2", "a", 2), ("b1", "b", 1)):
            await inbox.store(followed(name, account=account, at=at))
        await until(lambda: bool(gate.seen))
        assert gate.seen == ["b1"]
        gate.go.set()
        await inbox.idle()
    assert gate.seen == ["b1", "a1", "a2"]


async def test_events_without_a_channel_do_not_wait_for_each_other(url: str) -> None:
    gate = Gate("u0")
    async with running(url, gate.plan, InboxOptions(window=3600.0)) as inbox:
        for number in range(4):
            await inbox.store(followed(f"u{number}", account="", at=number))
        await until(lambda: len(gate.seen) == 3)
        gate.go.set()
        await inbox.idle()
    assert sorted(gate.seen) == ["u0", "u1", "u2", "u3"]


async def test_hot_channel_does_not_delay_quiet_channels(tmp_path: Path) -> None:
    """Channels are handled one at a time; one has 2,000 events, stored before one event each of 1,000 others."""
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(_: Any) -> None:
            seen.append(event.order_key)

        return [HandlerStep("run", run)]

    options = InboxOptions(window=0.0, concurrency=1)
    async with running(f"sqlite:///{tmp_path / 'inbox.db'}", plan, options) as inbox:
        hot = [followed(f"h{n}", account="hot", at=n) for n in range(2_000)]
        quiet = [followed(f"q{n}", account=f"quiet{n}") for n in range(1_000)]
        await asyncio.gather(*(inbox.store(event) for event in [*hot, *quiet]))
        await inbox.idle()
    assert len(seen) == 3_000
    last_quiet = max(number for number, channel in enumerate(seen) if channel != "hot")
    assert seen[last_quiet:].count("hot") > 0


async def test_dead_letter_delays_no_other_event(url: str) -> None:
    app = Recorder()
    app.failing = {"u1": 9}
    async with running(url, app.plan) as inbox:
        await asyncio.gather(*(inbox.store(followed(f"u{n}", at=n)) for n in (1, 2)))
        await inbox.idle()
    assert app.seen == ["u1", "u1", "u1", "u2"]


# Leases


async def test_lease_is_renewed_only_while_its_channel_is_handled(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that ended unexpectedly loses its lease; then its channel is handled again."""
    monkeypatch.setattr(durable_storage, "LEASE_SECONDS", 2.0)

    class CrashError(BaseException):
        pass

    gate, crashes = Gate("busy"), 0

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        nonlocal crashes
        if who_of(event) == "crash":
            crashes += 1
            if crashes == 1:
                raise CrashError
        return await gate.plan(event)

    async with tables(url) as (database, _), running(url, plan) as inbox:
        await inbox.store(followed("busy", account="busy"))
        await inbox.store(followed("crash", account="crash"))
        await until(lambda: crashes == 1)
        held = {name: end for name, _, end in await database.read(leases)}
        async with asyncio.timeout(60):
            while gate.seen != ["crash"]:
                now = {name: end for name, _, end in await database.read(leases)}
                if time.time() < held["channel:crash"]:
                    # One renewal may have been running when the lane ended; the next one is half a second later.
                    assert now["channel:crash"] - held["channel:crash"] < 0.4
                await asyncio.sleep(0.01)
        assert now["channel:busy"] > held["channel:busy"]
        gate.go.set()
        await inbox.idle()
        assert await database.read(leases) == []


async def test_lane_without_renewal_stops_before_its_next_handler(url: str) -> None:
    clock = ShiftedClock()
    runs: list[str] = []
    plans = 0

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        nonlocal plans
        plans += 1

        async def first(_: Any) -> None:
            runs.append("first")
            clock.ahead += 0.8 * durable_storage.LEASE_SECONDS

        async def second(_: Any) -> None:
            runs.append("second")

        return [HandlerStep("first", first), HandlerStep("second", second)]

    async with running(url, plan, clock=clock) as inbox:
        await inbox.store(followed("u"))
        await inbox.idle()
    assert runs == ["first", "second"]
    assert plans == 2  # it stopped after the first step and claimed the channel again


async def test_marks_for_a_channel_of_another_process_are_not_recorded(url: str) -> None:
    async with tables(url) as (database, table):
        mine, other = table("mine", -1.0), table("other", 60.0)
        await database.write(mine.put, [new("k1"), new("k2")], 1.0)
        assert await database.write(mine.claim, [A], 1.0) == [A]
        assert await database.write(other.claim, [A], 1.0) == [A]
        marks = [
            InboxMark(A, "k1", "s", ended=True),
            InboxMark(A, "k2", "s", lambda c: c.execute(text("SELECT 1")), ended=True),
        ]
        assert await database.write(mine.record, marks, 1.0) == [Recorded.LOST] * 2
        assert [each.key for each in await database.read(other.read, [A], 9, 1.0)] == ["k1", "k2"]


@pytest.mark.parametrize("name", ["inbox-renewal", "inbox-pump"])
async def test_ended_background_task_is_logged_and_restarted(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Recorder()
    async with running(f"sqlite:///{tmp_path / 'inbox.db'}", app.plan) as inbox:
        for _ in range(2):
            (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
            task.cancel()
            await asyncio.wait([task])
        await inbox.store(followed("u"))
        await inbox.idle()
        assert name in {task.get_name() for task in asyncio.all_tasks()}
    assert app.seen == ["u"]
    lines = [record.getMessage() for record in caplog.records if "webhooks.inbox_task_ended" in record.getMessage()]
    assert [name in line for line in lines] == [True, True]


async def test_renewal_continues_after_a_database_failure(url: str, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate("u")
    async with tables(url) as (database, _), running(url, gate.plan) as inbox:
        await inbox.store(followed("u"))
        await until(lambda: bool(gate.begun))
        await database.write(lambda connection: connection.execute(text("ALTER TABLE lease RENAME TO gone")))
        await until(lambda: "inbox-renewal" in caplog.text)
        await database.write(lambda connection: connection.execute(text("ALTER TABLE gone RENAME TO lease")))
        (before,) = await database.read(leases)
        async with asyncio.timeout(60):
            after = before
            while after[2] <= before[2]:
                await asyncio.sleep(0.01)
                (after,) = await database.read(leases)
        gate.go.set()
        await inbox.idle()
    assert gate.seen == ["u"]


async def test_empty_renewals_claims_and_records_execute_no_statement(url: str) -> None:
    executed: list[str] = []
    async with tables(url) as (database, table):
        event.listen(database.engine, "before_cursor_execute", lambda *call: executed.append(call[2]))
        assert await database.write(table("me", 1.0).renew, [], 1.0) == set()
        assert await database.write(table("me", 1.0).claim, [], 1.0) == []
        assert await database.write(table("me", 1.0).record, [], 1.0) == []
    assert executed == []


def show(connection: Connection, name: str) -> str:
    return str(connection.scalar(text(f"SHOW {name}")))


async def test_database_connections_have_timeouts_of_two_seconds(postgres_url: str) -> None:
    async with tables(postgres_url) as (database, _):
        for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
            assert await database.read(show, name) == "2s"


async def test_receivers_with_clocks_an_hour_apart_share_channels_in_order(postgres_url: str) -> None:
    """Neither claims a channel of the other, and stored events are due for both at the same time."""
    gates = [Gate(), Gate()]
    clocks = [ShiftedClock(), ShiftedClock(3600.0)]
    async with (
        running(postgres_url, gates[0].plan, clock=clocks[0]) as first,
        running(postgres_url, gates[1].plan, clock=clocks[1]) as second,
    ):
        for number, inbox in enumerate([first, second] * 5):
            await inbox.store(followed(f"u{number}", at=number))
        await until(lambda: bool(gates[0].begun or gates[1].begun))
        await asyncio.sleep(1.0)
        assert len(gates[0].begun) + len(gates[1].begun) == 1
        for gate in gates:
            gate.go.set()
        await asyncio.gather(first.idle(), second.idle())
    assert sorted(gates[0].seen + gates[1].seen) == [f"u{number}" for number in range(10)]
    for gate in gates:
        assert gate.seen == sorted(gate.seen)


async def test_concurrent_writes_in_opposite_order_do_not_deadlock(postgres_url: str) -> None:
    async with tables(postgres_url) as (database, table):
        mine = table("mine", 60.0)
        channels = [f"@c{number}" for number in range(30)]
        await database.write(mine.put, [new(f"k{channel}", channel) for channel in channels], 1.0)
        assert await database.write(mine.claim, channels, 1.0) == sorted(channels)
        marks = [InboxMark(channel, f"k{channel}", "s", lambda connection: None) for channel in channels]
        for _ in range(5):
            await asyncio.gather(
                *(database.write(mine.record, order, 1.0) for order in (marks, marks[::-1]) for _ in range(3)),
                *(database.write(mine.renew, order, 1.0) for order in (channels, channels[::-1])),
            )


async def test_claims_skip_leases_locked_by_another_transaction(postgres_url: str) -> None:
    async with tables(postgres_url) as (database, table):
        ended, other = table("ended", -1.0), table("other", 60.0)
        await database.write(ended.claim, ["a", "b"], 1.0)
        locked, go = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(connection: Connection) -> None:
            connection.execute(select(LEASES).where(LEASES.c.name == "channel:a").with_for_update())
            loop.call_soon_threadsafe(locked.set)
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result(60)

        holding = asyncio.ensure_future(database.write(hold))
        await locked.wait()
        try:
            assert await database.write(other.claim, ["a", "b"], 1.0) == ["b"]
        finally:
            go.set()
        await holding


# One receiver on SQLite


async def test_second_durable_receiver_on_a_sqlite_file_is_refused_by_another_name(tmp_path: Path) -> None:
    link, app = tmp_path / "link.db", Recorder()
    link.symlink_to(tmp_path / "inbox.db")
    async with running(f"sqlite:///{tmp_path / 'inbox.db'}", app.plan):
        with pytest.raises(ConfigurationError, match="SQLite is for one receiver"):
            await DurableInbox(f"sqlite:///{link}").start(app.plan)


async def test_second_durable_receiver_on_a_sqlite_file_is_refused(tmp_path: Path) -> None:
    file, app = f"sqlite:///{tmp_path / 'inbox.db'}", Recorder()
    async with running(file, app.plan) as first:
        with pytest.raises(ConfigurationError, match="SQLite is for one receiver"):
            await DurableInbox(file).start(app.plan)
        memory = MemoryInbox()
        await memory.start(app.plan)
        await memory.stop()
        await first.store(followed("u"))
        await first.idle()
    assert app.seen == ["u"]
    async with running(file, app.plan):
        pass


async def test_receiver_takes_over_all_channels_of_a_sqlite_file_immediately(tmp_path: Path) -> None:
    file, gate = f"sqlite:///{tmp_path / 'inbox.db'}", Gate()
    async with running(file, gate.plan) as inbox:
        await asyncio.gather(*(inbox.store(followed(f"u{n}", account=f"a{n}")) for n in range(5)))
        await until(lambda: len(gate.begun) == 5)
    async with tables(file) as (database, table):  # as left by a killed process, with valid leases
        await database.write(table("dead", 3600.0).claim, [f"a{n}" for n in range(5)], time.time())
    app = Recorder()
    async with running(file, app.plan):
        await until(lambda: len(app.seen) == 5)


# Tidying


async def test_handled_events_are_deleted_in_small_transactions(url: str) -> None:
    old, shared = DurableStorage(url, -60.0, 0.0, SystemClock()), Database.shared(url)
    await old.open()
    try:
        async with tables(url) as (database, table):
            mine = table("mine", 60.0)
            events = [new(f"k{number}") for number in range(2 * durable_storage.MAX_TIDIED + 10)]
            await database.write(mine.put, [*events, new("waits")], 1.0)
            await database.write(mine.claim, [A], 1.0)
            await database.write(mine.record, [InboxMark(A, each.key, ended=True) for each in events], 1.0)
            deleted = count_deleted(shared)
            more = []
            for number in range(3):
                more.append(await old.tidy())
                await database.write(mine.put, [new(f"between{number}")], 1.0)
            left = await database.read(lambda c: c.scalars(select(EVENTS.c.key)).all())
        assert more == [True, True, False]
        assert deleted == [durable_storage.MAX_TIDIED] * 2 + [10]
        assert sorted(left) == ["between0", "between1", "between2", "waits"]
    finally:
        await old.close()
        await shared.close()


def count_deleted(database: Database) -> list[int]:
    """Return a list of the numbers of events that later transactions delete; each deletion has its own transaction."""
    deleted: list[int] = []

    def executed(_: Any, cursor: Any, statement: str, *__: Any) -> None:
        if statement.startswith("DELETE FROM inbox_event"):
            deleted.append(cursor.rowcount)

    event.listen(database.engine, "after_cursor_execute", executed)
    return deleted


async def test_body_is_emptied_when_its_event_is_handled(url: str) -> None:
    app = Recorder()
    app.failing = {"bad": 9}
    async with running(url, app.plan) as inbox, tables(url) as (database, _):
        await inbox.store(followed("good", account="a"))
        await inbox.store(followed("bad", account="b"))
        await inbox.idle()
        rows = await database.read(lambda c: c.execute(select(EVENTS.c.state, EVENTS.c.body)).all())
    assert {str(state): bool(body) for state, body in rows} == {"handled": False, "dead": True}


# Handlers in the transaction


async def test_handler_that_ends_the_transaction_fails_alone(url: str) -> None:
    seen: list[str] = []

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        def run(connection: Connection) -> None:
            if who_of(event) == "bad":
                connection.commit()
            seen.append(who_of(event))

        return [HandlerStep("run", run, transaction=True)]

    async with running(url, plan) as inbox:
        names = ("good1", "bad", "good2")
        await asyncio.gather(*(inbox.store(followed(name, account=name)) for name in names))
        await inbox.idle()
        (letter,) = await inbox.dead_letters()
    assert letter.reason.startswith("ConfigurationError: a handler with transaction=True has ended the transaction")
    assert letter.attempts == 3
    assert {"good1", "good2"} <= set(seen)


async def test_coroutine_in_a_transaction_becomes_a_dead_letter(url: str) -> None:
    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        async def run(connection: Connection) -> None:
            raise AssertionError

        return [HandlerStep("run", run, transaction=True)]

    async with running(url, plan) as inbox:
        await inbox.store(followed("u"))
        await inbox.idle()
        (letter,) = await inbox.dead_letters()
    assert "is a plain function" in letter.reason


async def test_unavailable_error_in_a_transaction_uses_up_no_attempt(url: str) -> None:
    seen: list[str] = []
    failures = 5

    async def plan(event: WebhookEvent) -> list[HandlerStep]:
        def run(connection: Connection) -> None:
            nonlocal failures
            if failures:
                failures -= 1
                raise UnavailableError("not now")
            seen.append(who_of(event))

        return [HandlerStep("run", run, transaction=True)]

    async with running(url, plan) as inbox:
        await inbox.store(followed("u"))
        await inbox.idle()
        assert await inbox.dead_letters() == []
    assert seen == ["u"]


async def test_events_handled_elsewhere_take_no_capacity_behind_events_that_wait(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.inbox._RECONCILED", 2)
    gate, taken = Gate("held"), followed("u", account="@TOA#_b")
    options = InboxOptions(window=0.0, waiting_bytes=4 * len(document_of(taken)) + 40)
    async with tables(url) as (database, table), running(url, gate.plan, options) as inbox:
        other = table("other", 60.0)
        await database.write(other.claim, ["@TOA#_b"], time.time())
        for at, who in enumerate(("held", "v", "w")):
            await inbox.store(followed(who, at=at))
        await inbox.store(taken)
        with pytest.raises(NotStoredError):
            await inbox.store(followed("x", at=3))
        handled = InboxMark("@TOA#_b", taken.dedupe_key, ended=True)
        assert await database.write(other.record, [handled], time.time()) == [Recorded.DONE]
        async with asyncio.timeout(60):
            while True:
                with suppress(NotStoredError):
                    await inbox.store(followed("x", at=3))
                    break
                await asyncio.sleep(0.05)
        gate.go.set()
        await inbox.idle()
    assert gate.seen == ["held", "v", "w", "x"]


# A clock that is set back


async def test_event_that_waits_for_earlier_ones_is_handled_after_clock_was_set_back(tmp_path: Path) -> None:
    app, clock = Recorder(), SetClock()
    async with running(f"sqlite:///{tmp_path / 'inbox.db'}", app.plan, InboxOptions(window=0.3), clock) as inbox:
        await inbox.store(followed("late", at=2))
        clock.ahead = 0.0
        await inbox.store(followed("early", at=1))
        async with asyncio.timeout(60):
            await inbox.idle()
    assert app.seen == ["early", "late"]


async def test_failed_event_is_tried_again_after_clock_was_set_back(tmp_path: Path) -> None:
    app, clock = Recorder(), SetClock()
    app.failing = {"rower": 1}
    async with running(f"sqlite:///{tmp_path / 'inbox.db'}", app.plan, QUICK, clock) as inbox:
        await inbox.store(followed("rower"))
        await until(lambda: bool(inbox.counters["failed"]))
        clock.ahead = 0.0
        async with asyncio.timeout(60):
            await inbox.idle()
    assert app.seen == ["rower", "rower"]


async def test_event_left_before_clock_was_set_back_is_found_at_next_start(tmp_path: Path) -> None:
    url, app, clock = f"sqlite:///{tmp_path / 'inbox.db'}", Recorder(), SetClock()
    async with running(url, app.plan, InboxOptions(window=300.0), clock) as inbox:
        await inbox.store(followed("rower"))
    clock.ahead = 0.0
    async with running(url, app.plan, QUICK, clock):
        await until(lambda: app.seen == ["rower"])
