"""Scheduled posts with changed clocks, in official-account mode with its hourly limit, in a receiver."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import ChannelAdapter, NotFoundError, ScheduleState, Text
from channel_adapter.stub.server import StubServer
from tests.cli.shell import Shell
from tests.schedule.conftest import CHANNELS, OWNER, MovedClock, Scene, ended, soon, until

NEWS = CHANNELS[0]
HOUR = 3_600.0


async def test_posts_are_published_once_when_clock_moves_by_one_hour(on_sqlite: Scene) -> None:
    """A post due by the clock is published once; an hour that the clock repeats publishes nothing twice."""
    clock = MovedClock()
    async with ChannelAdapter.open(on_sqlite.settings(), clock=clock) as adapter, adapter.run_jobs():
        now = await adapter.posts.schedule(NEWS, Text("now"), at=soon(1))
        later = await adapter.posts.schedule(NEWS, Text("in half an hour"), at=soon(1_800))
        await ended(adapter, now)
        clock.ahead = -HOUR
        while_back = await adapter.posts.schedule(NEWS, Text("an hour ago"), at=soon(-HOUR + 1.5))
        await ended(adapter, while_back)
        clock.ahead = HOUR
        assert (await ended(adapter, later)).late
        clock.ahead = 0
        last = await adapter.posts.schedule(NEWS, Text("last"), at=soon(1))
        await ended(adapter, last)
        await asyncio.sleep(1)
    assert on_sqlite.texts() == ["now", "an hour ago", "in half an hour", "last"]


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_post_sent_by_process_with_another_clock_is_not_sent_again(on_sqlite: Scene, ahead: float) -> None:
    async with on_sqlite.adapter(ahead=ahead) as adapter:
        post = await adapter.posts.schedule(NEWS, Text("sent"), at=soon(ahead + 0.5))
        async with adapter.run_jobs():
            await ended(adapter, post)
        await forget(adapter, post.id)
    on_sqlite.server.world.clock.advance(600)  # the service no longer recognises a repetition
    async with on_sqlite.adapter(ahead=600, schedule={"max_lateness": 7_200}) as adapter, adapter.run_jobs():
        assert (await ended(adapter, post)).state is ScheduleState.PUBLISHED
    assert on_sqlite.texts() == ["sent"]


async def forget(adapter: ChannelAdapter, post: str) -> None:
    """Set a post to the state of a publication whose end was not recorded, as after a kill."""
    store = await adapter.posts._prepare_store()
    values = {"state": ScheduleState.PUBLISHING, "owner": "killed", "seq": None, "published": None, "due": 0.0}
    assert await store.change(post, [ScheduleState.PUBLISHED], 1, **values)


async def test_third_post_of_hour_waits_in_official_mode(tmp_path: Path) -> None:
    async with StubServer() as server:
        scene = Scene(server, f"sqlite:///{tmp_path / 'official.db'}")
        more: dict[str, Any] = {"mode": "official", "schedule": {"max_lateness": 7_200.0}}
        async with scene.adapter(**more) as adapter, adapter.run_jobs():
            await adapter.accounts.add([OWNER])
            await adapter.channels.create(slug=NEWS, name="News", owner=OWNER)
            with pytest.raises(NotFoundError):
                await adapter.posts.schedule("nowhere", Text("a"), at=soon(1))
            at = soon(1)
            posts = [await adapter.posts.schedule(NEWS, Text(str(number)), at=at) for number in range(3)]
            published = [await ended(adapter, post) for post in posts[:2]]
            assert all(post.ref is not None and post.ref.key for post in published)

            async def waits() -> bool:
                return (await adapter.posts.get_scheduled(posts[2].id)).retry_at is not None

            await until(waits)
            third = await adapter.posts.get_scheduled(posts[2].id)
            assert third.state is ScheduleState.SCHEDULED
            assert third.retry_at is not None
            assert 3_000 < (third.retry_at - third.at).total_seconds() < 3_700
        server.world.clock.advance(3_700)
        async with scene.adapter(ahead=3_700, **more) as adapter, adapter.run_jobs():
            third = await ended(adapter, posts[2])
            assert (third.state, third.late) == (ScheduleState.PUBLISHED, True)
            contents = [post.content async for post in adapter.posts.history(NEWS, oldest_first=True)]
            assert contents == [Text("0"), Text("1"), Text("2")]


async def test_worker_leaves_posts_of_the_other_mode_alone(on_sqlite: Scene) -> None:
    """Adapters of both modes may share a database."""
    async with on_sqlite.adapter() as community, on_sqlite.adapter(mode="official") as official:
        await official.channels.create(slug=NEWS, name="News", owner=OWNER)
        theirs = await official.posts.schedule(NEWS, Text("broadcast"), at=soon(0.5))
        async with community.run_jobs():
            own = await community.posts.schedule(NEWS, Text("post"), at=soon(1))
            assert (await ended(community, own)).state is ScheduleState.PUBLISHED
            assert (await official.posts.get_scheduled(theirs.id)).state is ScheduleState.SCHEDULED
            assert [each.id async for each in community.posts.scheduled(ended=True)] == [own.id]
            assert [(await each.posts.schedule_status()).workers for each in (community, official)] == [1, 0]
        async with official.run_jobs():
            assert (await ended(official, theirs)).state is ScheduleState.PUBLISHED
    assert on_sqlite.texts() == ["post"]


async def test_receiver_publishes_scheduled_posts(on_sqlite: Scene, tmp_path: Path) -> None:
    server = on_sqlite.server
    config = tmp_path / "adapter.toml"
    config.write_text(
        f'sdkappid = {server.sdkappid}\nkey = "{server.key}"\nadmin = "{server.admin}"\nbase_url = "{server.url}"\n'
        f'database_url = "{on_sqlite.url}"\n'
    )
    ready = tmp_path / "ready.json"
    receiver = Shell(tmp_path, config).start("webhooks", "serve", "--port", "0", "--ready-file", str(ready))
    try:
        async with on_sqlite.adapter() as adapter:
            post = await adapter.posts.schedule(NEWS, Text("beside"), at=soon(2))
            assert (await ended(adapter, post)).state is ScheduleState.PUBLISHED
        assert json.loads(ready.read_text())["url"]
    finally:
        receiver.send_signal(signal.SIGTERM)
        _, err = await asyncio.to_thread(receiver.communicate)
    assert receiver.returncode == 0
    assert b"Traceback" not in err
