"""Taking people out of a channel: roles first, because the service does not say who was not in it."""

from collections.abc import Sequence

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.services.bulk import TRANSIENT, Patience
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent.catalog import DELETE_GROUP_MEMBER, GET_ROLE_IN_GROUP
from channel_adapter.tencent.wire import members


class Leaving:
    """One bulk call's way of removing people, up to 500 at a time."""

    def __init__(self, gateway: Gateway, channel: ChannelId, *, size: int, notify: bool) -> None:
        self._gateway = gateway
        self._channel = channel
        self._size = size
        self._silence = 0 if notify else 1
        self._patience = Patience()

    async def remove(self, users: Sequence[UserId]) -> list[Outcome]:
        """One outcome for every element of `users`."""
        distinct = list(dict.fromkeys(users))
        try:
            roles = await self._roles(distinct)
        except TRANSIENT as error:
            failed = self._patience.unanswered(distinct, error)
            return [failed[user] for user in users]
        self._patience.answered()
        inside = [user for user, role in roles.items() if role in (members.MEMBER, members.ADMIN)]
        outcomes: dict[str, Outcome] = {}
        for start in range(0, len(inside), self._size):
            outcomes |= await self._delete(inside[start : start + self._size])
        return [self._outcome(user, roles, outcomes) for user in users]

    async def _roles(self, users: list[UserId]) -> dict[UserId, str]:
        request = members.GetRoleInGroupRequest(group_id=self._channel, user_account=list(users))
        reply = await self._gateway.call(GET_ROLE_IN_GROUP, request)
        return {UserId(item.member_account): item.role for item in reply.user_id_list}

    async def _delete(self, users: list[UserId]) -> dict[str, Outcome]:
        request = members.DeleteGroupMemberRequest(
            group_id=self._channel, member_to_del_account=list(users), silence=self._silence
        )
        try:
            await self._gateway.call(DELETE_GROUP_MEMBER, request)
        except TRANSIENT as error:
            return self._patience.unanswered(users, error)
        self._patience.answered()
        return {user: Outcome(user, OutcomeKind.REMOVED) for user in users}

    @staticmethod
    def _outcome(user: UserId, roles: dict[UserId, str], outcomes: dict[str, Outcome]) -> Outcome:
        """The first mention of a person was removed, a second one finds nobody."""
        if roles.get(user) == members.OWNER:
            return Outcome(user, OutcomeKind.REFUSED, "the owner cannot leave the channel")
        found = outcomes.get(user, Outcome(user, OutcomeKind.ALREADY))
        if found.kind is OutcomeKind.REMOVED:
            outcomes[user] = Outcome(user, OutcomeKind.ALREADY, "named twice in this call")
        return found
