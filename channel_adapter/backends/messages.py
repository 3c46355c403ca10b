"""One-to-one messages, in either mode: send to one or many, pages of a thread, edit, recall, read positions.

Which account sends those of a channel is the part of the mode.
"""

import secrets
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple, NoReturn, Protocol

from channel_adapter.backends.caller import Caller, interrupted, item_error, no_account, possibly_applied
from channel_adapter.backends.protocols import AccountBackend
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, read_pages
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Direction, Message, MessageRef, PeerId, SentBatch
from channel_adapter.domain.post import Content, Draft
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from channel_adapter.mapping.content import from_elements, to_datetime, to_elements
from channel_adapter.mapping.text import parse_digits
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    ADMIN_GETROAMMSG,
    ADMIN_MSGWITHDRAW,
    ADMIN_SET_MSG_READ,
    BATCHSENDMSG,
    GET_C2C_UNREAD_MSG_NUM,
    MODIFY_C2C_MSG,
    SENDMSG,
)
from channel_adapter.tencent.codes import ErrorKind, look_up
from channel_adapter.tencent.rate_limit import WindowLimiter
from channel_adapter.tencent.wire import one_to_one as wire
from channel_adapter.tencent.wire import unread

_CLOCK_TOLERANCE: Final = 300  # seconds that the clock of the service may be ahead of ours
_DEDUPE_BITS: Final = 64  # MsgSeq and MsgRandom together
_NO_ACCOUNT: Final = frozenset({codes.NO_SUCH_PARTY, codes.NO_SENDER, codes.RECEIVER_NOT_IMPORTED, codes.NO_SUCH_PEER})
_ITEM_KINDS: Final = {
    ErrorKind.NOT_FOUND: OutcomeKind.NOT_FOUND,
    ErrorKind.INVALID: OutcomeKind.INVALID,
    ErrorKind.PERMISSION: OutcomeKind.REFUSED,
    ErrorKind.REFUSED: OutcomeKind.REFUSED,
}


class Senders(Protocol):
    """Which account sends the messages of a channel."""

    async def sender(self, channel: ChannelId) -> PeerId:
        """Return the account. Cached. Raises NotFoundError."""
        ...

    async def set_contact(self, channel: ChannelId, account: UserId | None) -> None:
        """Let an account send the messages of a channel; None: its owner. Raises NotFoundError and InvalidError."""
        ...

    async def require(self, channel: ChannelId) -> None:
        """Raise NotFoundError if the channel does not exist, as it is now."""
        ...

    def forget(self, channel: ChannelId) -> None:
        """Drop what is cached of the account."""
        ...


class RoamingPosition(NamedTuple):
    """Where a page of stored messages begins: at this second, behind this message."""

    seconds: int
    key: str


class ChannelMessages:
    """One-to-one messages between the accounts of channels and users."""

    def __init__(
        self, caller: Caller, senders: Senders, accounts: AccountBackend, clock: Clock, *, max_bytes: int
    ) -> None:
        """`max_bytes` is the size of a message body as JSON."""
        self._caller = caller
        self._senders = senders
        self._accounts = accounts
        self._max_bytes = max_bytes
        self._clock = clock
        self._pace = WindowLimiter(
            limits.BATCH_MESSAGES_PER_MINUTE, seconds=60, portion=limits.BATCH_RECEIVERS, clock=clock
        )

    def send_batch(self) -> int:
        """Return how many users one call writes to."""
        return limits.BATCH_RECEIVERS

    async def sender(self, channel: ChannelId, *, fresh: bool = False) -> PeerId:
        """Return the account that sends the messages of a channel. Cached, unless `fresh`. Raises NotFoundError."""
        if fresh:
            self._senders.forget(channel)
        return await self._senders.sender(channel)

    async def set_contact(self, channel: ChannelId, account: UserId | None) -> None:
        """Let an account send the messages of a channel; None: its owner. Raises NotFoundError and InvalidError."""
        await self._senders.set_contact(channel, account)

    async def check(self, channel: ChannelId, content: Content | Sequence[Content]) -> None:
        """Raise what a message of this channel with this content would raise for them. Sends nothing."""
        to_elements(content, self._max_bytes)
        await self._senders.sender(channel)

    async def send(self, channel: ChannelId, user: UserId, draft: Draft) -> Message:
        """Send one message, which stands in the thread of the sender too.

        Every attempt carries the same dedupe number, so that a lost reply does not send it twice. Raises InvalidError,
        NotFoundError for the channel and for the accounts, PermissionDeniedError, RefusedError, and OutcomeUnknownError
        if the message may have been sent.
        """
        elements, parts = to_elements(draft.content, self._max_bytes)
        account = await self._require_peer(channel, user)
        number = secrets.randbits(_DEDUPE_BITS) if draft.dedupe is None else draft.dedupe
        request = wire.SendmsgRequest(
            sync_other_machine=wire.SYNC_TO_SENDER,
            from_account=account,
            to_account=user,
            msg_seq=number >> 32,
            msg_random=number & limits.RANDOM_HIGHEST,
            msg_body=elements,
        )
        try:
            reply = await self._caller.call(SENDMSG, request)
            key, seconds = reply.msg_key, reply.msg_time
        except ChannelAdapterError as error:
            stored = await self._find_if_readable(channel, user, request) if possibly_applied(error) else None
            if stored is None:
                await self._raise_named(error, channel, account, user)
            key, seconds = stored.msg_key, stored.msg_time_stamp
        return Message(
            channel=channel, user=user, key=key, direction=Direction.SENT, parts=parts, sent_at=to_datetime(seconds)
        )

    async def send_many(
        self, channel: ChannelId, users: Sequence[UserId], content: Content | Sequence[Content]
    ) -> SentBatch:
        """Send one message to different users, 500 a call and 12,000 a minute. Every failure is in the result.

        The service does not document that it recognises a repeated batch, so none is repeated that may have been sent:
        its users have no outcome, and `error` is OutcomeUnknownError. Webhooks do not report these messages.
        """
        outcomes: list[Outcome] = []
        messages: list[Message] = []
        for start in range(0, len(users), limits.BATCH_RECEIVERS):
            part, rest = users[start : start + limits.BATCH_RECEIVERS], users[start + limits.BATCH_RECEIVERS :]
            try:
                sent = await self._send_batch(channel, part, content)
            except ChannelAdapterError as error:
                return SentBatch(interrupted(outcomes, part, rest, error), tuple(messages))
            outcomes += sent.result.outcomes
            messages += sent.messages
        return SentBatch(BatchResult(tuple(outcomes)), tuple(messages))

    async def thread(self, channel: ChannelId, user: UserId) -> AsyncGenerator[Message, None]:
        """Yield the messages that the service keeps for the channel's account, newest first, up to 100 a call.

        Raises NotFoundError for the channel, and UnavailableError for a list that cannot be read to its end.
        """
        account = await self._require_peer(channel, user)

        async def fetch(start: RoamingPosition) -> Page[wire.RoamingMessage, RoamingPosition]:
            return await self._read_page(channel, account, user, start)

        guard: CursorLoopGuard[RoamingPosition] = CursorLoopGuard(ADMIN_GETROAMMSG.name, UnavailableError)
        before: frozenset[str] = frozenset()
        async for messages in read_pages(fetch, self._newest_position(), guard):
            for message in messages:
                if message.msg_key not in before:  # a page may begin with the last message of the one before
                    yield _to_message(channel, user, account, message)
            before = frozenset(message.msg_key for message in messages)

    async def edit(self, ref: MessageRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a message that the channel sent; the last writer wins.

        Raises InvalidError, and NotFoundError for a message that the channel did not send to this user.
        """
        elements, _ = to_elements(content, self._max_bytes)
        account = await self._require_peer(ref.channel, ref.user)
        request = wire.ModifyC2cMsgRequest(
            from_account=account, to_account=ref.user, msg_key=ref.key, msg_body=elements
        )
        try:
            await self._caller.call(MODIFY_C2C_MSG, request)
        except NotFoundError as error:
            await self._raise_missing(error, ref, account, codes.NO_MESSAGE_TO_MODIFY)

    async def recall(self, ref: MessageRef) -> None:
        """Recall a message that the channel sent, however old it is; recalling it again changes nothing.

        Raises NotFoundError for a message that the channel did not send to this user.
        """
        account = await self._require_peer(ref.channel, ref.user)
        request = wire.AdminMsgwithdrawRequest(from_account=account, to_account=ref.user, msg_key=ref.key)
        try:
            await self._caller.call(ADMIN_MSGWITHDRAW, request)
        except ConflictError as error:
            if error.code != codes.ALREADY_RECALLED:
                raise
        except NotFoundError as error:
            await self._raise_missing(error, ref, account, codes.NO_MESSAGE_TO_RECALL)

    async def mark_read(self, channel: ChannelId, user: UserId) -> None:
        """Mark the messages of a user as read by the account of the channel. Raises NotFoundError."""
        account = await self._require_peer(channel, user)
        request = unread.AdminSetMsgReadRequest(report_account=account, peer_account=user)
        try:
            await self._caller.call(ADMIN_SET_MSG_READ, request)
        except NotFoundError as error:
            await self._raise_named(error, channel, account, user)

    async def unread(self, channel: ChannelId) -> int | None:
        """Return how many one-to-one messages the account of a channel has not read, from all users together.

        Raises NotFoundError for the channel. None if the service does not accept an official account there, which its
        pages describe for users alone.
        """
        account = await self._senders.sender(channel)
        try:
            reply = await self._caller.call(
                GET_C2C_UNREAD_MSG_NUM, unread.GetC2cUnreadMsgNumRequest(to_account=account)
            )
        except (InvalidError, NotFoundError) as error:
            if account != channel:
                await self._raise_named(error, channel, account, None)
            await self._senders.require(channel)
            return None
        return reply.all_c2c_unread_msg_num

    async def _require_peer(self, channel: ChannelId, user: UserId) -> PeerId:
        """Return the account of a channel. Raises InvalidError if it is the user itself."""
        account = await self._senders.sender(channel)
        if account == user:
            raise InvalidError(f"user: {user!r} is the account that sends the messages of {channel}", field="user")
        return account

    async def _send_batch(
        self, channel: ChannelId, users: Sequence[UserId], content: Content | Sequence[Content]
    ) -> SentBatch:
        account = await self._senders.sender(channel)
        receivers = [user for user in users if user != account]
        outcomes = [
            Outcome(user, OutcomeKind.INVALID, "the account of the channel") for user in users if user == account
        ]
        if not receivers:
            return SentBatch(BatchResult(tuple(outcomes)))
        elements, parts = to_elements(content, self._max_bytes)
        number = secrets.randbits(_DEDUPE_BITS)
        request = wire.BatchsendmsgRequest(
            sync_other_machine=wire.SYNC_TO_SENDER,
            from_account=account,
            to_account=list(receivers),
            msg_seq=number >> 32,
            msg_random=number & limits.RANDOM_HIGHEST,
            msg_body=elements,
        )
        await self._pace.acquire(len(receivers))
        try:
            reply = await self._caller.call(BATCHSENDMSG, request)
        except NotFoundError as error:
            await self._raise_named(error, channel, account, None)
        refused = {item.to_account: item.error_code for item in reply.error_list or ()}
        outcomes += [_to_send_outcome(user, refused.get(user, codes.OK)) for user in receivers]
        key, sent_at = reply.msg_key, to_datetime(self._seconds_of(reply.msg_key))
        messages = [
            Message(channel=channel, user=user, key=key, direction=Direction.SENT, parts=parts, sent_at=sent_at)
            for user in receivers
            if user not in refused
        ]
        return SentBatch(BatchResult(tuple(outcomes)), tuple(messages))

    async def _read_page(
        self, channel: ChannelId, account: PeerId, user: UserId, start: RoamingPosition
    ) -> Page[wire.RoamingMessage, RoamingPosition]:
        """Return a page of stored messages, the newest first."""
        request = wire.AdminGetroammsgRequest(
            operator_account=account,
            peer_account=user,
            max_cnt=limits.ROAMING_PER_CALL,
            min_time=0,
            max_time=start.seconds,
            last_msg_key=start.key or None,
        )
        try:
            reply = await self._caller.call(ADMIN_GETROAMMSG, request)
        except NotFoundError as error:
            await self._raise_named(error, channel, account, user)
        ascending = sorted(reply.msg_list, key=lambda message: message.msg_time_stamp)
        done = reply.complete == wire.ROAMING_COMPLETE
        return Page(ascending[::-1], None if done else RoamingPosition(reply.last_msg_time, reply.last_msg_key))

    def _seconds_of(self, key: str) -> int:
        """Return the second of a message, which its key ends in."""
        seconds = parse_digits(key.rpartition("_")[2])
        return int(self._clock.now()) if seconds is None else seconds

    def _newest_position(self) -> RoamingPosition:
        return RoamingPosition(int(self._clock.now()) + _CLOCK_TOLERANCE, "")

    async def _find_if_readable(
        self, channel: ChannelId, user: UserId, request: wire.SendmsgRequest
    ) -> wire.RoamingMessage | None:
        """Return the message of a request that may have been sent, None if it is not among the latest or unreadable."""
        number = request.msg_seq, request.msg_random
        try:
            page = await self._read_page(channel, UserId(request.from_account or ""), user, self._newest_position())
        except ChannelAdapterError:  # the caller raises the error of the send
            return None
        return next((each for each in page.items if (each.msg_seq, each.msg_random) == number), None)

    async def _raise_missing(self, error: ChannelAdapterError, ref: MessageRef, account: PeerId, code: int) -> NoReturn:
        """Raise a NotFoundError about the message, or about an account that does not exist."""
        if error.code != code:
            await self._raise_named(error, ref.channel, account, ref.user)
        message = f"channel {ref.channel} has sent no message {ref.key} to {ref.user!r}"
        raise NotFoundError(message, field="key", origin=error.origin) from error

    async def _raise_named(
        self, error: ChannelAdapterError, channel: ChannelId, account: PeerId, user: UserId | None
    ) -> NoReturn:
        """Raise the error; with the name of the user who is not subscribed, or of the account that does not exist."""
        if error.code == codes.OFFICIAL_NOT_ALLOWED and user is not None:
            message = f"user {user!r} does not follow {channel}; an official account writes to its subscribers alone"
            raise PermissionDeniedError(message, field="user", origin=error.origin) from error
        if error.code not in _NO_ACCOUNT:
            raise error
        self._senders.forget(channel)
        users = [UserId(each) for each in (user, account) if each is not None and each != channel]
        known = await self._accounts.check(users)
        if user is not None and not known.get(user, True):
            raise no_account(user, error=error) from error
        if account == channel:
            await self._senders.require(channel)
            message = f"channel {channel}: the service does not accept an official account in {_command_of(error)}"
            field = "channel"
        elif not known.get(UserId(account), True):
            message = f"{account!r}, which sends the messages of {channel}, is not an account of the app"
            field = "contact"
        else:
            raise error
        raise NotFoundError(message, field=field, origin=error.origin) from error


def _to_message(channel: ChannelId, user: UserId, account: PeerId, message: wire.RoamingMessage) -> Message:
    recalled = bool(message.msg_flag_bits & wire.FLAG_RECALLED)
    return Message(
        channel=channel,
        user=user,
        key=message.msg_key,
        direction=Direction.SENT if message.from_account == account else Direction.RECEIVED,
        parts=() if recalled else from_elements(message.msg_body),
        sent_at=to_datetime(message.msg_time_stamp),
        recalled=recalled,
        read=bool(message.is_peer_read),
    )


def _command_of(error: ChannelAdapterError) -> str:
    return error.origin.command if error.origin is not None else "this call"


def _to_send_outcome(user: UserId, code: int) -> Outcome:
    """Return the outcome of one receiver of a batch."""
    if code == codes.OK:
        return Outcome(user, OutcomeKind.SENT)
    kind = look_up(BATCHSENDMSG.service, BATCHSENDMSG.name, code).kind
    return Outcome(user, _ITEM_KINDS.get(kind, OutcomeKind.FAILED), item_error(BATCHSENDMSG, code, "").message)
