"""CSV for spreadsheets: the files of the console and of `insights export`."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Sequence[str]], *, verbatim: Collection[int] = ()) -> str:
    """Return rows as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe.

    `verbatim` are indexes of columns that hold no text of users, and are left as they are.
    """
    out = io.StringIO()
    csv.writer(out).writerows(
        [f"'{cell}" if cell[:1] in _FORMULA and index not in verbatim else cell for index, cell in enumerate(row)]
        for row in rows
    )
    return out.getvalue()


def without_apostrophe(text: str) -> str:
    """Return a text of such a file as it was, without the apostrophe in front of what looks like a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA else text
