"""People's conversation groups after a cutover: filled behind everybody's back, by whoever works on the database.

How far it is stands in the database after every hundred people, so that it goes on there, whoever was killed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.migration.apply import needs_durable
from channel_adapter.migration.bounded import bounded
from channel_adapter.migration.metered import TRANSIENT, Allowance, Stopped
from channel_adapter.migration.target_pages import member_pages

if TYPE_CHECKING:
    from channel_adapter.migration.filling_run import Service
    from channel_adapter.migration.planning import Migration
    from channel_adapter.store.cutover import CutoverRow, CutoverStore

FILLED_AT_ONCE: Final = 100
PATIENT_LOCK_SECONDS: Final = 15.0
"""How long a cutover waits for others who write to its database: rather late than stopped by a busy disk."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before trying again while the service does not answer. Where somebody waits for it, it ends after that."""


@dataclass(frozen=True, slots=True)
class Filling:
    """How far the conversation groups are. `left` people are known to wait; `said`: why the last run ended early."""

    wanted: bool = False
    done: bool = False
    filled: int = 0
    problems: int = 0
    left: int = 0
    said: str = ""

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.done:
            return "done"
        return "unfinished" if self.wanted else "not wanted"


async def filling_of(store: "CutoverStore", row: "CutoverRow") -> Filling:
    """How far a cutover's filling is."""
    from channel_adapter.store.cutover_people import CutoverPeople  # noqa: PLC0415 - an extra

    left = 0 if row.fill_done else await CutoverPeople(store.database).count_after(row.migration, row.filled_to)
    return Filling(bool(row.fill_wanted), bool(row.fill_done), row.filled, row.fill_problems, left, row.fill_said)


class Filler:
    """Fills for one cutover after the other, in this process. `patient`: never gives up while others may answer.

    `failure` is what has ended the last one.
    """

    def __init__(
        self, migration: "Migration", store: "CutoverStore", allowance: Allowance, *, patient: bool = False
    ) -> None:
        from channel_adapter.store.cutover_people import CutoverPeople  # noqa: PLC0415 - an extra

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
    with needs_durable(url):
        from channel_adapter.durable import open_jobs  # noqa: PLC0415 - DBOS is slow to import, and in an extra
        from channel_adapter.migration import filling_run  # noqa: PLC0415 - as above
    async with open_filler(migration, url, allowance) as filler:
        if filler is None:
            yield None
            return
        async with open_jobs(url) as jobs:
            filling_run.register(jobs, filler)
            async with jobs.run_worker([filling_run.FILLING]), filling_run.looking(jobs, filler) as service:
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
    from channel_adapter.store.cutover import CutoverStore  # noqa: PLC0415 - an extra
    from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra

    database = Database.shared(url).waiting(PATIENT_LOCK_SECONDS)
    try:
        yield Filler(migration, CutoverStore(database), allowance, patient=patient)
    finally:
        await database.close()
