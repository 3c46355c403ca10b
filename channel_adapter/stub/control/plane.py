"""The control plane under `/_stub/`, for tests in other processes and languages.

Real HTTP status codes and plain JSON. Callers on loopback that name this server in `Host` need nothing; others need the
bearer token, and are refused when none is set. A foreign Host is that of a web page whose name was bound to a loopback
address. Requests of web pages that carry an Origin are refused. A body is read after its caller is accepted. No answer
contains a key, signature or token.
"""

import hmac
import tomllib
from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from channel_adapter.config.values import OptionalSecret
from channel_adapter.quoting import shown_text
from channel_adapter.stub.callbacks.delivery import LOCAL_ADDRESS, Delivery, WebhookSender, WebhooksOffError
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.user_actions import UserAction, perform
from channel_adapter.stub.dispatcher import RequestDispatcher
from channel_adapter.stub.faults.faults import Latency
from channel_adapter.stub.request_log import RecordedCall, nearest
from channel_adapter.stub.routes import find, read_query
from channel_adapter.stub.scenario import read_faults, read_model
from channel_adapter.stub.settings import SettingsError
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.snapshot import SnapshotError
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent.catalog import MULTIACCOUNT_IMPORT
from channel_adapter.tencent.limits import ACCOUNTS_PER_CALL
from channel_adapter.tencent.wire.accounts import MultiaccountImportRequest, NewAccount
from channel_adapter.tencent.wire.callback_samples import samples

_STRICT: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SeedCall(BaseModel):
    """One call: `create_group` or `group_open_http_svc/create_group`, and its JSON body."""

    model_config = _STRICT
    command: str
    body: dict[str, Any] = {}


class Seed(BaseModel):
    """The initial state: accounts, then any calls of the service in order."""

    model_config = _STRICT
    accounts: list[str] = []
    calls: list[SeedCall] = []

    def all_calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the calls that import the accounts, then the given calls."""
        batches = [
            self.accounts[start : start + ACCOUNTS_PER_CALL]
            for start in range(0, len(self.accounts), ACCOUNTS_PER_CALL)
        ]
        imports = [
            MultiaccountImportRequest(account_list=[NewAccount(user_id=user) for user in batch]).to_wire()
            for batch in batches
        ]
        return [(MULTIACCOUNT_IMPORT.path, body) for body in imports] + [(c.command, c.body) for c in self.calls]


class ClockChange(BaseModel):
    """Applied in the order of the fields. Unix seconds."""

    model_config = _STRICT
    resume: bool = False
    freeze: StrictBool | float = Field(default=False, union_mode="left_to_right")
    set: float | None = None
    advance: float = 0.0

    def apply(self, clock: StubClock) -> None:
        if self.resume:
            clock.resume()
        if self.freeze is not False:
            clock.freeze(None if self.freeze is True else self.freeze)
        if self.set is not None:
            clock.set(self.set)
        if self.advance:
            clock.advance(self.advance)


class LatencyChange(BaseModel):
    """Seconds."""

    model_config = _STRICT
    base: float = Field(ge=0)
    spread: float = Field(default=0.0, ge=0)


class ExpectedCall(BaseModel):
    """A call that a test expected."""

    model_config = _STRICT
    command: str | None = None
    fields: dict[str, Any] = {}


class Redelivery(BaseModel):
    model_config = _STRICT
    number: int


class Trigger(BaseModel):
    """An event that a test makes; `body` is merged into the sample of the command, null removes a field."""

    model_config = _STRICT
    command: str
    body: dict[str, Any] = {}
    platform: str | None = None


def call_json(call: RecordedCall) -> dict[str, Any]:
    """Return a call as the control plane shows it."""
    shown = call._asdict()
    del shown["raw"]
    return {**shown, "body": call.body}


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    return delivery._asdict()


def wanted_fields(query: dict[str, str]) -> dict[str, Any]:
    """Return the body fields of a query, their values as JSON where they are JSON: `Random=7` is a number."""
    return {name: _parse_value(text) for name, text in query.items()}


def _parse_value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


PREFIX: Final = "/_stub/"
CALLS_SHOWN: Final = 100
_LIMIT_DIGITS: Final = 18


class ControlSettings(BaseModel):
    """Access to the control plane."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    token: OptionalSecret = Field(
        default=cast("Any", None), description="bearer token of callers that are not on loopback"
    )


class ControlError(Exception):
    """A request that the control plane refuses; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A request to the control plane: query and body, parsed."""

    query: dict[str, str]
    body: Any
    remote: str | None = None


ControlHandler = Callable[["ControlPlane", ControlRequest], Any]


class ControlPlane:
    """Executes control requests on one stub."""

    def __init__(
        self,
        settings: ControlSettings,
        dispatcher: RequestDispatcher,
        webhooks: WebhookSender,
        latency: Latency,
        reset: Callable[[], None],
        *,
        hosts: Collection[str] = (),
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._webhooks = webhooks
        self._latency = latency
        self._reset = reset
        self._hosts = frozenset(host.lower() for host in ("localhost", *hosts))

    async def answer(
        self,
        method: str,
        url: str,
        remote: str | None,
        headers: Mapping[str, str],
        read: Callable[[], Awaitable[bytes]],
    ) -> tuple[int, bytes]:
        """Return HTTP status and JSON for one request; `read` returns its body and may raise Refusal."""
        try:
            self._check_access(remote, headers)
            raw = await _read_body(read)
            path, _, query = url.removeprefix(PREFIX).partition("?")
            handler = _find_handler(method, path.rstrip("/"))
            result = handler(
                self, ControlRequest(read_query(query) if query else {}, _parse_body(raw, headers), remote)
            )
            if isinstance(result, Awaitable):
                result = await result
        except ControlError as error:
            return error.status, orjson.dumps({"error": error.message})
        except SettingsError as error:
            return 400, orjson.dumps({"error": str(error)})
        return 200, orjson.dumps({"ok": True} if result is None else result)

    def _check_access(self, remote: str | None, headers: Mapping[str, str]) -> None:
        if "Origin" in headers:
            raise ControlError(403, "requests of web pages are refused")
        near = remote is not None and ip_address(remote.partition("%")[0]).is_loopback
        if near and self._names_this_server(headers.get("Host")):
            return
        token = self._settings.token
        if token is None:
            who = "callers that name this server in Host" if near else "callers on loopback"
            raise ControlError(403, f"only for {who}: the stub was given no control token")
        given = headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            raise ControlError(401, "send the control token: Authorization: Bearer ...")

    def _names_this_server(self, host: str | None) -> bool:
        """Return whether a Host header is absent, a loopback address, or a name that the stub was given."""
        if host is None:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        except ValueError:
            return False
        return name in self._hosts or _is_loopback(name)

    def health(self, _: ControlRequest) -> Any:
        world = self._dispatcher.world
        return {
            "status": "ok",
            "sdkappid": world.settings.app.sdkappid,
            "now": world.clock.now(),
            "calls": self._dispatcher.log.count(),
            "accounts": world.state.account_count(),
            "groups": len(world.state.groups),
        }

    def reset(self, _: ControlRequest) -> None:
        self._reset()

    def seed(self, asked: ControlRequest) -> Any:
        """Execute calls as the admin, without authentication, faults and webhooks; stop at the first refusal."""
        calls = read_model(Seed, asked.body, "seed").all_calls()
        world = self._dispatcher.world
        with world.silenced():
            for number, (name, body) in enumerate(calls, 1):
                _execute_seed_call(world, name, body, f"call {number}, {shown_text(name)}")
        return {"done": len(calls)}

    def state(self, _: ControlRequest) -> Any:
        return self._dispatcher.world.dump()

    def load_state(self, asked: ControlRequest) -> None:
        try:
            self._dispatcher.world.load(asked.body)
        except SnapshotError as error:
            raise ControlError(400, str(error)) from None

    async def people(self, asked: ControlRequest) -> Any:
        """Perform an action of a simulated user; 409 with the code where the service refuses."""
        action = read_model(UserAction, asked.body, "people")
        try:
            return {"result": await perform(self._dispatcher.world, self._webhooks, action, asked.remote)}
        except Refusal as refusal:
            raise ControlError(409, str(refusal)) from None

    def clock(self, _: ControlRequest) -> Any:
        clock = self._dispatcher.world.clock
        return {"now": clock.now(), "frozen": clock.frozen}

    def change_clock(self, asked: ControlRequest) -> Any:
        change, clock = read_model(ClockChange, asked.body, "clock"), self._dispatcher.world.clock
        try:
            change.apply(copy(clock))
        except ValueError as error:
            raise ControlError(400, f"clock: {error}") from None
        change.apply(clock)
        return self.clock(asked)

    def faults(self, _: ControlRequest) -> Any:
        return self._dispatcher.faults.report()

    def add_faults(self, asked: ControlRequest) -> Any:
        self._dispatcher.faults.add(*read_faults(asked.body if isinstance(asked.body, list) else [asked.body]))
        return self.faults(asked)

    def replace_faults(self, asked: ControlRequest) -> Any:
        self._dispatcher.faults.replace(read_faults(asked.body))
        return self.faults(asked)

    def clear_faults(self, asked: ControlRequest) -> Any:
        self._dispatcher.faults.replace(())
        return self.faults(asked)

    def latency(self, asked: ControlRequest) -> None:
        change = read_model(LatencyChange, asked.body, "latency")
        self._latency.set(change.base, change.spread)

    def calls(self, asked: ControlRequest) -> Any:
        """Return the latest calls, oldest first, filtered by `command`, `limit` and any body field."""
        query = dict(asked.query)
        command, limit = query.pop("command", None), query.pop("limit", str(CALLS_SHOWN))
        if not limit.isdecimal() or len(limit) > _LIMIT_DIGITS:
            raise ControlError(400, "limit must be a number")
        texts, values = query, wanted_fields(query)
        found = [c for c in self._dispatcher.log.calls(command) if c.matches(**texts) or c.matches(**values)]
        return [call_json(call) for call in found[len(found) - min(len(found), int(limit)) :]]

    def nearest(self, asked: ControlRequest) -> Any:
        expected = read_model(ExpectedCall, asked.body, "expected")
        misses = nearest(self._dispatcher.log, expected.command, expected.fields)
        return [
            {"call": call_json(miss.call), "differences": [d._asdict() for d in miss.differences]} for miss in misses
        ]

    def counters(self, _: ControlRequest) -> Any:
        return [
            {"command": path, "code": code, "times": times}
            for (path, code), times in self._dispatcher.log.answers.items()
        ]

    def unknown_fields(self, _: ControlRequest) -> Any:
        seen = self._dispatcher.world.unknown_fields
        return [{"command": path, "field": field, "times": times} for (path, field), times in seen.items()]

    def webhooks(self, _: ControlRequest) -> Any:
        return self._webhooks.settings.model_dump(mode="json", exclude={"token"})

    def change_webhooks(self, asked: ControlRequest) -> Any:
        self._webhooks.settings = read_model(CallbackSettings, asked.body, "webhooks")
        return self.webhooks(asked)

    def deliveries(self, asked: ControlRequest) -> Any:
        command = asked.query.get("command")
        return [delivery_json(d) for d in self._webhooks.deliveries if command in (None, d.command)]

    def redeliver(self, asked: ControlRequest) -> None:
        number = read_model(Redelivery, asked.body, "redeliver").number
        if not self._webhooks.redeliver(number):
            raise ControlError(404, f"delivery {number} is not kept, or webhooks are off")

    async def trigger(self, asked: ControlRequest) -> Any:
        """Send an event without a cause in the stub; answer when it is delivered or its retries are used up."""
        wanted = read_model(Trigger, asked.body, "trigger")
        try:
            delivery = await self._webhooks.trigger(
                wanted.command, wanted.body, platform=wanted.platform, client_ip=asked.remote or LOCAL_ADDRESS
            )
        except WebhooksOffError as off:
            raise ControlError(409, str(off)) from None
        return delivery_json(delivery)

    def samples(self, _: ControlRequest) -> Any:
        """Return each command that can be triggered, with a sample of its body."""
        return {command: {**sample.body, "CallbackCommand": command} for command, sample in samples().items()}


ROUTES: Final[Mapping[tuple[str, str], ControlHandler]] = {
    ("GET", "health"): ControlPlane.health,
    ("POST", "reset"): ControlPlane.reset,
    ("POST", "seed"): ControlPlane.seed,
    ("GET", "state"): ControlPlane.state,
    ("PUT", "state"): ControlPlane.load_state,
    ("POST", "people"): ControlPlane.people,
    ("GET", "clock"): ControlPlane.clock,
    ("POST", "clock"): ControlPlane.change_clock,
    ("GET", "faults"): ControlPlane.faults,
    ("POST", "faults"): ControlPlane.add_faults,
    ("PUT", "faults"): ControlPlane.replace_faults,
    ("DELETE", "faults"): ControlPlane.clear_faults,
    ("PUT", "latency"): ControlPlane.latency,
    ("GET", "calls"): ControlPlane.calls,
    ("POST", "calls/nearest"): ControlPlane.nearest,
    ("GET", "counters"): ControlPlane.counters,
    ("GET", "unknown_fields"): ControlPlane.unknown_fields,
    ("GET", "webhooks"): ControlPlane.webhooks,
    ("PUT", "webhooks"): ControlPlane.change_webhooks,
    ("GET", "webhooks/deliveries"): ControlPlane.deliveries,
    ("POST", "webhooks/redeliver"): ControlPlane.redeliver,
    ("POST", "webhooks/trigger"): ControlPlane.trigger,
    ("GET", "webhooks/samples"): ControlPlane.samples,
}


def _execute_seed_call(world: StubState, name: str, body: dict[str, Any], what: str) -> None:
    command = find(name)
    if command is None:
        raise ControlError(400, f"{what}: no such command")
    try:
        world.execute(command, body, caller=world.settings.app.admin)
    except Refusal as refusal:
        raise ControlError(409, f"{what}: {refusal}; the calls before it were done") from None


def _find_handler(method: str, path: str) -> ControlHandler:
    handler = ROUTES.get((method, path))
    if handler is not None:
        return handler
    methods = sorted(known for known, where in ROUTES if where == path)
    if methods:
        raise ControlError(405, f"{PREFIX}{path} takes {' or '.join(methods)}")
    raise ControlError(
        404, f"no {PREFIX}{shown_text(path)}; there are {', '.join(sorted({where for _, where in ROUTES}))}"
    )


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


async def _read_body(read: Callable[[], Awaitable[bytes]]) -> bytes:
    try:
        return await read()
    except Refusal as refusal:
        raise ControlError(400, refusal.info) from None


def _parse_body(raw: bytes, headers: Mapping[str, str]) -> Any:
    """Parse JSON, or TOML if the Content-Type names it; an empty body is an empty object."""
    if not raw:
        return {}
    try:
        if "toml" in headers.get("Content-Type", ""):
            return tomllib.loads(raw.decode())
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ControlError(400, f"the body cannot be read: {shown_text(error)}") from None
