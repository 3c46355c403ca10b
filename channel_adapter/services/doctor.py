"""Checks of an app, its settings and its channels."""

from channel_adapter.backends.protocols import Backend
from channel_adapter.config.extras import driver_fault, installed_durable_fault
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import UserId
from channel_adapter.errors import ChannelAdapterError, OutcomeUnknownError, ThrottledError, UnavailableError
from channel_adapter.quoting import duration

CLOCK_SECONDS = 60.0
"""A larger difference to the service's clock is a failed check; signatures are valid for 24 hours."""

SET_THE_CLOCK = "set this machine's clock, for example by NTP"
REPAIR = "run the doctor with --repair"


class Doctor:
    """Checks, and finishes interrupted creations when asked to; it writes nothing else."""

    def __init__(self, backend: Backend, admin: UserId) -> None:
        self._backend = backend
        self._admin = admin

    async def examine(self, *, clock_skew: float | None, repair: bool) -> list[HealthCheckResult]:
        """Run all checks after `service`. `clock_skew` is how many seconds the service's clock is ahead, if known."""
        return [
            self.clock(clock_skew),
            *[result async for result in self._backend.checks(self._admin)],
            *await self._check_incomplete(repair),
        ]

    async def service(self) -> HealthCheckResult:
        """Check that the service accepts key, app and admin. Raises an error if the service cannot be reached."""
        try:
            await self._backend.accounts.check([self._admin])
        except (OutcomeUnknownError, ThrottledError, UnavailableError):
            raise
        except ChannelAdapterError as error:
            return HealthCheckResult("service", False, error.message, self._backend.remediation(error))
        return HealthCheckResult("service", True, f"answers, and accepts {self._admin!r} as an admin")

    @staticmethod
    def clock(skew: float | None) -> HealthCheckResult:
        """Compare the clocks. `skew` is how many seconds the service's clock is ahead, None if it sent no date."""
        if skew is None:
            return HealthCheckResult("clock", True, "not compared: the service sent no date")
        message = f"{duration(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the service's"
        ok = abs(skew) <= CLOCK_SECONDS
        return HealthCheckResult("clock", ok, message, "" if ok else SET_THE_CLOCK)

    @staticmethod
    def database(url: str | None) -> list[HealthCheckResult]:
        """Return a failed check if the libraries that `database_url` needs are not installed."""
        fault = driver_fault(url) if url else None
        return [HealthCheckResult("database", False, fault, "install what the message names")] if fault else []

    @staticmethod
    def durable(*, sqlite: bool) -> list[HealthCheckResult]:
        """Return a failed check if the installed versions cannot run jobs in a database of this kind."""
        fault = installed_durable_fault(sqlite=sqlite)
        return [HealthCheckResult("durable", False, fault, "change what the message names")] if fault else []

    async def _check_incomplete(self, repair: bool) -> list[HealthCheckResult]:
        """Check for channels whose creation was interrupted before posting was closed to subscribers."""
        if not self._backend.can.list_all:
            return []
        results: list[HealthCheckResult] = []
        complete = 0
        try:
            async for channel in self._backend.channels.all():
                if channel.complete:
                    complete += 1
                else:
                    results.append(await self._check_unfinished(channel, repair))
        except ChannelAdapterError as error:
            message = f"{complete} complete before the list broke off: {error.message}"
            return [HealthCheckResult("channels", False, message, self._backend.remediation(error)), *results]
        return [HealthCheckResult("channels", True, f"{complete} complete"), *results]

    async def _check_unfinished(self, channel: Channel, repair: bool) -> HealthCheckResult:
        open_posting = f"{channel.slug}: every subscriber can post"
        if not repair:
            return HealthCheckResult("channel", False, open_posting, REPAIR)
        try:
            await self._backend.channels.finish(channel.id)
        except ChannelAdapterError as error:
            message = f"{open_posting}, and that could not be changed: {error.message}"
            return HealthCheckResult("channel", False, message, self._backend.remediation(error))
        return HealthCheckResult("channel", True, f"{channel.slug}: posting is closed to subscribers now")
