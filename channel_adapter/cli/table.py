"""Aligned columns for people, in bounded memory; Chinese and emoji count as wide as a terminal draws them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, set_cell_size

from channel_adapter.mapping.text import printable

ROWS_BEFORE_WIDTHS = 200
GAP = "  "
NARROWEST = 10  # what a column keeps however narrow the terminal is


def cell(value: Any) -> str:
    """Return one value as text on one line; characters that a terminal obeys or hides are escaped."""
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
    return printable(str(value))


class Table:
    """Rows under a heading. Widths come from the first rows; a later, longer cell moves only its own line.

    With the `width` of a terminal the widest cells are cut with an ellipsis until a row fits.
    """

    def __init__(
        self,
        columns: Sequence[str],
        write: Callable[[str], None],
        heading: Callable[[str], str],
        width: int | None = None,
    ) -> None:
        self._columns = tuple(columns)
        self._width = width
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
            self._write(self._line(row, self._widths))
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
        if self._width is not None:
            widths = _fitted(widths, self._width)
        self._widths = widths
        self._write(self._heading(self._line(self._columns, widths)))
        for row in rows:
            self._write(self._line(row, widths))

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        if self._width is not None:
            row = [_cut(text, width) for text, width in zip(row, widths, strict=True)]
        cells = [text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        return GAP.join(cells).rstrip()


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The same, the widest ones narrowed until a row fits or none is wider than NARROWEST."""
    fitted = [min(width, max(room, NARROWEST)) for width in widths]
    while sum(fitted) + len(GAP) * (len(fitted) - 1) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
