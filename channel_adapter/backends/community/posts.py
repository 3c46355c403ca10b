"""Posts as group messages: send, read back, edit, recall."""

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence

from channel_adapter.backends.caller import Caller, item_error, possibly_applied
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.history import History, SilentPosts
from channel_adapter.backends.community.members import RoleCache
from channel_adapter.backends.options import BackendOptions
from channel_adapter.backends.protocols import suspended, unnamed_post
from channel_adapter.domain.channel import SUSPENDED
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content, Draft, Post, PostPreview, PostRef
from channel_adapter.errors import (
    ChannelAdapterError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ThrottledError,
)
from channel_adapter.mapping.content import is_post, to_datetime, to_elements, to_post
from channel_adapter.mapping.text import require_text
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GROUP_MSG_RECALL, MODIFY_GROUP_MSG, SEND_GROUP_MSG
from channel_adapter.tencent.rate_limit import KeyedLimiter, RateLimitTimeout
from channel_adapter.tencent.wire import messages

_NO_POST_CODES = frozenset({codes.NO_SUCH_MESSAGE, codes.NO_MESSAGE_TO_MODIFY})


class CommunityPosts:
    """Posts of channels. Keeps to the posts per second that one group accepts."""

    def __init__(
        self,
        caller: Caller,
        channels: ChannelCache,
        roles: RoleCache,
        history: History,
        silent: SilentPosts,
        options: BackendOptions,
    ) -> None:
        self._caller = caller
        self._channels = channels
        self._roles = roles
        self._history = history
        self._silent = silent
        self._max_bytes = options.post_bytes
        self._max_wait = options.total_seconds
        self._pace = KeyedLimiter(options.posts_per_second, clock=channels.clock)

    async def send(self, channel: ChannelId, draft: Draft) -> Post:
        """Send one post, as the owner of the channel or as an admin named by `draft.author`.

        Every attempt carries the same dedupe number, so that a lost reply does not post twice. Reactions are enabled on
        every post, because that is not possible later. Raises InvalidError, PermissionDeniedError, NotFoundError,
        ThrottledError, and OutcomeUnknownError if the post may have been sent.
        """
        request, parts = await self._make_send_request(channel, draft)
        await self._acquire_slot(channel)
        reply = await self._send_as_owner(channel, request, draft.author)
        if reply.msg_seq is None:
            raise OutcomeUnknownError(f"{SEND_GROUP_MSG.name}: the service reports success and no number of the post")
        if draft.silent:
            self._silent.add(channel, reply.msg_seq)
        return Post(
            ref=PostRef(channel, reply.msg_seq),
            author=UserId(request.from_account) if request.from_account else None,
            published_at=to_datetime(reply.msg_time),
            parts=parts,
            dedupe=request.random,
        )

    async def preview(self, channel: ChannelId, draft: Draft) -> PostPreview:
        """Return what `send` would send. Reads the channel and roles, and sends nothing."""
        request, parts = await self._make_send_request(channel, draft)
        body = request.to_wire()
        if draft.dedupe is None:
            del body["Random"]
        return PostPreview(
            channel=channel,
            author=UserId(request.from_account) if request.from_account else None,
            parts=parts,
            silent=draft.silent,
            dedupe=draft.dedupe,
            command=SEND_GROUP_MSG.path,
            body=body,
        )

    def history(
        self, channel: ChannelId, *, before: PostRef | None = None, oldest_first: bool = False
    ) -> AsyncGenerator[Post, None]:
        """Yield the posts that the service keeps, 20 a call, below the post `before`. Raises NotFoundError."""
        return self._history.posts(channel, oldest_first=oldest_first, before=before.seq if before else None)

    async def get(self, ref: PostRef, *, deadline: float | None = None) -> Post | None:
        """Return a post as it is now, or None. `deadline` is in seconds. Raises NotFoundError for the channel."""
        await self._channels.require(ref.channel)
        message = await self._history.message(ref.channel, ref.seq, deadline=deadline)
        return to_post(ref.channel, message) if message is not None else None

    async def find(self, channel: ChannelId, dedupe: int) -> Post | None:
        """Return the post with this dedupe number if it is among the latest 20 messages."""
        message = await self._find_by_dedupe(channel, dedupe)
        return to_post(channel, message) if message is not None and is_post(message) else None

    async def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a post. Raises InvalidError, and NotFoundError for a post that is gone."""
        elements, _ = to_elements(content, self._max_bytes)
        await self._channels.require(ref.channel)
        request = messages.ModifyGroupMsgRequest(group_id=ref.channel, msg_seq=ref.seq, msg_body=elements)
        try:
            await self._caller.call(MODIFY_GROUP_MSG, request)
        except NotFoundError as error:
            if error.code not in _NO_POST_CODES:
                raise
            message = f"channel {ref.channel} has no post {ref.seq} to edit: it never existed, was recalled, or expired"
            raise NotFoundError(message, field="seq", origin=error.origin) from error

    async def recall(self, refs: Sequence[PostRef], reason: str) -> Mapping[PostRef, ChannelAdapterError | None]:
        """Recall posts of one channel, and return the error for each, None if it is recalled now.

        Raises InvalidError for a reason over 100 bytes, and NotFoundError for the channel.
        """
        require_text(reason, "reason", limits.RECALL_REASON_BYTES)
        (channel,) = {ref.channel for ref in refs}
        await self._channels.require(channel)
        outcomes: dict[PostRef, ChannelAdapterError | None] = dict.fromkeys(refs)
        request = messages.GroupMsgRecallRequest(
            group_id=channel,
            msg_seq_list=[messages.MsgSeqItem(msg_seq=ref.seq) for ref in refs],
            reason=reason or None,
        )
        unnamed = set(refs)
        for item in (await self._caller.call(GROUP_MSG_RECALL, request)).recall_ret_list:
            ref = PostRef(channel, item.msg_seq)
            unnamed.discard(ref)
            if item.ret_code == codes.NO_SUCH_MESSAGE:
                if not await self._is_recalled(ref):  # else by an earlier attempt whose reply was lost, or before
                    outcomes[ref] = NotFoundError(f"channel {channel} has no post {ref.seq}", field="seq")
            elif item.ret_code != 0:
                outcomes[ref] = item_error(GROUP_MSG_RECALL, item.ret_code, "")
        for ref in unnamed:
            if not await self._is_recalled(ref):
                outcomes[ref] = unnamed_post(ref)
        for ref, error in outcomes.items():
            if error is None:
                self._silent.add(channel, ref.seq)
        return outcomes

    async def _make_send_request(
        self, channel: ChannelId, draft: Draft
    ) -> tuple[messages.SendGroupMsgRequest, tuple[Content, ...]]:
        elements, parts = to_elements(draft.content, self._max_bytes)
        request = messages.SendGroupMsgRequest(
            group_id=channel,
            random=secrets.randbits(32) if draft.dedupe is None else draft.dedupe,
            msg_body=elements,
            from_account=await self._require_author(channel, draft.author),
            support_message_extension=1,
            send_msg_control=[messages.NO_UNREAD] if draft.silent else None,
            msg_priority=messages.PRIORITY_LOW if draft.silent else None,  # history shows this, and not NoUnread
        )
        return request, parts

    async def _acquire_slot(self, channel: ChannelId) -> None:
        """Wait for a slot within the posts per second that one group accepts before it drops them."""
        try:
            await self._pace.acquire(channel, timeout=self._max_wait)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"channel {channel} has {late.seconds:.0f} s of posts waiting already; publish more slowly"
            ) from None

    async def _require_author(self, channel: ChannelId, author: UserId | None) -> UserId | None:
        """Return the sender: the owner, or a named owner or admin; None for a channel without an owner.

        Raises PermissionDeniedError for another author, and for every author while the channel is suspended.
        """
        entry = await self._channels.require(channel)
        if SUSPENDED in entry.attributes:
            raise suspended(channel)
        if author is None:
            return entry.owner
        if author != entry.owner:
            await self._roles.require_poster(channel, author)
        return author

    async def _is_recalled(self, ref: PostRef) -> bool:
        message = await self._history.message(ref.channel, ref.seq)
        return message is not None and message.is_place_msg == messages.PLACE_RECALLED

    async def _send_as_owner(
        self, channel: ChannelId, request: messages.SendGroupMsgRequest, author: UserId | None
    ) -> messages.SendGroupMsgReply:
        """Send; as the new owner, if the cached owner has transferred the channel."""
        try:
            return await self._send_or_find(channel, request)
        except PermissionDeniedError as error:
            self._channels.forget(channel)
            if possibly_applied(error):  # the service does not recognise the same post from another sender
                message = f"an earlier attempt got no answer and may have been carried out; then: {error}"
                raise OutcomeUnknownError(message, origin=error.origin) from error
            owner = await self._require_author(channel, author)
            if owner == request.from_account:
                raise
            request.from_account = owner
        return await self._send_or_find(channel, request)

    async def _send_or_find(
        self, channel: ChannelId, request: messages.SendGroupMsgRequest
    ) -> messages.SendGroupMsgReply:
        """Send; after an ambiguous failure, look for the post in history."""
        try:
            return await self._caller.call(SEND_GROUP_MSG, request)
        except ChannelAdapterError as error:
            found = await self._find_if_readable(channel, request.random) if possibly_applied(error) else None
            if found is None:
                raise
            return messages.SendGroupMsgReply(msg_seq=found.msg_seq, msg_time=found.msg_time_stamp)

    async def _find_if_readable(self, channel: ChannelId, dedupe: int) -> messages.HistoryMessage | None:
        try:
            return await self._find_by_dedupe(channel, dedupe)
        except ChannelAdapterError:  # the caller raises the error of the send
            return None

    async def _find_by_dedupe(self, channel: ChannelId, dedupe: int) -> messages.HistoryMessage | None:
        latest = await self._history.latest(channel)
        return next((message for message in latest if message.msg_random == dedupe), None)
