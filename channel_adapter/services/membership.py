"""One person in one channel: whether they are in it, what they have read, and how posts reach them."""

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import NotFoundError
from channel_adapter.mapping.subscription_member import MSG_FLAGS, NOTIFICATIONS
from channel_adapter.tencent.catalog import GET_SPECIFIED_GROUP_MEMBER_INFO, MODIFY_GROUP_MEMBER_INFO
from channel_adapter.tencent.wire import members

FIELDS = ("Role", "MsgSeq", "MsgFlag")


class Membership:
    """Refuses groups that are no channels, and people who are not in them."""

    def __init__(self, gateway: ApiCaller, directory: ChannelCache) -> None:
        self._gateway = gateway
        self._directory = directory

    async def require(self, user: UserId, channel: ChannelId) -> members.Member:
        """The person's row. Raises NotFoundError when there is no such channel, or they are not in it."""
        await self._directory.require(channel)
        member = await self.find(user, channel)
        if member is None:
            raise NotFoundError(f"{user!r} does not follow {channel}", field="user")
        return member

    async def find(self, user: UserId, channel: ChannelId) -> members.Member | None:
        """The person's row in any group; who is not in it is left out of the answer [doc 112002; inferred]."""
        request = members.GetSpecifiedGroupMemberInfoRequest(
            group_id=channel, member_list_account=[user], member_info_filter=list(FIELDS)
        )
        reply = await self._gateway.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
        return next((member for member in reply.member_list if member.member_account == user), None)

    async def notifications(self, user: UserId, channel: ChannelId) -> Notifications:
        """How new posts reach the person."""
        member = await self.require(user, channel)
        return NOTIFICATIONS.get(member.msg_flag or "", Notifications.ALL)

    async def set_notifications(self, user: UserId, channel: ChannelId, wanted: Notifications) -> bool:
        """Change it if it is something else; False when it was so already."""
        if await self.notifications(user, channel) is wanted:
            return False
        request = members.ModifyGroupMemberInfoRequest(
            group_id=channel, member_account=user, msg_flag=MSG_FLAGS[wanted]
        )
        await self._gateway.call(MODIFY_GROUP_MEMBER_INFO, request)
        return True
