"""Accounts of the app: who is known, and making others known."""

from collections.abc import Iterable, Sequence

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.mapping.ids import user_id
from channel_adapter.services.bulk import TRANSIENT, Bulk, Patience, Users, checked, in_batches, one_by_one
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import limits
from channel_adapter.tencent.batching import batches, concurrently
from channel_adapter.tencent.catalog import ACCOUNT_CHECK, MULTIACCOUNT_IMPORT
from channel_adapter.tencent.wire import accounts as wire


class Accounts:
    """Accounts, 100 a call [doc 34954, 34956]."""

    def __init__(self, gateway: Gateway, concurrency: int) -> None:
        self._gateway = gateway
        self._concurrency = concurrency

    async def check(self, users: Iterable[str]) -> dict[UserId, bool]:
        """Does the app know these accounts?"""
        wanted = dict.fromkeys(user_id(user, "users") for user in one_by_one(users))
        known: dict[UserId, bool] = {}
        async for found in concurrently(
            batches(wanted, limits.ACCOUNTS_PER_CALL), self._check_batch, limit=self._concurrency, ordered=True
        ):
            known.update(found)
        return known

    def add(self, users: Users) -> Bulk:
        """Import accounts; one that exists already stays as it is [doc 34954]. Outcomes: added, failed, invalid."""
        people, patience = checked(users), Patience()

        async def work(batch: Sequence[UserId]) -> list[Outcome]:
            try:
                failed = await self._import_batch(batch)
            except TRANSIENT as error:
                return list(patience.unanswered(batch, error).values())
            patience.answered()
            reason = "the service did not import it"
            return [
                Outcome(user, OutcomeKind.FAILED, reason) if user in failed else Outcome(user, OutcomeKind.ADDED)
                for user in batch
            ]

        size = limits.ACCOUNTS_PER_CALL
        return Bulk(lambda: in_batches(people, size, work, at_once=self._concurrency))

    async def _check_batch(self, users: Sequence[UserId]) -> dict[UserId, bool]:
        """One call's worth of `check`."""
        request = wire.AccountCheckRequest(check_item=[wire.UserIdItem(user_id=user) for user in users])
        reply = await self._gateway.call(ACCOUNT_CHECK, request)
        for item in reply.result_item:
            if item.result_code != 0:
                raise self._gateway.item_error(ACCOUNT_CHECK, item.result_code, item.result_info)
        return {UserId(item.user_id): item.account_status == wire.IMPORTED for item in reply.result_item}

    async def _import_batch(self, users: Sequence[UserId]) -> set[str]:
        """Import one call's worth; gives those that failed."""
        request = wire.MultiaccountImportRequest(account_list=[wire.NewAccount(user_id=user) for user in users])
        reply = await self._gateway.call(MULTIACCOUNT_IMPORT, request)
        return set(reply.fail_accounts or ())
