"""The receiver: an aiohttp application that accepts webhooks, answers immediately, and handles them afterwards.

Mount `application` in an application of yours, or let `serve` run it on a socket of its own, where connections, request
heads and log lines are bounded too. Everything that comes from outside is bounded before it is read: size, depth, time
and number of requests. The order of the checks is that of the service's documentation.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.http_server import HttpConnection, Listener, LogThrottle, default_max_connections
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.config.settings import Settings
from channel_adapter.tencent.redaction import shown_traceback
from channel_adapter.webhooks import counters as names
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.dispatch import EventPipeline
from channel_adapter.webhooks.events import Events
from channel_adapter.webhooks.guard import ALLOWED, Guard
from channel_adapter.webhooks.inbox import Inbox, open_inbox
from channel_adapter.webhooks.lost_posts import LostPosts
from channel_adapter.webhooks.parse import WebhookEvent, parse
from channel_adapter.webhooks.storage import NotStoredError
from channel_adapter.webhooks.verify import Reason, RequestRefused, read_query, verify

BODY_BYTES: Final = 2**20
_QUERY_BYTES: Final = 4096
_LOG_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 75.0  # the service keeps connections open
_LINGER_SECONDS: Final = 0.5  # for the rest of a refused body, so that the answer is read
_STOP_SECONDS: Final = 1.0  # for open requests
_JSON: Final = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))
_SILENT: Final = logging.Logger("channel_adapter.webhooks.access", logging.CRITICAL + 1)  # URLs carry signatures

_log = get_logger("channel_adapter.webhooks")


class WebhookAdapter(Protocol):
    """The parts of an open ChannelAdapter that a receiver uses."""

    settings: Settings

    @property
    def events(self) -> Events: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def backend(self) -> Backend: ...
    @property
    def pipeline(self) -> EventPipeline: ...
    @property
    def clock(self) -> Clock: ...


class ConnectionObserver(Protocol):
    """Called by a receiver for each request that it looks at."""

    def on_request_start(self, request: web.Request) -> None:
        """Handle the arrival of its head."""

    def on_request_end(self, request: web.Request) -> None:
        """Handle its answer."""


class Receiver:
    """Answers requests. `counters` count what happened; `inbox` stores the events."""

    def __init__(
        self, settings: Settings, events: Events, guard: Guard, inbox: Inbox, lost_posts: LostPosts,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.inbox = inbox
        self.counters: Counters = inbox.counters
        self.settings = settings.webhooks
        self._observer: ConnectionObserver | None = None
        self._events = events
        self._guard = guard
        self._sdkappid = settings.sdkappid
        self._lost_posts = lost_posts
        self._clock = clock or SystemClock()
        self._open_requests = 0
        self._worth_logging = LogThrottle(self._clock.monotonic)  # one line per reason and minute

    def attach(self, observer: ConnectionObserver) -> None:
        """Call an observer for every later request."""
        self._observer = observer

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Open the inbox for the life of an application. Raises ConfigurationError, UnavailableError."""
        if not self.settings.tokens:
            _log.warning("webhooks.unsigned", meaning="no token is set: every request that names the app is accepted")
        await self.inbox.start(self._events.plan)
        chores = [
            asyncio.ensure_future(self._log_stats_regularly()),
            asyncio.ensure_future(self._events.listen_for_invalidations()),
        ]
        if self.settings.lost_after_seconds:
            chores.append(asyncio.ensure_future(self._lost_posts.watch(self._store_lost)))
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.inbox.stop()
            self._log_stats()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the receiver's path."""
        self.counters.add(names.RECEIVED)
        if self._open_requests >= self.settings.max_requests:
            return self._refuse(request, RequestRefused(Reason.TOO_MANY, f"{self._open_requests} are open"))
        self._open_requests += 1
        if self._observer is not None:
            self._observer.on_request_start(request)
        try:
            return await self._answer(request)
        except RequestRefused as refusal:
            return self._refuse(request, refusal)
        except NotStoredError as error:
            return self._refuse(request, RequestRefused(Reason.NOT_STORED, str(error)))
        finally:
            self._open_requests -= 1
            if self._observer is not None:
                self._observer.on_request_end(request)

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            raise RequestRefused(Reason.METHOD, request.method[:16])
        if len(request.rel_url.raw_query_string) > _QUERY_BYTES:
            raise RequestRefused(Reason.QUERY, "the query is too long")
        query = read_query(request.query.items())
        settings, now = self.settings, self._clock.now()
        verify(query, sdkappid=self._sdkappid, tokens=settings.tokens, now=now, window=settings.window_seconds)
        webhook = parse(query, await self._body(request), now=now)
        if webhook.is_before:
            answer = await self._guard.answer(webhook)
            self.counters.add(names.DECIDED)
            if answer.allows:
                self._lost_posts.expect(webhook)
            return web.Response(body=answer.body, headers=_JSON)
        if await self.inbox.store(webhook):
            self.counters.add(names.STORED)
        self._lost_posts.confirm(webhook)
        return web.Response(body=ALLOWED.body, headers=_JSON)

    async def _body(self, request: web.Request) -> bytes:
        """Return the whole body, within its size and time."""
        if (request.content_length or 0) > BODY_BYTES:
            raise RequestRefused(Reason.TOO_LARGE, f"{request.content_length} bytes are announced")
        content = request.content
        if content.is_eof() and content.total_bytes <= BODY_BYTES and content.exception() is None:
            return content.read_nowait()  # it came with its head, as small ones do
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                async for part in request.content.iter_any():
                    parts.append(part)
                    size += len(part)
                    if size > BODY_BYTES:
                        raise RequestRefused(Reason.TOO_LARGE, f"over {BODY_BYTES} bytes")
        except TimeoutError:
            raise RequestRefused(Reason.TOO_SLOW, f"{size} bytes in {self.settings.request_seconds:g} s") from None
        except (web.RequestPayloadError, ConnectionError, ValueError):
            raise RequestRefused(Reason.NOT_JSON, f"the body broke off after {size} bytes") from None
        return b"".join(parts)

    def refuse_malformed(self, request: web.BaseRequest, error: str) -> web.Response:
        """Count and answer bytes that are not HTTP; `error` is the name of the parser's exception."""
        self.counters.add(names.RECEIVED)
        return self._refuse(request, RequestRefused(Reason.MALFORMED, error), error)

    def report_failure(self, error: BaseException | None) -> web.Response:
        """Log a fault of this program with its traceback, at most once a minute for each class, and answer 500."""
        if self._worth_logging(f"failure {type(error).__name__}"):
            _log.error("webhooks.failure", traceback=shown_traceback(error))
        return web.json_response({"error": "failure"}, status=500)

    def report_broken_body(self, error: str) -> None:
        """Log that the rest of a body could not be read after its request was answered."""
        if self._worth_logging(f"broken body {error}"):
            _log.warning("webhooks.broken_body", error=error)

    def _refuse(self, request: web.BaseRequest, refusal: RequestRefused, kind: str = "") -> web.Response:
        """Count and log a refusal. The answer has the name of the reason and no detail, and the connection ends."""
        reason = refusal.reason
        self.counters.refuse(reason)
        if self._worth_logging(f"{reason.value} {kind}"):
            _log.warning("webhooks.refused", reason=reason.value, detail=refusal.detail, remote=request.remote,
                         so_far=self.counters.refused[reason.value])  # fmt: skip
        response = web.json_response({"error": reason.value}, status=reason.status)
        if reason is Reason.METHOD:
            response.headers["Allow"] = "POST"
        response.force_close()
        return response

    async def _store_lost(self, webhook: WebhookEvent) -> None:
        try:
            await self.inbox.store(webhook)
        except NotStoredError as error:
            _log.error("webhooks.lost_post_not_stored", command=webhook.command, reason=str(error))

    async def _log_stats_regularly(self) -> None:
        while True:
            await asyncio.sleep(_LOG_SECONDS)
            self._log_stats()

    def _log_stats(self) -> None:
        counts = self.counters.snapshot()
        if counts:
            _log.info("webhooks.stats", **counts, lag_seconds=round(self.inbox.lag, 3), guard=dict(self._guard.counts))


RECEIVER: Final[web.AppKey[Receiver]] = web.AppKey("channel_adapter_receiver", Receiver)
"""Key of the receiver in its application."""


def application(adapter: WebhookAdapter, *, inbox: Inbox | None = None, path: str = "/") -> web.Application:
    """Return an application that receives POST `path`, with and without a slash at its end.

    Start it with an open adapter; stop it before the adapter closes. Without `inbox` the settings choose one. Mounted
    with `add_subapp("/hooks", application(adapter))` it answers at `/hooks` and `/hooks/`. The number of connections,
    the time of a request's head and what is logged of malformed requests are up to the server that it is mounted in;
    `serve` bounds them too. Raises ConfigurationError if the inbox of the settings needs a missing extra.
    """
    settings, seconds = adapter.settings, adapter.settings.webhooks.lost_after_seconds
    lost_posts = LostPosts(adapter.pipeline.callbacks, adapter.backend.posts, adapter.clock, seconds=seconds)
    receiver = Receiver(settings, adapter.events, adapter.guard, inbox or open_inbox(settings), lost_posts)
    app = web.Application(client_max_size=BODY_BYTES)
    app[RECEIVER] = receiver
    place = path.rstrip("/")
    for spelling in (place, f"{place}/"):
        app.router.add_route("*", spelling, receiver.receive, expect_handler=expect)
    app.cleanup_ctx.append(receiver.run)
    return app


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
            self._make,
            max_connections=settings.max_connections or default_max_connections(),
            head_seconds=settings.request_seconds,
            tls=tls,
            log=lambda event, **values: _log.warning(f"webhooks.{event}", **values),
        )

    def _make(self) -> "_ReceiverConnection":
        return _ReceiverConnection(self)

    def on_request_start(self, request: web.Request) -> None:
        """Protect the connection from being closed; the head is complete."""
        self.listener.request_began(request.protocol)

    def on_request_end(self, request: web.Request) -> None:
        """Count the connection as idle."""
        self.listener.request_ended(request.protocol)


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

    def connection_lost(self, exc: BaseException | None) -> None:
        """Allow another connection."""
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
        receiver.attach(connections)
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
