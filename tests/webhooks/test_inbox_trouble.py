"""What an inbox makes of trouble: work that two have, values that databases refuse, a service that is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from channel_adapter.errors import ChannelAdapterError, ThrottledError, UnavailableError
from channel_adapter.store.engine import Database
from channel_adapter.webhooks.durable_inbox import DurableInbox
from channel_adapter.webhooks.handling import Patience
from channel_adapter.webhooks.inbox import NotStoredError, Plan, Step, Task
from channel_adapter.webhooks.inbox_schema import AREA, DEAD, EVENTS, HANDLED, TAKEN
from channel_adapter.webhooks.inbox_table import InboxTable
from channel_adapter.webhooks.intake import Intake
from channel_adapter.webhooks.memory_inbox import MemoryInbox
from channel_adapter.webhooks.parse import Received
from tests.webhooks.events_made import Recorder, followed, who_of

QUICK = Patience(3, 0.01)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path') / 'inbox.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@asynccontextmanager
async def running(url: str, plan: Plan, **more: Any) -> AsyncIterator[DurableInbox]:
    inbox = DurableInbox(url, patience=QUICK, window=0.0, **more)
    await inbox.start(plan)
    try:
        yield inbox
    finally:
        await inbox.stop()


@asynccontextmanager
async def table(url: str) -> AsyncIterator[InboxTable]:
    made = InboxTable(Database(url))
    await made.database.prepare(AREA)
    try:
        yield made
    finally:
        await made.database.close()


def row(key: str) -> dict[str, Any]:
    return {"key": key, "command": "c", "channel": "", "document": "{}", "received_at": 1.0}


async def test_two_that_have_the_same_event_write_each_step_once(url: str) -> None:
    """As after a lost connection, when work is taken over from somebody who lives and goes on."""
    ran: list[str] = []

    def step(name: str) -> Step:
        async def run(connection: Any) -> None:
            ran.append(name)

        return Step(name, run, transaction=True)

    async with table(url) as events:
        await events.claim("batch", [row("k")])
        first, second = DurableInbox(url), DurableInbox(url)
        first._table = second._table = events
        mine, other = Task(followed("u")), Task(followed("u"))
        key = mine.received.dedupe_key
        await events.claim("batch", [row(key)])
        for task, inbox in ((mine, first), (other, second)):
            await inbox.advance(task, step("one"), last=False)
            await inbox.advance(task, Step("plain", _nothing), last=False)
        await second.advance(other, step("two"), last=False)
        await first.advance(mine, Step("plain", _nothing), last=False)  # it knows nothing of "two"
        (claim,) = await events.claim("batch", [row(key)])
        assert claim.done == {"one", "plain", "two"}
        await first.advance(mine, step("two"), last=True)
        await second.advance(other, step("three"), last=True)
    assert ran == ["one", "two"]


async def test_a_database_of_the_version_before_is_upgraded(url: str) -> None:
    database = Database(url)
    async with database.writing() as connection:
        await connection.run_sync(AREA.tables.create_all)
        for statement in (
            *(["DROP INDEX webhook_event_in_line"] if not database.is_sqlite else []),
            "ALTER TABLE webhook_event DROP COLUMN sequence",
            "CREATE TABLE channel_adapter_schema (area VARCHAR(40) PRIMARY KEY, version INTEGER NOT NULL)",
            "INSERT INTO channel_adapter_schema VALUES ('webhooks', 1)",
        ):
            await connection.execute(sa.text(statement))
    await database.close()
    async with table(url) as events:
        assert [claim.key for claim in await events.claim("batch", [{**row("k"), "sequence": 2**62}])] == ["k"]
        async with events.database.reading() as connection:
            assert await connection.scalar(sa.select(EVENTS.c.sequence)) == 2**62


async def _nothing(connection: Any) -> None:
    await asyncio.sleep(0)


async def test_a_reason_that_no_database_takes_is_kept_as_far_as_it_can_be(url: str) -> None:
    async def plan(event: Received) -> list[Step]:
        raise ValueError("not \x00 even \udcff this")

    async with running(url, plan) as inbox:
        await inbox.store(followed("u"))
        async with asyncio.timeout(60):
            await inbox.idle()
        (letter,) = await inbox.dead_letters()
        assert letter.reason == "ValueError: not \ufffd even ? this"


async def test_names_that_no_column_takes_stop_nobody(url: str) -> None:
    app = Recorder()
    async with running(url, app.plan) as inbox:
        await asyncio.gather(
            *(inbox.store(followed(f"u{n}", account=name)) for n, name in enumerate(["@a" * 500, "nul\x00", "@b"]))
        )
        async with asyncio.timeout(60):
            await inbox.idle()
    assert sorted(app.seen) == ["u0", "u1", "u2"]


async def test_a_retry_that_is_killed_half_way_is_not_lost(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written first, nothing may be left that is neither dead nor on its way."""
    app = Recorder()
    app.failing = {"bad": 3}
    async with running(url, app.plan) as inbox:
        await inbox.store(followed("bad"))
        await inbox.idle()
        (letter,) = await inbox.dead_letters()

        async def killed(*_: Any, **__: Any) -> None:
            raise ConnectionAbortedError

        with monkeypatch.context() as patch:
            patch.setattr(inbox, "_begin", killed)
            with pytest.raises(ConnectionAbortedError):
                await inbox.retry(letter.key)
        assert [each.key for each in await inbox.dead_letters()] == [letter.key]
        with monkeypatch.context() as patch:
            patch.setattr(inbox._table, "revive", killed)
            with pytest.raises(ConnectionAbortedError):
                await inbox.retry(letter.key)
        await inbox.idle()
        assert [each.state for each in await inbox._table.rows([TAKEN, DEAD, HANDLED], limit=9)] == [HANDLED]
    assert app.seen == ["bad"] * 4


async def test_who_waits_in_vain_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.intake.STORE_SECONDS", 0.02)
    hangs = asyncio.Event()

    async def write(documents: list[str]) -> None:
        await hangs.wait()

    intake = Intake(write)
    for _ in range(3):
        outcomes = await asyncio.gather(*(intake.store(f"k{n}", "x") for n in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {NotStoredError}
    assert len(intake._waiting) == 0
    await intake.stop()


@pytest.mark.parametrize("away", [UnavailableError, ThrottledError])
async def test_a_service_that_is_away_uses_up_no_attempts(away: type[ChannelAdapterError]) -> None:
    seen: list[str] = []
    answers = [away("not now")] * 20

    async def plan(event: Received) -> list[Step]:
        if answers:
            raise answers.pop()

        async def run(connection: Any) -> None:
            seen.append(who_of(event))

        return [Step("run", run)]

    inbox = MemoryInbox(patience=Patience(2, 0.0), window=0.0)
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    assert (seen, await inbox.dead_letters()) == (["u"], [])
    await inbox.stop()


async def test_a_service_that_is_away_too_long_is_a_failure() -> None:
    async def plan(event: Received) -> list[Step]:
        raise UnavailableError("not now")

    inbox = MemoryInbox(patience=Patience(2, 0.0, away_seconds=0.0), window=0.0)
    await inbox.start(plan)
    await inbox.store(followed("u"))
    await inbox.idle()
    (letter,) = await inbox.dead_letters()
    assert (letter.attempts, letter.reason) == (2, "UnavailableError: not now")
    await inbox.stop()


async def test_a_database_that_is_away_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def write(documents: list[str]) -> None:
        raise OSError("no disk")

    intake = Intake(write)
    for n in range(5):
        with pytest.raises(NotStoredError):
            await intake.store(f"k{n}", "x")
    assert caplog.text.count("webhooks.not_stored") == 1
    await intake.stop()


async def test_a_ledger_that_cannot_be_written_is_told_once_in_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.durable_inbox._WRITE_AGAIN_SECONDS", 0.0)
    troubles = [UnavailableError("away")] * 50

    async def write() -> str:
        if troubles:
            raise troubles.pop()
        return "written"

    assert await DurableInbox(f"sqlite:///{tmp_path / 'i.db'}")._insist(write) == "written"
    assert caplog.text.count("webhooks.ledger_failed") == 1


async def test_a_handler_whose_own_work_was_cancelled_has_failed_and_nobody_else_waits() -> None:
    seen: list[str] = []

    async def plan(event: Received) -> list[Step]:
        async def run(connection: Any) -> None:
            seen.append(who_of(event))
            if who_of(event) == "bad":
                work = asyncio.ensure_future(asyncio.sleep(60))
                work.cancel()
                await work

        return [Step("run", run)]

    inbox = MemoryInbox(patience=Patience(2, 0.0), window=0.0)
    await inbox.start(plan)
    for number, who in enumerate(["bad", "good"]):
        await inbox.store(followed(who, at=number))
    await inbox.idle()
    assert seen == ["bad", "bad", "good"]
    (letter,) = await inbox.dead_letters()
    assert letter.reason.startswith("CancelledError")
    await inbox.stop()
