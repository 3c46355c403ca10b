"""One behaviour suite on every server: the stub over HTTP, the stub over TLS, and, by choice, the live service.

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
from channel_adapter.settings import ChannelSettings
from channel_adapter.stub.serve import StubServer
from channel_adapter.stub.settings import StubSettings

LIVE = os.environ.get("CHANNEL_ADAPTER_LIVE")
SERVERS = ["stub", "stub over tls", *(["live"] if LIVE else [])]
KEYS = ["ch_tag", "ch_org", *(f"ch_data_{n}" for n in range(1, 7))]
OWNER = "conformance_owner"
READERS = [f"conformance_reader_{n}" for n in range(45)]


@dataclass(frozen=True)
class Setting:
    """An open adapter, and a slug that nobody else uses."""

    adapter: ChannelAdapter
    slug: str
    server: StubServer | None


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
            yield Setting(adapter, slug, None)
            await adapter.channels.delete(slug)
        return
    stub = StubSettings.model_validate({"app": {"group_fields": KEYS}})
    async with (
        StubServer(stub, tls=request.param == "stub over tls") as server,
        ChannelAdapter.open(settings_for(server)) as adapter,
    ):
        assert (await adapter.accounts.add([OWNER, *READERS])).complete
        yield Setting(adapter, slug, server)
