"""The bytes of a feed as feedparser's values. Nothing that a feed holds makes the parser raise."""

# ruff: noqa: PLC0415 - feedparser is an extra

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.sax import SAXException

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.output import counted
from channel_adapter.config.extras import needs_extra

GZIP: Final = b"\x1f\x8b"
MAX_BYTES: Final = 1 << 28
"""A compressed feed that unfolds to more is refused."""

_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"),
)  # fmt: skip
"""How a document in UTF-16 or UTF-32 begins [XML 1.0, appendix F]."""

_DECLARED: Final = re.compile(
    rb"""^((?:\xef\xbb\xbf)?\s*<\?xml[^>]*?)\s+encoding\s*=\s*["'](?:utf-?_?(?:16|32)[^"']*|[^"']*ucs-?[24])["']""",
    re.IGNORECASE,
)
_REFERENCES: Final = re.compile(rb"(?:&#(?:[xX][0-9a-fA-F]+|[0-9]+);?)+")
_REFERENCE: Final = re.compile(rb"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+))")
_NO_CHARACTER: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENT: Final = re.compile(rb"<\w")
_COORDINATES: Final = re.compile(rb"""\ssrsName\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
_ENTRY: Final = re.compile(rb"<((?:[\w.-]+:)?(?:item|entry))[\s>].*?</\1\s*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """Holds what feedparser read: `version` is empty for other documents, `damage` the error of the XML parser."""

    version: str
    feed: Any
    entries: tuple[Any, ...]
    damage: SAXException | None = None
    unreadable: str = ""


def parse_feed(data: bytes, name: str) -> ParsedFeed:
    """Parse a feed in any encoding, also compressed with gzip.

    Entries that feedparser fails on are left out, and `unreadable` has their number and the error. Raises
    ConfigurationError when the extra `feeds` is not installed, and UsageError for a feed that no entry can be read of.
    """
    with needs_extra("reading feeds"):
        import feedparser  # noqa: F401 - used below
    document = _repair_all_references(_to_utf8(_decompress_gzip(data, name)))
    try:
        return _parse_document(document)
    except Exception:  # noqa: BLE001 - feedparser raises whatever a value in the feed makes Python raise
        return _parse_entry_by_entry(_remove_feedparser_traps(document), name)


def _parse_document(document: bytes) -> ParsedFeed:
    import feedparser

    # Not sanitized: HTML is read as text and for pictures, and the sanitizer drops attributes that name these.
    found = feedparser.parse(io.BytesIO(document), sanitize_html=False)
    error = found.get("bozo_exception")
    damage = error if isinstance(error, SAXException) else None
    return ParsedFeed(found.get("version") or "", found.feed, tuple(found.entries), damage)


def _parse_entry_by_entry(document: bytes, name: str) -> ParsedFeed:
    """Parse every entry alone where the whole cannot be parsed."""
    try:
        return _parse_document(document)
    except Exception as error:  # noqa: BLE001 - as above
        reason = f"feedparser fails with {type(error).__name__}: {error}"
    places = [match.span() for match in _ENTRY.finditer(document)]
    head, tail = (document[: places[0][0]], document[places[-1][1] :]) if places else (document, b"")
    try:
        frame = _parse_document(head + tail)
    except Exception:  # noqa: BLE001 - as above
        raise UsageError(f"{name} cannot be read: {reason}", field="feed") from None
    entries = list(_parse_readable_entries(head, [document[slice(*place)] for place in places], tail))
    missing = counted(len(places) - len(entries), "entry that cannot be read is", "entries that cannot be read are")
    unreadable = f"{missing} left out: {reason}" if len(entries) < len(places) else ""
    return ParsedFeed(frame.version, frame.feed, tuple(entries), frame.damage, unreadable)


def _parse_readable_entries(head: bytes, entries: list[bytes], tail: bytes) -> Iterator[Any]:
    for entry in entries:
        try:
            yield from _parse_document(head + entry + tail).entries
        except Exception:  # noqa: BLE001, S112 - the caller counts and reports those that are missing
            continue


def _decompress_gzip(data: bytes, name: str) -> bytes:
    if not data.startswith(GZIP):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{name} is compressed with gzip and cannot be decompressed: {error}", field="feed") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{name} has more than {MAX_BYTES:,} bytes when decompressed", field="feed")
    return content


def _to_utf8(data: bytes) -> bytes:
    """Decode UTF-16 and UTF-32, and drop a declaration of them, which is wrong for all other documents."""
    encoding = next((encoding for start, encoding in _WIDE if data.startswith(start)), "")
    if encoding:
        data = data.decode(encoding, errors="replace").encode()
    return _DECLARED.sub(rb"\1", data, count=1)


def _repair_all_references(document: bytes) -> bytes:
    """Join surrogates into the character they stand for; what stands for no character becomes U+FFFD."""
    return _REFERENCES.sub(_repair_references, document)


def _repair_references(references: re.Match[bytes]) -> bytes:
    numbers = [_parse_code_point(*pair) for pair in _REFERENCE.findall(references[0])]
    text = "".join(map(chr, numbers))
    if not _NO_CHARACTER.search(text):
        return references[0]
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(f"&#{ord(character)};" for character in _NO_CHARACTER.sub("\ufffd", joined)).encode()


def _parse_code_point(hexadecimal: bytes, decimal: bytes) -> int:
    digits = (hexadecimal or decimal).lstrip(b"0") or b"0"
    number = int(digits, 16 if hexadecimal else 10) if len(digits) < 10 else 0
    return number if number <= 0x10FFFF else 0


def _remove_feedparser_traps(document: bytes) -> bytes:
    """Take out what feedparser is known to raise on: coordinate systems (not read here) and `\\` in the DOCTYPE.

    feedparser puts the entities of a DOCTYPE into a replacement pattern of `re`, where `\\` begins an escape.
    """
    start = _ELEMENT.search(document)
    split = start.start() if start else 0
    return document[:split].replace(b"\\", b"\\\\") + _COORDINATES.sub(b"", document[split:])
