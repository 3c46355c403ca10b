"""Functions for `--handlers` of receivers whose process does not end by itself."""

import asyncio
import os
import time
from pathlib import Path

from channel_adapter import ChannelAdapter, Subscribed, UnavailableError

STARTED = "TEST_STARTED"
"""Environment variable with the file that exists until a receiver may fail."""


def register(_: ChannelAdapter) -> None:
    """Occupy a thread, which the end of the process waits for."""
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)


def register_waiting(adapter: ChannelAdapter) -> None:
    """Handle no event to its end."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def wait(event: Subscribed) -> None:
        await asyncio.Event().wait()


async def register_failing(adapter: ChannelAdapter) -> None:
    """Occupy a thread, and fail when the file is gone."""
    register(adapter)
    started = Path(os.environ[STARTED])
    started.touch()  # noqa: ASYNC240 - of another process
    while started.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    raise UnavailableError("the handlers cannot be registered")
