"""Which official accounts post as channels now, and the second broadcast of a post while both are read.

What the database says is believed for a few seconds, so that a post costs no query; a cutover elsewhere is seen then.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Broadcast, Content, Post
from channel_adapter.errors import ChannelAdapterError, InvalidError, OutcomeUnknownError
from channel_adapter.mapping.content import to_elements
from channel_adapter.store.cutover import FAREWELL, NOT_SENT, SENDING, SENT, CopyRow, CutoverStore, MovedRow
from channel_adapter.store.database import LOCK_SECONDS, Database
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, SEND_OFFICIAL_ACCOUNT_MSG
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.msg_body import Element

BELIEVED_SECONDS: Final = 3.0
HOUR: Final = 3_600.0
COPY_SECONDS: Final = 5.0
"""Time for the second broadcast; the post itself stands already."""

REDIRECT: Final = "redirect"
"""Value of `MovedRow.guard`: publish broadcasts of the account in its channel instead of refusing them."""
MOVING: Final = "posting moves to a channel just now: try again in a few minutes"

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.migration"))


class PostingMoved:
    """What of the source posts here now, and what is still broadcast there too."""

    def __init__(self, url: str, gateway: ApiCaller, clock: Clock, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """`lock_seconds`: how long it waits for others who write; short where somebody publishes meanwhile."""
        self._database = Database.shared(url).waiting(lock_seconds)
        self.store = CutoverStore(self._database)
        self._gateway = gateway
        self._clock = clock
        self._rows: dict[str, MovedRow] = {}
        self._channels: dict[str, MovedRow] = {}
        self._read_at: float | None = None

    async def account(self, account: str) -> MovedRow | None:
        """What is known of an account that moves or has moved, read afresh. Raises UnavailableError.

        Broadcasts are few, and one that is let through after the last delta is lost to the channel.
        """
        self.forget()
        await self._refresh()
        return self._rows.get(account)

    def forget(self) -> None:
        """Read anew at the next question: a cutover has just written something."""
        self._read_at = None

    async def copied(self, post: Post, elements: Sequence[Element]) -> Post:
        """The post, broadcast on the account that its channel comes from as well, while the window is open.

        Never raises ChannelAdapterError: what could not be done is told in `Post.broadcast`, and in the log.
        """
        try:
            await self._refresh()
            row = self._channels.get(post.ref.channel)
            if row is None or not self._clock.now() < row.window_end or not row.moved_at:
                return post
            said = await self._broadcast(row.source, post.ref.seq, post.dedupe or 0, elements)
        except ChannelAdapterError as error:
            held = self._channels.get(post.ref.channel)
            if held is None:
                _log.warning("migration.copies_unknown", channel=post.ref.channel, error=error.kind)
                return post
            said = Broadcast(held.source, sent=False, reason=error.message)
        if not said.sent:
            _log.warning("migration.not_broadcast", account=said.account, seq=post.ref.seq, reason=said.reason)
        return replace(post, broadcast=said)

    async def mirror(self, post: Post) -> Broadcast | None:
        """Broadcast a new post on the account that its channel comes from; None where there is nothing to do."""
        elements, _ = to_elements(post.parts, limits.MESSAGE_BYTES)
        return (await self.copied(post, elements)).broadcast

    async def farewell(self, account: str, elements: Sequence[Element], random: int) -> Broadcast:
        """The last broadcast of an account, once. Raises ChannelAdapterError when the store fails."""
        return await self._broadcast(account, FAREWELL, random, elements)

    async def settle(self) -> None:
        """Find out what became of broadcasts whose process ended in the middle. Raises ChannelAdapterError."""
        for copy in await self.store.copies(SENDING):
            if copy.at > self._clock.now() - 2 * COPY_SECONDS:
                continue  # under way
            key = await self._key_of(copy.source, copy.random)
            state, said = (SENT, key) if key else (NOT_SENT, "interrupted before it was sent")
            await self.store.end_copy(copy.source, copy.seq, state, said)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.close()

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < BELIEVED_SECONDS:
            return
        rows = await self.store.moved_if_any()
        self._rows = {row.source: row for row in rows}
        self._channels = {row.channel: row for row in rows}
        self._read_at = now

    async def _broadcast(self, account: str, seq: int, random: int, elements: Sequence[Element]) -> Broadcast:
        now = self._clock.now()
        known = await self.store.begin_copy(
            CopyRow(account, seq, random, now, SENDING),
            since=now - HOUR, most=limits.OFFICIAL_BROADCASTS_PER_HOUR,
        )  # fmt: skip
        if known is not None and known.state == SENT:
            return Broadcast(account, sent=True, key=known.said)
        if known is not None and known.state == NOT_SENT:
            again = datetime.fromtimestamp(float(known.said) + HOUR, UTC).strftime("%H:%M:%S UTC")
            reason = (
                f"{limits.OFFICIAL_BROADCASTS_PER_HOUR} broadcasts an hour are all; the next is possible at {again}"
            )
            await self.store.end_copy(account, seq, NOT_SENT, reason)
            return Broadcast(account, sent=False, reason=reason)
        if known is not None:  # an attempt that was interrupted, or is under way elsewhere
            key = await self._key_of(account, random)
            if key:
                await self.store.end_copy(account, seq, SENT, key)
                return Broadcast(account, sent=True, key=key)
        return await self._send(account, seq, random, elements)

    async def _send(self, account: str, seq: int, random: int, elements: Sequence[Element]) -> Broadcast:
        request = wire.SendOfficialAccountMsgRequest(
            official_account=account,
            random=random,
            msg_body=list(elements),
            forbid_callback_control=[messages.FORBID_BEFORE],  # our own guard would refuse it
        )
        try:
            reply = await self._gateway.call(SEND_OFFICIAL_ACCOUNT_MSG, request, deadline=COPY_SECONDS)
        except OutcomeUnknownError as error:  # stays under way until it is settled
            return Broadcast(account, sent=False, reason=error.message)
        except ChannelAdapterError as error:
            await self.store.end_copy(account, seq, NOT_SENT, error.message)
            return Broadcast(account, sent=False, reason=error.message)
        await self.store.end_copy(account, seq, SENT, reply.msg_key or "")
        return Broadcast(account, sent=True, key=reply.msg_key or "")

    async def _key_of(self, account: str, random: int) -> str:
        """The key of a broadcast of ours among the newest ones; "" when it is not there."""
        request = wire.OfficialAccountMsgGetSimpleRequest(
            official_account=account, req_msg_number=limits.OFFICIAL_HISTORY_PER_CALL, with_recalled_msg=1
        )
        reply = await self._gateway.call(OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, request)
        return next((each.msg_key for each in reply.rsp_msg_list if each.msg_random == random), "")


class PostPublisher(Protocol):
    """The post service, as far as a redirected broadcast needs it."""

    async def publish(
        self, channel: ChannelId, content: Content | Sequence[Content], *, idempotency_key: str | None = None
    ) -> Post:
        """Publish in a channel."""


class BroadcastHook:
    """Hook of the guard for broadcasts of official accounts whose posting has moved to a channel."""

    def __init__(self, moved: PostingMoved, posts: PostPublisher, clock: Clock) -> None:
        self._moved = moved
        self._posts = posts
        self._clock = clock

    async def __call__(self, draft: hooks.OfficialPostDraft) -> hooks.HookResponse:
        """Return Allow for accounts that have not moved, Drop for a broadcast that was published in the channel.

        Raises a ChannelAdapterError if the store or the publishing fails.
        """
        row = await self._moved.account(draft.account)
        if row is None or (not row.moved_at and row.held_until <= self._clock.now()):
            return hooks.Allow()
        if not row.moved_at:
            return hooks.Refuse(MOVING)
        if row.guard != REDIRECT or draft.online_only:
            return hooks.Refuse(f"posting has moved to the channel {row.channel}")
        at = draft.at.isoformat() if draft.at else ""
        digest = hashlib.sha256(repr(draft.parts).encode("utf-8", "surrogatepass")).hexdigest()
        key = f"redirected:{draft.account}:{at}:{digest}"
        try:
            await self._posts.publish(ChannelId(row.channel), draft.parts, idempotency_key=key)
        except InvalidError as error:
            reason = f"posting has moved to the channel {row.channel}, which cannot take this: {error.message}"
            return hooks.Refuse(reason)
        return hooks.Drop()
