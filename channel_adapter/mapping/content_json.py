"""Contents of posts from JSON with the attribute names of the domain, as `posts show --json` prints them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import orjson

from channel_adapter.domain import post as p
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import NAMES, PUBLISHABLE, fits
from channel_adapter.mapping.text import with_article
from channel_adapter.quoting import shown_value

KINDS: Final[Mapping[str, type[Any]]] = {kind.__dataclass_fields__["kind"].default: kind for kind in PUBLISHABLE}
"""The kinds of content that can be published, by their names."""


_UNRECOGNISED: Final = p.Unrecognised.__dataclass_fields__["kind"].default


def parts_of(value: Any, where: str = "content") -> list[Content]:
    """Return the parts for one JSON object or an array of them. `where` begins the messages. Raises InvalidError."""
    return [_to_part(each, where) for each in (value if isinstance(value, list) else [value])]


def stored_parts(text: str) -> tuple[Content, ...]:
    """Return the parts of a message from the JSON that they were stored as, unrecognised ones included."""
    return tuple(
        p.Unrecognised(each["type"], each["data"])
        if each["kind"] == _UNRECOGNISED
        else _to_part(each, "stored content")
        for each in orjson.loads(text)
    )


def _to_part(value: Any, where: str) -> Content:
    if not isinstance(value, dict):
        raise InvalidError(f"{where} must be an object with a kind, or an array of them", field="content")
    kind = KINDS.get(str(value.get("kind")))
    if kind is None:
        known = ", ".join(KINDS)
        raise InvalidError(
            f"{where}: kind must be one of {known}; got {shown_value(value.get('kind'))}", field="content"
        )
    what = with_article(value["kind"])
    given = {name: held for name, held in value.items() if name != "kind"}
    types = {field.name: field.type for field in dataclasses.fields(kind) if field.init}
    for name, held in given.items():
        expected = types.get(name)
        if expected is None:
            raise InvalidError(f"{where}: {what} has no {shown_value(name)}; it has {', '.join(types)}", field=name)
        if expected is p.Image:
            given[name] = _to_part({**held, "kind": "image"} if isinstance(held, dict) else held, where)
        elif not fits(held, expected):
            raise InvalidError(
                f"{where}: {name} of {what} must be {NAMES[expected]}; got {shown_value(held)}", field=name
            )
    try:
        made: Content = kind(**given)
    except TypeError:
        missing = [
            field.name
            for field in dataclasses.fields(kind)
            if field.init and field.default is dataclasses.MISSING and field.name not in given
        ]
        raise InvalidError(f"{where}: {what} needs {', '.join(missing)}", field=missing[0]) from None
    return made
