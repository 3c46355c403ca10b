"""The pytest fixture `channel_adapter`: an open adapter on the stub, for async tests.

It is apart from the stub, which does not import the adapter. Loop and scope are those of pytest-asyncio's settings.
"""

# ruff: noqa: PLC0415 - pytest loads this file in every project that has the package installed, most use nothing of it

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # another plugin runs the coroutines
    async_fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.config.settings import Settings
    from channel_adapter.stub.server import StubServer
    from channel_adapter.stub.world.stub_state import StubState


@pytest.fixture
def channel_adapter_settings(stub_server: "StubServer") -> "Settings":
    """Return the settings of the adapter; override it to change them. The environment is not read."""
    from pydantic import SecretStr

    from channel_adapter.config.settings import Settings

    return Settings(
        sdkappid=stub_server.sdkappid,
        key=SecretStr(stub_server.key),
        admin=stub_server.admin,
        base_url=stub_server.url,
        ca_file=stub_server.ca_file,
    )


@async_fixture
async def channel_adapter(
    channel_adapter_settings: "Settings", stub_world: "StubState"
) -> "AsyncIterator[ChannelAdapter]":
    """Return an open ChannelAdapter on an empty stub; it is closed after the test."""
    from channel_adapter.adapter import ChannelAdapter

    async with ChannelAdapter.open(channel_adapter_settings) as adapter:
        yield adapter
