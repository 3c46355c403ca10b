"""Random operations of a few users on a few channels: counts equal those of a model, and a sync is idempotent.

Three machines: an adapter that has stored the posts that it sent, one with exact counts while client apps recall too,
and one in official mode.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channel_adapter import ChannelAdapter, NotFoundError, Notifications, PostRef, Text
from channel_adapter.domain.subscription import SETTABLE_NOTIFICATIONS
from channel_adapter.mapping.ids import COMMUNITY_IDS, OFFICIAL_IDS
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.conftest import BROADCASTS, official, settings_for

SLUGS = ["tides", "ferries", "market"]
USERS = ["ann", "ben", "cleo"]
OWNER, CLUB = "owner", "club"
slugs, any_user = st.sampled_from(SLUGS), st.sampled_from(USERS)
T = TypeVar("T")


@dataclass
class Member:
    """Read position of a user in a group, and the user's notification setting."""

    read: int
    notifications: Notifications = Notifications.ALL


@dataclass
class Known:
    """State of one group in the model: which posts count, and the members."""

    posts: list[bool] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)

    def join(self, user: str) -> None:
        self.members.setdefault(user, Member(len(self.posts)))

    def unread(self, user: str) -> int:
        return sum(self.posts[self.members[user].read :])


class UnreadLives(RuleBasedStateMachine):
    """State machine whose rules use the adapter or a client app, and change the model in parallel."""

    exact = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.server = StubServer()
        self.run(self.server.start())
        own = settings_for(self.server)
        seconds = 0 if self.exact else own.channels.cache_seconds
        channels = own.channels.model_copy(update={"cache_seconds": seconds})
        self.adapter = ChannelAdapter.open(own.model_copy(update={"channels": channels}))
        self.run(self.adapter.__aenter__())
        self.run(self.adapter.accounts.add([OWNER, *USERS]))
        self.model: dict[str, Known] = {}
        self.by_hand: dict[str, set[str]] = {user: set() for user in USERS}
        self.club = Known()

    @initialize()
    def begin(self) -> None:
        for user in USERS:
            self.club.join(user)
        group = {"Type": "Public", "GroupId": CLUB, "Name": "Club", "Owner_Account": OWNER}
        members = [{"Member_Account": user} for user in USERS]
        self.run(self.adapter.call("group_open_http_svc", "create_group", {**group, "MemberList": members}))
        for slug in SLUGS[:2]:
            self.create(slug)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.adapter.aclose())
        self.run(self.server.stop())
        self.loop.close()

    def client_app(self, user: str) -> Any:
        return self.server.world.client(user)

    @rule(slug=slugs)
    def create(self, slug: str) -> None:
        if slug not in self.model:
            self.run(self.adapter.channels.create(slug=slug, name=slug, owner=OWNER))
            self.model[slug] = Known()

    @rule(slug=slugs)
    def delete(self, slug: str) -> None:
        assert self.run(self.adapter.channels.delete(slug)) is (slug in self.model)
        self.model.pop(slug, None)

    @rule(slug=slugs, users=st.sets(any_user))
    def subscribe(self, slug: str, users: set[str]) -> None:
        if (known := self.model.get(slug)) is None:
            return
        outcomes = self.run(self.adapter.subscriptions.subscribe(slug, users))
        assert all(each.done and each.assignment is not None and each.assignment.done for each in outcomes)
        for user in users:
            known.join(user)

    @rule(user=any_user)
    def follow_everything(self, user: str) -> None:
        outcomes = self.run(self.adapter.subscriptions.follow(user, SLUGS))
        assert {each.channel for each in outcomes if each.done} == {COMMUNITY_IDS.channel(slug) for slug in self.model}
        for known in self.model.values():
            known.join(user)

    @rule(slug=slugs, users=st.sets(any_user))
    def unsubscribe(self, slug: str, users: set[str]) -> None:
        if (known := self.model.get(slug)) is None:
            return
        outcomes = self.run(self.adapter.subscriptions.unsubscribe(slug, users))
        assert all(each.done and each.assignment is not None and each.assignment.done for each in outcomes)
        for user in users:
            known.members.pop(user, None)

    @rule(slug=slugs, silent=st.booleans(), number=st.integers(1, 3))
    def publish(self, slug: str, silent: bool, number: int) -> None:
        if (known := self.model.get(slug)) is None:
            return
        for _ in range(number):
            self.run(self.adapter.posts.publish(slug, Text("low tide"), silent=silent))
            known.posts.append(not silent)

    @rule(slug=slugs, seq=st.integers(1, 8))
    def recall(self, slug: str, seq: int) -> None:
        if (known := self.model.get(slug)) is None or seq > len(known.posts):
            return
        self.run(self.adapter.posts.recall(PostRef(COMMUNITY_IDS.channel(slug), seq)))
        known.posts[seq - 1] = False

    @precondition(lambda self: self.exact)
    @rule(slug=slugs, seq=st.integers(1, 8))
    def recall_in_a_client_app(self, slug: str, seq: int) -> None:
        known = self.model.get(slug)
        if known is None or seq > len(known.posts) or not known.posts[seq - 1]:
            return
        self.client_app(OWNER).recall(COMMUNITY_IDS.channel(slug), seq)
        known.posts[seq - 1] = False

    @rule(slug=slugs, user=any_user, up_to=st.one_of(st.none(), st.integers(1, 8)))
    def mark_read(self, slug: str, user: str, up_to: int | None) -> None:
        known = self.model.get(slug)
        work = self.adapter.unread.mark_read(slug, up_to, user=user)
        if known is None or user not in known.members:
            try:
                self.run(work)
            except NotFoundError:
                return
            raise AssertionError("read where one is not")
        if up_to is not None and up_to > len(known.posts):
            work.close()
            return
        member = known.members[user]
        member.read = len(known.posts) if up_to is None else max(member.read, up_to)
        left = self.run(work)
        assert self.exact or left == known.unread(user)

    @rule(user=any_user)
    def mark_all_read(self, user: str) -> None:
        marked = self.run(self.adapter.unread.mark_all_read(user))
        behind = set()
        for slug, known in self.model.items():
            if user in known.members and known.members[user].read < len(known.posts):
                known.members[user].read = len(known.posts)
                behind.add(COMMUNITY_IDS.channel(slug))
        assert set(marked) == behind

    @rule(slug=slugs, user=any_user, wanted=st.sampled_from(SETTABLE_NOTIFICATIONS))
    def notify(self, slug: str, user: str, wanted: Notifications) -> None:
        known = self.model.get(slug)
        if known is not None and user in known.members:
            changed = self.run(self.adapter.subscriptions.set_notifications(slug, wanted, user=user))
            assert changed is (known.members[user].notifications is not wanted)
            known.members[user].notifications = wanted

    @rule(slug=slugs, user=any_user, inside=st.booleans())
    def join_or_leave_in_a_client_app(self, slug: str, user: str, inside: bool) -> None:
        known = self.model.get(slug)
        if known is None or (user in known.members) is inside:
            return
        if inside:
            self.client_app(user).join(COMMUNITY_IDS.channel(slug))
            known.join(user)
        else:
            self.client_app(user).leave(COMMUNITY_IDS.channel(slug))
            del known.members[user]

    @rule(slug=slugs, user=any_user, up_to=st.integers(1, 8))
    def read_in_a_client_app(self, slug: str, user: str, up_to: int) -> None:
        known = self.model.get(slug)
        if known is not None and user in known.members:
            self.client_app(user).read(COMMUNITY_IDS.channel(slug), up_to)
            known.members[user].read = max(known.members[user].read, min(up_to, len(known.posts)))

    @rule(user=any_user, talks=st.booleans())
    def chat(self, user: str, talks: bool) -> None:
        if talks:
            self.client_app(user).post(CLUB, "hello")
            self.club.posts.append(True)
        else:
            self.client_app(user).read(CLUB)
            self.club.members[user].read = len(self.club.posts)

    @rule(user=any_user, slug=slugs, inside=st.booleans())
    def group_in_a_client_app(self, user: str, slug: str, inside: bool) -> None:
        """Move the club and a channel in or out of the user's group, or delete the group."""
        book = self.server.world.state.contacts.get(user)
        channel = [COMMUNITY_IDS.channel(slug)] if slug in self.model else []
        if inside:
            self.client_app(user).file("Channels", [CLUB, *channel])
            self.by_hand[user] = {CLUB}
        elif book is not None and book.number("Channels") is not None:
            if channel:
                self.client_app(user).unfile("Channels", channel)
            else:
                self.client_app(user).drop_folder("Channels")
                self.by_hand[user] = set()

    @rule(user=any_user)
    def sync(self, user: str) -> None:
        done = self.run(self.adapter.unread.sync(user))
        mine = {COMMUNITY_IDS.channel(slug) for slug, known in self.model.items() if user in known.members}
        assert done.done
        assert set(done.kept) == self.by_hand[user]
        again = self.run(self.adapter.unread.sync(user))
        assert not again.changed
        assert self.run(self._filed(user)) == mine | self.by_hand[user]

    async def _filed(self, user: str) -> set[str]:
        found = [each async for each in self.adapter.unread.groups(user) if each.name == "Channels"]
        return {inside for each in found for inside in (*each.channels, *each.others)}

    @invariant()
    def counts_match_the_definition(self) -> None:
        for found in self.run(self._counted()):
            mine = {
                COMMUNITY_IDS.channel(slug): (known.unread(found.user), known.members[found.user].notifications)
                for slug, known in self.model.items()
                if found.user in known.members
            }
            assert {each.channel: (each.count, each.notifications) for each in found.channels} == mine
            assert found.badge == sum(
                number for number, notifications in mine.values() if notifications is Notifications.ALL
            )
            assert found.chats == (self.club.unread(found.user) if self.club.members else 0)

    async def _counted(self) -> list[Any]:
        return [each async for each in self.adapter.unread.get_many(USERS, exact=self.exact)]


class ExactUnreadLives(UnreadLives):
    """State machine with exact counts while client apps recall: the adapter reads the recalls from history."""

    exact = True


class OfficialUnreadLives(RuleBasedStateMachine):
    """State machine for official accounts. Posts are read by time, so each has a separate second."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        limits = {"official_broadcasts_per_hour": BROADCASTS}
        self.server = StubServer(StubSettings.model_validate({"limits": limits}))
        self.run(self.server.start())
        self.adapter = ChannelAdapter.open(official(settings_for(self.server), None))
        self.run(self.adapter.__aenter__())
        self.run(self.adapter.accounts.add([OWNER, *USERS]))
        self.model: dict[str, Known] = {}

    @initialize()
    def begin(self) -> None:
        for slug in SLUGS[:2]:
            self.create(slug)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.adapter.aclose())
        self.run(self.server.stop())
        self.loop.close()

    @rule(slug=slugs)
    def create(self, slug: str) -> None:
        if slug not in self.model:
            self.server.world.clock.advance(1)
            self.run(self.adapter.channels.create(slug=slug, name=slug, owner=OWNER))
            self.model[slug] = Known()

    @rule(slug=slugs, users=st.sets(any_user))
    def subscribe(self, slug: str, users: set[str]) -> None:
        if (known := self.model.get(slug)) is None:
            return
        self.server.world.clock.advance(1)
        outcomes = self.run(self.adapter.subscriptions.subscribe(slug, users))
        assert all(each.done and each.assignment is not None and each.assignment.done for each in outcomes)
        for user in users:
            known.join(user)

    @rule(slug=slugs, users=st.sets(any_user))
    def unsubscribe(self, slug: str, users: set[str]) -> None:
        if (known := self.model.get(slug)) is None:
            return
        outcomes = self.run(self.adapter.subscriptions.unsubscribe(slug, users))
        assert all(each.done and each.assignment is not None and each.assignment.done for each in outcomes)
        for user in users:
            known.members.pop(user, None)

    @rule(slug=slugs, user=any_user, inside=st.booleans())
    def follow_or_leave_in_a_client_app(self, slug: str, user: str, inside: bool) -> None:
        known = self.model.get(slug)
        if known is None or (user in known.members) is inside:
            return
        self.server.world.clock.advance(1)
        app = self.server.world.client(user)
        if inside:
            app.follow(OFFICIAL_IDS.from_slug(slug))
            known.join(user)
        else:
            app.unfollow(OFFICIAL_IDS.from_slug(slug))
            del known.members[user]

    @rule(slug=slugs, number=st.integers(1, 3))
    def publish(self, slug: str, number: int) -> None:
        if (known := self.model.get(slug)) is None:
            return
        for _ in range(number):
            self.server.world.clock.advance(1)
            self.run(self.adapter.posts.publish(slug, Text(f"post {len(known.posts)}")))
            known.posts.append(True)

    @rule(slug=slugs, seq=st.integers(1, 8))
    def recall(self, slug: str, seq: int) -> None:
        if (known := self.model.get(slug)) is None or seq > len(known.posts):
            return
        self.run(self.adapter.posts.recall(PostRef(OFFICIAL_IDS.from_slug(slug), seq)))
        known.posts[seq - 1] = False

    @rule(slug=slugs, user=any_user, up_to=st.one_of(st.none(), st.integers(1, 8)))
    def mark_read(self, slug: str, user: str, up_to: int | None) -> None:
        known = self.model.get(slug)
        if known is None or user not in known.members or (up_to is not None and up_to > len(known.posts)):
            return
        member = known.members[user]
        member.read = len(known.posts) if up_to is None else max(member.read, up_to)
        assert self.run(self.adapter.unread.mark_read(slug, up_to, user=user)) == known.unread(user)

    @rule(user=any_user)
    def mark_all_read(self, user: str) -> None:
        behind = {OFFICIAL_IDS.from_slug(slug) for slug, known in self.model.items()
                  if user in known.members and known.unread(user)}  # fmt: skip
        assert set(self.run(self.adapter.unread.mark_all_read(user))) == behind
        for known in self.model.values():
            if user in known.members and known.unread(user):
                known.members[user].read = len(known.posts)

    @rule(user=any_user)
    def sync(self, user: str) -> None:
        assert self.run(self.adapter.unread.sync(user)).done
        assert not self.run(self.adapter.unread.sync(user)).changed
        mine = {OFFICIAL_IDS.from_slug(slug) for slug, known in self.model.items() if user in known.members}
        assert self.run(self._filed(user)) == mine

    async def _filed(self, user: str) -> set[str]:
        return {channel async for each in self.adapter.unread.groups(user) for channel in each.channels}

    @invariant()
    def counts_match_the_definition(self) -> None:
        for user in USERS:
            found = self.run(self.adapter.unread.get(user))
            mine = {OFFICIAL_IDS.from_slug(slug): known.unread(user)
                    for slug, known in self.model.items() if user in known.members}  # fmt: skip
            assert {each.channel: each.count for each in found.channels} == mine
            assert (found.badge, found.chats) == (sum(mine.values()), 0)


BUDGET = settings(max_examples=10, stateful_step_count=25, suppress_health_check=list(HealthCheck))
UnreadLives.TestCase.settings = BUDGET
ExactUnreadLives.TestCase.settings = BUDGET
OfficialUnreadLives.TestCase.settings = settings(BUDGET, max_examples=7)
TestUnreadLives = UnreadLives.TestCase
TestExactUnreadLives = ExactUnreadLives.TestCase
TestOfficialUnreadLives = OfficialUnreadLives.TestCase
