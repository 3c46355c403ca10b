"""People with phones, moved from outside: one action of one user, with the webhooks that a client's action has."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, validate_call

from channel_adapter.stub.callbacks.delivery import Webhooks
from channel_adapter.stub.settings import SettingsError
from channel_adapter.stub.world.context import ALLOW, Decision
from channel_adapter.stub.world.simulated_user import Client
from channel_adapter.stub.world.stub_state import World
from channel_adapter.tencent.wire.envelope import WireModel

_PLAIN: Final = frozenset(
    [
        *("login", "logout", "leave", "read", "unread", "set_receive_option", "edit", "recall", "unfollow"),
        *("set_extensions", "delete_extensions", "file", "unfile", "drop_folder"),
    ]
)
_ASKING: Final = "ask_"
# action -> what asks the app before it, and with which of the arguments
_ASKED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "join": ("ask_join", ("group_id",)),
    "post": ("ask_post", ("group_id", "body", "random")),
    "follow": ("ask_follow", ("account_id",)),
}


class Action(BaseModel):
    """`{"user": "reader_1", "do": "join", "with": {"group_id": "..."}}`: a method of the world's client."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    user: str
    do: str
    platform: str = "iOS"
    arguments: dict[str, Any] = Field(default={}, alias="with")


async def act(world: World, webhooks: Webhooks, action: Action, peer: str | None) -> Any:
    """Carry an action out; its result as JSON values. Refusal where the service refuses, SettingsError for a slip."""
    if action.do not in _PLAIN and action.do not in _ASKED:
        raise SettingsError(f"do: one of {', '.join(sorted({*_PLAIN, *_ASKED}))}")
    try:
        client = world.client(action.user, action.platform)
    except ValueError as error:
        raise SettingsError(f"platform: {error}") from None
    if action.do in _PLAIN:
        return _json(_call(client, action.do, action.arguments))
    decision = await _ask(client, webhooks, action, peer)
    with webhooks.on_behalf_of(peer):
        return _json(_call(client, action.do, {**action.arguments, "decision": decision}))


async def _ask(client: Client, webhooks: Webhooks, action: Action, peer: str | None) -> Decision:
    if not webhooks.on:
        return ALLOW
    question, names = _ASKED[action.do]
    arguments = {name: action.arguments[name] for name in names if name in action.arguments}
    return await webhooks.ask(_call(client, question, arguments), peer)


def _call(client: Client, method: str, arguments: Mapping[str, Any]) -> Any:
    """Call a method with arguments that came from outside: names and types are checked."""
    try:
        return validate_call(getattr(client, method))(**arguments)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"{method.removeprefix(_ASKING)}: {where}: {problem['msg']}") from None


def _json(result: Any) -> Any:
    if isinstance(result, WireModel):
        return result.to_wire()
    return [_json(item) for item in result] if isinstance(result, list) else result
