"""Aligned columns for people, in bounded memory; Chinese and emoji count as wide as a terminal draws them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len

ROWS_BEFORE_WIDTHS = 200
GAP = "  "

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x0A: "\\n",
    0x0D: "\\r",
    0x09: "\\t",
}


def cell(value: Any) -> str:
    """One value as text on one line; control characters are shown, not sent to the terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return str(value)
    return str(value).translate(_CONTROL)


class Table:
    """Rows under a heading. Widths come from the first rows; a later, longer cell moves only its own line."""

    def __init__(self, columns: Sequence[str], write: Callable[[str], None], heading: Callable[[str], str]) -> None:
        self._columns = tuple(columns)
        self._write = write
        self._heading = heading
        self._waiting: list[tuple[str, ...]] = []
        self._widths: list[int] | None = None
        self.count = 0

    def add(self, *values: Any) -> None:
        """One more row."""
        self.count += 1
        row = tuple(cell(value) for value in values)
        if self._widths is not None:
            self._write(_line(row, self._widths))
            return
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_BEFORE_WIDTHS:
            self._start()

    def close(self) -> None:
        """Write what still waits; a table without rows has no heading either."""
        if self._waiting:
            self._start()

    def _start(self) -> None:
        rows, self._waiting = self._waiting, []
        columns = zip_longest(self._columns, *rows, fillvalue="")
        widths = [max(map(cell_len, column)) for column in columns]
        self._widths = widths
        self._write(self._heading(_line(self._columns, widths)))
        for row in rows:
            self._write(_line(row, widths))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
    return GAP.join(cells).rstrip()
