"""Stub for third-party callers: raw HTTP, signatures of the official package, no code of the adapter."""

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
    """Caller written from the documentation: builds URLs by hand and reads envelopes."""

    server: StubServer
    session: aiohttp.ClientSession

    def signature(self, identifier: str | None = None, *, key: str | None = None, expire: int = 86_400) -> str:
        """Return a UserSig as the official package makes it, by the clock of the machine."""
        maker = TLSSigAPIv2.TLSSigAPIv2(self.server.sdkappid, key or self.server.key)
        signature: str = maker.gen_sig(identifier or self.server.admin, expire)
        return signature

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """Return the query string of a valid call, with changes; None omits a name."""
        good = {
            "sdkappid": str(self.server.sdkappid),
            "identifier": self.server.admin,
            "usersig": self.signature(),
            "random": "99999999",
            "contenttype": "json",
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    async def send(self, path: str, body: bytes, /, **changes: str | None) -> dict[str, Any]:
        """Send a POST request with any bytes; check status 200 and the envelope, and return the answer."""
        return await self.request("POST", path, body, **changes)

    async def request(self, method: str, path: str, body: bytes, /, **changes: str | None) -> dict[str, Any]:
        """Send a request with any method; check status 200 and the envelope, and return the answer."""
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
        """Call `service/command` with a JSON body."""
        return await self.send(f"/v4/{command}", json.dumps(body).encode(), **changes)

    async def must(self, command: str, body: Any) -> dict[str, Any]:
        """Call a command, and check that it succeeds."""
        answer = await self.call(command, body)
        assert answer["ErrorCode"] == 0, answer
        return answer


@pytest.fixture
def clock() -> StubClock:
    """Return the clock of the stub; it runs until a test freezes or moves it."""
    return StubClock()


@pytest.fixture
def settings() -> StubSettings:
    """Return the settings of the stub under test; a module overrides this fixture to change them."""
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
    """Return a function that makes a caller of a server which the test started itself."""
    return lambda server: Caller(server, session)


@pytest.fixture
async def app() -> App:
    """Return the app's server; a test reads its received webhooks and sets its answers."""
    return App()


@pytest.fixture
async def hook_url(app: App) -> AsyncIterator[str]:
    """Yield the URL at which the app receives webhooks."""
    listening = web.Application()
    listening.router.add_post("/hook", app.receive)
    runner = web.AppRunner(listening, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


@pytest.fixture
async def hooked(app: App, hook_url: str, clock: StubClock, session: aiohttp.ClientSession) -> AsyncIterator[Caller]:
    """Yield a caller of a stub with a group, whose app has received and cleared all webhooks so far."""
    async with StubServer(clock=clock, webhooks=CallbackSettings(url=hook_url), control=ControlSettings()) as server:
        caller = Caller(server, session)
        await caller.must(IMPORT_MANY, {"AccountList": [{"UserID": "editor"}, {"UserID": "reader_1"}]})
        group = {"Type": "Community", "Name": "Harbour", "GroupId": GROUP, "Owner_Account": "editor"}
        await caller.must(f"{GROUPS}/create_group", {**group, "ApplyJoinOption": "FreeAccess"})
        await server.webhooks.idle()
        app.told.clear()
        yield caller
        assert server.app.failures == 0
