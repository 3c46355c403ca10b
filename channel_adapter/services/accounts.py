"""Accounts of the app: who is known, and making others known."""

from collections.abc import Iterable, Sequence

from channel_adapter.backends.caller import Caller, item_error
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import OutcomeKind
from channel_adapter.mapping.ids import user_id
from channel_adapter.services.bulk import BatchSize, Bulk, BulkTerms, Found, Users, Work, everybody, one_by_one
from channel_adapter.services.patience import Patience
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import ACCOUNT_CHECK, MULTIACCOUNT_IMPORT
from channel_adapter.tencent.wire import accounts as wire


class Accounts:
    """Accounts, 100 a call [doc 34954, 34956]."""

    def __init__(self, calls: Caller, terms: BulkTerms) -> None:
        self._calls = calls
        self._terms = terms

    async def check(self, users: Iterable[str]) -> dict[UserId, bool]:
        """Does the app know these accounts?"""
        wanted = dict.fromkeys(user_id(user, "users") for user in one_by_one(users))
        known: dict[UserId, bool] = {}
        async for found in concurrently(
            batches(wanted, limits.ACCOUNTS_PER_CALL), self._check_batch, limit=self._terms.at_once, ordered=True
        ):
            known.update(found)
        return known

    def add(self, users: Users) -> Bulk:
        """Import accounts that the app does not know; one that exists stays as it is [doc 34954, 34956].

        Outcomes: `added`; `already` for an account that account_check listed as imported just before, and for a second
        mention; `failed`, `invalid`. multiaccount_import itself does not report which accounts are new, so an account
        that another process imports between the two calls is `added` as well.
        """

        async def begin(patience: Patience) -> Work:
            return Accounts(patience, self._terms).add_unknown

        return Bulk(users, BatchSize(limits.ACCOUNTS_PER_CALL), begin, self._calls, self._terms)

    async def add_batch(self, users: Sequence[UserId], found: Found) -> None:
        """Import any number of accounts, one call after another, and write down what came of each."""
        for start in range(0, len(users), limits.ACCOUNTS_PER_CALL):
            batch = users[start : start + limits.ACCOUNTS_PER_CALL]
            request = wire.MultiaccountImportRequest(account_list=[wire.NewAccount(user_id=user) for user in batch])
            failed = set((await self._calls.call(MULTIACCOUNT_IMPORT, request)).fail_accounts or ())
            found |= everybody([user for user in batch if user not in failed], OutcomeKind.ADDED)
            reason = "the service did not import it"
            found |= everybody([user for user in batch if user in failed], OutcomeKind.FAILED, reason)

    async def add_unknown(self, users: Sequence[UserId], found: Found) -> None:
        """Check one call's worth of accounts, and import those that are not known. An unclear check means import."""
        items = (await self._check_items(users)).result_item
        known = {item.user_id for item in items if item.result_code == 0 and item.account_status == wire.IMPORTED}
        found |= everybody([user for user in users if user in known], OutcomeKind.ALREADY)
        await self.add_batch([user for user in users if user not in known], found)

    async def _check_items(self, users: Sequence[UserId]) -> wire.AccountCheckReply:
        request = wire.AccountCheckRequest(check_item=[wire.UserIdItem(user_id=user) for user in users])
        return await self._calls.call(ACCOUNT_CHECK, request)

    async def _check_batch(self, users: Sequence[UserId]) -> dict[UserId, bool]:
        """One call's worth of `check`."""
        reply = await self._check_items(users)
        for item in reply.result_item:
            if item.result_code != 0:
                raise item_error(ACCOUNT_CHECK, item.result_code, item.result_info)
        return {UserId(item.user_id): item.account_status == wire.IMPORTED for item in reply.result_item}
