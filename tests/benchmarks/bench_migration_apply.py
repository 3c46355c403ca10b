"""Applying a plan: rate against the documented ceiling, memory by size, what the journal costs, what a kill costs.

    python -m tests.benchmarks.bench_migration_apply [--small] [--kills 50]

The stub runs in a process of its own with all limits and rates on. Each size moves in a process of its own, and memory
is the highest that it ever had. The journal's share is the processor time of its transactions alone, played again
afterwards with nothing else running. A kill strikes at a random instant of the run; the next one finishes the work.
"""

import asyncio
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channel_adapter import ChannelAdapter
from channel_adapter.migration.plan_file import read_plan, write_plan
from channel_adapter.migration.planning import Options
from channel_adapter.migration.policies import Policies
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.store.engine import Database
from channel_adapter.store.migration import MigrationStore, Row
from channel_adapter.stub.world.world import World
from channel_adapter.tencent import limits
from tests.benchmarks.rig import settings_for, stub_process
from tests.migration import worlds

CEILING = limits.CALLS_PER_SECOND * limits.IMPORT_MEMBERS_PER_CALL
KILLED_WORLD = (worlds.FULL, worlds.BUSY, worlds.FLAGS)
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Moved:
    """What one process says of its run."""

    seconds: float
    per_second: float
    megabytes: float
    calls: int
    complete: bool
    journal_cpu: float = 0.0


@contextmanager
def stub_with(folder: Path, size: worlds.Size, ids: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """A stub with these accounts, and a plan of them in `folder`."""
    world = World()
    worlds.build(world, size, ids)
    state = worlds.save(world, folder / "state.json")
    with stub_process(words=["--state", str(state), "--control"]) as ready:
        asyncio.run(_plan(folder, ready, ids))
        yield ready


async def _plan(folder: Path, ready: dict[str, Any], ids: tuple[str, ...]) -> None:
    async with (
        ChannelAdapter.open(settings_for(ready)) as adapter,
        adapter.migration.accounts_source(Discovered(ids)) as source,
    ):
        plan = await adapter.migration.plan(source, Options(policies=Policies.parse(["all=cut"])))
    write_plan(folder / "plan.json", plan)


def move(folder: str, ready: dict[str, Any], answer: Any, *, watched: bool) -> None:
    """Apply the plan in this process."""
    answer.put(asyncio.run(_move(Path(folder), ready, watched=watched)))


async def _move(folder: Path, ready: dict[str, Any], *, watched: bool) -> Moved:
    written: list[list[Row]] = []
    if watched:
        write = MigrationStore.write

        async def noted(self: MigrationStore, rows: Any) -> None:
            rows = list(rows)
            written.append(rows)
            await write(self, rows)

        MigrationStore.write = noted  # type: ignore[method-assign]
    plan = read_plan(folder / "plan.json")
    seen: list[tuple[float, int]] = []

    def hear(status: Any) -> None:
        if not seen or status.subscribers > seen[-1][1]:
            seen.append((time.perf_counter(), status.subscribers))

    async with ChannelAdapter.open(settings_for(ready)) as adapter:
        url = f"sqlite:///{folder / 'journal.db'}"
        status = await adapter.migration.apply(plan, database=url, tell=hear)
    (begun, before), (end, after) = next(each for each in seen if each[1]), seen[-1]
    took = end - seen[0][0]
    rate = (after - before) / (end - begun) if end > begun else after / max(took, 0.001)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    cpu = await _played_again(folder, written) if watched else 0.0
    return Moved(took, rate, peak, status.calls, status.complete, cpu)


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


def in_process(folder: Path, ready: dict[str, Any], *, watched: bool = False, kill_after: float | None = None) -> Any:
    """Move in a process of its own; None when it was killed."""
    answers = _context.Queue()
    process = _context.Process(target=move, args=(str(folder), ready, answers), kwargs={"watched": watched})
    process.start()
    if kill_after is not None:
        process.join(kill_after)
        if process.is_alive():
            process.kill()
            process.join()
            return None
    moved = answers.get(timeout=300)
    process.join()
    return moved


def rate_and_memory(sizes: tuple[int, ...]) -> None:
    peaks: list[float] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with stub_with(folder, worlds.Size(subscribers=size, posts=8), (worlds.FULL,)) as ready:
                moved = in_process(folder, ready)
                peaks.append(moved.megabytes)
                print(
                    f"{size:,} subscribers: {moved.per_second:,.0f}/s, {moved.per_second / CEILING:.0%} of {CEILING}/s;"
                )
                print(f"  {moved.calls} calls, {moved.seconds:.1f} s; at most {moved.megabytes:.0f} MB")
    print(f"memory: {peaks[-1] / peaks[0] - 1:+.0%} from {sizes[0]:,} to {sizes[-1]:,}")


def journal(size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stub_with(folder, worlds.Size(subscribers=size, posts=8), (worlds.FULL,)) as ready:
            moved = in_process(folder, ready, watched=True)
            share = moved.journal_cpu / moved.seconds
            print(
                f"journal: {moved.journal_cpu:.2f} s of processor time in {moved.seconds:.1f} s: {share:.1%} of a core"
            )


def kills(count: int, size: worlds.Size) -> None:
    """The same world again and again, each time with a kill at another instant."""
    rng = random.Random(11)
    undisturbed: Moved | None = None
    extra: list[float] = []
    whole = 0
    for _ in range(count + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with stub_with(folder, size, KILLED_WORLD) as ready:
                if undisturbed is None:
                    undisturbed = in_process(folder, ready)
                    calls = _asked(ready)
                    continue
                in_process(folder, ready, kill_after=rng.uniform(2.0, 2.0 + undisturbed.seconds + 2.0))
                moved = in_process(folder, ready)
                whole += moved.complete
                extra.append(_asked(ready) / calls - 1)
    print(f"{count} kills at random instants: {whole} runs finished by the next process;")
    print(f"  {max(extra):+.1%} calls at most, {sum(extra) / len(extra):+.1%} on average, of {calls:,}")


def _asked(ready: dict[str, Any]) -> int:
    """Calls that the stub has counted."""
    with urllib.request.urlopen(f"{ready['url']}/_stub/counters") as answer:  # noqa: S310 - our own stub
        return sum(int(each["times"]) for each in json.load(answer))


def main() -> None:
    small = "--small" in sys.argv
    rate_and_memory((400, 2_000) if small else (10_000, limits.COMMUNITY_MEMBERS - 1))
    journal(2_000 if small else 40_000)
    if "--kills" in sys.argv:
        kills(int(sys.argv[sys.argv.index("--kills") + 1]), worlds.Size(subscribers=20_000, posts=200))


if __name__ == "__main__":
    main()
