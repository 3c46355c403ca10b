"""One behaviour suite for every server and both modes: the stub over HTTP, over TLS, with system notices.

Official mode runs on the stub over HTTP with the stores that a module names; `modes.py` has the table of supported
methods.

`CHANNEL_ADAPTER_LIVE=adapter.toml` adds the live service; its app must have the owner and reader accounts below.
"""

import os
import uuid
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ChannelId, Settings
from channel_adapter.config.settings import ChannelSettings, PostSettings
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.mapping.ids import SCHEMES
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.modes import is_expected

LIVE = os.environ.get("CHANNEL_ADAPTER_LIVE")
NOTICES = "stub with system notices"
SERVERS = ["stub", "stub over tls", NOTICES, *(["live"] if LIVE else [])]
KEYS = ["ch_tag", "ch_org", *(f"ch_data_{n}" for n in range(1, 7))]
OWNER = "conformance_owner"
READERS = [f"conformance_reader_{n}" for n in range(45)]


OFFICIAL, SQLITE, POSTGRES, NO_DATABASE = Mode.OFFICIAL.value, "SQLite", "PostgreSQL", "without a database"
BROADCASTS = 100_000
"""Posts a second and an hour of an account: the tests make more than the 2 an hour that the service accepts."""


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

    def id_of(self, slug: str) -> ChannelId:
        return SCHEMES[self.mode].from_slug(slug)


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
    """Run a test on every server in Community mode, and in official mode with the stores that its module names."""
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "scene" in metafunc.fixturenames:  # has its own combinations
        return
    if "setting" in metafunc.fixturenames and "setting" not in marked:
        stores = getattr(metafunc.module, "OFFICIAL_STORES", (SQLITE,))
        metafunc.parametrize("setting", [*SERVERS, *(f"{OFFICIAL} {store}" for store in stores)], indirect=True)


community_only = pytest.mark.parametrize("setting", SERVERS, indirect=True)
"""For tests of groups, which have no counterpart in official mode."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test pass in official mode when it raises an UnsupportedError that the table expects."""
    try:
        return (yield)
    except UnsupportedError as error:
        setting = getattr(item, "funcargs", {}).get("setting")
        if setting is None or setting.mode is not Mode.OFFICIAL or not is_expected(error):
            raise
        return None


@pytest.fixture
async def setting(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Setting]:
    slug = f"conformance_{uuid.uuid4().hex[:12]}"
    if request.param == "live":
        async with ChannelAdapter.open(Path(LIVE or "")) as adapter:
            yield Setting(adapter, slug, None, exact=True)
            await adapter.channels.delete(slug)
        return
    notices = request.param == NOTICES
    mode, _, store = request.param.partition(" ")
    limits = {"official_broadcasts_per_hour": BROADCASTS, "official_messages_per_second": BROADCASTS}
    app = {"group_fields": KEYS, "system_notices": notices}
    stub = StubSettings.model_validate({"app": app, "limits": limits})
    async with StubServer(stub, tls=request.param == "stub over tls") as server:
        settings = settings_for(server)
        if mode == OFFICIAL:
            url = {SQLITE: f"sqlite:///{tmp_path / 'official.db'}"}.get(store)
            if store == POSTGRES:
                url = request.getfixturevalue("postgres_url")
            settings = official(settings, url)
        async with ChannelAdapter.open(settings) as adapter:
            assert (await adapter.accounts.add([OWNER, *READERS])).complete
            yield Setting(adapter, slug, server, exact=notices)
