"""`/metrics`, `/healthz` and `/readyz` on a socket of their own, for Prometheus and for supervisors of processes.

Metrics are those of OpenTelemetry's Prometheus exporter. No request is authenticated: listen on loopback, or on an
address that only the monitoring reaches.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from sqlalchemy import select

from channel_adapter.errors import ChannelAdapterError
from channel_adapter.observability.telemetry import Telemetry
from channel_adapter.store.database import Database

CHECK_SECONDS: Final = 2.0
"""Time for one check of `/readyz`; after that it counts as failed."""
_STOP_SECONDS: Final = 0.5

Check = Callable[[], Awaitable[object]]
"""Raises a ChannelAdapterError if a part of the process cannot work."""


class Health:
    """Whether a process can work: once it has begun, and while every check succeeds."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._has_begun = False

    def add(self, name: str, check: Check) -> None:
        """Add a check under a name that `/readyz` shows."""
        self._checks[name] = check

    def begin(self) -> None:
        """Count the start of the process as done."""
        self._has_begun = True

    async def results(self) -> dict[str, str]:
        """Return the result of each check: "ok", or the kind of what is wrong, such as "unavailable"."""
        start = {"start": "ok" if self._has_begun else "under way"}
        results = await asyncio.gather(*(_run_check(check) for check in self._checks.values()))
        return start | dict(zip(self._checks, results, strict=True))


async def ask_database(url: str) -> None:
    """Check that the database of a URL answers. Raises UnavailableError."""
    async with Database.shared(url) as database:
        await database.read(lambda connection: connection.scalar(select(1)))


async def _run_check(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except ChannelAdapterError as error:
        return error.kind
    except TimeoutError:
        return "no answer in time"
    return "ok"


@contextmanager
def prometheus_telemetry() -> Iterator[Telemetry]:
    """Yield telemetry whose metrics `/metrics` shows, for the length of a block; spans go where the process sends them.

    One at a time in a process: the exporter registers with the registry of `prometheus_client`.
    """
    provider = MeterProvider([PrometheusMetricReader()])
    try:
        yield Telemetry(meter_provider=provider)
    finally:
        provider.shutdown()


@asynccontextmanager
async def serve_metrics(
    telemetry: Telemetry, health: Health, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve `/metrics`, `/healthz` and `/readyz` for the length of a block, and yield the URL without a path.

    `telemetry` is that of `prometheus_telemetry`. Port 0 picks a free one. Raises OSError for an address that cannot be
    used.
    """

    async def metrics(_: web.Request) -> web.Response:
        await telemetry.refresh()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        results = await health.results()
        ready = set(results.values()) == {"ok"}
        return web.json_response({"ready": ready, "checks": results}, status=200 if ready else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
