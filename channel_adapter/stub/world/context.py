"""One call: what a handler gets, and what it may return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

import orjson

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import AppData
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire.callback_envelope import DROP, REFUSE, REST, Callback, CallbackReply
from channel_adapter.tencent.wire.callbacks_official import BeforeAddSubscriber
from channel_adapter.tencent.wire.envelope import Reply, WireModel

_OK = Reply().to_wire()
_ERROR_DISPLAY = Reply.model_fields["error_display"].alias or ""


class PrebuiltReply:
    """A reply whose items are JSON values already: a page of items needs no model for each of them.

    `values` has the JSON names of the wire models, without those of the envelope.
    """

    __slots__ = ("error_display", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.error_display: str | None = None

    def to_json(self) -> bytes:
        """Return the reply as UTF-8 bytes."""
        return orjson.dumps(self.to_wire())

    def to_wire(self) -> dict[str, Any]:
        """Return the reply as a dict."""
        display = {} if self.error_display is None else {_ERROR_DISPLAY: self.error_display}
        return {**_OK, **display, **self.values}


def prebuilt(reply: type[Reply], **attributes: Any) -> PrebuiltReply:
    """Return a reply of this type; `attributes` whose items have JSON names are used as they are."""
    return PrebuiltReply(prebuilt_item(reply, **attributes))


def prebuilt_item(model: type[WireModel], **attributes: Any) -> dict[str, Any]:
    """Return an object of this type as JSON values; None is left out."""
    names = json_names(model)
    return {names[name]: value for name, value in attributes.items() if value is not None}


@cache
def json_names(model: type[WireModel]) -> Mapping[str, str]:
    """Return the JSON name of each attribute."""
    return MappingProxyType({name: field.alias or name for name, field in model.model_fields.items()})


RESTAPI = REST
_ANSWER = [  # what counts of the app's answer
    str(CallbackReply.model_fields[name].alias)
    for name in ("error_code", "error_info", "msg_body", "cloud_custom_data", "refused_members")
]
_REFUSED_SUBSCRIBERS = str(CallbackReply.model_fields["refused_subscribers"].alias)

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """An event for the app's webhook: `body` is the documented JSON, `platform` its OptPlatform."""

    command: str
    body: dict[str, Any]
    platform: str = RESTAPI


@dataclass(frozen=True, slots=True)
class CallbackDecision:
    """The app's answer to a before-event. 0 allows, 1 refuses, 2 drops a message silently, others are passed on."""

    code: int = 0
    info: str = ""
    msg_body: list[dict[str, Any]] | None = None
    cloud_custom_data: str | None = None
    refused: frozenset[str] = frozenset()

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], command: str = "") -> Self:
        """Read the JSON that the app's server sent back to `command`; fields of a wrong type are left out."""
        code, info, body, cloud, refused = (answer.get(name) for name in _ANSWER)
        if command == BeforeAddSubscriber.command:
            refused = answer.get(_REFUSED_SUBSCRIBERS, refused)
        return cls(
            code if isinstance(code, int) else 0,
            info if isinstance(info, str) else "",
            body if isinstance(body, list) else None,
            cloud if isinstance(cloud, str) else None,
            frozenset(a for a in refused if isinstance(a, str)) if isinstance(refused, list) else frozenset(),
        )


ALLOW = CallbackDecision()


@dataclass(slots=True)
class CommandContext(Generic[RequestT]):
    """A parsed request and what its handler may use. `time` is in seconds with a fraction, `now` whole seconds."""

    request: RequestT
    state: AppData
    settings: StubSettings
    random: Random
    time: float
    caller: str
    platform: str = RESTAPI
    decision: CallbackDecision = ALLOW
    events: list[CallbackEvent] = field(default_factory=list)
    listening: bool = True  # False: no listener, so no events are made
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = int(self.time)

    def is_app_admin(self, user: str) -> bool:
        return user in self.settings.app.admins

    def event(self, kind: type[Callback], **members: Any) -> CallbackEvent:
        """Return an event about this call; `members` by the names of the model, None is left out. Its time is now."""
        common = {"callback_command": kind.command, "event_time": int(self.time * 1000)}
        return CallbackEvent(kind.command, kind.model_validate(common | members).to_wire(), self.platform)

    def emit(self, kind: type[Callback], **members: Any) -> None:
        """Queue an after-event; it is sent also when the call is refused, as some events are about that."""
        if self.listening:
            self.events.append(self.event(kind, **members))

    def apply_decision(self, refusal_code: int) -> None:
        """Raise Refusal if the app refused; `refusal_code` is the code of a plain refusal."""
        if self.decision.code == REFUSE:
            raise Refusal(refusal_code, self.decision.info or "refused by the app's before-webhook")
        if self.decision.code not in (0, DROP):
            raise Refusal(self.decision.code, self.decision.info)


@dataclass(frozen=True, slots=True)
class CommandHandler:
    """Executes a command. `before` checks the call and returns the before-event, if the command has one."""

    command: Command[Any, Any]
    run: Callable[[CommandContext[Any]], Reply | PrebuiltReply]
    before: Callable[[CommandContext[Any]], CallbackEvent | None] | None = None
    respell: Callable[[Any, StubSettings], Any] | None = None  # takes a body in another documented spelling
    sized: bool = False  # a reading command of the group service: its answer may grow over 1 MB
    refusals_only: bool = False  # the stub never carries it out, for want of what it is about


def handles(
    command: Command[RequestT, ReplyT],
    *,
    before: Callable[[CommandContext[RequestT]], CallbackEvent | None] | None = None,
    respell: Callable[[Any, StubSettings], Any] | None = None,
    sized: bool = False,
    refusals_only: bool = False,
) -> Callable[[Callable[[CommandContext[RequestT]], ReplyT | PrebuiltReply]], CommandHandler]:
    """Make a function the handler of a catalog row."""

    def wrap(run: Callable[[CommandContext[RequestT]], ReplyT | PrebuiltReply]) -> CommandHandler:
        return CommandHandler(command, run, before, respell, sized, refusals_only)

    return wrap
