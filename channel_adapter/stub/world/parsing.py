"""From a JSON value to a request: strict types, and the documented code of each service for other values."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import ValidationError

from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire.envelope import WireModel

ACCOUNT_FIELDS = frozenset({"UserID", "Identifier", "Accounts"})  # and every name that ends in _Account
OFFICIAL_MESSAGE_COMMANDS = frozenset(
    {"send_official_account_msg", "official_account_msg_recall", "official_account_msg_get_simple"}
)
BAD_PARAMETER = {
    catalog.ACCOUNT_SERVICE: codes.ACCOUNT_BAD_PARAMETER,
    catalog.MESSAGE_SERVICE: codes.MESSAGE_BAD_JSON,
    catalog.CONTACT_SERVICE: codes.CONTACT_BAD_PARAMETER,
    catalog.OFFICIAL_SERVICE: codes.OFFICIAL_BAD_PARAMETER,
    catalog.PROFILE_SERVICE: codes.PROFILE_BAD_PARAMETER,
}
ONE_TO_ONE = catalog.SENDMSG.area
NO_RECEIVER = {catalog.MESSAGE_SERVICE: codes.NO_RECEIVER, catalog.PROFILE_SERVICE: codes.PROFILE_NO_RECEIVER}


ONE_TO_ONE_FIELDS = {  # codes of the message commands by field [3.8, doc 34919]
    "MsgRandom": codes.BAD_MSG_RANDOM,
    "MsgTimeStamp": codes.BAD_MSG_TIME,
    "SyncOtherMachine": codes.BAD_SYNC,
    "MsgLifeTime": codes.BAD_LIFE_TIME,
    "OfflinePushInfo": codes.BAD_PUSH_INFO,
    "To_Account": codes.NO_RECEIVER,
    "Peer_Account": codes.NO_RECEIVER,
    "From_Account": codes.NO_SENDER,
    "Operator_Account": codes.NO_SENDER,
    "MsgKey": codes.BAD_MSG_KEY,
}


def bad_parameter(command: Command[Any, Any]) -> int:
    """Return the code of a service for a parameter of a wrong shape."""
    if command.name in OFFICIAL_MESSAGE_COMMANDS:
        return codes.BAD_PARAMETER
    return BAD_PARAMETER.get(command.service, codes.BAD_PARAMETER)


def parse(command: Command[Any, Any], body: Any) -> Any:
    """Return the request of `command` with its documented types, without conversions, or raise Refusal."""
    try:
        return command.request.model_validate(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    location = first["loc"]
    where = ".".join(str(part) for part in location) or "body"
    if is_account(location) and isinstance(first["input"], int | float) and not isinstance(first["input"], bool):
        raise Refusal(codes.ACCOUNT_NOT_A_STRING, f"{where} must be a string")
    if (one_to_one := command.area == ONE_TO_ONE) or command is catalog.MODIFY_GROUP_MSG:
        field = str(location[0]) if location else ""
        if field == "MsgBody" and (len(location) > 1 or first["type"] != "missing"):
            raise Refusal(_body_code(location), f"{where}: {first['msg']}")
        if one_to_one and field in ONE_TO_ONE_FIELDS:
            raise Refusal(ONE_TO_ONE_FIELDS[field], f"{where}: {first['msg']}")
    if command is catalog.PORTRAIT_SET and "Value" in location:
        raise Refusal(codes.PROFILE_BAD_TYPE, f"{where}: {first['msg']}")
    missing = first["type"] == "missing" and location == ("To_Account",)
    code = NO_RECEIVER.get(command.service, bad_parameter(command)) if missing else bad_parameter(command)
    raise Refusal(code, f"{where}: {first['msg']}")


def is_account(location: tuple[int | str, ...]) -> bool:
    """Return whether the innermost name of a location is an account."""
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    return name in ACCOUNT_FIELDS or name.endswith("_Account")


def _body_code(location: tuple[int | str, ...]) -> int:
    """Return the code of a MsgBody that is no array, an element that is no object, or a bad field [doc 47948]."""
    depths = {1: codes.MSG_BODY_NOT_AN_ARRAY, 2: codes.MSG_BODY_MALFORMED}
    return depths.get(len(location), codes.ELEMENT_MALFORMED)


def unknown_fields(request: WireModel, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of the fields that the request type does not have."""
    for name in request.model_extra or ():
        yield prefix + name
    for name, alias in _nested_fields(type(request)):
        value = getattr(request, name)
        if value is None:
            continue
        for item in value if isinstance(value, list) else (value,):
            if item.model_extra or _nested_fields(item.__class__):
                yield from unknown_fields(item, f"{prefix}{alias}.")


@cache
def _nested_fields(model: type[WireModel]) -> tuple[tuple[str, str], ...]:
    """Return attribute and JSON name of the fields with objects or lists of objects."""
    return tuple(
        (name, field.alias or name) for name, field in model.model_fields.items() if _holds_models(field.annotation)
    )


def _holds_models(annotation: Any) -> bool:
    if isinstance(annotation, type) and not get_args(annotation):
        return issubclass(annotation, WireModel)
    return any(_holds_models(part) for part in get_args(annotation))
