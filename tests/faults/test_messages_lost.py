"""One-to-one messages with answers lost in every possible way: sent once, and reported correctly."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    MessageRef,
    OutcomeKind,
    OutcomeUnknownError,
    Settings,
    Text,
    UnavailableError,
)
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_lost_answers import FAULTS, HastyClock, settings_of

READERS = [f"reader_{number}" for number in range(30)]
SEND, BATCH, ROAM = "sendmsg", "batchsendmsg", "admin_getroammsg"
INTERNAL_ERROR = 91000


@dataclass(frozen=True)
class System:
    """An adapter on a stub, with a channel and a message to the first reader."""

    adapter: ChannelAdapter
    server: StubServer
    first: MessageRef

    async def texts(self, user: str) -> list[object]:
        """Return the sorted contents that a reader received, read by an adapter without faults."""
        self.server.faults.replace(())
        found = [m async for m in self.adapter.messages.thread("tides", user=user)]
        return sorted([m.content if not m.recalled else None for m in found], key=str)


def settings(server: StubServer, mode: Mode) -> Settings:
    return settings_of(server).model_copy(update={"mode": mode})


@pytest.fixture(params=[*Mode])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with (
        StubServer() as server,
        ChannelAdapter.open(settings(server, request.param), clock=HastyClock()) as adapter,
    ):
        await adapter.accounts.add(["owner", *READERS])
        await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        await adapter.subscriptions.subscribe("tides", READERS)
        first = await adapter.messages.send("tides", user=READERS[0], content=Text("first"))
        yield System(adapter, server, first.ref)


async def send(system: System) -> None:
    sent = await system.adapter.messages.send("tides", user=READERS[0], content=Text("second"))
    assert sent.key != system.first.key
    assert await system.texts(READERS[0]) == [Text("first"), Text("second")]


async def edit(system: System) -> None:
    await system.adapter.messages.edit(system.first, Text("mended"))
    assert await system.texts(READERS[0]) == [Text("mended")]


async def recall(system: System) -> None:
    await system.adapter.messages.recall(system.first)
    assert await system.texts(READERS[0]) == [None]


async def read_back(system: System) -> None:
    assert [m.content async for m in system.adapter.messages.thread("tides", user=READERS[0])] == [Text("first")]


async def mark_read(system: System) -> None:
    account = (await system.adapter.messages.contact("tides")).account
    system.server.world.client(READERS[0], "iOS").send(account, "answer")
    await system.adapter.messages.mark_read("tides", user=READERS[0])
    system.server.faults.replace(())
    assert await system.adapter.messages.unread("tides") == 0


WORK: dict[str, Callable[[System], Awaitable[None]]] = {
    SEND: send,
    "modify_c2c_msg": edit,
    "admin_msgwithdraw": recall,
    ROAM: read_back,
    "admin_set_msg_read": mark_read,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize(
    ("system", "command"),
    [(Mode.OFFICIAL, SEND), *((Mode.COMMUNITY, command) for command in WORK)],
    indirect=["system"],
)
async def test_operation_with_lost_answer_is_carried_out_once(system: System, command: str, fault: Fault) -> None:
    code = INTERNAL_ERROR if fault.code == 10002 else fault.code
    system.server.faults.replace([fault.model_copy(update={"command": command, "code": code})])
    await WORK[command](system)


async def test_message_without_any_answer_is_found_in_the_thread(system: System) -> None:
    system.server.faults.replace([Fault(command=SEND, drop=True, applied=True)])
    sent = await system.adapter.messages.send("tides", user=READERS[0], content=Text("second"))
    found = {m.key: m.content async for m in system.adapter.messages.thread("tides", user=READERS[0])}
    assert found[sent.key] == Text("second")
    assert len(found) == 2


async def test_message_that_cannot_be_looked_up_has_unknown_outcome(system: System) -> None:
    lost, unreadable = Fault(command=SEND, drop=True, applied=True), Fault(command=ROAM, status=502)
    system.server.faults.replace([lost, unreadable])
    with pytest.raises(OutcomeUnknownError, match=SEND):
        await system.adapter.messages.send("tides", user=READERS[0], content=Text("second"), idempotency_key="k")
    system.server.faults.replace(())
    await system.adapter.messages.send("tides", user=READERS[0], content=Text("second"), idempotency_key="k")
    assert await system.texts(READERS[0]) == [Text("first"), Text("second")]


async def test_unsent_message_is_not_reported_as_sent(system: System) -> None:
    system.server.faults.replace([Fault(command=SEND, drop=True)])
    with pytest.raises(OutcomeUnknownError, match=SEND):
        await system.adapter.messages.send("tides", user=READERS[0], content=Text("second"))
    assert await system.texts(READERS[0]) == [Text("first")]


LOST = {name: fault for name, fault in FAULTS.items() if fault.code is None or fault.applied}


in_community = pytest.mark.parametrize("system", [Mode.COMMUNITY], indirect=True)


@in_community
@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
async def test_batch_with_unknown_outcome_is_not_sent_again(system: System, fault: Fault) -> None:
    code = INTERNAL_ERROR if fault.code is not None else None
    system.server.faults.replace([fault.model_copy(update={"command": BATCH, "code": code})])
    outcomes = await system.adapter.messages.send_many("tides", READERS, Text("once"))
    assert outcomes.counts == {OutcomeKind.UNKNOWN: len(READERS)}
    assert not outcomes.complete
    assert all("batchsendmsg" in outcome.reason for outcome in outcomes)
    got = [(await system.texts(reader)).count(Text("once")) for reader in READERS]
    applied = fault.applied or fault.cut is not None or fault.delay
    assert got == [1 if applied else 0] * len(READERS)


@in_community
@pytest.mark.parametrize("code", [60007, 90057, 70001])
async def test_temporarily_refused_batch_is_sent_once(system: System, code: int) -> None:
    system.server.faults.replace([Fault(command=BATCH, nth=(1,), code=code)])
    outcomes = await system.adapter.messages.send_many("tides", READERS, Text("once"))
    assert outcomes.counts == {OutcomeKind.SENT: len(READERS)}
    assert [(await system.texts(reader)).count(Text("once")) for reader in READERS] == [1] * len(READERS)


@pytest.mark.parametrize("mode", Mode)
async def test_database_failure_while_outcomes_are_recorded_is_logged(
    mode: Mode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The messages were sent: every user has an outcome, and no batch is sent again."""
    async with StubServer() as server:
        url = SecretStr(f"sqlite:///{tmp_path / 'app.db'}")
        own = settings(server, mode).model_copy(update={"database_url": url})
        async with ChannelAdapter.open(own, clock=HastyClock()) as adapter:
            await adapter.accounts.add(["owner", *READERS])
            await adapter.channels.create(slug="tides", name="Tides", owner="owner")
            await adapter.subscriptions.subscribe("tides", READERS, assign=False)
            assert [thread async for thread in adapter.messages.threads("tides")] == []
            with sqlite3.connect(tmp_path / "app.db") as connection:
                connection.execute("DROP TABLE message_threads")
            with caplog.at_level(logging.WARNING, "channel_adapter.messages"):
                outcomes = await adapter.messages.send_many("tides", [*READERS, "nobody_7"], Text("once"))
            assert outcomes.counts == {OutcomeKind.SENT: len(READERS), OutcomeKind.NOT_FOUND: 1}
            (logged,) = [line for line in caplog.text.splitlines() if "messages.sent_not_recorded" in line]
            for token in ("WARNING", f"users={len(READERS)}", "error=unavailable", "#_tides"):
                assert token in logged
            assert len(list(server.log.calls(BATCH))) == 1
            with pytest.raises(UnavailableError):
                await anext(adapter.messages.threads("tides"))


async def test_database_failure_before_messages_are_sent_raises_unavailable(tmp_path: Path) -> None:
    """The account of the channel is recorded first: without it, answers of users could not be assigned."""
    async with StubServer() as server:
        url = SecretStr(f"sqlite:///{tmp_path / 'app.db'}")
        own = settings(server, Mode.COMMUNITY)
        async with ChannelAdapter.open(own) as plain:
            await plain.accounts.add(["owner", *READERS])
            await plain.channels.create(slug="tides", name="Tides", owner="owner")
        async with ChannelAdapter.open(own.model_copy(update={"database_url": url}), clock=HastyClock()) as adapter:
            await adapter.channels.create(slug="other", name="Other", owner="owner")
            await adapter.messages.contact("other")
            with sqlite3.connect(tmp_path / "app.db") as connection:
                connection.execute("DROP TABLE message_contacts")
            for _ in range(2):
                with pytest.raises(UnavailableError):
                    await adapter.messages.send_many("tides", READERS, Text("once"))
            assert list(server.log.calls(BATCH)) == []
