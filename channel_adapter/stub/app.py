"""The stub on HTTP: every request is answered with status 200 and an envelope, whatever it holds [doc 34620].

A low-level aiohttp server without router and middleware: the path is looked up in one dictionary.
"""

import asyncio
import logging
from http import HTTPStatus
from random import Random
from typing import Final

from aiohttp import hdrs, web

from channel_adapter.stub.checks import Gate
from channel_adapter.stub.request_log import Call, RequestLog
from channel_adapter.stub.routes import USERSIG, Target, read_target
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.world import World
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import CONTACT_SERVICE, PROFILE_SERVICE
from channel_adapter.tencent.wire.envelope import FAIL, Reply

LOGGER: Final = logging.getLogger("channel_adapter.stub")
JSON: Final = "application/json"
_WITH_DISPLAY: Final = frozenset({CONTACT_SERVICE, PROFILE_SERVICE})  # their envelope has ErrorDisplay [doc 1640]
_GRACE: Final = 0.001  # seconds aiohttp gives a handler that is being cancelled; 0 would mean for ever
_NOWHERE: Final = Target("", "", None, {})


class Latency:
    """Seconds by which every answer is late: `base`, and up to `spread` more, drawn from the seed."""

    def __init__(self, base: float = 0.0, spread: float = 0.0, seed: int = 0) -> None:
        self.base = base
        self.spread = spread
        self._random = Random(seed)  # noqa: S311 - a delay that can be repeated

    def next(self) -> float:
        """Seconds to wait before the next answer."""
        return self.base + self._random.random() * self.spread if self.spread else self.base


class StubApp:
    """What stands behind the socket: gate, world, request log. One call in, one envelope out."""

    def __init__(self, world: World, *, latency: Latency | None = None) -> None:
        self.world = world
        self.log = RequestLog()
        self.latency = latency or Latency()
        self.failures = 0
        """Requests on which the stub itself broke down; each is a bug of the stub and is logged with its traceback."""
        self._gate = Gate(world.settings, world.clock.now)

    def reset(self) -> None:
        """Start anew: empty world, empty log, full rate windows. Settings and clock stay."""
        self.world.reset()
        self.log.clear()
        self.failures = 0
        self._gate = Gate(self.world.settings, self.world.clock.now)

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        try:
            raw = await read_raw(request, self.world.settings.limits.request_bytes)
        except Refusal as refusal:
            self._record(_NOWHERE, None, refusal.code, 0.0, b"")
            return envelope(refusal_json("", refusal))
        answer = self.exchange(request.method, request.raw_path, request.remote, raw)
        delay = self.latency.next()
        if delay:
            await asyncio.sleep(delay)
        return envelope(answer)

    def exchange(self, method: str, url: str, peer: str | None, raw: bytes) -> bytes:
        """Carry out one request and give the JSON that answers it."""
        started = asyncio.get_running_loop().time()
        target, caller, code = _NOWHERE, None, codes.OK
        try:
            target = read_target(method, url)
            command, body, caller = self._gate.admit(target, peer, raw)
            answer = self.world.execute(command, body, caller=caller).to_json()
        except Refusal as refusal:
            code = refusal.code
            answer = refusal_json(target.service, refusal)
        seconds = asyncio.get_running_loop().time() - started
        self._record(target, caller, code, seconds, raw)
        return answer

    def _record(self, target: Target, caller: str | None, code: int, seconds: float, raw: bytes) -> None:
        call = Call(self.world.clock.now(), target.service, target.name, caller, code, seconds, raw)
        self.log.add(call, known=target.command is not None, secret=target.query.get(USERSIG, ""))


class HttpServer(web.Server):
    """The listening side: a connection for every client, all answered by one StubApp."""

    def __init__(self, app: StubApp) -> None:
        super().__init__(app.respond, access_log=None)
        self._app = app

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._app, asyncio.get_running_loop())

    async def stop(self) -> None:
        """Drop every connection now, idle or busy: nobody waits for a stub that ends."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self.shutdown(_GRACE)


class _Connection(web.RequestHandler):
    """One client. What HTTP itself cannot read, and what breaks inside the stub, is answered with an envelope too."""

    __slots__ = ("_app",)

    def __init__(self, server: HttpServer, app: StubApp, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, access_log=None)  # type: ignore[arg-type] # None is how it is switched off
        self._app = app

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """400 is what aiohttp says of bytes that are no HTTP; anything else is a bug of the stub."""
        if status == HTTPStatus.BAD_REQUEST:
            refusal = Refusal(codes.BAD_URL, "this is not an HTTP request")
        else:
            self._app.failures += 1
            LOGGER.error("the stub broke down on a request", exc_info=exc)
            refusal = Refusal(codes.SERVICE_TIMEOUT, "the stub itself broke down; its log has the traceback")
        answer = envelope(refusal_json("", refusal))
        answer.force_close()
        return answer


async def read_raw(request: web.BaseRequest, most: int) -> bytes:
    """The body as it came. Refusal 60002 when it is over `most` bytes or its transfer is broken."""
    if hdrs.EXPECT in request.headers and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    too_large = Refusal(codes.BAD_URL, f"the request is over {most} bytes")
    length = request.content_length
    if length is not None and length > most:
        raise too_large
    content = request.content
    try:
        raw = await content.readany()
        while not content.at_eof():
            raw += await content.readany()
            if len(raw) > most:
                raise too_large
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal(codes.BAD_URL, "the body was not transferred whole") from None
    return raw


def envelope(answer: bytes) -> web.Response:
    """An HTTP answer around the JSON of an envelope."""
    return web.Response(body=answer, content_type=JSON)


def refusal_json(service: str, refusal: Refusal) -> bytes:
    """The envelope of a refusal."""
    display = "" if service in _WITH_DISPLAY else None
    return Reply(action_status=FAIL, error_code=refusal.code, error_info=refusal.info, error_display=display).to_json()
