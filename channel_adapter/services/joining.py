"""Adding one batch of people to a channel, whatever the service answers: the batch's outcomes, person by person."""

from collections.abc import Sequence

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.subscription_member import ADD_OUTCOMES
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import TRANSIENT, Patience
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER, GET_GROUP_INFO, GET_ROLE_IN_GROUP
from channel_adapter.tencent.wire import groups, members


class Joining:
    """One bulk call's way of adding people; holds what it learns on the way (the batch size, failures in a row)."""

    def __init__(
        self, gateway: Gateway, accounts: Accounts, channel: ChannelId, *, size: int, notify: bool, import_missing: bool
    ) -> None:
        self.size = size
        self._gateway = gateway
        self._accounts = accounts
        self._channel = channel
        self._silence = 0 if notify else 1
        self._import_missing = import_missing
        self._patience = Patience()

    async def add(self, users: Sequence[UserId]) -> list[Outcome]:
        """One outcome for every element of `users`; who stands twice in it is already subscribed the second time."""
        distinct = list(dict.fromkeys(users))
        try:
            outcomes = await self._add(distinct)
        except TRANSIENT as error:
            outcomes = self._patience.unanswered(distinct, error)
        else:
            self._patience.answered()
        return _in_order(users, outcomes)

    async def _add(self, users: list[UserId]) -> dict[str, Outcome]:
        """Distinct people, in as many calls as it takes."""
        if not users:
            return {}
        if len(users) > self.size:
            first, rest = users[: self.size], users[self.size :]  # taken now: adding the first may shrink the size
            return await self._add(first) | await self._add(rest)
        request = members.AddGroupMemberRequest(
            group_id=self._channel,
            member_list=[members.MemberAccount(member_account=user) for user in users],
            silence=self._silence,
        )
        try:
            reply = await self._gateway.call(ADD_GROUP_MEMBER, request)
        except ChannelAdapterError as error:
            return await self._mend(users, error)
        return await self._read_results(users, reply)

    async def _mend(self, users: list[UserId], error: ChannelAdapterError) -> dict[str, Outcome]:
        """The call as a whole was refused: find out for whom, and add the others."""
        match error.code:
            case codes.TOO_MANY_ACCOUNTS if len(users) > 1:
                self.size = min(self.size, len(users) // 2)
                return await self._add(users)
            case codes.NO_SUCH_ACCOUNT:
                return await self._without_unknown(users, error)
            case codes.GROUP_FULL | codes.MEMBERS_OVER_PLAN:
                return await self._fill(users)
            case codes.USER_IN_TOO_MANY_GROUPS if len(users) > 1:
                middle = len(users) // 2
                return await self._add(users[:middle]) | await self._add(users[middle:])
            case codes.USER_IN_TOO_MANY_GROUPS:
                return {users[0]: Outcome(users[0], OutcomeKind.TOO_MANY_CHANNELS)}
            case codes.WEBHOOK_REFUSED:
                return _all(users, OutcomeKind.REFUSED, "the app's own webhook refused")
            case _:
                raise error

    async def _without_unknown(self, users: list[UserId], error: ChannelAdapterError) -> dict[str, Outcome]:
        """10019 names nobody: ask which accounts exist, import the others if that is wanted, add the rest [18]."""
        known = await self._accounts.check(users)
        unknown = [user for user in users if not known.get(user, False)]
        if not unknown:
            raise error
        outcomes: dict[str, Outcome] = {}
        if self._import_missing:
            failed = await self._import(unknown)
            outcomes |= _all([user for user in unknown if user in failed], OutcomeKind.NOT_FOUND, "importing it failed")
        else:
            outcomes |= _all(unknown, OutcomeKind.NOT_FOUND)
        return outcomes | await self._add([user for user in users if user not in outcomes])

    async def _fill(self, users: list[UserId]) -> dict[str, Outcome]:
        """The batch does not fit: who is in already, how much room there is, and as many as fit [groups 5.7]."""
        inside = await self._members_among(users)
        outcomes = _all([user for user in users if user in inside], OutcomeKind.ALREADY)
        outside = [user for user in users if user not in inside]
        room = await self._room()
        if len(outside) > 1 and room >= len(outside):  # a limit of the plan, or somebody left: find out by halving
            middle = len(outside) // 2
            return outcomes | await self._add(outside[:middle]) | await self._add(outside[middle:])
        if room >= len(outside):
            room = 0
        added, rest = await self._add(outside[:room]), outside[room:]
        if room and not all(outcome.done for outcome in added.values()):
            return outcomes | added | await self._add(rest)  # who could not come has left room
        return outcomes | added | _all(rest, OutcomeKind.FULL)

    async def _import(self, users: Sequence[UserId]) -> set[str]:
        """Those that could not be imported."""
        return {outcome.user for outcome in await self._accounts.add(users) if not outcome.done}

    async def _members_among(self, users: list[UserId]) -> set[str]:
        request = members.GetRoleInGroupRequest(group_id=self._channel, user_account=list(users))
        reply = await self._gateway.call(GET_ROLE_IN_GROUP, request)
        return {item.member_account for item in reply.user_id_list if item.role != members.NOT_MEMBER}

    async def _room(self) -> int:
        request = groups.GetGroupInfoRequest(
            group_id_list=[self._channel],
            response_filter=groups.GroupResponseFilter(group_base_info_filter=["MemberNum", "MaxMemberNum"]),
        )
        info = (await self._gateway.call(GET_GROUP_INFO, request)).group_info[0]
        return max(0, (info.max_member_num or 0) - (info.member_num or 0))

    async def _read_results(self, users: list[UserId], reply: members.AddGroupMemberReply) -> dict[str, Outcome]:
        """`Result` 0 hides the reason: an unknown account, or the app's webhook [docS 1621]."""
        results = {item.member_account: item.result for item in reply.member_list}
        outcomes: dict[str, Outcome] = {
            user: Outcome(user, ADD_OUTCOMES[results[user]]) for user in users if results.get(user) in ADD_OUTCOMES
        }
        rest = [user for user in users if user not in outcomes]
        if not rest:
            return outcomes
        known = await self._accounts.check(rest)
        unknown = [user for user in rest if not known.get(user, False)]
        outcomes |= _all(
            [user for user in rest if user not in unknown], OutcomeKind.REFUSED, "the service added the others only"
        )
        if not (self._import_missing and unknown):
            return outcomes | _all(unknown, OutcomeKind.NOT_FOUND)
        failed = await self._import(unknown)
        outcomes |= _all([user for user in unknown if user in failed], OutcomeKind.NOT_FOUND, "importing it failed")
        return outcomes | await self._add([user for user in unknown if user not in failed])


def _all(users: Sequence[str], kind: OutcomeKind, reason: str = "") -> dict[str, Outcome]:
    return {user: Outcome(user, kind, reason) for user in users}


def _in_order(users: Sequence[UserId], outcomes: dict[str, Outcome]) -> list[Outcome]:
    seen: set[str] = set()
    ordered = []
    for user in users:
        outcome = outcomes[user]
        repeated = user in seen and outcome.done
        ordered.append(Outcome(user, OutcomeKind.ALREADY, "named twice in this call") if repeated else outcome)
        seen.add(user)
    return ordered
