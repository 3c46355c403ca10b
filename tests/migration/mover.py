"""A process that moves channels, and that can be made to die at a named point of the work: forked, and killed for real.

Children come from a server that has everything imported, so that one costs no second of its own.
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
    """What a process is to do. It dies at the `nth` time that it comes to `point`; without one it does its work."""

    values: dict[str, Any]
    plan: Path
    database: str
    point: str = ""
    nth: int = 1
    role: str = "apply"
    seconds: float | None = None


def orders(system: System, plan: Path, database: str, **more: Any) -> Orders:
    """Orders for a process on this system."""
    own = system.settings
    values = {"sdkappid": own.sdkappid, "admin": own.admin, "base_url": own.base_url, "total_seconds": 30.0}
    return Orders({**values, "key": own.key.get_secret_value()}, plan, database, **more)


def start(given: Orders) -> ForkServerProcess:
    """A process at work."""
    process = _context.Process(target=_main, args=(given,), daemon=True)
    process.start()
    return process


async def ended(process: ForkServerProcess, seconds: float = 60) -> int:
    """Its exit code, once it has ended; negative for a signal."""
    await asyncio.to_thread(process.join, seconds)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise AssertionError("the process did not end")
    process.close()
    return code


async def ended_or_killed(process: ForkServerProcess) -> int:
    """End it if it has not ended; the exit code it had by itself, 0 for one that is ended here."""
    code = process.exitcode
    if code is None:
        process.terminate()
    await asyncio.to_thread(process.join)
    process.close()
    return code or 0


async def carried_out(given: Orders) -> int:
    """Start it and wait for its end."""
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
