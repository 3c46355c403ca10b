"""Posts: published once, read back as written, in order."""

import pytest

from channel_adapter import (
    Article,
    Content,
    Custom,
    Face,
    File,
    Image,
    InvalidError,
    Location,
    NotFoundError,
    PermissionDeniedError,
    PostRef,
    PostState,
    Sound,
    Text,
    TextAndImage,
    Video,
)
from channel_adapter.domain.ids import ChannelId
from tests.conformance.conftest import OWNER, READERS, Setting, community_only

URL = "https://static.example.org/tide"
CONTENTS: list[Content] = [
    Text("潮汐表 🌊"),
    Image(URL + ".png", 640, 480, 20_000),
    TextAndImage("Low tide", Image(URL + ".jpg")),
    Article("渡轮时刻", "Ferries leave at eight", "https://example.org/ferries", URL + ".png", 100, 50),
    Video(URL + ".mp4", 12, 100_000, thumbnail_url=URL + ".png"),
    File(URL + ".pdf", "潮汐.pdf", 1000),
    Sound(URL + ".mp3", 3, 5000),
    Location(22.28, 114.16, "港口"),
    Face(3, "wave"),
    Custom('{"kind":"poll"}', "a poll"),
]


@pytest.fixture
async def channel(setting: Setting) -> str:
    return (await setting.adapter.channels.create(slug=setting.slug, name="Tides", owner=OWNER)).id


async def test_every_kind_of_post_reads_back_as_published(setting: Setting, channel: str) -> None:
    published = [await setting.adapter.posts.publish(channel, content) for content in CONTENTS]
    assert [post.content for post in published] == CONTENTS
    assert len({post.ref for post in published}) == len(CONTENTS)
    read = [post async for post in setting.adapter.posts.history(channel, oldest_first=True)]
    assert read == published
    assert {post.author for post in read} == {OWNER if setting.adapter.can.named_authors else None}
    assert [post async for post in setting.adapter.posts.history(channel)] == published[::-1]
    assert await setting.adapter.posts.get(published[3].ref) == published[3]


async def test_history_spans_many_pages_in_both_directions(setting: Setting, channel: str) -> None:
    refs = [(await setting.adapter.posts.publish(channel, Text(f"post {n}"))).ref for n in range(45)]
    assert [post.ref async for post in setting.adapter.posts.history(channel)] == refs[::-1]
    assert [post.ref async for post in setting.adapter.posts.history(channel, oldest_first=True)] == refs
    before = refs[30].seq
    assert [post.ref async for post in setting.adapter.posts.history(channel, before=before)] == refs[:30][::-1]
    assert [
        post.ref async for post in setting.adapter.posts.history(channel, oldest_first=True, before=before)
    ] == refs[:30]


async def test_ref_with_slug_identifies_the_same_post_everywhere(setting: Setting, channel: str) -> None:
    adapter = setting.adapter
    post = await adapter.posts.publish(channel, Text("one"))
    await adapter.subscriptions.subscribe(channel, [READERS[0]])
    ref = PostRef.parse(f"{setting.slug}/{post.ref.seq}")
    assert ref == PostRef(ChannelId(setting.slug), post.ref.seq)
    assert PostRef.parse(f"{channel}/{post.ref.seq}") == post.ref
    assert await adapter.posts.get(ref) == post
    if await setting.supports("posts.edit", adapter.posts.edit(ref, Text("two"))):
        assert (await adapter.posts.get(post.ref)).content == Text("two")
    if setting.can_react:
        assert await adapter.reactions.react(ref, READERS[0], "👍")
        assert (await adapter.reactions.get(ref)).counts == {"👍": 1}
        assert (await adapter.reactions.get(ref)).ref == post.ref
        assert [each.ref for each in (await adapter.reactions.get_many([ref])).values()] == [post.ref]
        assert [each.user async for each in adapter.reactions.reactors(ref)] == [READERS[0]]
        assert await adapter.reactions.unreact(ref, READERS[0])
        await adapter.reactions.drop(ref)
    assert await adapter.unread.mark_read(channel, user=READERS[0], up_to=ref) == 0
    await adapter.posts.recall(ref)
    assert (await adapter.posts.get(post.ref)).state is PostState.RECALLED


async def test_empty_channel_has_no_history(setting: Setting, channel: str) -> None:
    assert [post async for post in setting.adapter.posts.history(channel)] == []
    assert [post async for post in setting.adapter.posts.history(channel, oldest_first=True)] == []


async def test_repeated_publishing_with_same_key_posts_once(setting: Setting, channel: str) -> None:
    first = await setting.adapter.posts.publish(channel, Text("once"), idempotency_key="entry-1")
    again = await setting.adapter.posts.publish(channel, Text("once"), idempotency_key="entry-1")
    other = await setting.adapter.posts.publish(channel, Text("once"))
    assert again.ref == first.ref
    assert other.ref != first.ref
    assert first.dedupe == setting.adapter.posts.dedupe_of(channel, "entry-1")


async def test_empty_idempotency_key_is_refused(setting: Setting, channel: str) -> None:
    with pytest.raises(InvalidError) as refused:
        await setting.adapter.posts.publish(channel, Text("lost otherwise"), idempotency_key="")
    assert refused.value.field == "idempotency_key"


async def test_recalled_post_keeps_its_position_and_loses_its_content(setting: Setting, channel: str) -> None:
    posts = setting.adapter.posts
    kept = await posts.publish(channel, Text("stays"))
    taken = await posts.publish(channel, Text("goes"))
    await posts.recall(taken.ref, reason="wrong date")
    await posts.recall(taken.ref)
    states = {post.ref: (post.state, post.parts) async for post in posts.history(channel)}
    assert states == {kept.ref: (PostState.PUBLISHED, (Text("stays"),)), taken.ref: (PostState.RECALLED, ())}
    assert (await posts.get(taken.ref)).state is PostState.RECALLED


async def test_edit_replaces_content_of_post(setting: Setting, channel: str) -> None:
    posts = setting.adapter.posts
    post = await posts.publish(channel, Text("Fery"))
    edited = await setting.supports("posts.edit", posts.edit(post.ref, Text("Ferry")))
    assert (await posts.get(post.ref)).content == Text("Ferry" if edited else "Fery")


@community_only
async def test_admin_may_be_author_and_subscriber_may_not(setting: Setting, channel: str) -> None:
    adapter = setting.adapter
    await adapter.subscriptions.subscribe(channel, READERS[:2])
    body = {"GroupId": channel, "Member_Account": READERS[0], "Role": "Admin"}
    await adapter.call("group_open_http_svc", "modify_group_member_info", body)
    assert (await adapter.posts.publish(channel, Text("by an admin"), author=READERS[0])).author == READERS[0]
    with pytest.raises(PermissionDeniedError, match="neither owner nor admin") as refused:
        await adapter.posts.publish(channel, Text("no"), author=READERS[1])
    with pytest.raises(PermissionDeniedError, match="is neither owner nor admin"):
        await adapter.posts.publish(channel, Text("no"), author=(await adapter.channels.get(channel)).id)
    assert refused.value.field == "author"
    assert len([post async for post in adapter.posts.history(channel)]) == 1


@community_only
async def test_transferred_channel_posts_as_new_owner(setting: Setting, channel: str) -> None:
    adapter = setting.adapter
    await adapter.posts.publish(channel, Text("by the old owner"))
    await adapter.subscriptions.subscribe(channel, READERS[:1])
    body = {"GroupId": channel, "NewOwner_Account": READERS[0]}
    await adapter.call("group_open_http_svc", "change_group_owner", body)
    assert (await adapter.posts.publish(channel, Text("by the new owner"))).author == READERS[0]


async def test_invalid_post_is_refused_and_not_published(setting: Setting, channel: str) -> None:
    for content in ([], Text(""), Text("x" * 12_000), [Custom("a"), Custom("b")], Image("")):
        with pytest.raises(InvalidError):
            await setting.adapter.posts.publish(channel, content)
    assert [post async for post in setting.adapter.posts.history(channel)] == []


async def test_missing_posts_and_channels_are_named(setting: Setting, channel: str) -> None:
    posts, missing = setting.adapter.posts, PostRef(ChannelId(channel), 99)
    attempts = [posts.get(missing), posts.recall(missing)]
    if setting.adapter.can.edit_posts:
        attempts.append(posts.edit(missing, Text("x")))
    for attempt in attempts:
        with pytest.raises(NotFoundError, match="no post 99"):
            await attempt
    with pytest.raises(NotFoundError, match="no channel"):
        await posts.publish("no_such_channel_anywhere", Text("x"))
    with pytest.raises(InvalidError):
        await posts.get(PostRef(channel, 0))  # type: ignore[arg-type]
