"""The stub on HTTP: every request is answered with status 200 and an envelope, whatever it holds [doc 34620].

A low-level aiohttp server without router and middleware: the path is looked up in one dictionary.
"""

import asyncio
import logging
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http import SERVER_SOFTWARE

from channel_adapter.concurrency.http_server import HttpConnection, LogThrottle
from channel_adapter.stub.control.plane import PREFIX, ControlPlane
from channel_adapter.stub.dispatcher import NOWHERE, RequestDispatcher, refusal_json
from channel_adapter.stub.faults.delivery import deliver
from channel_adapter.stub.faults.faults import Latency, MatchedFault
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import codes

LOGGER: Final = logging.getLogger("channel_adapter.stub")
JSON: Final = "application/json"
FAILED: Final = "the stub failed on this request; its log has the traceback"
CONTROL_BYTES: Final = 256 * 1_048_576  # of a request to the control plane: a state may be large
_GRACE: Final = 0.001  # seconds aiohttp gives a handler that is being cancelled; 0 would mean for ever


class HttpApp:
    """Answers HTTP requests: those of the service and those of the control plane."""

    def __init__(
        self,
        dispatcher: RequestDispatcher,
        *,
        latency: Latency | None = None,
        control: ControlPlane | None = None,
        before_response: Callable[[], None] | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        self.latency = latency or Latency()
        self._control = control
        self._before_response = before_response
        self._second = -1
        self._date, self._head = "", b""
        self._log_throttle = LogThrottle()
        self._late: set[asyncio.Task[Any]] = set()
        self.failures = 0
        """Requests on which the stub failed; each is a bug of the stub and is logged with its traceback."""

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request; its Date is the time of the stub."""
        answer = await self._answer_request(request)
        if not answer.prepared:
            self._update_date()
            answer.headers[hdrs.DATE] = self._date
        return answer

    def _update_date(self) -> None:
        """Keep the Date header and the head of an answer, which change once a second."""
        second = int(self.dispatcher.world.clock.now())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
            self._head = (
                f"HTTP/1.1 200 OK\r\n{hdrs.CONTENT_TYPE}: {JSON}\r\n{hdrs.DATE}: {self._date}\r\n"
                f"{hdrs.SERVER}: {SERVER_SOFTWARE}\r\n{hdrs.CONTENT_LENGTH}: "
            ).encode()

    async def _answer_request(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._control is not None and request.raw_path.startswith(PREFIX):
            return await self._answer_control(self._control, request)
        maximum = self.dispatcher.world.settings.limits.request_bytes
        try:
            raw = read_buffered(request, maximum)
            if raw is None:
                raw = await read_raw(request, maximum)
        except Refusal as refusal:
            self.dispatcher.record(NOWHERE, None, refusal.code, 0.0, b"")
            return envelope(refusal_json("", refusal))
        body, matched = await self.dispatcher.answer(request.method, request.raw_path, request.remote, raw)
        self._run_before_response()
        delay = self.latency.next()
        if delay or matched is not None:
            return await self._answer_late(request, body, delay, matched)
        if request.version == HttpVersion11 and request.keep_alive and request.method == hdrs.METH_POST:
            return await self._send_response(request, body)
        return envelope(body)

    async def _answer_late(
        self, request: web.BaseRequest, body: bytes, delay: float, matched: MatchedFault | None
    ) -> web.StreamResponse:
        """Answer after a delay, or as a fault prescribes; aiohttp does not cancel this when the client disconnects."""
        task = asyncio.current_task()
        if task is not None:
            self._late.add(task)
        try:
            await asyncio.sleep(delay)
            return envelope(body) if matched is None else await deliver(request, body, JSON, matched)
        finally:
            if task is not None:
                self._late.discard(task)

    async def cancel_late(self) -> None:
        """Cancel the requests that wait for a delayed answer."""
        late = tuple(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _send_response(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        """Write head and body together, in a quarter of the time that aiohttp needs for a Response."""
        self._update_date()
        try:
            await request.writer.write_eof(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except ConnectionError:
            LOGGER.debug("a client went away before it was answered")
        return SENT

    async def _answer_control(self, control: ControlPlane, request: web.BaseRequest) -> web.Response:
        read = partial(read_raw, request, CONTROL_BYTES)
        try:
            status, text = await control.answer(request.method, request.raw_path, request.remote, request.headers, read)
            self._run_before_response()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller needs a status that says so
            self._log_failure(error)
            status, text = 500, orjson.dumps({"error": FAILED})
        answer = web.Response(status=status, body=text, content_type=JSON)
        if not request.content.is_eof():  # the body of a caller that was refused
            answer.force_close()
        return answer

    def malformed(self, error: str) -> web.Response:
        """Count and answer bytes that are not HTTP; `error` is the name of the parser's exception."""
        self.dispatcher.record(NOWHERE, None, codes.BAD_URL, 0.0, b"")
        if self._log_throttle(error):
            LOGGER.warning("a request was not HTTP: %s", error)
        return envelope(refusal_json("", Refusal(codes.BAD_URL, "this is not an HTTP request")))

    def internal_error(self, error: BaseException | None) -> web.Response:
        """Count a fault of the stub, log it with its traceback, and answer 60008."""
        self._log_failure(error)
        return envelope(refusal_json("", Refusal(codes.SERVICE_TIMEOUT, FAILED)))

    def _log_failure(self, error: BaseException | None) -> None:
        self.failures += 1
        LOGGER.error("the stub failed on a request", exc_info=error)

    def log_broken_body(self, error: str) -> None:
        """Log that the rest of a body could not be read after its request was answered."""
        if self._log_throttle(f"body {error}"):
            LOGGER.warning("the body of a request could not be read: %s", error)

    def reset(self) -> None:
        """Count failures from zero again."""
        self.failures = 0

    def _run_before_response(self) -> None:
        if self._before_response is not None:
            self._before_response()


class HttpServer(web.Server):
    """The listening side: a connection for every client, all answered by one StubApp."""

    def __init__(self, app: HttpApp) -> None:
        super().__init__(app.respond, access_log=None)
        self._app = app

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._app, asyncio.get_running_loop())

    async def stop(self) -> None:
        """Drop all connections immediately, idle or busy."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self.shutdown(_GRACE)
        await self._app.cancel_late()


class _Connection(HttpConnection):
    """One client. What HTTP itself cannot read, and what breaks inside the stub, is answered with an envelope too."""

    __slots__ = ("_app",)

    def __init__(self, server: HttpServer, app: HttpApp, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, access_log=None)  # type: ignore[arg-type] # None is how it is switched off
        self._app = app

    def on_malformed(self, request: web.BaseRequest, error: str) -> web.StreamResponse:
        """Answer 60002 with status 200, as every refusal."""
        return self._app.malformed(error)

    def on_failure(self, error: BaseException | None) -> web.StreamResponse:
        """Answer 60008 with status 200."""
        return self._app.internal_error(error)

    def on_broken_body(self, error: str) -> None:
        """Log it at most once a minute."""
        self._app.log_broken_body(error)


class _SentResponse(web.StreamResponse):
    """Stands for an answer that is written already, on a connection that stays open."""

    @property
    def prepared(self) -> bool:
        """Return true."""
        return True

    @property
    def keep_alive(self) -> bool:
        """Return true."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


SENT: Final = _SentResponse()


def read_buffered(request: web.BaseRequest, maximum: int) -> bytes | None:
    """Return a body that came with its head and has at most `maximum` bytes; None for others."""
    content = request.content
    if content.is_eof() and content.total_bytes <= maximum and content.exception() is None:
        return content.read_nowait()
    return None


async def read_raw(request: web.BaseRequest, maximum: int) -> bytes:
    """Read the body. Refusal 60002 when it is over `maximum` bytes or its transfer is broken."""
    content = request.content
    if (buffered := read_buffered(request, maximum)) is not None:
        return buffered
    if hdrs.EXPECT in request.headers and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    too_large = Refusal(codes.BAD_URL, f"the request is over {maximum} bytes", guess="request-size")
    length = request.content_length
    if length is not None and length > maximum:
        raise too_large
    try:
        parts, size = [], 0
        while part := await content.readany():
            parts.append(part)
            size += len(part)
            if size > maximum:
                raise too_large
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal(codes.BAD_URL, "the body was not transferred whole") from None
    return b"".join(parts)


def envelope(answer: bytes) -> web.Response:
    """Return an HTTP answer with the JSON of an envelope."""
    return web.Response(body=answer, content_type=JSON)
