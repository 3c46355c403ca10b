"""JSON on stdout: exactly one document, written as it comes, so that a million items need no memory."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from channel_adapter.mapping.text import printable_json

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take them."""

    def flush(self) -> None:
        """Hand them on."""


def encode(value: Any, *, indent: bool = False) -> bytes:
    """Return domain values by their attribute names: datetimes as ISO 8601 in UTC, enums by value, tuples as arrays.

    Characters that a terminal obeys or hides are escaped, so that a document can be shown as it is.
    """
    return printable_json(orjson.dumps(value, default=_other, option=_OPTIONS | (orjson.OPT_INDENT_2 if indent else 0)))


def _other(value: Any) -> Any:
    """What orjson does not know; a lone surrogate never gets here because the library refuses it earlier."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


class ArrayWriter:
    """One array, an item a line. Nothing is written before the first item or `close`."""

    def __init__(self, out: Sink, opening: bytes = b"[", closing: bytes = b"]") -> None:
        self._out = out
        self._opening = opening
        self._closing = closing
        self.count = 0
        self._opened = False

    def add(self, item: Any) -> None:
        """Write one more item."""
        self._out.write((b",\n" if self.count else self._open() + b"\n") + encode(item))
        self.count += 1

    def close(self) -> None:
        """End the array; the document is complete then."""
        self._out.write((b"\n" if self.count else self._open()) + self._closing)
        self._out.flush()

    def abandon(self) -> None:
        """After a failure: complete what was begun, and write nothing when nothing was."""
        if self._opened:
            self.close()

    def _open(self) -> bytes:
        self._opened = True
        return self._opening


class ObjectWriter:
    """One object with one long array in it: `before`, then the items, then what is known at the end."""

    def __init__(self, out: Sink, array: str, before: Mapping[str, Any]) -> None:
        head = encode(dict(before))[:-1]
        opening = head + (b"," if before else b"") + encode(array) + b":["
        self._out = out
        self._items = ArrayWriter(out, opening, b"]")

    def add(self, item: Any) -> None:
        """Write one more item of the array."""
        self._items.add(item)

    def close(self, after: Mapping[str, Any]) -> None:
        """End the array and the object."""
        self._items.close()
        tail = encode(dict(after))[1:]
        self._out.write((b"," if after else b"") + tail + b"\n")
        self._out.flush()
