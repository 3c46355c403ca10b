"""Calls about many users, as services hand them to a backend."""

from dataclasses import dataclass

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome
from channel_adapter.errors import ChannelAdapterError


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Outcomes of one batch of users, as far as the service reported them.

    Users of the batch who have no outcome and are not in `untried` were in a call that was not answered.
    """

    outcomes: tuple[Outcome, ...] = ()
    untried: tuple[UserId, ...] = ()  # nothing was done for these: they may be handed over again
    error: ChannelAdapterError | None = None  # why users have no outcome


@dataclass(frozen=True, slots=True)
class AddOptions:
    """How users are added to a channel or removed from it."""

    notify: bool = False  # the service notifies the client apps of other members
    import_missing: bool = False  # import accounts that the app does not have
