"""Runs of a migration for the benchmarks: a stub with the accounts, and processes that plan, apply, help and verify."""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from channel_adapter import ChannelAdapter
from channel_adapter.migration.plan.document import Plan, read_plan, write_plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.run.apply import Status
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.store.database import Database
from channel_adapter.store.migration import MigrationStore, Row
from channel_adapter.stub.world.stub_state import StubState
from tests.benchmarks.rig import settings_for, stub_process
from tests.migration import worlds

MEMBER_CAP = 1_000_000
ROOM = f"[limits]\nmembers_per_community = {MEMBER_CAP}\n"
"""An owner and as many subscribers as an account may have need more than the default."""
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Moved:
    """Result of one process. `spans` are the first and last time of each state of a channel."""

    seconds: float
    per_second: float
    megabytes: float
    calls: int
    complete: bool
    subscribers: int
    posts: int
    quarantined: int
    journal_cpu: float = 0.0
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)


@contextmanager
def stub_with(
    folder: Path, size: worlds.Size, ids: tuple[str, ...], toml: str = ROOM, *, plan: bool = True
) -> Iterator[dict[str, Any]]:
    """Yield a stub with these accounts, and a plan of them in `folder`."""
    world = StubState()
    worlds.build(world, size, ids)
    state = worlds.save(world, folder / "state.json")
    del world
    with stub_process(toml, words=["--state", str(state), "--control"]) as ready:
        if plan:
            asyncio.run(make_plan(folder, ready, ids, rated=False))
        yield ready


async def make_plan(folder: Path, ready: dict[str, Any], ids: tuple[str, ...], *, rated: bool) -> Plan:
    """Write a plan that truncates values over their limit, in `folder` as well."""
    renamed = {account: slug for account, slug in worlds.RENAMED.items() if account in ids}
    async with (
        ChannelAdapter.open(settings_for(ready, rate_limits=rated)) as adapter,
        adapter.migration.accounts_source(Discovered(ids)) as source,
    ):
        options = PlanOptions(policies=Resolutions.parse(["all=cut"]), renamed=renamed, member_cap=MEMBER_CAP)
        plan = await adapter.migration.plan(source, options)
    write_plan(folder / "plan.json", plan)
    return plan


class Listener:
    """Listener for the progress of a run."""

    def __init__(self) -> None:
        self._counts: list[tuple[float, int]] = []
        self.spans: dict[str, tuple[float, float]] = {}

    def hear(self, status: Status) -> None:
        """Record one more state."""
        now = time.time()
        if not self._counts or status.subscribers > self._counts[-1][1]:
            self._counts.append((now, status.subscribers))
        for state in {channel.state for channel in status.channels}:
            self.spans[state] = (self.spans.get(state, (now, now))[0], now)

    @property
    def per_second(self) -> float:
        """Subscribers per second, from the first migrated one to the last."""
        begun, before = next((each for each in self._counts if each[1]), self._counts[-1])
        end, after = self._counts[-1]
        return (after - before) / (end - begun) if end > begun else 0.0


def move(folder: str, ready: dict[str, Any], url: str, answer: Any, *, watched: bool, rated: bool) -> None:
    """Apply the plan in this process."""
    answer.put(asyncio.run(apply(Path(folder), ready, url, watched=watched, rated=rated)))


def help_out(ready: dict[str, Any], url: str, *, rated: bool) -> None:
    """Process the queued work of other processes until this process is ended."""

    async def work() -> None:
        async with ChannelAdapter.open(settings_for(ready, rate_limits=rated)) as adapter:
            await adapter.migration.work(database=url)

    with suppress(KeyboardInterrupt):
        asyncio.run(work())


async def apply(folder: Path, ready: dict[str, Any], url: str, *, watched: bool, rated: bool) -> Moved:
    """Apply the plan in `folder`; `watched` records the time of the journal, which needs memory."""
    written: list[list[Row]] = []
    if watched:
        write = MigrationStore.write

        async def noted(self: MigrationStore, rows: Any) -> None:
            rows = list(rows)
            written.append(rows)
            await write(self, rows)

        MigrationStore.write = noted  # type: ignore[method-assign]
    plan = read_plan(folder / "plan.json")
    listener = Listener()
    began = time.perf_counter()
    async with ChannelAdapter.open(settings_for(ready, rate_limits=rated)) as adapter:
        status = await adapter.migration.apply(plan, database=url, on_progress=listener.hear)
    took = time.perf_counter() - began
    cpu = await _played_again(folder, written) if watched else 0.0
    return Moved(
        took, listener.per_second, peak_megabytes(), status.calls, status.complete, status.subscribers, status.posts,
        status.quarantined, cpu, listener.spans,
    )  # fmt: skip


async def _played_again(folder: Path, written: list[list[Row]]) -> float:
    database = Database(f"sqlite:///{folder / 'again.db'}")
    store = MigrationStore(database)
    await store.prepare()
    transactions = [*written]
    began = time.process_time()
    for rows in transactions:
        await store.write(rows)
    took = time.process_time() - began
    await database.close()
    return took


def peak_megabytes() -> float:
    """Return the peak memory of this process. `getrusage` starts with the value of the parent process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000_000
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1_000


@dataclass(frozen=True)
class Running:
    """A process that applies the plan, and the source of its answer."""

    process: SpawnProcess
    answers: Any

    def result(self) -> Moved:
        """Return the final result of the process."""
        moved: Moved = self.answers.get(timeout=900)
        self.process.join()
        return moved


def journal_in(folder: Path) -> str:
    """Return the URL of a journal in this folder."""
    return f"sqlite:///{folder / 'journal.db'}"


def start(folder: Path, ready: dict[str, Any], url: str, *, watched: bool = False, rated: bool = True) -> Running:
    """Start a process that applies the plan."""
    answers = _context.Queue()
    given = {"watched": watched, "rated": rated}
    process = _context.Process(target=move, args=(str(folder), ready, url, answers), kwargs=given)
    process.start()
    return Running(process, answers)


def start_worker(ready: dict[str, Any], url: str, *, rated: bool) -> SpawnProcess:
    """Start a worker process."""
    process = _context.Process(target=help_out, args=(ready, url), kwargs={"rated": rated})
    process.start()
    return process


def in_process(folder: Path, ready: dict[str, Any], *, watched: bool = False, rated: bool = True) -> Moved:
    """Apply the plan in a separate process."""
    return start(folder, ready, journal_in(folder), watched=watched, rated=rated).result()
