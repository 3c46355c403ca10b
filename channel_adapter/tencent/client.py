"""The client: signs, limits, sends, judges and repeats calls; it returns typed replies or raises CallFailed.

An attempt is a free connection, a turn of the limiter, a host, a signed URL, one POST, one judgement; in this order,
because turns that waited for connections would be used all at once. What follows an attempt is decided by
`retry.decide`. One deadline holds for everything, waits included.
"""

import logging
import random as random_numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import orjson
import structlog
from pydantic import SecretStr
from pydantic_core import from_json

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import COMMANDS, UNMODELLED, Command, Community, Retry
from channel_adapter.tencent.failure import CallFailed
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.rate_limit import CommandLimiter, TurnTooLate
from channel_adapter.tencent.redaction import redact_fragments, redact_text
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.retry import (
    DONE,
    Again,
    Stop,
    Tried,
    Trouble,
    decide,
    latest_start,
    maybe_done,
    over_the_ceiling,
    repeat,
    standing,
    trouble_of,
)
from channel_adapter.tencent.transport import Answer, HostChooser, Timeouts, Transport
from channel_adapter.tencent.usersig import App, CallUrls, Signer
from channel_adapter.tencent.wire.envelope import (
    Answered,
    Dropped,
    Failure,
    Held,
    NotSent,
    Outcome,
    Refused,
    Reply,
    SentReply,
    Unclear,
    WireModel,
    judge,
)

__all__ = ["App", "Attempt", "CallFailed", "TencentClient", "Timeouts"]

# Ends in the standard library's logging: where nothing is configured, nothing goes to stdout.
log = structlog.wrap_logger(logging.getLogger("channel_adapter.tencent"))

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)

_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_RANDOM_BITS: Final = limits.RANDOM_HIGHEST.bit_length()
_TEXT_CHARACTERS: Final = 4_000  # of a refusal's text; documented ones have less than a hundred


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an observer hears of every attempt. Kinds: answered, refused, dropped, notsent, held, turnedaway, unclear.

    `number` counts what went to the network; one that was held back has the number of the one before it.
    """

    service: str
    command: str
    number: int
    outcome_kind: str
    code: int | None
    seconds: float


@dataclass(slots=True)
class _Call:
    """A call on its way through its attempts."""

    command: Command[Any, Any]
    body: bytes = field(repr=False)
    reply: type[Reply]
    began: float  # these three on the clock's steady time
    latest: float  # no attempt begins at this moment or after it
    ends: float
    usersig: str = field(default="", repr=False)  # of the latest attempt
    attempts: int = 0  # that went to the network
    troubles: dict[Trouble, int] = field(default_factory=dict)  # how often each has happened
    doubt: Failure | None = None  # the latest attempt that may have been carried out
    trouble: Failure | None = None  # the latest attempt that was made and failed
    answer: bytes = field(default=b"", repr=False)  # the latest body


class TencentClient:
    """Calls of one app as one admin. Use it in `async with`; share it between the tasks of one event loop."""

    def __init__(
        self,
        app: App,
        hosts: HostPair,
        *,
        ca_file: Path | None = None,
        timeouts: Timeouts | None = None,
        concurrency: int = 64,
        limiter: CommandLimiter | None = None,
        clock: Clock | None = None,
        random: random_numbers.Random | None = None,
        observer: Callable[[Attempt], None] | None = None,
        max_response_bytes: int = limits.MAX_RESPONSE_BYTES,
    ) -> None:
        self._app = app
        self._clock = clock or SystemClock()
        self._timeouts = timeouts or Timeouts()
        self._transport = Transport(ca_file, self._timeouts, concurrency, self._clock, max_response_bytes)
        self._limiter = limiter or CommandLimiter(clock=self._clock)
        self._random = random or random_numbers.Random()  # noqa: S311 - names requests and spreads waits
        self._observer = None if observer is None else Notifier("observer", observer)
        self._signer = Signer(app, self._clock)
        self._urls = CallUrls(app.sdkappid, app.admin)
        self._hosts = HostChooser(hosts)
        self._latest_date: tuple[str, float] | None = None

    def __repr__(self) -> str:
        return f"TencentClient(sdkappid={self._app.sdkappid}, admin={self._app.admin!r}, host={self._hosts.serving!r})"

    async def __aenter__(self) -> Self:
        await self._transport.open()
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
        await self._transport.close()

    @property
    def clock_skew(self) -> float | None:
        """The server's time minus ours in seconds, from the Date of the latest answer; None while there is none."""
        if self._latest_date is None:
            return None
        text, received = self._latest_date
        try:
            return parsedate_to_datetime(text).timestamp() - received
        except ValueError:
            return None

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """The reply to a command of the catalog. `deadline` is in seconds from now and replaces the total timeout.

        Items of a batch may have failed inside an answered call. Raises CallFailed.
        """
        call = self._begin(command, request.to_json(), command.reply, deadline)
        answered: Answered[ReplyT] = await self._perform(call)
        return answered.reply

    def slow_down(self, service: str, command: str) -> None:
        """Somebody else says that this command is called too often: go slower for a while. Unknown ones are ignored."""
        row = COMMANDS.get((service, command))
        if row is not None:
            self._limiter.refused(row)

    async def call_raw(
        self, service: str, name: str, body: Mapping[str, Any], *, deadline: float | None = None
    ) -> dict[str, Any]:
        """The answer as plain JSON, for commands and members that are not modelled; everything else as in `call`.

        A command that is not in the catalog counts as unsafe to repeat and gets the default rate limit.
        """
        call = self._begin(_row(service, name), orjson.dumps(dict(body)), SentReply, deadline)
        await self._perform(call)
        answer: dict[str, Any] = from_json(call.answer)
        return answer

    def _begin(self, command: Command[Any, Any], body: bytes, reply: type[Reply], deadline: float | None) -> _Call:
        total = self._timeouts.total if deadline is None else deadline
        now = self._clock.monotonic()
        return _Call(command, body, reply, now, now + latest_start(total, self._timeouts.call), now + total)

    async def _perform(self, call: _Call) -> Answered[Any]:
        """Make one attempt, and further ones if it fails and they may help."""
        outcome = await self._attempt(call)
        return outcome if isinstance(outcome, Answered) else await self._persist(call, outcome)

    async def _persist(self, call: _Call, outcome: Failure) -> Answered[Any]:
        """Go on after a failed attempt until one is answered or it is decided to stop."""

        async def try_again() -> Tried[Outcome[Any]]:
            following = await self._attempt(call)
            return Tried(following, DONE if isinstance(following, Answered) else self._consider(call, following))

        tried: Tried[Outcome[Any]] = Tried(outcome, self._consider(call, outcome))
        if isinstance(tried.decision, Again):
            tried = await repeat(tried, try_again, self._clock.sleep)
        if isinstance(tried.outcome, Answered):
            return tried.outcome
        raise self._failure(call, tried.outcome, tried.decision)

    async def _attempt(self, call: _Call) -> Outcome[Any]:
        """Wait for a connection and a turn, send once, and judge what comes back."""
        started = self._clock.monotonic()
        if await self._transport.claim(call.latest):
            try:
                outcome = await self._send(call)
            finally:
                self._transport.release()
        else:
            outcome = Held("all connections were busy until the time was up")
        if self._observer is not None:
            self._observer(_seen(call, outcome, self._clock.monotonic() - started))
        return outcome

    async def _send(self, call: _Call) -> Outcome[Any]:
        command, now = call.command, self._clock.monotonic()
        try:
            wait = self._limiter.book(command, call.latest - now)
        except TurnTooLate as late:
            return Held(f"the rate limit allows it in {late.seconds:.1f} s, and the time for it is up before that")
        if wait:
            await self._clock.sleep(wait)
        host = self._hosts.choose(now + wait)
        call.attempts += 1
        call.usersig = self._signer.current()
        url = self._urls.build(host, command.path, self._random.getrandbits(_RANDOM_BITS))
        answer = await self._transport.post(url, SecretStr(call.usersig), call.body, until=call.ends)
        self._remember_host(host, answer)
        if isinstance(answer, NotSent) and answer.lasting and self._hosts.has_backup:
            return NotSent(answer.reason)  # the other host may show a better certificate
        if not isinstance(answer, Answer):
            return answer
        if answer.date is not None:
            self._latest_date = (answer.date, self._clock.now())
        call.answer = answer.body
        outcome = judge(call.reply, answer.status, answer.body)
        if isinstance(outcome, Refused):
            return Refused(outcome.code, self._shown(outcome.text, call.usersig))
        if isinstance(outcome, Dropped):
            return Dropped(self._shown(outcome.reason, call.usersig))
        return outcome

    @staticmethod
    def _shown(text: str, usersig: str) -> str:
        """A text of the service without secrets: a gate may repeat the URL, or a part of it."""
        return redact_text(redact_fragments(text[:_TEXT_CHARACTERS], usersig))

    def _remember_host(self, host: str, answer: Answer | NotSent | Unclear) -> None:
        if isinstance(answer, NotSent):
            if self._hosts.failed(host, self._clock.monotonic()):
                log.warning("host.switched", unreachable=host, serving=self._hosts.serving, reason=answer.reason)
        else:
            self._hosts.connected(host)

    def _consider(self, call: _Call, outcome: Failure) -> Stop | Again:
        """Decide what follows a failed attempt, and prepare it."""
        if over_the_ceiling(call.command, outcome):
            self._limiter.refused(call.command)
        if maybe_done(call.command, outcome):
            call.doubt = outcome
        if not isinstance(outcome, Held):
            call.trouble = outcome
        trouble = trouble_of(call.command, outcome)
        times = 0
        if isinstance(trouble, Trouble):
            times = call.troubles[trouble] = call.troubles.get(trouble, 0) + 1
        decision = decide(
            trouble,
            times,
            elapsed=self._clock.monotonic() - call.began,
            latest=call.latest - call.began,
            jitter=self._random.random(),
        )
        if isinstance(decision, Again):
            if decision.fresh_signature:
                self._signer.fresh(call.usersig)
            log.info("call.again", **_described(call, outcome), wait=round(decision.wait, 3))
        return decision

    def _failure(self, call: _Call, outcome: Failure, decision: Stop | Again) -> CallFailed:
        """What the caller of a failed call is told."""
        command = call.command
        if isinstance(outcome, Held) and call.trouble is not None:
            outcome = call.trouble  # there was no turn for one more try; what needs telling is why it was needed
        outcome = standing(command, call.doubt, outcome)
        log.info("call.failed", **_described(call, outcome))
        row = codes.look_up(command.service, command.name, outcome.code) if isinstance(outcome, Refused) else None
        return CallFailed(
            command,
            outcome,
            call.attempts,
            row,
            decision,
            in_doubt=call.doubt is not None and call.doubt is not outcome,
            clock_skew=self.clock_skew,
        )


@lru_cache(maxsize=256)
def _row(service: str, name: str) -> Command[Any, Any]:
    """The row of the catalog, or a cautious one for a command that is not in it."""
    known = COMMANDS.get((service, name))
    if known is not None:
        return known
    if not (_NAME.fullmatch(service) and _NAME.fullmatch(name)):
        raise ValueError("a service and a command are named by letters, digits and _")
    return Command(service, name, UNMODELLED, Retry.UNSAFE, Community.UNRELATED, "not in the catalog")


def _seen(call: _Call, outcome: Outcome[Any], seconds: float) -> Attempt:
    code = outcome.code if isinstance(outcome, Refused) else None
    kind = type(outcome).__name__.lower()
    return Attempt(call.command.service, call.command.name, call.attempts, kind, code, seconds)


def _described(call: _Call, outcome: Failure) -> dict[str, object]:
    """Fields of a log event; the service's own text stays out, it may quote the message."""
    return {
        "service": call.command.service,
        "command": call.command.name,
        "attempt": call.attempts,
        "outcome": type(outcome).__name__.lower(),
        "reason": outcome.code if isinstance(outcome, Refused) else outcome.reason,
    }
