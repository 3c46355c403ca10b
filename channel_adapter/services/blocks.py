"""Users who are blocked in channels: they are kept out by `subscribe` and by the guard, in every process."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.protocols import MemberBackend
from channel_adapter.domain.batch import AddOptions, BatchResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import BlockedUser, Outcome, OutcomeKind
from channel_adapter.errors import needs_database

if TYPE_CHECKING:
    from channel_adapter.store.channel_blocks import BlockRows

_REASON: Final = "blocked in this channel"


class Blocklist:
    """The blocked users of all channels. Without a database none is blocked, and none can be.

    Every check reads the database, so a block counts in every process as soon as it is stored.
    """

    def __init__(self, rows: "BlockRows | None") -> None:
        self._rows = rows

    async def among(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Return which of these users are blocked in a channel. Raises UnavailableError."""
        return await self._rows.among(channel, users) if self._rows is not None and users else frozenset()

    async def add(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Block users; return those who were not blocked before. Raises ConfigurationError without a database."""
        return await self._require_rows().add(channel, users)

    async def remove(self, channel: ChannelId, users: Sequence[UserId]) -> frozenset[UserId]:
        """Unblock users; return those who were blocked. Raises ConfigurationError without a database."""
        return await self._require_rows().remove(channel, users)

    def all(self, channel: ChannelId) -> AsyncIterator[BlockedUser]:
        """Yield the blocked users of a channel, by id. Raises ConfigurationError without a database."""
        return self._require_rows().all(channel)

    async def subscribe(
        self, members: MemberBackend, channel: ChannelId, users: Sequence[UserId], options: AddOptions
    ) -> BatchResult:
        """Subscribe users as `members.add` does; those who are blocked are `refused`.

        A user who is blocked while the call runs is removed again: blocking stores the block first and removes then, so
        one of the two finds the user.
        """
        blocked = await self.among(channel, users)
        refused = tuple(Outcome(user, OutcomeKind.REFUSED, _REASON) for user in users if user in blocked)
        wanted = [user for user in users if user not in blocked]
        result = await members.add(channel, wanted, options) if wanted else BatchResult(())
        inside = [UserId(outcome.user) for outcome in result.outcomes if outcome.done]
        late = await self.among(channel, inside)
        outcomes = result.outcomes
        if late:
            removed = await members.remove(channel, sorted(late), AddOptions(options.notify))
            gone = {outcome.user for outcome in removed.outcomes if outcome.done}
            failure = f"{_REASON}, and not removed again: {removed.error.message if removed.error else 'refused'}"
            verdicts = {
                user: Outcome(user, OutcomeKind.REFUSED, _REASON)
                if user in gone
                else Outcome(user, OutcomeKind.FAILED, failure)
                for user in late
            }
            outcomes = tuple(verdicts.get(UserId(outcome.user), outcome) for outcome in outcomes)
        return replace(result, outcomes=(*refused, *outcomes))

    async def drop(self, channel: ChannelId) -> None:
        """Delete the blocks of a deleted channel."""
        if self._rows is not None:
            await self._rows.drop(channel)

    def _require_rows(self) -> "BlockRows":
        if self._rows is None:
            raise needs_database("blocked users are kept in a database")
        return self._rows
