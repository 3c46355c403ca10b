"""The receiver of webhooks, independent of the web server: checks a request, stores its event, and answers.

Everything that comes from outside is bounded before it is read: size, depth, time and number of requests. The order of
the checks is that of the service's documentation. `aiohttp_app` and `asgi_app` pass requests of servers to it.
"""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qsl

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.settings import Settings
from channel_adapter.mapping.text import parse_digits
from channel_adapter.quoting import shown_value
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


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """Answer to one request: JSON. `closes` is set when the connection must not be used again."""

    status: int
    body: bytes
    closes: bool = False
    allow: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Names and values beside those that a server adds itself: length, date, connection."""
        allow = {} if self.allow is None else {"Allow": self.allow}
        return {"Content-Type": "application/json", **allow}


class BodyBrokenOffError(Exception):
    """Raised by a body that ends before it is complete, or that cannot be decoded."""


class Receiver:
    """Answers requests. `counters` count what happened; `inbox` stores the events.

    Use `respond` while `running` is entered.
    """

    def __init__(
        self, settings: Settings, events: Events, guard: Guard, inbox: Inbox, lost_posts: LostPosts,
        clock: Clock,
    ) -> None:  # fmt: skip
        self.inbox = inbox
        self.counters: Counters = inbox.counters
        self.settings = settings.webhooks
        self._events = events
        self._guard = guard
        self._sdkappid = settings.sdkappid
        self._lost_posts = lost_posts
        self._clock = clock
        self._open_requests = 0
        self._worth_logging = LogThrottle(self._clock.monotonic)  # one line per reason and minute

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the inbox open for the length of a block. Raises ConfigurationError, UnavailableError."""
        if not self.settings.tokens:
            _log.warning("webhooks.unsigned", meaning="no token is set: every request that names the app is accepted")
        await self.inbox.start(self._events.plan)
        chores = [
            asyncio.ensure_future(
                repeat(self._log_stats_once, _LOG_SECONDS, SystemClock(), self.report_failure, first=_LOG_SECONDS)
            ),
            asyncio.ensure_future(self._events.listen_for_invalidations()),
        ]
        if self.settings.lost_after_seconds:
            chores.append(asyncio.ensure_future(self._lost_posts.watch(self.inbox.store)))
        try:
            with self._events.instruments.values(self._measure_inbox):
                yield
        finally:
            for chore in chores:
                chore.cancel()
            try:
                await asyncio.gather(*chores, return_exceptions=True)
            finally:
                await self.inbox.stop()
                self._log_stats()

    async def respond(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        *,
        remote: str | None = None,
    ) -> WebhookResponse:
        """Answer one request to this receiver.

        With status 200 its event is stored, or the request of a before-webhook is decided. `path` is relative to where
        the receiver is mounted: "" or "/", else the status is 404. `query` is the raw query string. `headers` has
        lower-case names, or accepts any case. `body` is complete, or yields parts and raises BodyBrokenOffError.
        `remote` is the client's address for the log.
        """
        if path not in ("", "/"):
            return NOT_FOUND
        self.counters.add(names.RECEIVED)
        if self._open_requests >= self.settings.max_requests:
            return self._refuse_request(RequestRefused(Reason.TOO_MANY, f"{self._open_requests} are open"), remote)
        self._open_requests += 1
        try:
            return WebhookResponse(200, await self._answer_request(method, query, headers, body))
        except RequestRefused as refusal:
            return self._refuse_request(refusal, remote)
        except NotStoredError as error:
            return self._refuse_request(RequestRefused(Reason.NOT_STORED, str(error)), remote)
        except Exception as error:  # noqa: BLE001 - a fault of this program: reported with its traceback
            return self.report_failure(error)
        finally:
            self._open_requests -= 1

    async def _answer_request(
        self, method: str, query_string: str, headers: Mapping[str, str], body: bytes | AsyncIterable[bytes]
    ) -> bytes:
        if method != "POST":
            raise RequestRefused(Reason.METHOD, method[:16])
        if len(query_string) > _QUERY_BYTES:
            raise RequestRefused(Reason.QUERY, "the query is too long")
        query = read_query(parse_qsl(query_string, keep_blank_values=True))
        settings, now = self.settings, self._clock.now()
        verify(query, sdkappid=self._sdkappid, tokens=settings.tokens, now=now, window=settings.window_seconds)
        webhook = parse(query, await self._read_whole_body(headers, body), now=now)
        with self._events.instruments.span("webhooks.receive", webhook.attributes) as span:
            outcome, answer = await self._handle_webhook(webhook)
            span.set_attribute("channel_adapter.outcome", outcome)
            return answer

    async def _handle_webhook(self, webhook: WebhookEvent) -> tuple[str, bytes]:
        """Decide or store a webhook; return what was done and the answer."""
        if webhook.is_before:
            answer = await self._guard.answer(webhook)
            self.counters.add(names.DECIDED)
            if answer.allows:
                self._lost_posts.expect(webhook)
            return answer.outcome, answer.body
        is_new = await self.inbox.store(webhook)
        if is_new:
            self.counters.add(names.STORED)
        self._lost_posts.confirm(webhook)
        return "stored" if is_new else "repeat", ALLOWED.body

    async def _measure_inbox(self) -> dict[str, float]:
        backlog = await self.inbox.backlog()
        return {"inbox.lag": backlog.lag, "inbox.waiting": backlog.waiting, "inbox.dead": backlog.dead}

    async def _read_whole_body(self, headers: Mapping[str, str], body: bytes | AsyncIterable[bytes]) -> bytes:
        """Return the whole body, within its size and time."""
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and parse_digits(announced, BODY_BYTES) is None:
            raise RequestRefused(Reason.TOO_LARGE, f"{shown_value(announced)} bytes are announced")
        if isinstance(body, bytes):
            if len(body) > BODY_BYTES:
                raise RequestRefused(Reason.TOO_LARGE, f"over {BODY_BYTES} bytes")
            return body
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                async for part in body:
                    parts.append(part)
                    size += len(part)
                    if size > BODY_BYTES:
                        raise RequestRefused(Reason.TOO_LARGE, f"over {BODY_BYTES} bytes")
        except TimeoutError:
            raise RequestRefused(Reason.TOO_SLOW, f"{size} bytes in {self.settings.request_seconds:g} s") from None
        except BodyBrokenOffError:
            raise RequestRefused(Reason.NOT_JSON, f"the body broke off after {size} bytes") from None
        return b"".join(parts)

    def refuse_malformed(self, error: str, remote: str | None) -> WebhookResponse:
        """Count and answer bytes that are not HTTP; `error` is the name of the parser's exception."""
        self.counters.add(names.RECEIVED)
        return self._refuse_request(RequestRefused(Reason.MALFORMED, error), remote, error)

    def report_failure(self, error: BaseException | None) -> WebhookResponse:
        """Log a fault of this program with its traceback, at most once a minute for each class, and answer 500."""
        if self._worth_logging(f"failure {type(error).__name__}"):
            _log.error("webhooks.failure", traceback=shown_traceback(error))
        return _failure_response(500, "failure")

    def report_broken_body(self, error: str) -> None:
        """Log that the rest of a body could not be read after its request was answered."""
        if self._worth_logging(f"broken body {error}"):
            _log.warning("webhooks.broken_body", error=error)

    def _refuse_request(self, refusal: RequestRefused, remote: str | None, kind: str = "") -> WebhookResponse:
        """Count and log a refusal. The answer has the name of the reason and no detail, and the connection ends."""
        reason = refusal.reason
        self.counters.refuse(reason)
        if self._worth_logging(f"{reason.value} {kind}"):
            _log.warning("webhooks.refused", reason=reason.value, detail=refusal.detail, remote=remote,
                         so_far=self.counters.refused[reason.value])  # fmt: skip
        return _failure_response(reason.status, reason.value, allow="POST" if reason is Reason.METHOD else None)

    async def _log_stats_once(self) -> None:
        self._log_stats()

    def _log_stats(self) -> None:
        counts = self.counters.snapshot()
        if counts:
            _log.info("webhooks.stats", **counts, lag_seconds=round(self.inbox.lag, 3), guard=dict(self._guard.counts))


def _failure_response(status: int, error: str, *, allow: str | None = None) -> WebhookResponse:
    return WebhookResponse(status, json.dumps({"error": error}).encode(), closes=True, allow=allow)


NOT_FOUND: Final = _failure_response(404, "not_found")


def open_receiver(adapter: WebhookAdapter, inbox: Inbox | None = None) -> Receiver:
    """Return a receiver for an adapter. Without `inbox` the settings choose one.

    Raises ConfigurationError if the inbox of the settings needs a missing extra.
    """
    settings, seconds = adapter.settings, adapter.settings.webhooks.lost_after_seconds
    lost_posts = LostPosts(adapter.pipeline.callbacks, adapter.backend.posts, adapter.clock, seconds=seconds)
    return Receiver(settings, adapter.events, adapter.guard, inbox or open_inbox(settings), lost_posts, adapter.clock)
