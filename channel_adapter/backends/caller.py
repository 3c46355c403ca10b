"""Typed calls of the service whose failures are errors of this package."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from channel_adapter import errors as e
from channel_adapter.backends.protocols import attempt_status
from channel_adapter.concurrency.outage import AttemptStatus
from channel_adapter.domain.batch import BatchResult
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Outcome
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError, Origin
from channel_adapter.quoting import shown_text
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import COMMANDS, Command, Idempotency
from channel_adapter.tencent.client import CallFailed, TencentClient
from channel_adapter.tencent.codes import CodeRow, ErrorKind, look_up
from channel_adapter.tencent.failure import quoted
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.tencent.wire.envelope import (
    TOO_MANY_REQUESTS,
    Ambiguous,
    ApiError,
    Failure,
    HttpRejected,
    NotAttempted,
    NotSent,
    Reply,
    Throttled,
    WireModel,
)

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)

_BY_KIND: Final[dict[ErrorKind, type[ChannelAdapterError]]] = {
    ErrorKind.CONFIGURATION: e.ConfigurationError,
    ErrorKind.AUTHENTICATION: e.AuthenticationError,
    ErrorKind.PERMISSION: e.PermissionDeniedError,
    ErrorKind.NOT_FOUND: e.NotFoundError,
    ErrorKind.CONFLICT: e.ConflictError,
    ErrorKind.ALREADY: e.ConflictError,
    ErrorKind.INVALID: e.InvalidError,
    ErrorKind.LIMIT: e.LimitReachedError,
    ErrorKind.THROTTLED: e.ThrottledError,
    ErrorKind.UNAVAILABLE: e.UnavailableError,
    ErrorKind.REFUSED: e.RefusedError,
}


_NOT_TRIED: Final = (AttemptStatus.NOT_SENT, AttemptStatus.THROTTLED)


class Caller(Protocol):
    """Makes typed calls: `ApiCaller`, or an object that wraps one, for example with a call budget."""

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply of a call that the service accepted. Raises ChannelAdapterError.

        `deadline` is in seconds from now and bounds all attempts and waits.
        """
        ...


class ApiCaller:
    """Makes a call through the client and raises a ChannelAdapterError when it fails."""

    def __init__(self, client: TencentClient) -> None:
        self._client = client

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply of a call that the service accepted; items of a batch may have failed on their own.

        `deadline` is in seconds from now and replaces the total timeout.
        """
        try:
            return await self._client.call(command, request, deadline=deadline)
        except CallFailed as failed:
            raise _to_adapter_error(failed) from failed

    async def call_raw(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call any command with a JSON body, and return the JSON reply. Raises InvalidError for illegal arguments."""
        try:
            return await self._client.call_raw(service, command, body)
        except CallFailed as failed:
            raise _to_adapter_error(failed) from failed
        except (TypeError, ValueError) as wrong:
            raise InvalidError(
                f"{shown_text(f'{service}/{command}')} cannot be called: {shown_text(wrong)}", field="body"
            ) from None


def item_error(command: Command[Any, Any], code: int, text: str) -> ChannelAdapterError:
    """Return the error for one item of a batch that failed inside a call that succeeded."""
    row = look_up(command.service, command.name, code)
    text = redact_text(text)
    origin = Origin(command.service, command.name, code, text, attempts=1)
    message = f"{command.name}: {row.meaning} [{code}{quoted(text, row.meaning)}]"
    return translate(ApiError(code, text), row, origin, message, changes=command.idempotency is not Idempotency.READ)


def interrupted(
    outcomes: Iterable[Outcome], called: Sequence[UserId], rest: Sequence[UserId], error: ChannelAdapterError
) -> BatchResult:
    """Return the result of a batch that ends with a failed call: `called` were in it, `rest` come after it."""
    untried = (*called, *rest) if attempt_status(error) in _NOT_TRIED else tuple(rest)
    return BatchResult(tuple(outcomes), untried, error)


def possibly_applied(error: ChannelAdapterError) -> bool:
    """Return whether an attempt of the failed call may have been carried out: the last one or an earlier one."""
    failed = error.__cause__
    return isinstance(error, e.OutcomeUnknownError) or (isinstance(failed, CallFailed) and failed.ambiguous)


def without_account(error: ChannelAdapterError, user: str, field: str) -> ChannelAdapterError:
    """Return a NotFoundError about this user if the service reports that an account does not exist, else the error."""
    if error.code not in (codes.NO_SUCH_ACCOUNT, codes.CONTACT_NO_SUCH_ACCOUNT):
        return error
    return no_account(user, field, error)


def no_account(user: str, field: str = "user", error: ChannelAdapterError | None = None) -> NotFoundError:
    """Return the error for a user who is not an account of the app; `error` is the service's own."""
    message = f"{field} {user!r} is not an account of the app; add it first"
    return NotFoundError(message, field=field, origin=error.origin if error else None)


@contextmanager
def naming_account(user: str, field: str = "user") -> Iterator[None]:
    """Raise a NotFoundError about this user in place of an error that reports that an account does not exist."""
    try:
        yield
    except NotFoundError as error:
        named = without_account(error, user, field)
        raise named from (error if named is not error else error.__cause__)


def remediation(error: ChannelAdapterError) -> str:
    """Return what to do about an error, in one sentence."""
    if error.code == codes.SIGNATURE_EXPIRED:
        return "set this machine's clock, for example by NTP"
    if isinstance(error, e.OutcomeUnknownError | e.ThrottledError | e.UnavailableError):
        return "run the doctor again later"
    if isinstance(error, e.AuthenticationError):
        return "compare sdkappid, key and admin with the console of this app"
    if isinstance(error, e.PermissionDeniedError):
        return "make this account an admin of the app, or allow this machine's address"
    return "correct what the message names, in the settings or in the console"


def translate(
    outcome: Failure, row: CodeRow | None, origin: Origin, message: str, *, changes: bool
) -> ChannelAdapterError:
    """Return the error for a failed call. `changes`: the command writes, so that an ambiguous outcome matters."""
    if isinstance(outcome, Throttled | NotAttempted):
        return e.ThrottledError(message, origin=origin)
    if isinstance(outcome, NotSent):
        return e.UnavailableError(message, origin=origin)
    if isinstance(outcome, HttpRejected):
        too_fast = outcome.http_status == TOO_MANY_REQUESTS
        return (e.ThrottledError if too_fast else e.UnavailableError)(message, origin=origin)
    if isinstance(outcome, Ambiguous) or row is None or row.kind is ErrorKind.UNAVAILABLE:
        return (e.OutcomeUnknownError if changes else e.UnavailableError)(message, origin=origin)
    return _BY_KIND[row.kind](message, origin=origin)


def _to_adapter_error(failed: CallFailed) -> ChannelAdapterError:
    outcome = failed.outcome
    known = COMMANDS.get((failed.service, failed.command))
    code, text = (outcome.code, outcome.text) if isinstance(outcome, ApiError) else (None, outcome.reason)
    origin = Origin(failed.service, failed.command, code, text, failed.attempts)
    return translate(
        outcome, failed.row, origin, str(failed), changes=known is None or known.idempotency is not Idempotency.READ
    )
