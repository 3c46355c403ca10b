"""The server side of HTTP connections: a limit on their number, and errors that repeat no byte of a request.

aiohttp logs each malformed request with a traceback that holds the request line, and answers with it. asyncio logs each
failed accept, about a thousand times a second once descriptors are used up. Both are input of outsiders.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.repeat import repeat

QUIET_SECONDS: Final = 60.0
"""Events of one kind are logged at most once in this time."""

MAX_CONNECTIONS: Final = 2_000
RESERVED_DESCRIPTORS: Final = 200
"""Descriptors left for databases, calls to the service, files and connections that are being closed."""

_BACKLOG: Final = 1_024
_ACCEPTS_PER_TURN: Final = 64  # below RESERVED_DESCRIPTORS: aborted connections are closed in the next turn
_RETRY_SECONDS: Final = 0.1
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})  # a name's IPv6 address without IPv6


class LogThrottle:
    """Limit log lines: true for a kind of event that was not logged in the last `seconds`."""

    def __init__(self, now: Callable[[], float] = time.monotonic, seconds: float = QUIET_SECONDS) -> None:
        self._now = now
        self._seconds = seconds
        self._logged: dict[str, float] = {}

    def __call__(self, kind: str = "") -> bool:
        now = self._now()
        if now - self._logged.get(kind, -self._seconds) < self._seconds:
            return False
        self._logged[kind] = now
        return True


class HttpConnection(RequestHandler):
    """One client. Subclasses count, log and answer errors; nothing of a request is passed to them."""

    __slots__ = ()

    def on_malformed(self, request: web.BaseRequest, error: str) -> web.StreamResponse:
        """Return the answer to bytes that are not HTTP; `error` is the name of the parser's exception."""
        raise NotImplementedError

    def on_failure(self, error: BaseException | None) -> web.StreamResponse:
        """Return the answer to a request whose handler raised."""
        raise NotImplementedError

    def on_broken_body(self, error: str) -> None:
        """Report a body that could not be read to its end after its request was answered."""
        raise NotImplementedError

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that was not read (status 400) or whose handler raised, and close the connection."""
        malformed = status == HTTPStatus.BAD_REQUEST
        answer = self.on_malformed(request, type(exc).__name__) if malformed else self.on_failure(exc)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Report what aiohttp would log with a traceback, and with it bytes of the request."""
        self.on_broken_body(type(kw.get("exc_info")).__name__)


def default_max_connections() -> int:
    """Return how many connections fit into the soft limit of descriptors, at most 2,000."""
    try:
        import resource  # noqa: PLC0415 - Windows has neither the module nor this limit
    except ImportError:
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, max(soft - RESERVED_DESCRIPTORS, soft // 4)))


class Listener:
    """Accepts connections up to a limit; at the limit the one that has waited longest for a request head is closed.

    A connection waits for a head from the moment it is accepted, TLS handshake included, and again after each answer.
    Connections that began a request head or sent nothing yet are closed before idle ones, oldest first. A connection
    with a complete head is never closed here: if all have one, the new connection is closed. Heads that take longer
    than `head_seconds` are cut. `log` gets the name of an event and its values. Needs a loop that has `add_reader`.
    """

    def __init__(
        self,
        make_connection: Callable[[], RequestHandler],
        *,
        max_connections: int,
        head_seconds: float,
        tls: ssl.SSLContext | None,
        log: Callable[..., object],
    ) -> None:
        self._make_connection = make_connection
        self._max_connections = max_connections
        self._head_seconds = head_seconds
        self._tls = tls
        self._log = log
        self._worth_logging = LogThrottle()
        self._sockets: list[socket.socket] = []
        self._accepted: dict[RequestHandler, socket.socket] = {}  # until a transport owns it
        self._handshakes: dict[RequestHandler, asyncio.Task[None]] = {}
        self._open: set[RequestHandler] = set()
        self._busy: set[RequestHandler] = set()
        self._waiting: dict[RequestHandler, float] = {}  # for a head, since then; oldest first
        self._idle: dict[RequestHandler, None] = {}  # answered, and nothing came since; oldest first
        self._cutting: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on every address of `host` and return the port of the first. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        unusable: OSError | None = None
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                self._sockets.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    self._close_sockets()
                    raise
                unusable = error
        if unusable is not None and not self._sockets:
            raise unusable
        for listening in self._sockets:
            listening.setblocking(False)
            loop.add_reader(listening, self._accept_connections, listening)
        pause = min(self._head_seconds / 4, 0.5)
        self._cutting = asyncio.create_task(
            repeat(self._cut_late_heads, pause, SystemClock(), self._log_cutting_failure, first=pause)
        )
        return int(self._sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and give up handshakes; connections with a client stay open."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
        self._close_sockets()
        tasks = [*self._handshakes.values(), *([] if self._cutting is None else [self._cutting])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def head_expected(self, connection: RequestHandler) -> None:
        """Start the time of the next head, unless it runs or a request is under way: bytes came, or may come."""
        if connection in self._open and connection not in self._busy and connection not in self._waiting:
            self._idle.pop(connection, None)
            self._waiting[connection] = time.monotonic()

    def request_began(self, connection: RequestHandler) -> None:
        """End the time of the head; that of the body is the handler's business."""
        self._waiting.pop(connection, None)
        self._busy.add(connection)

    def request_ended(self, connection: RequestHandler) -> None:
        """Count the connection as idle; its request is answered."""
        self._busy.discard(connection)
        if connection in self._open:
            self._idle[connection] = None

    def closed(self, connection: RequestHandler) -> None:
        """Forget a connection, whichever side ended it."""
        self._open.discard(connection)
        self._busy.discard(connection)
        self._waiting.pop(connection, None)
        self._idle.pop(connection, None)

    def _close_sockets(self) -> None:
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    def _accept_connections(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                self._retry_accepting(listening, error)
                return
            if len(self._open) >= self._max_connections:
                self._log_throttled("connection_limit", limit=self._max_connections)
                if not self._make_room():
                    accepted.close()
                    continue
            self._start_handshake(accepted)

    def _retry_accepting(self, listening: socket.socket, error: OSError) -> None:
        """Free one connection, as descriptors or memory are used up, and try again in a moment."""
        self._log_throttled("accept_failed", error=errno.errorcode.get(error.errno or 0, type(error).__name__))
        self._make_room()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_RETRY_SECONDS, self._resume_accepting, listening)

    def _resume_accepting(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept_connections, listening)

    def _log_throttled(self, event: str, **values: object) -> None:
        if self._worth_logging(event):
            self._log(event, connections=len(self._open), **values)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for a head; false when each has a request."""
        found = next(iter(self._waiting or self._idle), None)
        if found is not None:
            self._abort_connection(found)
        return found is not None

    def _abort_connection(self, connection: RequestHandler) -> None:
        self.closed(connection)
        handshake = self._handshakes.get(connection)
        if handshake is not None:
            handshake.cancel()
        elif connection.transport is not None:
            connection.transport.abort()  # closing would wait until the client has read, or for its TLS

    def _start_handshake(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        connection = self._make_connection()
        self._open.add(connection)
        self.head_expected(connection)
        self._accepted[connection] = accepted
        self._handshakes[connection] = task = asyncio.ensure_future(self._shake_hands(connection))
        task.add_done_callback(lambda _: self._end_handshake(connection))

    async def _shake_hands(self, connection: RequestHandler) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                self._accepted.pop(connection),
                ssl=self._tls,
                ssl_handshake_timeout=self._head_seconds if self._tls is not None else None,
            )
        except OSError as error:  # a TLS handshake that failed, took too long or broke off
            self.closed(connection)
            self._log_throttled("handshake_failed", error=type(error).__name__)

    def _end_handshake(self, connection: RequestHandler) -> None:
        del self._handshakes[connection]
        unused = self._accepted.pop(connection, None)  # the task was cancelled before it began
        if unused is not None:
            unused.close()

    async def _cut_late_heads(self) -> None:
        late = time.monotonic() - self._head_seconds
        for connection in [each for each, since in self._waiting.items() if since <= late]:
            self._abort_connection(connection)

    def _log_cutting_failure(self, error: Exception) -> None:
        self._log_throttled("heads_not_cut", error=type(error).__name__)
