"""Reactions on group messages: as message extensions, or as counts in the custom data of the message."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from channel_adapter.backends.caller import Caller, item_error, possibly_applied
from channel_adapter.backends.community.history import History
from channel_adapter.backends.options import BackendOptions
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    CarriedReactions,
    CarrierChange,
    CarrierResult,
    CarrierStatus,
    DisplayMode,
    DisplayStatus,
    MessageCapacity,
)
from channel_adapter.errors import (
    AuthenticationError,
    ChannelAdapterError,
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.ids import COMMUNITY_IDS
from channel_adapter.mapping.reactions import (
    PROBE,
    count_key,
    count_pair,
    deletion,
    parse_extensions,
    user_key,
    user_pair,
    with_counts,
)
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_GROUP,
    DESTROY_GROUP,
    GROUP_GET_KEY_VALUES,
    GROUP_SET_KEY_VALUES,
    MODIFY_GROUP_MSG,
    SEND_GROUP_MSG,
)
from channel_adapter.tencent.rate_limit import KeyedLimiter, RateLimitTimeout
from channel_adapter.tencent.wire import extensions, groups, messages
from channel_adapter.tencent.wire.msg_body import TEXT, Element, TextContent

USERS_WITHOUT_STORE: Final = 250
"""Users who may react to a post without a store; the rest of its 300 pairs is for client apps that react meanwhile."""

_PROBE_SLUG: Final = "channel_adapter_probe_"
_STATUSES: Final = {
    codes.EXTENSION_NO_MESSAGE: CarrierStatus.MISSING,
    codes.NO_MESSAGE_TO_MODIFY: CarrierStatus.MISSING,
    codes.NO_SUCH_GROUP: CarrierStatus.MISSING,
    codes.EXTENSION_UNSUPPORTED: CarrierStatus.UNSUPPORTED,
    codes.NOT_ALLOWED: CarrierStatus.UNSUPPORTED,
    codes.BAD_SIGNATURE_OR_EDITION: CarrierStatus.EDITION,
    codes.BAD_PARAMETER: CarrierStatus.REFUSED,  # too many keys, or a type of group without extensions
}
"""The code for an unsupported type of group is not documented: any of the last four may be it [messages 9.1]."""

_NO_EXTENSIONS: Final = frozenset(
    code for code, status in _STATUSES.items() if status is not CarrierStatus.MISSING
)  # of a read
_NO_REFUSALS: Final = (AuthenticationError, OutcomeUnknownError, ThrottledError, UnavailableError)


class CommunityReactions:
    """What messages of Community groups carry. Keeps to 3 writes per second on each message."""

    capacity = MessageCapacity(
        keys=limits.EXTENSION_KEYS_PER_MESSAGE,
        keys_per_call=limits.EXTENSION_KEYS_PER_CALL,
        users=200,
        counts=80,
        users_without_store=USERS_WITHOUT_STORE,
        write_interval=0.34,  # 177 writes a minute, where the service accepts 200 [15]
    )

    def __init__(self, caller: Caller, history: History, options: BackendOptions, clock: Clock) -> None:
        self._caller = caller
        self._history = history
        self._clock = clock
        self._max_wait = options.total_seconds
        self._pace = KeyedLimiter(limits.EXTENSION_SETS_PER_SECOND, clock=clock)

    async def read(self, ref: PostRef, *, timeout: float | None = None) -> CarriedReactions | None:
        """Return all keys of a message, 200 a call, or None if it carries no extensions.

        `timeout` is in seconds for each call. Raises NotFoundError for a message that does not exist, was recalled or
        has expired.
        """
        try:
            return await self._read_extensions(ref, timeout)
        except ChannelAdapterError as error:
            if error.code == codes.EXTENSION_NO_MESSAGE:
                message = f"post {ref.seq} of {ref.channel} does not exist, or was recalled or has expired"
                raise NotFoundError(message, field="seq", origin=error.origin) from error
            if error.code in _NO_EXTENSIONS:
                return None
            raise

    async def write(self, ref: PostRef, change: CarrierChange, *, timeout: float | None = None) -> CarrierResult:
        """Set keys, then remove keys, 20 a call. Writing the same change again is harmless.

        `timeout` is in seconds for each call. Raises ThrottledError if more writes wait for this message than the
        timeout allows, and errors that are no refusal of the message.
        """
        sets = [count_pair(emoji, number) for emoji, number in change.set_counts.items()]
        sets += [user_pair(user, emoji) for user, emoji in change.set_users.items()]
        removals = [deletion(count_key(emoji)) for emoji in change.remove_counts]
        removals += [deletion(user_key(user)) for user in change.remove_users]
        refused: dict[str, int] = {}
        versions: dict[str, int] = {}
        try:
            for batch in _split_for_calls(sets):
                results = await self._set_extensions(ref, extensions.SET, batch, timeout)
                refused |= {each.extension.key: each.error_code for each in results if each.error_code}
            for batch in _split_for_calls(removals):
                results = await self._set_extensions(ref, extensions.DELETE, batch, timeout)
                versions |= {each.extension.key: each.extension.seq or 0 for each in results}
                refused |= {
                    each.extension.key: each.error_code
                    for each in results
                    if each.error_code not in (0, codes.EXTENSION_NO_MESSAGE)  # a key that is not there [messages 9.2]
                }
        except ChannelAdapterError as error:
            if error.code not in _STATUSES:
                raise
            return CarrierResult(_STATUSES[error.code], error=error)
        return CarrierResult(
            CarrierStatus.FULL if refused else CarrierStatus.WRITTEN,
            {user: versions.get(user_key(user), 0) for user in change.remove_users},
            _to_user_errors([*change.set_users, *change.remove_users], refused),
        )

    async def write_custom_data(
        self, ref: PostRef, counts: Mapping[str, int], *, timeout: float | None = None
    ) -> CarrierResult:
        """Write all counts into the custom data of a message, or remove them if there are none. Other members stay.

        Two calls: read and modify; `timeout` is in seconds for both together.
        """
        deadline = None if timeout is None else timeout / 2
        try:
            message = await self._history.message(ref.channel, ref.seq, deadline=deadline)
            if message is None or message.is_place_msg != messages.PLACE_NORMAL:
                return CarrierResult(CarrierStatus.MISSING)
            data = with_counts(message.cloud_custom_data, counts)
            if data is None:
                text = f"the custom data of post {ref.seq} of {ref.channel} is in the format of another program"
                return CarrierResult(CarrierStatus.UNSUPPORTED, error=ConflictError(text))
            await self._modify_post_data(ref, data, deadline)
        except _NO_REFUSALS:
            raise
        except ChannelAdapterError as error:
            missing = error.code is not None and _STATUSES.get(error.code) is CarrierStatus.MISSING
            return CarrierResult(CarrierStatus.MISSING if missing else CarrierStatus.REFUSED, error=error)
        return CarrierResult(CarrierStatus.WRITTEN)

    async def probe(self, mode: DisplayMode) -> DisplayStatus:
        """Check a display mode on a message in a group without members, which is deleted again.

        Returns the mode, or DisplayMode.STORE with the reason of the refusal. Raises UnavailableError, ThrottledError
        and other errors that are no refusal.
        """
        refusal = "" if mode is DisplayMode.STORE else await self._probe_refusal(mode)
        checked_at = datetime.fromtimestamp(self._clock.now(), UTC)
        if refusal:
            return DisplayStatus(DisplayMode.STORE, refusal, checked_at)
        return DisplayStatus(mode, "probed", checked_at)

    async def _read_extensions(self, ref: PostRef, timeout: float | None) -> CarriedReactions:
        """Read every page. Pages overlap by one version, because a page may end within it."""
        found: dict[str, extensions.Extension] = {}
        start, cleared, latest, complete = 0, 0, 0, False
        while True:
            request = extensions.GroupGetKeyValuesRequest(group_id=ref.channel, msg_seq=ref.seq, start_seq=start)
            reply = await self._caller.call(GROUP_GET_KEY_VALUES, request, deadline=timeout)
            before = len(found)
            found.update((pair.key, pair) for pair in reply.extension_list)
            cleared, latest = max(cleared, reply.clear_seq), max(latest, reply.latest_seq)
            complete = reply.complete_flag == extensions.ALL_RETURNED
            last = max((pair.seq or 0 for pair in reply.extension_list), default=start)
            if complete or (len(found) == before and last == start):
                break
            start = last
        parsed = parse_extensions(pair for pair in found.values() if (pair.seq or 0) > cleared)
        return CarriedReactions(parsed.users, parsed.counts, latest, cleared, complete)

    async def _set_extensions(
        self, ref: PostRef, operation: int, pairs: Sequence[extensions.Extension], timeout: float | None
    ) -> list[extensions.ExtensionResult]:
        """Set or delete up to 20 pairs; one result each, which may have failed on its own."""
        try:
            wait = self._max_wait if timeout is None else timeout
            await self._pace.acquire(f"{ref.channel} {ref.seq}", timeout=wait)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"post {ref.seq} of {ref.channel} has {late.seconds:.0f} s of reactions waiting already; react more"
                " slowly, or set database_url to store any number of reactions"
            ) from None
        request = extensions.GroupSetKeyValuesRequest(
            group_id=ref.channel, msg_seq=ref.seq, operate_type=operation, extension_list=list(pairs)
        )
        return (await self._caller.call(GROUP_SET_KEY_VALUES, request, deadline=timeout)).extension_list

    async def _modify_post_data(self, ref: PostRef, data: str, deadline: float | None) -> None:
        request = messages.ModifyGroupMsgRequest(group_id=ref.channel, msg_seq=ref.seq, cloud_custom_data=data)
        await self._caller.call(MODIFY_GROUP_MSG, request, deadline=deadline)

    async def _probe_refusal(self, mode: DisplayMode) -> str:
        """Return why a message of a new group refuses a mode; empty if it accepts it."""
        group = COMMUNITY_IDS.from_slug(_PROBE_SLUG + secrets.token_hex(4))
        request = groups.CreateGroupRequest(
            type=groups.COMMUNITY,
            group_id=group,
            name=_PROBE_SLUG,
            support_topic=0,
            apply_join_option=groups.DISABLE_APPLY,
        )
        destroy = groups.DestroyGroupRequest(group_id=group)
        try:
            await self._caller.call(CREATE_GROUP, request)
        except ChannelAdapterError as error:
            if possibly_applied(error):
                with suppress(ChannelAdapterError):  # there may be no group
                    await self._caller.call(DESTROY_GROUP, destroy)
            raise
        try:
            sent = await self._caller.call(SEND_GROUP_MSG, _make_probe_request(group))
            ref = PostRef(group, sent.msg_seq or 1)
            try:
                if mode is DisplayMode.CUSTOM_DATA:
                    await self._modify_post_data(ref, "{}", None)
                    return ""
                results = await self._set_extensions(ref, extensions.SET, [PROBE], None)
            except _NO_REFUSALS:
                raise
            except ChannelAdapterError as error:
                return error.message
        finally:
            await self._caller.call(DESTROY_GROUP, destroy)
        return next((f"code {each.error_code}" for each in results if each.error_code), "")


def _split_for_calls(pairs: Sequence[extensions.Extension]) -> list[Sequence[extensions.Extension]]:
    size = limits.EXTENSION_KEYS_PER_CALL
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _make_probe_request(group: str) -> messages.SendGroupMsgRequest:
    return messages.SendGroupMsgRequest(
        group_id=group,
        random=secrets.randbits(32),
        msg_body=[Element(msg_type=TEXT, msg_content=TextContent(text=_PROBE_SLUG).to_wire())],
        support_message_extension=1,
        forbid_callback_control=[messages.FORBID_BEFORE, messages.FORBID_AFTER],
    )


def _to_user_errors(users: Sequence[UserId], refused: Mapping[str, int]) -> dict[UserId, ChannelAdapterError]:
    return {
        user: item_error(GROUP_SET_KEY_VALUES, refused[user_key(user)], "")
        for user in users
        if user_key(user) in refused
    }
