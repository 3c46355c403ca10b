"""What a failed call means to the caller: wire outcomes and error codes to the error tree."""

from typing import Final

from channel_adapter import errors as e
from channel_adapter.tencent.codes import CodeRow, Kind
from channel_adapter.tencent.wire.envelope import (
    TOO_MANY_REQUESTS,
    Dropped,
    Failure,
    Held,
    NotSent,
    TurnedAway,
    Unclear,
)

BY_KIND: Final[dict[Kind, type[e.ChannelAdapterError]]] = {
    Kind.CONFIGURATION: e.ConfigurationError,
    Kind.AUTHENTICATION: e.AuthenticationError,
    Kind.PERMISSION: e.PermissionDeniedError,
    Kind.NOT_FOUND: e.NotFoundError,
    Kind.CONFLICT: e.ConflictError,
    Kind.ALREADY: e.ConflictError,
    Kind.INVALID: e.InvalidError,
    Kind.LIMIT: e.LimitReachedError,
    Kind.THROTTLED: e.ThrottledError,
    Kind.UNAVAILABLE: e.UnavailableError,
    Kind.REFUSED: e.RefusedError,
}


def translate(
    outcome: Failure, row: CodeRow | None, origin: e.Origin, message: str, *, changes: bool
) -> e.ChannelAdapterError:
    """The error of the tree for a failed call. `changes`: the command writes, so an unclear outcome matters."""
    if isinstance(outcome, Dropped | Held):
        return e.ThrottledError(message, origin=origin)
    if isinstance(outcome, NotSent):
        return e.UnavailableError(message, origin=origin)
    if isinstance(outcome, TurnedAway):
        too_fast = outcome.http_status == TOO_MANY_REQUESTS
        return (e.ThrottledError if too_fast else e.UnavailableError)(message, origin=origin)
    if isinstance(outcome, Unclear) or row is None or row.kind is Kind.UNAVAILABLE:
        return (e.OutcomeUnknownError if changes else e.UnavailableError)(message, origin=origin)
    return BY_KIND[row.kind](message, origin=origin)
