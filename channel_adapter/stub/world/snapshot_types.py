"""Types of the values in a saved state: a state with other ones is refused before a request meets them."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from channel_adapter.quoting import shown_text
from channel_adapter.stub.world.conversations import PairMessage
from channel_adapter.stub.world.message_log import StoredMessage
from channel_adapter.stub.world.state import Group, OfficialAccount

Serial = Annotated[int, Field(ge=0, lt=2**32)]
Recent = list[tuple[list[Any], float, int, int]]  # what makes a message a repeat, moment, seq and time


class WorldRecord(BaseModel):
    """What belongs to no account and no group."""

    random: tuple[int, list[int], float | None]
    deleted: dict[str, int]
    online: dict[str, list[str]] | list[str]
    official_gone: list[str]
    one_to_one_recent: Recent = []


class BookRecord(BaseModel):
    """Conversation groups and marks of one user."""

    groups: list[tuple[int, str]]
    next_group: int
    entries: list[tuple[int, str, list[int], Annotated[int, Field(ge=0)], str, int]]
    deleted: list[tuple[int, str, int]]


class ExtensionsRecord(BaseModel):
    """Pairs on one message."""

    pairs: list[tuple[str, str | None, int]]
    seq: int
    clear_seq: int


class MembersRecord(BaseModel):
    """Columns of a table of members; the table checks their lengths and ranges."""

    users: list[str]
    serials: list[int]
    joined: list[int]
    read: list[int]
    roles: list[int]
    flags: list[int]


_HEADS: Final = {"log": None, "as_tuple": None, "next_serial": Serial, "uncounted": list[int], "recent": Recent}
_GROUP: Final = {**_HEADS, "members": None, "pins": list[tuple[int, str]], "serial": (Serial, 0)}
_OFFICIAL_ACCOUNT: Final = {**_HEADS, "subscribers": None, "broadcasts": list[float], "last_message": (int, 0)}
_PAIR_MESSAGE: Final = {
    "packed": None,
    "body": list[dict[str, Any]],
    "system": (bool, False),
    "extensions": (ExtensionsRecord | None, None),
}
_MESSAGE: Final = {**_PAIR_MESSAGE, "seq": None, "listed": (bool, True)}


def _record_of(source: type, stored: Mapping[str, Any]) -> Any:
    """Return the type of a stored dataclass. `stored` are fields with another form, None for one that is left out."""
    types: dict[str, Any] = {**{item.name: item.type for item in fields(source)}, **stored}
    wanted: dict[str, Any] = {
        name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in types.items() if kind is not None
    }
    return create_model(source.__name__, **wanted)


def _list_of(model: Any) -> Any:
    return GenericAlias(list, model)


@cache
def _types() -> Mapping[str, TypeAdapter[Any]]:
    """Return by the kind of a record what its data must be."""
    return {
        "world": TypeAdapter(WorldRecord),
        "accounts": TypeAdapter(list[str]),
        "profiles": TypeAdapter(dict[str, dict[str, str | int]]),
        "contacts": TypeAdapter(dict[str, BookRecord]),
        "group": TypeAdapter(_record_of(Group, _GROUP)),
        "official_account": TypeAdapter(_record_of(OfficialAccount, _OFFICIAL_ACCOUNT)),
        "members": TypeAdapter(MembersRecord),
        "messages": TypeAdapter(_list_of(_record_of(StoredMessage, _MESSAGE))),
        "one_to_one": TypeAdapter(_list_of(_record_of(PairMessage, _PAIR_MESSAGE))),
    }


def check_types(kind: str, data: Any) -> None:
    """Raise an error that names the place, unless the data have the types that the stub writes in such a record.

    KeyError for a missing name, else ValueError.
    """
    try:
        _types()[kind].validate_json(orjson.dumps(data), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "missing":
            raise KeyError(first["loc"][-1]) from None
        where = ".".join(map(str, (kind, *first["loc"])))
        raise ValueError(f"{shown_text(where)}: {first['msg']}") from None
