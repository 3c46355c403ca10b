"""`adapter.accounts`: which accounts exist, and import of any number of others, with one outcome each."""

from collections.abc import AsyncGenerator, Iterable

from channel_adapter.backends.protocols import AccountBackend
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome, Outcomes
from channel_adapter.mapping.ids import user_id
from channel_adapter.mapping.text import require_list
from channel_adapter.services.bulk import BulkLoop, BulkOptions, Users, collect, require_users


class Accounts:
    """Accounts that can own and follow channels, 100 a call."""

    def __init__(self, backend: AccountBackend, options: BulkOptions) -> None:
        self._backend = backend
        self._options = options

    async def check(self, users: Iterable[str]) -> dict[UserId, bool]:
        """Return for each id whether the app has the account."""
        wanted = dict.fromkeys(user_id(user, "users") for user in require_list(users, "users"))
        return await self._backend.check([*wanted])

    async def add(self, users: Users) -> Outcomes:
        """Import accounts that the app does not have, and return one outcome for each user.

        Outcomes: `added`; `already` for an account that existed before, which stays as it is, and for a second mention;
        `failed`; `invalid`. An account that another process imports meanwhile may be `added` as well. Raises
        InvalidError before anything is sent, and UnavailableError if the service does not answer; its `outcomes` holds
        what is known.
        """
        return await collect(self.add_stream(users))

    def add_stream(self, users: Users) -> AsyncGenerator[Outcome, None]:
        """Import accounts as `add` does, and yield the outcomes in bounded memory, for any number of users."""
        loop = BulkLoop(self._options)
        return loop.outcomes(require_users(users), self._backend.add_batch, self._backend.add)
