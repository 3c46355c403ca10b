"""Who may post in a channel: asked of the service, remembered for a while."""

from collections.abc import Iterable

from cachetools import TTLCache

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import PermissionDeniedError
from channel_adapter.services.gateway import Caller
from channel_adapter.tencent.catalog import GET_ROLE_IN_GROUP
from channel_adapter.tencent.clock import Clock
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


class Roles:
    """Owner and admins of channels, as far as somebody posted as one of them."""

    def __init__(self, gateway: Caller, *, seconds: float, clock: Clock) -> None:
        self._gateway = gateway
        self._posters: TTLCache[tuple[ChannelId, UserId], bool] = TTLCache(REMEMBERED, seconds, timer=clock.monotonic)

    async def require_poster(self, channel: ChannelId, user: UserId) -> None:
        """Raises PermissionDeniedError unless `user` is owner or admin of the channel."""
        if self._posters.get((channel, user)):
            return
        role = (await roles_in(self._gateway, channel, [user]))[user]
        if role not in POSTERS:
            raise PermissionDeniedError(
                f"{user!r} is neither owner nor admin of {channel} and cannot be the author of a post", field="author"
            )
        self._posters[channel, user] = True
