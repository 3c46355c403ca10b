"""Events of a durable inbox: rows in SQLite or PostgreSQL, written many at a time.

Events that come together are committed together before they are acknowledged, and so is everything that lanes record.
Only the commits of new events and of handlers with a transaction wait for the disk: after a power failure everything
else is done again from what is stored.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from enum import IntEnum
from functools import partial
from typing import Final

import orjson
from filelock import FileLock, Timeout
from sqlalchemy import Connection

from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, OutcomeUnknownError, UnavailableError
from channel_adapter.store.database import Database
from channel_adapter.store.inbox import SCHEMA, InboxTable, NewEvent, WaitingEvent
from channel_adapter.store.leases import SCHEMA as LEASES
from channel_adapter.store.leases import Leases
from channel_adapter.store.marks import DEAD, InboxBacklog, InboxMark, MarkResult, Recorded
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.storage import (
    DeadLetter,
    EventPosition,
    NotStoredError,
    Portion,
    QueuedEvent,
    channel_name,
)

STORE_SECONDS: Final = 1.5
"""The sender waits two seconds; what is not stored by then is refused [doc 34354]."""
LEASE_SECONDS: Final = 4.0
MAX_STORED: Final = 500
MAX_RECORDED: Final = 1_000
MAX_TIDIED: Final = 500
"""Rows that one transaction of tidying deletes, so that others wait for a few milliseconds only."""
MAX_FOUND: Final = 1_000
MAX_READ: Final = 64
_STORE_SPACING: Final = 0.01  # between the beginnings of two writes
_LARGE_BATCH: Final = 16
_RECORD_SPACING: Final = 0.008
_READ_SPACING: Final = 0.005
_BEHIND_SECONDS: Final = 0.01
_WRITE_AGAIN_SECONDS: Final = 1.0

_log = get_logger("channel_adapter.webhooks")


class _Together(IntEnum):
    """Which marks one transaction records."""

    NONE = 0  # one at a time
    WITHOUT_HANDLERS = 1  # those without a handler, and each of the others alone
    ALL = 2


class StoreQueue:
    """Stores events together, and refuses those that are not committed within STORE_SECONDS."""

    def __init__(self, put: Callable[[list[NewEvent]], Awaitable[list[bool]]]) -> None:
        self._put = put
        self._worth_logging = LogThrottle()
        self._commits: BatchLoader[None, NewEvent, bool] = BatchLoader(
            self._store_events, max_items=MAX_STORED, spacing=_STORE_SPACING, full_batch=_LARGE_BATCH
        )

    def __len__(self) -> int:
        return len(self._commits)

    async def store(self, event: NewEvent) -> bool:
        """Return True once an event is committed, False for a repeat. Raises NotStoredError."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await self._commits.load(None, event)
        except (TimeoutError, asyncio.CancelledError) as ended:
            self._commits.discard(None, event)
            if isinstance(ended, asyncio.CancelledError):
                raise
            raise NotStoredError(f"the database did not answer within {STORE_SECONDS:g} s") from None
        except Exception as error:  # noqa: BLE001 - of the write
            raise NotStoredError(type(error).__name__) from None

    async def stop(self) -> None:
        """Abandon what is not committed."""
        await self._commits.stop()

    async def _store_events(self, _: None, events: list[NewEvent]) -> list[bool]:
        fresh = {event.key: event for event in reversed(events)}
        try:
            new = await self._put(list(fresh.values()))
        except Exception as error:
            if self._worth_logging():
                _log.error("webhooks.not_stored", events=len(events), reason=_describe_error(error))
            raise
        stored = {event.key for event, is_new in zip(fresh.values(), new, strict=True) if is_new}
        return [event.key in stored and fresh[event.key] is event for event in events]


class DurableStorage:
    """The events of a database, for one process. On SQLite a lock file keeps every other receiver out."""

    max_events = 20_000

    def __init__(self, url: str, remember_seconds: float, window: float, clock: Clock) -> None:
        self.lease_seconds = LEASE_SECONDS
        self._url = url
        self._remember = remember_seconds
        self._window = window
        self._clock = clock
        self._database: Database | None = None
        self._lock: FileLock | None = None
        self._found = ""  # the last channel that was looked at
        self._worth_logging = LogThrottle()
        self._puts = StoreQueue(self._put_events)
        self._reads: BatchLoader[None, tuple[str, int], Portion] = BatchLoader(
            self._read_asked_portions, max_items=MAX_READ, spacing=_READ_SPACING, full_batch=_LARGE_BATCH
        )
        self._marks: BatchLoader[None, InboxMark, MarkResult] = BatchLoader(
            self._record_marks, max_items=MAX_RECORDED, spacing=_RECORD_SPACING, full_batch=_LARGE_BATCH
        )

    async def open(self) -> None:
        """Open the database. Raises ConfigurationError if another receiver has the SQLite file."""
        self._database = database = Database.shared(self._url)
        owner = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        leases = Leases(database, owner, seconds=self.lease_seconds)
        self._table = InboxTable(database, leases, self._window)
        if database.is_sqlite:
            self._lock = _acquire_lock(database)
        await database.prepare(LEASES)
        await database.prepare(SCHEMA)
        if database.is_sqlite:
            await database.write(self._table.take_over)

    async def close(self) -> None:
        """Release the channels of this process, and close. What is not recorded by now is done again."""
        async with AsyncExitStack() as closing:
            if self._lock is not None:
                closing.callback(self._lock.release)
                self._lock = None
            closing.push_async_callback(self._release_channels)
            for queue in (self._puts, self._reads):
                await queue.stop()
            if left := await self._marks.stop():
                _log.error("webhooks.marks_given_up", marks=left, meaning="these steps run again at the next start")

    async def _release_channels(self) -> None:
        """End the leases of this process, and close the database."""
        database, self._database = self._database, None
        if database is None:
            return
        try:
            await database.write_relaxed(self._table.leave)
        except ChannelAdapterError as error:  # they are taken over when their leases end
            _log.warning("webhooks.leases_not_released", reason=_describe_error(error))
        finally:
            await database.close()

    async def put(self, event: WebhookEvent, position: EventPosition, document: bytes, window: float) -> bool:
        """Store an event; return False for a repeat. Raises NotStoredError."""
        command = event.command.replace("\x00", "\ufffd")[:200]
        new = NewEvent(
            position[2],
            channel_name(event),
            position[0],
            position[1],
            command,
            event.received_at,
            document.decode(),
            window,
        )
        return await self._puts.store(new)

    async def find(self) -> list[str]:
        """Return channels with an event that is due and that no process holds, from the next part of all channels."""
        found, self._found = await self._connected_database.read(
            self._table.find, self._found, MAX_FOUND, self._clock.now()
        )
        return found

    async def claim(self, channels: Sequence[str], limit: int) -> list[Portion]:
        """Acquire channels; return those acquired, with the first of their events."""
        return await self._connected_database.write_relaxed(
            _claim_and_read, self._table, channels, limit, self._clock.now()
        )

    async def read(self, channel: str, limit: int) -> Portion:
        """Return the first events of a channel that are due."""
        return await self._reads.load(None, (channel, limit))

    async def renew(self, channels: Sequence[str]) -> set[str]:
        """Extend leases; return the channels that are still held."""
        return await self._connected_database.write_relaxed(self._table.renew, channels, self._clock.now())

    def record(self, mark: InboxMark, recorded: Callable[[MarkResult], None]) -> None:
        """Record something with the next commit, however long that takes."""
        self._marks.add(None, mark, recorded)

    @property
    def is_behind(self) -> bool:
        """Whether marks have waited for over 10 ms: a kill would repeat what they record."""
        return self._marks.oldest_seconds > _BEHIND_SECONDS

    async def catch_up(self) -> None:
        """Wait until the next commit has ended."""
        await self._marks.batch_ended()

    async def drain(self, seconds: float) -> bool:
        """Wait until everything is recorded; return False if that takes longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._marks.drain()
                return True
        return False

    async def handled_elsewhere(self, keys: Sequence[str]) -> set[str]:
        """Return the keys of events that wait no more."""
        return set(keys) - await self._connected_database.read(self._table.still_waiting, keys)

    async def backlog(self) -> InboxBacklog:
        """Return what waits, of all processes."""
        return await self._connected_database.read(self._table.backlog, self._clock.now())

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return the dead letters, oldest first."""
        rows = await self._connected_database.read(self._table.rows, [DEAD], limit)
        return [DeadLetter(r.key, r.command, r.channel, r.reason or "", r.attempts, r.received) for r in rows]

    async def retry(self, key: str) -> tuple[str, int] | None:
        """Let a dead letter wait again; return its channel and size."""
        found = await self._connected_database.write(self._table.retry, [key], self._clock.now())
        return found[0][1:] if found else None

    async def drop(self, key: str) -> bool:
        """Drop a dead letter."""
        return bool(await self._connected_database.write(self._table.drop, [key], self._clock.now()))

    async def add_counts(self, counts: Mapping[str, int]) -> None:
        """Add to the counts in the database."""
        await self._connected_database.write_relaxed(self._table.add_counts, counts)

    async def tidy(self) -> bool:
        """Delete some of the events whose keys need not be known any more; return whether there are more."""
        now = self._clock.now()
        deleted = await self._connected_database.write_relaxed(self._table.tidy, self._remember, MAX_TIDIED, now)
        if deleted < MAX_TIDIED:
            await self._connected_database.write_relaxed(self._table.tidy_leases, now)
        return deleted == MAX_TIDIED

    @property
    def _connected_database(self) -> Database:
        if self._database is None:
            raise UnavailableError("the inbox is not running")
        return self._database

    async def _put_events(self, events: list[NewEvent]) -> list[bool]:
        return await self._connected_database.write(self._table.put, events, self._clock.now())

    async def _read_asked_portions(self, _: None, asked: list[tuple[str, int]]) -> list[Portion]:
        limit = max(sum(limit for _, limit in asked), MAX_READ)
        channels = [channel for channel, _ in asked]
        portions = await self._connected_database.read(_read_portions, self._table, channels, limit, self._clock.now())
        by_channel = {portion.channel: portion for portion in portions}
        return [by_channel[channel] for channel in channels]

    async def _record_marks(self, _: None, marks: list[InboxMark]) -> list[MarkResult]:
        """Record marks until it succeeds: a step that has run must not run again.

        A transaction that a handler has broken is undone as a whole; its handlers then run in one each. A channel with
        a mark that the database never takes is given up, so that others need not wait for it; it is claimed again.
        """
        results: dict[int, MarkResult] = {}
        left = list(range(len(marks)))
        together = _Together.ALL
        while left:
            part = _select_part(marks, left, together)
            try:
                found = await self._commit_marks([marks[number] for number in part])
            except (UnavailableError, OutcomeUnknownError) as error:
                if together < _Together.ALL and marks[part[0]].run is not None and isinstance(error, UnavailableError):
                    results[part[0]] = error  # others need not wait for it
                together = min(together, _Together.WITHOUT_HANDLERS)
                if self._worth_logging():
                    _log.warning("webhooks.marks_not_recorded", reason=_describe_error(error))
                await asyncio.sleep(_WRITE_AGAIN_SECONDS)
            except Exception as error:  # noqa: BLE001 - of a handler that broke the transaction, or of a mark
                if len(part) > 1:
                    together = _Together(together - 1)
                elif marks[part[0]].run is not None:
                    results[part[0]] = error
                else:
                    results[part[0]] = Recorded.LOST
                    mark = marks[part[0]]
                    _log.error("webhooks.mark_refused", channel=mark.channel, event_key=mark.key,
                               reason=_describe_error(error))  # fmt: skip
            else:
                results.update(zip(part, found, strict=True))
            left = [number for number in left if results.get(number, Recorded.LATER) is Recorded.LATER]
        return [results[number] for number in range(len(marks))]

    async def _commit_marks(self, marks: list[InboxMark]) -> list[MarkResult]:
        if any(mark.run is not None for mark in marks):
            return await self._connected_database.write(self._table.record, marks, self._clock.now())
        return await self._connected_database.write_relaxed(self._table.record, marks, self._clock.now())


def _claim_and_read(
    connection: Connection, table: InboxTable, channels: Sequence[str], limit: int, here: float
) -> list[Portion]:
    return _read_portions(connection, table, table.claim(connection, channels, here), limit, here)


def _read_portions(
    connection: Connection, table: InboxTable, channels: Sequence[str], limit: int, here: float
) -> list[Portion]:
    """Read the first events of channels, `limit` or fewer in a statement, until there are some of each."""
    found: dict[str, list[WaitingEvent]] = {channel: [] for channel in channels}
    portions: list[Portion] = []
    left = list(channels)
    while left:
        rows = table.read(connection, left, limit, here)
        for row in rows:
            found[row.channel].append(row)
        cut = rows[-1].channel if len(rows) == limit else None  # it may have more; those behind it come next
        ready = [channel for channel in left if cut is None or found[channel]]
        portions += [_to_portion(channel, found[channel], complete=channel != cut) for channel in ready]
        left = [channel for channel in left if channel not in ready]
    return portions


def _select_part(marks: Sequence[InboxMark], left: Sequence[int], together: _Together) -> Sequence[int]:
    """Return the marks of the next transaction, of those that are left."""
    if together is _Together.ALL:
        return left
    plain = [number for number in left if marks[number].run is None]
    return plain if plain and together is _Together.WITHOUT_HANDLERS else left[:1]


def _to_portion(channel: str, rows: Sequence[WaitingEvent], *, complete: bool) -> Portion:
    """Return the events that are due, up to the first that is not."""
    tasks: list[QueuedEvent] = []
    for row in rows:
        if row.due_in > 0:
            return Portion(channel, tasks, row.due_in, row.key)
        done = set(filter(None, row.done.split("\n")))
        tasks.append(
            QueuedEvent(row.key, (row.at, row.seq, row.key), partial(_to_webhook_event, row.body), row.attempts, done)
        )
    return Portion(channel, tasks, None if complete else 0.0)


def _to_webhook_event(document: str) -> WebhookEvent:
    return WebhookEvent(**orjson.loads(document))


def _acquire_lock(database: Database) -> FileLock:
    """Acquire the lock file of the one receiver of a SQLite file, beside the file that a symbolic link names.

    Raises ConfigurationError.
    """
    lock = FileLock(f"{os.path.realpath(str(database.url.database))}.receiver.lock", mode=0o600)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigurationError(
            f"another receiver uses {database.name}: SQLite is for one receiver with a durable inbox; use PostgreSQL "
            "for several",
            field="database_url",
        ) from None
    except OSError as error:
        raise UnavailableError(f"the lock file of {database.name} cannot be used: {error.strerror}") from None
    return lock


def _describe_error(error: Exception) -> str:
    return redact_text(" ".join(str(error).split()))[:300]
