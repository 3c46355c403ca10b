"""One POST over one shared session: what came back, or what kind of trouble it was. Knows HTTP and nothing of commands.

Exceptions of aiohttp end here: they may carry the URL, which holds the UserSig [30]. aiohttp repeats a request on a
stale connection by itself only for idempotent methods, never a POST, so each `post` sends a request at most once.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from aiohttp import ClientTimeout
from yarl import URL

from channel_adapter.tencent.clock import Clock
from channel_adapter.tencent.wire.envelope import NotSent, Unclear

_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "channel-adapter"}


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


class Transport:
    """A pool of `concurrency` connections: claim one, post over it, release it."""

    def __init__(self, ca_file: Path | None, timeouts: Timeouts, concurrency: int, clock: Clock) -> None:
        self._ca_file = ca_file
        self._timeouts = timeouts
        self._usual = ClientTimeout(total=timeouts.call, connect=timeouts.connect)
        self._concurrency = concurrency
        self._free = asyncio.Semaphore(concurrency)
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session. ValueError when the CA file cannot be used."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency, ssl=self._trust()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
            )

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def claim(self, latest: float) -> bool:
        """Have one of the connections for oneself; False if none is free by `latest`, on the clock's steady time."""
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

    async def post(self, url: URL, body: bytes, *, until: float) -> Answer | NotSent | Unclear:
        """Send once, over a claimed connection. `until` is the end of the caller's patience, on the steady time."""
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        limits = self._limits(until)
        try:
            async with self._session.post(url, data=body, timeout=limits, allow_redirects=False) as response:
                return Answer(response.status, await response.read(), response.headers.get("Date"))
        except aiohttp.ConnectionTimeoutError:
            return NotSent(f"no connection to {url.host} within {limits.connect:.3g} s")
        except aiohttp.ClientConnectorError as failed:
            return NotSent(_connect_trouble(failed), isinstance(failed, aiohttp.ClientConnectorCertificateError))
        except TimeoutError:
            return Unclear(f"no answer from {url.host} within {limits.total:.3g} s")
        except (aiohttp.ClientError, OSError) as failed:
            return Unclear(_trouble(failed))

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
