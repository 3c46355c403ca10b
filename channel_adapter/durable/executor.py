"""One process among those that run jobs of a database: leases that it renews, and leases of dead ones that it acquires.

A process holds `executor:<id>` while it runs jobs and `worker:<kind>:<id>` for each kind of them. When its lease has
ended, the process that acquires it resumes its jobs.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, delete, or_

from channel_adapter.errors import ChannelAdapterError
from channel_adapter.store.database import Database
from channel_adapter.store.leases import LEASES, SCHEMA, WORKER, Leases, owners, remove

LEASE_SECONDS: Final = 3.0
"""PostgreSQL: lease, look and poll make less than 5 s from a kill to the work of another process."""
FILE_LEASE_SECONDS: Final = 10.0
"""SQLite: a slow disk delays renewals, and a process of this machine that has ended is found without its lease."""
FRESH: Final = 0.7
"""The part of a lease after which a process that could not renew it begins no further step."""
_KEPT_SECONDS: Final = 60.0
_EXECUTOR: Final = "executor:"


class Executor:
    """The leases of this process. `now` is its clock in Unix seconds; PostgreSQL has the server's."""

    def __init__(self, database: Database, kinds: Iterable[str], now: Callable[[], float] = time.time) -> None:
        self.id = f"{_machine_name()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.seconds = FILE_LEASE_SECONDS if database.is_sqlite else LEASE_SECONDS
        self._database = database
        self._leases = Leases(database, self.id, seconds=self.seconds)
        self._names = [_EXECUTOR + self.id, *(f"{WORKER}{kind}:{self.id}" for kind in kinds)]
        self._now = now
        self._renewed = 0.0

    async def begin(self) -> None:
        """Acquire the leases. Raises UnavailableError."""
        await self._database.prepare(SCHEMA)
        began = time.monotonic()
        await self._database.write(self._acquire_leases)
        self._renewed = began

    def _acquire_leases(self, connection: Connection) -> None:
        now = self._database.now(self._now())
        ours = or_(*(LEASES.c.name.startswith(prefix, autoescape=True) for prefix in (_EXECUTOR, WORKER)))
        connection.execute(delete(LEASES).where(ours, LEASES.c.until < now - _KEPT_SECONDS))
        self._leases.acquire(connection, self._names, self._now())

    @property
    def fresh(self) -> bool:
        """Return whether the lease was renewed so recently that no other process has acquired it."""
        return time.monotonic() - self._renewed < FRESH * self.seconds

    async def renew(self) -> bool:
        """Extend the leases; return False if another process has taken over the jobs of this one."""
        began = time.monotonic()
        renewed = await self._database.write(self._leases.renew, self._names, self._now())
        if self._names[0] not in renewed:
            return False
        self._renewed = began
        return True

    async def end(self) -> None:
        """Release the leases. Where that fails they end by themselves."""
        with suppress(ChannelAdapterError):
            await self._database.write(self._leases.release, self._names)

    async def acquire_dead(self, executors: Collection[str]) -> set[str]:
        """Acquire the leases of other executors that have ended; return those that only this process holds now."""
        if not executors:
            return set()
        names = await self._database.write(self._acquire_dead, sorted(executors))
        return {name.removeprefix(_EXECUTOR) for name in names}

    def _acquire_dead(self, connection: Connection, executors: list[str]) -> set[str]:
        names = [_EXECUTOR + executor for executor in executors]
        if self._database.is_sqlite:
            held = owners(connection, names)
            gone = [name for name in names if held.get(name) == name.removeprefix(_EXECUTOR) and _has_ended(held[name])]
            remove(connection, gone)
        return self._leases.acquire(connection, names, self._now(), trust_clock=True)

    async def release_dead(self, executors: Iterable[str]) -> None:
        """Release what `acquire_dead` acquired."""
        await self._database.write(self._leases.release, [_EXECUTOR + executor for executor in executors])


def _machine_name() -> str:
    """Return a name within which process ids are unique: of the host, and on Linux of the process namespace."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")  # noqa: PTH115 - no file is meant
    return f"{socket.gethostname()[:40]}-{namespace}"


def _has_ended(executor: str | None) -> bool:
    """Return whether an executor is surely a process of this machine that has ended. Waits for no lease."""
    machine, _, rest = (executor or "").partition(":")
    pid = rest.partition(":")[0]
    if os.name != "posix" or machine != _machine_name() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
