"""Do the values of a post's parts have the types that the domain says? Python itself does not look."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, get_args

from channel_adapter.domain import post as p
from channel_adapter.errors import InvalidError

NAMES: Final[Mapping[Any, str]] = {str: "text", int: "whole number", float: "number", p.Image: "Image"}


def fits(value: object, expected: Any) -> bool:
    """Is it of this type? A whole number is a number too, and a truth value is none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if expected is float else expected)


def check_types(part: p.Content) -> None:
    """Raises InvalidError with the first field that holds something else."""
    for name, expected in _FIELDS[type(part)]:
        value = getattr(part, name)
        if not fits(value, expected):
            raise InvalidError(f"{part.kind}: {name} is no {NAMES[expected]} but a {type(value).__name__}", field=name)


def _fields(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.type) for field in dataclasses.fields(kind) if field.init)


_FIELDS: Final[dict[type[Any], tuple[tuple[str, Any], ...]]] = {kind: _fields(kind) for kind in get_args(p.Content)}
