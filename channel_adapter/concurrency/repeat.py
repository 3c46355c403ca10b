"""Work that is repeated in the background: it goes on after every failure, and each failure is reported."""

import asyncio
from collections.abc import Awaitable, Callable

from channel_adapter.concurrency.clock import Clock, wait_or_set


async def repeat(
    chore: Callable[[], Awaitable[float | None]],
    pause: float,
    clock: Clock,
    log: Callable[[Exception], object],
    *,
    first: float = 0.0,
    until: asyncio.Event | None = None,
) -> None:
    """Run a chore again and again until cancelled, the first time after `first` seconds of the clock.

    The pause between two runs is `pause` seconds, or what the chore returns. An exception of the chore is passed to
    `log`, within the `except` block, and the next run follows. Returns when `until` is set, which also ends a pause.
    """
    wait = first
    while until is None or not until.is_set():
        if until is None:
            await clock.sleep(wait)
        elif wait > 0:
            await wait_or_set(clock, wait, until)
            if until.is_set():
                return
        try:
            returned = await chore()
        except Exception as error:  # noqa: BLE001 - passed on
            log(error)
            returned = None
        wait = pause if returned is None else returned
