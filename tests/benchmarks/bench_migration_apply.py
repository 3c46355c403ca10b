"""Applying a plan: rate against the documented ceiling, memory by size, what the journal costs, what a kill costs.

    python -m tests.benchmarks.bench_migration_apply [--small | --kills 50 [--people 70000] [--rated] [--seed 11]]

The stub runs in a process of its own with all limits and rates on. Each size moves in a process of its own, and memory
is the highest that it ever had. The journal's share is the processor time of its transactions alone, played again
afterwards with nothing else running. A kill strikes at a random instant of the run; the next one finishes the work, and
its world must be that of an undisturbed run. Without rates as many calls as `concurrency` allows are under way when it
strikes; `--rated` says what it costs where the service's rates hold.
"""

import argparse
import asyncio
import multiprocessing
import random
import resource
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from channel_adapter import ChannelAdapter
from channel_adapter.migration.plan import Plan
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
from tests.migration.moved_world import Picture, check_against_source, picture

CEILING = limits.CALLS_PER_SECOND * limits.IMPORT_MEMBERS_PER_CALL
RATES_OFF = "[rates]\nenabled = false\n"
IMPORTING = 1.5
"""Seconds of a process before it does anything."""
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
    renamed = {account: slug for account, slug in worlds.RENAMED.items() if account in ids}
    async with (
        ChannelAdapter.open(settings_for(ready, rate_limits=False)) as adapter,
        adapter.migration.accounts_source(Discovered(ids)) as source,
    ):
        options = Options(policies=Policies.parse(["all=cut"]), renamed=renamed)
        plan = await adapter.migration.plan(source, options)
    write_plan(folder / "plan.json", plan)


def move(folder: str, ready: dict[str, Any], answer: Any, *, watched: bool, rated: bool) -> None:
    """Apply the plan in this process."""
    answer.put(asyncio.run(_move(Path(folder), ready, watched=watched, rated=rated)))


async def _move(folder: Path, ready: dict[str, Any], *, watched: bool, rated: bool) -> Moved:
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

    async with ChannelAdapter.open(settings_for(ready, rate_limits=rated)) as adapter:
        url = f"sqlite:///{folder / 'journal.db'}"
        status = await adapter.migration.apply(plan, database=url, tell=hear)
    (begun, before), (end, after) = next((each for each in seen if each[1]), seen[-1]), seen[-1]
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


def in_process(
    folder: Path, ready: dict[str, Any], *, watched: bool = False, rated: bool = True, kill_after: float | None = None
) -> Any:
    """Move in a process of its own; None when it was killed."""
    answers = _context.Queue()
    given = {"watched": watched, "rated": rated}
    process = _context.Process(target=move, args=(str(folder), ready, answers), kwargs=given)
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


@dataclass(frozen=True)
class Ended:
    """A run, killed once or not: the world that it left, and what it took."""

    world: Picture
    calls: Counter[str]
    seconds: float
    killed: bool


def kills(count: int, size: worlds.Size, seed: int, *, rated: bool) -> None:
    """The same world again and again, each time with one kill at another instant."""
    rng = random.Random(seed)
    extra: list[int] = []
    equal = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stub_with(folder, size, worlds.IDS):
            plan = read_plan(folder / "plan.json")
        wanted = _ended(folder, plan, rated=rated)
        calls = wanted.calls.total()
        print(f"undisturbed: {calls:,} calls in {wanted.seconds:.1f} s", flush=True)
        while len(extra) < count:
            after = rng.uniform(IMPORTING, wanted.seconds)
            run = _ended(folder, plan, rated=rated, kill_after=after)
            if not run.killed:  # all was done already: nothing was left to go on with
                continue
            equal += run.world == wanted.world
            extra.append(run.calls.total() - calls)
            most = (run.calls - wanted.calls).most_common(4)
            named = ", ".join(f"{command.split('/')[-1]} +{times}" for command, times in most)
            same = "equal" if run.world == wanted.world else "OTHER WORLD"
            print(f"  kill {len(extra)} after {after:.1f} s: {extra[-1]:+} calls, {same} ({named})", flush=True)
    print(f"{count} kills at random instants: {equal} worlds equal to that of the undisturbed run;")
    least, middle, highest = (value / calls for value in (min(extra), statistics.median(extra), max(extra)))
    print(f"  calls: {least:+.2%} at least, {middle:+.2%} in the middle, {highest:+.2%} at most")


def _ended(base: Path, plan: Plan, *, rated: bool, kill_after: float | None = None) -> Ended:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("state.json", "plan.json"):
            shutil.copy(base / file, folder / file)
        words = ["--state", str(folder / "state.json"), "--control"]
        with stub_process("" if rated else RATES_OFF, words=words) as ready:
            began = time.perf_counter()
            moved = in_process(folder, ready, rated=rated, kill_after=kill_after)
            killed = moved is None and not asyncio.run(_finished(folder, plan))
            if killed:
                moved = in_process(folder, ready, rated=rated)
            seconds = time.perf_counter() - began
            if moved is not None and not moved.complete:
                raise RuntimeError("a run was not complete")
            world, calls = World(), _asked(ready)
            world.load(orjson.loads(_told(ready, "state")))
    if not killed:
        check_against_source(world, plan)
    return Ended(picture(world, plan, 0), calls, seconds, killed)


async def _finished(folder: Path, plan: Plan) -> bool:
    """Was all the work done when the kill came? Another run would be a delta then."""
    database = Database(f"sqlite:///{folder / 'journal.db'}")
    store = MigrationStore(database)
    await store.prepare()
    rows = await store.channels(plan.migration)
    await database.close()
    return bool(rows) and all(row.finished for row in rows)


def _asked(ready: dict[str, Any]) -> Counter[str]:
    """Calls that the stub has counted, by command."""
    made: Counter[str] = Counter()
    for each in orjson.loads(_told(ready, "counters")):
        made[each["command"]] += int(each["times"])
    return made


def _told(ready: dict[str, Any], what: str) -> bytes:
    with urllib.request.urlopen(f"{ready['url']}/_stub/{what}") as answer:  # noqa: S310 - our own stub
        told: bytes = answer.read()
    return told


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--small", action="store_true")
    words.add_argument("--kills", type=int, metavar="N", help="nothing but N runs with a kill each")
    words.add_argument("--people", type=int, default=70_000, help="who follow the largest account of those runs")
    words.add_argument("--rated", action="store_true", help="keep to the rates in those runs, which is slower")
    words.add_argument("--seed", type=int, default=11)
    given = words.parse_args()
    if given.kills:
        size = worlds.Size(subscribers=given.people, posts=max(40, given.people // 70))
        kills(given.kills, size, given.seed, rated=given.rated)
        return
    rate_and_memory((400, 2_000) if given.small else (10_000, limits.COMMUNITY_MEMBERS - 1))
    journal(2_000 if given.small else 40_000)


if __name__ == "__main__":
    main()
