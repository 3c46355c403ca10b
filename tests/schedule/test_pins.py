"""Pinned posts: newest first, ten per channel, removed with their posts."""

import asyncio

import pytest

from channel_adapter import ConfigurationError, LimitReachedError, NotFoundError, PostRef, Text
from tests.schedule.conftest import CHANNELS, Scene

NEWS, TIDES = CHANNELS


async def test_channel_has_ten_pinned_posts_newest_first(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        posts = [await adapter.posts.publish(NEWS, Text(f"post {number}")) for number in range(11)]
        assert await adapter.posts.pinned(NEWS) == []
        results = await asyncio.gather(*(adapter.posts.pin(post.ref) for post in posts), return_exceptions=True)
        refused = [each for each in results if isinstance(each, LimitReachedError)]
        assert (results.count(True), len(refused)) == (10, 1), "concurrent pins are counted one after the other"
        for post in posts:
            await adapter.posts.unpin(post.ref)
        assert [await adapter.posts.pin(post.ref) for post in posts[:10]] == [True] * 10
        assert not await adapter.posts.pin(posts[3].ref)
        with pytest.raises(LimitReachedError, match="has 10 pinned posts; unpin one first"):
            await adapter.posts.pin(posts[10].ref)
        assert await adapter.posts.unpin(posts[0].ref)
        assert not await adapter.posts.unpin(posts[0].ref)
        assert await adapter.posts.pin(posts[10].ref)
        pinned = await adapter.posts.pinned(NEWS)
        assert [post.ref.seq for post in pinned] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
        await adapter.posts.edit(posts[10].ref, Text("edited"))
        await adapter.posts.recall(posts[9].ref)
        pinned = await adapter.posts.pinned(NEWS)
        assert (pinned[0].content, len(pinned)) == (Text("edited"), 9)
        assert await adapter.posts.pinned(TIDES) == []
        for gone in (posts[9].ref, PostRef(posts[0].ref.channel, 99)):
            with pytest.raises(NotFoundError):
                await adapter.posts.pin(gone)


async def test_pin_does_not_apply_to_post_of_new_channel_with_same_id(on_sqlite: Scene) -> None:
    async with on_sqlite.adapter() as adapter:
        post = await adapter.posts.publish(NEWS, Text("a"))
        await adapter.posts.pin(post.ref)
        await adapter.channels.delete(NEWS)
        await adapter.channels.create(slug=NEWS, name="News", owner="editor_7")
        assert (await adapter.posts.publish(NEWS, Text("b"))).ref == post.ref
        assert await adapter.posts.pinned(NEWS) == []
    async with on_sqlite.adapter(database_url=None) as adapter:
        with pytest.raises(ConfigurationError, match="pinned posts need a database"):
            await adapter.posts.pin(post.ref)


async def test_pins_of_posts_that_are_gone_leave_room_for_others(on_sqlite: Scene) -> None:
    async with on_sqlite.adapter() as adapter:
        posts = [await adapter.posts.publish(NEWS, Text(f"post {number}")) for number in range(12)]
        for post in posts[:10]:
            await adapter.posts.pin(post.ref)
        await adapter.posts.recall(posts[4].ref)
        assert await adapter.posts.pin(posts[10].ref)
        assert posts[4].ref not in [post.ref for post in await adapter.posts.pinned(NEWS)]
        with pytest.raises(LimitReachedError):
            await adapter.posts.pin(posts[11].ref)
