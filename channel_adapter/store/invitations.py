"""Invitations, and the users who have used them. Codes are stored as hashes.

A use is reserved before its user is subscribed, and counts from then on. A reservation whose process has not confirmed
or released it in time is `overdue`: whether its user was subscribed decides what becomes of it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Double,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)

from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.invitation import Invitation, InvitationState
from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
_INVITATIONS: Final = Table(
    "invitation",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("channel", String(48), nullable=False, index=True),
    Column("max_uses", Integer),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)
_USES: Final = Table(
    "invitation_use",
    _metadata,
    Column("invitation", String(32), primary_key=True),
    Column("user_id", String(32), primary_key=True),
    Column("used_at", Double, nullable=False),
    Column("reserved_until", Double),  # NULL: the user was subscribed
)
SCHEMA: Final = Schema("invitations", 1, _metadata)
_PER_PAGE: Final = 500


class Reserved(Enum):
    """Result of a reservation."""

    DONE = "done"
    HELD = "held"  # the user has a use, or another call has reserved one for the user
    BUSY = "busy"  # every use that is left is reserved for another user, and may be released
    USED_UP = "used_up"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeptInvitation(NamedTuple):
    """An invitation as it is now, and the users whose reservations are overdue."""

    invitation: Invitation
    overdue: tuple[UserId, ...]


class InvitationRows:
    """The rows of one database. Raises what Database raises; then nothing was changed.

    `here` is the caller's clock in Unix seconds; PostgreSQL compares with the server's clock.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, invitation: Invitation, code_hash: str) -> None:
        """Store a new invitation."""
        await self._database.prepare(SCHEMA)
        row = {
            "id": invitation.id,
            "code_hash": code_hash,
            "channel": invitation.channel,
            "max_uses": invitation.max_uses,
            "created_at": invitation.created_at.timestamp(),
            "expires_at": invitation.expires_at.timestamp() if invitation.expires_at is not None else None,
        }
        await self._database.execute(self._database.insert(_INVITATIONS).values(row))

    async def find(self, name: str, here: float) -> KeptInvitation | None:
        """Return an invitation by its id or the hash of its code."""
        await self._database.prepare(SCHEMA)
        found = await self._database.read(self._read_page, _is_named(name), here)
        return found[0] if found else None

    async def all(self, channel: ChannelId | None, prefix: str, here: float) -> AsyncIterator[Invitation]:
        """Yield the invitations of a channel, or of all channels whose ids begin with `prefix`, by id."""
        await self._database.prepare(SCHEMA)

        async def fetch(after: str) -> Page[Invitation, str]:
            column = _INVITATIONS.c.channel
            own = column.startswith(prefix, autoescape=True) if channel is None else column == channel
            wanted = and_(_INVITATIONS.c.id > after, own)
            rows = [row.invitation for row in await self._database.read(self._read_page, wanted, here)]
            return Page(rows, rows[-1].id if len(rows) == _PER_PAGE else None)

        async for page in read_pages(fetch, ""):
            for invitation in page:
                yield invitation

    async def revoke(self, invitation: str, here: float) -> bool | None:
        """Revoke an invitation by its id; return False if it was revoked before, None if there is none."""
        await self._database.prepare(SCHEMA)
        named = _INVITATIONS.c.id == invitation

        def transaction(connection: Connection) -> bool | None:
            now = self._database.time(connection, here)
            new = update(_INVITATIONS).where(named, _INVITATIONS.c.revoked_at.is_(None)).values(revoked_at=now)
            if connection.execute(new).rowcount:
                return True
            return False if connection.scalar(select(_INVITATIONS.c.id).where(named)) is not None else None

        return await self._database.write(transaction)

    async def reserve(self, invitation: str, users: Sequence[UserId], seconds: float, here: float) -> list[Reserved]:
        """Reserve a use for each of these users for some seconds, in their order.

        A user who has one takes no further use.
        """
        await self._database.prepare(SCHEMA)
        row = select(_INVITATIONS).where(_INVITATIONS.c.id == invitation).with_for_update()

        def transaction(connection: Connection) -> list[Reserved]:
            found = connection.execute(row).one_or_none()
            if found is None or found.revoked_at is not None:
                return [Reserved.REVOKED] * len(users)
            now = self._database.time(connection, here)
            if found.expires_at is not None and found.expires_at <= now:
                return [Reserved.EXPIRED] * len(users)
            used, total, confirmed = _count_uses(connection, invitation, users)
            left = len(users) if found.max_uses is None else found.max_uses - total
            none_left = Reserved.USED_UP if confirmed == found.max_uses else Reserved.BUSY
            new: dict[UserId, None] = {}
            results: list[Reserved] = []
            for user in users:
                if user in used or user in new:
                    results.append(Reserved.HELD)
                elif left > len(new):
                    new[user] = None
                    results.append(Reserved.DONE)
                else:
                    results.append(none_left)
            self._write_uses(connection, invitation, new, now, now + seconds)
            return results

        return await self._database.write(transaction)

    async def confirm(self, invitation: str, user: UserId, here: float) -> bool:
        """Record that a user was subscribed; return False if the reservation is gone, and no use is left."""
        row = select(_INVITATIONS.c.max_uses).where(_INVITATIONS.c.id == invitation).with_for_update()

        def transaction(connection: Connection) -> bool:
            found = connection.execute(row).one_or_none()
            used, total, _ = _count_uses(connection, invitation, [user])
            if user not in used and (found is None or (found.max_uses is not None and found.max_uses <= total)):
                return False
            self._write_uses(connection, invitation, [user], self._database.time(connection, here), None)
            return True

        return await self._database.write(transaction)

    async def release(self, invitation: str, user: UserId) -> None:
        """Give back the use of a user who was not subscribed; a use that counts already stays."""
        await self._release_use(invitation, user, _USES.c.reserved_until.is_not(None))

    async def release_overdue(self, invitation: str, user: UserId, here: float) -> None:
        """Give back the use of a user whose reservation is overdue, unless it was renewed meanwhile."""
        await self._release_use(invitation, user, _USES.c.reserved_until <= self._database.now(here))

    async def _release_use(self, invitation: str, user: UserId, wanted: ColumnElement[bool]) -> None:
        mine = and_(_USES.c.invitation == invitation, _USES.c.user_id == user, wanted)
        await self._database.execute(delete(_USES).where(mine))

    async def drop(self, channel: ChannelId) -> None:
        """Delete the invitations of a deleted channel."""
        await self._database.prepare(SCHEMA)
        ids = select(_INVITATIONS.c.id).where(_INVITATIONS.c.channel == channel)

        def transaction(connection: Connection) -> None:
            connection.execute(delete(_USES).where(_USES.c.invitation.in_(ids)))
            connection.execute(delete(_INVITATIONS).where(_INVITATIONS.c.channel == channel))

        await self._database.write(transaction)

    def _write_uses(
        self, connection: Connection, invitation: str, users: Iterable[UserId], now: float, until: float | None
    ) -> None:
        values = [
            {"invitation": invitation, "user_id": user, "used_at": now, "reserved_until": until}
            for user in dict.fromkeys(users)
        ]
        if values:
            insert = self._database.insert(_USES)
            keys = [_USES.c.invitation, _USES.c.user_id]
            changed = {"reserved_until": insert.excluded.reserved_until}
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), values)

    def _read_page(self, connection: Connection, wanted: ColumnElement[bool], here: float) -> list[KeptInvitation]:
        now = self._database.time(connection, here)
        rows = connection.execute(select(_INVITATIONS).where(wanted).order_by(_INVITATIONS.c.id).limit(_PER_PAGE)).all()
        ids = [row.id for row in rows]
        uses = (
            select(_USES.c.invitation, func.count())
            .where(_USES.c.invitation.in_(ids), _USES.c.reserved_until.is_(None))
            .group_by(_USES.c.invitation)
        )
        counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(uses)}
        late = select(_USES.c.invitation, _USES.c.user_id).where(
            _USES.c.invitation.in_(ids), _USES.c.reserved_until <= now
        )
        overdue: dict[str, list[UserId]] = {each: [] for each in ids}
        for each, user in connection.execute(late):
            overdue[each].append(UserId(user))
        return [KeptInvitation(_to_invitation(row, counts.get(row.id, 0), now), tuple(overdue[row.id])) for row in rows]


def _is_named(name: str) -> ColumnElement[bool]:
    return or_(_INVITATIONS.c.id == name, _INVITATIONS.c.code_hash == name)


def _count_uses(connection: Connection, invitation: str, users: Sequence[UserId]) -> tuple[set[UserId], int, int]:
    """Return which of these users have a use, and how many uses there are in all and for subscribed users."""
    mine = _USES.c.invitation == invitation
    counts = select(func.count(), func.count().filter(_USES.c.reserved_until.is_(None))).where(mine)
    total, confirmed = connection.execute(counts).one()
    named = connection.scalars(select(_USES.c.user_id).where(mine, _USES.c.user_id.in_(users)))
    return set(map(UserId, named)), total, confirmed


def _to_invitation(row: Row[Any], uses: int, now: float) -> Invitation:
    state = InvitationState.OPEN
    if row.revoked_at is not None:
        state = InvitationState.REVOKED
    elif row.expires_at is not None and row.expires_at <= now:
        state = InvitationState.EXPIRED
    elif row.max_uses is not None and uses >= row.max_uses:
        state = InvitationState.USED_UP
    return Invitation(
        id=row.id,
        channel=ChannelId(row.channel),
        state=state,
        uses=uses,
        max_uses=row.max_uses,
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        expires_at=datetime.fromtimestamp(row.expires_at, UTC) if row.expires_at is not None else None,
    )
