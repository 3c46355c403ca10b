"""Leases: which process works on what, until when.

A lease is a row with an owner and an end. It is acquired when it is free, its end has passed, or the owner holds it
already; it is renewed and released by its owner only. Every function runs inside the caller's transaction, so a change
of a lease is committed together with what it protects. Rows are always locked in the order of their names.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Double,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    inspect,
    literal,
    not_,
    or_,
    select,
    update,
)

from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
LEASES: Final = Table(
    "lease",
    _metadata,
    Column("name", String(300), primary_key=True),
    Column("owner", String(100)),  # NULL: free, but not before `until`
    Column("until", Double, nullable=False),
)
SCHEMA: Final = Schema("leases", 1, _metadata)
MAX_SECONDS: Final = 120.0
"""No lease and no wait is longer: one that ends later was written before a clock was set back, and counts as ended."""
WORKER: Final = "worker:"
"""Begins the name of the lease of a process that runs jobs: `worker:<kind>:<process>`."""


class Leases:
    """The leases of one owner in a database. `here` is the caller's clock in Unix seconds.

    PostgreSQL compares ends of leases with the server's clock, so clocks of processes may differ.
    """

    def __init__(self, database: Database, owner: str, *, seconds: float) -> None:
        """`seconds` is how long a lease lasts without renewal."""
        self.owner = owner
        self.seconds = seconds
        self._database = database
        self._ours = and_(LEASES.c.name.in_(bindparam("names", expanding=True)), LEASES.c.owner == owner)
        self._lock_ours = select(LEASES.c.name).where(self._ours).order_by(LEASES.c.name).with_for_update()
        self._delete_ours = delete(LEASES).where(self._ours)

    def acquire(
        self, connection: Connection, names: Sequence[str], here: float, *, trust_clock: bool = False
    ) -> set[str]:
        """Acquire leases that are free, have ended or are ours; return the names of those acquired.

        One whose row another transaction has locked is left out. After a clock was set back, the owner of a lease may
        lose it until it renews it; with `trust_clock` the lease lasts until its end by the new clock instead.
        """
        if not names:
            return set()
        until = self._database.now(here) + self.seconds
        wanted = self._database.rows({"name": String()}, [[name] for name in names])
        columns = select(wanted.c.name, literal(self.owner), until)
        # SQLite needs the WHERE clause to parse ON CONFLICT after a SELECT.
        rows = columns.where(wanted.c.name.is_not(None)).order_by(wanted.c.name)
        new = self._database.insert(LEASES).from_select(["name", "owner", "until"], rows)
        fresh = new.on_conflict_do_nothing(index_elements=["name"]).returning(LEASES.c.name)
        acquired = set(connection.scalars(fresh))
        if others := [name for name in names if name not in acquired]:
            now = self._database.now(here)
            ended = LEASES.c.until <= now if trust_clock else not_(lasts(now))
            free = or_(ended, LEASES.c.owner == self.owner)
            query = select(LEASES.c.name).where(LEASES.c.name.in_(others), free).order_by(LEASES.c.name)
            if found := connection.scalars(query.with_for_update(skip_locked=True)).all():
                change = update(LEASES).where(LEASES.c.name.in_(found)).values(owner=self.owner, until=until)
                acquired.update(connection.scalars(change.returning(LEASES.c.name)))
        return acquired

    def renew(self, connection: Connection, names: Sequence[str], here: float) -> set[str]:
        """Extend leases that we still hold; return their names. One that has ended but was not taken is extended."""
        if not names:
            return set()
        if not self._database.is_sqlite:  # which has locked the whole file
            connection.execute(self._lock_ours, {"names": names})
        until = self._database.now(here) + self.seconds
        statement = update(LEASES).where(self._ours).values(until=until).returning(LEASES.c.name)
        return set(connection.scalars(statement, {"names": names}))

    def held(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Lock the leases of ours among `names` until the transaction ends; return their names."""
        return set(connection.scalars(self._lock_ours, {"names": names})) if names else set()

    def release(self, connection: Connection, names: Sequence[str]) -> None:
        """Release leases that `held` has locked in this transaction; those of other owners stay."""
        if names:
            connection.execute(self._delete_ours, {"names": names})

    def delay(self, connection: Connection, waits: Mapping[str, float], here: float) -> None:
        """Release leases that no process may acquire before some seconds have passed; `waits` by name."""
        if waits:
            until = self._database.now(here) + bindparam("wait", type_=Double)
            change = update(LEASES).where(LEASES.c.name == bindparam("its_name"), LEASES.c.owner == self.owner)
            rows = [{"its_name": name, "wait": waits[name]} for name in sorted(waits)]
            connection.execute(change.values(owner=None, until=until), rows)


def owners(connection: Connection, names: Sequence[str]) -> dict[str, str | None]:
    """Lock leases of any owner until the transaction ends; return their owners by name."""
    query = select(LEASES.c.name, LEASES.c.owner).where(LEASES.c.name.in_(names))
    rows = connection.execute(query.order_by(LEASES.c.name).with_for_update())
    return {row.name: row.owner for row in rows}


def revoke(connection: Connection, names: Sequence[str]) -> None:
    """Take leases from their owners. They cannot be acquired before they would have ended."""
    if names:
        connection.execute(update(LEASES).where(LEASES.c.name.in_(names)).values(owner=None))


def remove(connection: Connection, names: Sequence[str]) -> None:
    """Remove leases of any owner; they are free immediately."""
    if names:
        connection.execute(delete(LEASES).where(LEASES.c.name.in_(names)))


def live(name: ColumnElement[str], now: ColumnElement[float]) -> ColumnElement[bool]:
    """Return the condition that a lease of this name has an owner, or may not be acquired, at the moment."""
    return exists().where(LEASES.c.name == name, lasts(now))


def lasts(now: ColumnElement[float]) -> ColumnElement[bool]:
    """Return the condition that a lease has not ended."""
    return and_(LEASES.c.until > now, LEASES.c.until <= now + MAX_SECONDS)


def live_workers(connection: Connection, kind: str, now: ColumnElement[float]) -> int:
    """Return how many processes run jobs of a kind; 0 where no process ever ran any."""
    if not inspect(connection).has_table(LEASES.name):
        return 0
    prefix = LEASES.c.name.startswith(f"{WORKER}{kind}:", autoescape=True)
    return connection.scalar(select(func.count()).select_from(LEASES).where(prefix, lasts(now))) or 0
