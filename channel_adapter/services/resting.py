"""Waiting for a while, or until something happens."""

import asyncio
from collections.abc import Awaitable, Callable

from channel_adapter.tencent.clock import Clock


async def rest(clock: Clock, seconds: float, woken: asyncio.Event) -> None:
    """Return after so many seconds, or as soon as the event is set."""
    waits: list[Callable[[], Awaitable[object]]] = [woken.wait, lambda: clock.sleep(seconds)]
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
