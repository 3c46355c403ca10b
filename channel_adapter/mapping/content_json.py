"""Contents of posts from JSON with the attribute names of the domain, as `posts show --json` prints them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from channel_adapter.domain import post as p
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import NAMES, fits
from channel_adapter.mapping.text import with_article

KINDS: Final[Mapping[str, type[Any]]] = {
    "text": p.Text,
    "image": p.Image,
    "text_and_image": p.TextAndImage,
    "article": p.Article,
    "video": p.Video,
    "file": p.File,
    "sound": p.Sound,
    "location": p.Location,
    "face": p.Face,
    "custom": p.Custom,
}


def parts_of(value: Any, where: str = "content") -> list[Content]:
    """One part or an array of parts. `where` begins the errors. Raises InvalidError naming what is wrong."""
    return [_part(each, where) for each in (value if isinstance(value, list) else [value])]


def _part(value: Any, where: str) -> Content:
    if not isinstance(value, dict):
        raise InvalidError(f"{where} takes an object with a kind, or an array of them", field="content")
    kind = KINDS.get(str(value.get("kind")))
    if kind is None:
        known = ", ".join(KINDS)
        raise InvalidError(f"{where}: kind {value.get('kind')!r} is not one of {known}", field="content")
    what = with_article(value["kind"])
    given = {name: held for name, held in value.items() if name != "kind"}
    types = {field.name: field.type for field in dataclasses.fields(kind) if field.init}
    for name, held in given.items():
        expected = types.get(name)
        if expected is None:
            raise InvalidError(f"{where}: {what} has no {name!r}; it has {', '.join(types)}", field=name)
        if expected is p.Image:
            given[name] = _part({**held, "kind": "image"} if isinstance(held, dict) else held, where)
        elif not fits(held, expected):
            raise InvalidError(f"{where}: {name} of {what} is no {NAMES[expected]}", field=name)
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
