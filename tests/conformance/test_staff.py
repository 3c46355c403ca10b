"""Staff of a channel: roles, ownership, blocked users, suspension and verification."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    NotFoundError,
    OutcomeKind,
    OutcomeUnknownError,
    OwnerChanged,
    PermissionDeniedError,
    Role,
    RoleChanged,
    Text,
    UnavailableError,
)
from channel_adapter.domain.events import ChannelEvent
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.conftest import (
    COMMUNITY,
    KEYS,
    NO_DATABASE,
    OWNER,
    READERS,
    WITH_DATABASE,
    Setting,
    community_only,
    on,
    settings_for,
)

RUNS_ON = COMMUNITY | {Mode.OFFICIAL: WITH_DATABASE[Mode.OFFICIAL]}  # official accounts have attributes there alone

ANN, BEN, EVE, *_ = READERS


@pytest.fixture
async def news(setting: Setting) -> Setting:
    """Return a setting whose channel has two subscribers."""
    await setting.adapter.channels.create(slug=setting.slug, name="Harbour News", owner=OWNER)
    assert (await setting.adapter.subscriptions.subscribe(setting.slug, [ANN, BEN])).complete
    return setting


@pytest.fixture
async def stored(news: Setting) -> AsyncIterator[tuple[Setting, ChannelAdapter]]:
    """The channel of two adapters on one database, as of two processes."""
    async with ChannelAdapter.open(news.adapter.settings) as second:
        yield news, second


@community_only
async def test_subscribers_are_promoted_to_admins_and_demoted(news: Setting) -> None:
    channels, posts, changes = news.adapter.channels, news.adapter.posts, list[ChannelEvent]()

    async def note(event: ChannelEvent) -> None:
        changes.append(event)

    news.adapter.signals.channel_changed.connect(note)
    with pytest.raises(PermissionDeniedError):
        await posts.publish(news.slug, Text("Fog"), author=ANN)
    promoted = await channels.promote(news.slug, [ANN, OWNER, EVE, ANN])
    assert [outcome.kind for outcome in promoted] == [
        OutcomeKind.CHANGED, OutcomeKind.REFUSED, OutcomeKind.NOT_SUBSCRIBED, OutcomeKind.ALREADY,
    ]  # fmt: skip
    assert [(row.user, row.role) for row in await channels.staff(news.slug)] == [
        (OWNER, Role.OWNER), (ANN, Role.ADMIN),
    ]  # fmt: skip
    assert (await posts.publish(news.slug, Text("Fog"), author=ANN)).author == ANN
    assert [each.kind for each in await channels.promote(news.slug, [ANN])] == [OutcomeKind.ALREADY]
    demoted = await channels.demote(news.slug, [ANN, BEN, OWNER])
    assert [outcome.kind for outcome in demoted] == [OutcomeKind.CHANGED, OutcomeKind.ALREADY, OutcomeKind.REFUSED]
    assert "transferred" in next(iter(outcome.reason for outcome in demoted if outcome.user == OWNER))
    with pytest.raises(PermissionDeniedError):
        await posts.publish(news.slug, Text("Fog"), author=ANN)
    roles = [(each.user, each.role) for each in changes if isinstance(each, RoleChanged)]
    assert roles == [(ANN, Role.ADMIN), (ANN, Role.SUBSCRIBER)]
    with pytest.raises(NotFoundError):
        await channels.promote("no_such_channel", [ANN])


@community_only
async def test_posts_after_transfer_have_new_owner_as_author(news: Setting) -> None:
    channels, posts, changes = news.adapter.channels, news.adapter.posts, list[ChannelEvent]()

    async def note(event: ChannelEvent) -> None:
        changes.append(event)

    news.adapter.signals.channel_changed.connect(note)
    assert (await posts.publish(news.slug, Text("before"))).author == OWNER
    moved = await channels.transfer(news.slug, ANN)
    assert moved.owner == ANN
    assert (await posts.publish(news.slug, Text("after"))).author == ANN
    with pytest.raises(PermissionDeniedError):
        await posts.publish(news.slug, Text("by the owner before"), author=OWNER)
    assert [(row.user, row.role) for row in await channels.staff(news.slug)] == [(ANN, Role.OWNER)]
    assert await news.adapter.subscriptions.is_subscribed(news.slug, [OWNER]) == {OWNER: True}
    (change,) = changes
    assert isinstance(change, OwnerChanged)
    assert (change.channel, change.old_owner, change.new_owner) == (moved.id, OWNER, ANN)
    repeated = await channels.transfer(news.slug, ANN)
    assert replace(repeated, last_post_at=moved.last_post_at) == moved, (
        "repeating changes nothing but shows later posts"
    )


@community_only
async def test_transfer_to_ineligible_user_is_refused(news: Setting) -> None:
    channels = news.adapter.channels
    with pytest.raises(NotFoundError, match=r"does not follow .*; subscribe it first") as refused:
        await channels.transfer(news.slug, EVE)
    assert refused.value.field == "new_owner"
    with pytest.raises(NotFoundError, match="'ghost_1' is not an account of the app"):
        await channels.transfer(news.slug, "ghost_1")
    assert (await channels.get(news.slug)).owner == OWNER


async def test_suspended_channel_refuses_posts_and_subscribers(news: Setting) -> None:
    channels, posts, subscriptions = news.adapter.channels, news.adapter.posts, news.adapter.subscriptions
    before = await posts.publish(news.slug, Text("Fog"))
    assert await channels.suspend(news.slug)
    assert not await channels.suspend(news.slug)
    assert (await channels.get(news.slug)).suspended
    with pytest.raises(PermissionDeniedError, match="is suspended: posting and subscribing are closed"):
        await posts.publish(news.slug, Text("Rain"))
    (refused,) = await subscriptions.subscribe(news.slug, [EVE])
    assert (refused.kind, refused.reason) == (OutcomeKind.REFUSED, "the channel is suspended")
    (followed,) = await subscriptions.follow(EVE, [news.slug])
    assert followed.kind is OutcomeKind.REFUSED
    assert (await posts.get(before.ref)).parts == before.parts
    assert (await subscriptions.unsubscribe(news.slug, [BEN])).complete
    assert await channels.resume(news.slug)
    assert not await channels.resume(news.slug)
    assert (await subscriptions.subscribe(news.slug, [EVE])).complete
    await posts.publish(news.slug, Text("Rain"))


async def test_verification_and_reaction_policy_are_independent(news: Setting) -> None:
    channels = news.adapter.channels
    assert await channels.verify(news.slug)
    await news.adapter.reactions.set_policy(news.slug, ["👍"])
    await channels.update(news.slug, introduction="Tides", custom_data="x" * 600)
    found = await channels.get(news.slug)
    assert (found.verified, found.suspended, found.introduction) == (True, False, "Tides")
    assert not await channels.verify(news.slug)
    assert await channels.unverify(news.slug)
    assert not (await channels.get(news.slug)).verified
    assert (await news.adapter.reactions.policy(news.slug)).emoji == ("👍",)
    with pytest.raises(NotFoundError):
        await channels.verify("no_such_channel")


async def test_concurrent_changes_of_attributes_are_all_kept(news: Setting) -> None:
    channels = news.adapter.channels
    await asyncio.gather(
        channels.verify(news.slug), channels.suspend(news.slug), news.adapter.reactions.set_policy(news.slug, ["👍"])
    )
    found = await channels.get(news.slug)
    assert (found.verified, found.suspended) == (True, True)
    assert (await news.adapter.reactions.policy(news.slug)).emoji == ("👍",)


@on(WITH_DATABASE)
async def test_blocked_user_is_removed_and_refused_in_every_process(stored: tuple[Setting, ChannelAdapter]) -> None:
    news, other = stored
    blocked = await news.adapter.channels.block(news.slug, [ANN, EVE, OWNER, ANN])
    assert {outcome.user: outcome.kind for outcome in blocked} == {
        ANN: OutcomeKind.ADDED, EVE: OutcomeKind.ADDED, OWNER: OutcomeKind.REFUSED,
    }  # fmt: skip
    assert await other.subscriptions.is_subscribed(news.slug, [ANN, BEN]) == {ANN: False, BEN: True}
    outcomes = await other.subscriptions.subscribe(news.slug, [BEN, ANN, EVE])
    assert [(outcome.kind, outcome.reason) for outcome in outcomes] == [
        (OutcomeKind.ALREADY, ""), *[(OutcomeKind.REFUSED, "blocked in this channel")] * 2,
    ]  # fmt: skip
    (followed,) = await other.subscriptions.follow(EVE, [news.slug])
    assert followed.kind is OutcomeKind.REFUSED
    assert [row.user async for row in other.channels.blocked(news.slug)] == sorted([ANN, EVE])
    assert [each.kind for each in await other.channels.block(news.slug, [EVE])] == [OutcomeKind.ALREADY]
    unblocked = await news.adapter.channels.unblock(news.slug, [ANN, BEN])
    assert [each.kind for each in unblocked] == [OutcomeKind.REMOVED, OutcomeKind.ALREADY]
    assert (await other.subscriptions.subscribe(news.slug, [ANN])).complete
    await news.adapter.channels.delete(news.slug)
    await news.adapter.channels.create(slug=news.slug, name="Harbour News", owner=OWNER)
    assert [row async for row in other.channels.blocked(news.slug)] == [], "a new channel begins without blocks"


@on(dict.fromkeys(Mode, (NO_DATABASE,)))
async def test_blocking_without_a_database_names_the_setting(news: Setting) -> None:
    with pytest.raises(ConfigurationError, match="set database_url") as refused:
        await news.adapter.channels.block(news.slug, [ANN])
    assert refused.value.field == "database_url"
    assert await news.adapter.subscriptions.is_subscribed(news.slug, [ANN]) == {ANN: True}


async def test_change_whose_answer_is_lost_is_read_back_and_one_that_was_refused_is_named() -> None:
    stub = StubSettings.model_validate({"app": {"group_fields": KEYS}})
    async with StubServer(stub) as server:
        hasty = settings_for(server).model_copy(update={"total_seconds": 0.5, "call_seconds": 0.2})
        async with ChannelAdapter.open(hasty) as adapter:
            channels = adapter.channels
            assert (await adapter.accounts.add([OWNER, ANN, BEN])).complete
            await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.subscriptions.subscribe("harbor_news", [ANN, BEN], assign=False)
            server.faults.replace([Fault(command="change_group_owner", drop=True, applied=True)])
            assert (await channels.transfer("harbor_news", ANN)).owner == ANN
            server.faults.replace([Fault(command="change_group_owner", drop=True, applied=False)])
            with pytest.raises(OutcomeUnknownError):
                await channels.transfer("harbor_news", BEN)
            server.faults.replace([Fault(command="modify_group_member_info", code=10007, times=1)])
            (refused,) = await channels.promote("harbor_news", [BEN])
            assert refused.kind is OutcomeKind.REFUSED
            assert "10007" in refused.reason
            server.faults.replace([])
            assert (await channels.get("harbor_news")).owner == ANN
            assert [(row.user, row.role) for row in await channels.staff("harbor_news")] == [(ANN, Role.OWNER)]


async def test_failed_removal_of_blocked_user_is_reported(tmp_path: Path) -> None:
    stub = StubSettings.model_validate({"app": {"group_fields": KEYS}})
    async with StubServer(stub) as server:
        url = SecretStr(f"sqlite:///{tmp_path / 'app.db'}")
        hasty = settings_for(server).model_copy(update={"total_seconds": 0.5, "call_seconds": 0.2, "database_url": url})
        async with ChannelAdapter.open(hasty) as adapter:
            channels = adapter.channels
            assert (await adapter.accounts.add([OWNER, ANN])).complete
            await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.subscriptions.subscribe("harbor_news", [ANN], assign=False)
            server.faults.replace([Fault(command="delete_group_member", drop=True, applied=False)])
            try:
                (outcome,) = await channels.block("harbor_news", [ANN])
                reason = outcome.reason if outcome.kind is OutcomeKind.FAILED else ""
            except UnavailableError as error:
                reason = error.message
            assert "blocked" in reason
            server.faults.replace([])
            assert [row.user async for row in channels.blocked("harbor_news")] == [ANN]
            assert [each.kind for each in await channels.block("harbor_news", [ANN])] == [OutcomeKind.ADDED]
            assert await adapter.subscriptions.is_subscribed("harbor_news", [ANN]) == {ANN: False}


async def test_roles_of_all_demoted_users_end_here_while_the_database_is_away(tmp_path: Path) -> None:
    file, users = tmp_path / "app.db", [ANN, BEN, EVE]
    stub = StubSettings.model_validate({"app": {"group_fields": KEYS}})
    async with StubServer(stub) as server:
        settings = settings_for(server).model_copy(update={"database_url": SecretStr(f"sqlite:///{file}")})
        async with ChannelAdapter.open(settings) as adapter:
            channels = adapter.channels
            assert (await adapter.accounts.add([OWNER, *users])).complete
            await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.subscriptions.subscribe("harbor_news", users, assign=False)
            assert (await channels.promote("harbor_news", users)).complete
            for user in users:
                assert (await adapter.posts.preview("harbor_news", Text("Fog"), author=user)).author == user
            file.rename(tmp_path / "gone.db")
            with pytest.raises(
                (OutcomeUnknownError, UnavailableError), match="other processes learn of it late"
            ) as late:
                await channels.demote("harbor_news", users)
            (tmp_path / "gone.db").rename(file)
            assert late.value.outcomes is not None
            assert late.value.outcomes.counts == {OutcomeKind.CHANGED: 3}
            for user in users:
                with pytest.raises(PermissionDeniedError):
                    await adapter.posts.preview("harbor_news", Text("Fog"), author=user)
