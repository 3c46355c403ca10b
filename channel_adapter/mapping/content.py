"""Posts and their content as message elements, in both directions.

A kind of content is added by its class in `domain.post` and one row of `_KINDS` here.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import orjson
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from channel_adapter.domain import post as p
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Post, PostRef, PostState
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.text import require_text, require_url, with_article
from channel_adapter.quoting import shown_value
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import msg_body as w
from channel_adapter.tencent.wire.envelope import WireModel

NAMES: Final[Mapping[Any, str]] = {str: "a string", int: "an integer", float: "a number", p.Image: "an Image"}
"""Names of the types of fields, for messages."""

STATES: Final = {
    messages.PLACE_NORMAL: PostState.PUBLISHED,
    messages.PLACE_GONE: PostState.EXPIRED,
    messages.PLACE_RECALLED: PostState.RECALLED,
}

ModelT = TypeVar("ModelT", bound=WireModel)

_LONGEST_ESCAPE: Final = len("\\u0000")  # bytes that JSON needs for one character at most
_AROUND: Final = 100  # bytes of the JSON around a lone text, and some more
_INTEGERS: Final = 2**63
_CARRIERS_OF_CUSTOM: Final = (p.Article, p.Custom)


def to_elements(
    content: p.Content | Sequence[p.Content], max_bytes: int
) -> tuple[list[w.Element], tuple[p.Content, ...]]:
    """Return the elements of a post, and the parts that reading it back returns.

    Raises InvalidError for empty content, a part of another type, a missing or bad URL, two custom elements (a message
    carries one, document 33527), and a body over `max_bytes` of JSON.
    """
    if type(content) is p.Text and type(content.text) is str:  # by far the commonest post
        elements = [w.text_element(require_text(content.text, "text", empty=False))]
        if _AROUND + len(content.text) * _LONGEST_ESCAPE > max_bytes:  # else it fits however JSON writes its characters
            _check_size(elements, max_bytes)
        return elements, (content,)
    parts = _require_parts(content)
    if len(parts) > 1 and sum(isinstance(part, _CARRIERS_OF_CUSTOM) for part in parts) > 1:
        raise InvalidError("a post carries one custom element or article, not more", field="content", limit=1)
    elements = [element for part in parts for element in _encode_part(part)]
    _check_size(elements, max_bytes)
    return elements, parts if all(type(part) is p.Text for part in parts) else from_elements(elements)


def body_size(elements: list[w.Element]) -> int:
    """Return the bytes of elements as the JSON array of a message body."""
    return sum([len(element.to_json()) for element in elements]) + len(elements) + 1  # with its commas


def _check_size(elements: list[w.Element], max_bytes: int) -> None:
    try:
        size = body_size(elements)
    except (PydanticSerializationError, TypeError, ValueError):
        raise InvalidError("content holds something that JSON cannot hold", field="content") from None
    if size > max_bytes:
        raise InvalidError(
            f"content has {size} bytes as a message body, with the JSON around it; {max_bytes} are allowed",
            field="content",
            limit=max_bytes,
            size=size,
        )


def from_elements(elements: Sequence[w.ReceivedElement]) -> tuple[p.Content, ...]:
    """Return the parts of a message; an element of an unknown type becomes Unrecognised.

    What a migration has put into a card is returned as what it was.
    """
    whole = [each for element in elements for each in original_elements(element) or [element]]
    return _join_text_and_image([_decode_element(element) for element in whole])


def fits(value: object, expected: Any) -> bool:
    """Return whether a value has this type. An integer is a number too; a Boolean is neither."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if expected is float else expected)


def _check_types(part: p.Content) -> None:
    """Raise InvalidError with the first field that has a value of another type."""
    for name, expected in _FIELDS[type(part)]:
        value = getattr(part, name)
        if not fits(value, expected):
            got = with_article(type(value).__name__)
            raise InvalidError(f"{part.kind}: {name} must be {NAMES[expected]}; got {got}", field=name)
        if expected is int and not -_INTEGERS <= value < _INTEGERS:
            raise InvalidError(f"{part.kind}: {name} is {shown_value(value)}; an integer has 64 bits", field=name)


def _encode_part(part: p.Content) -> list[w.Element]:
    _check_types(part)
    try:
        return _ENCODERS[type(part)](part)
    except ValidationError as wrong:
        problem = wrong.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(step) for step in problem["loc"])
        raise InvalidError(f"{part.kind}: {name}: {problem['msg'].lower()}", field=name) from None


def _require_parts(content: p.Content | Sequence[p.Content]) -> tuple[p.Content, ...]:
    given = list(content) if isinstance(content, (list, tuple)) else [cast("p.Content", content)]
    if not given:
        raise InvalidError("content is empty; a post needs at least one part", field="content", size=0)
    for part in given:
        if type(part) not in _ENCODERS:
            hint = "; wrap it in Text(...)" if isinstance(part, str) else ""
            raise InvalidError(f"content: cannot publish {with_article(type(part).__name__)}{hint}", field="content")
    return _join_text_and_image(given)


def _join_text_and_image(parts: list[p.Content]) -> tuple[p.Content, ...]:
    """Return a text and an image alone as one TextAndImage: on the wire the two are the same."""
    if len(parts) == 2:
        first, second = parts
        if isinstance(first, p.Text) and isinstance(second, p.Image):
            return (p.TextAndImage(first.text, second),)
    return tuple(parts)


def _to_element(kind: str, content: WireModel) -> w.Element:
    return w.Element(msg_type=kind, msg_content=content.to_wire())


def _media_uuid(url: str) -> str:
    """Return the unique id that media need: the MD5 of the URL, so that it is the same every time."""
    return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()


def _encode_text(part: p.Text) -> list[w.Element]:
    return [w.text_element(require_text(part.text, "text", empty=False))]


def _encode_image(part: p.Image) -> list[w.Element]:
    url = require_url(part.url, "url", empty=False)
    large = require_url(part.large_url, "large_url") or url
    thumb = require_url(part.thumbnail_url, "thumbnail_url") or url
    suffix = urlsplit(url).path.rpartition(".")[2].lower()
    infos = [
        w.ImageInfo(type=w.IMAGE_ORIGINAL, size=part.size, width=part.width, height=part.height, url=url),
        w.ImageInfo(type=w.IMAGE_LARGE, url=large),
        w.ImageInfo(type=w.IMAGE_THUMB, url=thumb),
    ]
    image_format = w.IMAGE_FORMATS.get(suffix, w.IMAGE_FORMAT_OTHER)
    return [
        _to_element(w.IMAGE, w.ImageContent(uuid=_media_uuid(url), image_format=image_format, image_info_array=infos))
    ]


def _encode_text_and_image(part: p.TextAndImage) -> list[w.Element]:
    return _encode_text(p.Text(part.text)) + _encode_part(part.image)


def _encode_article(part: p.Article) -> list[w.Element]:
    picture = require_url(part.image_url, "image_url")
    data = w.ArticleData(
        business_id=w.ARTICLE_BUSINESS_ID,
        title=require_text(part.title, "title", empty=False),
        content=require_text(part.text, "text"),
        link=require_url(part.link, "link"),
        image_info=w.ArticleImage(url=picture, width=part.image_width, height=part.image_height) if picture else None,
    )
    return [_to_element(w.CUSTOM, w.CustomContent(data=data.to_json().decode(), desc=part.title))]


def _encode_video(part: p.Video) -> list[w.Element]:
    url = require_url(part.url, "url", empty=False)
    thumb = require_url(part.thumbnail_url, "thumbnail_url")
    content = w.VideoContent(
        video_url=url, video_uuid=_media_uuid(url), video_format=part.format, video_size=part.size,
        video_second=part.seconds,
        thumb_url=thumb, thumb_uuid=_media_uuid(thumb) if thumb else "", thumb_format=part.thumbnail_format,
        thumb_size=part.thumbnail_size, thumb_width=part.thumbnail_width, thumb_height=part.thumbnail_height,
    )  # fmt: skip
    return [_to_element(w.VIDEO, content)]


def _encode_file(part: p.File) -> list[w.Element]:
    url = require_url(part.url, "url", empty=False)
    name = require_text(part.name, "name")
    return [_to_element(w.FILE, w.FileContent(url=url, uuid=_media_uuid(url), file_size=part.size, file_name=name))]


def _encode_sound(part: p.Sound) -> list[w.Element]:
    url = require_url(part.url, "url", empty=False)
    return [_to_element(w.SOUND, w.SoundContent(url=url, uuid=_media_uuid(url), size=part.size, second=part.seconds))]


def _encode_location(part: p.Location) -> list[w.Element]:
    for name, value, bound in (("latitude", part.latitude, 90), ("longitude", part.longitude, 180)):
        if not -bound <= value <= bound:
            raise InvalidError(
                f"{name} is {shown_value(value)}; it lies between -{bound} and {bound}", field=name, limit=bound
            )
    desc = require_text(part.description, "description")
    content = w.LocationContent(desc=desc, latitude=float(part.latitude), longitude=float(part.longitude))
    return [_to_element(w.LOCATION, content)]


def _encode_face(part: p.Face) -> list[w.Element]:
    return [_to_element(w.FACE, w.FaceContent(index=part.index, data=require_text(part.data, "data")))]


def _encode_custom(part: p.Custom) -> list[w.Element]:
    data = require_text(part.data, "data", empty=False)
    content = w.CustomContent(data=data, desc=part.description, ext=part.extension, sound=part.sound)
    return [_to_element(w.CUSTOM, content)]


def _decode_element(element: w.ReceivedElement) -> p.Content:
    """Return an element as content; Unrecognised for an unknown type, or one without its documented shape."""
    decoder = _DECODERS.get(element.msg_type)
    try:
        found = decoder(element.msg_content) if decoder else None
    except ValidationError:
        found = None
    return found or p.Unrecognised(element.msg_type, orjson.dumps(element.msg_content).decode())


def _parse_content(model: type[ModelT], content: dict[str, Any]) -> ModelT:
    return model.model_validate(content)


def _decode_text(content: dict[str, Any]) -> p.Content:
    return p.Text(_parse_content(w.TextContent, content).text)


def _decode_image(content: dict[str, Any]) -> p.Content | None:
    by_type = {info.type: info for info in _parse_content(w.ImageContent, content).image_info_array}
    original = by_type.get(w.IMAGE_ORIGINAL)
    if original is None:
        return None

    def other(kind: int) -> str:
        return by_type[kind].url if kind in by_type and by_type[kind].url != original.url else ""

    return p.Image(
        original.url, original.width, original.height, original.size,
        large_url=other(w.IMAGE_LARGE), thumbnail_url=other(w.IMAGE_THUMB),
    )  # fmt: skip


def _decode_custom(content: dict[str, Any]) -> p.Content:
    custom = _parse_content(w.CustomContent, content)
    try:
        article = w.ArticleData.model_validate_json(custom.data)
    except ValidationError:
        article = None
    if article is None or article.business_id != w.ARTICLE_BUSINESS_ID:
        return p.Custom(custom.data, custom.desc, custom.ext, custom.sound)
    picture = article.image_info
    return p.Article(
        article.title, article.content, article.link,
        image_url=picture.url if picture else "", image_width=picture.width if picture else 0,
        image_height=picture.height if picture else 0,
    )  # fmt: skip


def _decode_video(content: dict[str, Any]) -> p.Content:
    video = _parse_content(w.VideoContent, content)
    return p.Video(
        video.video_url, video.video_second, video.video_size, video.video_format, video.thumb_url, video.thumb_format,
        video.thumb_width, video.thumb_height, video.thumb_size,
    )  # fmt: skip


def _decode_file(content: dict[str, Any]) -> p.Content:
    file = _parse_content(w.FileContent, content)
    return p.File(file.url, file.file_name, file.file_size)


def _decode_sound(content: dict[str, Any]) -> p.Content:
    sound = _parse_content(w.SoundContent, content)
    return p.Sound(sound.url, sound.second, sound.size)


def _decode_location(content: dict[str, Any]) -> p.Content:
    place = _parse_content(w.LocationContent, content)
    return p.Location(place.latitude, place.longitude, place.desc)


def _decode_face(content: dict[str, Any]) -> p.Content:
    face = _parse_content(w.FaceContent, content)
    return p.Face(face.index, face.data)


class _Kind(NamedTuple):
    """One kind of content. `element` and `decode` are empty where another kind is read back and joined or examined."""

    content: type[Any]
    encode: Callable[[Any], list[w.Element]]
    element: str = ""
    decode: Callable[[dict[str, Any]], p.Content | None] | None = None


_KINDS: Final = (
    _Kind(p.Text, _encode_text, w.TEXT, _decode_text),
    _Kind(p.Image, _encode_image, w.IMAGE, _decode_image),
    _Kind(p.TextAndImage, _encode_text_and_image),
    _Kind(p.Article, _encode_article),
    _Kind(p.Video, _encode_video, w.VIDEO, _decode_video),
    _Kind(p.File, _encode_file, w.FILE, _decode_file),
    _Kind(p.Sound, _encode_sound, w.SOUND, _decode_sound),
    _Kind(p.Location, _encode_location, w.LOCATION, _decode_location),
    _Kind(p.Face, _encode_face, w.FACE, _decode_face),
    _Kind(p.Custom, _encode_custom, w.CUSTOM, _decode_custom),
)
PUBLISHABLE: Final = tuple(kind.content for kind in _KINDS)
"""The classes of content that can be published."""

_ENCODERS: Final = {kind.content: kind.encode for kind in _KINDS}
_DECODERS: Final = {kind.element: kind.decode for kind in _KINDS if kind.decode is not None}
_FIELDS: Final[dict[type[Any], tuple[tuple[str, Any], ...]]] = {
    kind: tuple((field.name, field.type) for field in dataclasses.fields(kind) if field.init) for kind in PUBLISHABLE
}


def to_datetime(seconds: int | None) -> datetime | None:
    """Return Unix seconds as an aware datetime; None for 0 and None, which mean never."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def to_post(channel: ChannelId, message: messages.HistoryMessage) -> Post:
    """Return a message of history as a post. Recalled and expired ones have no parts, whatever body the reply has."""
    state = STATES.get(message.is_place_msg, PostState.EXPIRED)
    return Post(
        ref=PostRef(channel, message.msg_seq),
        author=UserId(message.from_account) if message.from_account else None,
        published_at=to_datetime(message.msg_time_stamp),
        parts=from_elements(message.msg_body) if state is PostState.PUBLISHED else (),
        state=state,
        dedupe=message.msg_random,
    )


def is_post(message: messages.HistoryMessage) -> bool:
    """Return whether a message is a post: system messages have a number in history too."""
    return not message.is_system_msg


def original_elements(element: w.ReceivedElement) -> Sequence[w.ReceivedElement] | None:
    """Return the elements that the card of a moved post replaces; None for every other element."""
    if element.msg_type != w.CUSTOM or not isinstance(element.msg_content, dict):
        return None
    data = element.msg_content.get(w.CustomContent.model_fields["data"].alias or "")
    if not isinstance(data, str) or w.ARTICLE_BUSINESS_ID not in data:
        return None
    try:
        moved = w.MovedData.model_validate_json(data)
    except ValidationError:
        return None
    return moved.original if moved.business_id == w.ARTICLE_BUSINESS_ID else None


def excerpt(parts: Iterable[p.Content]) -> str:
    """Return the text of a post on one line."""
    found: list[str] = []
    for part in parts:
        if isinstance(part, p.Text | p.TextAndImage):
            found.append(part.text)
        elif isinstance(part, p.Article):
            found += [part.title, part.text]
        elif isinstance(part, p.Custom | p.Location):
            found.append(part.description)
        elif isinstance(part, p.File):
            found.append(part.name)
    return " ".join(" ".join(found).split())
