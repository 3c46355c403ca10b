"""One behaviour suite over mode x server x store; `modes.py` has the table of what works in official mode.

The servers are the stub over HTTP, over TLS, and with system notices; the stores are none, SQLite and PostgreSQL. The
full product is not run: each test runs in either mode on every server and with every store, and which server has which
store differs from test to test, so that the suite as a whole has every combination.

`CHANNEL_ADAPTER_LIVE=adapter.toml` adds the live service; its app must have the owner and reader accounts below.
"""

import os
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ChannelId, Settings
from channel_adapter.config.settings import ChannelSettings, PostSettings
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.mapping.ids import SCHEMES
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.tencent.client import Attempt
from tests.conformance.modes import is_expected, works

LIVE = os.environ.get("CHANNEL_ADAPTER_LIVE")
STUB, TLS, NOTICES = "stub", "stub over TLS", "stub with system notices"
SERVERS = (STUB, TLS, NOTICES)
NO_DATABASE, SQLITE, POSTGRES = "no database", "SQLite", "PostgreSQL"
STORES = (NO_DATABASE, SQLITE, POSTGRES)
KEYS = ["ch_tag", "ch_org", *(f"ch_data_{n}" for n in range(1, 7))]
OWNER = "conformance_owner"
READERS = [f"conformance_reader_{n}" for n in range(45)]

Test = TypeVar("Test", bound=Callable[..., Any])
BROADCASTS = 100_000
"""Posts a second and an hour of an account: the tests make more than the 2 an hour that the service accepts."""


@dataclass(frozen=True)
class Variant:
    """What a test runs on."""

    mode: Mode
    server: str
    store: str

    def __str__(self) -> str:
        return f"{self.mode.value}, {self.server}, {self.store}"


RunsOn = dict[Mode, Sequence[str]]
"""The stores of each mode that a test runs on."""

EVERYWHERE: RunsOn = dict.fromkeys(Mode, STORES)
WITH_DATABASE: RunsOn = dict.fromkeys(Mode, (SQLITE, POSTGRES))
COMMUNITY: RunsOn = {Mode.COMMUNITY: STORES}


def variants(stores: RunsOn, first: int) -> list[Variant]:
    """Return every server in each mode, with one store after the other, from the store number `first` on."""
    return [
        Variant(mode, server, names[(number + first) % len(names)])
        for mode, names in stores.items()
        for number, server in enumerate(SERVERS)
    ]


def on(stores: RunsOn) -> Callable[[Test], Test]:
    """Run a test on these; its module may say the same of all its tests, as `RUNS_ON`."""

    def marked(test: Test) -> Test:
        test.runs_on = stores  # type: ignore[attr-defined]
        return test

    return marked


community_only = on(COMMUNITY)
"""For tests of groups, which have no counterpart in official mode."""


@dataclass(frozen=True)
class Setting:
    """An open adapter, and a slug that no other test uses.

    `exact`: history may contain system notices, so only exact counts are counts of posts.
    """

    adapter: ChannelAdapter
    slug: str
    server: StubServer | None
    exact: bool

    @property
    def mode(self) -> Mode:
        return self.adapter.settings.mode

    @property
    def stored(self) -> bool:
        return self.adapter.settings.database_url is not None

    @property
    def can_react(self) -> bool:
        """Without a database, reactions are on the messages of groups alone."""
        return self.stored or self.adapter.can.service_reactions

    def id_of(self, slug: str) -> ChannelId:
        return SCHEMES[self.mode].from_slug(slug)

    async def supports(self, name: str, work: Awaitable[object]) -> bool:
        """Do the work of a method or option; return False after UnsupportedError, where the table expects it."""
        if self.mode is Mode.COMMUNITY or works(name):
            await work
            return True
        with pytest.raises(UnsupportedError) as refused:
            await work
        assert is_expected(refused.value)
        return False


def settings_for(server: StubServer) -> Settings:
    return Settings(
        sdkappid=server.sdkappid,
        key=SecretStr(server.key),
        admin=server.admin,
        base_url=server.url,
        ca_file=server.ca_file,
        channels=ChannelSettings(organization_key="ch_org", custom_data_keys=tuple(KEYS[2:])),
    )


def official(settings: Settings, database_url: str | None) -> Settings:
    """Return settings of official mode, without the delay of a second between posts."""
    changes = {
        "mode": Mode.OFFICIAL,
        "posts": PostSettings(broadcasts_per_second=BROADCASTS, broadcasts_per_hour=BROADCASTS),
        "database_url": SecretStr(database_url) if database_url else None,
    }
    return settings.model_copy(update=changes)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each server in the modes and with the stores that it, or its module, names."""
    fixture = next((name for name in ("setting", "talk") if name in metafunc.fixturenames), None)
    if fixture is not None:
        stores = getattr(metafunc.function, "runs_on", getattr(metafunc.module, "RUNS_ON", EVERYWHERE))
        chosen: list[object] = [*variants(stores, zlib.crc32(metafunc.function.__name__.encode()))]
        if LIVE and fixture == "setting" and Mode.COMMUNITY in stores:
            chosen.append("live")
        metafunc.parametrize(fixture, chosen, indirect=True, ids=str)


OpenVariant = Callable[..., AbstractAsyncContextManager[Setting]]


@pytest.fixture
def open_variant(request: pytest.FixtureRequest, tmp_path: Path) -> OpenVariant:
    """Open an adapter on a server and a store of their own; `shared`: PostgreSQL has rows of other tests.

    `limits` are of the stub.
    """

    @asynccontextmanager
    async def opened(
        variant: Variant,
        *,
        shared: bool = False,
        limits: dict[str, int] | None = None,
        observer: Callable[[Attempt], None] | None = None,
    ) -> AsyncIterator[Setting]:
        notices = variant.server == NOTICES
        own = {"official_broadcasts_per_hour": BROADCASTS, "official_messages_per_second": BROADCASTS, **(limits or {})}
        app = {"group_fields": KEYS, "system_notices": notices}
        stub = StubSettings.model_validate({"app": app, "limits": own})
        url = {SQLITE: f"sqlite:///{tmp_path / 'app.db'}"}.get(variant.store)
        if variant.store == POSTGRES:
            url = request.getfixturevalue("shared_postgres_url" if shared else "postgres_url")
        async with StubServer(stub, tls=variant.server == TLS) as server:
            settings = settings_for(server).model_copy(update={"database_url": SecretStr(url) if url else None})
            if variant.mode is Mode.OFFICIAL:
                settings = official(settings, url)
            async with ChannelAdapter.open(settings, observer=observer) as adapter:
                yield Setting(adapter, f"conformance_{uuid.uuid4().hex[:12]}", server, exact=notices)

    return opened


@pytest.fixture
async def setting(request: pytest.FixtureRequest, open_variant: OpenVariant) -> AsyncIterator[Setting]:
    if request.param == "live":
        async with ChannelAdapter.open(Path(LIVE or "")) as adapter:
            slug = f"conformance_{uuid.uuid4().hex[:12]}"
            yield Setting(adapter, slug, None, exact=True)
            await adapter.channels.delete(slug)
        return
    async with open_variant(request.param, shared=True) as opened:
        assert (await opened.adapter.accounts.add([OWNER, *READERS])).complete
        yield opened
