"""Bodies of the control plane, both ways."""

from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field

from channel_adapter.stub.callback_delivery import Delivery
from channel_adapter.stub.request_log import Call
from channel_adapter.stub.world.clock import WorldClock
from channel_adapter.tencent.catalog import MULTIACCOUNT_IMPORT
from channel_adapter.tencent.limits import ACCOUNTS_PER_CALL
from channel_adapter.tencent.wire.accounts import MultiaccountImportRequest, NewAccount

_STRICT: Final = ConfigDict(extra="forbid", frozen=True)


class SeedCall(BaseModel):
    """One call: `create_group` or `group_open_http_svc/create_group`, and its JSON body."""

    model_config = _STRICT
    command: str
    body: dict[str, Any] = {}


class Seed(BaseModel):
    """What a world starts with: accounts, then any calls of the service in order."""

    model_config = _STRICT
    accounts: list[str] = []
    calls: list[SeedCall] = []

    def all_calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Accounts as calls of the usual size, then the calls."""
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
    freeze: bool | float = Field(default=False, union_mode="left_to_right")
    set: float | None = None
    advance: float = 0.0

    def apply(self, clock: WorldClock) -> None:
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


class Expected(BaseModel):
    """A call that should have come."""

    model_config = _STRICT
    command: str | None = None
    fields: dict[str, Any] = {}


class Redelivery(BaseModel):
    model_config = _STRICT
    number: int


class Trigger(BaseModel):
    """An event of the test's own; `body` is merged into the sample of the command, null takes a field out."""

    model_config = _STRICT
    command: str
    body: dict[str, Any] = {}
    platform: str | None = None


def call_json(call: Call) -> dict[str, Any]:
    """A call as the control plane shows it."""
    shown = call._asdict()
    del shown["raw"]
    return {**shown, "body": call.body}


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    return delivery._asdict()


def wanted_fields(query: dict[str, str]) -> dict[str, Any]:
    """Body fields of a query with their values as JSON where they are JSON: `Random=7` is the number."""
    return {name: _value(text) for name, text in query.items()}


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
