"""One POST over a session with a pool of connections, to the primary or the backup host.

Knows HTTP and nothing of commands. The UserSig is added to the URL by a middleware, after aiohttp has called the
trace hooks of a request's start: hooks, `response.url` and `request_info` see the URL without it [30]. Exceptions of
aiohttp are replaced inside the middleware, because their texts and attributes may carry the URL as it was sent.
aiohttp repeats a request on a stale connection by itself only for idempotent methods, never a POST, so each `post`
sends a request at most once.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientTimeout, RequestInfo
from aiohttp.connector import Connection
from aiohttp.hdrs import PROXY_AUTHORIZATION
from multidict import CIMultiDictProxy
from pydantic import SecretStr
from yarl import URL

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.quoting import shown_text
from channel_adapter.tencent import limits
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.usersig import signed
from channel_adapter.tencent.wire.envelope import Ambiguous, NotSent

# Ends in the standard library's logging: where nothing is configured, nothing goes to stdout.
log = get_logger("channel_adapter.tencent")

_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "channel-adapter"}

FAILURES_BEFORE_SWITCH: Final = 3  # connect failures one after another
COOL_DOWN: Final = 60.0  # seconds on the backup before the primary is tried again

OTHER_LOOP: Final = (
    "the adapter was opened on another event loop: open it, use it and close it on one loop"
    " (tests with pytest-asyncio: set asyncio_default_fixture_loop_scope to the loop scope of the tests)"
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds: to connect, of one attempt, of a call with all its attempts and waits."""  # [28]

    connect: float = 5.0
    call: float = 10.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """How the hosts are reached, and by whose certificates they are trusted.

    `ca_file` is a PEM file of another authority. `proxy` is `http://host:port`, or https, with `user:password@` where
    it asks for them. `trust_env`: without `proxy`, the proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`).
    """

    ca_file: Path | None = None
    proxy: SecretStr | None = None
    trust_env: bool = False


class HttpResponse(NamedTuple):
    """Status, body and Date header of an HTTP response."""

    status: int
    body: bytes
    date: str | None


class HostChooser:
    """Choose the base URL of the next attempt. Pure: times are arguments, in seconds of one monotonic clock.

    Only failures to connect count. After three in a row the other host is active for a minute; then one attempt probes
    the primary, which becomes active again when that succeeds. The backup is meant for a primary that cannot be reached
    (hijacked DNS, broken TLS). It serves the same data, so a call that may have been carried out on one of them may
    have been carried out, whatever the other one answers.
    """  # [rest basics 5.1]

    def __init__(self, hosts: HostPair) -> None:
        self._hosts = hosts
        self._active = hosts.primary
        self._failures = 0
        self._probe_at = float("inf")
        self.settled: bool = True
        """Whether the primary is active and the latest connection to it succeeded: there is nothing to record."""

    @property
    def active(self) -> str:
        """The host in use, except for probes."""
        return self._active

    @property
    def has_backup(self) -> bool:
        """Whether there is another host."""
        return self._hosts.backup is not None

    def choose(self, now: float) -> str:
        """Return the base URL for an attempt that starts at `now`."""
        if now < self._probe_at:
            return self._active
        self._probe_at = now + COOL_DOWN
        return self._hosts.primary

    def connected(self, host: str) -> None:
        """Record that a connection to `host` succeeded, whatever the response was."""
        if host == self._active:
            self._failures = 0
            self.settled = host == self._hosts.primary
        elif host == self._hosts.primary:
            self._activate_host(host, probe_at=float("inf"))

    def failed(self, host: str, now: float) -> bool:
        """Record that no connection to `host` could be made. Return True if this made the other host the active one."""
        if host != self._active or self._hosts.backup is None:
            return False
        self.settled = False
        self._failures += 1
        if self._failures < FAILURES_BEFORE_SWITCH:
            return False
        if host == self._hosts.primary:
            self._activate_host(self._hosts.backup, probe_at=now + COOL_DOWN)
        else:
            self._activate_host(self._hosts.primary, probe_at=float("inf"))
        return True

    def _activate_host(self, host: str, *, probe_at: float) -> None:
        self._active = host
        self._failures = 0
        self._probe_at = probe_at


class RequestFailed(aiohttp.ClientError):
    """A failed request, as trace hooks see it: `outcome` and text name the server and no URL."""

    def __init__(self, outcome: NotSent | Ambiguous) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


async def _send_signed(
    usersig: SecretStr, timeout: ClientTimeout, request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Add the UserSig to the URL of a request and send it. Raises RequestFailed in place of aiohttp's exceptions."""
    host = request.url.host
    request.url = signed(request.url, usersig.get_secret_value())
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as failed:
        outcome = _classify_failure(failed, host, timeout)
    raise RequestFailed(outcome)


class _Request(ClientRequest):
    """A request that shows its URL as it was before it was signed."""

    def __init__(self, *args: Any, traces: object = None, **options: Any) -> None:
        super().__init__(*args, traces=[], **options)  # these hooks would be called with the URL as it is sent

    @property
    def request_info(self) -> RequestInfo:
        """Return the request as responses and errors describe it."""
        url, headers = self.original_url, self.headers
        if PROXY_AUTHORIZATION in headers:
            headers = headers.copy()
            del headers[PROXY_AUTHORIZATION]
        return RequestInfo(url, self.method, CIMultiDictProxy(headers), url)


class _ProxyConnector(aiohttp.TCPConnector):
    """A pool that also reports a proxy which makes no connection, so that it is known that nothing was sent."""

    async def connect(self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout) -> Connection:
        """Return a connection. Raises RequestFailed for a refusal of the proxy."""
        try:
            return await super().connect(req, traces, timeout)
        except aiohttp.ClientHttpProxyError as refused:
            status = refused.status
        except aiohttp.ServerDisconnectedError:
            status = None
        raise RequestFailed(_proxy_refusal(status))


class Transport:
    """A pool of `concurrency` connections to the hosts of one region: acquire a slot, post, release the slot.

    A response above `max_response_bytes`, after decompression, is not read to its end.
    """

    def __init__(
        self,
        hosts: HostPair,
        *,
        route: Route | None = None,
        timeouts: Timeouts | None = None,
        concurrency: int = 64,
        max_response_bytes: int = limits.MAX_RESPONSE_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.hosts: HostChooser = HostChooser(hosts)
        self.timeouts: Timeouts = timeouts or Timeouts()
        self.clock: Clock = clock or SystemClock()
        self._route = route or Route()
        self._client_timeout = ClientTimeout(total=self.timeouts.call, connect=self.timeouts.connect)
        self.concurrency: int = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._max_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Create the session. Raises ValueError if the CA file or the proxy cannot be used."""
        self.require_same_loop()
        if self._session is None:
            loop = asyncio.get_running_loop()
            if self._loop is not loop:
                self._loop, self._slots = loop, asyncio.Semaphore(self.concurrency)
            pool = _ProxyConnector if self._route.proxy is not None or self._route.trust_env else aiohttp.TCPConnector
            self._session = aiohttp.ClientSession(
                connector=pool(limit=self.concurrency, ssl=self._load_trusted_ca()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                request_class=_Request,
                proxy=self._route.proxy.get_secret_value() if self._route.proxy is not None else None,
                trust_env=self._route.trust_env,
            )

    async def close(self) -> None:
        """Close every connection. Raises RuntimeError on another event loop than the one of `open`."""
        self.require_same_loop()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def acquire_slot(self, latest: float) -> bool:
        """Wait for one of the connections; return False if none is free by `latest`, on the monotonic clock.

        Raises RuntimeError if the session is not open, or was opened on another event loop.
        """
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError(OTHER_LOOP)
        if not self._slots.locked():
            return await self._slots.acquire()
        try:
            async with asyncio.timeout(latest - self.clock.monotonic()):
                return await self._slots.acquire()
        except TimeoutError:
            return False

    def release_slot(self) -> None:
        """Release an acquired connection."""
        self._slots.release()

    async def post(
        self, host: str, url: URL, usersig: SecretStr, body: bytes, *, until: float
    ) -> HttpResponse | NotSent | Ambiguous:
        """Send once over an acquired connection; `host` is what `hosts` chose for it.

        `until` is the end of the call on the monotonic clock. A response that is too large is Ambiguous.
        """
        if self._session is None:
            raise RuntimeError("the client was closed while a call was waiting")
        left = until - self.clock.monotonic()
        timeout = self._client_timeout if left >= self.timeouts.call else self._shorten_timeouts(left)
        send = partial(_send_signed, usersig, timeout)
        try:
            async with self._session.post(
                url, data=body, timeout=timeout, allow_redirects=False, middlewares=(send,)
            ) as response:
                if not self.hosts.settled:
                    self.hosts.connected(host)
                parts, size = [], 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > self._max_bytes:
                        response.close()
                        return Ambiguous(f"the answer has more than {self._max_bytes:,} bytes", response.status)
                    parts.append(part)
                return HttpResponse(response.status, b"".join(parts), response.headers.get("Date"))
        except (aiohttp.ClientError, OSError) as failed:
            return self._record_failure(host, _classify_failure(failed, url.host, timeout))

    def _record_failure(self, host: str, outcome: NotSent | Ambiguous) -> NotSent | Ambiguous:
        if not isinstance(outcome, NotSent):
            self.hosts.connected(host)
            return outcome
        if self.hosts.failed(host, self.clock.monotonic()):
            log.warning("host.switched", unreachable=host, active=self.hosts.active, reason=outcome.reason)
        if outcome.permanent and self.hosts.has_backup:
            return NotSent(outcome.reason)  # the other host may show a better certificate
        return outcome

    def require_same_loop(self) -> None:
        """Raise RuntimeError on another event loop than the one of `open`."""
        if self._session is not None and self._loop is not asyncio.get_running_loop():
            raise RuntimeError(OTHER_LOOP)

    def _shorten_timeouts(self, left: float) -> ClientTimeout:
        """Return the timeouts of an attempt with `left` seconds; connecting ends first, so that it is recognised."""
        left = max(left, 0.001)  # zero would mean no limit
        return ClientTimeout(total=left, connect=min(self.timeouts.connect, left / 2))

    def _load_trusted_ca(self) -> ssl.SSLContext | bool:
        ca_file = self._route.ca_file
        if ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as failed:
            problem = failed.strerror or "it holds no certificate"
        raise ValueError(f"the CA file {shown_text(ca_file)} cannot be used: {problem}")


def _classify_failure(
    failed: aiohttp.ClientError | OSError, host: str | None, limits: ClientTimeout
) -> NotSent | Ambiguous:
    """Classify a failed request, with a reason that holds nothing of its URL but the host."""
    match failed:
        case RequestFailed():
            return failed.outcome
        case aiohttp.ConnectionTimeoutError():
            return NotSent(f"no connection to {host} within {limits.connect:.3g} s")
        case aiohttp.ClientConnectorError():
            return NotSent(_connect_reason(failed), isinstance(failed, aiohttp.ClientConnectorCertificateError))
        case TimeoutError():
            return Ambiguous(f"no answer from {host} within {limits.total:.3g} s")
    return Ambiguous(_failure_reason(failed))


def _connect_reason(failed: aiohttp.ClientConnectorError) -> str:
    """Return why no connection was made, in words that name the server and nothing else."""
    server = f"{failed.host}:{failed.port}"
    if isinstance(failed, aiohttp.ClientProxyConnectionError):
        return f"no connection to the proxy {server}: {_system_message(failed)}"
    if isinstance(failed, aiohttp.ClientConnectorDNSError):
        return f"the name {failed.host} cannot be resolved"
    if isinstance(failed, aiohttp.ClientConnectorCertificateError):
        reason = getattr(failed.certificate_error, "verify_message", "") or "it does not fit"
        return f"the certificate of {server} is not trusted: {reason}"
    if isinstance(failed, aiohttp.ClientConnectorSSLError):
        return f"no TLS connection to {server}"
    return f"no connection to {server}: {_system_message(failed)}"


def _proxy_refusal(status: int | None) -> NotSent:
    """Return the outcome of a request for which the proxy made no connection to the host; None: it hung up."""
    if status is None:
        return NotSent("the proxy closed the connection without an answer")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return NotSent("the proxy wants another user or password (HTTP 407)", permanent=True)
    return NotSent(f"the proxy made no connection (HTTP {status})")


def _failure_reason(failed: aiohttp.ClientError | OSError) -> str:
    """Return what happened to a request that was sent, or may have been."""
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
    """Return the system's text for its error number; aiohttp's text would repeat addresses."""
    return os.strerror(failed.errno).lower() if failed.errno else "no route that works"
