"""The second broadcast of a post during double writing: two per hour, each once, all results reported."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post, PostRef, Text
from channel_adapter.migration.cutover import redirects
from channel_adapter.migration.cutover.redirects import HOUR, AccountRedirects
from channel_adapter.migration.plan.document import Plan
from channel_adapter.store.cutover import NOT_SENT, SENDING, SENT, BroadcastRow
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent.catalog import SEND_OFFICIAL_ACCOUNT_MSG
from tests.migration import worlds
from tests.migration.conftest import System
from tests.migration.test_cutover import applied, broadcasts
from tests.migration.test_cutover import posting_moved as moved_with_window


class Later(SystemClock):
    """The clock of this machine, ahead by `ahead` seconds."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Scene:
    """An account whose posting is redirected, with an open window of three hours."""

    def __init__(self, at: System, plan: Plan, url: str) -> None:
        self.at = at
        self.channel = plan.channels[0].target.id
        self.clock = Later()
        self.posting = AccountRedirects(url, at.adapter.migration.context.official.posts, self.clock)
        self.file = url.removeprefix("sqlite:///")

    async def mirror(self, seq: int) -> Post:
        """Broadcast post `seq`, as after its publication in the channel."""
        self.at.server.world.clock.advance(2)  # one message per second
        return await mirrored(self.posting, self.post(seq))

    def post(self, seq: int) -> Post:
        ref = PostRef(ChannelId(self.channel), seq)
        return Post(ref=ref, author=None, published_at=None, parts=(Text(f"post {seq}"),), dedupe=10_000 + seq)

    def later(self, seconds: float) -> None:
        self.clock.ahead += seconds
        self.at.server.world.clock.advance(seconds)

    async def copies(self) -> dict[int, str]:
        return {copy.seq: copy.state for copy in await self.posting.store.broadcasts()}


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with applied(database, (worlds.TEXTS,)) as (at, plan):
        await moved_with_window(at, plan, 3 * HOUR)
        made = Scene(at, plan, database)
        yield made
        await made.posting.aclose()


async def test_next_broadcast_is_possible_an_hour_after_the_first_of_two(scene: Scene) -> None:
    began = int(scene.clock.now())
    told = [(await scene.mirror(seq)).broadcast for seq in (101, 102, 103)]
    assert [each is not None and each.sent for each in told] == [True, True, False]
    assert told[2] is not None
    possible = {moment(began + HOUR + late) for late in range(60)}
    assert told[2].reason.rpartition(" at ")[2] in possible
    scene.later(HOUR - 30)
    assert not sent(await scene.mirror(104))
    scene.later(60)
    assert sent(await scene.mirror(105))
    assert sent(await scene.mirror(103))  # a repeated request is broadcast after all
    assert broadcasts(scene.at)[-4:] == ["post 101", "post 102", "post 105", "post 103"]


async def test_post_after_the_window_is_not_broadcast(scene: Scene) -> None:
    scene.later(3 * HOUR + 1)
    assert (await scene.mirror(101)).broadcast is None
    assert await scene.copies() == {}


async def test_failed_broadcast_is_logged_and_uses_no_budget(scene: Scene) -> None:
    scene.at.server.faults.replace([Fault(command=SEND_OFFICIAL_ACCOUNT_MSG.name, code=10007)])
    with structlog.testing.capture_logs() as logs:
        assert not sent(await scene.mirror(101))
    [line] = [each for each in logs if each["event"] == "migration.not_broadcast"]
    assert (line["account"], line["seq"], line["log_level"]) == (worlds.TEXTS, 101, "warning")
    assert "10007" in line["reason"]
    assert await scene.copies() == {101: NOT_SENT}
    scene.at.server.faults.replace([])
    assert sent(await scene.mirror(102))
    assert sent(await scene.mirror(103))  # the refused one does not count


async def test_broadcast_with_lost_answer_is_looked_up_and_sent_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redirects, "MIRROR_TIMEOUT", 0.3)
    scene.at.server.faults.replace([Fault(command=SEND_OFFICIAL_ACCOUNT_MSG.name, drop=True, applied=True)])
    assert not sent(await scene.mirror(101))
    assert await scene.copies() == {101: SENDING}
    scene.at.server.faults.replace([])
    scene.later(400)  # the service no longer recognises its number
    again = await scene.mirror(101)
    assert again.broadcast is not None
    assert again.broadcast.sent
    assert again.broadcast.key
    assert broadcasts(scene.at).count("post 101") == 1
    assert await scene.copies() == {101: SENT}


async def test_pending_broadcasts_of_an_ended_process_are_resolved(scene: Scene) -> None:
    now = scene.clock.now()
    assert sent(await scene.mirror(101))
    await scene.posting.store.end_broadcast(worlds.TEXTS, 101, SENDING, "")
    for seq, at in ((102, now - 60), (103, now)):
        assert await scene.posting.store.begin_broadcast(
            BroadcastRow(worlds.TEXTS, seq, 10_000 + seq, at, SENDING), since=now, max_broadcasts=99
        ) is None  # fmt: skip
    scene.clock.ahead += 8
    await scene.posting.resolve_pending()
    assert await scene.copies() == {101: SENDING, 102: NOT_SENT, 103: SENDING}  # two are too recent to be decided
    scene.clock.ahead += 60
    await scene.posting.resolve_pending()
    assert await scene.copies() == {101: SENT, 102: NOT_SENT, 103: NOT_SENT}


@asynccontextmanager
async def without_table(file: str, table: str) -> AsyncIterator[None]:
    """Rename the table for the duration of the block."""
    with sqlite3.connect(file) as rows:
        rows.execute(f"ALTER TABLE {table} RENAME TO gone")
    try:
        yield
    finally:
        with sqlite3.connect(file) as rows:
            rows.execute(f"ALTER TABLE gone RENAME TO {table}")


async def test_database_failure_prevents_the_second_broadcast_and_never_the_post(scene: Scene) -> None:
    assert sent(await scene.mirror(101))
    async with without_table(scene.file, "cutover_copies"):
        told = (await scene.mirror(102)).broadcast
    assert told is not None
    assert (told.account, told.sent) == (worlds.TEXTS, False)
    assert "cutover_copies" in told.reason
    fresh = AccountRedirects(
        f"sqlite:///{scene.file}/no.db", scene.at.adapter.migration.context.official.posts, scene.clock
    )
    with structlog.testing.capture_logs() as logs:
        post = await mirrored(fresh, scene.post(103))
    await fresh.aclose()
    assert post == scene.post(103)
    assert [line["event"] for line in logs] == ["migration.copies_unknown"]


async def test_change_by_another_process_is_visible_immediately(scene: Scene, database: str) -> None:
    row = await scene.posting.account(worlds.TEXTS)
    assert row is not None
    other = AccountRedirects(database, scene.at.adapter.migration.context.official.posts, scene.clock)
    await other.store.forget(row.migration, worlds.TEXTS)
    await other.aclose()
    assert await scene.posting.account(worlds.TEXTS) is None


async def mirrored(redirects: AccountRedirects, post: Post) -> Post:
    """Return the post with the result of its second broadcast."""
    return replace(post, broadcast=await redirects.mirror(post))


def sent(post: Post) -> bool:
    assert post.broadcast is not None
    return post.broadcast.sent


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S UTC")
