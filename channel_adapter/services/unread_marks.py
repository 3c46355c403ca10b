"""Marks that a person has on a channel: star, hide, fold, and a text of the app's own."""

from channel_adapter.backends.caller import ApiCaller, item_error
from channel_adapter.backends.community.members import Membership
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.unread import Marks
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.tencent.catalog import MARK_CONTACT, SEARCH_CONTACT_GROUP


class Marking:
    """Marks are kept apart from conversation groups; up to 1,000 conversations of a person can have some."""

    def __init__(self, gateway: ApiCaller, membership: Membership) -> None:
        self._gateway = gateway
        self._membership = membership

    async def set(self, user: UserId, channel: ChannelId, bits: dict[int, bool], text: str | None = None) -> None:
        """Set and clear bits, and the text unless it is None. NotFoundError for who is not in the channel."""
        await self._membership.require(user, channel)
        reply = await self._gateway.call(MARK_CONTACT, mapping.mark_request(user, channel, bits, text))
        for item in reply.result_item:
            if item.result_code != 0:
                raise item_error(MARK_CONTACT, item.result_code, item.result_info)

    async def of(self, user: UserId, channel: ChannelId) -> Marks:
        """The marks there are."""
        await self._membership.require(user, channel)
        reply = await self._gateway.call(SEARCH_CONTACT_GROUP, mapping.search_request(user, [channel]))
        return mapping.marks_of(channel, reply)
