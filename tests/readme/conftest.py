"""Stub for the code blocks of the manuals."""

from collections.abc import Iterator

import pytest

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings


@pytest.fixture
def stub() -> Iterator[StubServer]:
    settings = StubSettings.model_validate({"app": {"group_fields": ["ch_tag"]}})
    with StubServer(settings).run_in_thread() as server:
        yield server
