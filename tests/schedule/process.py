"""Process that publishes scheduled posts, and can kill itself at a named point: forked, with signal 9.

Child processes are forked from a server that has already imported everything, so that they start quickly.
"""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from typing import Any

import psycopg  # noqa: F401 - imported before the fork

from channel_adapter import ChannelAdapter, Settings, Text
from channel_adapter.services import failpoints, schedule_jobs  # noqa: F401 - imported before the fork

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.schedule.process"])

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Orders:
    """Instructions for a process. It kills itself at the `nth` time that it reaches `point`.

    `schedule` are posts to schedule first: channel, text, key, Unix seconds; `now` is the id of a post and
    `draft` of a draft to publish immediately. Without them it publishes due posts until it is ended.
    """

    settings: dict[str, Any]
    point: str = ""
    nth: int = 1
    schedule: tuple[tuple[str, str, str, float], ...] = ()
    now: str = ""
    draft: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def start(orders: Orders) -> ForkServerProcess:
    """Start a process."""
    process = _context.Process(target=_main, args=(orders,), daemon=True)
    process.start()
    return process


async def ended(process: ForkServerProcess, seconds: float = 90) -> int:
    """Wait for the end of a process and return its exit code, negative for a signal."""
    await asyncio.to_thread(process.join, seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise AssertionError("the process did not end")
    process.close()
    return code


async def kill(process: ForkServerProcess) -> None:
    """Kill a process with signal 9."""
    process.kill()
    await asyncio.to_thread(process.join)
    process.close()


def _main(orders: Orders) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os._exit(asyncio.run(_work(orders)))


async def _work(orders: Orders) -> int:
    passed: Counter[str] = Counter()

    def at(point: str) -> None:
        passed[point] += 1
        if point == orders.point and passed[point] == orders.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.hooks.append(at)
    async with ChannelAdapter.open(Settings.model_validate({**orders.settings, **orders.more})) as adapter:
        for channel, text, key, seconds in orders.schedule:
            moment = datetime.fromtimestamp(seconds, UTC)
            await adapter.posts.schedule(channel, Text(text), at=moment, idempotency_key=key)
        if orders.now:
            await adapter.posts.publish_now(orders.now)
        if orders.draft:
            await adapter.posts.publish_draft(orders.draft)
        if not (orders.schedule or orders.now or orders.draft):
            async with adapter.run_jobs(["schedule"]):
                await asyncio.sleep(600)
    return 0
