"""Synchronize conversation groups of subscribers after a cutover, in a job of any process that works on the database.

The position is recorded after every hundred users. When the process is killed, another worker continues there, and a
job that ended early is started again by the next worker that looks.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from channel_adapter.domain.ids import ChannelId
from channel_adapter.durable import Job, Jobs, Kind, open_jobs
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.migration.bounded import bounded
from channel_adapter.migration.budget import TRANSIENT, Allowance, Stopped
from channel_adapter.migration.cutover.cutover import PATIENT_LOCK_SECONDS
from channel_adapter.migration.target import member_pages
from channel_adapter.store.cutover import CutoverPeople, CutoverRow, CutoverStore
from channel_adapter.store.database import Database

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration


FILLED_AT_ONCE: Final = 100
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before trying again while the service does not answer. Where somebody waits for it, it ends after that."""


class Filler:
    """Fills for one cutover after the other, in this process. `patient`: never gives up while others may answer.

    `failure` is what has ended the last one.
    """

    def __init__(
        self, migration: "Migration", store: "CutoverStore", allowance: Allowance, *, patient: bool = False
    ) -> None:
        self.store = store
        self.allowance = allowance
        self.idle = asyncio.Event()
        self.idle.set()
        self.failure: ChannelAdapterError | None = None
        self._patient = patient
        self._work: asyncio.Future[str] | None = None
        self._migration = migration
        self._people = CutoverPeople(store.database)

    async def fill(self, name: str) -> str:
        """Until nobody is left; else why it ended before that, which is written down, too."""
        self.idle.clear()
        try:
            said = await self._ended(name)
            row = await self.store.cutover(name)
            if row is not None and row.fill_done:  # also who is stopped just then
                return ""
            await self.store.change(name, fill_said=said)
        finally:
            self.idle.set()
        return said

    def stop(self) -> None:
        """End now what is under way. Who was not written down yet is filled once more, which changes nothing."""
        self.allowance.stop("interrupted")
        if self._work is not None:
            self._work.cancel()

    async def _ended(self, name: str) -> str:
        """How it has ended; empty when it is done."""
        self._work = asyncio.ensure_future(self._fill_patiently(name))
        try:
            return await self._work
        except Stopped as end:
            return str(end)
        except asyncio.CancelledError:
            if not self.allowance.used_up:
                raise
            return self.allowance.reason
        except ChannelAdapterError as error:
            self.failure = error
            return error.message

    async def _fill_patiently(self, name: str) -> str:
        pauses = list(PAUSES)
        before = -1
        while True:
            try:
                return await self._fill(name)
            except TRANSIENT:
                row = await self.store.cutover(name)
                if row is not None and row.filled > before:
                    pauses, before = list(PAUSES), row.filled
                if not pauses and not self._patient:
                    raise
                await self._migration.clock.sleep(pauses.pop(0) if pauses else PAUSES[-1])

    async def _fill(self, name: str) -> str:
        while (row := await self.store.cutover(name)) is not None and not row.fill_done:
            if self.allowance.used_up:
                return self.allowance.reason
            if not row.people_listed:
                await self._list_people(name)
                continue
            people = await self._people.after(name, row.filled_to, FILLED_AT_ONCE)
            if people:
                await self._fill_some(row, people)
                continue
            await self.store.change(name, fill_done=1, fill_said="")
            await self._people.drop(name)
        return ""

    async def _fill_some(self, row: "CutoverRow", people: Sequence[str]) -> None:
        unread = self._migration.unread
        if unread is None:
            raise ConfigurationError("this process cannot fill conversation groups", field="unread")
        problems = 0
        async with aclosing(unread.sync_many(people)) as answers:
            async for synced in answers:
                if self.allowance.used_up:
                    raise Stopped(self.allowance.reason)
                problems += bool(synced.problem)
        await self.store.filled(row, people[-1], len(people), problems)

    async def _list_people(self, name: str) -> None:
        """Everybody in any of the channels, once."""
        calls = bounded(self._migration, self.allowance).gateway
        for row in await self.store.moved():
            if row.migration == name:
                async with aclosing(member_pages(calls, ChannelId(row.channel))) as pages:
                    async for page in pages:
                        await self._people.add(name, [each.member_account for each in page])
        await self.store.change(name, people_listed=1)


@asynccontextmanager
async def serving(migration: "Migration", url: str, allowance: Allowance) -> "AsyncIterator[Service | None]":
    """Fill what cutovers in this database wait for; None where it is not the adapter's database.

    It needs what apply needs: raises ConfigurationError for a missing extra.
    """
    async with open_filler(migration, url, allowance) as filler:
        if filler is None:
            yield None
            return
        async with open_jobs(url) as jobs:
            register(jobs, filler)
            async with jobs.run_worker([FILLING]), looking(jobs, filler) as service:
                yield service


@asynccontextmanager
async def open_filler(
    migration: "Migration", url: str, allowance: Allowance, *, patient: bool = False
) -> AsyncIterator[Filler | None]:
    """The filler of cutovers in a database; None where it is not the adapter's database."""
    held = migration.settings.database_url
    if held is None or held.get_secret_value() != url or migration.unread is None:
        yield None
        return
    database = Database.shared(url).waiting(PATIENT_LOCK_SECONDS)
    try:
        yield Filler(migration, CutoverStore(database), allowance, patient=patient)
    finally:
        await database.close()


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
