"""Completeness of the table of methods, and refusal or replacement of every missing capability."""

import dataclasses
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import (
    ChannelAdapter,
    ChannelId,
    ConfigurationError,
    InvalidError,
    InvitationState,
    MessageRef,
    NotFoundError,
    OutcomeKind,
    Post,
    PostRef,
    Role,
    Text,
    UserId,
)
from channel_adapter.concurrency.paging import Pages
from channel_adapter.config.settings import SubscriptionSettings
from channel_adapter.domain.mode import COMMUNITY_CAPABILITIES, OFFICIAL_CAPABILITIES, Capabilities, Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.stub.server import StubServer
from tests.conformance.conftest import OWNER, READERS, Setting, community_only, official, settings_for
from tests.conformance.modes import METHODS, OPTIONS, PARTS, public_methods

ANN, BEN, *_ = READERS


@dataclass(frozen=True)
class World:
    """An official account with two subscribers and a post, and the number of calls to the stub."""

    adapter: ChannelAdapter
    server: StubServer
    slug: str
    post: Post

    def calls(self, command: str | None = None) -> int:
        return len(list(self.server.log.calls(command) if command else self.server.log.calls()))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with StubServer() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        await adapter.accounts.add([OWNER, ANN, BEN])
        channel = await adapter.channels.create(slug="tides", name="Tides", owner=OWNER)
        await adapter.subscriptions.subscribe("tides", [ANN, BEN])
        yield World(adapter, server, channel.slug, await adapter.posts.publish("tides", Text("low tide")))


@asynccontextmanager
async def opened(server: StubServer, database_url: str | None, **changes: object) -> AsyncIterator[ChannelAdapter]:
    settings = official(settings_for(server), database_url).model_copy(update=changes)
    async with ChannelAdapter.open(settings) as adapter:
        yield adapter


Act = Callable[[World], Awaitable[object]]


def test_table_has_every_public_method() -> None:
    assert set(METHODS) == public_methods()


REFUSED: dict[str, Act] = {
    "migration": lambda w: w.adapter.migration.status("plan.json"),
    "insights.views": lambda w: w.adapter.insights.views(w.slug),
    "posts.edit": lambda w: w.adapter.posts.edit(w.post.ref, Text("x")),
    "posts.publish(silent=True)": lambda w: w.adapter.posts.publish(w.slug, Text("x"), silent=True),
    "posts.publish(author=)": lambda w: w.adapter.posts.publish(w.slug, Text("x"), author=ANN),
    "channels.promote": lambda w: w.adapter.channels.promote(w.slug, [ANN]),
    "channels.demote": lambda w: w.adapter.channels.demote(w.slug, [ANN]),
    "channels.transfer": lambda w: w.adapter.channels.transfer(w.slug, ANN),
    "channels.update(contact=)": lambda w: w.adapter.channels.update(w.slug, contact=ANN),
    "messages.set_contact": lambda w: w.adapter.messages.set_contact(w.slug, ANN),
    "subscriptions.mute": lambda w: w.adapter.subscriptions.mute(w.slug, user=ANN),
    "subscriptions.unmute": lambda w: w.adapter.subscriptions.unmute(w.slug, user=ANN),
    "subscriptions.notifications": lambda w: w.adapter.subscriptions.notifications(w.slug, user=ANN),
    "subscriptions.set_notifications": lambda w: w.adapter.subscriptions.set_notifications(w.slug, "off", user=ANN),
}


async def refused(world: World, *names: str) -> None:
    for name in names:
        before = world.calls()
        with pytest.raises(UnsupportedError, match=r"unsupported in official mode: .+ \(.+\)") as error:
            await REFUSED[name](world)
        assert (error.value.field, world.calls()) == ("mode", before)


async def test_unsupported_methods_are_refused_before_a_call(world: World) -> None:
    assert set(REFUSED) == {name for name, verdict in METHODS.items() if verdict == "unsupported"} | OPTIONS
    await refused(world, *REFUSED)


async def test_methods_of_the_adapter_work_in_official_mode(world: World, tmp_path: Path) -> None:
    adapter, ids = world.adapter, {"OfficialAccountIdList": [{"Official_Account": "@TOA#_tides"}]}
    reply = await adapter.call("official_account_open_http_svc", "get_official_account_info", ids)
    assert [each["Name"] for each in reply["OfficialAccountInfoList"]] == ["Tides"]
    assert all(check.ok for check in await adapter.doctor())
    exported = await adapter.export_channel("tides", tmp_path / "export")
    assert (exported.channel, exported.subscribers, exported.posts, exported.reactions) == ("@TOA#_tides", 2, 1, 0)
    async with adapter.run_jobs():
        assert (await adapter.posts.schedule_status()).workers == 1


async def test_text_of_a_subscription_is_in_the_list_of_subscribers(world: World) -> None:
    async def write(user: str) -> object:
        body = {"Official_Account": "@TOA#_tides", "Subscriber_Account": user, "CustomString": "gold"}
        return await world.adapter.call("official_account_open_http_svc", "modify_subscriber_info", body)

    await write(ANN)
    with pytest.raises(NotFoundError) as refused:
        await write(OWNER)
    assert refused.value.code == 131003
    rows = [(row.user, row.custom_data) async for row in world.adapter.subscriptions.subscribers("tides")]
    assert sorted(rows) == sorted([(ANN, "gold"), (BEN, "")])


async def roles(world: World) -> None:
    await refused(world, "channels.promote", "channels.demote")
    assert [(row.user, row.role) for row in await world.adapter.channels.staff(world.slug)] == [(OWNER, Role.OWNER)]


async def notification_text(world: World) -> None:
    before = world.calls()
    with pytest.raises(InvalidError) as error:
        await world.adapter.channels.create(slug="other", name="x", owner=OWNER, notification="north wind")
    assert (error.value.field, world.calls()) == ("notification", before)


async def notify(world: World) -> None:
    """Check that the setting is ignored: the service sends no notices."""
    async with opened(world.server, None, subscriptions=SubscriptionSettings(notify=True)) as adapter:
        assert (await adapter.subscriptions.unsubscribe(world.slug, [BEN])).counts == {OutcomeKind.REMOVED: 1}


async def read_notifications(world: World) -> None:
    await refused(world, "subscriptions.notifications")
    assert [each.notifications async for each in world.adapter.channels.subscribed(ANN)] == [None]
    assert {each.notifications async for each in world.adapter.subscriptions.subscribers(world.slug)} == {"all"}


async def list_all(world: World) -> None:
    """Check the replacement: the registry in the database."""
    assert [each.slug async for each in world.adapter.channels.all()] == [world.slug]
    async with opened(world.server, None) as without:
        await without.channels.create(slug="unseen", name="Unseen", owner=OWNER)
        before = world.calls()
        for act in (without.channels.all, partial(without.channels.adopt, ["unseen"])):
            with pytest.raises(ConfigurationError, match="database_url"):
                await act()  # type: ignore[misc]
        assert world.calls() == before
    assert [each.slug async for each in world.adapter.channels.all()] == [world.slug]
    assert set(await world.adapter.channels.adopt(["unseen", "absent"])) == {"@TOA#_unseen"}
    assert [each.slug async for each in world.adapter.channels.all()] == [world.slug, "unseen"]
    await world.adapter.channels.delete("unseen")
    assert [each.slug async for each in world.adapter.channels.all()] == [world.slug]


async def attributes(world: World) -> None:
    """Check the replacement: rows of the database, which other processes read."""
    await world.adapter.reactions.set_policy(world.slug, "basic")
    await world.adapter.channels.verify(world.slug)
    async with ChannelAdapter.open(world.adapter.settings) as other:
        assert (await other.reactions.policy(world.slug)).kind == "basic"
        assert (await other.channels.get(world.slug)).verified
    async with opened(world.server, None) as without:
        with pytest.raises(ConfigurationError, match="database_url"):
            await without.channels.verify(world.slug)


async def read_to_number(world: World) -> None:
    """Check the replacement by time: later posts stay unread, those of the same second do not."""
    world.server.world.clock.advance(2)
    later = await world.adapter.posts.publish(world.slug, Text("high tide"))
    assert await world.adapter.unread.mark_read(world.slug, world.post.ref, user=ANN) == 1
    (call,) = world.server.log.calls("admin_set_msg_read")
    assert world.post.published_at is not None
    assert call.body["MsgReadTime"] == int(world.post.published_at.timestamp())
    assert await world.adapter.unread.mark_read(world.slug, later.ref.seq, user=ANN) == 0


async def service_reactions(world: World) -> None:
    """Check the replacement by the store: nothing is written to the service."""
    before = world.calls()
    assert await world.adapter.reactions.react(world.post.ref, ANN, "👍")
    assert await world.adapter.reactions.flush()
    assert (await world.adapter.reactions.get(world.post.ref)).counts == {"👍": 1}
    assert {call.command for call in list(world.server.log.calls())[before:]} <= {
        "official_account_msg_get_simple", "get_subscribed_official_account_list",
    }  # fmt: skip
    async with opened(world.server, None) as without:
        before = world.calls()
        for act in (without.reactions.react, without.reactions.unreact):
            with pytest.raises(ConfigurationError, match="database_url"):
                await act(world.post.ref, ANN, "👍")
        assert world.calls() == before


async def detect_lost_posts(world: World) -> None:
    """Check that there is no replacement: an announced broadcast has no identifier to find it again."""
    body = {"CallbackCommand": "OfficialAccount.CallbackBeforeSendMsg", "Official_Account": "@TOA#_tides"}
    assert world.adapter.pipeline.callbacks.pending_post(body) is None


async def close_posting(world: World) -> None:
    """Check that it is ignored: posting is always closed, and no channel can be incomplete."""
    before = world.calls()
    assert await world.adapter.channels.finish(world.slug) is False
    assert world.calls() == before
    assert (await world.adapter.channels.get(world.slug)).complete


ROWS: dict[str, Act] = {
    "edit_posts": lambda w: refused(w, "posts.edit"),
    "silent_posts": lambda w: refused(w, "posts.publish(silent=True)"),
    "named_authors": lambda w: refused(w, "posts.publish(author=)"),
    "roles": roles,
    "notification_text": notification_text,
    "notify": notify,
    "set_notifications": lambda w: refused(w, "subscriptions.mute", "subscriptions.set_notifications"),
    "read_notifications": read_notifications,
    "list_all": list_all,
    "attributes": attributes,
    "read_to_number": read_to_number,
    "service_reactions": service_reactions,
    "detect_lost_posts": detect_lost_posts,
    "import_history": lambda w: refused(w, "migration"),
    "import_subscribers": lambda w: refused(w, "migration"),
    "contacts": lambda w: refused(w, "channels.update(contact=)", "messages.set_contact"),
    "transfer": lambda w: refused(w, "channels.transfer"),
    "views": lambda w: refused(w, "insights.views"),
    "close_posting": close_posting,
}


@pytest.mark.parametrize("field", [each.name for each in dataclasses.fields(Capabilities)])
async def test_missing_capability_is_refused_or_replaced(world: World, field: str) -> None:
    assert world.adapter.can == OFFICIAL_CAPABILITIES
    assert getattr(world.adapter.can, field) is False
    await ROWS[field](world)


@community_only
async def test_community_mode_reports_its_own_capabilities(setting: Setting) -> None:
    assert setting.adapter.can == COMMUNITY_CAPABILITIES


async def test_channels_of_user_with_1000_accounts_need_five_calls() -> None:
    async with StubServer() as server, opened(server, None) as adapter:
        await adapter.accounts.add([OWNER, ANN])
        state = server.world.state
        for number in range(1_000):
            request = {"Official_Account": f"@TOA#_n{number:03}"}
            await adapter.channels.create(slug=f"n{number:03}", name=f"Channel {number}", owner=OWNER)
            state.subscribe(state.official[request["Official_Account"]], ANN, 1_700_000_000)
        before = len(list(server.log.calls()))
        found = [each.channel.name async for each in adapter.channels.subscribed(ANN)]
        assert len(found) == 1_000
        assert len(list(server.log.calls())) - before == 5


OF_GROUP = PostRef(ChannelId("@TGS#_tides"), 1)
WITH_ID: dict[str, Callable[[ChannelAdapter], Any]] = {
    "channels.get": lambda a: a.channels.get("@TGS#_tides"),
    "subscriptions.subscribe": lambda a: a.subscriptions.subscribe("@TGS#_tides", [ANN]),
    "subscriptions.follow": lambda a: a.subscriptions.follow(ANN, ["@TGS#_tides"]),
    "posts.publish": lambda a: a.posts.publish("@TGS#_tides", Text("x")),
    "posts.get": lambda a: a.posts.get(OF_GROUP),
    "posts.recall": lambda a: a.posts.recall(OF_GROUP),
    "posts.history": lambda a: anext(a.posts.history("tides", before=OF_GROUP)),
    "reactions.react": lambda a: a.reactions.react(OF_GROUP, ANN, "👍"),
    "unread.mark_read": lambda a: a.unread.mark_read("tides", OF_GROUP, user=ANN),
    "messages.send": lambda a: a.messages.send("@TGS#_tides", user=ANN, content=Text("x")),
    "messages.thread": lambda a: anext(a.messages.thread("@TGS#_tides", user=ANN)),
    "messages.recall": lambda a: a.messages.recall(MessageRef(OF_GROUP.channel, UserId(ANN), "1_2_3")),
}


async def test_id_of_other_mode_is_refused_with_its_mode(world: World) -> None:
    before = world.calls()
    for name, act in WITH_ID.items():
        with pytest.raises(InvalidError, match=r"@TGS#_tides' is the id of a channel in community mode") as refused:
            await act(world.adapter)
        assert "is in official mode" in refused.value.message, name
    assert world.calls() == before


LISTS: dict[str, Callable[[ChannelAdapter, str], Pages[Any, str]]] = {
    "messages.threads": lambda a, cursor: a.messages.threads("tides", cursor=cursor),
    "subscriptions.subscribers": lambda a, cursor: a.subscriptions.subscribers("tides", cursor=cursor),
}
"""Lists with a cursor of their own; a cursor that is a number counts the items of the caller, in either mode."""


def test_every_list_with_a_cursor_is_compared() -> None:
    methods = {f"{part}.{name}": method for part, kind in PARTS.items() for name, method in vars(kind).items()}
    texts = {
        name
        for name, method in methods.items()
        if inspect.isfunction(method)
        and getattr(inspect.signature(method).parameters.get("cursor"), "default", 0) == ""
    }
    assert texts == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
async def test_cursor_of_other_mode_is_refused_with_its_mode(name: str, tmp_path: Path) -> None:
    users = [f"user_{number}" for number in range(201)]
    cursors: dict[Mode, str] = {}
    async with StubServer() as server:
        both = official(settings_for(server), f"sqlite:///{tmp_path / 'app.db'}")
        for mode in (Mode.COMMUNITY, Mode.OFFICIAL, Mode.COMMUNITY):
            other = Mode.OFFICIAL if mode is Mode.COMMUNITY else Mode.COMMUNITY
            async with ChannelAdapter.open(both.model_copy(update={"mode": mode})) as adapter:
                if mode not in cursors:
                    await adapter.accounts.add([OWNER, *users])
                    await adapter.channels.create(slug="tides", name="Tides", owner=OWNER)
                    await adapter.subscriptions.subscribe("tides", users, assign=False)
                    await adapter.messages.send_many("tides", users, Text("low tide"))
                    cursors[mode] = await cursor_of(LISTS[name](adapter, ""))
                assert [item async for item in LISTS[name](adapter, cursors[mode])]
                if other in cursors:
                    before = len(list(server.log.calls()))
                    says = f"is a cursor of {other} mode, and this adapter is in {mode} mode"
                    with pytest.raises(InvalidError, match=says) as refused:
                        LISTS[name](adapter, cursors[other])
                    assert (refused.value.field, len(list(server.log.calls()))) == ("cursor", before)


async def cursor_of(pages: Pages[Any, str]) -> str:
    """Return the cursor after the first page of a list."""
    first = pages.cursor
    async for _ in pages:
        if pages.cursor not in (first, None):
            return str(pages.cursor)
    raise AssertionError("the list has one page")


@community_only
async def test_id_of_channel_in_official_mode_is_refused_in_community_mode(setting: Setting) -> None:
    with pytest.raises(InvalidError, match="is the id of a channel in official mode"):
        await setting.adapter.channels.get("@TOA#_tides")


async def test_reactions_of_both_modes_in_one_database_are_published_apart(world: World) -> None:
    community = world.adapter.settings.model_copy(update={"mode": Mode.COMMUNITY})
    async with ChannelAdapter.open(community) as other:
        await other.channels.create(slug="tides", name="Tides", owner=OWNER)
        await other.subscriptions.subscribe("tides", [ANN, BEN], assign=False)
        post = await other.posts.publish("tides", Text("high tide"))
        await world.adapter.reactions.react(world.post.ref, ANN, "👍")
        await other.reactions.react(post.ref, BEN, "🎉")
        for adapter in (other, world.adapter):
            assert await adapter.reactions.flush()
        assert (await world.adapter.reactions.get(world.post.ref)).counts == {"👍": 1}
        assert (await other.reactions.get(post.ref)).counts == {"🎉": 1}
        calls = [call.body["GroupId"] for call in world.server.log.calls("group_set_key_values")]
        assert set(calls) == {"@TGS#_tides"}


async def test_stored_posts_and_invitations_of_other_mode_are_refused_unchanged(world: World) -> None:
    """Adapters of both modes may share a database; an id of a stored object is used in its own mode alone."""
    late = datetime.now(UTC) + timedelta(days=1)
    post = await world.adapter.posts.schedule("tides", Text("high tide"), at=late)
    draft = await world.adapter.posts.draft("tides", Text("ebb"))
    invitation = await world.adapter.invites.create("tides")
    async with ChannelAdapter.open(world.adapter.settings.model_copy(update={"mode": Mode.COMMUNITY})) as other:
        posts = other.posts
        acts = [
            posts.get_scheduled(post.id), posts.publish_now(post.id), posts.unschedule(post.id),
            posts.reschedule(post.id, late), posts.acknowledge([post.id]), posts.get_draft(draft.id),
            posts.publish_draft(draft.id), posts.discard_draft(draft.id), posts.publish_draft(post.id),
            posts.draft("@TGS#_tides", Text("x"), replace=draft.id), other.invites.accept(invitation.code, user=ANN),
            other.invites.revoke(invitation.id), other.invites.revoke(invitation.code),
        ]  # fmt: skip
        await other.channels.create(slug="tides", name="Tides", owner=OWNER)
        for act in acts:
            with pytest.raises(InvalidError, match="is the id of a channel in official mode") as refused:
                await act
            assert refused.value.field == "channel"
        assert [each async for each in posts.scheduled()] == []
        assert [each async for each in posts.drafts()] == []
        assert [each async for each in other.invites.list()] == []
    assert await world.adapter.posts.get_scheduled(post.id) == post
    assert [each async for each in world.adapter.posts.drafts()] == [draft]
    assert [each.state async for each in world.adapter.invites.list()] == [InvitationState.OPEN]
