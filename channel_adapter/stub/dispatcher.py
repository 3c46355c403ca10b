"""Turns a request into an answer: authentication, faults, before-event, state, request log. Uses no HTTP library."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from channel_adapter.stub.authenticator import AuthenticatedRequest, RequestAuthenticator, calls_per_second
from channel_adapter.stub.callbacks.delivery import WebhookSender
from channel_adapter.stub.faults.batches import batch_of, remove_items, restore_items
from channel_adapter.stub.faults.faults import Faults, MatchedFault
from channel_adapter.stub.rates import RateLimitAlarm
from channel_adapter.stub.request_log import RecordedCall, RequestLog
from channel_adapter.stub.routes import USERSIG, RequestTarget, read_target
from channel_adapter.stub.world.context import PrebuiltReply
from channel_adapter.stub.world.refusal import REPLACED, Refusal
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import CONTACT_SERVICE, PROFILE_SERVICE, Command
from channel_adapter.tencent.wire.envelope import FAIL, Reply

ReplyT = TypeVar("ReplyT", Reply | PrebuiltReply, bytes)

NOWHERE: Final = RequestTarget("", "", None, {})
_WITH_DISPLAY: Final = frozenset({CONTACT_SERVICE, PROFILE_SERVICE})  # their envelope has ErrorDisplay [doc 1640]


class StubResponse(NamedTuple):
    """The JSON of an envelope, and the fault that decides how it is sent."""

    body: bytes
    matched: MatchedFault | None = None


class RequestDispatcher:
    """Takes one request, returns its answer and records the call."""

    def __init__(
        self, world: StubState, *, faults: Faults | None = None, webhooks: WebhookSender | None = None
    ) -> None:
        self.world = world
        self.log = RequestLog()
        self.faults = Faults() if faults is None else faults
        self.webhooks = webhooks
        self._resets = 0
        self._apply_settings()

    def reset(self) -> None:
        """Empty the state, the log and the rate windows. Settings, clock and faults stay.

        Calls that wait for the app meanwhile are neither carried out nor recorded.
        """
        self._resets += 1
        self.world.reset()
        self.log.clear()
        self.faults.replace(list(self.faults))
        self._apply_settings()

    def _apply_settings(self) -> None:
        settings = self.world.settings
        self._alarm = RateLimitAlarm(calls_per_second(settings), self.world.emit)
        self._authenticator = RequestAuthenticator(settings, self.world.clock.now, self._count_call)

    def _count_call(self, command: Command[Any, Any], now: float) -> None:
        if self.world.listening:
            self._alarm.count(command, now)

    async def answer(self, method: str, url: str, remote: str | None, raw: bytes) -> StubResponse:
        """Execute one request and return the JSON of its answer."""
        started, resets = perf_counter(), self._resets
        target, caller, matched = NOWHERE, None, None
        code: int | None = codes.OK
        try:
            target = read_target(method, url)
            authenticated = self._authenticator.authenticate(target, remote, raw)
            caller = authenticated.caller
            if self.faults:
                matched = self.faults.match(authenticated.command, authenticated.body, self.world.clock.now())
            if matched is None and self._has_no_webhooks:
                body = self.world.answer(authenticated.command, authenticated.body, caller=caller)
            elif matched is None:
                body = await self._execute_call(authenticated, remote, self.world.answer)
            else:
                body = await self._execute_with_fault(authenticated, remote, matched)
        except Refusal as refusal:
            code = refusal.code
            body = refusal_json(target.service, refusal)
        if matched is not None and matched.fault.silent:
            code = None
        if resets == self._resets:
            self.record(target, caller, code, perf_counter() - started, raw)
        return StubResponse(body, matched)

    @property
    def _has_no_webhooks(self) -> bool:
        return self.webhooks is None or not self.webhooks.on

    def record(self, target: RequestTarget, caller: str | None, code: int | None, seconds: float, raw: bytes) -> None:
        """Record a call. `code` None: no envelope was sent."""
        call = RecordedCall(self.world.clock.now(), target.service, target.name, caller, code, seconds, raw)
        self.log.add(call, known=target.command is not None, secret=target.query.get(USERSIG, ""))

    async def _execute_call(
        self, authenticated: AuthenticatedRequest, remote: str | None, do: Callable[..., ReplyT]
    ) -> ReplyT:
        """Send the before-event, if the app listens, and `do` the call: `world.execute`, or `world.answer` for JSON."""
        command, body, caller = authenticated
        webhooks = self.webhooks
        if webhooks is None or not webhooks.on:
            return do(command, body, caller=caller)
        state = self.world.state
        with webhooks.on_behalf_of(remote):  # a refusal has an event, too
            event = self.world.before_callback(command, body, caller=caller)
        decision = await webhooks.ask(event, remote)
        if self.world.state is not state:
            raise Refusal(codes.SERVICE_TIMEOUT, REPLACED)
        with webhooks.on_behalf_of(remote):
            return do(command, body, caller=caller, decision=decision)

    async def _execute_with_fault(
        self, authenticated: AuthenticatedRequest, remote: str | None, matched: MatchedFault
    ) -> bytes:
        fault, reply = matched.fault, Reply().to_wire()
        if fault.applied or not fault.hides:
            try:
                reply = await self._execute_batch(authenticated, remote, matched)
            except Refusal:
                if fault.code is None:
                    raise
        if fault.code is not None:
            raise Refusal(fault.code, fault.info)
        return orjson.dumps(reply | fault.extra)

    async def _execute_batch(
        self, authenticated: AuthenticatedRequest, remote: str | None, matched: MatchedFault
    ) -> dict[str, Any]:
        """Return the reply; if the fault asks for it, some items of a batch have failed."""
        fault, batch = matched.fault, batch_of(authenticated.command, authenticated.body)
        if fault.fail_items is None or batch is None:
            return (await self._execute_call(authenticated, remote, self.world.execute)).to_wire()
        remaining = remove_items(batch, authenticated.body, fault.fail_items)
        if remaining.empty:
            reply: Reply | PrebuiltReply = Reply(error_display=_display_field(authenticated.command.service))
        else:
            reply = await self._execute_call(authenticated._replace(body=remaining.body), remote, self.world.execute)
        return restore_items(batch, authenticated.body, reply.to_wire(), remaining, fault.item_code, self.world.state)


def refusal_json(service: str, refusal: Refusal) -> bytes:
    """Return the envelope of a refusal."""
    return Reply(
        action_status=FAIL,
        error_code=refusal.code,
        error_info=refusal.info,
        error_display=_display_field(service),
    ).to_json()


def _display_field(service: str) -> str | None:
    return "" if service in _WITH_DISPLAY else None
