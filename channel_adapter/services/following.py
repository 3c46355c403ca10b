"""One person and many channels: joining or leaving each of them, and one change of the person's conversation group."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.channels import NOT_FOUND_CODES, ChannelCache, no_such_channel
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import ChannelOutcome, OutcomeKind
from channel_adapter.errors import NotFoundError
from channel_adapter.services.bulk import TRANSIENT, BulkTerms, Found, Work
from channel_adapter.services.patience import Patience
from channel_adapter.services.unread.assignment import Act, ConversationGroupAssigner


class Following:
    """`begin` gives the work on the people of one channel, of whom there is one here."""

    def __init__(
        self,
        gateway: ApiCaller,
        directory: ChannelCache,
        assigner: ConversationGroupAssigner,
        terms: BulkTerms,
        begin: Callable[[Patience, ChannelId], Work],
    ) -> None:
        self._directory = directory
        self._assigner = assigner
        self._terms = terms
        self._begin = begin
        self._calls = Patience(gateway, terms.clock, terms.seconds)

    async def of(self, user: UserId, channels: Sequence[ChannelId], assign: Act | None) -> tuple[ChannelOutcome, ...]:
        """One outcome for each channel; those that are done are assigned together."""
        known = await self._directory.fields(channels)

        async def one(channel: ChannelId) -> ChannelOutcome:
            if channel not in known:
                return _not_found(channel)
            return await self._one(user, channel)

        outcomes = [each async for each in concurrently(channels, one, limit=self._terms.at_once, ordered=True)]
        done = [each.channel for each in outcomes if each.done]
        made = await assign(user, done) if assign and done else {}
        settled = await self._assigner.follow_membership({(user, channel): each for channel, each in made.items()})
        return tuple(replace(each, assignment=settled.get((user, each.channel))) for each in outcomes)

    async def _one(self, user: UserId, channel: ChannelId) -> ChannelOutcome:
        found: Found = {}
        try:
            await self._begin(self._calls, channel)([user], found)
        except TRANSIENT as error:
            return ChannelOutcome(channel, OutcomeKind.FAILED, error.message)
        except NotFoundError as error:
            if error.code not in NOT_FOUND_CODES:
                raise
            self._directory.forget(channel)  # it was deleted after it was read
            return _not_found(channel)
        return ChannelOutcome(channel, found[user].kind, found[user].reason)


def _not_found(channel: ChannelId) -> ChannelOutcome:
    return ChannelOutcome(channel, OutcomeKind.CHANNEL_NOT_FOUND, no_such_channel(channel).message)
