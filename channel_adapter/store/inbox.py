"""The inbox of events in a database: one row an event from its acknowledgement on, and a lease for each busy channel.

An event waits until it is handled, dead or dropped. Events of a channel are in the order of `at`, `seq` and `key`; one
process works on a channel at a time, which holds the lease `channel:<channel>`. An event without a channel has one of
its own, named as its key. Every method runs in the caller's transaction and takes a fixed number of statements.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    inspect,
    literal,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from channel_adapter.errors import ConfigurationError
from channel_adapter.store.database import Database, Schema
from channel_adapter.store.leases import LEASES, Leases, live
from channel_adapter.store.marks import (
    DEAD,
    DROPPED,
    HANDLED,
    WAITING,
    InboxBacklog,
    InboxMark,
    MarkResult,
    Recorded,
    require_plain,
)

LEASE_PREFIX: Final = "channel:"
TRANSACTION_SECONDS: Final = 0.05
"""After so long in handlers a transaction begins no other one: marks of other channels wait for its commit."""
_LEFT_LEASE_SECONDS: Final = 60.0
_CLOCK_SECONDS: Final = 1.0  # by which times of one machine may be out of order

_metadata = MetaData()
EVENTS: Final = Table(
    "inbox_event",
    _metadata,
    Column("key", String(200), primary_key=True),
    Column("channel", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),  # the service's time in milliseconds
    Column("seq", BigInteger, nullable=False),
    Column("due", Double, nullable=False),  # Unix seconds of the shared clock, as `changed`
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("done", Text, nullable=False),  # names of steps, one a line
    Column("reason", Text),
    Column("command", String(200), nullable=False),
    Column("received", Double, nullable=False),  # Unix seconds of the receiver
    Column("body", Text, nullable=False),  # emptied when the event is handled
    Column("changed", Double, nullable=False),
)
_IS_WAITING: Final = EVENTS.c.state == literal_column("'waiting'")  # a literal, so that partial indexes are used
_IS_ENDED: Final = EVENTS.c.state != literal_column("'waiting'")
Index("inbox_event_in_order", EVENTS.c.channel, EVENTS.c.at, EVENTS.c.seq,
      sqlite_where=_IS_WAITING, postgresql_where=_IS_WAITING)  # fmt: skip
Index("inbox_event_ended", EVENTS.c.state, EVENTS.c.changed, sqlite_where=_IS_ENDED, postgresql_where=_IS_ENDED)
COUNTS: Final = Table(
    "webhook_count",
    _metadata,
    Column("name", String(80), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
SCHEMA: Final = Schema("inbox", 1, _metadata)
_ORDER: Final = (EVENTS.c.channel, EVENTS.c.at, EVENTS.c.seq, EVENTS.c.key)

_PUT_SQLITE: Final = (
    "INSERT INTO inbox_event (key, channel, at, seq, command, received, body, due, changed, state, attempts, done)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, '')"
)
_PUT_POSTGRESQL: Final = """
INSERT INTO inbox_event (key, channel, at, seq, command, received, body, due, changed, state, attempts, done)
SELECT key, channel, at, seq, command, received, body, now + "window", now, 'waiting', 0, ''
FROM (SELECT extract(epoch FROM clock_timestamp()) AS now) AS clock,
  json_to_recordset(%(rows)s::json)
  AS new (key text, channel text, at bigint, seq bigint, command text, received float8, body text, "window" float8)
ORDER BY key ON CONFLICT DO NOTHING RETURNING key
"""  # one JSON value: the driver takes three times as long to write arrays of texts


class NewEvent(NamedTuple):
    """An event to be stored; it is due `window` seconds later. `channel` is its key for an event without one."""

    key: str
    channel: str
    at: int
    seq: int
    command: str
    received: float
    body: str
    window: float


class WaitingEvent(NamedTuple):
    """A waiting event. `due_in` is how many seconds remain until it is due; `done` are the steps that have run."""

    key: str
    channel: str
    at: int
    seq: int
    attempts: int
    done: str
    body: str
    due_in: float


class ListedEvent(NamedTuple):
    """An event as the command line shows it; `body` is empty for a handled one."""

    key: str
    state: str
    attempts: int
    reason: str | None
    command: str
    channel: str
    body: str
    received: float
    changed: float


class InboxTable:
    """The events of one database, for the process that owns `leases`. `here` is the caller's clock in Unix seconds.

    `window` is how long a new event waits. One that would wait longer is due: a clock was set back since it was stored.
    """

    def __init__(self, database: Database, leases: Leases, window: float = 0.0) -> None:
        self._database = database
        self._leases = leases
        self._max_wait = window + _CLOCK_SECONDS

    def exists(self, connection: Connection) -> bool:
        """Return whether a receiver has created the table."""
        return inspect(connection).has_table(EVENTS.name)

    def put(self, connection: Connection, events: Sequence[NewEvent], here: float) -> list[bool]:
        """Store events; return False for each whose key is known already."""
        if self._database.is_sqlite:  # no other transaction can store them meanwhile
            known = set(connection.scalars(select(EVENTS.c.key).where(EVENTS.c.key.in_([e.key for e in events]))))
            new = [event for event in events if event.key not in known]
            if new:
                connection.exec_driver_sql(_PUT_SQLITE, [(*event[:-1], here + event.window, here) for event in new])
            return [event.key not in known for event in events]
        rows = orjson.dumps([event._asdict() for event in events]).decode()
        stored = set(connection.exec_driver_sql(_PUT_POSTGRESQL, {"rows": rows}).scalars())
        return [event.key in stored for event in events]

    def find(self, connection: Connection, after: str, limit: int, here: float) -> tuple[list[str], str]:
        """Return channels whose first event is due and that no process holds, and the last channel looked at.

        Looks at the next `limit` channels behind `after` in which an event waits; "" when there are no more.
        """
        now = self._database.now(here)
        other, head = EVENTS.alias("other"), EVENTS.alias("head")
        first = select(func.min(EVENTS.c.channel)).where(_IS_WAITING, EVENTS.c.channel > after).scalar_subquery()
        lanes = select(first.label("channel"), literal(1).label("number")).cte("lanes", recursive=True)
        following = select(func.min(other.c.channel)).where(_is_waiting_in(other), other.c.channel > lanes.c.channel)
        lanes = lanes.union_all(
            select(following.correlate(lanes).scalar_subquery(), lanes.c.number + 1).where(
                lanes.c.channel.is_not(None), lanes.c.number < limit
            )
        )
        due_in = select(self._due_in(head.c.due, now)).where(_is_waiting_in(head), head.c.channel == lanes.c.channel)
        due_in = due_in.order_by(head.c.at, head.c.seq, head.c.key).limit(1).correlate(lanes)
        free = and_(due_in.scalar_subquery() <= 0, not_(live(LEASE_PREFIX + lanes.c.channel, now)))
        found = connection.execute(select(lanes.c.channel, free).where(lanes.c.channel.is_not(None))).all()
        return [str(channel) for channel, is_free in found if is_free], found[-1][0] if len(found) == limit else ""

    def claim(self, connection: Connection, channels: Sequence[str], here: float) -> list[str]:
        """Acquire the leases of channels; return the channels that this process holds now."""
        acquired = self._leases.acquire(connection, [LEASE_PREFIX + channel for channel in channels], here)
        return sorted(name.removeprefix(LEASE_PREFIX) for name in acquired)

    def read(self, connection: Connection, channels: Sequence[str], limit: int, here: float) -> list[WaitingEvent]:
        """Return the first `limit` waiting events of channels in their order, due or not."""
        due_in = self._due_in(EVENTS.c.due, self._database.now(here))
        columns = [EVENTS.c[name] for name in WaitingEvent._fields[:-1]]
        query = select(*columns, due_in).where(_IS_WAITING, EVENTS.c.channel.in_(channels))
        return [WaitingEvent._make(row) for row in connection.execute(query.order_by(*_ORDER).limit(limit))]

    def renew(self, connection: Connection, channels: Iterable[str], here: float) -> set[str]:
        """Extend the leases of channels; return the channels that this process still holds."""
        renewed = self._leases.renew(connection, [LEASE_PREFIX + channel for channel in channels], here)
        return {name.removeprefix(LEASE_PREFIX) for name in renewed}

    def take_over(self, connection: Connection) -> None:
        """Free every channel that another process held. Only the one process that may use the database calls this."""
        held = and_(LEASES.c.name.startswith(LEASE_PREFIX, autoescape=True), LEASES.c.owner.is_not(None))
        connection.execute(delete(LEASES).where(held))

    def leave(self, connection: Connection) -> None:
        """Free every channel that this process holds."""
        held = and_(LEASES.c.name.startswith(LEASE_PREFIX, autoescape=True), LEASES.c.owner == self._leases.owner)
        connection.execute(delete(LEASES).where(held))

    def record(self, connection: Connection, marks: Sequence[InboxMark], here: float) -> list[MarkResult]:
        """Record marks, and run the steps that belong in the transaction, each under a savepoint.

        Leases are locked first, then events, each in the order of their names.
        """
        names = {LEASE_PREFIX + mark.channel for mark in marks}
        ours = self._leases.held(connection, sorted(names))
        done = self._lock_done_steps(connection, [mark.key for mark in marks if mark.run is not None])
        end = time.monotonic() + TRANSACTION_SECONDS
        began = False
        results: list[MarkResult] = []
        for mark in marks:
            if LEASE_PREFIX + mark.channel not in ours:
                results.append(Recorded.LOST)
            elif mark.run is None or mark.key not in done or mark.step in done[mark.key]:
                results.append(Recorded.DONE)
            elif began and time.monotonic() > end:
                results.append(Recorded.LATER)
            else:
                began = True
                results.append(_run_in_savepoint(connection, mark.run))
        recorded = [mark for mark, result in zip(marks, results, strict=True) if result is Recorded.DONE]
        repeated = [m for m in recorded if m.run is not None and (m.key not in done or m.step in done[m.key])]
        self._write_marks(connection, [m._replace(step="") if m in repeated else m for m in recorded], here)
        return results

    def still_waiting(self, connection: Connection, keys: Sequence[str]) -> set[str]:
        """Return the keys of events that are not handled yet."""
        return set(connection.scalars(select(EVENTS.c.key).where(EVENTS.c.key.in_(keys), _IS_WAITING)))

    def rows(
        self, connection: Connection, states: Iterable[str], limit: int, after: tuple[float, str] | None = None
    ) -> list[ListedEvent]:
        """Return events in these states, first the one that changed first, behind a time of change and a key."""
        query = select(*(EVENTS.c[name] for name in ListedEvent._fields)).where(_in_states(states))
        if after is not None:
            query = query.where(tuple_(EVENTS.c.changed, EVENTS.c.key) > tuple_(*after))
        found = connection.execute(query.order_by(EVENTS.c.changed, EVENTS.c.key).limit(limit))
        return [_to_listed_event(ListedEvent._make(row)) for row in found]

    def get(self, connection: Connection, key: str) -> ListedEvent | None:
        """Return the event with a key, None if it is not or no more known."""
        query = select(*(EVENTS.c[name] for name in ListedEvent._fields)).where(EVENTS.c.key == key)
        row = connection.execute(query).first()
        return None if row is None else _to_listed_event(ListedEvent._make(row))

    def end_of(self, connection: Connection, states: Iterable[str], before: int = 0) -> tuple[float, str]:
        """Return the place behind which `rows` returns the last `before` events of now and all later ones."""
        query = select(EVENTS.c.changed, EVENTS.c.key).where(_in_states(states))
        order = query.order_by(EVENTS.c.changed.desc(), EVENTS.c.key.desc())
        found = connection.execute(order.offset(before).limit(1)).first()
        return (float(found[0]), str(found[1])) if found is not None else (0.0, "")

    def retry(self, connection: Connection, keys: Sequence[str] | None, here: float) -> list[tuple[str, str, int]]:
        """Let dead events wait again, with no attempts behind them: those of `keys`, or all if it is None.

        Returns key, channel and length of the body of each. Steps that have run stay recorded.
        """
        now = self._database.now(here)
        change = (
            update(EVENTS).where(_is_dead(keys)).values(state=WAITING, attempts=0, reason=None, due=now, changed=now)
        )
        found = connection.execute(change.returning(EVENTS.c.key, EVENTS.c.channel, func.length(EVENTS.c.body)))
        return [(str(key), str(channel), int(size)) for key, channel, size in found]

    def drop(self, connection: Connection, keys: Sequence[str] | None, here: float) -> list[str]:
        """Drop dead events, those of `keys` or all; return their keys. Repeats of them are still known."""
        change = update(EVENTS).where(_is_dead(keys)).values(state=DROPPED, body="", changed=self._database.now(here))
        return list(connection.scalars(change.returning(EVENTS.c.key)))

    def tidy(self, connection: Connection, keep_seconds: float, limit: int, here: float) -> int:
        """Delete up to `limit` events that were handled or dropped more than `keep_seconds` ago; return how many."""
        old = EVENTS.c.changed < self._database.now(here) - keep_seconds
        forgotten = or_(*(and_(EVENTS.c.state == state, old) for state in (HANDLED, DROPPED)))
        keys = select(EVENTS.c.key).where(_IS_ENDED, forgotten).limit(limit).with_for_update(skip_locked=True)
        found = connection.scalars(keys).all()
        if found:
            connection.execute(delete(EVENTS).where(EVENTS.c.key.in_(found)))
        return len(found)

    def tidy_leases(self, connection: Connection, here: float) -> None:
        """Delete leases of channels that ended a minute ago and were not acquired again."""
        ended = LEASES.c.until < self._database.now(here) - _LEFT_LEASE_SECONDS
        found = select(LEASES.c.name).where(LEASES.c.name.startswith(LEASE_PREFIX, autoescape=True), ended)
        names = connection.scalars(found.order_by(LEASES.c.name).limit(500).with_for_update(skip_locked=True)).all()
        if names:
            connection.execute(delete(LEASES).where(LEASES.c.name.in_(names)))

    def add_counts(self, connection: Connection, counts: Mapping[str, int]) -> None:
        """Add to the counts that all receivers of the database share."""
        insert = self._database.insert(COUNTS)
        added = insert.on_conflict_do_update(
            index_elements=["name"], set_={"number": COUNTS.c.number + insert.excluded.number}
        )
        connection.execute(added, [{"name": name, "number": number} for name, number in sorted(counts.items())])

    def stats(self, connection: Connection) -> tuple[dict[str, int], dict[str, int], float | None]:
        """Return the counts, the number of events by state, and when the oldest waiting event was received."""
        counts = {str(n): int(v) for n, v in connection.execute(select(COUNTS.c.name, COUNTS.c.number))}
        states = connection.execute(select(EVENTS.c.state, func.count()).group_by(EVENTS.c.state))
        by_state = {str(state): int(number) for state, number in states}
        return counts, by_state, connection.scalar(select(func.min(EVENTS.c.received)).where(_IS_WAITING))

    def backlog(self, connection: Connection, here: float) -> InboxBacklog:
        """Return what waits in the whole database, by partial indexes."""
        waiting = select(func.count(), func.min(EVENTS.c.received)).where(_IS_WAITING)
        number, oldest = connection.execute(waiting).one()
        dead = select(func.count()).where(EVENTS.c.state == DEAD, _IS_ENDED)
        lag = 0.0 if oldest is None else max(0.0, here - oldest)
        return InboxBacklog(int(number), int(connection.scalar(dead) or 0), lag)

    def _due_in(self, due: ColumnElement[float], now: ColumnElement[float]) -> ColumnElement[float]:
        return case((due - now > self._max_wait, 0.0), else_=due - now)

    def _lock_done_steps(self, connection: Connection, keys: Sequence[str]) -> dict[str, set[str]]:
        """Lock waiting events and return the steps that have run, by key."""
        if not keys:
            return {}
        query = select(EVENTS.c.key, EVENTS.c.done).where(EVENTS.c.key.in_(sorted(keys)), _IS_WAITING)
        found = connection.execute(query.order_by(EVENTS.c.key).with_for_update())
        return {key: set(done.split("\n")) for key, done in found}

    def _write_marks(self, connection: Connection, marks: Sequence[InboxMark], here: float) -> None:
        now = self._database.now(here)
        steps: dict[str, list[str]] = {}
        for mark in marks:
            if mark.step and not mark.ended:
                steps.setdefault(mark.step, []).append(mark.key)
        for step, keys in sorted(steps.items()):
            ran = update(EVENTS).where(EVENTS.c.key.in_(sorted(keys)), _IS_WAITING)
            connection.execute(ran.values(done=EVENTS.c.done + f"{step}\n", changed=now))
        if ended := sorted(mark.key for mark in marks if mark.ended):
            handled = update(EVENTS).where(EVENTS.c.key.in_(ended), _IS_WAITING)
            connection.execute(handled.values(state=HANDLED, body="", changed=now))
        failures = [
            {"its_key": mark.key, "its_attempts": mark.failure.attempts, "its_reason": mark.failure.reason,
             "its_state": DEAD if mark.failure.dead else WAITING}
            for mark in sorted(marks, key=lambda mark: mark.key) if mark.failure is not None
        ]  # fmt: skip
        if failures:
            failed = update(EVENTS).where(EVENTS.c.key == bindparam("its_key"), _IS_WAITING)
            values: dict[str, Any] = {name: bindparam(f"its_{name}") for name in ("attempts", "reason", "state")}
            connection.execute(failed.values(**values, changed=now), failures)
        self._leases.release(connection, [LEASE_PREFIX + mark.channel for mark in marks if mark.release])
        waits = {LEASE_PREFIX + mark.channel: mark.wait for mark in marks if mark.wait is not None}
        self._leases.delay(connection, waits, here)


def _to_listed_event(event: ListedEvent) -> ListedEvent:
    return event._replace(channel="") if event.channel == event.key else event


def _in_states(states: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition in a form in which the partial indexes are used."""
    ended = [state for state in states if state != WAITING]
    is_ended = and_(_IS_ENDED, EVENTS.c.state.in_(ended))
    return is_ended if WAITING not in states else or_(_IS_WAITING, is_ended) if ended else _IS_WAITING


def _is_dead(keys: Sequence[str] | None) -> ColumnElement[bool]:
    is_dead = and_(_IS_ENDED, EVENTS.c.state == DEAD)
    return is_dead if keys is None else and_(is_dead, EVENTS.c.key.in_(sorted(keys)))


def _is_waiting_in(events: Any) -> ColumnElement[bool]:
    return events.c.state == literal_column("'waiting'")  # type: ignore[no-any-return]


def _run_in_savepoint(connection: Connection, step: Callable[[Any], object]) -> MarkResult:
    """Run a step under a savepoint. Raises what ended the transaction as a whole."""
    savepoint = connection.begin_nested()
    try:
        require_plain(step(connection))
        if savepoint.is_active:
            savepoint.commit()
            return Recorded.DONE
    except (Exception, asyncio.CancelledError) as error:
        if not savepoint.is_active or connection.invalidated:
            raise
        savepoint.rollback()
        return error
    raise ConfigurationError("a handler with transaction=True has ended the transaction, which is not its own")
