"""A write of the publisher on one message, as it was planned, and what the reply means for the message and the app."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.history import History
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Rung
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.reactions import count_key, count_pair, person_key, with_counts
from channel_adapter.services.bulk import TRANSIENT
from channel_adapter.services.message_keys import EDITION, GONE, UNSUPPORTED, MessageKeys
from channel_adapter.services.reactions.ladder import ReactionLadder
from channel_adapter.store.reaction_publishing import Claim, Outcome, Result
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import MODIFY_GROUP_MSG
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire.extensions import ExtensionResult

if TYPE_CHECKING:
    from channel_adapter.store.reaction_publishing import PublishingStore

PACE_SECONDS: Final = 0.34
"""Between two writes on one message: under 3 a second and 177 a minute, where the service takes 200 [15]."""
LEASE_SECONDS: Final = 5.0
CALL_SECONDS: Final = 3.0  # of all attempts of a set call: the write ends before its lease does
NOTED_TOGETHER: Final = 200  # ends of claims in one transaction
DATA_SECONDS: Final = 2.0  # of each of the two calls that custom data takes
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after the first, second … failure in a row
GIVE_UP_AFTER: Final = 3  # refusals of one message that a look at its keys did not mend

Checkpoint = Callable[[str], None]


class FullMessage(Exception):  # noqa: N818
    """The message takes no more keys, as far as its answer tells."""


class ClaimWriter:
    """Writes what a claim planned. `look` compares a message with the store, `gone` drops a post that is no more."""

    def __init__(
        self,
        gateway: ApiCaller,
        keys: MessageKeys,
        history: History,
        ladder: ReactionLadder,
        store: "PublishingStore",
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._keys = keys
        self._history = history
        self._ladder = ladder
        self._store = store
        self._clock = clock
        self._outcomes: BatchLoader[None, Outcome, bool] = BatchLoader(self._note_together, max_items=NOTED_TOGETHER)
        self.look: Callable[[PostRef], Awaitable[object]]
        self.gone: Callable[[PostRef], Awaitable[bool]]
        self.checkpoint: Checkpoint = lambda name: None

    async def write(self, claim: Claim) -> None:
        """Write what a claim planned, and end it. Raises what the store raises; failures of the service are noted."""
        try:
            if claim.rung is Rung.CUSTOM_DATA or claim.plan.data is not None:
                await self._write_data(claim)
            else:
                await self._write_keys(claim)
        except TRANSIENT:
            await self._failed(claim, _pause(claim))
        except FullMessage:
            await self._make_room(claim)
        except ChannelAdapterError as error:
            await self._refused(claim, error)

    async def _write_keys(self, claim: Claim) -> None:
        plan = claim.plan
        versions: dict[UserId, int] = {}
        if plan.sets:
            pairs = [count_pair(emoji, number) for emoji, number in plan.sets.items()]
            results = await self._keys.set(claim.ref, pairs, deadline=CALL_SECONDS)
            _require(results)
        elif not plan.empty:
            named = {person_key(user): user for user in plan.people}
            keys = [*(count_key(emoji) for emoji in plan.removals), *named]
            results = await self._keys.delete(claim.ref, keys, deadline=CALL_SECONDS)
            _require([each for each in results if each.error_code != GONE])
            versions = _versions(results, named)
        self.checkpoint("publisher: written, not noted")
        if claim.rung is None and plan.sets:
            await self._ladder.proven()
        await self._note(claim, versions)

    async def _write_data(self, claim: Claim) -> None:
        ref, counts = claim.ref, claim.plan.data
        if counts is not None:
            held = await self._history.message(ref.channel, ref.seq, deadline=DATA_SECONDS)
            if held is None or held.is_place_msg != messages.PLACE_NORMAL:
                await self._leave(claim)
                return
            data = with_counts(held.cloud_custom_data, counts)
            if data is None:  # somebody else's custom data, in a form of their own
                await self._fall(claim, Rung.STORE)
                return
            request = messages.ModifyGroupMsgRequest(group_id=ref.channel, msg_seq=ref.seq, cloud_custom_data=data)
            await self._gateway.call(MODIFY_GROUP_MSG, request, deadline=DATA_SECONDS)
        self.checkpoint("publisher: written, not noted")
        await self._note(claim, {})

    async def _note(self, claim: Claim, versions: Mapping[UserId, int]) -> None:
        pause = 0.0 if claim.plan.empty else PACE_SECONDS
        await self._finish(Outcome(claim, Result.WRITTEN, pause, versions))
        self.checkpoint("publisher: noted")

    async def _refused(self, claim: Claim, error: ChannelAdapterError) -> None:
        """The service will say the same again: go down a rung, or find out what is wrong."""
        if error.code in (GONE, codes.NO_MESSAGE_TO_MODIFY, codes.NO_SUCH_GROUP):
            await self._leave(claim)
        elif claim.rung is Rung.CUSTOM_DATA:
            await self._fall(claim, Rung.STORE)
        elif claim.plan.data is not None:  # custom data from before could not be emptied: it stays
            await self._finish(Outcome(claim, Result.WRITTEN, PACE_SECONDS))
        elif error.code == EDITION or (error.code in UNSUPPORTED and claim.rung is None):
            await self._step_down(claim, error)
        elif error.code == codes.BAD_PARAMETER:
            await self._make_room(claim)
        elif error.code in UNSUPPORTED:
            await self._fall(claim, Rung.CUSTOM_DATA)
        else:
            await self._failed(claim, _pause(claim))

    async def _step_down(self, claim: Claim, error: ChannelAdapterError) -> None:
        """Is it the app, or this message alone?"""
        try:
            found = await self._ladder.doubted(claim.rung)
        except ChannelAdapterError:
            await self._failed(claim, _pause(claim))
            return
        if found.rung is not Rung.EXTENSION:
            await self._failed(claim, 0.0)
        elif error.code == codes.BAD_PARAMETER:
            await self._make_room(claim)
        else:
            await self._fall(claim, Rung.CUSTOM_DATA)

    async def _make_room(self, claim: Claim) -> None:
        """Look at what really stands on the message: keys that can go make room for the next claim."""
        await self._failed(claim, PACE_SECONDS)
        if claim.failures >= GIVE_UP_AFTER:
            await self._fall(claim, Rung.CUSTOM_DATA)
            return
        try:
            await self.look(claim.ref)
        except ChannelAdapterError:  # the next claim meets the same failure
            return

    async def _leave(self, claim: Claim) -> None:
        """The message is not there for a write: drop a post that is gone for good, else keep to the store."""
        try:
            gone = await self.gone(claim.ref)
        except TRANSIENT:
            await self._failed(claim, _pause(claim))
            return
        if not gone:
            await self._fall(claim, Rung.STORE)

    async def _fall(self, claim: Claim, rung: Rung) -> None:
        await self._finish(Outcome(claim, Result.DOWNGRADED, PACE_SECONDS, rung=rung))

    async def _failed(self, claim: Claim, pause: float) -> None:
        await self._finish(Outcome(claim, Result.FAILED, pause))

    async def _finish(self, outcome: Outcome) -> None:
        """Note how a claim ended, together with others that end at the same time."""
        await self._outcomes.load(None, outcome)

    async def _note_together(self, _: None, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        return await self._store.finish(outcomes, self._clock.now())


def _require(results: list[ExtensionResult]) -> None:
    """Single keys fail while the call succeeds."""
    if any(each.error_code for each in results):
        raise FullMessage


def _versions(results: list[ExtensionResult], named: Mapping[str, UserId]) -> dict[UserId, int]:
    """The version of each deletion; keys whose answer has none were not there any more."""
    found = {each.extension.key: each.extension.seq or 0 for each in results}
    return {user: found.get(key, 0) for key, user in named.items()}


def _pause(claim: Claim) -> float:
    return PAUSES[min(claim.failures, len(PAUSES) - 1)]
