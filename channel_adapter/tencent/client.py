"""The client: signs, limits, sends, classifies and repeats calls; it returns typed replies or raises CallFailed.

An attempt is a free connection, a slot of the rate limit, a host, a signed URL, one POST, one classification; in this
order, because slots that waited for connections would be used all together. A command whose calls wait for slots keeps
an eighth of the connections meanwhile, and its other calls queue without one, so that other commands find connections.
What follows an attempt is decided by `retry.decide`. One deadline holds for everything, waits included.
"""

import asyncio
import random as random_numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import orjson
from pydantic import SecretStr
from pydantic_core import from_json

from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.retry import retry
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import COMMANDS, UNMODELLED, Command, Community, Idempotency
from channel_adapter.tencent.failure import CallFailed, clock_hint
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.rate_limit import CommandLimiter, RateLimitTimeout
from channel_adapter.tencent.redaction import redact_fragments, redact_text
from channel_adapter.tencent.retry import (
    DONE,
    Decision,
    FailureClass,
    GiveUp,
    Retry,
    StopReason,
    decide,
    exceeds_command_limit,
    failure_class,
    final_outcome,
    latest_start,
    possibly_applied,
)
from channel_adapter.tencent.transport import HttpResponse, Route, Timeouts, Transport
from channel_adapter.tencent.usersig import App, CallUrls, Signer
from channel_adapter.tencent.wire.envelope import (
    ApiError,
    AttemptOutcome,
    Failure,
    NotAttempted,
    Reply,
    SentReply,
    Success,
    Throttled,
    WireModel,
    classify,
)

__all__ = ["App", "Attempt", "CallFailed", "CommandUsage", "Route", "TencentClient", "Timeouts", "Transport"]

# Ends in the standard library's logging: where nothing is configured, nothing goes to stdout.
log = get_logger("channel_adapter.tencent")

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,100}")
_RANDOM_BITS: Final = limits.RANDOM_HIGHEST.bit_length()
_MINUTE: Final = 60
_SECONDS_COUNTED: Final = 2 * _MINUTE
_WAITING_SHARE: Final = 8  # one of so many connections may wait for the rate limit of one command
_TEXT_CHARACTERS: Final = 4_000  # of an error's text; documented ones have less than a hundred


@dataclass(frozen=True, slots=True)
class Attempt:
    """Describe one attempt of a call, as an observer gets it: no body, no URL, no signature.

    `service` and `command` name the call. `outcome_kind` is success, api_error, throttled, not_sent, not_attempted,
    http_rejected or ambiguous; `code` is the service's number for api_error. `number` counts the attempts of the call
    that were sent; one that was not attempted has the number of the one before it. All times are in seconds:
    `connection_wait` for one of the connections, `limit_wait` for the rate limit, `wire` from sending to the answer,
    connecting included.
    """

    service: str
    command: str
    number: int
    outcome_kind: str
    code: int | None
    connection_wait: float
    limit_wait: float
    wire: float

    @property
    def waited(self) -> float:
        """Seconds before anything was sent: `connection_wait` and `limit_wait`."""
        return self.connection_wait + self.limit_wait

    @property
    def seconds(self) -> float:
        """Seconds in all: `waited` and `wire`."""
        return self.waited + self.wire


@dataclass(frozen=True, slots=True)
class CommandUsage:
    """How often a command was sent in the last 60 seconds, and its limit in calls per second at present.

    `command` is `service/command`. `limit` is None without limits; `reduced`: it is below the ceiling, because the
    service asked for fewer calls.
    """

    command: str
    last_minute: int
    limit: float | None
    reduced: bool


@dataclass(slots=True)
class _CallState:
    """A call between its attempts."""

    command: Command[Any, Any]
    body: bytes = field(repr=False)
    reply: type[Reply]
    began: float  # these three on the monotonic clock
    latest: float  # no attempt begins at this time or after it
    ends: float
    usersig: str = field(default="", repr=False)  # of the latest attempt
    attempts: int = 0  # that were sent
    queue: asyncio.Semaphore | None = field(default=None, repr=False)  # a place to wait for the limit is taken of it
    queued: float = 0.0  # seconds that the latest attempt waited for such a place
    connected: float | None = None  # when the latest attempt had a connection
    sent: float | None = None  # when it was sent
    failures: dict[FailureClass, int] = field(default_factory=dict)  # how often each class has happened
    ambiguous: Failure | None = None  # the latest attempt that may have been carried out
    failure: Failure | None = None  # the latest attempt that was made and failed
    response: bytes = field(default=b"", repr=False)  # the latest body


@dataclass(frozen=True, slots=True)
class _AttemptResult:
    outcome: AttemptOutcome[Any]
    decision: Decision


class TencentClient:
    """Calls of one app as one admin. Use it in `async with`; share it between the tasks of one event loop.

    All its parts use the clock of `transport`.
    """

    def __init__(
        self,
        app: App,
        transport: Transport,
        *,
        limiter: CommandLimiter | None = None,
        random: random_numbers.Random | None = None,
        observer: Callable[[Attempt], None] | None = None,
    ) -> None:
        self._app = app
        self._transport = transport
        self._clock = transport.clock
        self._limiter = limiter or CommandLimiter(clock=self._clock)
        self._random = random or random_numbers.Random()  # noqa: S311 - names requests and spreads waits
        self._observer = None if observer is None else Notifier("observer", observer)
        self._signer = Signer(app, self._clock)
        self._urls = CallUrls(app.sdkappid, app.admin)
        self._latest_start = latest_start(transport.timeouts.total, transport.timeouts.call)
        self._latest_date: tuple[str, float] | None = None
        self._queues: dict[str, asyncio.Semaphore] = {}  # by command: places of calls that wait for its rate limit
        self._sent: dict[str, tuple[Command[Any, Any], dict[int, int]]] = {}  # attempts by second of the clock

    def __repr__(self) -> str:
        host = self._transport.hosts.active
        return f"TencentClient(sdkappid={self._app.sdkappid}, admin={self._app.admin!r}, host={host!r})"

    async def __aenter__(self) -> Self:
        await self._transport.open()
        self._queues.clear()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def require_same_loop(self) -> None:
        """Raise RuntimeError on another event loop than the one on which the client was opened."""
        self._transport.require_same_loop()

    async def close(self) -> None:
        """Close the connections."""
        try:
            await self._transport.close()
        finally:
            await self._limiter.close()

    @property
    def clock_skew(self) -> float | None:
        """The server's time minus ours in seconds, from the Date of the latest response; None before the first one."""
        if self._latest_date is None:
            return None
        text, received = self._latest_date
        try:
            return parsedate_to_datetime(text).timestamp() - received
        except (ValueError, OverflowError):
            return None

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply to a command of the catalog; items of a batch may have failed in it. Raises CallFailed.

        `deadline` is in seconds from now and replaces the total timeout.
        """
        call = self._start_call(command, request.to_json(), command.reply, deadline)
        outcome: AttemptOutcome[ReplyT] = await self._attempt_once(call)
        if not isinstance(outcome, Success):
            outcome = await self._repeat_call(call, outcome)
        return outcome.reply

    async def call_raw(
        self, service: str, name: str, body: Mapping[str, Any], *, deadline: float | None = None
    ) -> dict[str, Any]:
        """Return the reply as plain JSON, for commands and fields without a model. Raises CallFailed.

        A command that is not in the catalog counts as unsafe to repeat and has the default rate limit.
        """
        call = self._start_call(_catalog_row(service, name), orjson.dumps(dict(body)), SentReply, deadline)
        outcome = await self._attempt_once(call)
        if not isinstance(outcome, Success):
            await self._repeat_call(call, outcome)
        answer: dict[str, Any] = from_json(call.response)
        return answer

    def call_rates(self) -> list[CommandUsage]:
        """Return how often each command was sent in the last minute, the most frequent first, and its limit now."""
        now, limiter = self._clock.monotonic(), self._limiter
        found: list[CommandUsage] = []
        for path, (command, counts) in self._sent.items():
            reduced = limiter.is_reduced(command)
            limit = limiter.rate(command) if reduced else limiter.ceiling(command)
            last_minute = sum(count for second, count in counts.items() if second > int(now) - _MINUTE)
            found.append(CommandUsage(path, last_minute, limit if limit != float("inf") else None, reduced))
        return sorted(found, key=lambda each: (-each.last_minute, each.command))

    def reduce_rate(self, service: str, command: str) -> None:
        """Call this command less often for a while, as a webhook reported its limit; ignore unknown commands."""
        row = COMMANDS.get((service, command))
        if row is not None:
            self._limiter.reduce_rate(row)

    def _start_call(
        self, command: Command[Any, Any], body: bytes, reply: type[Reply], deadline: float | None
    ) -> _CallState:
        timeouts, now = self._transport.timeouts, self._clock.monotonic()
        if deadline is None:
            return _CallState(command, body, reply, now, now + self._latest_start, now + timeouts.total)
        return _CallState(command, body, reply, now, now + latest_start(deadline, timeouts.call), now + deadline)

    async def _attempt_once(self, call: _CallState) -> AttemptOutcome[Any]:
        """Wait for a connection and a slot of the rate limit, send once, and classify the response."""
        started, call.connected, call.sent, call.queued = self._clock.monotonic(), None, None, 0.0
        try:
            outcome = await self._send_in_turn(call)
        finally:
            if call.queue is not None:
                _leave_queue(call)
        if self._observer is not None:
            self._observer(_to_attempt(call, outcome, started, self._clock.monotonic()))
        return outcome

    async def _send_in_turn(self, call: _CallState) -> AttemptOutcome[Any]:
        path = call.command.path
        while True:
            if self._must_queue(path, call) and not await self._enter_queue(self._queues[path], call):
                return NotAttempted("other calls of the command wait for its rate limit until the time is up")
            if not await self._transport.acquire_slot(call.latest):
                return NotAttempted("all connections were busy until the time was up")
            try:
                if not self._must_queue(path, call):  # others may wait by now
                    return await self._send_request(call)
            finally:
                self._transport.release_slot()

    def _must_queue(self, path: str, call: _CallState) -> bool:
        """Return whether as many calls of a command as may wait for its rate limit wait, and this is none of them."""
        queue = self._queues.get(path)
        return queue is not None and call.queue is None and queue.locked()

    async def _enter_queue(self, queue: asyncio.Semaphore, call: _CallState) -> bool:
        """Wait for a place among the calls that wait with a connection; return False if the time is up before."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(call.latest - began):
                await queue.acquire()
        except TimeoutError:
            return False
        finally:
            call.queued += self._clock.monotonic() - began
        call.queue = queue
        return True

    async def _take_place(self, call: _CallState) -> None:
        """Count a call that has a connection among those that wait for the limit. `_must_queue` has returned False."""
        if call.queue is None:
            queue = self._queues.get(call.command.path)
            if queue is None:
                places = max(1, self._transport.concurrency // _WAITING_SHARE)
                queue = self._queues[call.command.path] = asyncio.Semaphore(places)
            await queue.acquire()  # without waiting, as it is not locked
            call.queue = queue

    async def _send_request(self, call: _CallState) -> AttemptOutcome[Any]:
        command, limiter, now = call.command, self._limiter, self._clock.monotonic()
        call.connected = now
        try:
            if limiter.is_shared:  # to reserve a slot takes time, in which others may come
                await self._take_place(call)
                wait = await limiter.reserve_shared(command, call.latest - now)
            else:
                wait = limiter.reserve(command, call.latest - now)
        except RateLimitTimeout as late:
            return NotAttempted(
                f"the rate limit allows it in {late.seconds:.1f} s, and the time for it is up before that"
            )
        if wait:
            await self._take_place(call)
            await self._clock.sleep(wait)
        if call.queue is not None:
            _leave_queue(call)
        call.sent = self._clock.monotonic()
        host = self._transport.hosts.choose(call.sent)
        call.attempts += 1
        self._count_attempt(command, int(call.sent))
        call.usersig = self._signer.current()
        url = self._urls.build(host, command.path, self._random.getrandbits(_RANDOM_BITS))
        response = await self._transport.post(host, url, SecretStr(call.usersig), call.body, until=call.ends)
        if not isinstance(response, HttpResponse):
            return response
        if response.date is not None:
            self._latest_date = (response.date, self._clock.now())
        call.response = response.body
        outcome = classify(call.reply, response.status, response.body)
        if isinstance(outcome, ApiError):
            return ApiError(outcome.code, _redact_service_text(outcome.text, call.usersig))
        if isinstance(outcome, Throttled):
            return Throttled(_redact_service_text(outcome.reason, call.usersig))
        return outcome

    def _count_attempt(self, command: Command[Any, Any], second: int) -> None:
        _, counts = self._sent.setdefault(command.path, (command, {}))
        counts[second] = counts.get(second, 0) + 1
        if len(counts) > _SECONDS_COUNTED:
            for old in sorted(counts)[:_MINUTE]:
                del counts[old]

    async def _repeat_call(self, call: _CallState, outcome: Failure) -> Success[Any]:
        """Make further attempts after a failed one, until one succeeds or it is decided to give up."""
        result = _AttemptResult(outcome, self._decide_next(call, outcome))
        if isinstance(result.decision, Retry):
            result = await retry(result, partial(self._next_attempt, call), _wait_after, self._clock.sleep)
        if isinstance(result.outcome, Success):
            return result.outcome
        raise self._to_call_failed(call, result.outcome, result.decision)

    async def _next_attempt(self, call: _CallState) -> _AttemptResult:
        outcome = await self._attempt_once(call)
        return _AttemptResult(outcome, DONE if isinstance(outcome, Success) else self._decide_next(call, outcome))

    def _decide_next(self, call: _CallState, outcome: Failure) -> Decision:
        """Record a failed attempt and decide what follows."""
        if exceeds_command_limit(call.command, outcome):
            self._limiter.reduce_rate(call.command)
        if possibly_applied(call.command, outcome):
            call.ambiguous = outcome
        if not isinstance(outcome, NotAttempted):
            call.failure = outcome
        failure = failure_class(call.command, outcome)
        times = 0
        if isinstance(failure, FailureClass):
            times = call.failures[failure] = call.failures.get(failure, 0) + 1
        decision = decide(
            failure,
            times,
            elapsed=self._clock.monotonic() - call.began,
            latest=call.latest - call.began,
            jitter=self._random.random(),
        )
        if isinstance(decision, Retry):
            if decision.new_signature:
                self._signer.renew(call.usersig)
            log.info("call.retry", **_log_fields(call, outcome), wait=round(decision.wait, 3))
        return decision

    def _to_call_failed(self, call: _CallState, outcome: Failure, decision: Decision) -> CallFailed:
        """Return the exception of a failed call."""
        if isinstance(outcome, NotAttempted) and call.failure is not None:
            outcome = call.failure  # there was no time for one more attempt; report why it was needed
        outcome = final_outcome(call.command, call.ambiguous, outcome)
        log.info("call.failed", **_log_fields(call, outcome))
        return CallFailed(
            call.command,
            outcome,
            call.attempts,
            ambiguous=call.ambiguous is not None and call.ambiguous is not outcome,
            hint=clock_hint(self.clock_skew) if decision == GiveUp(StopReason.SIGNATURE) else None,
        )


def _leave_queue(call: _CallState) -> None:
    queue, call.queue = call.queue, None
    if queue is not None:
        queue.release()


def _wait_after(result: _AttemptResult) -> float | None:
    return result.decision.wait if isinstance(result.decision, Retry) else None


def _redact_service_text(text: str, usersig: str) -> str:
    """Return a text of the service without secrets: an HTTP gateway may repeat the URL, or a part of it."""
    return redact_text(redact_fragments(text[:_TEXT_CHARACTERS], usersig))


@lru_cache(maxsize=256)
def _catalog_row(service: str, name: str) -> Command[Any, Any]:
    """Return the row of the catalog, or a cautious one for a command that is not in it."""
    known = COMMANDS.get((service, name))
    if known is not None:
        return known
    if not (_NAME.fullmatch(service) and _NAME.fullmatch(name)):
        raise ValueError("a service and a command are named by 1 to 100 letters, digits and _")
    return Command(service, name, UNMODELLED, Idempotency.UNSAFE, Community.UNRELATED, "not in the catalog")


def _to_attempt(call: _CallState, outcome: AttemptOutcome[Any], started: float, ended: float) -> Attempt:
    code = outcome.code if isinstance(outcome, ApiError) else None
    connected = ended if call.connected is None else call.connected
    sent = ended if call.sent is None else call.sent
    command, number = call.command, call.attempts
    return Attempt(
        command.service, command.name, number, outcome.kind, code, connected - started - call.queued,
        sent - connected + call.queued, ended - sent,
    )  # fmt: skip


def _log_fields(call: _CallState, outcome: Failure) -> dict[str, object]:
    """Return the fields of a log event, without the service's own text, which may quote the message."""
    return {
        "service": call.command.service,
        "command": call.command.name,
        "attempt": call.attempts,
        "outcome": outcome.kind,
        "reason": outcome.code if isinstance(outcome, ApiError) else outcome.reason,
    }
