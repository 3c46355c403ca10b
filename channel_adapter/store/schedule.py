"""Rows of scheduled posts and of drafts: their states, and the claims of posts that are due.

A row is the only truth about its post. `due` is when the next attempt is made: the time of the post at first, later the
end of a wait. A post is claimed before it is sent and marked afterwards; a mark counts only while the claim does, so of
two processes that send the same post one marks it. `schedule_lane` numbers the jobs that publish a channel's posts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)

from channel_adapter.domain.schedule import LATE_SECONDS, ScheduleState
from channel_adapter.store.database import Database, ForeignText, Schema
from channel_adapter.store.leases import live_workers

_OPEN: Final = (ScheduleState.SCHEDULED, ScheduleState.PUBLISHING)
_WITH_PROBLEM: Final = (ScheduleState.FAILED, ScheduleState.MISSED)
_PER_PAGE: Final = 500

_metadata = MetaData()
_POSTS: Final = Table(
    "scheduled_post",
    _metadata,
    Column("id", String(24), primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("key", Text),  # idempotency key of the caller
    Column("digest", String(64), nullable=False),  # of what was scheduled under the key
    Column("content", ForeignText, nullable=False),
    Column("author", String(32)),
    Column("silent", Boolean, nullable=False),
    Column("dedupe", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("state", String(12), nullable=False),
    Column("owner", String(120)),  # of the claim
    Column("attempts", Integer, nullable=False, default=0),
    Column("attempted", Double),  # the first time
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("published", Double),
    Column("seq", BigInteger),
    Column("message_key", Text, nullable=False, default=""),
    Column("late", Boolean, nullable=False, default=False),
    Column("error", ForeignText, nullable=False, default=""),
    Column("acknowledged", Boolean, nullable=False, default=False),
    UniqueConstraint("channel", "key"),
)
_IS_OPEN: Final = _POSTS.c.state.in_(_OPEN)
_IS_BAD: Final = and_(_POSTS.c.acknowledged.is_(False), or_(_POSTS.c.state.in_(_WITH_PROBLEM), _POSTS.c.late.is_(True)))
for _name, _columns, _condition in (
    ("scheduled_post_open", (_POSTS.c.channel, _POSTS.c.due), _IS_OPEN),
    ("scheduled_post_due", (_POSTS.c.due,), _IS_OPEN),
    ("scheduled_post_bad", (_POSTS.c.at,), _IS_BAD),
):
    Index(_name, *_columns, sqlite_where=_condition, postgresql_where=_condition)
Index("scheduled_post_at", _POSTS.c.at, _POSTS.c.id)
Index("scheduled_post_changed", _POSTS.c.changed)
_LANES: Final = Table(
    "schedule_lane",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("run", Integer, nullable=False),
)
_DRAFTS: Final = Table(
    "post_draft",
    _metadata,
    Column("id", String(24), primary_key=True),
    Column("channel", String(48), nullable=False),
    Column("content", ForeignText, nullable=False),
    Column("author", String(32)),
    Column("silent", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Index("post_draft_created", "created", "id"),
)
SCHEMA: Final = Schema("schedule", 1, _metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRow:
    """One row of a scheduled post; times are Unix seconds, `content` is JSON."""

    id: str
    channel: str
    key: str | None
    digest: str
    content: str
    author: str | None
    silent: bool
    dedupe: int
    at: float
    due: float
    created: float
    changed: float
    state: ScheduleState = ScheduleState.SCHEDULED
    owner: str | None = None
    attempts: int = 0
    attempted: float | None = None
    published: float | None = None
    seq: int | None = None
    message_key: str = ""
    late: bool = False
    error: str = ""
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """One row of a draft; times are Unix seconds, `content` is JSON."""

    id: str
    channel: str
    content: str
    author: str | None
    silent: bool
    created: float
    changed: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """A post that was claimed, and the time of the database then."""

    row: ScheduledRow
    now: float


@dataclass(frozen=True, slots=True)
class ScheduleCounts:
    """How many posts are in each state, how many have a problem, and how long the oldest due one has waited."""

    states: Mapping[ScheduleState, int]
    problems: int
    waiting_seconds: float
    workers: int

    @property
    def open(self) -> int:
        """Posts that wait for their time or are being sent."""
        return sum(self.states.get(state, 0) for state in _OPEN)


class ScheduleStore:
    """Scheduled posts of one database. `here` is the caller's clock in Unix seconds, which PostgreSQL ignores.

    Lists and counts have the posts of channels whose ids begin with `prefix`: adapters of the other mode may use the
    same database. Raises what Database raises; then nothing was changed.
    """

    def __init__(self, database: Database, prefix: str) -> None:
        self.database = database
        self._prefix = prefix

    async def prepare(self) -> None:
        """Create the tables if they are missing."""
        await self.database.prepare(SCHEMA)

    async def exists(self) -> bool:
        """Return whether anything was ever scheduled or drafted in this database. Creates nothing."""
        return await self.database.has_table(_POSTS)

    async def now(self, here: float) -> float:
        """Return Unix seconds by the clock that decides when a post is due."""
        return here if self.database.is_sqlite else await self.database.read(self.database.time, here)

    async def add(self, row: ScheduledRow) -> ScheduledRow:
        """Store a post; return the one with the same key of its channel if there is one."""

        def transaction(connection: Connection) -> ScheduledRow:
            connection.execute(self.database.insert(_POSTS).values(**_column_values(row)).on_conflict_do_nothing())
            same = _POSTS.c.id == row.id
            if row.key is not None:
                same = and_(_POSTS.c.channel == row.channel, _POSTS.c.key == row.key)
            return _to_scheduled_row(connection.execute(select(_POSTS).where(same)).mappings().one())

        return await self.database.write(transaction)

    async def get(self, post_id: str) -> ScheduledRow | None:
        """Return one post, None if there is none with this id."""
        return await self.database.read(_read_row, post_id)

    async def page(
        self, after: tuple[float, str], channel: str | None, here: float, *, problems: bool, ended: bool
    ) -> list[ScheduledRow]:
        """Return up to 500 posts by time and id: open ones and problems, only `problems`, or with all that `ended`."""
        late = self.database.now(here) - LATE_SECONDS
        overdue = and_(_IS_OPEN, _POSTS.c.at < late, _POSTS.c.acknowledged.is_(False))
        wanted = [tuple_(_POSTS.c.at, _POSTS.c.id) > after, self._in_channel(_POSTS, channel)]
        if problems:
            wanted.append(or_(_IS_BAD, overdue))
        elif not ended:
            wanted.append(or_(_IS_BAD, _IS_OPEN))
        query = select(_POSTS).where(*wanted).order_by(_POSTS.c.at, _POSTS.c.id).limit(_PER_PAGE)
        return await self.database.read(_read_rows, query)

    async def change(self, post_id: str, states: Sequence[ScheduleState], attempts: int, **values: Any) -> bool:
        """Change a post if it is in one of these states after so many attempts; return whether it was."""
        unchanged = and_(_POSTS.c.id == post_id, _POSTS.c.state.in_(states), _POSTS.c.attempts == attempts)
        return await self.database.execute(update(_POSTS).where(unchanged).values(**values)) > 0

    async def acknowledge(self, post_ids: Sequence[str]) -> int:
        """Mark problems as seen; return how many posts of these exist."""
        statement = update(_POSTS).where(_POSTS.c.id.in_(post_ids)).values(acknowledged=True)
        return await self.database.execute(statement)

    async def claim(self, post_id: str, owner: str, until: float, here: float) -> Claimed | None:
        """Claim one post for a caller, whatever its time is; None if it is being sent, or is over.

        Other processes leave it alone for `until` seconds.
        """

        def transaction(connection: Connection) -> Claimed | None:
            now = self.database.time(connection, here)
            row = _read_row(connection, post_id)
            if row is None or row.state not in (ScheduleState.SCHEDULED, *_WITH_PROBLEM):
                return None
            return self._claim_row(connection, row, owner, now, at=now, due=now + until)

        return await self.database.write(transaction)

    async def claim_next(
        self, channel: str, owner: str, until: float, horizon: float, here: float
    ) -> Claimed | float | None:
        """Claim the first post of a channel that is due; else return in how many seconds the next one is.

        None if none is due within `horizon` seconds. Other owners leave the post alone for `until` seconds. A post that
        this owner claimed before is one that its predecessor, a killed process, was sending.
        """

        def transaction(connection: Connection) -> Claimed | float | None:
            now = self.database.time(connection, here)
            due = or_(
                and_(_POSTS.c.state == ScheduleState.PUBLISHING, _POSTS.c.owner == owner),
                and_(_IS_OPEN, _POSTS.c.due <= now + horizon),
            )
            first = select(_POSTS).where(_POSTS.c.channel == channel, due)
            order = first.order_by(
                _POSTS.c.owner.is_distinct_from(owner), _POSTS.c.due, _POSTS.c.at, _POSTS.c.created, _POSTS.c.id
            )
            found = connection.execute(order.limit(1).with_for_update(skip_locked=True)).mappings().first()
            if found is None:
                return None
            row = _to_scheduled_row(found)
            if row.due > now and row.owner != owner:
                return row.due - now
            return self._claim_row(connection, row, owner, now, at=row.at, due=now + until)

        return await self.database.write_relaxed(transaction)

    def _claim_row(
        self, connection: Connection, row: ScheduledRow, owner: str, now: float, *, at: float, due: float
    ) -> Claimed | None:
        attempted = now if row.attempted is None else row.attempted
        values: dict[str, Any] = {
            "state": ScheduleState.PUBLISHING, "owner": owner, "attempts": row.attempts + 1, "attempted": attempted,
            "at": at, "due": due, "changed": now,
        }  # fmt: skip
        unchanged = and_(_POSTS.c.id == row.id, _POSTS.c.state == row.state, _POSTS.c.attempts == row.attempts)
        if not connection.execute(update(_POSTS).where(unchanged).values(**values)).rowcount:
            return None
        return Claimed(replace(row, **values), now)

    async def mark(self, claimed: ScheduledRow, here: float, **values: Any) -> float | None:
        """Record how an attempt ended; return how late it is in seconds, None if the claim does not count any more.

        A published post is `late` after 2 minutes.
        """

        def transaction(connection: Connection) -> float | None:
            now = self.database.time(connection, here)
            if values["state"] == ScheduleState.PUBLISHED:
                values["late"] = now - claimed.at > LATE_SECONDS
            mine = and_(
                _POSTS.c.id == claimed.id,
                _POSTS.c.state == ScheduleState.PUBLISHING,
                _POSTS.c.attempts == claimed.attempts,
            )
            statement = update(_POSTS).where(mine).values(owner=None, changed=now, **values)
            return now - claimed.at if connection.execute(statement).rowcount else None

        return await self.database.write_relaxed(transaction)

    async def due_lanes(self, horizon: float, here: float) -> dict[str, int]:
        """Return the channels with a post that is due within `horizon` seconds, and the number of the last job."""

        def transaction(connection: Connection) -> dict[str, int]:
            until = self.database.time(connection, here) + horizon
            query = (
                select(_POSTS.c.channel, func.coalesce(func.max(_LANES.c.run), 0))
                .join(_LANES, _LANES.c.channel == _POSTS.c.channel, isouter=True)
                .where(_IS_OPEN, _POSTS.c.due <= until, self._in_channel(_POSTS))
                .group_by(_POSTS.c.channel)
            )
            return {row[0]: row[1] for row in connection.execute(query)}

        return await self.database.read(transaction)

    async def next_runs(self, lanes: Mapping[str, int]) -> None:
        """Number the next job of each channel; processes that do so together choose the same number."""

        def transaction(connection: Connection) -> None:
            for channel in sorted(lanes):
                run = lanes[channel]
                new = self.database.insert(_LANES).values(channel=channel, run=run)
                later = new.on_conflict_do_update(
                    index_elements=["channel"], set_={"run": run}, where=_LANES.c.run < run
                )
                connection.execute(later)

        await self.database.write_relaxed(transaction)

    async def counts(self, kind: str, here: float) -> ScheduleCounts:
        """Return how many posts are in each state, and how many processes run jobs of the kind that publishes them."""

        def transaction(connection: Connection) -> ScheduleCounts:
            now, own = self.database.time(connection, here), self._in_channel(_POSTS)
            found = connection.execute(select(_POSTS.c.state, func.count()).where(own).group_by(_POSTS.c.state))
            states = {ScheduleState(state): count for state, count in found}
            overdue = and_(_IS_OPEN, _POSTS.c.at < now - LATE_SECONDS, _POSTS.c.acknowledged.is_(False))
            problems = connection.scalar(select(func.count()).select_from(_POSTS).where(own, or_(_IS_BAD, overdue)))
            oldest = connection.scalar(select(func.min(_POSTS.c.at)).where(own, _IS_OPEN))
            waiting = 0.0 if oldest is None else max(0.0, now - oldest)
            return ScheduleCounts(
                states, problems or 0, waiting, live_workers(connection, kind, self.database.now(here))
            )

        return await self.database.read(transaction)

    async def tidy(self, seconds: float, limit: int, here: float) -> None:
        """Delete some of the posts that ended without a problem so many seconds ago."""

        def transaction(connection: Connection) -> None:
            before = self.database.time(connection, here) - seconds
            over = and_(_POSTS.c.changed < before, ~_IS_OPEN, ~_IS_BAD)
            connection.execute(delete(_POSTS).where(_POSTS.c.id.in_(select(_POSTS.c.id).where(over).limit(limit))))

        await self.database.write_relaxed(transaction)

    async def replace_draft(self, row: DraftRow) -> bool:
        """Replace the draft with this id, which keeps its time of creation; return whether there is one."""
        changed = {name: getattr(row, name) for name in DraftRow.__dataclass_fields__ if name not in ("id", "created")}
        return await self.database.execute(update(_DRAFTS).where(_DRAFTS.c.id == row.id).values(**changed)) > 0

    async def add_draft(self, row: DraftRow) -> bool:
        """Store a draft unless there is one with this id; return False, and store none, if it has become a post."""
        values = {name: getattr(row, name) for name in DraftRow.__dataclass_fields__}

        def transaction(connection: Connection) -> bool:
            connection.execute(self.database.insert(_DRAFTS).values(**values).on_conflict_do_nothing())
            if _read_row(connection, row.id) is None:
                return True
            connection.execute(delete(_DRAFTS).where(_DRAFTS.c.id == row.id))
            return False

        return await self.database.write(transaction)

    async def draft(self, draft_id: str) -> DraftRow | None:
        """Return one draft, None if there is none with this id."""
        return await self.database.read(_get_draft, draft_id)

    async def drafts(self, after: tuple[float, str], channel: str | None) -> list[DraftRow]:
        """Return up to 500 drafts by creation."""
        query = select(_DRAFTS).where(
            tuple_(_DRAFTS.c.created, _DRAFTS.c.id) > after, self._in_channel(_DRAFTS, channel)
        )
        query = query.order_by(_DRAFTS.c.created, _DRAFTS.c.id).limit(_PER_PAGE)
        return await self.database.read(
            lambda connection: [DraftRow(**row) for row in connection.execute(query).mappings()]
        )

    async def discard_draft(self, draft_id: str) -> bool:
        """Delete a draft; return whether there was one."""
        return await self.database.execute(delete(_DRAFTS).where(_DRAFTS.c.id == draft_id)) > 0

    async def schedule_draft(self, row: ScheduledRow, draft: DraftRow) -> ScheduledRow | None:
        """Turn a draft into the post with its id; None if the draft is another one now, or gone without such a post."""
        columns = DraftRow.__dataclass_fields__
        unchanged = and_(*(_DRAFTS.c[name].is_not_distinct_from(getattr(draft, name)) for name in columns))

        def transaction(connection: Connection) -> ScheduledRow | None:
            if connection.execute(delete(_DRAFTS).where(unchanged)).rowcount:
                connection.execute(self.database.insert(_POSTS).values(**_column_values(row)).on_conflict_do_nothing())
            return _read_row(connection, row.id)

        return await self.database.write(transaction)

    def _in_channel(self, table: Table, channel: str | None = None) -> ColumnElement[bool]:
        """Return the condition for rows of a channel, or of all channels of the mode."""
        column = table.c.channel
        return column.startswith(self._prefix, autoescape=True) if channel is None else column == channel

    async def close(self) -> None:
        """Close the connections."""
        await self.database.close()


def _read_row(connection: Connection, post_id: str) -> ScheduledRow | None:
    found = connection.execute(select(_POSTS).where(_POSTS.c.id == post_id)).mappings().first()
    return None if found is None else _to_scheduled_row(found)


def _read_rows(connection: Connection, query: Select[Any]) -> list[ScheduledRow]:
    return [_to_scheduled_row(row) for row in connection.execute(query).mappings()]


def _get_draft(connection: Connection, draft_id: str) -> DraftRow | None:
    found = connection.execute(select(_DRAFTS).where(_DRAFTS.c.id == draft_id)).mappings().first()
    return None if found is None else DraftRow(**found)


def _column_values(row: ScheduledRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ScheduledRow.__dataclass_fields__}


def _to_scheduled_row(row: RowMapping) -> ScheduledRow:
    return ScheduledRow(**{**row, "state": ScheduleState(row["state"])})
