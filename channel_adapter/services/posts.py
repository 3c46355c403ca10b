"""Posts: publish, read back, change, take back."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content, Post, PostPreview, PostRef
from channel_adapter.errors import (
    ChannelAdapterError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ThrottledError,
)
from channel_adapter.mapping import ids
from channel_adapter.mapping.moments import moment
from channel_adapter.mapping.post_body import to_elements
from channel_adapter.mapping.post_message import to_post
from channel_adapter.mapping.post_refs import post_number, post_ref
from channel_adapter.mapping.text import require_text
from channel_adapter.services.directory import Directory
from channel_adapter.services.gateway import Gateway
from channel_adapter.services.history import History
from channel_adapter.services.roles import Roles
from channel_adapter.services.uncounted import Uncounted
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GROUP_MSG_RECALL, MODIFY_GROUP_MSG, SEND_GROUP_MSG
from channel_adapter.tencent.failure import CallFailed
from channel_adapter.tencent.rate_limit import KeyedLimiter, TurnTooLate
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire.msg_body import Element

NO_POST = frozenset({codes.NO_SUCH_MESSAGE, codes.NO_MESSAGE_TO_MODIFY})


class Posts:
    """Posts of any channel; a channel is named by slug or by id, a post by its ref."""

    def __init__(
        self,
        gateway: Gateway,
        directory: Directory,
        roles: Roles,
        history: History,
        pace: KeyedLimiter,
        max_bytes: int,
        *,
        longest_wait: float,
        uncounted: Uncounted,
        recalled: Callable[[PostRef], Awaitable[None]],
        published: Callable[[Post, Sequence[Element]], Awaitable[Post]],
    ) -> None:
        """`recalled` is told of posts that are gone; `published` of new ones, and may say more about them."""
        self._gateway = gateway
        self._directory = directory
        self._roles = roles
        self._history = history
        self._pace = pace
        self._max_bytes = max_bytes
        self._longest_wait = longest_wait
        self._uncounted = uncounted
        self._recalled = recalled
        self._published = published

    async def publish(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        quiet: bool = False,
    ) -> Post:
        """Publish one post, as the owner or as an admin named by `author`. `quiet` posts do not count as unread.

        Every attempt carries the same dedupe number, so a lost answer never posts twice; with an `idempotency_key`
        the same holds for calls up to 300 s apart [16]; the service keeps what the first of them said. Reactions are
        enabled on every post, because that cannot be done later. Raises InvalidError (empty, over 12,000 bytes, two
        custom elements, a picture without URL), PermissionDeniedError for an author who is neither owner nor admin,
        NotFoundError, and ThrottledError when the service still drops the post at the deadline.
        """
        wanted = ids.channel_id(channel)
        request, parts = await self._request(wanted, content, author, idempotency_key, quiet=quiet)
        await self._take_turn(wanted)
        reply = await self._sent_by_owner(wanted, request, author)
        if reply.msg_seq is None:
            raise OutcomeUnknownError(f"{SEND_GROUP_MSG.name}: the service reports success and no number of the post")
        if quiet:
            self._uncounted.add(wanted, reply.msg_seq)
        post = Post(
            ref=PostRef(wanted, reply.msg_seq),
            author=UserId(request.from_account) if request.from_account else None,
            published_at=moment(reply.msg_time),
            parts=parts,
            dedupe=request.random,
        )
        return await self._published(post, request.msg_body)

    async def preview(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        quiet: bool = False,
    ) -> PostPreview:
        """Return what `publish` would send for the same arguments, and send nothing: it only reads channel and roles.

        Raises what `publish` raises for content, author and channel.
        """
        wanted = ids.channel_id(channel)
        request, parts = await self._request(wanted, content, author, idempotency_key, quiet=quiet)
        body = request.to_wire()
        if idempotency_key is None:
            del body["Random"]  # drawn when the post is sent
        return PostPreview(
            channel=wanted,
            author=UserId(request.from_account) if request.from_account else None,
            parts=parts,
            quiet=quiet,
            dedupe=None if idempotency_key is None else request.random,
            command=SEND_GROUP_MSG.path,
            body=body,
        )

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """The number by which the service knows a post that was published with this key; `Post.dedupe` in history."""
        return ids.random_of(ids.channel_id(channel), ids.idempotency_key(idempotency_key))

    def history(
        self, channel: str, *, oldest_first: bool = False, before: int | None = None
    ) -> AsyncGenerator[Post, None]:
        """All posts that the service still keeps, newest first, 20 a call; recalled and expired ones as such.

        `before` begins below that number. How far back it reaches is the plan's roaming time: 7 days or more.
        """
        wanted = ids.channel_id(channel)
        if before is not None:
            post_number(before, "before")
        return self._history.posts(wanted, oldest_first=oldest_first, before=before)

    async def get(self, ref: PostRef) -> Post:
        """One post as it is now. Raises NotFoundError when the channel or the post does not exist."""
        wanted, seq = post_ref(ref)
        await self._directory.require(wanted)
        message = await self._history.message(wanted, seq)
        if message is None:
            raise NotFoundError(f"channel {wanted} has no post {seq}", field="seq")
        return to_post(wanted, message)

    async def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Replace what a post says, for everybody and for good; the last writer wins [doc 47948].

        Raises NotFoundError for a post that is gone or was recalled.
        """
        wanted, seq = post_ref(ref)
        elements, _ = to_elements(content, self._max_bytes)
        await self._directory.require(wanted)
        request = messages.ModifyGroupMsgRequest(group_id=wanted, msg_seq=seq, msg_body=elements)
        try:
            await self._gateway.call(MODIFY_GROUP_MSG, request)
        except NotFoundError as error:
            if error.code not in NO_POST:
                raise
            message = f"channel {wanted} has no post {seq} to edit: there is none, or it was recalled or has expired"
            raise NotFoundError(message, field="seq", origin=error.origin) from error

    async def recall(self, ref: PostRef, reason: str = "") -> None:
        """Take a post back, for everybody and for good; recalling it again is harmless where the service says so.

        `reason` has 100 bytes at most. Raises NotFoundError for a post that does not exist.
        """
        wanted, seq = post_ref(ref)
        require_text(reason, "reason", limits.RECALL_REASON_BYTES)
        await self._directory.require(wanted)
        request = messages.GroupMsgRecallRequest(
            group_id=wanted, msg_seq_list=[messages.MsgSeqItem(msg_seq=seq)], reason=reason or None
        )
        reply = await self._gateway.call(GROUP_MSG_RECALL, request)
        for item in reply.recall_ret_list:
            if item.ret_code == codes.NO_SUCH_MESSAGE:
                if await self._is_recalled(wanted, seq):  # by an attempt of ours whose answer was lost, or before
                    continue
                raise NotFoundError(f"channel {wanted} has no post {item.msg_seq}", field="seq")
            if item.ret_code != 0:
                raise self._gateway.item_error(GROUP_MSG_RECALL, item.ret_code, "")
        self._uncounted.add(wanted, seq)
        await self._recalled(PostRef(wanted, seq))

    async def _request(
        self,
        channel: ChannelId,
        content: Content | Sequence[Content],
        author: str | None,
        idempotency_key: str | None,
        *,
        quiet: bool,
    ) -> tuple[messages.SendGroupMsgRequest, tuple[Content, ...]]:
        elements, parts = to_elements(content, self._max_bytes)
        number = secrets.randbits(32) if idempotency_key is None else self.dedupe_of(channel, idempotency_key)
        request = messages.SendGroupMsgRequest(
            group_id=channel,
            random=number,
            msg_body=elements,
            from_account=await self._author(channel, author),
            support_message_extension=1,
            send_msg_control=[messages.NO_UNREAD] if quiet else None,
            msg_priority=messages.PRIORITY_LOW if quiet else None,  # history shows this, and not that it is quiet
        )
        return request, parts

    async def _take_turn(self, channel: ChannelId) -> None:
        """Keep to the posts a second that one group takes before it drops them silently [messages 2.6]."""
        try:
            await self._pace.acquire(channel, timeout=self._longest_wait)
        except TurnTooLate as late:
            raise ThrottledError(
                f"channel {channel} has {late.seconds:.0f} s of posts waiting already; publish more slowly"
            ) from None

    async def _author(self, channel: ChannelId, author: str | None) -> UserId | None:
        """Who the post is from: the owner, or a named owner or admin. An ownerless channel posts as the app's admin."""
        named = None if author is None else ids.user_id(author, "author")
        owner = (await self._directory.require(channel)).owner
        if named is None:
            return owner
        if named != owner:
            await self._roles.require_poster(channel, named)
        return named

    async def _is_recalled(self, channel: ChannelId, seq: int) -> bool:
        message = await self._history.message(channel, seq)
        return message is not None and message.is_place_msg == messages.PLACE_RECALLED

    async def _sent_by_owner(
        self, channel: ChannelId, request: messages.SendGroupMsgRequest, author: str | None
    ) -> messages.SendGroupMsgReply:
        """Post it; as the new owner, if the remembered one has handed the channel over."""
        try:
            return await self._sent(channel, request)
        except PermissionDeniedError as error:
            self._directory.forget(channel)
            if _in_doubt(error):  # the service would not know the same post from another sender
                message = f"an earlier attempt got no answer and may have been carried out; then: {error}"
                raise OutcomeUnknownError(message, origin=error.origin) from error
            owner = await self._author(channel, author)
            if owner == request.from_account:
                raise
            request.from_account = owner
        return await self._sent(channel, request)

    async def _sent(self, channel: ChannelId, request: messages.SendGroupMsgRequest) -> messages.SendGroupMsgReply:
        """Post it; after a failure that leaves a doubt it may be there all the same."""
        try:
            return await self._gateway.call(SEND_GROUP_MSG, request)
        except ChannelAdapterError as error:
            found = await self._find(channel, request.random) if _in_doubt(error) else None
            if found is None:
                raise
            return messages.SendGroupMsgReply(msg_seq=found.msg_seq, msg_time=found.msg_time_stamp)

    async def _find(self, channel: ChannelId, random: int) -> messages.HistoryMessage | None:
        """The latest message with this dedupe number; None as well when history cannot be read."""
        try:
            latest = await self._history.latest(channel)
        except ChannelAdapterError:
            return None
        return next((message for message in latest if message.msg_random == random), None)


def _in_doubt(error: ChannelAdapterError) -> bool:
    """May an attempt have been carried out, the last one or one before it?"""
    failed = error.__cause__
    return isinstance(error, OutcomeUnknownError) or (isinstance(failed, CallFailed) and failed.in_doubt)
