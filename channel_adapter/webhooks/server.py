"""A server for the receiver alone, reachable by any client: connections, request heads and log lines are bounded."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from channel_adapter.concurrency.http_server import HttpConnection, Listener, default_max_connections
from channel_adapter.webhooks.receiver import RECEIVER, Receiver, application, expect

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.webhooks.inbox import Inbox

_IDLE_SECONDS: Final = 75.0  # the sender keeps connections open [doc 34354]
_LINGER_SECONDS: Final = 0.5  # for the rest of a body that was refused, so that the answer is read
_STOP_SECONDS: Final = 1.0  # for requests that are under way
_SILENT: Final = logging.Logger("channel_adapter.webhooks.access", logging.CRITICAL + 1)  # URLs carry signatures

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


class _Connections:
    """Makes the connections of one receiver, and passes their requests on to the listener that bounds them."""

    def __init__(self, server: web.Server, receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.receiver = receiver
        settings = receiver.settings
        self.listener = Listener(
            self._make,
            max_connections=settings.max_connections or default_max_connections(),
            head_seconds=settings.request_seconds,
            tls=tls,
            log=lambda event, **values: _log.warning(f"webhooks.{event}", **values),
        )

    def _make(self) -> "_Connection":
        return _Connection(self)

    def on_request_start(self, request: web.Request) -> None:
        """Protect the connection from being closed; the head is complete."""
        self.listener.request_began(request.protocol)

    def on_request_end(self, request: web.Request) -> None:
        """Count the connection as idle."""
        self.listener.request_ended(request.protocol)


class _Connection(HttpConnection):
    """One client of a receiver."""

    __slots__ = ("_connections",)

    def __init__(self, connections: _Connections) -> None:
        super().__init__(
            connections.server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            access_log=_SILENT,
        )
        self._connections = connections

    def data_received(self, data: bytes) -> None:
        """Start the time of the next head, if this is the beginning of one."""
        self._connections.listener.head_expected(self)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another connection."""
        self._connections.listener.closed(self)
        super().connection_lost(exc)

    def on_malformed(self, request: web.BaseRequest, error: str) -> web.StreamResponse:
        """Count it, and answer 400 without detail."""
        return self._connections.receiver.refuse_malformed(request, error)

    def on_failure(self, error: BaseException | None) -> web.StreamResponse:
        """Log a fault of this program, and answer 500 without detail."""
        return self._connections.receiver.report_failure(error)

    def on_broken_body(self, error: str) -> None:
        """Log it at most once a minute; its request is counted and answered."""
        self._connections.receiver.report_broken_body(error)


@asynccontextmanager
async def serve(
    adapter: "ChannelAdapter",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str = "/",
    inbox: "Inbox | None" = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[Receiver, str]]:
    """Run a receiver on a socket of its own for the length of a block, and yield it and its URL.

    Raises OSError when the address cannot be used. Needs an event loop that has `add_reader`.
    """
    app = application(adapter, inbox=inbox, path=path)
    app.router.add_route("*", "/{other:.*}", _not_found, expect_handler=expect)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        if runner.server is None:
            raise RuntimeError("the runner is not set up")
        receiver = app[RECEIVER]
        receiver.observer = connections = _Connections(runner.server, receiver, tls)
        bound = await connections.listener.start(host, port)
        try:
            scheme = "https" if tls is not None else "http"
            yield receiver, f"{scheme}://{host}:{bound}{path}"
        finally:
            await connections.listener.stop()
    finally:
        await runner.cleanup()


async def _not_found(_: web.Request) -> web.Response:
    return web.json_response({"error": "not_found"}, status=404)
