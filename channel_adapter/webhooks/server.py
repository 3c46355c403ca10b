"""A server for the receiver alone, in front of which a stranger may stand: heads of requests have a time too."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from channel_adapter.webhooks.receiver import RECEIVER, Receiver, application

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.webhooks.inbox import Inbox

_IDLE_SECONDS: Final = 75.0  # the sender keeps connections open [doc 34354]
_LINGER_SECONDS: Final = 0.5  # for the rest of a body that was refused, so that the answer is read
_STOP_SECONDS: Final = 1.0  # for requests that are under way
_SILENT: Final = logging.Logger("channel_adapter.webhooks.access", logging.CRITICAL + 1)  # URLs carry signatures


class _Connections:
    """Ends connections whose next request does not arrive with its whole head in time."""

    def __init__(self, runner: web.AppRunner, seconds: float) -> None:
        self._runner = runner
        self._seconds = seconds
        self._waiting: dict[RequestHandler, float] = {}  # for a head, since then
        self._busy: set[RequestHandler] = set()

    def __call__(self) -> asyncio.Protocol:
        connections = self

        class Timed(RequestHandler):
            """A connection that tells when bytes come and when it ends."""

            __slots__ = ()

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                connections.waits_for_head(self)

            def data_received(self, data: bytes) -> None:
                connections.waits_for_head(self)
                super().data_received(data)

            def connection_lost(self, exc: BaseException | None) -> None:
                connections.ended(self)
                super().connection_lost(exc)

        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        loop = asyncio.get_running_loop()
        return Timed(
            server, loop=loop, keepalive_timeout=_IDLE_SECONDS, lingering_time=_LINGER_SECONDS, access_log=_SILENT
        )

    def waits_for_head(self, connection: RequestHandler) -> None:
        """Bytes came, or may come: unless a request is under way, its head has to be there soon."""
        if connection not in self._busy and connection not in self._waiting:
            self._waiting[connection] = time.monotonic()

    def ended(self, connection: RequestHandler) -> None:
        """The connection is gone."""
        self._busy.discard(connection)
        self._waiting.pop(connection, None)

    def begins(self, request: web.Request) -> None:
        """The head is there; from here on the body's own time counts."""
        self._waiting.pop(request.protocol, None)
        self._busy.add(request.protocol)

    def ends(self, request: web.Request) -> None:
        """The request has its answer."""
        self._busy.discard(request.protocol)

    async def keep_cutting(self) -> None:
        """End those that took too long, until it is cancelled."""
        while True:
            await asyncio.sleep(min(self._seconds / 4, 0.5))
            late = time.monotonic() - self._seconds
            for connection in [each for each, since in self._waiting.items() if since <= late]:
                self.ended(connection)
                connection.force_close()


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
    """The receiver on a socket of its own, and its URL, for the length of a block. OSError when the port is taken."""
    app = application(adapter, inbox=inbox, path=path)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=_STOP_SECONDS)
    connections = _Connections(runner, adapter.settings.webhooks.request_seconds)
    app[RECEIVER].watch = connections
    await runner.setup()
    try:
        listening = await asyncio.get_running_loop().create_server(connections, host, port, ssl=tls, backlog=1024)
        cutting = asyncio.ensure_future(connections.keep_cutting())
        try:
            bound = listening.sockets[0].getsockname()[1]
            scheme = "https" if tls is not None else "http"
            yield app[RECEIVER], f"{scheme}://{host}:{bound}{path}"
        finally:
            listening.close()
            cutting.cancel()
    finally:
        await runner.cleanup()
