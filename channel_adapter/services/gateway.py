"""The one door to the service: typed calls whose failures are errors of our own tree."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from channel_adapter.concurrency.outage import AttemptStatus
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    Origin,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.error_map import translate
from channel_adapter.tencent.catalog import COMMANDS, Command, Retry
from channel_adapter.tencent.client import CallFailed, TencentClient
from channel_adapter.tencent.codes import look_up
from channel_adapter.tencent.failure import quoted
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.tencent.wire.envelope import Refused, Reply, WireModel

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)


class Caller(Protocol):
    """Makes typed calls: the gateway, or something in front of it."""

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply of a call that the service accepted. Raises ChannelAdapterError.

        `deadline` is in seconds from now and bounds all attempts and waits.
        """
        ...


class Gateway:
    """Calls a command and raises a ChannelAdapterError when it fails."""

    def __init__(self, client: TencentClient) -> None:
        self._client = client

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """The reply of a call that the service accepted; items of a batch may have failed on their own.

        `deadline` is in seconds from now and replaces the total timeout.
        """
        try:
            return await self._client.call(command, request, deadline=deadline)
        except CallFailed as failed:
            raise _translated(failed) from failed

    async def call_raw(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The same for any command, modelled or not."""
        try:
            return await self._client.call_raw(service, command, body)
        except CallFailed as failed:
            raise _translated(failed) from failed
        except (TypeError, ValueError) as wrong:
            raise InvalidError(f"{service}/{command} cannot be called: {wrong}", field="body") from None

    @staticmethod
    def item_error(command: Command[Any, Any], code: int, text: str) -> ChannelAdapterError:
        """The error for one item of a batch that failed inside a call that did not."""
        row = look_up(command.service, command.name, code)
        text = redact_text(text)
        origin = Origin(command.service, command.name, code, text, attempts=1)
        message = f"{command.name}: {row.meaning} [{code}{quoted(text, row.meaning)}]"
        return translate(Refused(code, text), row, origin, message, changes=command.retry is not Retry.READ)


def attempt_status(error: ChannelAdapterError) -> AttemptStatus:
    """Return what a failed call says about the service. A call that this process held back has made no attempt."""
    if isinstance(error, ThrottledError):
        held_back = error.origin is not None and error.origin.attempts == 0
        return AttemptStatus.NOT_SENT if held_back else AttemptStatus.THROTTLED
    if isinstance(error, OutcomeUnknownError | UnavailableError):
        return AttemptStatus.UNANSWERED
    return AttemptStatus.ANSWERED


def _translated(failed: CallFailed) -> ChannelAdapterError:
    outcome = failed.outcome
    known = COMMANDS.get((failed.service, failed.command))
    code, text = (outcome.code, outcome.text) if isinstance(outcome, Refused) else (None, outcome.reason)
    origin = Origin(failed.service, failed.command, code, text, failed.attempts)
    return translate(outcome, failed.row, origin, str(failed), changes=known is None or known.retry is not Retry.READ)
