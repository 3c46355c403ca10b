"""What both modes do when they change members: the outcomes so far, accounts that are missing, and calls that fail."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.caller import Caller, interrupted
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import ChannelAdapterError

WEBHOOK_REFUSED: Final = "the app's own webhook refused"
OTHERS_ADDED: Final = "the service added the others only"


@dataclass(slots=True, kw_only=True)
class MemberAddition(ABC):
    """One call of `add`: the outcomes so far, and the users that it imported."""

    caller: Caller
    accounts: AppAccounts
    channel: ChannelId
    import_missing: bool
    outcomes: dict[UserId, Outcome] = field(default_factory=dict)
    imported: set[UserId] = field(default_factory=set)
    called: Sequence[UserId] = ()  # users of the call that is under way

    @abstractmethod
    async def add(self, users: Sequence[UserId]) -> None:
        """Add users. Raises the error of the first call that fails for a reason that no outcome describes."""

    @abstractmethod
    async def explain_known(self, users: Sequence[UserId]) -> None:
        """Set the outcomes of accounts of the app that were not added, and of which the service gives no reason."""

    def set_outcome(self, users: Iterable[UserId], kind: OutcomeKind, reason: str = "") -> None:
        """Set the same outcome for some users."""
        self.outcomes |= {user: Outcome(user, kind, reason) for user in users}

    async def read_results(
        self, users: Sequence[UserId], results: Mapping[str, int], kinds: Mapping[int, OutcomeKind], *, unexplained: int
    ) -> None:
        """Turn the `Result` of each user into an outcome by `kinds`; `unexplained` is the one that hides the reason."""
        failed: list[UserId] = []
        for user in users:
            result = results.get(user)
            if result is not None and result in kinds:
                self.outcomes[user] = Outcome(user, kinds[result])
            elif result == unexplained:
                failed.append(user)
            else:
                self.outcomes[user] = Outcome(user, OutcomeKind.FAILED, unknown_result(result))
        if failed:
            await self._explain_not_added(failed)

    async def import_unknown(self, users: Sequence[UserId]) -> None:
        """Import unknown accounts, once; those that stay unknown get their outcome."""
        if not self.import_missing:
            self.set_outcome(users, OutcomeKind.NOT_FOUND)
            return
        again = [user for user in users if user in self.imported]
        self.set_outcome(again, OutcomeKind.NOT_FOUND, "it was imported and is still not known")
        self.imported.update(users)
        self.called = [user for user in users if user not in self.outcomes]
        made = await self.accounts.import_all(self.called)
        failed = [UserId(each.user) for each in made.outcomes if not each.done]
        self.set_outcome(failed, OutcomeKind.NOT_FOUND, "importing it failed")
        if made.error is not None:
            raise made.error

    async def _explain_not_added(self, users: Sequence[UserId]) -> None:
        """Find out why users were not added; those that the app does not know are imported and added."""
        self.called = users
        known = await self.accounts.check(users)
        if present := [user for user in users if known.get(user, False)]:
            await self.explain_known(present)
        if unknown := [user for user in users if not known.get(user, False)]:
            await self.import_unknown(unknown)
            await self.add([user for user in unknown if user not in self.outcomes])


def unknown_result(result: int | None) -> str:
    """Return the reason of a user whose `Result` is missing, or has no meaning in the documents."""
    if result is None:
        return "the service's answer does not name this user"
    return f"the service answered Result {result}, which is not known"


def interrupted_batch(
    outcomes: Iterable[Outcome], called: Sequence[UserId], users: Sequence[UserId], error: ChannelAdapterError
) -> BatchResult:
    """Return the result of a batch of `users` that ends with a failed call for `called`."""
    outcomes = tuple(outcomes)
    done = {outcome.user for outcome in outcomes}
    in_call = [user for user in called if user not in done]
    rest = [user for user in users if user not in done and user not in in_call]
    return interrupted(outcomes, in_call, rest, error)
