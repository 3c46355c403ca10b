"""One rate limit for all processes of an app: a row a command, which says when its next slot is free.

One statement reserves a slot by the server's clock, so slots are in order and clocks of machines may differ. The table
is not logged: after a crash of the database every command begins with a free slot. A process that calls holds a lease,
which others count.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Connection,
    Double,
    MetaData,
    String,
    Table,
    bindparam,
    case,
    delete,
    event,
    func,
    select,
)

from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.errors import ChannelAdapterError, OutcomeUnknownError, UnavailableError
from channel_adapter.store import leases
from channel_adapter.store.database import Database, Schema
from channel_adapter.store.leases import LEASES, Leases

_metadata = MetaData()
_SLOTS: Final = Table(
    "call_slot",
    _metadata,
    Column("app", BigInteger, primary_key=True, autoincrement=False),
    Column("command", String(120), primary_key=True),
    Column("free", Double, nullable=False),  # when the next slot is, in Unix seconds
)
_UNLOGGED: Final = DDL("ALTER TABLE %(table)s SET UNLOGGED")  # type: ignore[no-untyped-call]  # commits wait for no disk
event.listen(_SLOTS, "after_create", _UNLOGGED.execute_if(dialect="postgresql"))
SCHEMA: Final = Schema("rate_limits", 1, _metadata)

ANSWER_SECONDS: Final = 2.0
"""Time for a slot; after that the database counts as away."""
OPEN_SECONDS: Final = 10.0
"""Time to connect and to create the tables; calls wait for it, because no number of processes is known before."""
RETRY_SECONDS: Final = 5.0
"""How long a database that is away is not asked again."""
COUNT_SECONDS: Final = 2.0
"""How often processes are counted."""
LEASE_SECONDS: Final = 15.0
"""How long a process counts after its latest call."""
_FORGET_SECONDS: Final = 60.0  # after the end of a lease
_MAX_AHEAD: Final = 120.0  # of a slot; one that is later was reserved before a clock was set back

_log = get_logger("channel_adapter.rate_limits")


class SharedRateLimits:
    """Reserves slots of one app in a database. Opens it with the first slot, and again after `close`."""

    def __init__(self, url: str, app: int, clock: Clock, *, skip_alone: bool = False) -> None:
        """With `skip_alone` a process takes no slots until it has counted another one, every 2 seconds."""
        self._url = url
        self._skip_alone = skip_alone
        self._app = app
        self._clock = clock
        self._prefix = f"calls.{app}."
        self._lease = f"{self._prefix}{uuid.uuid4().hex}"
        self._processes = 1
        self._table: _SlotTable | None = None
        self._prepared = False
        self._preparing = asyncio.Lock()
        self._away = False
        self._failed_at = float("-inf")
        self._ask_at = self._count_at = float("-inf")  # on the monotonic clock

    @property
    def processes(self) -> int:
        """How many processes took slots lately, when that was last known; at least 1."""
        return self._processes

    async def reserve(self, command: str, *, interval: float, burst: int, max_wait: float) -> float | None:
        """Reserve the next slot of a command and return the seconds until it; reserve none above `max_wait`.

        Slots are `interval` seconds apart; up to `burst` follow one another without a pause. Returns None while the
        database is away, which is logged once, and while no other process needs to be considered. Raises
        ConfigurationError for a database that cannot be used.
        """
        now = self._clock.monotonic()
        if now < self._ask_at:
            return None
        if self._away:  # this call alone asks again
            self._ask_at = now + RETRY_SECONDS
        try:
            table = self._table if self._prepared else None
            if table is None:
                table = await self._prepare_table(now)
            async with asyncio.timeout(ANSWER_SECONDS):
                if now >= self._count_at:
                    self._count_at = now + COUNT_SECONDS
                    self._processes = await self._count_processes(table.database)
                if self._skip_alone and self._processes == 1 and not self._away:
                    return None
                values = {
                    "app_id": self._app, "command_path": command, "interval": interval,
                    "tolerance": (burst - 1) * interval, "max_wait": max_wait, "here": self._clock.now(),
                }  # fmt: skip
                wait = await table.reserve(values)
        except (UnavailableError, OutcomeUnknownError, TimeoutError) as error:
            self._record_away(error)
            return None
        if self._away:
            self._away, self._ask_at = False, float("-inf")
            _log.info("rate_limits.shared_again", processes=self._processes)
        return wait

    async def close(self) -> None:
        """Release the lease of this process and close the connections."""
        table, self._table, self._preparing = self._table, None, asyncio.Lock()
        if table is None:
            return
        prepared, self._prepared = self._prepared, False
        try:
            if prepared and not self._away:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await table.database.write_relaxed(leases.remove, [self._lease])
        except (ChannelAdapterError, TimeoutError):  # the lease ends by itself
            _log.debug("rate_limits.lease_not_released")
        finally:
            await table.database.close()

    async def _prepare_table(self, began: float) -> "_SlotTable":
        """Connect, create the tables and count processes, once for all callers since `began` that wait for it."""
        async with self._preparing:
            if self._failed_at >= began:
                raise UnavailableError("the database of the shared rate limit is away")
            if self._table is None:
                self._table = _SlotTable(Database.shared(self._url))
            if not self._prepared:
                async with asyncio.timeout(OPEN_SECONDS):
                    for schema in (SCHEMA, leases.SCHEMA):
                        await self._table.database.prepare(schema)
                    self._processes = await self._count_processes(self._table.database)
                self._prepared, self._count_at = True, self._clock.monotonic() + COUNT_SECONDS
            return self._table

    async def _count_processes(self, database: Database) -> int:
        """Renew the lease of this process, and return how many processes have one."""
        return await database.write_relaxed(self._renew_and_count, database, self._clock.now())

    def _renew_and_count(self, connection: Connection, database: Database, here: float) -> int:
        Leases(database, self._lease, seconds=LEASE_SECONDS).acquire(connection, [self._lease], here)
        ours, now = LEASES.c.name.startswith(self._prefix, autoescape=True), database.now(here)
        connection.execute(delete(LEASES).where(ours, LEASES.c.until < now - _FORGET_SECONDS))
        counted = connection.scalar(select(func.count()).select_from(LEASES).where(ours, leases.lasts(now)))
        return max(1, counted or 0)

    def _record_away(self, error: Exception) -> None:
        self._failed_at = self._clock.monotonic()
        self._ask_at = self._failed_at + RETRY_SECONDS
        if not self._away:
            self._away = True
            reason = str(error) or "no answer in time"
            _log.warning("rate_limits.database_away", processes=self._processes, part=f"1/{self._processes}",
                         reason=reason)  # fmt: skip


class _SlotTable:
    """The statements, built once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        names = ("interval", "tolerance", "max_wait", "here")
        interval, tolerance, max_wait, here = (bindparam(name, type_=Double) for name in names)
        now = here if database.is_sqlite else database.now(0.0)  # of the server, after the row is locked
        latest = now + tolerance + interval + _MAX_AHEAD
        start = case((_SLOTS.c.free.between(now, latest), _SLOTS.c.free), else_=now)
        row = {"app": bindparam("app_id", type_=BigInteger), "command": bindparam("command_path", type_=String)}
        new = database.insert(_SLOTS).values(**row, free=now + interval)
        self._reserve: Any = new.on_conflict_do_update(
            index_elements=["app", "command"],
            set_={"free": start + interval},
            where=start - tolerance - now <= max_wait,
        ).returning((_SLOTS.c.free - interval - tolerance - now).label("wait"))
        ours = (_SLOTS.c.app == row["app"], _SLOTS.c.command == row["command"])
        self._look = select((_SLOTS.c.free - tolerance - now).label("wait")).where(*ours)

    async def reserve(self, values: Mapping[str, Any]) -> float:
        """Return the seconds until the next slot, which is reserved unless they are more than `max_wait`."""
        row = await self.database.commit_one(self._reserve, values)
        if row is None:
            row = await self.database.commit_one(self._look, values)
        return max(0.0, float(row.wait)) if row is not None else 0.0
