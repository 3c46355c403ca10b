"""Where a request becomes an answer: gate, faults, the app's webhook, world, request log. Knows no HTTP library."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from channel_adapter.stub.authenticator import Admitted, Gate, calls_per_second
from channel_adapter.stub.callbacks.delivery import Webhooks
from channel_adapter.stub.faults.batches import batch_of, put_back, take_out
from channel_adapter.stub.faults.faults import Faults, Struck
from channel_adapter.stub.rates import LimitAlarm
from channel_adapter.stub.request_log import Call, RequestLog
from channel_adapter.stub.routes import USERSIG, Target, read_target
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.stub_state import World
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import CONTACT_SERVICE, PROFILE_SERVICE, Command
from channel_adapter.tencent.wire.envelope import FAIL, Reply

ReplyT = TypeVar("ReplyT", Reply, bytes)

NOWHERE: Final = Target("", "", None, {})
_WITH_DISPLAY: Final = frozenset({CONTACT_SERVICE, PROFILE_SERVICE})  # their envelope has ErrorDisplay [doc 1640]


class Answer(NamedTuple):
    """The JSON of an envelope, and the fault that decides how it travels."""

    body: bytes
    struck: Struck | None = None


class Desk:
    """One request in, one answer out, everything written down."""

    def __init__(self, world: World, *, faults: Faults | None = None, webhooks: Webhooks | None = None) -> None:
        self.world = world
        self.log = RequestLog()
        self.faults = Faults() if faults is None else faults
        self.webhooks = webhooks
        self._open()

    def reset(self) -> None:
        """Start anew: empty world, empty log, full rate windows. Settings, clock and faults stay."""
        self.world.reset()
        self.log.clear()
        self.faults.replace(list(self.faults))
        self._open()

    def _open(self) -> None:
        settings = self.world.settings
        self._alarm = LimitAlarm(calls_per_second(settings), self.world.emit)
        self._gate = Gate(settings, self.world.clock.now, self._count)

    def _count(self, command: Command[Any, Any], now: float) -> None:
        if self.world.on_event is not None:
            self._alarm.count(command, now)

    async def answer(self, method: str, url: str, peer: str | None, raw: bytes) -> Answer:
        """Carry out one request and give the JSON that answers it."""
        started = perf_counter()
        target, caller, struck = NOWHERE, None, None
        code: int | None = codes.OK
        try:
            target = read_target(method, url)
            admitted = self._gate.admit(target, peer, raw)
            caller = admitted.caller
            if self.faults:
                struck = self.faults.strike(admitted.command, admitted.body, self.world.clock.now())
            if struck is None:
                body = await self._carry_out(admitted, peer, self.world.answer)
            else:
                body = await self._carry_out_struck(admitted, peer, struck)
        except Refusal as refusal:
            code = refusal.code
            body = refusal_json(target.service, refusal)
        if struck is not None and struck.fault.silent:
            code = None
        self.record(target, caller, code, perf_counter() - started, raw)
        return Answer(body, struck)

    def record(self, target: Target, caller: str | None, code: int | None, seconds: float, raw: bytes) -> None:
        """Write a call down. `code` None: no envelope was sent."""
        call = Call(self.world.clock.now(), target.service, target.name, caller, code, seconds, raw)
        self.log.add(call, known=target.command is not None, secret=target.query.get(USERSIG, ""))

    async def _carry_out(self, admitted: Admitted, peer: str | None, do: Callable[..., ReplyT]) -> ReplyT:
        """Ask the app beforehand, if there is one, and `do` the call: `world.execute`, or `world.answer` for JSON."""
        command, body, caller = admitted
        webhooks = self.webhooks
        if webhooks is None or not webhooks.on:
            return do(command, body, caller=caller)
        event = self.world.before_callback(command, body, caller=caller)
        decision = await webhooks.ask(event, peer)
        with webhooks.on_behalf_of(peer):
            return do(command, body, caller=caller, decision=decision)

    async def _carry_out_struck(self, admitted: Admitted, peer: str | None, struck: Struck) -> bytes:
        fault = struck.fault
        if fault.applied or not fault.hides:
            reply = await self._carry_out_in_part(admitted, peer, struck)
        else:
            reply = Reply().to_wire()
        if fault.code is not None:
            raise Refusal(fault.code, fault.info)
        return orjson.dumps(reply | fault.extra)

    async def _carry_out_in_part(self, admitted: Admitted, peer: str | None, struck: Struck) -> dict[str, Any]:
        """The reply, with some items of a batch failed if the fault wants that."""
        fault, batch = struck.fault, batch_of(admitted.command, admitted.body)
        if fault.fail_items is None or batch is None:
            return (await self._carry_out(admitted, peer, self.world.execute)).to_wire()
        taken = take_out(batch, admitted.body, fault.fail_items)
        if taken.empty:
            reply = Reply(error_display=_display(admitted.command.service))
        else:
            reply = await self._carry_out(admitted._replace(body=taken.body), peer, self.world.execute)
        return put_back(batch, admitted.body, reply.to_wire(), taken, fault.item_code, self.world.state)


def refusal_json(service: str, refusal: Refusal) -> bytes:
    """The envelope of a refusal."""
    return Reply(
        action_status=FAIL,
        error_code=refusal.code,
        error_info=refusal.info,
        error_display=_display(service),
    ).to_json()


def _display(service: str) -> str | None:
    return "" if service in _WITH_DISPLAY else None
