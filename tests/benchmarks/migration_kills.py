"""Cost of a kill of a migration: repeated runs from the same state, each with one kill at another instant."""

import asyncio
import random
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from channel_adapter.migration.plan.document import Plan, read_plan
from channel_adapter.store.database import Database
from channel_adapter.store.migration import ChannelRow, MigrationStore
from channel_adapter.stub.world.stub_state import StubState
from tests.benchmarks.migration_runs import ROOM, Moved, journal_in, start, start_worker, stub_with
from tests.benchmarks.rig import stub_process
from tests.migration import worlds
from tests.migration.moved_world import Picture, check_against_source, picture

RATES_OFF = "[rates]\nenabled = false\n"
EARLY = ("importing_channel", "importing_posts")
PATIENCE = 600.0
LOOK_EVERY = 0.2


@dataclass(frozen=True)
class Ended:
    """A finished run, killed once or not: its final state, its cost, and the work in progress at the kill."""

    world: Picture
    calls: Counter[str]
    seconds: float
    early: tuple[float, float] = (0.0, 0.0)
    killed: str = ""


@dataclass
class Costs:
    """Costs of all kills."""

    wanted: Ended
    extra: list[int]
    equal: int = 0
    posts_twice: int = 0
    posts_lost: int = 0
    people_lost: int = 0
    people_more: int = 0

    def add(self, run: Ended, after: float) -> None:
        """Add one more run and print its result."""
        same = run.world == self.wanted.world
        self.equal += same
        more = run.calls.total() - self.wanted.calls.total()
        self.extra.append(more)
        self._harm(run.world)
        most = (run.calls - self.wanted.calls).most_common(5)
        named = ", ".join(f"{command.split('/')[-1]} +{times}" for command, times in most)
        share = more / self.wanted.calls.total()
        print(
            f"  kill {len(self.extra)} after {after:.1f} s ({run.killed}): {more:+} calls, {share:+.2%},"
            f" {'equal' if same else 'OTHER WORLD'} ({named})",
            flush=True,
        )

    def tell(self, what: str) -> None:
        """Print all results."""
        total = self.wanted.calls.total()
        print(f"{len(self.extra)} kills {what}: {self.equal} worlds equal to that of the undisturbed run;")
        three = (min(self.extra), statistics.median(self.extra), max(self.extra))
        told = ", ".join(f"{value:+,.0f} ({value / total:+.2%})" for value in three)
        over = sum(value > total / 100 for value in self.extra)
        print(f"  calls: {told} at least, in the middle, at most; {over} kills cost more than 1 % of {total:,} calls")
        print(
            f"  posts twice: {self.posts_twice}, lost: {self.posts_lost};"
            f" subscribers lost: {self.people_lost}, too many: {self.people_more}",
            flush=True,
        )

    def _harm(self, world: Picture) -> None:
        for source, wanted in self.wanted.world.items():
            found = world.get(source, {"posts": [], "members": {}})
            numbers = Counter(post[2] for post in found["posts"])
            self.posts_twice += numbers.total() - len(numbers)
            self.posts_lost += len({post[2] for post in wanted["posts"]} - numbers.keys())
            self.people_lost += len(wanted["members"].keys() - found["members"].keys())
            self.people_more += len(found["members"].keys() - wanted["members"].keys())


class Scene:
    """The state and the plan with which every run begins."""

    def __init__(self, folder: Path, *, rated: bool) -> None:
        self.folder = folder
        self.rated = rated
        self.plan = read_plan(folder / "plan.json")

    @contextmanager
    def fresh(self) -> "Iterator[tuple[Path, dict[str, Any]]]":
        """Return a copy of both, and a stub with it."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in ("state.json", "plan.json"):
                shutil.copy(self.folder / file, folder / file)
            words = ["--state", str(folder / "state.json"), "--control"]
            with stub_process(ROOM + ("" if self.rated else RATES_OFF), words=words) as ready:
                yield folder, ready

    def ended(self, ready: dict[str, Any], began: float, moved: Moved | None, killed: str = "") -> Ended:
        """Return the result of a run. Raise RuntimeError if it was not complete."""
        seconds = time.time() - began
        if moved is not None and not moved.complete:
            raise RuntimeError("a run was not complete")
        world, calls = StubState(), _asked(ready)
        world.load(orjson.loads(_told(ready, "state")))
        if not killed:
            check_against_source(world, self.plan)
        early = (0.0, 0.0)
        if moved is not None:
            spans = [moved.spans[state] for state in EARLY if state in moved.spans] or [(began, began)]
            early = (min(each[0] for each in spans) - began, max(each[1] for each in spans) - began)
        return Ended(picture(world, self.plan, 0), calls, seconds, early, killed)


def kills(count: int, size: worlds.Size, seed: int, *, rated: bool) -> None:
    """Kill one process; the next one finishes. Every second kill happens while groups or posts are created."""
    rng = random.Random(seed)
    with _scene(size, rated=rated) as scene:
        wanted = _alone(scene)
        low, high = wanted.early
        print(f"undisturbed: {wanted.calls.total():,} calls in {wanted.seconds:.1f} s", flush=True)
        print(f"  groups and posts from {low:.1f} to {high:.1f} s", flush=True)
        costs = Costs(wanted, [])
        while len(costs.extra) < count:
            bounds = (low, high) if len(costs.extra) % 2 else (low, wanted.seconds)
            after = rng.uniform(*bounds)
            run = _alone(scene, after)
            if run.killed:  # otherwise all work was done and nothing was left to resume
                costs.add(run, after)
        costs.tell("at random instants")


def worker_kills(count: int, size: worlds.Size, seed: int, new_url: Callable[[], str], *, rated: bool) -> None:
    """Run `apply` and a worker on one database; one of them is killed, and the other one finishes."""
    rng = random.Random(seed)
    with _scene(size, rated=rated) as scene:
        wanted = _together(scene, new_url())
        print(f"two processes, undisturbed: {wanted.calls.total():,} calls in {wanted.seconds:.1f} s", flush=True)
        costs = Costs(wanted, [])
        while len(costs.extra) < count:
            after = rng.uniform(wanted.early[0], wanted.seconds)
            run = _together(scene, new_url(), after, worker=len(costs.extra) % 2 == 0)
            if run.killed:
                costs.add(run, after)
        costs.tell("of one of two processes")


@contextmanager
def _scene(size: worlds.Size, *, rated: bool) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with stub_with(folder, size, worlds.IDS):
            pass
        yield Scene(folder, rated=rated)


def _alone(scene: Scene, kill_after: float | None = None) -> Ended:
    with scene.fresh() as (folder, ready):
        url, began = journal_in(folder), time.time()
        running = start(folder, ready, url, rated=scene.rated)
        if kill_after is None:
            return scene.ended(ready, began, running.result())
        running.process.join(kill_after)
        running.process.kill()
        running.process.join()
        rows = asyncio.run(_channels(url, scene.plan))
        if _finished(rows):
            return Ended({}, Counter(), 0.0)
        moved = start(folder, ready, url, rated=scene.rated).result()
        return scene.ended(ready, began, moved, _doing(rows))


def _together(scene: Scene, url: str, kill_after: float | None = None, *, worker: bool = True) -> Ended:
    with scene.fresh() as (folder, ready):
        began = time.time()
        running = start(folder, ready, url, rated=scene.rated)
        helper = start_worker(ready, url, rated=scene.rated)
        try:
            if kill_after is None:
                return scene.ended(ready, began, running.result())
            running.process.join(kill_after)
            victim = helper if worker else running.process
            victim.kill()
            victim.join()
            rows = asyncio.run(_channels(url, scene.plan))
            if _finished(rows):
                return Ended({}, Counter(), 0.0)
            whom = f"the {'worker' if worker else 'applying one'}: {_doing(rows)}"
            moved = running.result() if worker else asyncio.run(_left_to_others(scene, url))
            return scene.ended(ready, began, moved, whom)
        finally:
            for process in (helper, running.process):
                process.kill()
                process.join()


async def _left_to_others(scene: Scene, url: str) -> None:
    """Wait until the worker has finished the queued work of the killed process."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if _finished(await _channels(url, scene.plan)):
            return
        await asyncio.sleep(LOOK_EVERY)
    raise RuntimeError("the worker did not finish what was left")


async def _channels(url: str, plan: Plan) -> list[ChannelRow]:
    database = Database(url)
    store = MigrationStore(database)
    await store.prepare()
    rows = await store.channels(plan.migration)
    await database.close()
    return rows


def _finished(rows: list[ChannelRow]) -> bool:
    """Return whether all work is done; another run would be a delta then."""
    return bool(rows) and all(row.finished for row in rows)


def _doing(rows: list[ChannelRow]) -> str:
    states = Counter(row.state.removeprefix("importing_") for row in rows)
    return ", ".join(f"{times} {state}" for state, times in states.most_common()) or "nothing begun"


def _asked(ready: dict[str, Any]) -> Counter[str]:
    """Return the calls that the stub has counted, by command."""
    made: Counter[str] = Counter()
    for each in orjson.loads(_told(ready, "counters")):
        made[each["command"]] += int(each["times"])
    return made


def _told(ready: dict[str, Any], what: str) -> bytes:
    with urllib.request.urlopen(f"{ready['url']}/_stub/{what}") as answer:  # noqa: S310 - our own stub
        told: bytes = answer.read()
    return told
