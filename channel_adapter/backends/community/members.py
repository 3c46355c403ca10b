"""Members of Community groups: their roles, their rows, and their notifications."""

from collections.abc import Iterable, Sequence

from cachetools import TTLCache

from channel_adapter.backends.caller import Caller
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import NotFoundError, PermissionDeniedError
from channel_adapter.mapping.subscription_member import MSG_FLAGS, NOTIFICATIONS
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import GET_ROLE_IN_GROUP, GET_SPECIFIED_GROUP_MEMBER_INFO, MODIFY_GROUP_MEMBER_INFO
from channel_adapter.tencent.wire import members

POSTERS = frozenset({members.OWNER, members.ADMIN})
REMEMBERED = 10_000
"""How many authors are remembered; each is a few hundred bytes."""


async def roles_in(calls: Caller, channel: ChannelId, users: Iterable[UserId]) -> dict[UserId, str]:
    """The role of each of up to 500 people, `NotMember` for those outside and those the answer leaves out."""
    people = list(users)
    reply = await calls.call(
        GET_ROLE_IN_GROUP, members.GetRoleInGroupRequest(group_id=channel, user_account=list(people))
    )
    named = {item.member_account: item.role for item in reply.user_id_list}
    return {user: named.get(user, members.NOT_MEMBER) for user in people}


class RoleCache:
    """Whether users may post in a channel, read from the service and cached for a while."""

    def __init__(self, caller: Caller, *, seconds: float, clock: Clock) -> None:
        self._caller = caller
        self._posters: TTLCache[tuple[ChannelId, UserId], bool] = TTLCache(REMEMBERED, seconds, timer=clock.monotonic)
        self._asking: BatchLoader[ChannelId, UserId, bool] = BatchLoader(self._ask, max_items=limits.ROLES_PER_CALL)
        self._changes = 0  # a read that began before the latest one may know less, and is not remembered

    def forget(self, channel: ChannelId, users: Iterable[UserId] | None = None) -> None:
        """Drop what is remembered of some people in a channel, or of all of them, and what reads under way found."""
        self._changes += 1
        for known in [(channel, user) for user in users] if users is not None else list(self._posters):
            if known[0] == channel:
                self._posters.pop(known, None)

    async def require_poster(self, channel: ChannelId, user: UserId) -> None:
        """Raises PermissionDeniedError unless `user` is owner or admin of the channel. A refusal is asked for anew."""
        if not self._posters.get((channel, user)) and not await self._asking.load(channel, user):
            raise PermissionDeniedError(
                f"{user!r} is neither owner nor admin of {channel} and cannot be the author of a post", field="author"
            )

    async def may_post(self, channel: ChannelId, user: UserId) -> bool:
        """Is `user` owner or admin? A no is remembered too: many may ask who may not, and events tell of changes."""
        remembered = self._posters.get((channel, user))
        return await self._asking.load(channel, user) if remembered is None else remembered

    async def _ask(self, channel: ChannelId, users: Sequence[UserId]) -> list[bool]:
        changes = self._changes
        found = await roles_in(self._caller, channel, dict.fromkeys(users))
        if changes == self._changes:
            self._posters.update({(channel, user): role in POSTERS for user, role in found.items()})
        return [found[user] in POSTERS for user in users]


FIELDS = ("Role", "MsgSeq", "MsgFlag")


class Membership:
    """Refuses groups that are no channels, and people who are not in them."""

    def __init__(self, caller: Caller, directory: ChannelCache) -> None:
        self._caller = caller
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
        reply = await self._caller.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
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
        await self._caller.call(MODIFY_GROUP_MEMBER_INFO, request)
        return True
