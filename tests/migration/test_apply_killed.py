"""A worker is killed at any point of the work: the next one continues, and the result shows no difference."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from channel_adapter.migration.plan.document import Plan, write_plan
from channel_adapter.migration.run.work import POINTS
from tests.migration import mover, worlds
from tests.migration.conftest import System, system
from tests.migration.moved_world import Picture, check_against_source, picture
from tests.migration.planned import planned
from tests.migration.worlds import Size

Kill = tuple[str, int]
"""A point, and at which time that it is come to."""

KILLED = -9
SIZE = Size(subscribers=230, posts=36)
IDS = (worlds.FULL, worlds.BUSY, worlds.FLAGS, worlds.GONE, worlds.SAME_SECOND)
AGAIN = 45
"""Calls that a kill may cost however slow the disk is: what was not written down, and looks at every channel."""
LIVES: Final[Sequence[Sequence[Kill]]] = (
    (("queued", 1), ("channel.made", 2), ("posts.sent", 3), ("subscribers.sent", 5), ("closing.sent", 2)),
    (
        ("channel.sending", 3),
        ("posts.sending", 4),
        ("subscribers.sending", 4),
        ("options.set", 5),
        ("closing.sending", 2),
    ),
    (("step.done", 4), ("posts.noted", 2), ("subscribers.noted", 2), ("channel.done", 2)),
)


Undisturbed = tuple[Picture, Counter[str]]


class Scene:
    """A separate system, and the number of calls made on it."""

    def __init__(self, system: System, plan: Plan, folder: Path) -> None:
        self.system, self.plan, self.folder = system, plan, folder
        self.origin = system.server.world.state.official[IDS[0]].create_time
        self._before = Counter(system.server.log.answers)

    @property
    def calls(self) -> Counter[str]:
        """Return the calls since the plan was made, by command."""
        made: Counter[str] = Counter()
        for (command, _), count in (self.system.server.log.answers - self._before).items():
            made[command] += count
        return made

    def picture(self) -> Picture:
        return picture(self.system.server.world, self.plan, self.origin)

    def orders(self, **more: Any) -> mover.Orders:
        given = {"database": f"sqlite:///{self.folder / 'journal.db'}", **more}
        return mover.orders(self.system, self.folder / "plan.json", **given)


async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with system(SIZE, ids=IDS) as s:
        plan = await planned(s)
        write_plan(folder / "plan.json", plan)
        yield Scene(s, plan, folder)


async def undisturbed(folder: Path) -> Undisturbed:
    """Return the snapshot and the calls of a run that is not killed."""
    async for made in scene(await asyncio.to_thread(_folder, folder)):
        assert await mover.carried_out(made.orders()) == 0
        check_against_source(made.system.server.world, made.plan)
        return made.picture(), made.calls
    raise AssertionError


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


async def survives(folder: Path, whole: "asyncio.Future[Undisturbed]", kills: Sequence[Kill]) -> str:
    """Return the fault after some kills, one per process, and a last run; empty if there is none."""
    async for made in scene(await asyncio.to_thread(_folder, folder)):
        for point, nth in kills:
            if (code := await mover.carried_out(made.orders(point=point, nth=nth))) != KILLED:
                return f"{kills}: at {point} it was not killed, but ended with {code}"
        if (code := await mover.carried_out(made.orders())) != 0:
            return f"{kills}: the last run ended with {code}"
        world, calls = await asyncio.shield(whole)
        if made.picture() != world:
            return f"{kills}: the world is another one"
        more = made.calls - calls
        if more.total() > AGAIN * len(kills):
            return f"{kills}: {more} calls more"
    return ""


@pytest.mark.timeout(240)
async def test_run_killed_at_named_and_random_points_ends_in_the_same_state(tmp_path: Path) -> None:
    """Several systems run concurrently, mostly waiting. The benchmark has more kill times and a larger system."""
    rng = random.Random(7)
    instants = [[("subscribers.sent", rng.randint(1, 17))], [("posts.sent", rng.randint(1, 13))]]
    post_cutovers = [*LIVES, *instants]
    assert {point for life in LIVES for point, _ in life} == set(POINTS)
    async with asyncio.TaskGroup() as tasks:
        whole = tasks.create_task(undisturbed(tmp_path / "undisturbed"))
        runs = [
            tasks.create_task(survives(tmp_path / str(number), whole, kills))
            for number, kills in enumerate(post_cutovers)
        ]
    assert [wrong for run in runs if (wrong := run.result())] == []


@pytest.mark.timeout(120)
async def test_kill_of_one_of_two_workers_leaves_the_same_state(tmp_path: Path, postgres_url: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        whole = tasks.create_task(undisturbed(tmp_path / "undisturbed"))
        shared = tasks.create_task(_shared_by_two(tmp_path, postgres_url))
    assert shared.result() == whole.result()[0]


async def _shared_by_two(folder: Path, url: str) -> Picture:
    async for made in scene(folder):
        given = {"database": url, "role": "worker"}
        assert await mover.carried_out(made.orders(database=url, point="queued")) == KILLED
        first = mover.start(made.orders(**given, point="subscribers.sent", nth=6))
        for _ in range(1_000):
            if made.calls["group_open_http_svc/import_group"]:
                break
            await asyncio.sleep(0.02)
        second = mover.start(made.orders(**given))
        assert await mover.ended(first) == KILLED
        assert await mover.carried_out(made.orders(database=url)) == 0
        await mover.ended_or_killed(second)
        return made.picture()
    raise AssertionError
