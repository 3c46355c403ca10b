"""What the console keeps: the log of writes, published forms, edits, canned replies, and work on lists of users."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from channel_adapter.store.database import Database, ForeignText, Schema

LOG_DAYS: Final = 400
IMPORT_DAYS: Final = 30
ONCE_DAYS: Final = 7

_metadata = MetaData()
_WRITES: Final = Table(
    "console_write",
    _metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("operator", ForeignText, nullable=False),
    Column("route", String(60), nullable=False),
    Column("channel", ForeignText, nullable=False),
    Column("outcome", Text, nullable=False),
)
_ONCE: Final = Table(
    "console_once",
    _metadata,
    Column("form", String(64), primary_key=True),
    Column("at", Float, nullable=False),
    Column("place", Text, nullable=False),
)
_IMPORTS: Final = Table(
    "console_import",
    _metadata,
    Column("id", String(40), primary_key=True),
    Column("channel", String(60), nullable=False),
    Column("name", ForeignText, nullable=False),
    Column("operator", ForeignText, nullable=False),
    Column("work", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("total", Integer),
    Column("import_missing", Boolean, nullable=False, default=False),
    Column("run", Integer, nullable=False, default=0),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("message", Text, nullable=False, default=""),
)
_PARTS: Final = Table(
    "console_import_part",
    _metadata,
    Column("id", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("users", Text, nullable=False),
    Column("counts", Text),
    Column("failed", Text),
)
_EDITS: Final = Table(
    "console_edit",
    _metadata,
    Column("channel", String(60), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("dedupe", BigInteger),
    Column("at", Float, nullable=False),
)
_REPLIES: Final = Table(
    "console_reply",
    _metadata,
    Column("id", String(40), primary_key=True),
    Column("text", ForeignText, nullable=False),
    Column("created", Float, nullable=False),
)
SCHEMA: Final = Schema("console", 2, _metadata)

SUBSCRIBE: Final = "subscribe"
SYNC: Final = "sync"
PREVIEW: Final = "preview"
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class LoggedWrite:
    """One write of an operator."""

    number: int
    at: float
    operator: str
    route: str
    channel: str
    outcome: str


@dataclass(frozen=True, slots=True)
class CannedReply:
    """A text that operators put into answers to messages."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberImport:
    """What is done with a list of users: they are subscribed, or their conversation groups are synced.

    `counts` are users by outcome, `done` is their sum. `total` is None until the subscribers of the channel are listed,
    for a sync of all of them, which has no `name`. `run` grows each time it is started again after a failure; `message`
    says why it failed or waits.
    """

    id: str
    channel: str
    name: str
    operator: str
    work: str = SUBSCRIBE
    state: str
    total: int | None
    import_missing: bool
    run: int
    created: float
    started: float | None
    ended: float | None
    message: str
    counts: Mapping[str, int]

    @property
    def done(self) -> int:
        """Users with an outcome."""
        return sum(self.counts.values())


class ConsoleRows:
    """Reads and writes the rows. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()

    async def log(self, operator: str, route: str, channel: str, outcome: str) -> None:
        """Add a write to the log."""
        await self._database.prepare(SCHEMA)
        row = {"at": time.time(), "operator": operator, "route": route, "channel": channel, "outcome": outcome}
        await self._database.execute(insert(_WRITES).values(row))

    async def logged(
        self, limit: int, *, before: int | None = None, operator: str = "", channel: str = ""
    ) -> list[LoggedWrite]:
        """Return the latest writes, newest first, below a number."""
        await self._database.prepare(SCHEMA)
        query = select(_WRITES).order_by(_WRITES.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(_WRITES.c.number < before)
        if operator:
            query = query.where(_WRITES.c.operator == operator)
        if channel:
            query = query.where(_WRITES.c.channel == channel)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [LoggedWrite(*row) for row in rows]

    async def remember(self, form: str, place: str) -> None:
        """Keep where a form has led, so that sending it again leads there and does nothing."""
        await self._database.prepare(SCHEMA)
        row = self._database.insert(_ONCE).values(form=form, at=time.time(), place=place).on_conflict_do_nothing()
        await self._database.execute(row)

    async def result_of(self, form: str) -> str | None:
        """Return where a form has led before, None if it was not accepted yet."""
        await self._database.prepare(SCHEMA)
        query = select(_ONCE.c.place).where(_ONCE.c.form == form)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def edited(self, channel: str, seq: int, dedupe: int | None) -> None:
        """Record that a post was edited; `dedupe` tells it from one with its number in a channel created again."""
        await self._database.prepare(SCHEMA)
        row = {"channel": channel, "seq": seq, "dedupe": dedupe, "at": time.time()}
        new = self._database.insert(_EDITS).values(row)
        same = {name: new.excluded[name] for name in ("dedupe", "at")}
        await self._database.execute(new.on_conflict_do_update(index_elements=["channel", "seq"], set_=same))

    async def edits(self, channel: str, dedupes: Mapping[int, int | None]) -> dict[int, float]:
        """Return when posts were edited in Unix seconds, by their numbers; `dedupes` are those of the posts as now."""
        if not dedupes:
            return {}
        await self._database.prepare(SCHEMA)
        query = select(_EDITS).where(_EDITS.c.channel == channel, _EDITS.c.seq.in_(list(dedupes)))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.seq: row.at for row in rows if row.dedupe == dedupes[row.seq]}

    async def add_reply(self, reply: CannedReply, most: int) -> bool:
        """Store a reply; return False if there are `most` already."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> bool:
            if len(connection.scalars(select(_REPLIES.c.id)).all()) >= most:
                return False
            connection.execute(insert(_REPLIES).values(id=reply.id, text=reply.text, created=time.time()))
            return True

        return await self._database.write(transaction)

    async def replies(self) -> list[CannedReply]:
        """Return the replies, the oldest first."""
        await self._database.prepare(SCHEMA)
        query = select(_REPLIES.c.id, _REPLIES.c.text).order_by(_REPLIES.c.created, _REPLIES.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [CannedReply(*row) for row in rows]

    async def drop_reply(self, reply_id: str) -> bool:
        """Delete a reply; return whether it was there."""
        await self._database.prepare(SCHEMA)
        return await self._database.execute(delete(_REPLIES).where(_REPLIES.c.id == reply_id)) > 0

    async def add_import(
        self, found: SubscriberImport, parts: Sequence[Sequence[tuple[int, str]]], failed: Sequence[Sequence[Any]]
    ) -> None:
        """Store the users of a file in parts, and the lines that cannot be used."""
        await self._database.prepare(SCHEMA)
        kinds = Counter(kind for _, _, kind, _ in failed)
        unusable: dict[str, Any] = {"number": 0, "users": "[]", "counts": _to_json(kinds), "failed": _to_json(failed)}
        rows = [
            {"number": n, "users": _to_json(part), "counts": None, "failed": None} for n, part in enumerate(parts, 1)
        ]

        def transaction(connection: Connection) -> None:
            values = {column.name: getattr(found, column.name) for column in _IMPORTS.columns}
            connection.execute(insert(_IMPORTS).values(values))
            connection.execute(insert(_PARTS), [{"id": found.id, **row} for row in [unusable, *rows]])

        await self._database.write(transaction)

    async def get_import(self, import_id: str) -> SubscriberImport | None:
        """Return an import with the counts so far."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> SubscriberImport | None:
            row = connection.execute(select(_IMPORTS).where(_IMPORTS.c.id == import_id)).first()
            if row is None:
                return None
            query = select(_PARTS.c.counts).where(_PARTS.c.id == import_id, _PARTS.c.counts.is_not(None))
            counts: dict[str, int] = {}
            for text in connection.scalars(query):
                for kind, number in orjson.loads(text).items():
                    counts[kind] = counts.get(kind, 0) + number
            return SubscriberImport(**row._mapping, counts=counts)  # noqa: SLF001 - its public name

        return await self._database.read(transaction)

    async def imports(self, channel: str = "", state: str = "", limit: int = 20) -> list[SubscriberImport]:
        """Return imports of a channel or in a state, newest first, without their counts."""
        await self._database.prepare(SCHEMA)
        query = select(_IMPORTS).order_by(_IMPORTS.c.created.desc()).limit(limit)
        if channel:
            query = query.where(_IMPORTS.c.channel == channel)
        if state:
            query = query.where(_IMPORTS.c.state == state)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [SubscriberImport(**row, counts={}) for row in rows]

    async def start_import(self, import_id: str, *, import_missing: bool) -> int | None:
        """Mark an import as running and return its run; None if it runs already or is done.

        Users for whom the service failed are done again, in parts of their own; the outcomes of others are kept.
        """
        may_start = _IMPORTS.c.state.in_([PREVIEW, FAILED])
        change = (
            update(_IMPORTS)
            .where(_IMPORTS.c.id == import_id, may_start)
            .values(
                state=RUNNING, run=_IMPORTS.c.run + 1, started=time.time(), ended=None, message="",
                import_missing=import_missing,
            )
            .returning(_IMPORTS.c.run)
        )  # fmt: skip

        def transaction(connection: Connection) -> int | None:
            run: int | None = connection.scalar(change)
            if run is not None:
                _reopen_failed(connection, import_id)
            return run

        return await self._database.write(transaction)

    async def set_import(self, import_id: str, *, state: str, message: str = "", run: int | None = None) -> bool:
        """Set the state of an import that runs, and why; return whether it ran, in this `run` if one is given."""
        ended = None if state == RUNNING else time.time()
        change = update(_IMPORTS).where(_IMPORTS.c.id == import_id, _IMPORTS.c.state == RUNNING)
        if run is not None:
            change = change.where(_IMPORTS.c.run == run)
        return await self._database.execute(change.values(state=state, message=message, ended=ended)) > 0

    async def clear_parts(self, import_id: str) -> None:
        """Delete the users of an import, to list them again."""
        await self._database.execute(delete(_PARTS).where(_PARTS.c.id == import_id, _PARTS.c.number > 0))

    async def add_part(self, import_id: str, number: int, users: Sequence[tuple[int, str]]) -> None:
        """Store the users of one more part."""
        await self._database.execute(insert(_PARTS).values(id=import_id, number=number, users=_to_json(users)))

    async def set_total(self, import_id: str, total: int) -> None:
        """Record how many users there are, when all are listed."""
        await self._database.execute(update(_IMPORTS).where(_IMPORTS.c.id == import_id).values(total=total))

    async def parts(self, import_id: str) -> list[int]:
        """Return the numbers of the parts with users."""
        query = select(_PARTS.c.number).where(_PARTS.c.id == import_id, _PARTS.c.number > 0)
        return await self._database.read(lambda connection: list(connection.scalars(query.order_by(_PARTS.c.number))))

    async def part(self, import_id: str, number: int, *, is_open: bool = False) -> list[tuple[int, str]]:
        """Return line and user of each row of a part; with `is_open` none if it has outcomes."""
        query = select(_PARTS.c.users).where(_PARTS.c.id == import_id, _PARTS.c.number == number)
        if is_open:
            query = query.where(_PARTS.c.counts.is_(None))
        text = await self._database.read(lambda connection: connection.scalar(query))
        return [(line, user) for line, user in orjson.loads(text or "[]")]

    async def end_part(
        self,
        import_id: str,
        number: int,
        counts: Mapping[str, int],
        failed: Sequence[Sequence[Any]],
        left: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Record the outcomes of a part, once: line, user, outcome and reason of those that failed.

        Users that are `left` without an outcome become a part of their own.
        """

        def transaction(connection: Connection) -> None:
            part = select(_PARTS).where(_PARTS.c.id == import_id, _PARTS.c.number == number, _PARTS.c.counts.is_(None))
            row = connection.execute(part.with_for_update()).first()
            if row is not None:
                _split_part(connection, row, counts, failed, left)

        await self._database.write(transaction)

    async def failures(self, import_id: str, number: int) -> list[list[Any]] | None:
        """Return line, user, outcome and reason of what failed in a part; None behind the last part."""
        query = select(_PARTS.c.failed).where(_PARTS.c.id == import_id, _PARTS.c.number == number)
        row = await self._database.read(lambda connection: connection.execute(query).first())
        return None if row is None else orjson.loads(row[0] or "[]")

    async def tidy(self) -> None:
        """Delete log entries after 400 days, imports after 30, published forms after 7."""
        await self._database.prepare(SCHEMA)
        now = time.time()

        def transaction(connection: Connection) -> None:
            connection.execute(delete(_WRITES).where(_WRITES.c.at < now - LOG_DAYS * 86_400))
            connection.execute(delete(_ONCE).where(_ONCE.c.at < now - ONCE_DAYS * 86_400))
            old = select(_IMPORTS.c.id).where(_IMPORTS.c.created < now - IMPORT_DAYS * 86_400)
            connection.execute(delete(_PARTS).where(_PARTS.c.id.in_(old)))
            connection.execute(delete(_IMPORTS).where(_IMPORTS.c.created < now - IMPORT_DAYS * 86_400))

        await self._database.write(transaction)


def _reopen_failed(connection: Connection, import_id: str) -> None:
    """Open users whose outcome is `failed` again."""
    has_failed = _PARTS.c.counts.like('%"failed":%')
    parts = select(_PARTS).where(_PARTS.c.id == import_id, _PARTS.c.number > 0, has_failed).order_by(_PARTS.c.number)
    for row in connection.execute(parts).all():
        users, counts, rows = (orjson.loads(text) for text in (row.users, row.counts, row.failed))
        again = {user for _, user, kind, _ in rows if kind == "failed"}
        left = [(line, user) for line, user in users if user in again]
        counts = {kind: number for kind, number in counts.items() if kind != "failed"}
        _split_part(connection, row, counts, [each for each in rows if each[2] != "failed"], left)


def _split_part(
    connection: Connection,
    row: Row[Any],
    counts: Mapping[str, int],
    failed: Sequence[Sequence[Any]],
    left: Sequence[tuple[int, str]],
) -> None:
    """Record the outcomes of a part without the users that are left: they become a part, or stay one if it is all."""
    part = update(_PARTS).where(_PARTS.c.id == row.id, _PARTS.c.number == row.number)
    names = {user for _, user in left}
    kept = [(line, user) for line, user in orjson.loads(row.users) if user not in names]
    if not kept:
        connection.execute(part.values(counts=None, failed=None))
        return
    connection.execute(part.values(users=_to_json(kept), counts=_to_json(counts), failed=_to_json(failed)))
    if left:
        last = connection.scalar(select(func.max(_PARTS.c.number)).where(_PARTS.c.id == row.id)) or 0
        connection.execute(insert(_PARTS).values(id=row.id, number=last + 1, users=_to_json(left)))


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()
