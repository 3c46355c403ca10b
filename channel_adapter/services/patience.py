"""How a bulk call stands by the service: it waits for its turns, and ends when nothing is answered for too long."""

import asyncio
from typing import Final, TypeVar

from channel_adapter.concurrency.clock import Clock
from channel_adapter.errors import ChannelAdapterError, OutcomeUnknownError, ThrottledError, UnavailableError
from channel_adapter.services.gateway import Caller, never_sent
from channel_adapter.tencent.command import Command
from channel_adapter.tencent.wire.envelope import Reply, WireModel

PAUSE: Final = 1.0  # seconds until a call that got no turn asks for one again

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)


class Patience:
    """The calls of one bulk call.

    A call that our own limiter holds back, or that the service finds too fast, is made again for as long as others
    are answered. While nothing is answered, one call at a time finds out whether the service is back. After `seconds`
    of that it counts as `gone`: the error that said so is raised for every call from then on, and none is sent.
    """

    def __init__(self, calls: Caller, clock: Clock, seconds: float) -> None:
        self.gone: ChannelAdapterError | None = None
        self._calls = calls
        self._clock = clock
        self._seconds = seconds
        self._silent_since: float | None = None
        self._scout = asyncio.Lock()

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply, after waits and further attempts if they are needed. Raises ChannelAdapterError.

        `deadline` is in seconds from now and bounds all of it.
        """
        end = None if deadline is None else self._clock.monotonic() + deadline
        if self._silent_since is None:
            return await self._call(command, request, end)
        try:
            async with asyncio.timeout(deadline):
                await self._scout.acquire()
        except TimeoutError:
            raise UnavailableError(f"{command.name} was not sent: no call was answered within {deadline:g} s") from None
        try:
            if self._silent_since is not None:
                return await self._call(command, request, end)
        finally:
            self._scout.release()
        return await self._call(command, request, end)

    async def _call(self, command: Command[RequestT, ReplyT], request: RequestT, end: float | None) -> ReplyT:
        while self.gone is None:
            left = None if end is None else max(0.0, end - self._clock.monotonic())
            try:
                reply = await self._calls.call(command, request, deadline=left)
            except ThrottledError as error:
                if not never_sent(error):
                    self._unanswered(error)
                if end is not None and self._clock.monotonic() + PAUSE >= end:
                    raise
                await self._clock.sleep(PAUSE)
            except (OutcomeUnknownError, UnavailableError) as error:
                self._unanswered(error)
                raise
            except ChannelAdapterError:
                self._silent_since = None
                raise
            else:
                self._silent_since = None
                return reply
        raise self.gone

    def _unanswered(self, error: ChannelAdapterError) -> None:
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since >= self._seconds and self.gone is None:
            self.gone = error
