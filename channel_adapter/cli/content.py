"""What is to be posted, from options of the command line or from JSON with the attribute names of the domain."""

from collections.abc import Sequence

import orjson

from channel_adapter.cli.exits import UsageError, read_option
from channel_adapter.domain import post as p
from channel_adapter.domain.post import Content
from channel_adapter.mapping.content_json import parts_of


def from_options(text: str, images: Sequence[str], title: str, link: str, location: str) -> Content | list[Content]:
    """Return the content that the options name: an article, a place, or a text with any number of pictures below it.

    Raises UsageError for options that do not go together, and for none at all.
    """
    if title:
        if location:
            raise UsageError(
                "--title makes an article, which has no --location; use --content for parts", field="location"
            )
        if len(images) > 1:
            raise UsageError(f"--title makes an article, which has one --image, not {len(images)}", field="image")
        return p.Article(title=title, text=text, link=link, image_url=images[0] if images else "")
    if link:
        raise UsageError("--link belongs to an article; give a --title too", field="link")
    if location:
        if images:
            raise UsageError("--location and --image do not go together; use --content for parts", field="image")
        return _place(location, text)
    pictures = [p.Image(url) for url in images]
    if not text.strip():
        if not pictures:
            raise UsageError("there is no content: give TEXT, --image, --title, --location or --content", field="text")
        return list(pictures)
    if not pictures:
        return p.Text(text)
    return p.TextAndImage(text, pictures[0]) if len(pictures) == 1 else [p.Text(text), *pictures]


def from_json(text: str) -> list[Content]:
    """One part or an array of parts, as `posts show --json` prints them. Raises UsageError naming what is wrong."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"--content is not JSON: {wrong}", field="content") from None
    with read_option():
        return parts_of(value, "--content")


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
