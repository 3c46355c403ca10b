"""Settings for all tests, which start without the environment variables of this package."""

import gc
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

# The duration of an example depends on the load of the machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ["tests.postgres"]

# The tests start hundreds of processes: the first one compiles the package for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Databases of tests wait for the disk, unless temporary files are in memory.
MEMORY = Path("/dev/shm")  # noqa: S108 - tempfile makes the names
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 6 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# Collected tests live until the end: the garbage collector can skip them.
gc.disable()


SLOW = {"cli", "durable", "faults", "interop", "migration", "observability", "readme", "schedule", "webhooks"}
"""Folders of tests that start processes or wait for leases."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each worker of xdist an equal part of the slow tests, which it runs first: at the end no worker waits."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = [item for item in items if SLOW.intersection(item.path.parts)]
    quick = [item for item in items if not SLOW.intersection(item.path.parts)]
    items[:] = [
        item
        for worker in range(workers)
        for tests in (slow, quick)
        for item in tests[len(tests) * worker // workers : len(tests) * (worker + 1) // workers]
    ]


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHANNEL_ADAPTER_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Restore logging, which a command in this process and `structlog.testing.capture_logs` leave configured."""
    logger = logging.getLogger("channel_adapter")
    level = logger.level
    yield
    logger.setLevel(level)
    structlog.reset_defaults()
