"""Processes of an app that call on request as fast as their limit allows.

They are forked from a server that has already imported everything, so that they start quickly.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy.dialects.postgresql import psycopg  # noqa: F401 - imported before the fork

from channel_adapter import Attempt, ChannelAdapter, Settings
from channel_adapter.store import rate_limits  # noqa: F401 - imported before the fork

WORKERS = 24
COMMAND = ("im_open_login_svc", "account_check")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.store.caller_process"])


@dataclass(frozen=True, slots=True)
class Calls:
    """Result of a process: the Unix times at which calls were sent, and the outcomes of failed calls."""

    sent: tuple[float, ...]
    failed: tuple[str, ...]


class CallerProcess:
    """Running process."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._ours, theirs = _context.Pipe()
        self._process = _context.Process(target=_main, args=(dict(settings), theirs), daemon=True)
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        assert self._ours.recv() == "ready"

    def start(self, seconds: float) -> None:
        """Start the calls."""
        self._ours.send(seconds)

    def result(self) -> Calls:
        """Wait for the end of the calls, and return them."""
        found: Calls = self._ours.recv()
        return found

    def end(self) -> None:
        """End the process normally, and close its adapter."""
        self._ours.send(None)
        self._process.join(60)
        assert self._process.exitcode == 0

    def kill(self) -> None:
        """End the process without closing anything."""
        self._process.kill()
        self._process.join(60)
        self._process.close()
        self._ours.close()


@contextmanager
def callers(number: int, settings: Mapping[str, Any]) -> Iterator[list[CallerProcess]]:
    """Yield `number` processes, each of which has opened an adapter and has called."""
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
    """Run the calls of all processes concurrently, and return them."""
    for process in processes:
        process.start(seconds)
    return [process.result() for process in processes]


def busiest_second(sent: list[float]) -> int:
    """Return the highest count of calls in any window of one second."""
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


async def _serve(settings: Mapping[str, Any], orders: Connection) -> None:
    sent: list[float] = []
    failed: list[str] = []

    def observe(attempt: Attempt) -> None:
        sent.append(time.time() - attempt.wire)
        if attempt.outcome_kind != "success":
            failed.append(f"{attempt.outcome_kind} {attempt.code}")

    async with ChannelAdapter.open(Settings(**settings), observer=observe) as adapter:
        await _calls(adapter, 0.01)
        orders.send("ready")
        while (seconds := await asyncio.to_thread(orders.recv)) is not None:
            sent.clear()
            failed.clear()
            await _calls(adapter, seconds)
            orders.send(Calls(tuple(sent), tuple(failed)))


def _main(settings: Mapping[str, Any], orders: Connection) -> None:
    asyncio.run(_serve(settings, orders))
    os._exit(0)
