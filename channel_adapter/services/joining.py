"""Adding one batch of people to a channel, whatever the service answers: the batch's outcomes, person by person."""

from collections.abc import Iterable

from channel_adapter.backends.caller import Caller
from channel_adapter.backends.community.members import roles_in
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import OutcomeKind
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.subscription_member import ADD_OUTCOMES
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import TRANSIENT, UNNAMED, BatchSize, Found, everybody
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER, GET_GROUP_INFO
from channel_adapter.tencent.wire import groups, members


class Joining:
    """One bulk call's way of adding people; `size` is shared by all calls, which learn it together."""

    def __init__(
        self,
        calls: Caller,
        accounts: Accounts,
        channel: ChannelId,
        *,
        size: BatchSize,
        notify: bool,
        import_missing: bool,
    ) -> None:
        self.calls = calls
        self.accounts = accounts
        self.channel = channel
        self.size = size
        self.silence = 0 if notify else 1
        self.import_missing = import_missing

    async def add(self, users: list[UserId], found: Found) -> None:
        """Write down what came of each of these different people."""
        await _Batch(self, found).add(users)


class _Batch:
    """The people of one batch, what is known of them, and who of them was imported on the way."""

    def __init__(self, joining: Joining, found: Found) -> None:
        self._joining = joining
        self._calls = joining.calls
        self._channel = joining.channel
        self._size = joining.size
        self._found = found
        self._imported: set[UserId] = set()

    async def add(self, users: list[UserId]) -> None:
        """In as many calls as it takes; one that gets no answer does not keep the others from being made."""
        while users:
            some, users = users[: self._size.people], users[self._size.people :]
            request = members.AddGroupMemberRequest(
                group_id=self._channel,
                member_list=[members.MemberAccount(member_account=user) for user in some],
                silence=self._joining.silence,
            )
            try:
                reply = await self._calls.call(ADD_GROUP_MEMBER, request)
            except ChannelAdapterError as error:
                await self._mend(some, error)
            else:
                await self._read_results(some, reply)

    async def _mend(self, users: list[UserId], error: ChannelAdapterError) -> None:
        """The call as a whole was refused: find out for whom, and add the others."""
        match error.code:
            case codes.TOO_MANY_ACCOUNTS if len(users) > 1:
                self._size.too_many(len(users))
                await self.add(users)
            case codes.NO_SUCH_ACCOUNT:
                await self._without_unknown(users, error)
            case codes.GROUP_FULL | codes.MEMBERS_OVER_PLAN:
                await self._fill(users)
            case codes.USER_IN_TOO_MANY_GROUPS if len(users) > 1:
                await self._add_halves(users)
            case codes.USER_IN_TOO_MANY_GROUPS:
                self._settle(users, OutcomeKind.TOO_MANY_CHANNELS)
            case codes.WEBHOOK_REFUSED:
                self._settle(users, OutcomeKind.REFUSED, "the app's own webhook refused")
            case _ if isinstance(error, TRANSIENT):
                self._settle(users, OutcomeKind.FAILED, error.message)
            case _:
                raise error

    async def _add_halves(self, users: list[UserId]) -> None:
        middle = len(users) // 2
        await self.add(users[:middle])
        await self.add(users[middle:])

    async def _without_unknown(self, users: list[UserId], error: ChannelAdapterError) -> None:
        """10019 names nobody: ask which accounts exist, import the others if that is wanted, add the rest [18]."""
        known = await self._joining.accounts.check(users)
        unknown = [user for user in users if not known.get(user, False)]
        if unknown:
            await self._import(unknown)
            await self.add([user for user in users if user not in self._found])
        elif len(users) > 1:  # the check knows them all: whoever it is that the service does not know fails alone
            for user in users:
                await self.add([user])
        else:
            self._settle(users, OutcomeKind.FAILED, error.message)

    async def _import(self, users: list[UserId]) -> None:
        """Import accounts that are not known, once; settles whoever stays unknown."""
        if not self._joining.import_missing:
            self._settle(users, OutcomeKind.NOT_FOUND)
            return
        helpless = [user for user in users if user in self._imported]
        self._settle(helpless, OutcomeKind.NOT_FOUND, "it was imported and is still not known")
        self._imported.update(users)
        made: Found = {}
        await self._joining.accounts.add_batch([user for user in users if user not in self._found], made)
        failed = [user for user, outcome in made.items() if not outcome.done]
        self._settle(failed, OutcomeKind.NOT_FOUND, "importing it failed")

    async def _fill(self, users: list[UserId]) -> None:
        """The batch does not fit: who is in already, how much room there is, and as many as fit [groups 5.7]."""
        roles = await roles_in(self._calls, self._channel, users)
        self._settle([user for user in users if roles[user] != members.NOT_MEMBER], OutcomeKind.ALREADY)
        outside = [user for user in users if roles[user] == members.NOT_MEMBER]
        room = await self._room()
        if room >= len(outside):  # a limit of the plan, or somebody left: find out by halving
            if len(outside) > 1:
                await self._add_halves(outside)
                return
            room = 0
        first, rest = outside[:room], outside[room:]
        await self.add(first)
        if all(self._found[user].done for user in first):
            self._settle(rest, OutcomeKind.FULL)
        else:  # who could not come has left room
            await self.add(rest)

    async def _room(self) -> int:
        request = groups.GetGroupInfoRequest(
            group_id_list=[self._channel],
            response_filter=groups.GroupResponseFilter(group_base_info_filter=["MemberNum", "MaxMemberNum"]),
        )
        info = (await self._calls.call(GET_GROUP_INFO, request)).group_info[0]
        return max(0, (info.max_member_num or 0) - (info.member_num or 0))

    async def _read_results(self, users: list[UserId], reply: members.AddGroupMemberReply) -> None:
        """`Result` 0 hides the reason: an unknown account, or the app's webhook [docS 1621]."""
        results = {item.member_account: item.result for item in reply.member_list}
        rest: list[UserId] = []
        for user in users:
            match results.get(user):
                case None:
                    self._settle([user], OutcomeKind.FAILED, UNNAMED)
                case members.RESULT_FAILED:
                    rest.append(user)
                case result if result in ADD_OUTCOMES:
                    self._settle([user], ADD_OUTCOMES[result])
                case result:
                    self._settle(
                        [user], OutcomeKind.FAILED, f"the service answered Result {result}, which is not known"
                    )
        if not rest:
            return
        known = await self._joining.accounts.check(rest)
        self._settle(
            [user for user in rest if known.get(user, False)], OutcomeKind.REFUSED, "the service added the others only"
        )
        unknown = [user for user in rest if not known.get(user, False)]
        if unknown:
            await self._import(unknown)
            await self.add([user for user in unknown if user not in self._found])

    def _settle(self, users: Iterable[UserId], kind: OutcomeKind, reason: str = "") -> None:
        self._found |= everybody(users, kind, reason)
