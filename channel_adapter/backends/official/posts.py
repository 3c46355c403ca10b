"""Posts as broadcasts of official accounts: send within their rate, read the history, recall."""

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cachetools import LRUCache

from channel_adapter.backends.caller import Caller, item_error, possibly_applied
from channel_adapter.backends.official.channels import OfficialAttributes, no_such_channel
from channel_adapter.backends.official.options import OfficialOptions
from channel_adapter.backends.protocols import PostKeys, SendBudget, suspended, unnamed_post
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Content, Draft, Post, PostKey, PostPreview, PostRef, PostState
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    ThrottledError,
    UnsupportedError,
)
from channel_adapter.mapping.content import to_datetime, to_elements, to_post
from channel_adapter.mapping.ids import broadcast_number
from channel_adapter.mapping.text import require_text
from channel_adapter.quoting import duration
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    OFFICIAL_ACCOUNT_MSG_GET_SIMPLE,
    OFFICIAL_ACCOUNT_MSG_RECALL,
    SEND_OFFICIAL_ACCOUNT_MSG,
)
from channel_adapter.tencent.rate_limit import KeyedLimiter, RateLimitTimeout
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire

_CACHED_KEYS: Final = 20_000

_log = get_logger("channel_adapter.posts")


@dataclass(frozen=True, slots=True)
class RawPage:
    """Messages of one call as the service has them, newest first.

    `below` is the key to continue with. `finished`: the service has no older messages.
    """

    messages: tuple[wire.OfficialHistoryMessage, ...]
    below: str | None
    finished: bool


@dataclass(frozen=True, slots=True)
class SentBroadcast:
    """A broadcast that the service accepted: its key, "" if it is not reported, and its time."""

    key: str
    sent_at: datetime | None


class MemoryPostKeys:
    """Keeps the keys of the latest broadcasts in memory; those of others are found by reading history."""

    def __init__(self) -> None:
        self._keys: LRUCache[tuple[ChannelId, int], PostKey] = LRUCache(_CACHED_KEYS)

    async def get(self, channel: ChannelId, seq: int) -> PostKey | None:
        """Return the key of a broadcast, None if it is not known."""
        return self._keys.get((channel, seq))

    async def add(self, channel: ChannelId, keys: Sequence[PostKey]) -> None:
        """Keep keys of broadcasts; a later one of the same number replaces it."""
        self._keys.update({(channel, key.seq): key for key in keys})

    async def forget(self, channel: ChannelId) -> None:
        """Drop the keys of a channel."""
        for place in [each for each in self._keys if each[0] == channel]:
            self._keys.pop(place, None)


class OfficialPosts:
    """Broadcasts of accounts. Keeps to one a second and two an hour of each account.

    The hourly budget is that of `budget`; without it the refusal of the service is reported.
    """

    def __init__(
        self,
        caller: Caller,
        options: OfficialOptions,
        clock: Clock,
        keys: PostKeys | None = None,
        budget: SendBudget | None = None,
        attributes: OfficialAttributes | None = None,
    ) -> None:
        """`attributes` tell which channels are suspended; without them none is."""
        self._caller = caller
        self._options = options
        self._clock = clock
        self._keys = keys or MemoryPostKeys()
        self._budget = budget
        self._attributes = attributes
        self._pace = KeyedLimiter(options.posts_per_second, clock=clock)

    async def send(self, channel: ChannelId, draft: Draft) -> Post:
        """Broadcast one post as the account itself.

        Every attempt carries the same dedupe number, and after a lost answer history is searched for it. Raises
        UnsupportedError for another author and a silent post, InvalidError, NotFoundError, ThrottledError above the
        posts an hour, with `retry_after` where a database keeps the budget, and OutcomeUnknownError if the post may
        have been sent, or if the service took it for a repetition of another post with the same content.
        """
        request, parts = self._make_send_request(channel, draft)
        if self._attributes is not None and await self._attributes.is_suspended(channel):
            raise suspended(channel)
        if (wait := await self._reserve_hourly_post(channel)) is not None:
            known = await self.find(channel, draft.dedupe) if draft.dedupe is not None else None
            if known is None:
                raise _too_many_posts(channel, self._options.posts_per_hour, wait)
            return known
        used = True
        try:
            sent = await self._send_or_find(channel, request)
            used = not await self._is_repeated(channel, sent.key, request.random)
        except ChannelAdapterError as error:
            used = isinstance(error, OutcomeUnknownError)
            raise
        finally:
            if not used:
                await self._release_hourly_post(channel)
        seq = broadcast_number(sent.key)
        if not seq:
            raise OutcomeUnknownError(
                f"{SEND_OFFICIAL_ACCOUNT_MSG.name}: the service reports success and no number of the post"
            )
        await self._store_post_keys(channel, [PostKey(seq, sent.key, request.random)])
        return Post(
            ref=PostRef(channel, seq, sent.key),
            author=None,
            published_at=sent.sent_at,
            parts=parts,
            dedupe=request.random,
        )

    async def broadcast(
        self,
        channel: ChannelId,
        content: Content | Sequence[Content],
        dedupe: int,
        *,
        skip_hooks: bool = False,
        deadline: float | None = None,
    ) -> SentBroadcast:
        """Broadcast once, without the budget and without a search for a lost answer.

        `dedupe` is the number by which `find` finds it. `skip_hooks`: the app's own before-webhook is not asked.
        `deadline` is in seconds. Raises InvalidError, ThrottledError over 1 a second or 2 an hour, and
        OutcomeUnknownError if it may have been sent.
        """
        elements, _ = to_elements(content, self._options.post_bytes)
        request = wire.SendOfficialAccountMsgRequest(
            official_account=channel,
            random=dedupe,
            msg_body=elements,
            forbid_callback_control=[messages.FORBID_BEFORE] if skip_hooks else None,
        )
        return await self._send_once(channel, request, deadline)

    async def preview(self, channel: ChannelId, draft: Draft) -> PostPreview:
        """Return what `send` would send, without a call."""
        request, parts = self._make_send_request(channel, draft)
        body = request.to_wire()
        if draft.dedupe is None:
            del body["Random"]
        return PostPreview(
            channel=channel,
            author=None,
            parts=parts,
            silent=False,
            dedupe=draft.dedupe,
            command=SEND_OFFICIAL_ACCOUNT_MSG.path,
            body=body,
        )

    async def history(
        self, channel: ChannelId, *, before: PostRef | None = None, oldest_first: bool = False
    ) -> AsyncGenerator[Post, None]:
        """Yield the broadcasts that the service keeps, 20 a call, below `before`. Raises NotFoundError.

        The service lists downwards only: for `oldest_first` all of it is read first.
        """
        async with aclosing(self._read_newest_first(channel, before)) as found:
            if not oldest_first:
                async for message in found:
                    yield _to_post(channel, message)
                return
            kept = [message async for message in found]
        for message in reversed(kept):
            yield _to_post(channel, message)

    async def get(self, ref: PostRef, *, deadline: float | None = None) -> Post | None:
        """Return a broadcast as it is now, or None. `deadline` is in seconds a call. Raises NotFoundError.

        Costs one call for one of the newest 20, or one whose successor is known; else history is read down to it.
        """
        above = PostRef(ref.channel, ref.seq + 1)
        async with aclosing(self._read_newest_first(ref.channel, above, deadline)) as found:
            async for message in found:
                if message.msg_seq == ref.seq:
                    return _to_post(ref.channel, message)
                if message.msg_seq < ref.seq:
                    break
        return None

    async def find(self, channel: ChannelId, dedupe: int) -> Post | None:
        """Return the broadcast with a dedupe number if it is among the newest 20."""
        page = await self.raw_page(channel, None)
        found = next((each for each in page.messages if each.msg_random == dedupe), None)
        return _to_post(channel, found) if found is not None else None

    async def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Raise UnsupportedError: a broadcast cannot be changed."""
        raise UnsupportedError(Mode.OFFICIAL, "posts.edit")

    async def recall(self, refs: Sequence[PostRef], reason: str) -> Mapping[PostRef, ChannelAdapterError | None]:
        """Recall broadcasts of one channel, 10 a call, and return the error for each, None if it is recalled now.

        Raises InvalidError for a reason over 100 bytes, and NotFoundError for the channel.
        """
        require_text(reason, "reason", limits.RECALL_REASON_BYTES)
        (channel,) = {ref.channel for ref in refs}
        keys = await self.keys_of(channel, refs)
        outcomes: dict[PostRef, ChannelAdapterError | None] = {
            ref: None if ref in keys else _no_such_post(ref) for ref in refs
        }
        by_key = {key: ref for ref, key in keys.items()}
        wanted = list(by_key)
        for start in range(0, len(wanted), limits.OFFICIAL_RECALLS_PER_CALL):
            part = wanted[start : start + limits.OFFICIAL_RECALLS_PER_CALL]
            request = wire.OfficialAccountMsgRecallRequest(
                official_account=channel, msg_key_list=part, reason=reason or None
            )
            try:
                results = (await self._caller.call(OFFICIAL_ACCOUNT_MSG_RECALL, request)).recall_ret_list
            except ChannelAdapterError as error:
                raise _to_missing_channel_error(channel, error) from error
            named = {item.msg_key for item in results}
            for ref in [by_key[key] for key in part if key not in named]:
                post = await self.get(ref)
                outcomes[ref] = None if post is not None and post.state is PostState.RECALLED else unnamed_post(ref)
            for item in results:
                if item.msg_key in by_key:
                    ref = by_key[item.msg_key]
                    outcomes[ref] = await self._to_recall_error(ref, item.msg_key, item.ret_code, reason)
        return outcomes

    async def raw_page(self, account: ChannelId, below: str | None, *, deadline: float | None = None) -> RawPage:
        """Return up to 20 messages below a key, recalled ones included; None is the newest page."""
        request = wire.OfficialAccountMsgGetSimpleRequest(
            official_account=account,
            last_msg_key=below,
            req_msg_number=limits.OFFICIAL_HISTORY_PER_CALL,
            with_recalled_msg=1,
        )
        reply = await self._caller.call(OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, request, deadline=deadline)
        newest_first = sorted(reply.rsp_msg_list, key=lambda message: -message.msg_seq)
        return RawPage(tuple(newest_first), reply.last_msg_key, reply.is_finished == wire.RANGE_EXPIRED)

    async def keys_of(self, channel: ChannelId, refs: Sequence[PostRef]) -> dict[PostRef, str]:
        """Return the keys of posts: their own, those that are known, and those that history has."""
        keys: dict[PostRef, str] = {}
        missing: dict[int, PostRef] = {}
        for ref in refs:
            if (known := await self._find_known_key(ref)) is not None:
                keys[ref] = known
            else:
                missing[ref.seq] = ref
        if missing:
            async with aclosing(self._read_newest_first(channel, None)) as found:
                async for message in found:
                    if (wanted := missing.pop(message.msg_seq, None)) is not None:
                        keys[wanted] = message.msg_key
                    if not missing or message.msg_seq < min(missing):
                        break
        return keys

    def _make_send_request(
        self, channel: ChannelId, draft: Draft
    ) -> tuple[wire.SendOfficialAccountMsgRequest, tuple[Content, ...]]:
        if draft.silent:
            raise UnsupportedError(Mode.OFFICIAL, "posts.publish(silent=True)", "every broadcast counts as unread")
        if draft.author is not None:
            raise UnsupportedError(Mode.OFFICIAL, "posts.publish(author=)", "an account posts as itself")
        elements, parts = to_elements(draft.content, self._options.post_bytes)
        dedupe = secrets.randbits(32) if draft.dedupe is None else draft.dedupe
        request = wire.SendOfficialAccountMsgRequest(official_account=channel, random=dedupe, msg_body=elements)
        return request, parts

    async def _reserve_hourly_post(self, channel: ChannelId) -> float | None:
        """Reserve one of the posts an hour; return the seconds until one is free if there is none."""
        if self._budget is None:
            return None
        return await self._budget.reserve(channel, self._clock.now(), self._options.posts_per_hour)

    async def _release_hourly_post(self, channel: ChannelId) -> None:
        if self._budget is not None:
            try:
                await self._budget.release(channel)
            except ChannelAdapterError as error:  # the error of the post matters more; the hour ends by itself
                _log.warning("posts.budget_not_released", channel=channel, error=error.kind)

    async def _store_post_keys(self, channel: ChannelId, keys: Sequence[PostKey]) -> None:
        """Keep the keys of posts that were sent or read. Without them history is read for a key."""
        try:
            await self._keys.add(channel, keys)
        except ChannelAdapterError as error:
            _log.warning("posts.keys_not_kept", channel=channel, posts=len(keys), error=error.kind)

    async def _read_post_key(self, channel: ChannelId, seq: int) -> PostKey | None:
        """Return the key of a post; None if it is not known, or cannot be read: history has it, too."""
        try:
            return await self._keys.get(channel, seq)
        except ChannelAdapterError as error:
            _log.warning("posts.key_not_read", channel=channel, seq=seq, error=error.kind)
            return None

    async def _send_or_find(self, channel: ChannelId, request: wire.SendOfficialAccountMsgRequest) -> SentBroadcast:
        """Send; after an ambiguous failure, look for the post in history."""
        try:
            return await self._send_paced(channel, request)
        except ChannelAdapterError as error:
            if not possibly_applied(error):
                raise
            try:
                found = await self.find(channel, request.random)
            except ChannelAdapterError:
                found = None
            if found is not None:
                return SentBroadcast(found.ref.key, found.published_at)
            if isinstance(error, OutcomeUnknownError):
                raise
            message = f"an earlier attempt got no answer and may have been carried out; then: {error}"
            raise OutcomeUnknownError(message, origin=error.origin) from error

    async def _send_paced(self, channel: ChannelId, request: wire.SendOfficialAccountMsgRequest) -> SentBroadcast:
        """Send in a second of its own; once more if the budget has room and the service says too many."""
        await self._acquire_slot(channel)
        try:
            return await self._send_once(channel, request, None)
        except ThrottledError as error:
            if self._budget is None or error.code != codes.MESSAGES_TOO_FREQUENT or possibly_applied(error):
                raise
        await self._acquire_slot(channel)  # another process may have sent in the same second
        return await self._send_once(channel, request, None)

    async def _acquire_slot(self, channel: ChannelId) -> None:
        try:
            await self._pace.acquire(channel, timeout=self._options.total_seconds)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"channel {channel} has {late.seconds:.0f} s of posts waiting already; publish more slowly",
                retry_after=late.seconds,
            ) from None

    async def _send_once(
        self, channel: ChannelId, request: wire.SendOfficialAccountMsgRequest, deadline: float | None
    ) -> SentBroadcast:
        try:
            reply = await self._caller.call(SEND_OFFICIAL_ACCOUNT_MSG, request, deadline=deadline)
        except ChannelAdapterError as error:
            named = _to_missing_channel_error(channel, error)
            raise named from (error if named is not error else error.__cause__)
        return SentBroadcast(reply.msg_key or "", to_datetime(reply.msg_time))

    async def _is_repeated(self, channel: ChannelId, key: str, dedupe: int) -> bool:
        """Return whether the service answered with a post that was sent before, under the same dedupe number.

        Raises OutcomeUnknownError if it was sent under another one: the service drops a post with the content of one
        that is less than 5 minutes old.
        """
        known = await self._read_post_key(channel, broadcast_number(key))
        if known is None or known.key != key:
            return False
        if known.dedupe not in (None, dedupe):
            raise OutcomeUnknownError(
                f"the service took this for a repetition of post {known.seq} of {channel}, which has the same content"
                " and is less than 5 minutes old, and may not have published it again"
            )
        return True

    async def _find_known_key(self, ref: PostRef) -> str | None:
        """Return the key of a post that its reference has or that is known, without a call."""
        if ref.key and broadcast_number(ref.key) == ref.seq:
            return ref.key
        known = await self._read_post_key(ref.channel, ref.seq)
        return known.key if known is not None else None

    async def _read_newest_first(
        self, channel: ChannelId, before: PostRef | None, deadline: float | None = None
    ) -> AsyncGenerator[wire.OfficialHistoryMessage, None]:
        """Yield messages below `before`, each once, from the newest down; a page may repeat the last message."""
        below = None if before is None else await self._find_known_key(before)
        lowest = before.seq if before is not None else None
        bottom: int | None = None  # of the pages that were read
        while True:
            try:
                page = await self.raw_page(channel, below, deadline=deadline)
            except InvalidError:
                if below is None or before is None or lowest != before.seq:
                    raise
                below = None  # a key of a channel that was deleted and created again
                continue
            except ChannelAdapterError as error:
                named = _to_missing_channel_error(channel, error)
                raise named from (error if named is not error else error.__cause__)
            keys = [PostKey(each.msg_seq, each.msg_key, each.msg_random) for each in page.messages]
            await self._store_post_keys(channel, keys)
            for message in page.messages:
                if lowest is None or message.msg_seq < lowest:
                    lowest = message.msg_seq
                    yield message
            if page.finished or not page.messages or (bottom is not None and page.messages[-1].msg_seq >= bottom):
                return
            bottom, following = page.messages[-1].msg_seq, page.below or page.messages[-1].msg_key
            if following == below:
                return
            below = following

    async def _to_recall_error(self, ref: PostRef, key: str, code: int, reason: str) -> ChannelAdapterError | None:
        """Return the error of one post; None if it is recalled, perhaps by an earlier attempt whose reply was lost.

        A key may be that of a channel that was deleted and created again: then the post has another one.
        """
        if code == codes.OK:
            return None
        if code != codes.NO_SUCH_MESSAGE:
            return item_error(OFFICIAL_ACCOUNT_MSG_RECALL, code, "")
        post = await self.get(ref)
        if post is None or post.state is PostState.EXPIRED:
            return _no_such_post(ref)
        if post.state is PostState.PUBLISHED and post.ref.key != key:
            return (await self.recall([post.ref], reason))[post.ref]
        return None if post.state is PostState.RECALLED else _no_such_post(ref)


def _to_post(channel: ChannelId, message: wire.OfficialHistoryMessage) -> Post:
    """Return a broadcast as a post. Its author is None: the account itself."""
    post = to_post(channel, message)
    author = None if message.from_account in (None, "", channel) else UserId(message.from_account)
    return replace(post, ref=PostRef(channel, message.msg_seq, message.msg_key), author=author)


def _to_missing_channel_error(channel: ChannelId, error: ChannelAdapterError) -> ChannelAdapterError:
    """Return the error for an account that does not exist, if this is one, else the error."""
    return no_such_channel(channel, error) if error.code in codes.NO_GROUP_CODES else error


def _no_such_post(ref: PostRef) -> NotFoundError:
    return NotFoundError(f"channel {ref.channel} has no post {ref.seq}", field="seq")


def _too_many_posts(channel: ChannelId, per_hour: int, wait: float) -> ThrottledError:
    return ThrottledError(
        f"channel {channel} has had {per_hour} posts within an hour, which is all that the service accepts; the next"
        f" one in {duration(wait)}",
        limit=per_hour,
        retry_after=wait,
    )
