"""Blocking adapter on a stub."""

from collections.abc import Iterator

import pytest

from channel_adapter import Settings, SyncChannelAdapter
from channel_adapter.stub import StubServer
from channel_adapter.stub.settings import StubSettings


@pytest.fixture
def stub() -> Iterator[StubServer]:
    settings = StubSettings.model_validate({"app": {"group_fields": ["ch_tag"]}})
    with StubServer(settings).run_in_thread() as server:
        yield server


@pytest.fixture
def settings(stub: StubServer) -> Settings:
    tables = {"webhooks": {"tokens": ["orchid-7f"]}, "inbox": {"kind": "memory"}}
    return Settings.load(None, sdkappid=stub.sdkappid, key=stub.key, base_url=stub.url, **tables)


@pytest.fixture
def sync_adapter(settings: Settings) -> Iterator[SyncChannelAdapter]:
    with SyncChannelAdapter.open(settings) as adapter:
        yield adapter
