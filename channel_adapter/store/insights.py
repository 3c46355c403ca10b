"""What happened in channels by day, and what scans of their subscribers found.

One row of `insight_events` is one join or leave as a webhook reported it. Its key names the event, so a webhook
that is handled twice counts once. A scan has one row, one for each day on which its subscribers joined, and one for
each post.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    case,
    delete,
    func,
    select,
)

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, Schema, is_storable

_TABLES: Final = MetaData()
_CHANNEL, _DAY, _KEY = String(48), String(10), String(100)

EVENTS: Final = Table(
    "insight_events",
    _TABLES,
    Column("channel", _CHANNEL, primary_key=True),
    Column("day", _DAY, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("key", _KEY, primary_key=True),
    Column("at", Double, nullable=False),
)
SCANS: Final = Table(
    "insight_scans",
    _TABLES,
    Column("channel", _CHANNEL, primary_key=True),
    Column("day", _DAY, primary_key=True),  # the last scan of a day is kept
    Column("at", Double, nullable=False),
    Column("subscribers", Integer, nullable=False),
)
JOINS: Final = Table(  # of the last scan
    "insight_joins",
    _TABLES,
    Column("channel", _CHANNEL, primary_key=True),
    Column("day", _DAY, primary_key=True),
    Column("joins", Integer, nullable=False),
)
VIEWS: Final = Table(  # of the last scan in which history still had the post
    "insight_views",
    _TABLES,
    Column("channel", _CHANNEL, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", Double, nullable=False),
    Column("views", Integer, nullable=False),
    Column("reach", Integer, nullable=False),
)
SCHEMA: Final = Schema("insights", 1, _TABLES)
JOIN, LEAVE = "join", "leave"


@dataclass(frozen=True, slots=True)
class InsightEvent:
    """One join or leave: `key` names it among those of its day, `at` is its time in Unix seconds."""

    channel: ChannelId
    day: str
    kind: str
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class ScanRows:
    """What one scan found: when, how many subscribers, joins by day, and (views, reach) by the number of a post."""

    channel: ChannelId
    day: str
    at: float
    subscribers: int
    joins: Mapping[str, int]
    views: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class StoredFigures:
    """What is stored of a channel from a day on: counts by kind and day, subscribers and joins by day of scans, views.

    `scanned_at` and `recorded_since` are Unix seconds, None for nothing. `first_scan` is the first day with a scan, and
    `first_join` the first one on which a subscriber of the last scan joined, on whatever days they are.
    """

    events: Mapping[tuple[str, str], int]
    scans: Mapping[str, int]
    joins: Mapping[str, int]
    views: Mapping[int, tuple[int, int]]
    scanned_at: float | None
    recorded_since: float | None
    first_scan: str | None
    first_join: str | None


class InsightRows:
    """The rows of one database. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, events: Sequence[InsightEvent]) -> None:
        """Store events; those that are stored already, and those with ids that cannot exist, are ignored."""
        await self._database.prepare(SCHEMA)
        new = self._database.insert(EVENTS).on_conflict_do_nothing()
        rows = [
            {"channel": each.channel, "day": each.day, "kind": each.kind, "key": each.key, "at": each.at}
            for each in sorted(events, key=lambda event: (event.day, event.kind, event.key))
            if is_storable(each.channel, _CHANNEL) and is_storable(each.key, _KEY)
        ]
        if rows:
            await self._database.execute(new, rows)

    async def store(self, scan: ScanRows) -> None:
        """Store a scan. Views of posts that it did not find stay as an earlier one found them."""
        await self._database.prepare(SCHEMA)

        def transaction(connection: Connection) -> None:
            scans = self._database.insert(SCANS)
            changed = {name: scans.excluded[name] for name in ("at", "subscribers")}
            connection.execute(
                scans.on_conflict_do_update(index_elements=["channel", "day"], set_=changed),
                {"channel": scan.channel, "day": scan.day, "at": scan.at, "subscribers": scan.subscribers},
            )
            connection.execute(delete(JOINS).where(JOINS.c.channel == scan.channel))
            if scan.joins:
                connection.execute(
                    JOINS.insert(),
                    [{"channel": scan.channel, "day": day, "joins": joins} for day, joins in scan.joins.items()],
                )
            if scan.views:
                views = self._database.insert(VIEWS)
                changed = {name: views.excluded[name] for name in ("at", "views", "reach")}
                connection.execute(
                    views.on_conflict_do_update(index_elements=["channel", "seq"], set_=changed),
                    [
                        {"channel": scan.channel, "seq": seq, "at": scan.at, "views": seen, "reach": reach}
                        for seq, (seen, reach) in scan.views.items()
                    ],
                )

        await self._database.write(transaction)

    async def read(self, channel: ChannelId, first_day: str) -> StoredFigures:
        """Return what is stored of a channel from a day on, and the views of all its posts."""
        await self._database.prepare(SCHEMA)
        return await self._database.read(_read_figures, channel, first_day)

    async def growth(self, channels: Sequence[ChannelId], first_day: str) -> dict[ChannelId, int]:
        """Return joins minus leaves from a day on, of those channels that had some."""
        await self._database.prepare(SCHEMA)
        change = case((EVENTS.c.kind == JOIN, 1), else_=-1)
        wanted = EVENTS.c.channel.in_(sorted(channels)), EVENTS.c.day >= first_day
        query = select(EVENTS.c.channel, func.sum(change)).where(*wanted).group_by(EVENTS.c.channel)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {ChannelId(channel): int(number) for channel, number in rows}

    async def views(self, channel: ChannelId, seqs: Sequence[int]) -> dict[int, tuple[int, int, float]]:
        """Return views, reach and the time of the scan in Unix seconds, by the number of those posts that have some."""
        await self._database.prepare(SCHEMA)
        wanted = VIEWS.c.channel == channel, VIEWS.c.seq.in_(sorted(seqs))
        query = select(VIEWS.c.seq, VIEWS.c.views, VIEWS.c.reach, VIEWS.c.at).where(*wanted)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {seq: (views, reach, at) for seq, views, reach, at in rows}

    async def prune(self, channel: ChannelId, before_day: str | None) -> None:
        """Delete the events and scans of days before this one, or with None all that is stored of a channel."""
        await self._database.prepare(SCHEMA)
        await self._database.write(_prune_rows, channel, before_day)


def _read_figures(connection: Connection, channel: ChannelId, first_day: str) -> StoredFigures:
    counts = select(EVENTS.c.kind, EVENTS.c.day, func.count()).where(*_since_day(EVENTS, channel, first_day))
    views = select(VIEWS.c.seq, VIEWS.c.views, VIEWS.c.reach).where(VIEWS.c.channel == channel)
    return StoredFigures(
        {(kind, day): count for kind, day, count in connection.execute(counts.group_by(EVENTS.c.kind, EVENTS.c.day))},
        _read_by_day(connection, SCANS.c.day, SCANS.c.subscribers, _since_day(SCANS, channel, first_day)),
        _read_by_day(connection, JOINS.c.day, JOINS.c.joins, _since_day(JOINS, channel, first_day)),
        {seq: (seen, reach) for seq, seen, reach in connection.execute(views)},
        connection.scalar(select(func.max(SCANS.c.at)).where(SCANS.c.channel == channel)),
        connection.scalar(select(func.min(EVENTS.c.at)).where(EVENTS.c.channel == channel)),
        connection.scalar(select(func.min(SCANS.c.day)).where(SCANS.c.channel == channel)),
        connection.scalar(select(func.min(JOINS.c.day)).where(JOINS.c.channel == channel)),
    )


def _since_day(table: Table, channel: ChannelId, first_day: str) -> list[ColumnElement[bool]]:
    return [table.c.channel == channel, table.c.day >= first_day]


def _read_by_day(
    connection: Connection, day: Column[str], figure: Column[int], conditions: list[ColumnElement[bool]]
) -> dict[str, int]:
    return {str(each): int(number) for each, number in connection.execute(select(day, figure).where(*conditions))}


def _prune_rows(connection: Connection, channel: ChannelId, before_day: str | None) -> None:
    for table in (EVENTS, SCANS) if before_day is not None else (EVENTS, SCANS, JOINS, VIEWS):
        old = [] if before_day is None else [table.c.day < before_day]
        connection.execute(delete(table).where(table.c.channel == channel, *old))
