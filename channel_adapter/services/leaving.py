"""Taking people out of a channel: roles first, because the service does not say who was not in it."""

from channel_adapter.backends.caller import Caller
from channel_adapter.backends.community.members import roles_in
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import OutcomeKind
from channel_adapter.services.bulk import TRANSIENT, Found, everybody
from channel_adapter.tencent.catalog import DELETE_GROUP_MEMBER
from channel_adapter.tencent.wire import members


class Leaving:
    """One bulk call's way of removing people, up to 500 at a time."""

    def __init__(self, calls: Caller, channel: ChannelId, *, size: int, notify: bool) -> None:
        self._calls = calls
        self._channel = channel
        self._size = size
        self._silence = 0 if notify else 1

    async def remove(self, users: list[UserId], found: Found) -> None:
        """Write down what came of each of these different people."""
        roles = await roles_in(self._calls, self._channel, users)
        outside = [user for user, role in roles.items() if role == members.NOT_MEMBER]
        owner = [user for user, role in roles.items() if role == members.OWNER]
        found |= everybody(outside, OutcomeKind.ALREADY)
        found |= everybody(owner, OutcomeKind.REFUSED, "the owner cannot leave the channel")
        inside = [user for user in users if user not in found]
        for start in range(0, len(inside), self._size):
            await self._delete(inside[start : start + self._size], found)

    async def _delete(self, users: list[UserId], found: Found) -> None:
        request = members.DeleteGroupMemberRequest(
            group_id=self._channel, member_to_del_account=list(users), silence=self._silence
        )
        try:
            await self._calls.call(DELETE_GROUP_MEMBER, request)
        except TRANSIENT as error:
            found |= everybody(users, OutcomeKind.FAILED, error.message)
        else:
            found |= everybody(users, OutcomeKind.REMOVED)
