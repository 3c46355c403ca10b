"""The stub as a stranger meets it: raw HTTP, signatures of the official package, nothing of client or models."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import pytest
import TLSSigAPIv2
from aiohttp import web

from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.plane import ControlSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from tests.stub.app_server import GROUP, App

NOW = 1_760_000_000
GROUPS = "group_open_http_svc"
ACCOUNTS = "im_open_login_svc"
IMPORT_MANY = f"{ACCOUNTS}/multiaccount_import"


@dataclass
class Caller:
    """Someone who knows the documentation: builds URLs by hand and reads envelopes."""

    server: StubServer
    session: aiohttp.ClientSession

    def signature(self, identifier: str | None = None, *, key: str | None = None, expire: int = 86_400) -> str:
        """A UserSig as the official package makes it, by the machine's clock."""
        maker = TLSSigAPIv2.TLSSigAPIv2(self.server.sdkappid, key or self.server.key)
        signature: str = maker.gen_sig(identifier or self.server.admin, expire)
        return signature

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """The query string of a good call, with changes; None leaves a name out."""
        good = {
            "sdkappid": str(self.server.sdkappid),
            "identifier": self.server.admin,
            "usersig": self.signature(),
            "random": "99999999",
            "contenttype": "json",
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    async def send(self, path: str, body: bytes, /, **changes: str | None) -> dict[str, Any]:
        """One request with a body of any bytes. Asserts what holds for every answer: status 200 and an envelope."""
        return await self.request("POST", path, body, **changes)

    async def request(self, method: str, path: str, body: bytes, /, **changes: str | None) -> dict[str, Any]:
        """The same with another method."""
        url = self.server.url + path
        async with self.session.request(method, url, params=self.parameters(**changes), data=BytesIO(body)) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            answer: dict[str, Any] = json.loads(await response.read())
        assert isinstance(answer["ErrorCode"], int)
        assert isinstance(answer["ErrorInfo"], str)
        assert answer["ActionStatus"] == ("OK" if answer["ErrorCode"] == 0 else "FAIL")
        return answer

    async def call(self, command: str, body: Any, **changes: str | None) -> dict[str, Any]:
        """A call of `service/command` with a JSON body."""
        return await self.send(f"/v4/{command}", json.dumps(body).encode(), **changes)

    async def must(self, command: str, body: Any) -> dict[str, Any]:
        """A call that has to succeed."""
        answer = await self.call(command, body)
        assert answer["ErrorCode"] == 0, answer
        return answer


@pytest.fixture
def clock() -> StubClock:
    """The world's clock; it runs until a test freezes or moves it."""
    return StubClock()


@pytest.fixture
def settings() -> StubSettings:
    """Settings of the stub under test; a module overrides this fixture to change them."""
    return StubSettings()


@pytest.fixture
async def server(settings: StubSettings, clock: StubClock) -> AsyncIterator[StubServer]:
    async with StubServer(settings, clock=clock) as running:
        yield running
        assert running.app.failures == 0


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def caller(server: StubServer, session: aiohttp.ClientSession) -> Caller:
    return Caller(server, session)


Start = Callable[[StubServer], Caller]


@pytest.fixture
def stranger(session: aiohttp.ClientSession) -> Start:
    """A caller of a server that the test made by itself."""
    return lambda server: Caller(server, session)


@pytest.fixture
async def app() -> App:
    """The app's server, as a test asks what it heard and says what it answers."""
    return App()


@pytest.fixture
async def hook_url(app: App) -> AsyncIterator[str]:
    """Where the app listens."""
    listening = web.Application()
    listening.router.add_post("/hook", app.receive)
    runner = web.AppRunner(listening, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


@pytest.fixture
async def hooked(app: App, hook_url: str, clock: StubClock, session: aiohttp.ClientSession) -> AsyncIterator[Caller]:
    """A caller of a stub with a group, whose app has been told of everything so far and forgot it."""
    async with StubServer(clock=clock, webhooks=CallbackSettings(url=hook_url), control=ControlSettings()) as server:
        caller = Caller(server, session)
        await caller.must(IMPORT_MANY, {"AccountList": [{"UserID": "editor"}, {"UserID": "reader_1"}]})
        group = {"Type": "Community", "Name": "Harbour", "GroupId": GROUP, "Owner_Account": "editor"}
        await caller.must(f"{GROUPS}/create_group", {**group, "ApplyJoinOption": "FreeAccess"})
        await server.webhooks.idle()
        app.told.clear()
        yield caller
        assert server.app.failures == 0
