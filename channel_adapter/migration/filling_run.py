"""The workflow that fills conversation groups. Imported with DBOS by who fills them.

It has one step, as long as it takes. Who was killed in it is replaced by another process that works on the database,
and a filling that ended too early is begun again by whoever looks next.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from dbos import DBOS, SetWorkflowID

from channel_adapter.durable import Durable, Feature
from channel_adapter.errors import ConfigurationError
from channel_adapter.migration.filling import Filler
from channel_adapter.migration.metered import TRANSIENT
from channel_adapter.store.cutover import CutoverRow

WORKFLOW: Final = "migration.fill"
FILLING: Final = Feature("migration-fill", (WORKFLOW,), concurrency=1)
LOOK_SECONDS: Final = 10.0
"""How often a worker looks for cutovers that have come since."""
END_SECONDS: Final = 1.0
_ALIVE: Final = frozenset({"PENDING", "ENQUEUED", "DELAYED"})

_filler: Filler | None = None


@DBOS.step(name="migration.fill_step")
async def fill_step(name: str) -> str:
    """All of it; why it ended too early, if it did."""
    if _filler is None:
        raise ConfigurationError("nothing of a cutover can run here yet")
    return await _filler.fill(name)


@DBOS.workflow(name=WORKFLOW)
async def fill_groups(name: str) -> str:
    """The conversation groups of everybody whom one cutover concerns."""
    return await fill_step(name)


class Service:
    """What this process does about the fillings of one database."""

    def __init__(self, durable: Durable, filler: Filler) -> None:
        self.filler = filler
        self._durable = durable
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
        standing = await self._standing(row)
        while standing is not None:
            if standing in _ALIVE or not again:
                return
            await self._store.change(row.migration, fill_run=row.fill_run + 1)
            row = replace(row, fill_run=row.fill_run + 1)
            standing = await self._standing(row)
        with SetWorkflowID(_id(row)), self._durable.explained():  # two who come here at once queue the same
            await DBOS.enqueue_workflow_async(FILLING.name, fill_groups, row.migration)

    async def _standing(self, row: CutoverRow) -> str | None:
        """The status of the workflow of this run, if there is one."""
        found: list[Any] = await self._durable.in_thread(
            DBOS.list_workflows, workflow_ids=[_id(row)], load_input=False, load_output=False
        )
        return str(found[0].status) if found else None


@asynccontextmanager
async def working(url: str, filler: Filler) -> AsyncIterator[Service]:
    """This process fills, for the length of a block, whatever cutovers in the database wait for."""
    global _filler  # noqa: PLW0603 - DBOS calls functions by name; they find what they need here
    if _filler is not None:
        raise ConfigurationError("one process fills for one database of cutovers", field="database_url")
    _filler = filler
    try:
        durable = await Durable.start(url, FILLING)
        service = Service(durable, filler)
        looking = asyncio.ensure_future(service.keep_looking())
        try:
            yield service
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            filler.stop()
            with suppress(TimeoutError):  # what is not over by then is taken over by others
                await asyncio.wait_for(filler.idle.wait(), END_SECONDS)
            await durable.stop()
    finally:
        _filler = None


def _id(row: CutoverRow) -> str:
    return f"migration-fill:{row.migration}:{row.began:.0f}:{row.fill_run}"
