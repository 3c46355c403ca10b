"""The receiver as an aiohttp application, and a server of its own for it.

Mount `application` in an application of yours, or let `serve` run it on a socket of its own, where connections, request
heads and log lines are bounded too.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from aiohttp import HttpVersion11, hdrs, web

from channel_adapter.concurrency.http_server import HttpConnection, Listener, default_max_connections
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.webhooks.inbox import Inbox
from channel_adapter.webhooks.receiver import (
    BODY_BYTES,
    NOT_FOUND,
    BodyBrokenOffError,
    Receiver,
    WebhookAdapter,
    WebhookResponse,
    open_receiver,
)

_IDLE_SECONDS: Final = 75.0  # the service keeps connections open
_LINGER_SECONDS: Final = 0.5  # for the rest of a refused body, so that the answer is read
_STOP_SECONDS: Final = 1.0  # for open requests
_SILENT: Final = logging.Logger("channel_adapter.webhooks.access", logging.CRITICAL + 1)  # URLs carry signatures

_log = get_logger("channel_adapter.webhooks")

RECEIVER: Final[web.AppKey[Receiver]] = web.AppKey("channel_adapter_receiver", Receiver)
"""Key of the receiver in its application."""


def application(adapter: WebhookAdapter, *, inbox: Inbox | None = None, path: str = "/") -> web.Application:
    """Return an application that receives POST `path`, with and without a slash at its end.

    Start it with an open adapter; stop it before the adapter closes. Without `inbox` the settings choose one. Mounted
    with `add_subapp("/hooks", application(adapter))` it answers at `/hooks` and `/hooks/`. The number of connections,
    the time of a request's head and what is logged of malformed requests are up to the server that it is mounted in;
    `serve` bounds them too. Raises ConfigurationError if the inbox of the settings needs a missing extra.
    """
    receiver = open_receiver(adapter, inbox)

    async def receive(request: web.Request) -> web.Response:
        return await _receive_request(receiver, request)

    async def run(_: web.Application) -> AsyncIterator[None]:
        async with receiver.running():
            yield

    app = web.Application(client_max_size=BODY_BYTES)
    app[RECEIVER] = receiver
    place = path.rstrip("/")
    for spelling in (place, f"{place}/"):
        app.router.add_route("*", spelling, receive, expect_handler=expect)
    app.cleanup_ctx.append(run)
    return app


async def _receive_request(receiver: Receiver, request: web.Request) -> web.Response:
    """Pass a request to the receiver."""
    connection = request.protocol
    if isinstance(connection, _ReceiverConnection):
        connection.request_began()
    content = request.content
    if content.is_eof() and content.total_bytes <= BODY_BYTES and content.exception() is None:
        body: bytes | _AiohttpBody = content.read_nowait()  # it came with its head, as small ones do
    else:
        body = _AiohttpBody(request)
    try:
        response = await receiver.respond(
            request.method, "/", request.rel_url.raw_query_string, request.headers, body, remote=request.remote
        )
    finally:
        if isinstance(connection, _ReceiverConnection):
            connection.request_ended()
    return _to_aiohttp(response)


class _AiohttpBody:
    """Yields the parts of a request's body. Raises BodyBrokenOffError."""

    def __init__(self, request: web.Request) -> None:
        self._parts = request.content.iter_any()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._parts)
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            raise BodyBrokenOffError from error


def _to_aiohttp(response: WebhookResponse) -> web.Response:
    answer = web.Response(status=response.status, body=response.body, headers=response.headers)
    if response.closes:
        answer.force_close()
    return answer


async def expect(request: web.Request) -> None:
    """Answer `Expect: 100-continue`. Other values are ignored; the default of aiohttp repeats them in its answer."""
    if request.version >= HttpVersion11 and request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class _Connections:
    """Makes the connections of one receiver, and passes their requests on to the listener that bounds them."""

    def __init__(self, server: web.Server, receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.receiver = receiver
        settings = receiver.settings
        self.listener = Listener(
            self._make_connection,
            max_connections=settings.max_connections or default_max_connections(),
            head_seconds=settings.request_seconds,
            tls=tls,
            log=lambda event, **values: _log.warning(f"webhooks.{event}", **values),
        )

    def _make_connection(self) -> "_ReceiverConnection":
        return _ReceiverConnection(self)


class _ReceiverConnection(HttpConnection):
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

    def request_began(self) -> None:
        """Protect the connection from being closed; the head is complete."""
        self._connections.listener.request_began(self)

    def request_ended(self) -> None:
        """Count the connection as idle."""
        self._connections.listener.request_ended(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Allow another connection."""
        self._connections.listener.closed(self)
        super().connection_lost(exc)

    def on_malformed(self, request: web.BaseRequest, error: str) -> web.StreamResponse:
        """Count it, and answer 400 without detail."""
        return _to_aiohttp(self._connections.receiver.refuse_malformed(error, request.remote))

    def on_failure(self, error: BaseException | None) -> web.StreamResponse:
        """Log a fault of this program, and answer 500 without detail."""
        return _to_aiohttp(self._connections.receiver.report_failure(error))

    def on_broken_body(self, error: str) -> None:
        """Log it at most once a minute; its request is counted and answered."""
        self._connections.receiver.report_broken_body(error)


@asynccontextmanager
async def serve(
    adapter: WebhookAdapter,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str = "/",
    inbox: Inbox | None = None,
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
        connections = _Connections(runner.server, receiver, tls)
        bound = await connections.listener.start(host, port)
        try:
            scheme = "https" if tls is not None else "http"
            yield receiver, f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound}{path}"
        finally:
            await connections.listener.stop()
    finally:
        await runner.cleanup()


async def _not_found(_: web.Request) -> web.Response:
    return _to_aiohttp(NOT_FOUND)
