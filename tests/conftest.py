"""Settings for all tests, which start without the environment variables of this package."""

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# The duration of an example depends on the load of the machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ["tests.postgres"]

# The tests start hundreds of processes: the first one compiles the package for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Collected tests live until the end: the garbage collector can skip them.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHANNEL_ADAPTER_"):
            monkeypatch.delenv(name)
