"""Order across receivers that share one PostgreSQL: one event of a channel at a time, in the order of the channel."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from channel_adapter.store.engine import Database
from channel_adapter.tencent.clock import SystemClock
from channel_adapter.webhooks.inbox import Task
from channel_adapter.webhooks.inbox_schema import AREA, DEAD, EVENTS, HANDLED
from channel_adapter.webhooks.inbox_table import InboxTable
from channel_adapter.webhooks.lines import Lines
from channel_adapter.webhooks.parse import Received
from channel_adapter.webhooks.turns import SILENCE_SECONDS, Turns
from tests.webhooks.events_made import followed, who_of

PATIENCE = 60


class Quay:
    """What all receivers of a test see of each other's work."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []
        self.busy: list[str] = []
        self.together: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def receiver(self) -> "Desk":
        desk = Desk(self, Database(self.url))
        await desk.table.database.prepare(AREA)
        await desk.turns.prepare()
        return desk


class Desk:
    """The part of a receiver that knows what others do: its lines, and its connections to the database."""

    def __init__(self, quay: Quay, database: Database) -> None:
        self.quay = quay
        self.table = InboxTable(database)
        self.turns = Turns(database)
        self.lines = Lines(self._handle, window=0.0, clock=SystemClock(), may_begin=self._may_begin)

    async def know(self, *events: Received, batch: str = "b") -> None:
        """Store them, as the workflow of a batch does first."""
        rows = [
            {"key": e.dedupe_key, "command": e.command, "channel": e.order_key, "document": "{}",
             "received_at": e.received_at, "sequence": e.sequence}
            for e in events
        ]  # fmt: skip
        await self.table.claim(batch, rows)

    def put(self, *events: Received) -> None:
        for event in events:
            self.lines.put(Task(event))

    async def close(self) -> None:
        await self.lines.stop()
        await self.table.database.close()

    async def _may_begin(self, task: Task) -> bool:
        return await self.table.may_begin(task.received.dedupe_key)

    async def _handle(self, task: Task) -> None:
        quay, channel = self.quay, task.received.order_key
        if channel in quay.busy:
            quay.together.append(channel)
        quay.busy.append(channel)
        try:
            await quay.go.wait()
            await asyncio.sleep(random.uniform(0, 0.01))
        finally:
            quay.busy.remove(channel)
        quay.seen.append(who_of(task.received))
        await self.table.mark(task.received.dedupe_key, state=HANDLED)


@pytest.fixture
def quay(postgres_url: str) -> Quay:
    return Quay(postgres_url)


@pytest.fixture
async def desks(quay: Quay) -> AsyncIterator[tuple[Desk, Desk]]:
    first, second = await quay.receiver(), await quay.receiver()
    yield first, second
    await first.close()
    await second.close()


def event(account: str, at: int) -> Received:
    return followed(f"{account}{at}", account=account, at=at)


async def test_what_two_receivers_have_of_a_channel_is_handled_in_its_order(
    quay: Quay, desks: tuple[Desk, Desk]
) -> None:
    chance = random.Random(7)
    events = [event(account, at) for account in "abc" for at in range(20)]
    shares = [chance.sample(part, len(part)) for part in (events[::2], events[1::2])]
    for desk, share in zip(desks, shares, strict=True):
        await desk.know(*share)
    for desk, share in zip(desks, shares, strict=True):
        desk.put(*share)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(desk.lines.idle() for desk in desks))
    for account in "abc":
        assert [name for name in quay.seen if name[0] == account] == [f"{account}{at}" for at in range(20)]
    assert quay.together == []


async def test_an_event_that_comes_late_waits_for_the_one_that_has_begun(quay: Quay, desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    quay.go.clear()
    await first.know(event("a", 2))
    first.put(event("a", 2))
    async with asyncio.timeout(PATIENCE):
        while not quay.busy:  # noqa: ASYNC110 - it is another task's
            await asyncio.sleep(0.005)
    await second.know(event("a", 1), event("b", 1))
    second.put(event("a", 1), event("b", 1))
    async with asyncio.timeout(PATIENCE):
        while "b" not in quay.busy:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    assert quay.busy == ["a", "b"]
    quay.go.set()
    async with asyncio.timeout(PATIENCE):
        await second.lines.idle()
    assert [name for name in quay.seen if name[0] == "a"] == ["a2", "a1"]
    assert quay.together == []


async def test_the_turn_of_a_dead_receiver_is_over_when_its_event_is_taken_over(
    quay: Quay, desks: tuple[Desk, Desk]
) -> None:
    """Whoever takes it over may have one that belongs before it; neither may wait for the other."""
    first, second = desks
    quay.go.clear()
    late, early = event("a", 2), event("a", 1)
    await first.know(late)
    first.put(late)
    async with asyncio.timeout(PATIENCE):
        while not quay.busy:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    await first.lines.stop()
    await second.know(early)
    assert not await second.table.may_begin(early.dedupe_key)
    await second.turns.end([late.dedupe_key])
    await second.know(late)
    quay.go.set()
    second.put(late, early)
    async with asyncio.timeout(PATIENCE):
        await second.lines.idle()
    assert quay.seen == ["a1", "a2"]


async def test_a_dead_letter_holds_up_nobody(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    await first.know(event("a", 1), event("a", 2))
    assert await first.table.may_begin(event("a", 1).dedupe_key)
    assert not await second.table.may_begin(event("a", 2).dedupe_key)
    await first.table.mark(event("a", 1).dedupe_key, state=DEAD)
    assert await second.table.may_begin(event("a", 2).dedupe_key)


async def test_what_is_not_under_way_any_more_need_not_wait(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    await first.know(event("a", 1), event("a", 2))
    await first.table.mark(event("a", 2).dedupe_key, state=HANDLED)
    assert await second.table.may_begin(event("a", 2).dedupe_key)
    assert await second.table.may_begin("nobody knows this key")


async def test_what_nobody_has_touched_for_hours_holds_up_nobody(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    await first.know(event("a", 1), event("a", 2), event("a", 3))
    assert await first.table.may_begin(event("a", 1).dedupe_key)
    assert not await second.table.may_begin(event("a", 3).dedupe_key)
    async with first.table.database.writing() as connection:
        old = sa.update(EVENTS).values(changed_at=EVENTS.c.changed_at - SILENCE_SECONDS - 1)
        await connection.execute(old.where(EVENTS.c.key != event("a", 3).dedupe_key))
    assert await second.table.may_begin(event("a", 3).dedupe_key)


async def test_turns_are_forgotten_with_their_events(desks: tuple[Desk, Desk]) -> None:
    first, second = desks
    await first.know(event("a", 1))
    assert await first.table.may_begin(event("a", 1).dedupe_key)
    await first.table.mark(event("a", 1).dedupe_key, state=HANDLED)
    await first.turns.forget(4e9)
    assert await first.table.forget(4e9) == 1
    await second.know(event("a", 2))
    assert await second.table.may_begin(event("a", 2).dedupe_key)


async def test_names_that_are_cut_to_the_same_one_wait_for_each_other(desks: tuple[Desk, Desk]) -> None:
    long = ["@" + "a" * 300 + end for end in "xy"]
    pair = [followed(name[-1], account=name, at=at) for at, name in enumerate(long)]
    await desks[0].know(*pair)
    answers = await asyncio.gather(*(desks[0].table.may_begin(each.dedupe_key) for each in pair))
    assert answers == [True, False]


async def test_a_database_of_the_version_before_goes_on(quay: Quay) -> None:
    """Its events have no number: they are before nobody, and nobody is before them."""
    database = Database(quay.url)
    async with database.writing() as connection:
        await connection.run_sync(AREA.tables.create_all)
        for statement in (
            "ALTER TABLE webhook_event DROP COLUMN sequence",
            "CREATE TABLE channel_adapter_schema (area VARCHAR(40) PRIMARY KEY, version INTEGER NOT NULL)",
            "INSERT INTO channel_adapter_schema VALUES ('webhooks', 1)",
            "INSERT INTO webhook_event (key, batch, state, attempts, done, command, channel, document, received_at,"
            " changed_at) VALUES ('old', 'b', 'taken', 0, '', 'c', 'a', '{}', 1, extract(epoch FROM now()))",
        ):
            await connection.execute(sa.text(statement))
    await database.close()
    desk = await quay.receiver()
    await desk.know(event("a", 1), event("a", 2))
    asked: dict[str, Any] = {"old": True, event("a", 2).dedupe_key: False}
    for key, answer in asked.items():
        assert await desk.table.may_begin(key) == answer
    await desk.table.mark("old", state=HANDLED)
    assert await desk.table.may_begin(event("a", 1).dedupe_key)
    await desk.close()
