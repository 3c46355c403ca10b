"""The job that fills conversation groups. Imported by processes that fill them.

It has one step, as long as it takes. When its process is killed, another one that works on the database goes on, and a
filling that ended too early is begun again by the next process that looks.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from channel_adapter.durable import Job, Jobs, Kind
from channel_adapter.migration.filling import Filler
from channel_adapter.migration.metered import TRANSIENT
from channel_adapter.store.cutover import CutoverRow

FILLING: Final = Kind("migration-fill", at_once=1)
LOOK_SECONDS: Final = 10.0
"""How often a worker looks for cutovers that have come since."""
END_SECONDS: Final = 1.0


class Service:
    """What this process does about the fillings of one database."""

    def __init__(self, jobs: Jobs, filler: Filler) -> None:
        self.filler = filler
        self._jobs = jobs
        self._store = filler.store

    async def queue(self, *, again: bool = True) -> None:
        """Queue every filling that is wanted and that nobody is at; with `again`, those too that ended too early."""
        for row in await self._store.unfilled_if_any():
            await self._queue(row, again=again)

    async def keep_looking(self) -> None:
        """Queue what cutovers elsewhere leave behind."""
        again = True
        while True:
            with suppress(*TRANSIENT):  # the next look comes soon
                await self.queue(again=again)
                again = False
            await asyncio.sleep(LOOK_SECONDS)

    async def _queue(self, row: CutoverRow, *, again: bool) -> None:
        state = await self._jobs.status(_key(row))
        while state is not None:
            if not (state.ended and again):
                return
            await self._store.change(row.migration, fill_run=row.fill_run + 1)
            row = replace(row, fill_run=row.fill_run + 1)
            state = await self._jobs.status(_key(row))
        # Two processes that come here at once start one job.
        await self._jobs.start(FILLING, _key(row), [row.migration])


def register(jobs: Jobs, filler: Filler) -> None:
    """Set what fills. Raises ConfigurationError if something in this process does so already."""

    async def fill(job: Job, name: str) -> str:
        return await job.step("fill", filler.fill, name)

    jobs.register(FILLING, fill)


@asynccontextmanager
async def looking(jobs: Jobs, filler: Filler) -> AsyncIterator[Service]:
    """Start jobs for what cutovers in the database wait for, for the length of a block; the filling ends with it."""
    service = Service(jobs, filler)
    looks = asyncio.ensure_future(service.keep_looking())
    try:
        yield service
    finally:
        looks.cancel()
        await asyncio.gather(looks, return_exceptions=True)
        filler.stop()
        with suppress(TimeoutError):  # what is not over by then is taken over by others
            await asyncio.wait_for(filler.idle.wait(), END_SECONDS)


def _key(row: CutoverRow) -> str:
    return f"migration-fill:{row.migration}:{row.began:.0f}:{row.fill_run}"
