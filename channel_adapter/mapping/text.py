"""Byte limits: checked, never cut."""

from channel_adapter.errors import InvalidError


def byte_size(text: str) -> int:
    """UTF-8 bytes; a Chinese character has 3, most emoji 4."""
    return len(text.encode("utf-8", "surrogatepass"))


def with_article(noun: str) -> str:
    """`a face`, `an image`."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def require_text(text: object, field: str, limit: int | None = None, *, empty: bool = True) -> str:
    """`text`, if it is well-formed text of at most `limit` bytes. Raises InvalidError with field, limit and size."""
    if not isinstance(text, str):
        raise InvalidError(f"{field} is not text but a {type(text).__name__}", field=field, limit=limit)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidError(f"{field} holds half a surrogate pair, which is no character", field=field) from None
    if limit is not None and size > limit:
        raise InvalidError(f"{field} has {size} bytes; {limit} are allowed", field=field, limit=limit, size=size)
    if not empty and not text.strip():
        raise InvalidError(f"{field} is empty", field=field, limit=limit, size=size)
    return text


def require_url(url: object, field: str, limit: int | None = None, *, empty: bool = True) -> str:
    """`url`, if it is an http or https URL of at most `limit` bytes, or empty where that is allowed."""
    checked = require_text(url, field, limit, empty=empty)
    if checked and not checked.startswith(("http://", "https://")):
        raise InvalidError(f"{field}: {checked!r} is no http or https URL", field=field)
    return checked


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
