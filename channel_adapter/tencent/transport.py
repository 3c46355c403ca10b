"""One POST over one shared session: what came back, or what kind of trouble it was. Knows HTTP and nothing of commands.

The UserSig is added to the URL by a middleware, after aiohttp has called the trace hooks of a request's start: hooks,
`response.url` and `request_info` see the URL without it [30]. Exceptions of aiohttp are replaced inside the middleware,
because their texts and attributes may carry the URL as it was sent. aiohttp repeats a request on a stale connection by
itself only for idempotent methods, never a POST, so each `post` sends a request at most once.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientTimeout, RequestInfo
from multidict import CIMultiDictProxy
from pydantic import SecretStr
from yarl import URL

from channel_adapter.concurrency.clock import Clock
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.usersig import signed
from channel_adapter.tencent.wire.envelope import NotSent, Unclear

_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "channel-adapter"}

FAILURES_BEFORE_SWITCH: Final = 3  # connect failures one after another
COOL_DOWN: Final = 60.0  # seconds on the backup before the primary is tried again

OTHER_LOOP: Final = (
    "the adapter was opened on another event loop: open it, use it and close it on one loop"
    " (tests with pytest-asyncio: set asyncio_default_fixture_loop_scope to the loop scope of the tests)"
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for one attempt, for a call with all its attempts and waits [28]."""

    connect: float = 5.0
    call: float = 10.0
    total: float = 30.0


class Answer(NamedTuple):
    """An HTTP answer as it came; `date` is its Date header."""

    status: int
    body: bytes
    date: str | None


class HostChooser:
    """Which base URL the next attempt goes to. Pure: moments are handed in, in seconds of one steady clock.

    Only failures to connect count. After three in a row the other host serves for a minute; then one attempt probes the
    primary, and everything returns to it when that succeeds.
    """

    def __init__(self, hosts: HostPair) -> None:
        self._hosts = hosts
        self._serving = hosts.primary
        self._failures = 0
        self._probe_at = float("inf")

    @property
    def serving(self) -> str:
        """The host in use, probes aside."""
        return self._serving

    @property
    def has_backup(self) -> bool:
        """Is there another host to turn to?"""
        return self._hosts.backup is not None

    def choose(self, now: float) -> str:
        """The base URL for an attempt that starts now."""
        if now < self._probe_at:
            return self._serving
        self._probe_at = now + COOL_DOWN
        return self._hosts.primary

    def connected(self, host: str) -> None:
        """A connection to `host` worked; what came back over it does not matter."""
        if host == self._serving:
            self._failures = 0
        elif host == self._hosts.primary:
            self._serve(host, probe_at=float("inf"))

    def failed(self, host: str, now: float) -> bool:
        """No connection to `host` could be made. True when this made the other host the serving one."""
        if host != self._serving or self._hosts.backup is None:
            return False
        self._failures += 1
        if self._failures < FAILURES_BEFORE_SWITCH:
            return False
        if host == self._hosts.primary:
            self._serve(self._hosts.backup, probe_at=now + COOL_DOWN)
        else:
            self._serve(self._hosts.primary, probe_at=float("inf"))
        return True

    def _serve(self, host: str, *, probe_at: float) -> None:
        self._serving = host
        self._failures = 0
        self._probe_at = probe_at


class RequestFailed(aiohttp.ClientError):
    """A request that failed, as trace hooks see it: `outcome` and text name the server and no URL."""

    def __init__(self, outcome: NotSent | Unclear) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Signing:
    """A client middleware that adds the UserSig to the URL of one request."""

    __slots__ = ("_limits", "_usersig")

    def __init__(self, usersig: SecretStr, limits: ClientTimeout) -> None:
        self._usersig = usersig
        self._limits = limits

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send the request signed. Raises RequestFailed in place of aiohttp's exceptions."""
        host = request.url.host
        request.url = signed(request.url, self._usersig.get_secret_value())
        try:
            return await handler(request)
        except (aiohttp.ClientError, OSError) as failed:
            outcome = _outcome(failed, host, self._limits)
        raise RequestFailed(outcome)


class _Request(ClientRequest):
    """A request that passes its URL on as it was before it was signed."""

    def __init__(self, *args: Any, traces: object = None, **options: Any) -> None:
        super().__init__(*args, traces=[], **options)  # these hooks would be called with the URL as it is sent

    @property
    def request_info(self) -> RequestInfo:
        """The request as responses and errors describe it."""
        url = self.original_url
        return RequestInfo(url, self.method, CIMultiDictProxy(self.headers), url)


class Transport:
    """A pool of `concurrency` connections: claim one, post over it, release it."""

    def __init__(
        self, ca_file: Path | None, timeouts: Timeouts, concurrency: int, clock: Clock, max_bytes: int
    ) -> None:
        self._ca_file = ca_file
        self._timeouts = timeouts
        self._usual = ClientTimeout(total=timeouts.call, connect=timeouts.connect)
        self._concurrency = concurrency
        self._free = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Make the session. ValueError when the CA file cannot be used."""
        self.require_same_loop()
        if self._session is None:
            loop = asyncio.get_running_loop()
            if self._loop is not loop:
                self._loop, self._free = loop, asyncio.Semaphore(self._concurrency)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency, ssl=self._trust()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                request_class=_Request,
            )

    async def close(self) -> None:
        """Close every connection. Raises RuntimeError on another event loop than the one of `open`."""
        self.require_same_loop()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def claim(self, latest: float) -> bool:
        """Have one of the connections for oneself; False if none is free by `latest`, on the clock's steady time.

        Raises RuntimeError when the session is not open, or open on another event loop.
        """
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        self.require_same_loop()
        if not self._free.locked():
            return await self._free.acquire()
        try:
            async with asyncio.timeout(latest - self._clock.monotonic()):
                return await self._free.acquire()
        except TimeoutError:
            return False

    def release(self) -> None:
        """Give a claimed connection back."""
        self._free.release()

    async def post(self, url: URL, usersig: SecretStr, body: bytes, *, until: float) -> Answer | NotSent | Unclear:
        """Send once, over a claimed connection. `until` is the end of the caller's time, on the steady time.

        An answer above `max_bytes` is not read to its end and is Unclear.
        """
        if self._session is None:
            raise RuntimeError("the client was closed while a call was waiting")
        limits = self._limits(until)
        try:
            async with self._session.post(
                url, data=body, timeout=limits, allow_redirects=False, middlewares=(_Signing(usersig, limits),)
            ) as response:
                content = await self._read(response)
                if content is None:
                    return Unclear(f"the answer has more than {self._max_bytes:,} bytes", response.status)
                return Answer(response.status, content, response.headers.get("Date"))
        except (aiohttp.ClientError, OSError) as failed:
            return _outcome(failed, url.host, limits)

    async def _read(self, response: ClientResponse) -> bytes | None:
        """The body after decompression; None when it is larger than `max_bytes`."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._max_bytes:
                response.close()
                return None
            parts.append(part)
        return b"".join(parts)

    def require_same_loop(self) -> None:
        """Raise RuntimeError on another event loop than the one of `open`."""
        if self._session is not None and self._loop is not asyncio.get_running_loop():
            raise RuntimeError(OTHER_LOOP)

    def _limits(self, until: float) -> ClientTimeout:
        """The usual ones, or what the caller's patience leaves; connecting ends first, so that it can be told apart."""
        left = until - self._clock.monotonic()
        if left >= self._timeouts.call:
            return self._usual
        left = max(left, 0.001)  # zero would mean no limit
        return ClientTimeout(total=left, connect=min(self._timeouts.connect, left / 2))

    def _trust(self) -> ssl.SSLContext | bool:
        if self._ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except OSError as failed:
            problem = failed.strerror or "it holds no certificate"
        raise ValueError(f"the CA file {self._ca_file} cannot be used: {problem}")


def _outcome(failed: aiohttp.ClientError | OSError, host: str | None, limits: ClientTimeout) -> NotSent | Unclear:
    """What a failed request means, in words that hold nothing of its URL but the host."""
    match failed:
        case RequestFailed():
            return failed.outcome
        case aiohttp.ConnectionTimeoutError():
            return NotSent(f"no connection to {host} within {limits.connect:.3g} s")
        case aiohttp.ClientConnectorError():
            return NotSent(_connect_trouble(failed), isinstance(failed, aiohttp.ClientConnectorCertificateError))
        case TimeoutError():
            return Unclear(f"no answer from {host} within {limits.total:.3g} s")
    return Unclear(_trouble(failed))


def _connect_trouble(failed: aiohttp.ClientConnectorError) -> str:
    """Why no connection came about, in words that name the server and nothing else."""
    server = f"{failed.host}:{failed.port}"
    if isinstance(failed, aiohttp.ClientConnectorDNSError):
        return f"the name {failed.host} cannot be resolved"
    if isinstance(failed, aiohttp.ClientConnectorCertificateError):
        reason = getattr(failed.certificate_error, "verify_message", "") or "it does not fit"
        return f"the certificate of {server} is not trusted: {reason}"
    if isinstance(failed, aiohttp.ClientConnectorSSLError):
        return f"no TLS connection to {server}"
    return f"no connection to {server}: {_system_message(failed)}"


def _trouble(failed: aiohttp.ClientError | OSError) -> str:
    """What happened to a request that was, or may have been, on its way."""
    if isinstance(failed, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    if isinstance(failed, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(failed, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    if isinstance(failed, OSError):
        return f"the connection broke: {_system_message(failed)}"
    return f"the exchange failed ({type(failed).__name__})"


def _system_message(failed: OSError) -> str:
    """The system's own word for its error number; aiohttp's text would repeat addresses."""
    return os.strerror(failed.errno).lower() if failed.errno else "no route that works"
