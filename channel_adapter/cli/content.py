"""What is to be posted, from options of the command line or from JSON with the attribute names of the domain."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import orjson

from channel_adapter.cli.exits import UsageError
from channel_adapter.domain import post as p
from channel_adapter.domain.post import Content

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


def from_options(text: str, image: str, title: str, link: str, location: str) -> Content:
    """The content that the options spell: article, picture, text and picture, place, or text."""
    if title:
        if location:
            raise UsageError(
                "--title makes an article, which has no --location; use --content for parts", field="location"
            )
        return p.Article(title=title, text=text, link=link, image_url=image)
    if link:
        raise UsageError("--link belongs to an article; give a --title too", field="link")
    if location:
        if image:
            raise UsageError("--location and --image do not go together; use --content for parts", field="image")
        return _place(location, text)
    if image:
        return p.TextAndImage(text, p.Image(image)) if text else p.Image(image)
    return p.Text(text)


def from_json(text: str) -> list[Content]:
    """One part or an array of parts, as `posts show --json` prints them. Raises UsageError naming what is wrong."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"--content is not JSON: {wrong}", field="content") from None
    return [_part(each) for each in (value if isinstance(value, list) else [value])]


def describe(parts: tuple[Content, ...]) -> str:
    """A post on one line."""
    return " + ".join(_describe(part) for part in parts)


def _place(location: str, description: str) -> p.Location:
    try:
        latitude, longitude = (float(part) for part in location.split(","))
    except ValueError:
        raise UsageError(
            f"--location takes LATITUDE,LONGITUDE in degrees, not {location!r}", field="location"
        ) from None
    return p.Location(latitude, longitude, description)


def _part(value: Any) -> Content:
    if not isinstance(value, dict):
        raise UsageError("--content takes an object with a kind, or an array of them", field="content")
    kind = KINDS.get(str(value.get("kind")))
    if kind is None:
        raise UsageError(f"--content: kind {value.get('kind')!r} is not one of {', '.join(KINDS)}", field="content")
    given = {name: held for name, held in value.items() if name != "kind"}
    types = {field.name: field.type for field in dataclasses.fields(kind) if field.init}
    for name, held in given.items():
        expected = types.get(name)
        if expected is None:
            raise UsageError(f"--content: a {value['kind']} has no {name!r}; it has {', '.join(types)}", field=name)
        if expected is p.Image:
            given[name] = _part({**held, "kind": "image"} if isinstance(held, dict) else held)
        elif not _fits(held, expected):
            raise UsageError(f"--content: {name} of a {value['kind']} is no {_NAMES[expected]}", field=name)
    try:
        made: Content = kind(**given)
    except TypeError:
        missing = [
            field.name
            for field in dataclasses.fields(kind)
            if field.init and field.default is dataclasses.MISSING and field.name not in given
        ]
        raise UsageError(f"--content: a {value['kind']} needs {', '.join(missing)}", field=missing[0]) from None
    return made


_NAMES: Final[Mapping[Any, str]] = {str: "text", int: "whole number", float: "number"}


def _fits(value: object, expected: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if expected is float else expected)


def _describe(part: Content) -> str:
    match part:
        case p.Text(text=text):
            return text
        case p.Article(title=title, link=link):
            return f"article: {title}" + (f" <{link}>" if link else "")
        case p.TextAndImage(text=text, image=image):
            return f"{text} + image <{image.url}>"
        case p.Location(latitude=latitude, longitude=longitude, description=description):
            return f"location: {latitude}, {longitude} {description}".rstrip()
        case p.Face(index=index):
            return f"face: {index}"
        case p.Custom(data=data) | p.Unrecognised(data=data):
            return f"{part.kind}: {data}"
    return f"{part.kind}: <{part.url}>"
