"""Metrics and health of commands that run until they are stopped."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for OpenTelemetry to be imported

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.command import Run
from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.output import why_not_bound
from channel_adapter.config.extras import needs_extra
from channel_adapter.quoting import shown_text

if TYPE_CHECKING:
    from channel_adapter.observability.endpoint import Check, Health
    from channel_adapter.observability.telemetry import Telemetry

METRICS_HOST = Annotated[
    str, typer.Option("--metrics-host", metavar="HOST", help="Address of /metrics, /healthz and /readyz.")
]
METRICS_PORT = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", metavar="PORT", min=0, max=65_535,
        help="Serve /metrics for Prometheus, /healthz and /readyz on this port; 0 picks one. Needs the extra otel.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Monitoring:
    """What a command reports: telemetry for its adapter, health for `/readyz`, and where both are served."""

    telemetry: "Telemetry | None" = None
    health: "Health | None" = None
    url: str | None = None

    def begin(self, **checks: "Check") -> None:
        """Count the start of the process as done, and check these parts of it from now on."""
        if self.health is not None:
            for name, check in checks.items():
                self.health.add(name, check)
            self.health.begin()

    def begin_with_database(self, url: str | None) -> None:
        """Count the start of the process as done, and check from now on that the database answers, if there is one."""
        if self.health is None or url is None:
            self.begin()
            return
        from channel_adapter.observability.endpoint import ask_database

        self.begin(database=partial(ask_database, url))


@asynccontextmanager
async def monitoring(run: Run, host: str, port: int | None) -> AsyncIterator[Monitoring]:
    """Serve metrics and health for the length of a block; nothing without a port.

    Open the adapter inside it, with `telemetry`, and call `begin` when the command has started. Raises UsageError if
    the address cannot be used, and ConfigurationError without the extra.
    """
    if port is None:
        yield Monitoring()
        return
    with needs_extra("--metrics-port", extra="otel"):
        from channel_adapter.observability.endpoint import Health, prometheus_telemetry, serve_metrics
    health = Health()
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(prometheus_telemetry())
        try:
            url = await stack.enter_async_context(serve_metrics(telemetry, health, host=host, port=port))
        except (OSError, UnicodeError) as error:
            message = f"cannot listen on {shown_text(host)}:{port}: {why_not_bound(error)}"
            raise UsageError(message, field="metrics_port") from None
        run.output.note(f"metrics are at {url}/metrics")
        yield Monitoring(telemetry, health, url)
