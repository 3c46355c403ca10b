"""The gateway of a migration: counts calls, keeps to what is allowed, shares the limits with others, and is patient."""

from collections.abc import Mapping
from typing import Any, TypeVar

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.clock import Clock
from channel_adapter.errors import OutcomeUnknownError, ThrottledError, UnavailableError
from channel_adapter.services.patience import PAUSE, Patience
from channel_adapter.tencent import catalog
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.rate_limit import CommandLimiter, RateLimitTimeout
from channel_adapter.tencent.wire.envelope import Reply, WireModel

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)

TRANSIENT = (OutcomeUnknownError, ThrottledError, UnavailableError)
_NO_HURRY = 3_600.0


class Stopped(Exception):  # noqa: N818
    """The work is to end here: it was interrupted, or its calls or its time are used up."""


class Allowance:
    """How much a run may do. None is no bound."""

    def __init__(self, clock: Clock, *, calls: int | None = None, seconds: float | None = None) -> None:
        self.calls = 0
        self.reason = ""
        self._clock = clock
        self._most = calls
        self._end = None if seconds is None else clock.monotonic() + seconds

    def stop(self, reason: str) -> None:
        """No further call is made."""
        self.reason = self.reason or reason

    @property
    def used_up(self) -> bool:
        """Is it over?"""
        if not self.reason and self._end is not None and self._clock.monotonic() >= self._end:
            self.reason = "its time is used up"
        return bool(self.reason)

    def take(self) -> None:
        """One more call. Raises Stopped."""
        if not self.used_up and self._most is not None and self.calls >= self._most:
            self.reason = f"its {self._most:,} calls are used up"
        if self.used_up:
            raise Stopped(self.reason)
        self.calls += 1


class Metered(ApiCaller):
    """Every call of a migration goes through here; all of them may be repeated.

    A call is made again while the service answers others. When nothing has been answered for `seconds` it raises
    what the service said last, and so do all others until `renew`.
    """

    def __init__(self, gateway: ApiCaller, allowance: Allowance, clock: Clock, seconds: float) -> None:
        self.allowance = allowance
        self._gateway = gateway
        self._clock = clock
        self._seconds = seconds
        self._patience = Patience(gateway, clock, seconds)
        self._share: CommandLimiter | None = None
        self._sharers = 1

    def renew(self) -> None:
        """Try again with a service that was given up."""
        if self._patience.gone is not None:
            self._patience = Patience(self._gateway, self._clock, self._seconds)

    def share(self, sharers: int, ceilings: Mapping[str, float]) -> None:
        """Keep to one part in `sharers` of every command's calls per second."""
        if sharers == self._sharers:
            return
        self._sharers = sharers
        rates = {row.path: ceilings.get(row.path, row.calls_per_second) / sharers for row in catalog.COMMANDS.values()}
        self._share = CommandLimiter(rates, clock=self._clock) if sharers > 1 else None

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply. Raises Stopped, and ChannelAdapterError as the gateway does.

        `deadline` is in seconds from now and bounds all attempts and waits.
        """
        end = None if deadline is None else self._clock.monotonic() + deadline
        while True:
            self.allowance.take()
            await self._wait_for_share(command, end)
            patience = self._patience
            left = None if end is None else max(0.0, end - self._clock.monotonic())
            try:
                return await patience.call(command, request, deadline=left)
            except TRANSIENT:
                if patience.gone is not None or (end is not None and self._clock.monotonic() + PAUSE >= end):
                    raise
                await self._clock.sleep(PAUSE)

    async def _wait_for_share(self, command: Command[Any, Any], end: float | None) -> None:
        """Wait until our part of the calls per second allows one more. Raises ThrottledError after `end`."""
        if self._share is None:
            return
        longest = _NO_HURRY if end is None else max(0.0, end - self._clock.monotonic())
        try:
            wait = self._share.reserve(command, longest)
        except RateLimitTimeout as late:
            raise ThrottledError(
                f"{command.name} was not sent: the share of this process allows it in {late.seconds:.1f} s,"
                " and the time for it is up before that"
            ) from None
        await self._clock.sleep(wait)

    async def call_raw(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The same for any command."""
        self.allowance.take()
        return await self._gateway.call_raw(service, command, body)
