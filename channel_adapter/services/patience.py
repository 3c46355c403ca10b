"""How a bulk call stands by the service: the calls of one bulk call behind an outage guard."""

from typing import TypeVar

from channel_adapter.backends.caller import Caller, attempt_status
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.outage import PAUSE, OutageGuard, OutageTimeoutError
from channel_adapter.errors import ChannelAdapterError, UnavailableError
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire.envelope import Reply, WireModel

__all__ = ["PAUSE", "Patience"]

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)


class Patience:
    """Make the calls of one bulk call through one OutageGuard; `gone` is the error that opened it."""

    def __init__(self, calls: Caller, clock: Clock, seconds: float) -> None:
        self._calls = calls
        self._guard = OutageGuard(ChannelAdapterError, attempt_status, clock, seconds)

    @property
    def gone(self) -> ChannelAdapterError | None:
        """The error after which no call is made any more."""
        return self._guard.tripped

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply, after waits and further attempts if they are needed. Raises ChannelAdapterError.

        `deadline` is in seconds from now and bounds all of it.
        """
        try:
            return await self._guard.run(
                lambda left: self._calls.call(command, request, deadline=left), timeout=deadline
            )
        except OutageTimeoutError as late:
            raise UnavailableError(f"{command.name} was not sent: {late}") from None
