"""Calls about accounts of the app, in either mode: 100 are checked or imported a call."""

from collections.abc import Sequence

from channel_adapter.backends.caller import Caller, interrupted, item_error
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import ACCOUNT_CHECK, MULTIACCOUNT_IMPORT
from channel_adapter.tencent.wire import accounts as wire


class AppAccounts:
    """Checks and imports accounts, 100 a call [doc 34954, 34956]."""

    def __init__(self, caller: Caller, concurrency: int) -> None:
        self._caller = caller
        self._concurrency = concurrency

    def add_batch(self) -> int:
        """Return how many accounts one call adds."""
        return limits.ACCOUNTS_PER_CALL

    async def check(self, users: Sequence[UserId]) -> dict[UserId, bool]:
        """Return which accounts exist, in the order of `users`, 100 a call."""
        if 0 < len(users) <= limits.ACCOUNTS_PER_CALL:
            return await self._check_known(users)
        known: dict[UserId, bool] = {}
        parts = batches(users, limits.ACCOUNTS_PER_CALL)
        async for found in concurrently(parts, self._check_known, limit=self._concurrency, ordered=True):
            known.update(found)
        return known

    async def add(self, users: Sequence[UserId]) -> BatchResult:
        """Import the accounts that do not exist; the others stay as they are. An unclear check means import.

        multiaccount_import does not report which accounts are new, so that an account which another process imports
        between check and import is `added` as well.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(users), limits.ACCOUNTS_PER_CALL):
            part = users[start : start + limits.ACCOUNTS_PER_CALL]
            rest = users[start + limits.ACCOUNTS_PER_CALL :]
            try:
                items = (await self._check_items(part)).result_item
            except ChannelAdapterError as error:
                return interrupted(outcomes, part, rest, error)
            known = {item.user_id for item in items if item.result_code == 0 and item.account_status == wire.IMPORTED}
            outcomes += [Outcome(user, OutcomeKind.ALREADY) for user in part if user in known]
            imported = await self.import_all([user for user in part if user not in known])
            outcomes += imported.outcomes
            if imported.error is not None:
                return BatchResult(tuple(outcomes), (*imported.untried, *rest), imported.error)
        return BatchResult(tuple(outcomes))

    async def import_all(self, users: Sequence[UserId]) -> BatchResult:
        """Import accounts without a check: an account that exists stays as it is and is `added` too."""
        outcomes: list[Outcome] = []
        for start in range(0, len(users), limits.ACCOUNTS_PER_CALL):
            part = users[start : start + limits.ACCOUNTS_PER_CALL]
            request = wire.MultiaccountImportRequest(account_list=[wire.NewAccount(user_id=user) for user in part])
            try:
                failed = set((await self._caller.call(MULTIACCOUNT_IMPORT, request)).fail_accounts or ())
            except ChannelAdapterError as error:
                return interrupted(outcomes, part, users[start + limits.ACCOUNTS_PER_CALL :], error)
            outcomes += [
                Outcome(user, OutcomeKind.FAILED, "the service did not import it")
                if user in failed
                else Outcome(user, OutcomeKind.ADDED)
                for user in part
            ]
        return BatchResult(tuple(outcomes))

    async def _check_items(self, users: Sequence[UserId]) -> wire.AccountCheckReply:
        request = wire.AccountCheckRequest(check_item=[wire.UserIdItem(user_id=user) for user in users])
        return await self._caller.call(ACCOUNT_CHECK, request)

    async def _check_known(self, users: Sequence[UserId]) -> dict[UserId, bool]:
        reply = await self._check_items(users)
        for item in reply.result_item:
            if item.result_code != 0:
                raise item_error(ACCOUNT_CHECK, item.result_code, item.result_info)
        return {UserId(item.user_id): item.account_status == wire.IMPORTED for item in reply.result_item}
