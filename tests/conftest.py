"""Every test starts without our environment variables, whoever runs it."""

import os

import pytest

pytest_plugins = ["tests.postgres"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHANNEL_ADAPTER_"):
            monkeypatch.delenv(name)
