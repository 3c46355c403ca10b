"""What is known of each event by its key: a repeat or not, how far it is, why it was given up. SQLAlchemy Core.

DBOS keeps the events that are under way and runs them; this table is the memory that outlives a run.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Table, Text, bindparam, delete, func, inspect, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from channel_adapter.store.engine import Database
from channel_adapter.webhooks.gathering import Gathering
from channel_adapter.webhooks.inbox_schema import COUNTS, DEAD, DROPPED, EVENTS, HANDLED, TAKEN
from channel_adapter.webhooks.turns import waiting_of


class Row(NamedTuple):
    """One event as `webhooks list` and `tail` show it."""

    key: str
    state: str
    attempts: int
    reason: str | None
    command: str
    channel: str
    document: str
    received_at: float
    changed_at: float


class Claim(NamedTuple):
    """An event that this batch is to handle: attempts and steps that are behind it."""

    key: str
    attempts: int
    done: frozenset[str]


class _Question(NamedTuple):
    """Is it the turn of the event of this key?"""

    key: str


class InboxTable:
    """The events of one database. What is marked and asked at the same time is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._work: Gathering[Mapping[str, Any] | _Question, bool] = Gathering(self._write)

    async def is_there(self) -> bool:
        """Has a receiver made these tables? Looking makes nothing, not even a file."""
        file = self.database.url.database
        if self.database.is_sqlite and not await asyncio.to_thread(Path(file or "").is_file):
            return False
        async with self.database.reading() as connection:
            return await connection.run_sync(lambda sync: inspect(sync).has_table(EVENTS.name))

    async def claim(self, batch: str, events: Sequence[Mapping[str, Any]], *, revive: bool = False) -> list[Claim]:
        """Make the events of a batch known; those that are its own and not finished. Repeatable.

        With `revive` those that are dead become its own, with fresh attempts.
        """
        fixed = {"batch": batch, "state": TAKEN, "attempts": 0, "done": "", "changed_at": time.time()}
        rows = [
            {**event, **fixed, **{name: _fitting(event[name], EVENTS.c[name]) for name in ("command", "channel")}}
            for event in events
        ]
        keys = [row["key"] for row in rows]
        async with self.database.writing() as connection:
            insert = _insert_into(EVENTS, connection)
            await connection.execute(insert.on_conflict_do_nothing(index_elements=["key"]), rows)
            if revive:
                await connection.execute(_revival(batch, keys))
            found = await connection.execute(
                select(EVENTS.c.key, EVENTS.c.attempts, EVENTS.c.done).where(
                    EVENTS.c.key.in_(keys), EVENTS.c.batch == batch, EVENTS.c.state == TAKEN
                )
            )
            return [Claim(key, attempts, frozenset(filter(None, done.split("\n")))) for key, attempts, done in found]

    async def mark(self, key: str, *, step: str | None = None, **values: Any) -> None:
        """Record something about an event that is under way, also that a step ran; back when it is committed."""
        done = {} if step is None else {"done": f"{step}\n"}
        await self._work.ask({"the_key": key, **done, **values})

    async def mark_within(self, connection: AsyncConnection, key: str, *, step: str, **values: Any) -> bool:
        """Record in a transaction that a step runs in it; False when it must not, as it ran or the event is finished.

        Nobody else gets an answer about this event before the transaction ends.
        """
        this = (EVENTS.c.key == key, EVENTS.c.state == TAKEN)
        done = await connection.scalar(select(EVENTS.c.done).where(*this).with_for_update())
        fresh = done is not None and step not in done.split("\n")
        added = {"done": f"{done}{step}\n"} if fresh else {}
        await connection.execute(update(EVENTS).where(*this).values(**added, **values, changed_at=time.time()))
        return fresh

    async def may_begin(self, key: str) -> bool:
        """Is it this event's turn in its channel? Only to be asked on PostgreSQL, after `Turns.prepare`."""
        return await self._work.ask(_Question(key))

    async def _write(self, work: Sequence[Mapping[str, Any] | _Question]) -> list[bool]:
        marks = [item for item in work if not isinstance(item, _Question)]
        keys = [item.key for item in work if isinstance(item, _Question)]
        waiting: set[str] = set()
        async with self.database.writing() as connection:
            for names, rows in _alike(marks).items():
                await connection.execute(_marking(names), rows)
            if keys:
                waiting = await waiting_of(connection, keys)
        return [not (isinstance(item, _Question) and item.key in waiting) for item in work]

    async def rows(self, states: Iterable[str], *, limit: int, after: tuple[float, str] | None = None) -> list[Row]:
        """Events in these states, the one first that changed first; `after` the time of change and key of another."""
        query = select(*(EVENTS.c[name] for name in Row._fields)).where(EVENTS.c.state.in_(list(states)))
        if after is not None:
            query = query.where(tuple_(EVENTS.c.changed_at, EVENTS.c.key) > tuple_(*after))
        async with self.database.reading() as connection:
            found = await connection.execute(query.order_by(EVENTS.c.changed_at, EVENTS.c.key).limit(limit))
            return [Row(*row) for row in found]

    async def end_of(self, states: Iterable[str], *, before: int = 0) -> tuple[float, str]:
        """The place after which `rows` gives the last `before` events that there are now, and what comes."""
        query = select(EVENTS.c.changed_at, EVENTS.c.key).where(EVENTS.c.state.in_(list(states)))
        order = query.order_by(EVENTS.c.changed_at.desc(), EVENTS.c.key.desc())
        async with self.database.reading() as connection:
            found = (await connection.execute(order.offset(before).limit(1))).first()
        return (float(found[0]), str(found[1])) if found is not None else (0.0, "")

    async def dead(self, key: str) -> str | None:
        """The document of a dead event; None when there is none of this key."""
        async with self.database.reading() as connection:
            document: str | None = await connection.scalar(
                select(EVENTS.c.document).where(EVENTS.c.key == key, EVENTS.c.state == DEAD)
            )
            return document

    async def revive(self, key: str, batch: str) -> None:
        """Give a dead event to a batch that is on its way, with fresh attempts, as `claim` does."""
        async with self.database.writing() as connection:
            await connection.execute(_revival(batch, [key]))

    async def drop(self, key: str) -> bool:
        """A dead event is of no interest any more; it stays known, so that repeats are repeats."""
        async with self.database.writing() as connection:
            changed = await connection.execute(
                update(EVENTS)
                .where(EVENTS.c.key == key, EVENTS.c.state == DEAD)
                .values(state=DROPPED, changed_at=time.time())
            )
            return bool(changed.rowcount)

    async def forget(self, before: float) -> int:
        """Delete what was handled or dropped before; how many."""
        async with self.database.writing() as connection:
            gone = await connection.execute(
                delete(EVENTS).where(EVENTS.c.state.in_([HANDLED, DROPPED]), EVENTS.c.changed_at < before)
            )
            return gone.rowcount

    async def add_counts(self, news: Mapping[str, int]) -> None:
        """Add to the counts that all receivers of the database share."""
        async with self.database.writing() as connection:
            insert = _insert_into(COUNTS, connection)
            added = insert.on_conflict_do_update(
                index_elements=["name"], set_={"number": COUNTS.c.number + insert.excluded.number}
            )
            await connection.execute(added, [{"name": name, "number": number} for name, number in sorted(news.items())])

    async def stats(self) -> tuple[dict[str, int], dict[str, int], float | None]:
        """Counts since ever, events by state now, and when the oldest that is under way was received."""
        async with self.database.reading() as connection:
            counted = await connection.execute(select(COUNTS.c.name, COUNTS.c.number))
            counts = {str(name): int(number) for name, number in counted}
            states = select(EVENTS.c.state, func.count()).group_by(EVENTS.c.state)
            by_state = {str(state): int(number) for state, number in await connection.execute(states)}
            oldest = await connection.scalar(select(func.min(EVENTS.c.received_at)).where(EVENTS.c.state == TAKEN))
        return counts, by_state, oldest


def _alike(marks: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    now = time.time()
    for mark in marks:
        row = {**mark, "changed_at": now}
        groups.setdefault(tuple(row), []).append({f"new_{name}": value for name, value in row.items()})
    return groups


def _insert_into(table: Table, connection: AsyncConnection) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _marking(names: tuple[str, ...]) -> Any:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name != "the_key"}
    if "done" in values:
        values["done"] = EVENTS.c.done + bindparam("new_done", type_=Text)  # another one may have added to it
    return update(EVENTS).where(EVENTS.c.key == bindparam("new_the_key"), EVENTS.c.state == TAKEN).values(values)


def _revival(batch: str, keys: Sequence[str]) -> Any:
    """What has died in this very batch stays dead: a batch may run twice."""
    return (
        update(EVENTS)
        .where(EVENTS.c.key.in_(keys), EVENTS.c.state == DEAD, EVENTS.c.batch != batch)
        .values(state=TAKEN, batch=batch, attempts=0, reason=None, changed_at=time.time())
    )


def _fitting(text: str, column: Any) -> str:
    """As much of a name as the column takes; the document has all of it."""
    return text.replace("\x00", "\ufffd")[: column.type.length]
