"""A process that sends one-to-one messages is killed with signal 9 before and after the effect, then run again."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, Text
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests import forked
from tests.faults.test_messages_lost import BATCH, SEND, settings

READERS = [f"reader_{number}" for number in range(6)]
SECONDS = 60


@dataclass(frozen=True)
class System:
    """A stub with a channel, and the command line connected to it."""

    server: StubServer
    adapter: ChannelAdapter
    directory: Path

    def start(self, *words: str) -> "forked.Forked | subprocess.Popen[bytes]":
        """Start the command in a separate process."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CHANNEL_ADAPTER_")}
        own = {
            "SDKAPPID": str(self.server.sdkappid), "KEY": self.server.key, "BASE_URL": self.server.url,
            "MODE": self.adapter.settings.mode.value,
        }  # fmt: skip
        if self.adapter.settings.database_url is not None:
            own["DATABASE_URL"] = self.adapter.settings.database_url.get_secret_value()
        environment = clean | {f"CHANNEL_ADAPTER_{name}": value for name, value in own.items()}
        return forked.start(["channel-adapter", *words], env=environment, cwd=self.directory)

    async def kill_in_call(self, fault: Fault, *words: str) -> None:
        """Start a command, and kill it while the call delayed by the fault is unanswered."""
        self.server.faults.replace([fault])
        process = self.start(*words)
        async with asyncio.timeout(SECONDS):
            while not any(report["struck"] for report in self.server.faults.report()):
                assert process.poll() is None
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait(SECONDS) == -signal.SIGKILL
        self.server.faults.replace(())

    async def run(self, *words: str) -> int:
        return await asyncio.to_thread(self.start(*words).wait)

    async def counts(self, text: str) -> list[int]:
        """Return the number of messages with this text for each reader."""
        found = []
        for reader in READERS:
            thread = [m.content async for m in self.adapter.messages.thread("tides", user=reader)]
            found.append(thread.count(Text(text)))
        return found


@pytest.fixture(params=[*Mode])
async def system(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[System]:
    small = StubSettings.model_validate({"app": {"group_fields": ["ch_tag"]}})
    async with StubServer(small) as server, ChannelAdapter.open(settings(server, request.param)) as adapter:
        await adapter.accounts.add(["owner", *READERS])
        await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        await adapter.subscriptions.subscribe("tides", READERS)
        yield System(server, adapter, tmp_path)


INSTANTS = {
    "before the effect": Fault(command=SEND, nth=(1,), drop=True, delay=SECONDS),
    "after the effect": Fault(command=SEND, nth=(1,), delay=SECONDS),
}


@pytest.mark.parametrize("fault", INSTANTS.values(), ids=INSTANTS.keys())
async def test_message_of_a_killed_process_is_sent_once(system: System, fault: Fault) -> None:
    words = ("messages", "send", "tides", READERS[0], "welcome", "--idempotency-key", "welcome reader_0")
    await system.kill_in_call(fault, *words)
    for _ in range(2):
        assert await system.run(*words) == 0
    assert await system.counts("welcome") == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("system", [Mode.COMMUNITY], indirect=True)
async def test_killed_bulk_call_has_sent_each_user_one_message(system: System) -> None:
    file = system.directory / "readers.txt"
    file.write_text("\n".join(READERS) + "\n")
    words = ("messages", "send-many", "tides", str(file), "once")
    await system.kill_in_call(Fault(command=BATCH, delay=SECONDS), *words)
    assert await system.counts("once") == [1] * len(READERS)
