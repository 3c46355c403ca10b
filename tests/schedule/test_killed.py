"""Kill -9 at every named point and at random times: every post is published exactly once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from channel_adapter import ConflictError, ScheduleState, Text
from channel_adapter.services import failpoints
from channel_adapter.stub.faults.faults import Fault
from tests.schedule import process
from tests.schedule.conftest import CHANNELS, Scene, scene_on, soon, until
from tests.schedule.conftest import ended as over
from tests.schedule.process import KILLED, Orders

NEWS: Final = CHANNELS[0]
POSTS: Final = 24
WORKER_POINTS: Final = {
    "schedule.queueing": 1, "schedule.queued": 1, "schedule.claimed": 2, "schedule.sending": 3, "schedule.sent": 1,
    "schedule.marked": 2,
}  # fmt: skip
"""Where a process is killed, and at which time that it passes there."""


def orders(scene: Scene, point: str = "", nth: int = 1) -> Orders:
    return Orders(scene.settings().model_dump(mode="json") | secrets_of(scene), point, nth)


def secrets_of(scene: Scene) -> dict[str, str]:
    """Return the values that a dump of settings omits."""
    return {"key": scene.server.key, "database_url": scene.url}


async def scheduled(scene: Scene, count: int, spread: float, first: float = 2.0) -> list[str]:
    """Schedule posts in both channels, due within `spread` seconds; return their texts."""
    texts = [f"post {number}" for number in range(count)]
    async with scene.adapter() as adapter:
        for number, text in enumerate(texts):
            at = soon(first + spread * number / count)
            await adapter.posts.schedule(CHANNELS[number % len(CHANNELS)], Text(text), at=at)
    return texts


def published(scene: Scene) -> Counter[str]:
    """Count the posts in all channels by text."""
    return Counter(text for channel in CHANNELS for text in scene.texts(channel))


async def all_over(scene: Scene, count: int) -> None:
    """Wait until every post is published."""
    async with scene.adapter() as adapter:

        async def is_over() -> bool:
            return (await adapter.posts.schedule_status()).states == {ScheduleState.PUBLISHED: count}

        await until(is_over, 120)


async def survives(url: str, kills: Sequence[tuple[str, int]]) -> None:
    """Schedule posts, run processes that are killed in sequence and a last one, and compare the posts."""
    async with scene_on(url) as scene:
        texts = await scheduled(scene, POSTS, spread=2)
        for point, nth in kills:
            assert await process.ended(process.start(orders(scene, point, nth))) == KILLED, (point, nth)
        last = process.start(orders(scene))
        await all_over(scene, POSTS)
        await process.kill(last)
        assert published(scene) == Counter(texts), kills


async def survives_instants(url: str, seed: int) -> None:
    """Kill processes in sequence at random times while posts are due, and compare the posts."""
    rng = random.Random(seed)
    async with scene_on(url) as scene:
        texts = await scheduled(scene, POSTS, spread=3)
        for _ in range(3):
            running = process.start(orders(scene))
            await asyncio.sleep(rng.uniform(0.8, 2.5))
            await process.kill(running)
        last = process.start(orders(scene))
        await all_over(scene, POSTS)
        await process.kill(last)
        assert published(scene) == Counter(texts)


async def two_workers(url: str) -> None:
    """Run two processes on one database, kill the one that publishes, and compare the posts of the other."""
    async with scene_on(url) as scene:
        texts = await scheduled(scene, POSTS, spread=6)
        victim = process.start(orders(scene))

        async def has_begun() -> bool:
            return published(scene).total() >= 3

        await until(has_begun)
        other = process.start(orders(scene))
        await asyncio.sleep(1)
        await process.kill(victim)
        await all_over(scene, POSTS)
        await process.kill(other)
        assert published(scene) == Counter(texts)


@pytest.mark.timeout(240)
async def test_posts_are_published_once_after_kills_at_every_point_and_at_random_times(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(survives(f"sqlite:///{tmp_path / 'points.db'}", [*WORKER_POINTS.items()]))
        tasks.create_task(survives_instants(f"sqlite:///{tmp_path / 'instants.db'}", 7))


@pytest.mark.timeout(240)
async def test_posts_are_published_once_when_one_of_two_workers_is_killed(postgres_url: str) -> None:
    await two_workers(postgres_url)


async def test_calls_can_be_repeated_after_kill_of_caller(tmp_path: Path) -> None:
    """Scheduling and publishing a draft can be repeated; the next worker finds a post that was being sent."""
    async with scene_on(f"sqlite:///{tmp_path / 'caller.db'}") as scene:
        given = orders(scene).settings
        one = ((NEWS, "scheduled", "key", time.time() + 3_600),)
        assert await process.ended(process.start(Orders(given, "schedule.stored", schedule=one))) == KILLED
        assert await process.ended(process.start(Orders(given, schedule=one))) == 0
        async with scene.adapter() as adapter:
            assert len([each async for each in adapter.posts.scheduled()]) == 1
            drafts = [await adapter.posts.draft(NEWS, Text(text)) for text in ("first draft", "second draft")]
            first, second = (draft.id for draft in drafts)
            assert await process.ended(process.start(Orders(given, "schedule.draft_taken", draft=first))) == KILLED
            assert await process.ended(process.start(Orders(given, "schedule.sent", draft=second))) == KILLED
            assert [each async for each in adapter.posts.drafts()] == []
            assert (await adapter.posts.publish_draft(first)).state is ScheduleState.PUBLISHED
            with pytest.raises(ConflictError, match="is being sent"):
                await adapter.posts.publish_draft(second)
        async with scene.adapter(ahead=60) as later, later.run_jobs():
            found = await over(later, await later.posts.get_scheduled(second))
            assert found.state is ScheduleState.PUBLISHED
        assert scene.texts() == ["second draft", "first draft"]


async def test_refused_post_is_failed_after_kill_of_its_worker(tmp_path: Path) -> None:
    async with scene_on(f"sqlite:///{tmp_path / 'refused.db'}") as scene:
        async with scene.adapter() as adapter:
            post = await adapter.posts.schedule(NEWS, Text("refused"), at=soon(1))
        scene.server.faults.replace([Fault(command="send_group_msg", code=80001)])
        assert await process.ended(process.start(orders(scene, "schedule.giving_up"))) == KILLED
        async with scene.adapter() as adapter, adapter.run_jobs():
            assert (await over(adapter, post)).state is ScheduleState.FAILED
        assert scene.texts() == []


def test_every_named_point_is_tested() -> None:
    root = Path(failpoints.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in root.glob("schedule*.py"))
    named = {part.partition('"')[0] for part in text.split('failpoint("')[1:]}
    assert named == {*WORKER_POINTS, "schedule.stored", "schedule.draft_taken", "schedule.giving_up"}
