"""Texts: byte limits, which are checked and never cut, and forms that a terminal, JSON or Markdown can show safely."""

import re
from collections.abc import Iterable
from typing import Final, TypeVar

from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value

T = TypeVar("T")

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters; with ESC and the C1 range, everything a terminal obeys
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029"  # separators of lines and paragraphs
    "\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible; joiners of emoji are not among them
    "\ud800-\udfff]"  # half a surrogate pair
)
_NUMBER_DIGITS: Final = 18
_NUMBER_HIGHEST: Final = 10**_NUMBER_DIGITS - 1
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# An underscore before a letter or digit ends no emphasis, and a # inside a word is no heading: ids stay legible.
_MARKDOWN: Final = re.compile(r"[\\`*\[\]<>|~&$]|_(?![^\W_])|(?<!\S)#|^[-+=]|^\d+[.)]")


def byte_size(text: str) -> int:
    """Return the length in UTF-8 bytes; a Chinese character has 3, most emoji 4."""
    return len(text.encode("utf-8", "surrogatepass"))


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article: `a face`, `an image`."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def require_list(values: Iterable[T], field: str, of: str = "ids") -> Iterable[T]:
    """Return `values` unless it is one text, whose characters would be items, or no list. Raises InvalidError."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        got = "one string" if isinstance(values, (str, bytes)) else shown_value(values)
        raise InvalidError(f"{field} must be a list of {of}; got {got}", field=field)
    return values


def require_text(text: object, field: str, limit: int | None = None, *, empty: bool = True) -> str:
    """Return `text` if it is well-formed and has at most `limit` bytes. Raises InvalidError with field, limit, size."""
    if not isinstance(text, str):
        raise InvalidError(
            f"{field} must be a string; got {with_article(type(text).__name__)}", field=field, limit=limit
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidError(f"{field} contains half of a surrogate pair", field=field) from None
    if limit is not None and size > limit:
        raise InvalidError(f"{field} has {size} bytes; {limit} are allowed", field=field, limit=limit, size=size)
    if not empty and not text.strip():
        raise InvalidError(f"{field} is empty", field=field, limit=limit, size=size)
    return text


def require_url(url: object, field: str, limit: int | None = None, *, empty: bool = True) -> str:
    """Return `url` if it is an http or https URL of at most `limit` bytes, or empty where that is allowed."""
    checked = require_text(url, field, limit, empty=empty)
    if checked and not checked.startswith(("http://", "https://")):
        raise InvalidError(f"{field} must be an http or https URL; got {shown_value(checked)}", field=field)
    return checked


def parse_digits(text: str, highest: int = _NUMBER_HIGHEST) -> int | None:
    """Return the number that ASCII digits stand for; None for other texts and for numbers over `highest`."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _NUMBER_DIGITS:
        return None
    number = int(text)
    return number if number <= highest else None


def split_text(text: str, piece_bytes: int) -> list[str]:
    """Cut at character boundaries into pieces of at most `piece_bytes`; joined again they are `text`."""
    pieces: list[str] = []
    data = text.encode()
    start = 0
    while start < len(data):
        end = min(start + piece_bytes, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[start:end].decode())
        start = end
    return pieces


def printable(text: str) -> str:
    r"""Return `text` on one line, with control, bidirectional and invisible characters written as `\x1b` or `\u202e`.

    Emoji with joiners, flags and variation selectors stay as they are. Applied twice, it changes nothing more.
    """
    return _UNPRINTABLE.sub(_escape_character, text)


def printable_json(document: bytes) -> bytes:
    r"""Return a JSON document with the same characters written as `\u001b`; its value and its line breaks stay."""
    text = document.decode()
    if _UNPRINTABLE.search(text) is None:
        return document
    return _UNPRINTABLE.sub(lambda found: "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text).encode()


def markdown(text: str) -> str:
    """Return `text` on one line as Markdown that shows it literally, also in a cell of a table: no markup, no HTML."""
    return _MARKDOWN.sub(_escape_markdown, printable(" ".join(text.split())))


def _escape_character(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _escape_markdown(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"
