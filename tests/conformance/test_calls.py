"""Every public method is called in official mode, on one stub: it works, or is refused as the table of modes says."""

import asyncio
import inspect
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image as Picture
from pydantic import SecretStr

from channel_adapter import (
    Allow,
    ChannelAdapter,
    ChannelId,
    Invitation,
    Message,
    OutcomeKind,
    Post,
    ReactionChange,
    SavedDraft,
    ScheduledPost,
    ScheduleState,
    Subscribed,
    SubscribeRequest,
    Text,
    UserId,
)
from channel_adapter.config.settings import ConsoleSettings
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.webhooks.parse import make_event
from tests.conformance.conftest import BROADCASTS, KEYS, OWNER, READERS, official, settings_for
from tests.conformance.modes import METHODS, is_expected, works

ANN, BEN, CID, *_ = READERS
TEXT = Text("low tide")
_numbers = count(1)


@dataclass(frozen=True)
class Scene:
    """A channel of its own with two subscribers and a post, on a adapter that all tests of a mode share."""

    adapter: ChannelAdapter
    slug: str
    id: ChannelId
    post: Post
    folder: Path

    async def scheduled(self) -> ScheduledPost:
        """Return a post that is scheduled for tomorrow."""
        return await self.adapter.posts.schedule(self.slug, TEXT, at=datetime.now(UTC) + timedelta(days=1))

    async def drafted(self) -> SavedDraft:
        """Return a stored draft."""
        return await self.adapter.posts.draft(self.slug, TEXT)

    async def invited(self) -> Invitation:
        """Return a new invitation."""
        return await self.adapter.invites.create(self.slug)

    async def sent(self) -> Message:
        """Return a message to a subscriber."""
        return await self.adapter.messages.send(self.slug, user=ANN, content=TEXT)

    async def sent_to_many(self) -> None:
        """Send a message that the adapter stores in its list of threads."""
        await self.adapter.messages.send_many(self.slug, [ANN], TEXT)

    async def reacted(self) -> None:
        """Set a reaction of a subscriber."""
        await self.adapter.reactions.react(self.post.ref, ANN, "👍")


@pytest.fixture(scope="module")
def server() -> Iterator[StubServer]:
    limits = {"official_broadcasts_per_hour": BROADCASTS, "official_messages_per_second": BROADCASTS}
    settings = StubSettings.model_validate({"app": {"group_fields": KEYS}, "limits": limits})
    with StubServer(settings).run_in_thread() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adapter(
    request: pytest.FixtureRequest, server: StubServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ChannelAdapter]:
    folder = tmp_path_factory.mktemp("calls")
    database = f"sqlite:///{folder / 'app.db'}"
    settings = official(settings_for(server), database) if request.param is Mode.OFFICIAL else settings_for(server)
    pictures = ConsoleSettings(media_dir=folder / "pictures", media_public_url="https://pictures.example")
    changes = {"database_url": SecretStr(database), "console": pictures}
    async with ChannelAdapter.open(settings.model_copy(update=changes)) as opened:
        await opened.accounts.add([OWNER, ANN, BEN, CID])
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def scene(adapter: ChannelAdapter, tmp_path: Path) -> AsyncIterator[Scene]:
    slug = f"tides_{next(_numbers)}"
    channel = await adapter.channels.create(slug=slug, name=f"Tides {slug}", owner=OWNER)
    await adapter.subscriptions.subscribe(slug, [ANN, BEN], assign=False)
    yield Scene(adapter, slug, channel.id, await adapter.posts.publish(slug, TEXT), tmp_path)
    await adapter.channels.delete(slug)


def picture() -> bytes:
    data = io.BytesIO()
    Picture.new("RGB", (4, 3), "navy").save(data, "PNG")
    return data.getvalue()


async def entered(block: AbstractAsyncContextManager[object]) -> bool:
    """Enter and leave a block."""
    async with block:
        return True


async def opened(s: Scene, *, close: bool) -> bool:
    """Open a second adapter, and close it."""
    other = ChannelAdapter.open(s.adapter.settings)
    if close:
        await other.aclose()
        return True
    async with other:
        return await other.channels.exists(s.slug)


async def closed(s: Scene, part: str) -> bool:
    """Close a part of a second adapter."""
    async with ChannelAdapter.open(s.adapter.settings) as other:
        await getattr(other, part).aclose()
        return True


async def listened(s: Scene) -> bool:
    """Listen for invalidations until it is cancelled."""
    task = asyncio.ensure_future(s.adapter.events.listen_for_invalidations())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def streamed(s: Scene) -> bool:
    """Begin a stream of events, and close it."""
    async with aclosing(s.adapter.events.stream()) as events:
        return hasattr(events, "__anext__")


async def subscribed(_: Subscribed) -> None:
    """Handle an event of the tests."""


async def allowed(_: SubscribeRequest) -> Allow:
    """Answer a request of the tests."""
    return Allow()


def request(s: Scene) -> Any:
    """Return a before-webhook of the mode about a user who subscribes."""
    group: dict[str, Any] = {
        "CallbackCommand": "Group.CallbackBeforeApplyJoinGroup",
        "GroupId": s.id,
        "Requestor_Account": CID,
    }
    account: dict[str, Any] = {
        "CallbackCommand": "OfficialAccount.CallbackBeforeAddSubscriber",
        "Official_Account": s.id,
        "Operator_Account": CID,
        "SubscriberList": [{"Subscriber_Account": CID}],
    }
    body = account if s.adapter.settings.mode is Mode.OFFICIAL else group
    return make_event(body["CallbackCommand"], body, {}, now=1.0)


async def call_service(s: Scene) -> Any:
    """Send a command that checks an account."""
    body = {"CheckItem": [{"UserID": ANN}]}
    return (await s.adapter.call("im_open_login_svc", "account_check", body))["ResultItem"][0]["UserID"]


async def then(first: Awaitable[Any], call: Callable[[Any], Any]) -> Any:
    """Return the result of a call that needs an object that is made before."""
    return await result_of(call(await first))


async def result_of(made: Any) -> Any:
    """Return the result of a call: of an awaitable what it returns, of an iterator the items."""
    if inspect.isawaitable(made):
        return await made
    return [item async for item in made] if hasattr(made, "__aiter__") else made


def kinds(outcomes: Any) -> set[OutcomeKind]:
    return {outcome.kind for outcome in outcomes}


Call = Callable[[Scene], Any]
Check = Callable[[Scene, Any], bool]

ADAPTER: dict[str, tuple[Call, Check]] = {
    "aclose": (lambda s: opened(s, close=True), lambda s, r: r),
    "call": (call_service, lambda s, r: r == ANN),
    "call_rates": (lambda s: s.adapter.call_rates, lambda s, r: len(r) > 0),
    "can": (lambda s: s.adapter.can, lambda s, r: r.roles is (s.adapter.settings.mode is Mode.COMMUNITY)),
    "doctor": (lambda s: s.adapter.doctor(), lambda s, r: "service" in {check.check for check in r}),
    "export_channel": (
        lambda s: s.adapter.export_channel(s.slug, s.folder / "export"),
        lambda s, r: (r.channel, r.subscribers, r.posts) == (s.id, 2, 1),
    ),
    "migration": (lambda s: s.adapter.migration.journal_url(), lambda s, r: r.startswith("sqlite")),
    "open": (lambda s: opened(s, close=False), lambda s, r: r),
    "run_jobs": (lambda s: entered(s.adapter.run_jobs()), lambda s, r: r),
}

CHANNELS: dict[str, tuple[Call, Check]] = {
    "accounts.add": (lambda s: s.adapter.accounts.add([ANN]), lambda s, r: kinds(r) == {OutcomeKind.ALREADY}),
    "accounts.add_stream": (lambda s: s.adapter.accounts.add_stream([ANN]), lambda s, r: [o.user for o in r] == [ANN]),
    "accounts.check": (
        lambda s: s.adapter.accounts.check([ANN, "stranger"]), lambda s, r: r == {ANN: True, "stranger": False}
    ),
    "channels.adopt": (lambda s: s.adapter.channels.adopt([s.slug]), lambda s, r: set(r) == {s.id}),
    "channels.all": (lambda s: s.adapter.channels.all(), lambda s, r: s.id in {each.id for each in r}),
    "channels.block": (lambda s: s.adapter.channels.block(s.slug, [BEN]), lambda s, r: r.complete),
    "channels.blocked": (lambda s: s.adapter.channels.blocked(s.slug), lambda s, r: r == []),
    "channels.create": (
        lambda s: s.adapter.channels.create(slug=s.slug, name=f"Tides {s.slug}", owner=OWNER),
        lambda s, r: r.id == s.id,
    ),
    "channels.delete": (lambda s: s.adapter.channels.delete(s.slug), lambda s, r: r is True),
    "channels.demote": (lambda s: s.adapter.channels.demote(s.slug, [ANN]), lambda s, r: r.complete),
    "channels.exists": (lambda s: s.adapter.channels.exists(s.slug), lambda s, r: r is True),
    "channels.finish": (lambda s: s.adapter.channels.finish(s.slug), lambda s, r: r is False),
    "channels.forget": (lambda s: s.adapter.channels.forget(s.slug), lambda s, r: r is None),
    "channels.get": (lambda s: s.adapter.channels.get(s.slug), lambda s, r: (r.id, r.owner) == (s.id, OWNER)),
    "channels.get_many": (lambda s: s.adapter.channels.get_many([s.slug, "absent"]), lambda s, r: set(r) == {s.id}),
    "channels.promote": (lambda s: s.adapter.channels.promote(s.slug, [ANN]), lambda s, r: r.complete),
    "channels.resume": (lambda s: s.adapter.channels.resume(s.slug), lambda s, r: r is False),
    "channels.staff": (lambda s: s.adapter.channels.staff(s.slug), lambda s, r: [row.user for row in r] == [OWNER]),
    "channels.subscribed": (
        lambda s: s.adapter.channels.subscribed(ANN), lambda s, r: s.id in {each.channel.id for each in r}
    ),
    "channels.suspend": (lambda s: s.adapter.channels.suspend(s.slug), lambda s, r: r is True),
    "channels.transfer": (lambda s: s.adapter.channels.transfer(s.slug, ANN), lambda s, r: r.owner == ANN),
    "channels.unblock": (
        lambda s: s.adapter.channels.unblock(s.slug, [BEN]), lambda s, r: kinds(r) == {OutcomeKind.ALREADY}
    ),
    "channels.unverify": (lambda s: s.adapter.channels.unverify(s.slug), lambda s, r: r is False),
    "channels.update": (lambda s: s.adapter.channels.update(s.slug, name="Ebb"), lambda s, r: r.name == "Ebb"),
    "channels.verify": (lambda s: s.adapter.channels.verify(s.slug), lambda s, r: r is True),
    "directory.get": (lambda s: s.adapter.directory.get(s.slug), lambda s, r: r.id == s.id),
    "directory.hide": (lambda s: s.adapter.directory.hide(s.id), lambda s, r: r is None),
    "directory.record": (
        lambda s: then(s.adapter.channels.get(s.slug), s.adapter.directory.record), lambda s, r: r is None
    ),
    "directory.refresh": (lambda s: s.adapter.directory.refresh(), lambda s, r: r >= 1),
    "directory.require_categories": (
        lambda s: s.adapter.directory.require_categories(["sea"]), lambda s, r: r == ["sea"]
    ),
    "directory.search": (
        lambda s: s.adapter.directory.search(s.slug), lambda s, r: s.id in {entry.id for entry in r}
    ),
    "directory.set_categories": (lambda s: s.adapter.directory.set_categories(s.id, ["sea"]), lambda s, r: r is None),
    "subscriptions.count": (lambda s: s.adapter.subscriptions.count(s.slug), lambda s, r: r == 2),
    "subscriptions.follow": (
        lambda s: s.adapter.subscriptions.follow(CID, [s.slug]), lambda s, r: kinds(r) == {OutcomeKind.ADDED}
    ),
    "subscriptions.is_subscribed": (
        lambda s: s.adapter.subscriptions.is_subscribed(s.slug, [ANN, CID]), lambda s, r: r == {ANN: True, CID: False}
    ),
    "subscriptions.mute": (lambda s: s.adapter.subscriptions.mute(s.slug, user=ANN), lambda s, r: r is True),
    "subscriptions.notifications": (
        lambda s: s.adapter.subscriptions.notifications(s.slug, user=ANN), lambda s, r: r == "all"
    ),
    "subscriptions.set_notifications": (
        lambda s: s.adapter.subscriptions.set_notifications(s.slug, "off", user=ANN), lambda s, r: r is True
    ),
    "subscriptions.subscribe": (
        lambda s: s.adapter.subscriptions.subscribe(s.slug, [CID]), lambda s, r: kinds(r) == {OutcomeKind.ADDED}
    ),
    "subscriptions.subscribe_stream": (
        lambda s: s.adapter.subscriptions.subscribe_stream(s.slug, [CID]), lambda s, r: kinds(r) == {OutcomeKind.ADDED}
    ),
    "subscriptions.subscribers": (
        lambda s: s.adapter.subscriptions.subscribers(s.slug), lambda s, r: {row.user for row in r} == {ANN, BEN}
    ),
    "subscriptions.unfollow": (
        lambda s: s.adapter.subscriptions.unfollow(ANN, [s.slug]), lambda s, r: kinds(r) == {OutcomeKind.REMOVED}
    ),
    "subscriptions.unmute": (lambda s: s.adapter.subscriptions.unmute(s.slug, user=ANN), lambda s, r: r is False),
    "subscriptions.unsubscribe": (
        lambda s: s.adapter.subscriptions.unsubscribe(s.slug, [ANN]), lambda s, r: kinds(r) == {OutcomeKind.REMOVED}
    ),
    "subscriptions.unsubscribe_stream": (
        lambda s: s.adapter.subscriptions.unsubscribe_stream(s.slug, [ANN]),
        lambda s, r: kinds(r) == {OutcomeKind.REMOVED},
    ),
}  # fmt: skip

EVENTS: dict[str, tuple[Call, Check]] = {
    "events.key": (lambda s: s.adapter.events.key, lambda s, r: r is None),
    "events.listen_for_invalidations": (listened, lambda s, r: r),
    "events.on": (lambda s: s.adapter.events.on(Subscribed)(subscribed), lambda s, r: r is not None),
    "events.plan": (lambda s: s.adapter.events.plan(make_event("New", {}, {}, now=1.0)), lambda s, r: list(r) == []),
    "events.stream": (streamed, lambda s, r: r),
    "guard.answer": (lambda s: s.adapter.guard.answer(request(s)), lambda s, r: r.allows),
    "guard.on": (lambda s: [s.adapter.guard.on(SubscribeRequest)(allowed)], lambda s, r: r == [allowed]),
    "insights.channel": (
        lambda s: s.adapter.insights.channel(s.slug), lambda s, r: (r.channel, r.subscribers) == (s.id, 2)
    ),
    "insights.drop": (lambda s: s.adapter.insights.drop(s.id), lambda s, r: r is None),
    "insights.growth": (lambda s: s.adapter.insights.growth([s.slug]), lambda s, r: r == {}),
    "insights.record": (
        lambda s: s.adapter.insights.record(Subscribed(channel=s.id, at=datetime.now(UTC), users=(UserId(ANN),))),
        lambda s, r: r is None,
    ),
    "insights.stored_views": (lambda s: s.adapter.insights.stored_views([s.post.ref]), lambda s, r: r == {}),
    "insights.views": (lambda s: s.adapter.insights.views(s.slug), lambda s, r: r.channel == s.id),
    "invites.accept": (
        lambda s: then(s.invited(), lambda each: s.adapter.invites.accept(each.code, user=CID)),
        lambda s, r: r.kind is OutcomeKind.ADDED,
    ),
    "invites.create": (lambda s: s.adapter.invites.create(s.slug, max_uses=1), lambda s, r: r.max_uses == 1),
    "invites.drop": (lambda s: s.adapter.invites.drop(s.id), lambda s, r: r is None),
    "invites.list": (lambda s: s.adapter.invites.list(s.slug), lambda s, r: r == []),
    "invites.qr": (lambda s: then(s.invited(), s.adapter.invites.qr), lambda s, r: "<svg" in r),
    "invites.revoke": (
        lambda s: then(s.invited(), lambda each: s.adapter.invites.revoke(each.id)), lambda s, r: r is True
    ),
    "media.add": (
        lambda s: s.adapter.media.add(picture()), lambda s, r: r.url.startswith("https://pictures.example/")
    ),
    "media.inspect": (lambda s: s.adapter.media.inspect(picture()), lambda s, r: (r.width, r.height) == (4, 3)),
}  # fmt: skip

MESSAGES: dict[str, tuple[Call, Check]] = {
    "messages.contact": (lambda s: s.adapter.messages.contact(s.slug), lambda s, r: r.channel == s.id),
    "messages.edit": (
        lambda s: then(s.sent(), lambda each: s.adapter.messages.edit(each.ref, Text("ebb"))), lambda s, r: r is None
    ),
    "messages.mark_read": (
        lambda s: then(s.sent(), lambda _: s.adapter.messages.mark_read(s.slug, user=ANN)), lambda s, r: r is None
    ),
    "messages.recall": (
        lambda s: then(s.sent(), lambda each: s.adapter.messages.recall(each.ref)), lambda s, r: r is None
    ),
    "messages.send": (
        lambda s: s.adapter.messages.send(s.slug, user=ANN, content=TEXT), lambda s, r: r.ref.user == ANN
    ),
    "messages.send_many": (
        lambda s: s.adapter.messages.send_many(s.slug, [ANN, BEN], TEXT), lambda s, r: kinds(r) == {OutcomeKind.SENT}
    ),
    "messages.send_many_stream": (
        lambda s: s.adapter.messages.send_many_stream(s.slug, [ANN], TEXT), lambda s, r: kinds(r) == {OutcomeKind.SENT}
    ),
    "messages.set_contact": (lambda s: s.adapter.messages.set_contact(s.slug, BEN), lambda s, r: r is None),
    "messages.thread": (
        lambda s: then(s.sent(), lambda _: s.adapter.messages.thread(s.slug, user=ANN)),
        lambda s, r: r[0].content == TEXT,
    ),
    "messages.threads": (lambda s: then(s.sent_to_many(), lambda _: s.adapter.messages.threads(s.slug)),
        lambda s, r: ANN in {each.user for each in r}),
    "messages.unread": (lambda s: s.adapter.messages.unread(s.slug), lambda s, r: r == 0),
}  # fmt: skip

POSTS: dict[str, tuple[Call, Check]] = {
    "posts.acknowledge": (
        lambda s: then(s.scheduled(), lambda each: s.adapter.posts.acknowledge([each.id])), lambda s, r: r is None
    ),
    "posts.aclose": (lambda s: closed(s, "posts"), lambda s, r: r),
    "posts.check_schedule": (lambda s: s.adapter.posts.check_schedule(), lambda s, r: isinstance(r, list)),
    "posts.dedupe_of": (lambda s: s.adapter.posts.dedupe_of(s.slug, "key"), lambda s, r: 0 <= r < 2**32),
    "posts.discard_draft": (
        lambda s: then(s.drafted(), lambda each: s.adapter.posts.discard_draft(each.id)), lambda s, r: r is True
    ),
    "posts.draft": (lambda s: s.adapter.posts.draft(s.slug, TEXT), lambda s, r: r.parts == (TEXT,)),
    "posts.drafts": (
        lambda s: then(s.drafted(), lambda _: s.adapter.posts.drafts(s.slug)), lambda s, r: r[0].parts == (TEXT,)
    ),
    "posts.edit": (lambda s: s.adapter.posts.edit(s.post.ref, Text("ebb")), lambda s, r: r is None),
    "posts.get": (lambda s: s.adapter.posts.get(s.post.ref), lambda s, r: r.content == TEXT),
    "posts.get_draft": (
        lambda s: then(s.drafted(), lambda each: s.adapter.posts.get_draft(each.id)), lambda s, r: r.channel == s.id
    ),
    "posts.get_scheduled": (
        lambda s: then(s.scheduled(), lambda each: s.adapter.posts.get_scheduled(each.id)),
        lambda s, r: r.state is ScheduleState.SCHEDULED,
    ),
    "posts.history": (lambda s: s.adapter.posts.history(s.slug), lambda s, r: [post.ref for post in r] == [s.post.ref]),
    "posts.pin": (lambda s: s.adapter.posts.pin(s.post.ref), lambda s, r: r is True),
    "posts.pinned": (lambda s: s.adapter.posts.pinned(s.slug), lambda s, r: r == []),
    "posts.preview": (lambda s: s.adapter.posts.preview(s.slug, TEXT), lambda s, r: r.parts == (TEXT,)),
    "posts.publish": (lambda s: s.adapter.posts.publish(s.slug, Text("ebb")), lambda s, r: r.ref.seq > s.post.ref.seq),
    "posts.publish_draft": (
        lambda s: then(s.drafted(), lambda each: s.adapter.posts.publish_draft(each.id)),
        lambda s, r: r.state is ScheduleState.PUBLISHED,
    ),
    "posts.publish_due": (lambda s: entered(s.adapter.posts.publish_due()), lambda s, r: r),
    "posts.publish_now": (
        lambda s: then(s.scheduled(), lambda each: s.adapter.posts.publish_now(each.id)),
        lambda s, r: r.state is ScheduleState.PUBLISHED,
    ),
    "posts.recall": (lambda s: s.adapter.posts.recall(s.post.ref), lambda s, r: r is None),
    "posts.reschedule": (
        lambda s: then(s.scheduled(), lambda each: s.adapter.posts.reschedule(each.id, each.at + timedelta(hours=1))),
        lambda s, r: r.state is ScheduleState.SCHEDULED,
    ),
    "posts.schedule": (lambda s: s.scheduled(), lambda s, r: (r.channel, r.parts) == (s.id, (TEXT,))),
    "posts.schedule_lag": (lambda s: s.adapter.posts.schedule_lag, lambda s, r: r >= 0),
    "posts.schedule_status": (lambda s: s.adapter.posts.schedule_status(), lambda s, r: r.problems == 0),
    "posts.schedule_values": (lambda s: s.adapter.posts.schedule_values(), lambda s, r: isinstance(r, dict)),
    "posts.scheduled": (
        lambda s: then(s.scheduled(), lambda _: s.adapter.posts.scheduled(s.slug)), lambda s, r: len(r) == 1
    ),
    "posts.unpin": (lambda s: s.adapter.posts.unpin(s.post.ref), lambda s, r: r is False),
    "posts.unschedule": (
        lambda s: then(s.scheduled(), lambda each: s.adapter.posts.unschedule(each.id)),
        lambda s, r: r.state is ScheduleState.CANCELLED,
    ),
}  # fmt: skip

REACTIONS: dict[str, tuple[Call, Check]] = {
    "reactions.aclose": (lambda s: closed(s, "reactions"), lambda s, r: r),
    "reactions.adopt": (lambda s: s.adapter.reactions.adopt(s.slug), lambda s, r: isinstance(r, list)),
    "reactions.by_day": (
        lambda s: then(s.reacted(), lambda _: s.adapter.reactions.by_day(s.post.ref)),
        lambda s, r: list(r.values()) == [1],
    ),
    "reactions.drop": (lambda s: s.adapter.reactions.drop(s.post.ref), lambda s, r: r is None),
    "reactions.drop_channel": (lambda s: s.adapter.reactions.drop_channel(s.slug), lambda s, r: r is None),
    "reactions.finding": (lambda s: s.adapter.reactions.finding(), lambda s, r: r.ok),
    "reactions.flush": (lambda s: s.adapter.reactions.flush(), lambda s, r: r is True),
    "reactions.get": (
        lambda s: then(s.reacted(), lambda _: s.adapter.reactions.get(s.post.ref)), lambda s, r: r.counts == {"👍": 1}
    ),
    "reactions.get_many": (
        lambda s: s.adapter.reactions.get_many([s.post.ref]), lambda s, r: r[s.post.ref].counts == {}
    ),
    "reactions.left": (lambda s: s.adapter.reactions.left(s.slug, [ANN]), lambda s, r: r is None),
    "reactions.merge": (
        lambda s: s.adapter.reactions.merge(s.post.ref, [ReactionChange(UserId(ANN), ("👍",), 9)]),
        lambda s, r: r == 1,
    ),
    "reactions.policy": (lambda s: s.adapter.reactions.policy(s.slug), lambda s, r: r.kind == "all"),
    "reactions.probe": (lambda s: s.adapter.reactions.probe(), lambda s, r: r.mode is not None),
    "reactions.publish": (lambda s: s.adapter.reactions.publish(), lambda s, r: r is True),
    "reactions.react": (lambda s: s.adapter.reactions.react(s.post.ref, ANN, "👍"), lambda s, r: r is True),
    "reactions.reactors": (
        lambda s: then(s.reacted(), lambda _: s.adapter.reactions.reactors(s.post.ref)),
        lambda s, r: [each.user for each in r] == [ANN],
    ),
    "reactions.reconcile": (lambda s: s.adapter.reactions.reconcile(s.post.ref), lambda s, r: r.changed == 0),
    "reactions.set_policy": (lambda s: s.adapter.reactions.set_policy(s.slug, "basic"), lambda s, r: r.kind == "basic"),
    "reactions.start": (lambda s: s.adapter.reactions.start(), lambda s, r: r is None),
    "reactions.unpublished": (lambda s: s.adapter.reactions.unpublished(), lambda s, r: r >= 0),
    "reactions.unreact": (lambda s: s.adapter.reactions.unreact(s.post.ref, ANN), lambda s, r: r is False),
}  # fmt: skip

UNREAD: dict[str, tuple[Call, Check]] = {
    "unread.assign": (lambda s: s.adapter.unread.assign(ANN, [s.slug]), lambda s, r: r[s.id].done),
    "unread.catch_up": (lambda s: s.adapter.unread.catch_up(ANN, [s.post.ref]), lambda s, r: r in ((), (s.id,))),
    "unread.fold": (lambda s: s.adapter.unread.fold(s.slug, user=ANN), lambda s, r: r is None),
    "unread.get": (lambda s: s.adapter.unread.get(ANN), lambda s, r: s.id in {each.channel for each in r.channels}),
    "unread.get_many": (lambda s: s.adapter.unread.get_many([ANN]), lambda s, r: [each.user for each in r] == [ANN]),
    "unread.groups": (
        lambda s: then(s.adapter.unread.assign(ANN, [s.slug]), lambda _: s.adapter.unread.groups(ANN)),
        lambda s, r: any(s.id in group.channels for group in r),
    ),
    "unread.hide": (lambda s: s.adapter.unread.hide(s.slug, user=ANN), lambda s, r: r is None),
    "unread.mark_all_read": (lambda s: s.adapter.unread.mark_all_read(ANN), lambda s, r: s.id in r),
    "unread.mark_read": (lambda s: s.adapter.unread.mark_read(s.slug, user=ANN), lambda s, r: r == 0),
    "unread.marks": (lambda s: s.adapter.unread.marks(s.slug, user=ANN), lambda s, r: not r.starred),
    "unread.note": (lambda s: s.adapter.unread.note(s.slug, "ferry", user=ANN), lambda s, r: r is None),
    "unread.remove": (
        lambda s: then(s.adapter.unread.assign(BEN, [s.slug]), lambda _: s.adapter.unread.remove(BEN)),
        lambda s, r: r is True,
    ),
    "unread.rename": (
        lambda s: then(s.adapter.unread.assign(CID, [s.slug]), lambda _: s.adapter.unread.rename(CID, s.slug)),
        lambda s, r: r is True,
    ),
    "unread.star": (lambda s: s.adapter.unread.star(s.slug, user=ANN), lambda s, r: r is None),
    "unread.sync": (lambda s: s.adapter.unread.sync(ANN), lambda s, r: (r.user, r.failed) == (ANN, ())),
    "unread.sync_many": (lambda s: s.adapter.unread.sync_many([ANN]), lambda s, r: [each.user for each in r] == [ANN]),
    "unread.sync_many_stream": (
        lambda s: s.adapter.unread.sync_many_stream([ANN]), lambda s, r: [each.user for each in r] == [ANN]
    ),
    "unread.unassign": (lambda s: s.adapter.unread.unassign(ANN, [s.slug]), lambda s, r: r[s.id].done),
    "unread.unassign_left": (lambda s: s.adapter.unread.unassign_left(ANN, [s.slug]), lambda s, r: isinstance(r, dict)),
}  # fmt: skip

CALLS = ADAPTER | CHANNELS | EVENTS | MESSAGES | POSTS | REACTIONS | UNREAD


def test_every_method_of_the_table_is_called() -> None:
    assert set(CALLS) == set(METHODS)


REFUSED = [name for name in CALLS if not works(name)]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("adapter", "name"),
    [*((Mode.OFFICIAL, name) for name in CALLS), *((Mode.COMMUNITY, name) for name in REFUSED)],
    indirect=["adapter"],
    ids=str,
)
async def test_method_works_or_is_refused(scene: Scene, name: str) -> None:
    """Call every method in official mode, and those that it refuses in Community mode, where they work."""
    call, check = CALLS[name]
    if scene.adapter.settings.mode is Mode.COMMUNITY or works(name):
        result = await result_of(call(scene))
        assert check(scene, result), result
        return
    with pytest.raises(UnsupportedError) as refused:
        await result_of(call(scene))
    assert is_expected(refused.value)
