"""The body of a post as import accepts it: importable elements stay, any other body becomes one custom element.

`import_group_msg` accepts text, face, location and custom elements. A body with anything else in it travels inside a
card as Tencent's own UI kit draws it (title, text, link, picture); `mapping.content.original_elements` takes it out
again, so that readers of this package see the picture or film that it was.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from channel_adapter.mapping.text import byte_size
from channel_adapter.tencent.wire import msg_body as w

TITLE_BYTES: Final = 120
"""Of a card that stands for a picture or a file; the rest of a longer text stands below it."""

_CARD_GROWTH: Final = 8
_CARD_BYTES: Final = 1_000

_JOINERS: Final = frozenset({"\u200d", "\ufe0e", "\ufe0f"})
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)


def is_importable(elements: Iterable[w.Element]) -> bool:
    """Return whether import accepts a body unchanged."""
    return all(element.msg_type in w.IMPORTABLE for element in elements)


def body_size(elements: Sequence[w.Element]) -> int:
    """Return the bytes of a body as JSON, the size of a post."""
    return sum(len(element.to_json()) for element in elements) + len(elements) + 1


def surely_fits(elements: Sequence[w.Element], max_bytes: int) -> bool:
    """Return True for a body so small that it fits unchanged, and inside a card too; False is inconclusive.

    A card repeats each text at most four times, and writes each byte with at most two.
    """
    return body_size(elements) * _CARD_GROWTH + _CARD_BYTES <= max_bytes


def carry(elements: Sequence[w.Element], max_bytes: int) -> list[w.Element]:
    """Return the body as import accepts it; a card shows of long texts what fits into `max_bytes` beside the original.

    The body may still be larger than that.
    """
    if is_importable(elements):
        return list(elements)
    card = [_card_element(elements, keep_original=True)]
    if body_size(card) <= max_bytes:
        return card
    words = _join_texts(elements)
    return (
        _longest_fitting_body(words, lambda text: [_card_element(elements, keep_original=True, text=text)], max_bytes)
        or card
    )


def shorten(elements: Sequence[w.Element], max_bytes: int) -> list[w.Element] | None:
    """Return a body of at most `max_bytes` with as much of the text as fits; None where nothing can be cut.

    A lone text is cut on a character boundary. Anything with an address becomes its card without the original. A custom
    element is whole or nothing.
    """
    words = _join_texts(elements)
    if all(element.msg_type == w.TEXT for element in elements):
        return _longest_fitting_body(words, lambda text: [_text_element(text)] if text.strip() else [], max_bytes)
    if any(map(_media_url, elements)):
        return _longest_fitting_body(
            words, lambda text: [_card_element(elements, keep_original=False, text=text)], max_bytes
        )
    return None


def cut_text(text: str, max_bytes: int) -> str:
    """Return the longest beginning of at most `max_bytes` UTF-8 bytes that ends where a character ends.

    A character is a grapheme: accents, flags and joined emoji are not split, unless the first one does not fit.
    """
    if byte_size(text) <= max_bytes:
        return text
    longest = end = len(text.encode()[: max(0, max_bytes)].decode(errors="ignore"))
    while end and _splits_character(text, end):
        end -= 1
    return text[: end or longest]


def _longest_fitting_body(text: str, body: Callable[[str], list[w.Element]], max_bytes: int) -> list[w.Element] | None:
    """Return the body with the longest beginning of `text` that fits; None where none fits."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if body_size(body(text[:middle])) <= max_bytes else (low, middle - 1)
    made = body(text if low == len(text) else cut_text(text, byte_size(text[:low])))
    return made if made and body_size(made) <= max_bytes else None


def _splits_character(text: str, end: int) -> bool:
    """Return whether a cut before `text[end]` splits a character."""
    after, before = text[end], text[end - 1]
    if unicodedata.combining(after) or after in _JOINERS or before == "\u200d" or ord(after) in _SKIN_TONES:
        return True
    if ord(after) not in _FLAG_LETTERS or ord(before) not in _FLAG_LETTERS:
        return False
    letters = 0
    while letters < end and ord(text[end - 1 - letters]) in _FLAG_LETTERS:
        letters += 1
    return letters % 2 == 1


def _text_element(text: str) -> w.Element:
    return w.Element(msg_type=w.TEXT, msg_content=w.TextContent(text=text).to_wire())


def _card_element(elements: Sequence[w.Element], *, keep_original: bool, text: str | None = None) -> w.Element:
    """Return one custom element in place of a body."""
    words = _join_texts(elements) if text is None else text
    address = next(filter(None, map(_media_url, elements)), "")
    name = next(filter(None, map(_file_name, elements)), "")
    title = cut_text(words or name or address, TITLE_BYTES)
    card = w.ArticleData(
        business_id=w.ARTICLE_BUSINESS_ID,
        title=title,
        content="" if words == title else words,
        link=address,
        image_info=next(filter(None, map(_preview_image, elements)), None),
    )
    data = w.MovedData(**dict(card), original=list(elements)) if keep_original else card
    content = w.CustomContent(data=data.to_json().decode(), desc=title)
    return w.Element(msg_type=w.CUSTOM, msg_content=content.to_wire())


def _join_texts(elements: Iterable[w.Element]) -> str:
    """Return all texts of a body."""
    key = w.TextContent.model_fields["text"].alias or ""
    texts = (element.msg_content.get(key) for element in elements if element.msg_type == w.TEXT)
    return "\n".join(text for text in texts if isinstance(text, str))


def _media_url(element: w.Element) -> str:
    """Return the address of the picture, film, recording or file of an element; "" if it has none."""
    content = _parse_content(element)
    match content:
        case w.ImageContent(image_info_array=infos):
            return next((info.url for info in infos if info.type == w.IMAGE_ORIGINAL), infos[0].url if infos else "")
        case w.VideoContent(video_url=url) | w.SoundContent(url=url) | w.FileContent(url=url):
            return url
    return ""


def _file_name(element: w.Element) -> str:
    content = _parse_content(element)
    return content.file_name if isinstance(content, w.FileContent) else ""


def _preview_image(element: w.Element) -> w.ArticleImage | None:
    content = _parse_content(element)
    match content:
        case w.ImageContent(image_info_array=[*infos]) if infos:
            shown = next((info for info in infos if info.type == w.IMAGE_LARGE), infos[0])
            return w.ArticleImage(url=shown.url, width=shown.width, height=shown.height)
        case w.VideoContent(thumb_url=url, thumb_width=width, thumb_height=height) if url:
            return w.ArticleImage(url=url, width=width, height=height)
    return None


_MODELS: Final[dict[str, Any]] = {
    w.IMAGE: w.ImageContent, w.VIDEO: w.VideoContent, w.SOUND: w.SoundContent, w.FILE: w.FileContent,
}  # fmt: skip


def _parse_content(element: w.Element) -> Any:
    """Return the content of an element as its model; None for other elements and other shapes."""
    model = _MODELS.get(element.msg_type)
    try:
        return model.model_validate(element.msg_content) if model else None
    except ValidationError:
        return None
