"""Random operations on a few channels: adapter and stub agree with a model of sets and lists."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channel_adapter import (
    ChannelAdapter,
    ConflictError,
    InvalidError,
    NotFoundError,
    OutcomeKind,
    PostRef,
    PostState,
    Text,
)
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.mapping.ids import SCHEMES
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.conftest import BROADCASTS, official, settings_for

SLUGS = ["tides", "ferries", "market"]
OWNERS = ["owner_1", "owner_2"]
USERS = [f"reader_{number}" for number in range(6)]
STRANGER = "stranger"
slugs = st.sampled_from(SLUGS)
readers = st.lists(st.sampled_from([*USERS, STRANGER]), max_size=5)
T = TypeVar("T")


@dataclass
class Known:
    """State of one channel in the model."""

    name: str
    owner: str
    subscribers: set[str] = field(default_factory=set)
    posts: list[str | None] = field(default_factory=list)  # None: recalled


class ChannelLives(RuleBasedStateMachine):
    """State machine whose rules use the adapter and change the model in parallel."""

    mode = Mode.COMMUNITY

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        limits = {"official_broadcasts_per_hour": BROADCASTS, "official_messages_per_second": BROADCASTS}
        self.server = StubServer(StubSettings.model_validate({"limits": limits}))
        self.run(self.server.start())
        self.folder = tempfile.TemporaryDirectory()
        own = settings_for(self.server)
        if self.mode is Mode.OFFICIAL:
            own = official(own, f"sqlite:///{self.folder.name}/app.db")
        self.adapter = ChannelAdapter.open(own)
        self.run(self.adapter.__aenter__())
        self.run(self.adapter.accounts.add([*OWNERS, *USERS]))
        self.model: dict[str, Known] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.adapter.aclose())
        self.run(self.server.stop())
        self.loop.close()
        self.folder.cleanup()

    @rule(slug=slugs, owner=st.sampled_from(OWNERS), name=st.sampled_from(["Tides 潮", "Ferries 🚢"]))
    def create(self, slug: str, owner: str, name: str) -> None:
        known = self.model.get(slug)
        if known is not None and (known.name, known.owner) != (name, owner):
            self.refused(self.adapter.channels.create(slug=slug, name=name, owner=owner), ConflictError)
            return
        created = self.run(self.adapter.channels.create(slug=slug, name=name, owner=owner))
        known = self.model.setdefault(slug, Known(name, owner))
        assert (created.name, created.owner, created.subscriber_count) == (name, owner, len(known.subscribers))
        assert created.complete

    @rule(slug=slugs, name=st.sampled_from(["Tides 潮", "Ferries 🚢", "x" * 151, ""]))
    def rename(self, slug: str, name: str) -> None:
        work = self.adapter.channels.update(slug, name=name)
        if not 0 < len(name) <= 100:
            self.refused(work, InvalidError)
        elif slug not in self.model:
            self.refused(work, NotFoundError)
        else:
            assert self.run(work).name == name
            self.model[slug].name = name

    @rule(slug=slugs)
    def delete(self, slug: str) -> None:
        assert self.run(self.adapter.channels.delete(slug)) is (slug in self.model)
        self.model.pop(slug, None)

    @rule(slug=slugs, users=readers)
    def subscribe(self, slug: str, users: list[str]) -> None:
        work = self.adapter.subscriptions.subscribe(slug, users)
        known = self.model.get(slug)
        if known is None:
            self.refused(work, NotFoundError)
            return
        outcomes = {outcome.kind for outcome in self.run(work) if outcome.user == STRANGER}
        assert outcomes <= {OutcomeKind.NOT_FOUND}
        known.subscribers |= set(users) - {STRANGER}

    @rule(slug=slugs, users=readers)
    def unsubscribe(self, slug: str, users: list[str]) -> None:
        work = self.adapter.subscriptions.unsubscribe(slug, users)
        known = self.model.get(slug)
        if known is None:
            self.refused(work, NotFoundError)
            return
        outcomes = self.run(work)
        assert outcomes.counts[OutcomeKind.REMOVED] == len(known.subscribers & set(users))
        known.subscribers -= set(users)

    @rule(slug=slugs, text=st.sampled_from(["low tide", "高潮", "🚢"]))
    def publish(self, slug: str, text: str) -> None:
        work = self.adapter.posts.publish(slug, Text(text))
        if slug not in self.model:
            self.refused(work, NotFoundError)
            return
        posts = self.model[slug].posts
        posts.append(text)
        assert self.run(work).ref.seq == len(posts)

    @rule(slug=slugs, seq=st.integers(1, 6), text=st.sampled_from(["mended", None]))
    def edit_or_recall(self, slug: str, seq: int, text: str | None) -> None:
        ref = PostRef(SCHEMES[self.mode].channel(slug), seq)
        work = self.adapter.posts.recall(ref) if text is None else self.adapter.posts.edit(ref, Text(text))
        if text is not None and not self.adapter.can.edit_posts:
            self.refused(work, UnsupportedError)
            return
        posts = self.model[slug].posts if slug in self.model else []
        if seq > len(posts) or (text is not None and posts[seq - 1] is None):
            self.refused(work, NotFoundError)
            return
        self.run(work)
        posts[seq - 1] = text

    @invariant()
    def everything_agrees(self) -> None:
        found = self.run(self.adapter.channels.get_many(SLUGS))
        assert {channel.slug: (channel.name, channel.owner) for channel in found.values()} == {
            slug: (known.name, known.owner) for slug, known in self.model.items()
        }
        for slug, known in self.model.items():
            self.run(self._same_inside(slug, known))
        for user in USERS[:2]:
            assert self.run(self._followed_by(user)) == {
                slug for slug, known in self.model.items() if user in known.subscribers
            }

    async def _same_inside(self, slug: str, known: Known) -> None:
        listed = [subscriber.user async for subscriber in self.adapter.subscriptions.subscribers(slug)]
        assert sorted(listed) == sorted(known.subscribers)
        posts = [post async for post in self.adapter.posts.history(slug, oldest_first=True)]
        assert [post.content for post in posts] == [Text(text) if text else None for text in known.posts]
        assert all((post.state is PostState.RECALLED) is (post.content is None) for post in posts)

    async def _followed_by(self, user: str) -> set[str]:
        return {mine.channel.slug async for mine in self.adapter.channels.subscribed(user)}

    def refused(self, work: Coroutine[Any, Any, object], error: type[Exception]) -> None:
        try:
            self.run(work)
        except error:
            return
        raise AssertionError(f"expected {error.__name__}")


class OfficialChannelLives(ChannelLives):
    """State machine on official accounts, with a database whose registry has every channel."""

    mode = Mode.OFFICIAL

    @invariant()
    def registry_has_every_channel(self) -> None:
        assert self.run(self._listed()) == set(self.model)

    async def _listed(self) -> set[str]:
        return {channel.slug async for channel in self.adapter.channels.all()}


BUDGET = settings(max_examples=15, stateful_step_count=25, suppress_health_check=list(HealthCheck))
ChannelLives.TestCase.settings = BUDGET
OfficialChannelLives.TestCase.settings = settings(BUDGET, max_examples=8)
TestChannelLives = ChannelLives.TestCase
TestOfficialChannelLives = OfficialChannelLives.TestCase
