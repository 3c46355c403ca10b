"""A stub for third-party clients: in a thread, over http and https, each with a separate state."""

from collections.abc import Iterator

import pytest

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

SETTINGS = StubSettings.model_validate({"app": {"group_fields": ["ch_tag", "ch_org"], "member_fields": ["level"]}})


@pytest.fixture(params=["http", "https"])
def stub(request: pytest.FixtureRequest) -> Iterator[StubServer]:
    """Yield a running stub; with TLS a client must trust its `ca_file`."""
    with StubServer(SETTINGS, tls=request.param == "https").run_in_thread() as server:
        assert server.url.startswith(f"{request.param}://")
        yield server
        assert server.app.failures == 0
        assert server.world.unknown_fields == {}
