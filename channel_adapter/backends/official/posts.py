"""Broadcasts of official accounts: read pages of the history, send, find."""

from dataclasses import dataclass

from channel_adapter.backends.caller import Caller
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Draft
from channel_adapter.mapping.content import to_elements
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, SEND_OFFICIAL_ACCOUNT_MSG
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire


@dataclass(frozen=True, slots=True)
class RawPage:
    """Messages of one call as the service has them, newest first.

    `below` is the key to continue with. `finished`: the service has no older messages.
    """

    messages: tuple[wire.OfficialHistoryMessage, ...]
    below: str | None
    finished: bool


class OfficialPosts:
    """Broadcasts of accounts."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def raw_page(self, account: ChannelId, below: str | None) -> RawPage:
        """Return up to 20 messages below a key, recalled ones included; None is the newest page."""
        request = wire.OfficialAccountMsgGetSimpleRequest(
            official_account=account,
            last_msg_key=below,
            req_msg_number=limits.OFFICIAL_HISTORY_PER_CALL,
            with_recalled_msg=1,
        )
        reply = await self._caller.call(OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, request)
        newest_first = sorted(reply.rsp_msg_list, key=lambda message: -message.msg_seq)
        return RawPage(tuple(newest_first), reply.last_msg_key, reply.is_finished == wire.RANGE_EXPIRED)

    async def send(
        self, account: ChannelId, draft: Draft, dedupe: int, *, skip_hooks: bool = False, deadline: float | None = None
    ) -> str:
        """Broadcast once; return the key of the message, "" if the service does not report it.

        `dedupe` is the number by which `find` finds it. `skip_hooks`: the app's own before-webhook is not asked.
        `deadline` is in seconds. Raises InvalidError, ThrottledError over 1 a second or 2 an hour, and
        OutcomeUnknownError if it may have been sent.
        """
        elements, _ = to_elements(draft.content, limits.MESSAGE_BYTES)
        request = wire.SendOfficialAccountMsgRequest(
            official_account=account,
            random=dedupe,
            msg_body=elements,
            forbid_callback_control=[messages.FORBID_BEFORE] if skip_hooks else None,
        )
        reply = await self._caller.call(SEND_OFFICIAL_ACCOUNT_MSG, request, deadline=deadline)
        return reply.msg_key or ""

    async def find(self, account: ChannelId, dedupe: int) -> str | None:
        """Return the key of the broadcast with a dedupe number, if it is among the newest 20."""
        page = await self.raw_page(account, None)
        return next((each.msg_key for each in page.messages if each.msg_random == dedupe), None)
