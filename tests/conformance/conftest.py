"""One behaviour suite on every server: the stub over HTTP, over TLS, with system notices; the live service if set.

`CHANNEL_ADAPTER_LIVE=adapter.toml` adds the live service; its app must have the owner and reader accounts below.
"""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

LIVE = os.environ.get("CHANNEL_ADAPTER_LIVE")
NOTICES = "stub with system notices"
SERVERS = ["stub", "stub over tls", NOTICES, *(["live"] if LIVE else [])]
KEYS = ["ch_tag", "ch_org", *(f"ch_data_{n}" for n in range(1, 7))]
OWNER = "conformance_owner"
READERS = [f"conformance_reader_{n}" for n in range(45)]


@dataclass(frozen=True)
class Setting:
    """An open adapter, and a slug that no other test uses.

    `exact`: history may hold system notices, so only exact counts are counts of posts.
    """

    adapter: ChannelAdapter
    slug: str
    server: StubServer | None
    exact: bool


def settings_for(server: StubServer) -> Settings:
    return Settings(
        sdkappid=server.sdkappid,
        key=SecretStr(server.key),
        admin=server.admin,
        base_url=server.url,
        ca_file=server.ca_file,
        channels=ChannelSettings(organization_key="ch_org", custom_data_keys=tuple(KEYS[2:])),
    )


@pytest.fixture(params=SERVERS)
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    slug = f"conformance_{uuid.uuid4().hex[:12]}"
    if request.param == "live":
        async with ChannelAdapter.open(Path(LIVE or "")) as adapter:
            yield Setting(adapter, slug, None, exact=True)
            await adapter.channels.delete(slug)
        return
    notices = request.param == NOTICES
    stub = StubSettings.model_validate({"app": {"group_fields": KEYS, "system_notices": notices}})
    async with (
        StubServer(stub, tls=request.param == "stub over tls") as server,
        ChannelAdapter.open(settings_for(server)) as adapter,
    ):
        assert (await adapter.accounts.add([OWNER, *READERS])).complete
        yield Setting(adapter, slug, server, exact=notices)
