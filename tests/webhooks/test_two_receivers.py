"""Users of client apps, a stub that repeats and reorders its webhooks, and two receivers behind one address."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, PostRef
from channel_adapter.stub.callbacks.request import CallbackSettings as ToReceiver
from channel_adapter.stub.control.user_actions import UserAction, perform
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.webhooks.trigger import trigger
from tests.webhooks.rig import Process, engine_of, start
from tests.webhooks.scenario import ADMIN, KEEPER, LIGHTHOUSE, MATE, OTHER, TOKEN, settings_of

GROUPS = "group_open_http_svc"
CREW = [f"sailor_{n}" for n in range(6)]
COOK = "cook"
PATIENCE = 60
WAITING = sa.text("SELECT count(*) FROM inbox_event WHERE state = 'waiting'")
KNOWN = sa.text("SELECT count(*) FROM inbox_event")
ROWS = sa.text("SELECT account, who, pid FROM effect")


@dataclass
class Fleet:
    """All open parts of the test. `other` is another program of the app."""

    stub: StubServer
    other: ChannelAdapter
    url: str
    receivers: list[Process]
    engine: sa.Engine

    async def act(self, user: str, do: str, **arguments: Any) -> None:
        action = UserAction.model_validate({"user": user, "do": do, "platform": "iOS", "with": arguments})
        await perform(self.stub.world, self.stub.webhooks, action, "127.0.0.1")

    async def role(self, user: str, name: str) -> None:
        member = {"GroupId": LIGHTHOUSE, "Member_Account": user, "Role": name}
        await self.other.call(GROUPS, "modify_group_member_info", member)

    async def settle(self, events: int) -> list[tuple[str, str, int]]:
        """Wait until this many events are stored and none is waiting; return kind, key and process of each effect."""
        await self.stub.webhooks.idle()
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(self._has_handled, events):  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.05)
        with self.engine.connect() as connection:
            return [(str(kind), str(key), int(pid)) for kind, key, pid in connection.execute(ROWS)]

    def _has_handled(self, events: int) -> bool:
        with self.engine.connect() as connection:
            return (connection.scalar(KNOWN) or 0) >= events and connection.scalar(WAITING) == 0

    async def may_post(self, user: str) -> list[bool]:
        """Return whether each receiver allows a post of the user."""
        draft = {"GroupId": LIGHTHOUSE, "From_Account": user, "Operator_Account": user}
        answers = [
            await trigger(each.url, "BeforeSendMsg", draft, sdkappid=self.stub.sdkappid, token=SecretStr(TOKEN))
            for each in self.receivers
        ]
        return [answer.answer["ErrorCode"] == 0 for answer in answers]

    async def until_may_post(self, user: str, answers: list[bool]) -> None:
        async with asyncio.timeout(PATIENCE):  # cache entries are valid for 300 s
            while await self.may_post(user) != answers:  # noqa: ASYNC110 - other processes answer
                await asyncio.sleep(0.05)


@asynccontextmanager
async def balancer(receivers: list[Process]) -> AsyncIterator[str]:
    """Run one address for all receivers: requests go to any of them, some to both, as after a lost response."""
    chance = random.Random(3)

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        first, second = chance.sample(receivers, 2)
        for each in (second, first) if chance.random() < 0.3 else (first,):
            async with session.post(f"{each.url}?{request.query_string}", data=body) as got:
                status, answer = got.status, await got.read()
        return web.Response(status=status, body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post("/", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    async with aiohttp.ClientSession() as session:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        await runner.cleanup()


@pytest.fixture
async def fleet(tmp_path: Path, postgres_url: str) -> AsyncIterator[Fleet]:
    played = StubSettings.model_validate({"app": {"admins": [ADMIN, OTHER], "group_fields": ["ch_tag"]}})
    engine = engine_of(postgres_url)
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(StubServer(played))
        config = tmp_path / "adapter.toml"
        lines = {"sdkappid": stub.sdkappid, "key": stub.key, "base_url": stub.url, "database_url": postgres_url}
        table = f'[webhooks]\ntokens = ["{TOKEN}"]\nlost_after_seconds = 0\n[inbox]\nretry_seconds = 0.1\n'
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
        config.write_text(text + table, encoding="utf-8")
        handlers = "tests.webhooks.effects:register_everything"
        receivers = await asyncio.gather(*(asyncio.to_thread(start, config, handlers=handlers) for _ in range(2)))
        for each in receivers:
            stack.callback(each.kill)
        url = await stack.enter_async_context(balancer(receivers))
        other = await stack.enter_async_context(ChannelAdapter.open(settings_of(stub, OTHER)))
        await other.accounts.add([KEEPER, MATE, COOK, *CREW])
        stub.webhooks.settings = ToReceiver(
            url=url, token=SecretStr(TOKEN), duplicate=0.4, delay_spread=0.05, timeout=60.0, retries=50, retry_delay=0.1
        )
        yield Fleet(stub, other, postgres_url, receivers, engine)
        await stub.webhooks.stop()
    engine.dispose()


async def a_day(fleet: Fleet) -> PostRef:
    """Perform typical actions of users in a channel; return the post with the reactions."""
    await fleet.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
    for user in (MATE, COOK, *CREW):
        await fleet.act(user, "join", group_id=LIGHTHOUSE)
    await fleet.role(MATE, "Admin")
    for number in range(1, 5):
        post = {"body": f"post {number}", "random": number, "supports_extensions": True}
        await fleet.act(KEEPER, "post", group_id=LIGHTHOUSE, **post)
    for emoji in ("👍", "❤️", "👍"):
        for user in CREW:
            await fleet.act(user, "set_extensions", group_id=LIGHTHOUSE, seq=1, pairs={f"r|{user}": emoji})
    await fleet.act(CREW[0], "set_extensions", group_id=LIGHTHOUSE, seq=1, pairs={f"r|{CREW[0]}": "😮"})
    await fleet.act(CREW[1], "delete_extensions", group_id=LIGHTHOUSE, seq=1, keys=[f"r|{CREW[1]}"])
    await fleet.act(MATE, "edit", group_id=LIGHTHOUSE, seq=2, body="edited")
    await fleet.act(KEEPER, "recall", group_id=LIGHTHOUSE, seq=3)
    await fleet.act(COOK, "leave", group_id=LIGHTHOUSE)
    return PostRef(LIGHTHOUSE, 1)


DAY = {
    "ChannelCreated": 1, "Subscribed": 8, "RoleChanged": 1, "PostPublished": 4, "ReactionChanged": 20,
    "PostEdited": 1, "PostRecalled": 1, "Unsubscribed": 1,
}  # fmt: skip


async def test_each_effect_happens_once_and_the_final_state_is_correct(fleet: Fleet) -> None:
    ref = await a_day(fleet)
    done = await fleet.settle(sum(DAY.values()))
    assert Counter(kind for kind, _, _ in done) == DAY
    assert set(Counter(key for _, key, _ in done).values()) == {1}
    assert {pid for *_, pid in done} == {each.process.pid for each in fleet.receivers}
    settings = settings_of(fleet.stub, ADMIN, database_url=fleet.url)
    async with ChannelAdapter.open(settings) as adapter:
        found = await adapter.reactions.get(ref)
        assert found.counts == {"👍": 4, "😮": 1}
        known = await adapter.pipeline.registry.get(LIGHTHOUSE)
        assert known is not None
        assert (known.name, known.owner) == ("Lighthouse", KEEPER)
    await fleet.until_may_post(MATE, [True, True])
    assert await fleet.may_post(CREW[2]) == [False, False]
    await fleet.role(MATE, "Member")
    await fleet.until_may_post(MATE, [False, False])
    assert await fleet.may_post(KEEPER) == [True, True]
    assert len(await fleet.settle(sum(DAY.values()) + 1)) == len(done) + 1
