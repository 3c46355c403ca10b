"""A console on an embedded stub, and a client that sends forms as a browser without JavaScript does."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.settings import ChannelSettings, InboxSettings
from channel_adapter.console import ConsoleOptions, Operator, application
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

OWNER = "editor_7"
READERS = [f"reader_{number}" for number in range(1, 13)]
FIELDS = ["ch_tag", "ch_org", "ch_data_1"]
ROLE_HEADER = "X-Test-Role"


class Forms(HTMLParser):
    """Forms of a page: the action of each, and the unchanged fields that a browser would send."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._area = ""
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "form":
            self.forms.append((values.get("action", ""), {}))
        elif not self.forms or not (name or tag == "option"):
            return
        elif tag == "input" and (values.get("type") not in ("radio", "checkbox") or "checked" in values):
            self.forms[-1][1][name] = values.get("value", "on")
        elif tag == "textarea":
            self._area = name
            self.forms[-1][1][name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in values or self._select not in self.forms[-1][1]):
            self.forms[-1][1][self._select] = values.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1][1][self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            fields = self.forms[-1][1]
            fields[self._area] = fields[self._area].removeprefix("\n")
            self._area = ""


@dataclass(frozen=True)
class Answer:
    """One answer of the console."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def place(self) -> str:
        """Return the target of a redirect."""
        return self.headers["Location"]

    @property
    def heading(self) -> str:
        """Return the text of the only h1."""
        (found,) = re.findall(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return str(found).strip()

    def form(self, action: str) -> dict[str, str]:
        """Return the fields of the form with this action."""
        return next(fields for place, fields in Forms(self.text).forms if place == action)


class Browser:
    """Client of one operator that sends requests as a browser does."""

    def __init__(self, client: "TestClient[Any, Any]", role: str) -> None:
        self._client = client
        self.headers = {ROLE_HEADER: role} if role else {}

    async def get(self, place: str, **headers: str) -> Answer:
        """Load a page."""
        return await self._send("GET", place, headers, None)

    async def post(self, place: str, fields: Any, **headers: str) -> Answer:
        """Send a form from a page of the console."""
        return await self._send("POST", place, {"Sec-Fetch-Site": "same-origin", **headers}, fields)

    async def submit(self, page: str, action: str = "", /, **changes: str) -> Answer:
        """Load a page, change fields of a form on it, and send it."""
        form = (await self.get(page)).form(action or page)
        return await self.post(action or page, {**form, **changes})

    async def _send(self, method: str, place: str, headers: Mapping[str, str], fields: Any) -> Answer:
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self._client.request(method, place, headers=given, data=fields, allow_redirects=False) as reply:
            return Answer(reply.status, await reply.text(), dict(reply.headers))


@dataclass(frozen=True)
class Served:
    """A running console."""

    adapter: ChannelAdapter
    stub: StubServer
    client: "TestClient[Any, Any]"

    def browser(self, role: str = "admin") -> Browser:
        """Return a browser of an operator with a role; without a role it is not signed in."""
        return Browser(self.client, role)


def authorise(request: web.Request) -> Operator | None:
    """Read the role from a header, in place of an app's own sessions."""
    role = request.headers.get(ROLE_HEADER)
    return None if role is None else Operator(f"{role}_1", role)  # type: ignore[arg-type]


@pytest.fixture
async def stub() -> AsyncIterator[StubServer]:
    settings = StubSettings.model_validate({"app": {"group_fields": FIELDS}})
    async with StubServer(settings) as server:
        yield server


def settings_for(stub: StubServer, **changes: Any) -> Settings:
    return Settings(
        sdkappid=stub.sdkappid,
        key=SecretStr(stub.key),
        admin=stub.admin,
        base_url=stub.url,
        rate_limits=False,
        channels=ChannelSettings(organization_key="ch_org", custom_data_keys=("ch_data_1",)),
        **{"total_seconds": 2.0, **changes},
    )


@pytest.fixture
async def adapter(stub: StubServer) -> AsyncIterator[ChannelAdapter]:
    async with ChannelAdapter.open(settings_for(stub)) as opened:
        await opened.accounts.add([OWNER, *READERS])
        await opened.channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
        yield opened


@pytest.fixture
async def served(adapter: ChannelAdapter, stub: StubServer) -> AsyncIterator[Served]:
    app = application(adapter, authorise, options=ConsoleOptions())
    async with TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client:
        yield Served(adapter, stub, client)


@pytest.fixture
async def stored(stub: StubServer, adapter: ChannelAdapter, tmp_path: Path) -> AsyncIterator[Served]:
    """Yield a console with a database, on the channel of `adapter`."""
    inbox = InboxSettings(attempts=1, retry_seconds=0.0)
    settings = settings_for(stub, database_url=f"sqlite:///{tmp_path / 'console.db'}", inbox=inbox)
    async with ChannelAdapter.open(settings) as own, TestClient(TestServer(application(own, authorise))) as client:
        yield Served(own, stub, client)


@pytest.fixture
def browser(served: Served) -> Browser:
    return served.browser()
