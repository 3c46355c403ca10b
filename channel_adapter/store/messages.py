"""One-to-one messages as webhooks and `send_many` report them: the last one of each user and account, and the unread.

Rows are kept by the account of the channel, because a webhook names nothing else. One row of `message_unread` is one
message that the account has not read; `read_until` is the second up to which a side has read, so that reports may come
in any order. `message_contacts` are the accounts of channels, as far as this app knows them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)

from channel_adapter.concurrency.paging import Page
from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, ForeignText, Schema, is_storable

_TABLES: Final = MetaData()
_ACCOUNT, _USER, _KEY = String(48), String(48), String(100)

THREADS: Final = Table(
    "message_threads",
    _TABLES,
    Column("account", _ACCOUNT, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("key", _KEY, nullable=False),  # this and the following are of the last message
    Column("received", Boolean, nullable=False),
    Column("parts", ForeignText, nullable=False),
    Column("sent_at", Double, nullable=False),  # by the seconds of the message
    Column("position", Double, nullable=False),  # by the milliseconds of the webhook
    Column("edited_at", Double, nullable=True),
    Column("recalled", Boolean, nullable=False, default=False),
    PrimaryKeyConstraint("account", "user_id"),
)
Index("message_threads_latest", THREADS.c.account, THREADS.c.position, THREADS.c.user_id)

POSITIONS: Final = Table(  # up to which second each side has read
    "message_positions",
    _TABLES,
    Column("account", _ACCOUNT, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("by_user", Boolean, nullable=False),
    Column("read_until", Double, nullable=False),
    PrimaryKeyConstraint("account", "user_id", "by_user"),
)

UNREAD: Final = Table(
    "message_unread",
    _TABLES,
    Column("account", _ACCOUNT, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("key", _KEY, nullable=False),
    Column("sent_at", Double, nullable=False),
    PrimaryKeyConstraint("account", "user_id", "key"),
)

ENDED: Final = Table(  # messages that do not become unread any more, also if they are reported again or later
    "message_ended",
    _TABLES,
    Column("account", _ACCOUNT, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("key", _KEY, nullable=False),
    Column("recalled", Boolean, nullable=False),
    Column("ended_at", Double, nullable=False),
    PrimaryKeyConstraint("account", "user_id", "key"),
)

EDITS: Final = Table(  # when messages were last edited, which the service does not store
    "message_edits",
    _TABLES,
    Column("account", _ACCOUNT, nullable=False),
    Column("user_id", _USER, nullable=False),
    Column("key", _KEY, nullable=False),
    Column("edited_at", Double, nullable=False),
    PrimaryKeyConstraint("account", "user_id", "key"),
)

CONTACTS: Final = Table(
    "message_contacts",
    _TABLES,
    Column("channel", String(48), primary_key=True),
    Column("account", _ACCOUNT, nullable=False),
)
Index("message_contacts_account", CONTACTS.c.account)

SCHEMA: Final = Schema("messages", 2, _TABLES)

THREADS_PER_PAGE: Final = 200
ENDED_SECONDS: Final = 30 * 86_400.0
"""How long it is known that a message was read by its key or recalled; a dead letter may be retried so late."""

ThreadPosition = tuple[float, str]
"""Where a list of threads goes on: below this position, and for equal ones above this user."""


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """A message as a webhook reported it; `parts` is JSON, the times are Unix seconds."""

    account: str
    user: str
    key: str
    received: bool
    parts: str
    sent_at: float
    position: float


@dataclass(frozen=True, slots=True)
class ReportedThread:
    """The last message of a thread, and how many are unread. `read`: its receiver has read it."""

    last: ReportedMessage
    edited_at: float | None
    recalled: bool
    read: bool
    unread: int


@dataclass(frozen=True, slots=True)
class ThreadMarks:
    """Up to which second each side of a conversation has read, and when messages were edited, by their keys."""

    read_by_account: float
    read_by_user: float
    edited_at: Mapping[str, float]


class MessageRows:
    """The rows of one database. Raises what Database raises; then nothing was changed.

    Every change may be made again, and of two the one that is about a later time stays. A change with an id that no
    account or message can have is ignored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, messages: Sequence[ReportedMessage]) -> None:
        """Add messages: each the last one of its thread if it is the latest, and unread if the account receives it."""
        possible = [message for message in messages if _is_possible(message.account, message.user, message.key)]
        if possible:
            await self._prepare_and_write(self._add_messages, possible)

    async def read(self, account: str, user: str, *, until: float, by_user: bool) -> None:
        """Record that one side has read up to a second."""
        if _is_possible(account, user):
            await self._prepare_and_write(self._record_read, [(account, user)], until, by_user)

    async def read_keys(self, account: str, user: str, keys: Collection[str], at: float) -> None:
        """Record that the account has read single messages."""
        if possible := [key for key in keys if _is_possible(account, user, key)]:
            await self._prepare_and_write(self._record_ended, account, user, possible, at, recalled=False)

    async def read_all(self, reader: str, until: float) -> None:
        """Record that an account or a user has read all conversations up to a second."""
        if _is_possible(reader):
            await self._prepare_and_write(self._read_all, reader, until)

    async def recall(self, account: str, user: str, key: str, at: float) -> None:
        """Record that a message was recalled: it has no content any more and is not unread."""
        if _is_possible(account, user, key):
            await self._prepare_and_write(self._record_recall, account, user, key, at)

    async def edit(self, account: str, user: str, key: str, parts: str, at: float) -> None:
        """Record when a message was edited, and its content if it is the last one of its thread."""
        if _is_possible(account, user, key):
            await self._prepare_and_write(self._record_edit, account, user, key, parts, at)

    async def marks(self, account: str, user: str) -> ThreadMarks:
        """Return what is known of the messages between an account and a user."""
        await self._database.prepare(SCHEMA)
        return await self._database.read(_read_marks, account, user)

    async def threads(self, account: str, after: ThreadPosition | None) -> Page[ReportedThread, ThreadPosition]:
        """Return one page of the threads of an account, the latest first."""
        await self._database.prepare(SCHEMA)
        found = await self._database.read(_read_threads, account, after)
        last = found[-1].last if len(found) == THREADS_PER_PAGE else None
        return Page(found, None if last is None else (last.position, last.user))

    async def unread(self, account: str) -> int:
        """Return how many messages an account has not read."""
        await self._database.prepare(SCHEMA)
        query = select(func.count()).select_from(UNREAD).where(UNREAD.c.account == account)
        return await self._database.read(lambda connection: int(connection.scalar(query) or 0))

    async def contacts(self, accounts: Iterable[str]) -> list[tuple[str, ChannelId]]:
        """Return the channels that these accounts send messages for, by channel."""
        await self._database.prepare(SCHEMA)
        possible = [account for account in accounts if _is_possible(account)]
        query = select(CONTACTS.c.account, CONTACTS.c.channel).where(CONTACTS.c.account.in_(possible))
        query = query.order_by(CONTACTS.c.channel)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [(account, ChannelId(channel)) for account, channel in rows]

    async def add_contact(self, channel: ChannelId, account: str) -> str:
        """Set the account of a channel unless it has one; return the one that it has then."""
        await self._database.prepare(SCHEMA)
        new = self._database.insert(CONTACTS).values(channel=channel, account=account).on_conflict_do_nothing()
        known = select(CONTACTS.c.account).where(CONTACTS.c.channel == channel)

        def transaction(connection: Connection) -> str:
            connection.execute(new)
            return str(connection.scalar(known) or account)

        return await self._database.write(transaction)

    async def set_contact(self, channel: ChannelId, account: str | None) -> None:
        """Set the account of a channel; None removes the channel."""
        if account is None:
            await self._prepare_and_write(
                lambda connection: connection.execute(delete(CONTACTS).where(CONTACTS.c.channel == channel))
            )
            return
        await self.set_contacts({channel: account})

    async def set_contacts(self, accounts: Mapping[ChannelId, str]) -> None:
        """Set the accounts of channels, at least one."""
        rows = [{"channel": channel, "account": account} for channel, account in sorted(accounts.items())]
        new = self._database.insert(CONTACTS)
        new = new.on_conflict_do_update(index_elements=["channel"], set_={"account": new.excluded.account})
        await self._prepare_and_write(lambda connection: connection.execute(new, rows))

    async def _prepare_and_write(self, function: Any, *args: Any, **kwargs: Any) -> None:
        await self._database.prepare(SCHEMA)
        await self._database.write(function, *args, **kwargs)

    def _add_messages(self, connection: Connection, messages: Sequence[ReportedMessage]) -> None:
        ended = self._read_ended(connection, messages)
        recalled = {names for names, is_recalled in ended.items() if is_recalled}
        rows = [
            {
                "account": message.account, "user_id": message.user, "key": message.key, "received": message.received,
                "parts": "[]" if _names(message) in recalled else message.parts, "sent_at": message.sent_at,
                "position": message.position, "edited_at": None, "recalled": _names(message) in recalled,
            }
            for message in sorted(messages, key=lambda message: (message.account, message.user))
        ]  # fmt: skip
        new = self._database.insert(THREADS)
        latest = THREADS.c.position < new.excluded.position
        changes = {name: new.excluded[name] for name in rows[0] if name not in ("account", "user_id")}
        upsert = new.on_conflict_do_update(index_elements=["account", "user_id"], set_=changes, where=latest)
        connection.execute(upsert, rows)
        for message in messages:
            if message.received and _names(message) not in ended:
                self._add_unread(connection, message)

    def _read_ended(
        self, connection: Connection, messages: Sequence[ReportedMessage]
    ) -> dict[tuple[str, str, str], bool]:
        """Return which of these messages are not unread any more, and whether they were recalled."""
        columns = {"account": _ACCOUNT, "user_id": _USER, "key": _KEY}
        these = self._database.rows(columns, [_names(message) for message in messages])
        pairs = and_(*(ENDED.c[name] == these.c[name] for name in columns))
        found = connection.execute(select(ENDED).join(these, pairs))
        return {(row.account, row.user_id, row.key): row.recalled for row in found}

    def _add_unread(self, connection: Connection, message: ReportedMessage) -> None:
        positions = and_(POSITIONS.c.account == message.account, POSITIONS.c.user_id == message.user)
        until = connection.scalar(select(POSITIONS.c.read_until).where(positions, POSITIONS.c.by_user.is_(False)))
        if until is None or until < message.sent_at:
            values = {
                "account": message.account, "user_id": message.user, "key": message.key, "sent_at": message.sent_at,
            }  # fmt: skip
            connection.execute(self._database.insert(UNREAD).values(values).on_conflict_do_nothing())

    def _record_read(
        self, connection: Connection, pairs: Sequence[tuple[str, str]], until: float, by_user: bool
    ) -> None:
        if not pairs:
            return
        new = self._database.insert(POSITIONS)
        latest = case(
            (POSITIONS.c.read_until > new.excluded.read_until, POSITIONS.c.read_until), else_=new.excluded.read_until
        )
        connection.execute(
            new.on_conflict_do_update(index_elements=["account", "user_id", "by_user"], set_={"read_until": latest}),
            [
                {"account": account, "user_id": user, "by_user": by_user, "read_until": until}
                for account, user in sorted(pairs)
            ],
        )
        if not by_user:
            connection.execute(
                delete(UNREAD).where(tuple_(UNREAD.c.account, UNREAD.c.user_id).in_(pairs), UNREAD.c.sent_at <= until)
            )

    def _read_all(self, connection: Connection, reader: str, until: float) -> None:
        for own, by_user in ((THREADS.c.account, False), (THREADS.c.user_id, True)):
            rows = connection.execute(select(THREADS.c.account, THREADS.c.user_id).where(own == reader))
            pairs = [(account, user) for account, user in rows]
            for start in range(0, len(pairs), THREADS_PER_PAGE):
                self._record_read(connection, pairs[start : start + THREADS_PER_PAGE], until, by_user)

    def _record_edit(self, connection: Connection, account: str, user: str, key: str, parts: str, at: float) -> None:
        new = self._database.insert(EDITS).values(account=account, user_id=user, key=key, edited_at=at)
        latest = EDITS.c.edited_at <= new.excluded.edited_at
        changed = connection.execute(
            new.on_conflict_do_update(
                index_elements=["account", "user_id", "key"], set_={"edited_at": new.excluded.edited_at}, where=latest
            )
        )
        if changed.rowcount:
            change = update(THREADS).where(*_is_last_message(account, user, key), THREADS.c.recalled.is_(False))
            connection.execute(change.values(parts=parts, edited_at=at))

    def _record_recall(self, connection: Connection, account: str, user: str, key: str, at: float) -> None:
        connection.execute(
            update(THREADS).where(*_is_last_message(account, user, key)).values(recalled=True, parts="[]")
        )
        self._record_ended(connection, account, user, [key], at, recalled=True)

    def _record_ended(
        self, connection: Connection, account: str, user: str, keys: Sequence[str], at: float, *, recalled: bool
    ) -> None:
        """Record that messages are not unread any more, and forget what was recorded long before."""
        conversation = and_(ENDED.c.account == account, ENDED.c.user_id == user)
        connection.execute(delete(ENDED).where(conversation, ENDED.c.ended_at < at - ENDED_SECONDS))
        new = self._database.insert(ENDED)
        changed = {"recalled": or_(ENDED.c.recalled, new.excluded.recalled)}
        connection.execute(
            new.on_conflict_do_update(index_elements=["account", "user_id", "key"], set_=changed),
            [
                {"account": account, "user_id": user, "key": key, "recalled": recalled, "ended_at": at}
                for key in sorted(set(keys))
            ],
        )
        connection.execute(
            delete(UNREAD).where(UNREAD.c.account == account, UNREAD.c.user_id == user, UNREAD.c.key.in_(keys))
        )


def _names(message: ReportedMessage) -> tuple[str, str, str]:
    return message.account, message.user, message.key


def _is_possible(account: str, user: str = "", key: str = "") -> bool:
    return is_storable(account, _ACCOUNT) and is_storable(user, _USER) and is_storable(key, _KEY)


def _is_last_message(account: str, user: str, key: str) -> tuple[Any, ...]:
    """Return the conditions for the thread whose last message this is."""
    return THREADS.c.account == account, THREADS.c.user_id == user, THREADS.c.key == key


def _read_marks(connection: Connection, account: str, user: str) -> ThreadMarks:
    positions = select(POSITIONS.c.by_user, POSITIONS.c.read_until)
    positions = positions.where(POSITIONS.c.account == account, POSITIONS.c.user_id == user)
    edits = select(EDITS.c.key, EDITS.c.edited_at).where(EDITS.c.account == account, EDITS.c.user_id == user)
    read = {row.by_user: row.read_until for row in connection.execute(positions)}
    edited_at = {row.key: row.edited_at for row in connection.execute(edits)}
    return ThreadMarks(read.get(False, 0.0), read.get(True, 0.0), edited_at)


def _read_threads(connection: Connection, account: str, after: ThreadPosition | None) -> list[ReportedThread]:
    pair = and_(UNREAD.c.account == THREADS.c.account, UNREAD.c.user_id == THREADS.c.user_id)
    count = select(func.count()).select_from(UNREAD).where(pair).scalar_subquery()
    positions = and_(POSITIONS.c.account == THREADS.c.account, POSITIONS.c.user_id == THREADS.c.user_id)
    until = select(POSITIONS.c.read_until).where(positions, POSITIONS.c.by_user != THREADS.c.received).scalar_subquery()
    query = select(THREADS, count.label("unread"), until.label("read_until")).where(THREADS.c.account == account)
    if after is not None:
        position, user = after
        below = and_(THREADS.c.position == position, THREADS.c.user_id > user)
        query = query.where(or_(THREADS.c.position < position, below))
    query = query.order_by(THREADS.c.position.desc(), THREADS.c.user_id).limit(THREADS_PER_PAGE)
    return [
        ReportedThread(
            ReportedMessage(row.account, row.user_id, row.key, row.received, row.parts, row.sent_at, row.position),
            row.edited_at,
            row.recalled,
            row.read_until is not None and row.read_until >= row.sent_at,
            row.unread,
        )
        for row in connection.execute(query)
    ]
