"""A process of an app that calls as fast as its limit lets it, whenever it is asked to.

    python -m tests.store.caller_process SETTINGS_AS_JSON

Prints `ready`, reads seconds from lines of stdin, calls for so long, and prints the Unix times at which calls were sent
and the outcomes of those that were not answered, as JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channel_adapter import Attempt, ChannelAdapter, Settings

ROOT = Path(__file__).parents[2]
WORKERS = 24
COMMAND = ("im_open_login_svc", "account_check")


@dataclass(frozen=True, slots=True)
class Calls:
    """What a process did: when calls were sent, and how others ended."""

    sent: tuple[float, ...]
    failed: tuple[str, ...]


class CallerProcess:
    """A running process."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.caller_process", json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, seconds: float) -> None:
        """Begin to call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def result(self) -> Calls:
        """Wait for the end of what `start` began."""
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        return Calls(tuple(found["sent"]), tuple(found["failed"]))

    def end(self) -> None:
        """End the process as a program ends, closing its adapter."""
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def kill(self) -> None:
        """End the process without closing anything."""
        self._process.kill()
        self._process.communicate(timeout=60)


@contextmanager
def callers(number: int, settings: Mapping[str, Any]) -> Iterator[list[CallerProcess]]:
    """So many processes, which have opened an adapter."""
    processes = [CallerProcess(settings) for _ in range(number)]
    try:
        for process in processes:
            process.wait_until_ready()
        yield processes
        for process in processes:
            process.end()
    finally:
        for process in processes:
            process.kill()


def run(processes: list[CallerProcess], seconds: float) -> list[Calls]:
    """Let processes call at the same time."""
    for process in processes:
        process.start(seconds)
    return [process.result() for process in processes]


def busiest_second(sent: list[float]) -> int:
    """The most calls in any window of one second."""
    busiest = first = 0
    sent = sorted(sent)
    for last, moment in enumerate(sent):
        while moment - sent[first] >= 1.0:
            first += 1
        busiest = max(busiest, last - first + 1)
    return busiest


async def _calls(adapter: ChannelAdapter, seconds: float) -> None:
    end = time.monotonic() + seconds

    async def work() -> None:
        while time.monotonic() < end:
            await adapter.call(*COMMAND, {"CheckItem": [{"UserID": "reader_1"}]})

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def _main() -> None:
    sent: list[float] = []
    failed: list[str] = []

    def observe(attempt: Attempt) -> None:
        sent.append(time.time() - attempt.wire)
        if attempt.outcome_kind != "success":
            failed.append(f"{attempt.outcome_kind} {attempt.code}")

    loop = asyncio.get_running_loop()
    async with ChannelAdapter.open(Settings(**json.loads(sys.argv[1])), observer=observe) as adapter:
        await _calls(adapter, 0.01)
        sent.clear()
        print("ready", flush=True)  # noqa: T201 - to the process that started this one
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            await _calls(adapter, float(line))
            print(json.dumps({"sent": sent, "failed": failed}), flush=True)  # noqa: T201
            sent.clear()
            failed.clear()


if __name__ == "__main__":
    asyncio.run(_main())
