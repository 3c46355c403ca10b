"""One-to-one messages between channels and users: the public methods, and the threads that webhooks report."""

import math
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from channel_adapter.backends.protocols import MessageBackend
from channel_adapter.concurrency.batching import stream
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.paging import Page, Pages
from channel_adapter.domain import events as e
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Contact, Direction, Message, MessageRef, PeerId, Thread
from channel_adapter.domain.post import Content, Draft
from channel_adapter.domain.subscription import Outcome, OutcomeKind, Outcomes
from channel_adapter.errors import ChannelAdapterError, InvalidError, needs_database
from channel_adapter.mapping import ids
from channel_adapter.mapping.content_json import stored_parts
from channel_adapter.mapping.ids import IdScheme
from channel_adapter.quoting import shown_value
from channel_adapter.services.bulk import BulkLoop, BulkOptions, Users, collect, require_users

if TYPE_CHECKING:
    from channel_adapter.store.messages import MessageRows, ReportedMessage, ReportedThread, ThreadMarks, ThreadPosition

BATCHES: Final = 4
"""Batches of `send_many` under way; the messages a minute that the service accepts are fewer than one at a time."""

_log = get_logger("channel_adapter.messages")


class ContactRegistry:
    """The accounts that send the messages of channels, as far as they are known here.

    They are learned when a channel is created, gets another contact or owner, and when it sends a message; those of
    older channels by `directory.refresh`. With a database they are known to every process, else to this one.
    """

    def __init__(self, rows: "MessageRows | None" = None) -> None:
        self._rows = rows
        self._known: dict[ChannelId, str] = {}

    async def channels(self, accounts: Iterable[str]) -> dict[str, tuple[ChannelId, ...]]:
        """Return the channels of those accounts that have some."""
        wanted, found = set(accounts), defaultdict[str, list[ChannelId]](list)
        if self._rows is not None:
            pairs = await self._rows.contacts(wanted)
        else:
            pairs = [(account, channel) for channel, account in self._known.items() if account in wanted]
        for account, channel in pairs:
            found[account].append(channel)
        return {account: tuple(sorted(channels)) for account, channels in found.items()}

    async def learn(self, channel: ChannelId, account: str) -> str:
        """Record the account of a channel unless one is known; return the one that is known then."""
        if self._known.get(channel) != account:
            if self._rows is not None:
                self._known[channel] = await self._rows.add_contact(channel, account)
            else:
                self._known.setdefault(channel, account)
        return self._known[channel]

    async def set_many(self, channels: Iterable[Channel]) -> None:
        """Record in the database the accounts of channels as they were just read."""
        accounts = {channel.id: account for channel in channels if (account := channel.contact or channel.owner)}
        if self._rows is not None and accounts:
            await self._rows.set_contacts(accounts)
            self._known.update({channel: account for channel, account in accounts.items() if channel in self._known})

    async def set(self, channel: ChannelId, account: str | None) -> None:
        """Record a new account of a channel; None for a channel that does not exist any more."""
        if self._rows is not None:
            await self._rows.set_contact(channel, account)
        if account is None:
            self._known.pop(channel, None)
        else:
            self._known[channel] = account

    async def observe(self, event: e.ChannelEvent) -> None:
        """Learn from an event of a channel."""
        channel = event.channel
        match event:
            case e.ChannelCreated(owner=owner) if owner is not None:
                await self.learn(channel, owner)
            case e.ChannelDeleted(confirmed=True):
                await self.set(channel, None)
            case e.OwnerChanged(old_owner=old, new_owner=new):
                if channel in (await self.channels([old or ""])).get(old or "", ()):
                    await self.set(channel, new)


class Messages:
    """One-to-one messages of channels. Every method accepts a channel by slug or by id.

    A channel's messages are sent and received by one account: its contact, or its owner if it has none.
    """

    def __init__(
        self,
        backend: MessageBackend,
        scheme: IdScheme,
        contacts: ContactRegistry,
        rows: "MessageRows | None",
        options: BulkOptions,
    ) -> None:
        self._backend = backend
        self._ids = scheme
        self._contacts = contacts
        self._rows = rows
        self._options = options

    async def send(
        self,
        channel: str,
        *,
        user: str,
        content: Content | Sequence[Content],
        idempotency_key: str | None = None,
    ) -> Message:
        """Send one message to a user, and return it. The service may demand that the user is a subscriber.

        Every attempt carries the same dedupe number, so that a lost reply never sends twice; with an `idempotency_key`
        the same holds for calls with equal content up to 120 s apart. Raises InvalidError (empty, over 12,000 bytes,
        the channel's own account), NotFoundError for the channel and the user, PermissionDeniedError if the user has
        blocked the account or would have to subscribe first, RefusedError, and OutcomeUnknownError if the message may
        have been sent.
        """
        wanted, receiver = self._ids.channel(channel), ids.receiver_id(user)
        dedupe = None
        if idempotency_key is not None:
            dedupe = ids.message_dedupe(wanted, receiver, ids.idempotency_key(idempotency_key))
        await self._check_before_send(wanted, content)
        return await self._backend.send(wanted, receiver, Draft(content, dedupe=dedupe))

    async def send_many(self, channel: str, users: Users, content: Content | Sequence[Content]) -> Outcomes:
        """Send one message to many users, and return one outcome for each.

        500 users a call, 12,000 messages a minute. A collection is checked whole before the first call; a user named
        again in it is `already`. A batch whose answer was lost is `unknown` for its users and is not repeated: the
        service does not document that it would recognise it. Webhooks do not report these messages; with a database
        each one is in `threads` as soon as its batch is answered. Raises InvalidError, NotFoundError for the channel,
        and UnavailableError when the service does not answer; its `outcomes` holds what is known.
        """
        return await collect(self.send_many_stream(channel, users, content))

    def send_many_stream(
        self, channel: str, users: Users, content: Content | Sequence[Content]
    ) -> AsyncGenerator[Outcome, None]:
        """Send as `send_many` does, and yield the outcomes as the service answers, not in the order of the users.

        Keeps nothing but the ids that it has read, about 200 bytes each, so that a user named twice gets one message.
        Closing the generator stops the call; what was sent before stays sent.
        """
        wanted = self._ids.channel(channel)
        options = BulkOptions(min(BATCHES, self._options.concurrency), self._options.stall_timeout, self._options.clock)
        loop = BulkLoop(options, lost=OutcomeKind.UNKNOWN)
        send = partial(
            loop.outcomes,
            size=self._backend.send_batch,
            handle=partial(self._send_batch, wanted, content=content),
            prepare=partial(self._check_before_send, wanted, content),
        )
        return _without_repeats(require_users(users), send)

    def thread(self, channel: str, *, user: str) -> AsyncGenerator[Message, None]:
        """Yield the messages between a channel and a user that the service still keeps, newest first, up to 100 a call.

        How far back it reaches is the plan's roaming time: 7 days or more. `read` and `edited_at` are what webhooks
        reported, if there is a database; else `read` shows single receipts alone. Raises NotFoundError for the channel.
        """
        return self._read_thread(self._ids.channel(channel), ids.receiver_id(user))

    def threads(self, channel: str, *, cursor: str = "") -> Pages[Thread, str]:
        """Return an iterator over the users who have exchanged messages with a channel, the latest first.

        Read from the adapter's table, which webhooks and `send_many` fill: it holds what was reported since the first
        receiver ran. An account that is the contact of several channels has its threads in each. The iterator's
        `cursor` is where to resume another time. Raises InvalidError for any other cursor, also for one of the other
        mode, and ConfigurationError without `database_url`.
        """
        wanted, rows = self._ids.channel(channel), self._require_rows()
        _to_thread_position(self._ids.from_cursor(cursor))

        async def fetch(start: str) -> Page[Thread, str]:
            page = await rows.threads(
                await self._learn_account(wanted), _to_thread_position(self._ids.from_cursor(start))
            )
            threads = [_to_thread(wanted, stored) for stored in page.items]
            return Page(threads, None if page.next is None else self._ids.to_cursor("{!r}/{}".format(*page.next)))

        return Pages(fetch, cursor)

    async def edit(self, ref: MessageRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a message that the channel sent; the last writer wins.

        Raises InvalidError, and NotFoundError for a message that the channel has not sent to this user.
        """
        await self._backend.edit(self._require_ref(ref), content)

    async def recall(self, ref: MessageRef) -> None:
        """Recall a message that the channel sent, however old it is; recalling it again changes nothing.

        Raises NotFoundError for a message that the channel has not sent to this user.
        """
        await self._backend.recall(self._require_ref(ref))

    async def mark_read(self, channel: str, *, user: str) -> None:
        """Mark the messages of a user as read by the channel's account. Raises NotFoundError."""
        await self._backend.mark_read(self._ids.channel(channel), ids.receiver_id(user))

    async def unread(self, channel: str) -> int:
        """Return how many messages of all users the channel's account has not read, as the service counts them.

        Where the service does not count them, from the adapter's table: raises ConfigurationError without
        `database_url` there.
        """
        wanted = self._ids.channel(channel)
        count = await self._backend.unread(wanted)
        return await self._require_rows().unread(await self._learn_account(wanted)) if count is None else count

    async def contact(self, channel: str) -> Contact:
        """Return the account that sends a channel's messages, and the other channels known to use it."""
        wanted = self._ids.channel(channel)
        account = await self._learn_account(wanted)
        channels = (await self._contacts.channels([account])).get(account, ())
        return Contact(wanted, account, tuple(each for each in channels if each != wanted))

    async def set_contact(self, channel: str, account: str) -> None:
        """Let another account send a channel's messages; "" is the owner again. `channels.update` calls this.

        Logs a warning if the account sends those of another channel: its received messages do not tell for which one.
        """
        wanted = self._ids.channel(channel)
        await self._backend.set_contact(wanted, None if account == "" else ids.receiver_id(account, "contact"))
        await self._contacts.set(wanted, await self._backend.sender(wanted))
        contact = await self.contact(channel)
        if contact.shared_with:
            _log.warning("messages.contact_is_shared", channel=wanted, account=contact.account,
                         shared_with=", ".join(contact.shared_with))  # fmt: skip

    async def _read_thread(self, channel: ChannelId, user: UserId) -> AsyncGenerator[Message, None]:
        marks = None if self._rows is None else await self._rows.marks(await self._learn_account(channel), user)
        async with aclosing(self._backend.thread(channel, user)) as messages:
            async for message in messages:
                yield message if marks is None else _with_marks(message, marks)

    async def _send_batch(
        self, channel: ChannelId, users: Sequence[UserId], content: Content | Sequence[Content]
    ) -> BatchResult:
        """Send to a batch of users, and record the messages that were sent, which no webhook reports."""
        sent = await self._backend.send_many(channel, users, content)
        if self._rows is not None and sent.messages:
            try:
                account, now = await self._learn_account(channel), self._options.clock.now()
                await self._rows.add([_to_reported(account, message, now) for message in sent.messages])
            except ChannelAdapterError as error:  # they were sent all the same
                _log.warning("messages.sent_not_recorded", channel=channel, users=len(sent.messages), error=error.kind)
        return sent.result

    async def _check_before_send(self, channel: ChannelId, content: Content | Sequence[Content]) -> None:
        """Check channel and content, and record the account of the channel, before anything is sent."""
        await self._backend.check(channel, content)
        await self._learn_account(channel)

    async def _learn_account(self, channel: ChannelId) -> PeerId:
        """Return the account of a channel, which the registry knows then."""
        account = await self._backend.sender(channel)
        if account == channel:
            return account
        if await self._contacts.learn(channel, account) != account:  # one of the two is from before a change
            account = await self._backend.sender(channel, fresh=True)
            await self._contacts.set(channel, account)
        return account

    def _require_ref(self, ref: object) -> MessageRef:
        return ids.message_ref(self._ids, ref)

    def _require_rows(self) -> "MessageRows":
        if self._rows is None:
            raise needs_database("threads are kept in a database")
        return self._rows


async def _without_repeats(
    users: Users, send: Callable[[Users], AsyncGenerator[Outcome, None]]
) -> AsyncGenerator[Outcome, None]:
    """Yield the outcomes of sending to users; those who are named again are `already`, and get one message."""
    times: Counter[str] = Counter(users) if isinstance(users, Collection) else Counter()
    async with aclosing(send([*times] if isinstance(users, Collection) else _named_first(users, times))) as outcomes:
        async for outcome in outcomes:
            yield outcome
    for user in (times - Counter(times.keys())).elements():
        yield Outcome(user, OutcomeKind.ALREADY, "named twice in this call")


async def _named_first(users: Users, times: Counter[str]) -> AsyncGenerator[str, None]:
    """Yield every user once, and count how often each is named."""
    async with aclosing(stream(users)) as source:
        async for user in source:
            times[user] += 1
            if times[user] == 1:
                yield user


async def record(rows: "MessageRows", event: e.MessageEvent | e.AllRead) -> None:
    """Store what a webhook reports of messages. May be repeated."""
    from channel_adapter.store.messages import ReportedMessage  # noqa: PLC0415 - an extra

    at = event.at.timestamp() if event.at is not None else 0.0
    if isinstance(event, e.AllRead):
        await rows.read_all(event.user, at)
        return
    account, user = event.account, event.user
    match event:
        case e.NewMessage(online_only=False, key=key, parts=parts, sent_at=sent_at):
            seconds = sent_at.timestamp() if sent_at is not None else at
            received = isinstance(event, e.MessageReceived)
            text = orjson.dumps(parts).decode()
            await rows.add([ReportedMessage(account, user, key, received, text, seconds, at or seconds)])
        case e.MessageRead(direction=direction, until=datetime() as until):
            by_user = direction is Direction.SENT
            await rows.read(account, user, until=until.timestamp(), by_user=by_user)
        case e.MessageRead(direction=Direction.RECEIVED, keys=keys) if keys:
            await rows.read_keys(account, user, keys, at)
        case e.MessageRecalled(key=key):
            await rows.recall(account, user, key, at)
        case e.MessageEdited(key=key, parts=parts):
            await rows.edit(account, user, key, orjson.dumps(parts).decode(), at)


def _to_reported(account: PeerId, message: Message, now: float) -> "ReportedMessage":
    """Return a message that this adapter sent at `now`, in the form of a report."""
    from channel_adapter.store.messages import ReportedMessage  # noqa: PLC0415 - an extra

    seconds = message.sent_at.timestamp() if message.sent_at is not None else now
    position = now if seconds <= now < seconds + 1 else seconds  # the service shows no fraction of the second
    text = orjson.dumps(message.parts).decode()
    return ReportedMessage(account, message.user, message.key, False, text, seconds, position)


def _with_marks(message: Message, marks: "ThreadMarks") -> Message:
    """Return a message with what webhooks reported of it."""
    until = marks.read_by_user if message.direction is Direction.SENT else marks.read_by_account
    seen = message.sent_at is not None and message.sent_at.timestamp() <= until
    edited_at = marks.edited_at.get(message.key)
    return replace(
        message,
        read=message.read or seen,
        edited_at=None if edited_at is None else datetime.fromtimestamp(edited_at, UTC),
    )


def _to_thread_position(text: str) -> "ThreadPosition | None":
    """Return the position in a list of threads that a cursor holds, None for the beginning. Raises InvalidError."""
    if not text:
        return None
    seconds, separator, user = text.partition("/")
    try:
        position = float(seconds)
    except ValueError:
        position = math.nan
    if not separator or not math.isfinite(position) or "\0" in user:
        raise InvalidError(f"cursor: {shown_value(text)} is not the cursor of a list of threads", field="cursor")
    return position, user


def _to_thread(channel: ChannelId, stored: "ReportedThread") -> Thread:
    last, user = stored.last, UserId(stored.last.user)
    message = Message(
        channel=channel,
        user=user,
        key=last.key,
        direction=Direction.RECEIVED if last.received else Direction.SENT,
        parts=stored_parts(last.parts),
        sent_at=datetime.fromtimestamp(last.sent_at, UTC),
        edited_at=None if stored.edited_at is None else datetime.fromtimestamp(stored.edited_at, UTC),
        recalled=stored.recalled,
        read=stored.read,
    )
    return Thread(channel=channel, user=user, last=message, unread=stored.unread)
