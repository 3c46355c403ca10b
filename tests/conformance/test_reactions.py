"""Reactions, on the messages without a database and in the store with one."""

import asyncio
from dataclasses import dataclass
from itertools import islice

import pytest
from emoji import EMOJI_DATA

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    PolicyKind,
    PostRef,
    ReactionPolicy,
    Reactions,
    Text,
)
from channel_adapter.config.settings import ReactionSettings
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.mode import Mode
from tests.conformance.conftest import COMMUNITY, OWNER, READERS, WITH_DATABASE, Setting

ONE, TWO, THREE, *_ = READERS


@dataclass(frozen=True)
class Scene:
    """A channel with three subscribers and a post."""

    adapter: ChannelAdapter
    slug: str
    ref: PostRef
    stored: bool

    async def again(self, **reactions: object) -> ChannelAdapter:
        """Return another adapter on the same app and database, with other settings."""
        settings = self.adapter.settings.model_copy(update={"reactions": ReactionSettings.model_validate(reactions)})
        return await ChannelAdapter.open(settings).__aenter__()


RUNS_ON = COMMUNITY | {Mode.OFFICIAL: WITH_DATABASE[Mode.OFFICIAL]}  # official accounts have reactions there alone


@pytest.fixture
async def scene(setting: Setting) -> Scene:
    adapter = setting.adapter
    await adapter.channels.create(slug=setting.slug, name="Tides", owner=OWNER)
    await adapter.subscriptions.subscribe(setting.slug, [ONE, TWO, THREE])
    post = await adapter.posts.publish(setting.slug, Text("low tide"))
    return Scene(adapter, setting.slug, post.ref, setting.stored)


async def test_reactions_are_added_changed_and_removed(scene: Scene) -> None:
    reactions = scene.adapter.reactions
    assert await reactions.get(scene.ref, ONE) == Reactions(ref=scene.ref)
    assert await reactions.react(scene.ref, ONE, "👍")
    assert not await reactions.react(scene.ref, ONE, "👍")
    assert await reactions.react(scene.ref, TWO, "🙏")
    assert await reactions.react(scene.ref, THREE, "🙏")
    found = await reactions.get(scene.ref, ONE)
    assert (list(found.counts.items()), found.total, found.mine) == ([("🙏", 2), ("👍", 1)], 3, ("👍",))
    assert await reactions.react(scene.ref, ONE, "🙏")
    assert (await reactions.get(scene.ref)).counts == {"🙏": 3}
    assert [(each.user, each.emoji) async for each in reactions.reactors(scene.ref)] == [
        (user, "🙏") for user in sorted([ONE, TWO, THREE])
    ]
    assert not [each async for each in reactions.reactors(scene.ref, "👍")]
    if scene.stored:
        assert sum((await reactions.by_day(scene.ref)).values()) == 3
    else:
        with pytest.raises(ConfigurationError):
            await reactions.by_day(scene.ref)
    assert await reactions.unreact(scene.ref, TWO)
    assert not await reactions.unreact(scene.ref, TWO)
    assert not await reactions.unreact(scene.ref, ONE, "👍")
    assert (await reactions.get(scene.ref)).counts == {"🙏": 2}


async def test_emoji_sequence_counts_as_one_emoji(scene: Scene) -> None:
    reactions = scene.adapter.reactions
    for emoji in ["👍🏽", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "🇳🇱", "1️⃣", "❤️‍🔥"]:
        assert await reactions.react(scene.ref, ONE, emoji)
        assert (await reactions.get(scene.ref, ONE)).mine == (emoji,)
    assert await reactions.react(scene.ref, ONE, "❤")  # without the variation selector
    assert (await reactions.get(scene.ref)).counts == {"❤️": 1}


async def test_invalid_emoji_is_refused(scene: Scene) -> None:
    for emoji in ["", "x", "👍👍", "👍 ", " 👍", "👍x", "🏽", "\U0001f1f3", ":+1:", "1", "\ud83d", None, 7]:
        with pytest.raises(InvalidError, match="emoji"):
            await scene.adapter.reactions.react(scene.ref, ONE, emoji)  # type: ignore[arg-type]
    assert (await scene.adapter.reactions.get(scene.ref)).total == 0


async def test_user_and_post_of_reaction_are_checked(scene: Scene) -> None:
    reactions, ref = scene.adapter.reactions, scene.ref
    with pytest.raises(PermissionDeniedError, match="only subscribers"):
        await reactions.react(ref, READERS[10], "👍")
    with pytest.raises(InvalidError) as refused:
        await reactions.react(ref, "x" * 33, "👍")
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("user", 32, 33)
    for missing in (PostRef(ref.channel, 99), PostRef(ChannelId("no_such_channel_here"), 1)):
        for work in (reactions.react(missing, ONE, "👍"), reactions.unreact(missing, ONE), reactions.get(missing)):
            with pytest.raises(NotFoundError):
                await work
    with pytest.raises(InvalidError, match="must be a positive integer"):
        await reactions.get(PostRef(ref.channel, 0))
    assert (await reactions.get(ref)).total == 0


async def test_recalled_post_has_no_reactions(scene: Scene) -> None:
    reactions = scene.adapter.reactions
    await reactions.react(scene.ref, ONE, "👍")
    await scene.adapter.posts.recall(scene.ref)
    with pytest.raises(NotFoundError, match="recalled"):
        await reactions.react(scene.ref, TWO, "👍")
    with pytest.raises(NotFoundError, match="recalled"):
        await reactions.get(scene.ref)
    assert await reactions.get_many([scene.ref]) == {scene.ref: Reactions(ref=scene.ref)}
    await scene.adapter.posts.recall(scene.ref)


async def test_get_many_reads_reactions_of_many_posts(scene: Scene) -> None:
    adapter = scene.adapter
    refs = [scene.ref, *[(await adapter.posts.publish(scene.slug, Text(f"{n}"))).ref for n in range(5)]]
    for number, ref in enumerate(refs[:-1]):
        await asyncio.gather(*(adapter.reactions.react(ref, user, "👍") for user in READERS[: number % 3 + 1]))
    asked = [PostRef(ChannelId(scene.slug), ref.seq) for ref in refs]
    found = await adapter.reactions.get_many(asked, ONE)
    assert list(found) == asked
    assert [(each.ref, each.total, each.mine) for each in found.values()] == [
        *((ref, number % 3 + 1, ("👍",)) for number, ref in enumerate(refs[:-1])),
        (refs[-1], 0, ()),
    ]


async def test_policy_is_stored_with_the_channel(scene: Scene) -> None:
    reactions = scene.adapter.reactions
    assert (await reactions.policy(scene.slug)).kind is PolicyKind.ALL
    await reactions.react(scene.ref, ONE, "💩")
    await reactions.set_policy(scene.slug, "basic")
    with pytest.raises(InvalidError, match="accepts 👍 ❤️ 😂 😮 😢 🙏"):
        await reactions.react(scene.ref, TWO, "💩")
    other = await scene.again()
    assert (await other.reactions.policy(scene.slug)).kind is PolicyKind.BASIC
    await other.aclose()
    assert (await reactions.set_policy(scene.slug, ["🎉", "❤"])).allowed == ("🎉", "❤️")
    with pytest.raises(InvalidError, match="accepts 🎉 ❤️"):
        await reactions.react(scene.ref, TWO, "👍")
    assert await reactions.react(scene.ref, TWO, "🎉")
    await reactions.set_policy(scene.slug, "none")
    with pytest.raises(InvalidError, match="accepts no reactions"):
        await reactions.react(scene.ref, TWO, "🎉")
    assert (await reactions.get(scene.ref)).total == 2  # existing reactions stay
    assert (await scene.adapter.channels.update(scene.slug, name="Other tides")).name == "Other tides"
    assert (await reactions.policy(scene.slug)).kind is PolicyKind.NONE
    for wrong in ("most", [], ["👍", "x"], list(islice(EMOJI_DATA, 20, 200))):
        with pytest.raises(InvalidError, match="policy"):
            await reactions.set_policy(scene.slug, wrong)
    with pytest.raises(NotFoundError):
        await reactions.set_policy("no_such_channel_here", "basic")


async def test_longest_policy_leaves_room_for_flags_and_contact(scene: Scene) -> None:
    emoji = [chr(number) for number in range(0x1F600, 0x1F638)]  # 4 bytes each
    with pytest.raises(InvalidError, match="policy: the list has 284 bytes; 280 are allowed"):
        await scene.adapter.reactions.set_policy(scene.slug, [*emoji, "🙏"])
    await scene.adapter.reactions.set_policy(scene.slug, emoji)
    assert await scene.adapter.channels.verify(scene.slug)
    if scene.adapter.can.contacts:
        await scene.adapter.accounts.add(["%" * 32])
        await scene.adapter.channels.update(scene.slug, contact="%" * 32)
    assert await scene.adapter.channels.suspend(scene.slug)
    assert (await scene.adapter.reactions.policy(scene.slug)).allowed == tuple(emoji)
    with pytest.raises(InvalidError, match="'sun' is not an emoji"):
        await scene.adapter.reactions.set_policy(scene.slug, ReactionPolicy(PolicyKind.SOME, ("sun",)))


async def test_overlong_policy_is_refused_with_its_size(scene: Scene) -> None:
    with pytest.raises(InvalidError) as refused:
        await scene.adapter.reactions.set_policy(scene.slug, list(islice(EMOJI_DATA, 20, 200)))
    error = refused.value
    assert (error.field, error.limit) == ("policy", 280)
    assert error.size is not None
    assert error.size > 280
    assert (await scene.adapter.reactions.policy(scene.slug)).kind is PolicyKind.ALL


async def test_settings_limit_reacting_users_and_reactions_per_user(scene: Scene) -> None:
    adapter = await scene.again(per_person=2, subscribers_only=False)
    try:
        reactions = adapter.reactions
        for emoji in ("👍", "❤️", "😂"):
            assert await reactions.react(scene.ref, READERS[10], emoji)
        assert (await reactions.get(scene.ref, READERS[10])).mine == ("❤️", "😂")
        assert await reactions.unreact(scene.ref, READERS[10], "❤️")
        assert (await reactions.get(scene.ref, READERS[10])).mine == ("😂",)
        assert await reactions.react(scene.ref, READERS[10], "👍")
        assert await reactions.unreact(scene.ref, READERS[10])
        assert (await reactions.get(scene.ref)).total == 0
    finally:
        await adapter.aclose()


async def test_unsubscribing_keeps_reactions(scene: Scene) -> None:
    await scene.adapter.reactions.react(scene.ref, ONE, "👍")
    await scene.adapter.subscriptions.unsubscribe(scene.slug, [ONE])
    assert (await scene.adapter.reactions.get(scene.ref)).total == 1
    with pytest.raises(PermissionDeniedError):
        await scene.adapter.reactions.react(scene.ref, ONE, "❤️")


async def test_unsubscribing_removes_stored_reactions_if_configured(scene: Scene) -> None:
    adapter = await scene.again(on_unsubscribe="remove")
    try:
        second = (await adapter.posts.publish(scene.slug, Text("high tide"))).ref
        for ref in (scene.ref, second):
            await adapter.reactions.react(ref, ONE, "👍")
            await adapter.reactions.react(ref, TWO, "👍")
        await adapter.subscriptions.unsubscribe(scene.slug, [ONE])
        totals = [(await adapter.reactions.get(ref)).total for ref in (scene.ref, second)]
        assert totals == ([1, 1] if scene.stored else [2, 2])  # direct mode does not store where a user reacted
    finally:
        await adapter.aclose()


async def test_probe_and_reconcile_need_a_database(scene: Scene) -> None:
    if scene.stored:
        assert (await scene.adapter.reactions.probe()).mode is not None
        assert (await scene.adapter.reactions.reconcile(scene.ref)).changed == 0
        return
    for work in (scene.adapter.reactions.probe(), scene.adapter.reactions.reconcile(scene.ref)):
        with pytest.raises(ConfigurationError, match="database_url"):
            await work
    assert await scene.adapter.reactions.merge(scene.ref, []) == 0
    assert await scene.adapter.reactions.flush()


async def test_doctor_reports_where_reactions_are_stored(scene: Scene) -> None:
    await scene.adapter.reactions.react(scene.ref, ONE, "👍")
    assert await scene.adapter.reactions.flush()
    finding = next(each for each in await scene.adapter.doctor() if each.check == "reactions")
    assert finding.ok
    on_messages = scene.adapter.can.service_reactions
    assert ("shown as extension" in finding.message) is (scene.stored and on_messages)
    assert ("250 users" in finding.message) is not scene.stored
    assert ("no message extensions" in finding.message) is not on_messages


async def test_recreated_channel_has_none_of_the_old_reactions(scene: Scene) -> None:
    await scene.adapter.reactions.react(scene.ref, ONE, "👍")
    await scene.adapter.channels.delete(scene.slug)
    await scene.adapter.channels.create(slug=scene.slug, name="Tides", owner=OWNER)
    post = await scene.adapter.posts.publish(scene.slug, Text("anew"))
    assert post.ref == scene.ref
    assert (await scene.adapter.reactions.get(post.ref)).total == 0
