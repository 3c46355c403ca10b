"""A forked process that moves channels, and that can be made to kill itself at a named point of the work.

Children are forked from a server with all imports done, so that a start is fast.
"""

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.plan.document import read_plan
from channel_adapter.migration.run import jobs  # noqa: F401 - imported before the fork
from tests.migration.conftest import System
from tests.migration.worlds import FIELDS

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.migration.mover"])


@dataclass(frozen=True)
class Orders:
    """The work of a process. It kills itself at the `nth` pass of `point`; without one it completes its work."""

    values: dict[str, Any]
    plan: Path
    database: str
    point: str = ""
    nth: int = 1
    role: str = "apply"
    seconds: float | None = None


def orders(system: System, plan: Path, database: str, **more: Any) -> Orders:
    """Return the orders for a process on this system."""
    own = system.settings
    values = {"sdkappid": own.sdkappid, "admin": own.admin, "base_url": own.base_url, "total_seconds": 30.0}
    return Orders({**values, "key": own.key.get_secret_value()}, plan, database, **more)


def start(given: Orders) -> ForkServerProcess:
    """Start a process."""
    process = _context.Process(target=_main, args=(given,), daemon=True)
    process.start()
    return process


async def ended(process: ForkServerProcess, seconds: float = 60) -> int:
    """Wait for the end of the process and return its exit code; negative for a signal."""
    await asyncio.to_thread(process.join, seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise AssertionError("the process did not end")
    process.close()
    return code


async def ended_or_killed(process: ForkServerProcess) -> int:
    """End the process if it is running; return its own exit code, or 0 if it was ended here."""
    code = process.exitcode
    if code is None:
        process.terminate()
    await asyncio.to_thread(process.join)
    process.close()
    return code or 0


async def carried_out(given: Orders) -> int:
    """Start a process and wait for its end."""
    return await ended(start(given))


def _main(given: Orders) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os._exit(asyncio.run(_move(given)))


async def _move(given: Orders) -> int:
    settings = Settings(
        **{**given.values, "key": SecretStr(given.values["key"])},
        channels=ChannelSettings(organization_key=FIELDS[1], custom_data_keys=FIELDS[2:]),
    )
    passed: Counter[str] = Counter()

    def at(point: str) -> None:
        passed[point] += 1
        if point == given.point and passed[point] == given.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    async with ChannelAdapter.open(settings) as adapter:
        bounds = BudgetLimits(seconds=given.seconds)
        if given.role == "worker":
            await adapter.migration.work(database=given.database, limits=bounds, failpoint=at)
            return 0
        plan = read_plan(given.plan)
        status = await adapter.migration.apply(plan, database=given.database, limits=bounds, failpoint=at)
        return 0 if status.complete else 3
