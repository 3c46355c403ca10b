"""Random operations on one post's reactions: store, counts on the message and a model agree despite faults."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pydantic import SecretStr
from sqlalchemy import ColumnElement, literal

from channel_adapter import ChannelAdapter, DisplayMode, ReactionChange, Text
from channel_adapter.backends.community.reactions import CommunityReactions
from channel_adapter.config.settings import ReactionSettings
from channel_adapter.mapping.reactions import to_changes
from channel_adapter.services import failpoints
from channel_adapter.store.database import Database
from channel_adapter.store.reaction_publishing import ClaimEnd, ClaimResult
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.world.context import RESTAPI, CallbackEvent
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent.wire.extensions import Extension
from tests.conformance.conftest import settings_for
from tests.faults.reaction_system import counts_in

USERS = [f"reader_{number}" for number in range(5)]
readers, emoji = st.sampled_from(USERS), st.sampled_from(["👍", "❤️", "🙏"])
KEYS_KEPT = 2  # keys of users; further ones are compacted
FASTER = 20
T = TypeVar("T")
TROUBLE = {
    "lost": Fault(command="group_set_key_values", nth=(1,), drop=True, applied=True),
    "not done": Fault(command="group_set_key_values", nth=(1,), drop=True),
    "throttled": Fault(command="group_set_key_values", nth=(1, 2), code=23003),
    "too fast": Fault(nth=(1,), code=60007),
    "lost data": Fault(command="modify_group_msg", nth=(1,), status=502, applied=True),
    "slow read": Fault(command="group_get_key_values", nth=(1,), status=503),
}


class FastClock:
    """Clock that runs twenty times as fast, for every adapter."""

    began, wall = time.monotonic(), time.time()

    def now(self) -> float:
        return self.wall + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self.began) * FASTER

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / FASTER)


class Killed(Exception):  # noqa: N818
    """Raised to abort all pending work."""


class Model:
    """Reaction of every user: set immediately by an adapter, by clients when their key is reported or read."""

    def __init__(self) -> None:
        self.truth: dict[str, str] = {}
        self.folded: dict[str, int] = {}
        self.present: set[str] = set()
        self.deleted: dict[str, int] = {}  # by the adapter

    def hear(self, change: ReactionChange) -> None:
        if change.seq <= self.folded.get(change.user, 0) or not change.from_client:
            return
        self.folded[change.user] = change.seq
        self._take(change.user, change.emoji)
        if change.emoji and change.seq > self.deleted.get(change.user, 0):
            self.present.add(change.user)
        elif not change.emoji:
            self.present.discard(change.user)

    def read(self, keys: dict[str, tuple[str, int]], latest: int) -> None:
        for user in USERS:
            if user in keys and keys[user][1] != self.folded.get(user, 0):
                self.folded[user] = keys[user][1]
                self._take(user, (keys[user][0],))
            if user in keys:
                self.present.add(user)
            elif user in self.present:
                self.present.discard(user)
                self.folded[user] = latest
                self._take(user, ())

    def compacted(self, user: str, seq: int) -> None:
        self.deleted[user] = max(seq, self.deleted.get(user, 0))
        if self.folded.get(user, 0) < seq:
            self.present.discard(user)

    def _take(self, user: str, chosen: tuple[str, ...]) -> None:
        self.truth.pop(user, None)
        if chosen:
            self.truth[user] = chosen[0]


class ReactionLives(RuleBasedStateMachine):
    """State machine whose rules change the adapter or a client app, and the model in parallel."""

    def __init__(self, new_url: Callable[[], str] | None = None, display: str = "auto") -> None:
        super().__init__()
        self.capacity = CommunityReactions.capacity
        CommunityReactions.capacity = replace(self.capacity, users=KEYS_KEPT)
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.server = StubServer()
        self.run(self.server.start())
        url = new_url() if new_url else f"sqlite:///{Path(self.folder.name) / 'reactions.db'}"
        self.settings = settings_for(self.server).model_copy(
            update={"database_url": SecretStr(url), "reactions": ReactionSettings.model_validate({"display": display})}
        )
        self.open()
        self.run(self.adapter.accounts.add(["owner", *USERS]))
        self.run(self.adapter.channels.create(slug="tides", name="Tides", owner="owner"))
        self.run(self.adapter.subscriptions.subscribe("tides", USERS, assign=False))
        self.ref = self.run(self.adapter.posts.publish("tides", Text("low"))).ref
        self.model, self.events = Model(), list[ReactionChange]()
        self.world = self.server.world
        self.world.listen(self.happened)
        self.clients = {user: self.world.client(user) for user in USERS}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def open(self) -> None:
        self.adapter = ChannelAdapter.open(self.settings, clock=FastClock())
        self.run(self.adapter.__aenter__())

    def teardown(self) -> None:
        self.world.listen(None)
        self.run(self.adapter.aclose())
        self.run(self.server.stop())
        self.folder.cleanup()
        self.loop.close()
        CommunityReactions.capacity = self.capacity

    def happened(self, event: CallbackEvent) -> None:
        """Record an event that the app's webhook would receive."""
        if event.command != "Group.CallbackAfterGroupMsgExtension":
            return
        pairs = [Extension.model_validate(pair) for pair in event.body["ExtensionList"]]
        changes = to_changes(pairs, from_client=event.platform != RESTAPI)
        self.events += changes
        for change in changes:
            if not change.from_client:
                self.model.compacted(change.user, change.seq)

    @rule(user=readers, chosen=emoji)
    def react(self, user: str, chosen: str) -> None:
        assert self.run(self.adapter.reactions.react(self.ref, user, chosen)) is (self.model.truth.get(user) != chosen)
        self.model.truth[user] = chosen

    @rule(users=st.lists(readers, min_size=2, unique=True), chosen=emoji)
    def react_together(self, users: list[str], chosen: str) -> None:
        async def together() -> None:
            await asyncio.gather(*(self.adapter.reactions.react(self.ref, user, chosen) for user in users))

        self.run(together())
        self.model.truth.update(dict.fromkeys(users, chosen))

    @rule(user=readers)
    def unreact(self, user: str) -> None:
        assert self.run(self.adapter.reactions.unreact(self.ref, user)) is (user in self.model.truth)
        self.model.truth.pop(user, None)

    @rule(user=readers, chosen=st.none() | emoji)
    def client(self, user: str, chosen: str | None) -> None:
        key = f"r|{user}"
        try:
            if chosen is None:
                self.clients[user].delete_extensions(self.ref.channel, self.ref.seq, [key])
            else:
                self.clients[user].set_extensions(self.ref.channel, self.ref.seq, {key: chosen})
        except Refusal:
            return

    @rule(number=st.integers(0, 20), again=st.booleans())
    def hear(self, number: int, again: bool) -> None:
        """Merge one event in any order, possibly again later."""
        if not self.events:
            return
        change = self.events[number % len(self.events)]
        if not again:
            self.events.remove(change)
        self.run(self.adapter.reactions.merge(self.ref, [change]))
        self.model.hear(change)

    @rule()
    def reconcile(self) -> None:
        self.settle()
        self.run(self.adapter.reactions.reconcile(self.ref))
        if self.mode() is DisplayMode.EXTENSIONS and self.supported():
            extensions = self.message().extensions
            pairs = extensions.pairs if extensions else {}
            keys = {key[2:]: (value, seq) for key, (value, seq) in pairs.items() if value and key.startswith("r|")}
            self.model.read(keys, extensions.seq if extensions else 0)

    @rule(what=st.sampled_from(sorted(TROUBLE)))
    def trouble(self, what: str) -> None:
        self.server.faults.replace([TROUBLE[what]])

    @rule(at=st.sampled_from(["publisher: claimed", "publisher: written, not recorded", "publisher: recorded"]))
    def restart(self, at: str) -> None:
        """Stop the process, and abort its pending write at this point."""

        def passed(point: str) -> None:
            if point == at:
                raise Killed

        opened = self.adapter.reactions._opened
        if opened is not None:
            failpoints.hooks.append(passed)
            self.run(asyncio.sleep(0.03))
            self.run(opened._publisher.close())
            failpoints.hooks.clear()
            self.run(opened._store.database.close())
            self.adapter.reactions._opened = None
        self.run(self.adapter.aclose())
        self.open()

    @rule(supported=st.booleans(), probe=st.booleans())
    def switch(self, supported: bool, probe: bool) -> None:
        """Switch extensions on or off, and optionally probe the service."""
        behaviour = self.world.settings.behaviour.model_copy(update={"community_extensions": supported})
        self.world.settings = self.world.settings.model_copy(update={"behaviour": behaviour})
        if probe:
            self.server.faults.replace(())
            found = self.run(self.adapter.reactions.probe())
            expected = DisplayMode.EXTENSIONS if supported else DisplayMode.STORE
            assert found.mode is (self.settings.reactions.display_mode or expected)
            self.what_plain_clients_see_is_the_truth()

    @invariant()
    def the_truth_is_the_model(self) -> None:
        found = self.run(self.adapter.reactions.get(self.ref, USERS[0]))
        assert dict(found.counts) == Counter(self.model.truth.values())
        assert found.mine == tuple(filter(None, [self.model.truth.get(USERS[0])]))

    @rule()
    def what_plain_clients_see_is_the_truth(self) -> None:
        self.settle()
        counts, message = Counter(self.model.truth.values()), self.message()
        pairs = message.extensions.pairs if message.extensions else {}
        shown = {key[2:]: int(value) for key, (value, _) in pairs.items() if value and key.startswith("n|")}
        data = counts_in(message.cloud_custom_data)
        if self.mode() is DisplayMode.EXTENSIONS:
            assert shown == counts
            assert data == {}
            if self.supported():
                assert sum(key.startswith("r|") for key in pairs if pairs[key][0]) <= KEYS_KEPT + self.unheard(pairs)
        else:
            assert data == (counts if self.mode() is DisplayMode.CUSTOM_DATA else {})
        assert orjson.loads(message.cloud_custom_data or "{}").keys() <= {"channel_adapter"}
        listed = self.run(self.reactors())
        assert listed == self.model.truth

    def unheard(self, pairs: dict[str, tuple[str | None, int]]) -> int:
        """Return the number of keys that were never reported to the adapter."""
        return sum(
            pairs[f"r|{user}"][1] != self.model.folded.get(user)
            for user in USERS
            if pairs.get(f"r|{user}", (None, 0))[0]
        )

    async def reactors(self) -> dict[str, str]:
        return {each.user: each.emoji async for each in self.adapter.reactions.reactors(self.ref)}

    def settle(self) -> None:
        self.server.faults.replace(())

        async def quiet() -> None:
            opened = await self.adapter.reactions._require_store()
            opened._publisher.wake()
            while await opened._store.pending() or opened._publisher.busy:  # a superseded publisher writes too
                await opened._clock.sleep(0.1)

        self.run(quiet())

    def supported(self) -> bool:
        return self.world.settings.behaviour.community_extensions

    def message(self) -> Any:
        return self.world.state.group(self.ref.channel).log.get(self.ref.seq)

    def mode(self) -> DisplayMode:
        """Return where this post's counts are shown, according to the store."""

        async def ask() -> DisplayMode:
            opened = await self.adapter.reactions._require_store()
            claims = opened._publisher._claims
            while (claim := await claims.claim_for_reading(self.ref, opened._clock.now())) is None:
                await opened._clock.sleep(0.1)
            await claims.finish([ClaimResult(claim, ClaimEnd.RELEASED, 0.0)], opened._clock.now())
            return claim.mode or DisplayMode.EXTENSIONS

        return self.run(ask())


LIVES = settings(max_examples=8, stateful_step_count=30, suppress_health_check=list(HealthCheck))
ReactionLives.TestCase.settings = LIVES
TestReactionLives = ReactionLives.TestCase


def test_reaction_state_machine_agrees_with_counts_in_custom_data() -> None:
    with_custom_data: Any = partial(ReactionLives, display="custom_data")
    run_state_machine_as_test(with_custom_data, settings=settings(LIVES, max_examples=3))


def test_reaction_state_machine_agrees_on_postgresql(
    new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(database: Database, now: float) -> ColumnElement[float]:
        return literal(now)

    monkeypatch.setattr(Database, "now", here)  # the server's clock is not accelerated
    on_postgresql: Any = partial(ReactionLives, new_postgres_url)
    run_state_machine_as_test(on_postgresql, settings=settings(LIVES, max_examples=3))
