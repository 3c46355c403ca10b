"""Actions of simulated users through the control plane, with the webhooks that such an action has."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, validate_call

from channel_adapter.quoting import shown_text
from channel_adapter.stub.callbacks.delivery import WebhookSender
from channel_adapter.stub.settings import SettingsError
from channel_adapter.stub.world.context import ALLOW, CallbackDecision
from channel_adapter.stub.world.refusal import REPLACED, Refusal
from channel_adapter.stub.world.simulated_user import SimulatedUser
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import codes
from channel_adapter.tencent.limits import RANDOM_HIGHEST
from channel_adapter.tencent.wire.envelope import WireModel

_WITHOUT_BEFORE_EVENT: Final = frozenset(
    [
        *("login", "logout", "leave", "read", "unread", "set_receive_option", "edit", "recall", "unfollow"),
        *("set_extensions", "delete_extensions", "file", "unfile", "drop_folder"),
        *("read_messages", "unread_messages", "read_all", "confirm_read", "edit_message", "recall_message"),
        *("delete_messages", "set_message_extensions"),
    ]
)
_BEFORE: Final = "before_"
# action -> what asks the app before it, and with which of the arguments
_WITH_BEFORE_EVENT: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "join": ("before_join", ("group_id",)),
    "post": ("before_post", ("group_id", "body", "random")),
    "send": ("before_send", ("peer", "body", "random")),
    "follow": ("before_follow", ("account_id",)),
}


class UserAction(BaseModel):
    """`{"user": "reader_1", "do": "join", "with": {"group_id": "..."}}`: a method of SimulatedUser."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    user: str
    do: str
    platform: str = "iOS"
    arguments: dict[str, Any] = Field(default={}, alias="with")


async def perform(world: StubState, webhooks: WebhookSender, action: UserAction, remote: str | None) -> Any:
    """Perform an action and return its result as JSON values. Refusal as the service, SettingsError for mistakes."""
    if action.do not in _WITHOUT_BEFORE_EVENT and action.do not in _WITH_BEFORE_EVENT:
        raise SettingsError(f"do: one of {', '.join(sorted({*_WITHOUT_BEFORE_EVENT, *_WITH_BEFORE_EVENT}))}")
    try:
        client = world.client(action.user, action.platform)
    except ValueError as error:
        raise SettingsError(f"platform: {error}") from None
    if action.do in _WITHOUT_BEFORE_EVENT:
        with webhooks.on_behalf_of(remote):
            return _to_json(_call_method(client, action.do, action.arguments))
    _, shared = _WITH_BEFORE_EVENT[action.do]
    if "random" in shared and action.arguments.get("random") is None:  # both webhooks name the message alike
        drawn = {"random": world.draw(RANDOM_HIGHEST)}
        action = action.model_copy(update={"arguments": action.arguments | drawn})
    state = world.state
    decision = await _ask_before_event(client, webhooks, action, remote)
    if world.state is not state:
        raise Refusal(codes.SERVICE_TIMEOUT, REPLACED)
    with webhooks.on_behalf_of(remote):
        return _to_json(_call_method(client, action.do, {**action.arguments, "decision": decision}))


async def _ask_before_event(
    client: SimulatedUser, webhooks: WebhookSender, action: UserAction, remote: str | None
) -> CallbackDecision:
    if not webhooks.on:
        return ALLOW
    method, names = _WITH_BEFORE_EVENT[action.do]
    arguments = {name: action.arguments[name] for name in names if name in action.arguments}
    with webhooks.on_behalf_of(remote):
        event = _call_method(client, method, arguments)
    return await webhooks.ask(event, remote)


def _call_method(client: SimulatedUser, method: str, arguments: Mapping[str, Any]) -> Any:
    """Call a method with arguments that came from outside: names and types are checked."""
    try:
        return validate_call(getattr(client, method))(**arguments)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"{method.removeprefix(_BEFORE)}: {shown_text(where)}: {problem['msg']}") from None


def _to_json(result: Any) -> Any:
    if isinstance(result, WireModel):
        return result.to_wire()
    return [_to_json(item) for item in result] if isinstance(result, list) else result
