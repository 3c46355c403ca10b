"""User ids from a CSV or text file: its headings and column, checked as a whole before the first id is used.

One record is one user. The id is in the first column, in the one that a heading names, or in the one that is given;
other columns are ignored. An id from a file that the console wrote is read without the apostrophe in front of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from channel_adapter.domain.ids import UserId
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.csv_file import DELIMITERS, BrokenRow, CsvFile, Row, column_name
from channel_adapter.mapping.csv_text import without_apostrophe
from channel_adapter.mapping.ids import user_id
from channel_adapter.quoting import shown_text, shown_value

HEADINGS = (
    "user", "users", "user_id", "userid", "account", "account_id", "id", "identifier", "uid", "subscriber",
    "subscriber_id", "member", "member_id", "member_account", "reader", "username", "user_name",
)  # fmt: skip
"""Names of the column of ids; where a file has several of them, the first in this order is meant."""


@dataclass(frozen=True, slots=True)
class ListedUser:
    """Holds a user of the file, with the number and the text of the record."""

    line: int
    user: UserId
    raw: str


@dataclass(frozen=True, slots=True)
class UnusableLine:
    """Holds a record without a usable user id, and the reason."""

    line: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """Holds how a file is read. `width` is the number of columns that a record may have at most; 0 is any number."""

    delimiter: str = ","
    column: int = 0
    heading: bool = False
    width: int = 0


class UserList:
    """Reads the users and unusable records of a file in its order, in bounded memory. `total` is their number."""

    def __init__(self, source: BinaryIO, name: str, layout: _Layout, total: int) -> None:
        """Use `read_users`."""
        self._source = source
        self._name = name
        self._layout = layout
        self.total = total

    def __iter__(self) -> Iterator[ListedUser | UnusableLine]:
        for row in _read_records(self._source, self._name, self._layout):
            yield (
                UnusableLine(row.line, row.reason, row.raw)
                if isinstance(row, BrokenRow)
                else _to_listed_user(row, self._layout)
            )


def read_users(
    source: BinaryIO, *, name: str = "the file", heading: bool | None = None, delimiter: str = "", column: str = ""
) -> UserList:
    """Check the whole of a file, which must be seekable, and return what is in it.

    Blank lines and lines that begin with `#` are skipped. `heading` says whether the first row names columns; None: it
    does when it holds `column` or a known name such as user, user_id, account, id.

    Raises InvalidError for a file in which it is not certain what the user ids are: several columns without a known
    name, a delimiter that is not in every line, a quotation mark without its partner, an id with another delimiter.
    """
    layout, detected = _detect_layout(source, name, heading, _to_delimiter(delimiter), column)
    total = 0
    for row in _read_records(source, name, layout):
        _require_certain(row, name, layout, detected=detected)
        total += 1
    return UserList(source, name, layout, total)


def _to_delimiter(delimiter: str) -> str:
    if delimiter.lower() in ("tab", "\\t"):
        return "\t"
    if len(delimiter) > 1 or delimiter in ('"', " ", "\r", "\n"):
        raise InvalidError(
            f"--delimiter must be one character such as ; or |, or the word tab; got {shown_value(delimiter)}",
            field="delimiter",
        )
    return delimiter


def _detect_layout(
    source: BinaryIO, name: str, heading: bool | None, delimiter: str, column: str
) -> tuple[_Layout, bool]:
    """Return how to read the file, and whether its delimiter was detected."""
    by_number = column.isascii() and column.isdecimal() and len(column) < 10
    known = () if heading is False else tuple(filter(None, (*HEADINGS, "" if by_number else column_name(column))))
    source.seek(0)
    file = CsvFile(source, name=name, headings=known, delimiter=delimiter, comments=True)
    first = next((row for row in file if isinstance(row, Row)), None)
    file.close()
    if first is None:
        return _Layout(file.delimiter), file.detected
    names = [column_name(field) for field in first.fields]
    has_names = any(each in known for each in names)
    where = f"{name}, line {first.line}"
    if column and not by_number and column_name(column) not in names:
        raise InvalidError(
            f"{where}: no column is named {shown_value(column)}; there are {shown_text(', '.join(names))}",
            field="column",
        )
    if heading is None and not has_names and len(names) > 1:
        raise InvalidError(
            f"{where} has {len(names)} columns separated by {file.delimiter!r}, and none has a name that is known for"
            " user ids (user, user_id, account, id): --column NAME chooses one by its name, --no-header says that line"
            f" {first.line} is no heading, --delimiter that the character is another one",
            field="column",
        )
    has_heading = has_names if heading is None else heading
    if by_number:
        chosen = int(column) - 1
    elif column:
        chosen = names.index(column_name(column))
    else:
        chosen = next((names.index(each) for each in HEADINGS if each in names and has_heading), 0)
    if chosen < 0 or (has_heading and chosen >= len(names)):
        raise InvalidError(f"{where} has {_format_columns(names)}, and no column {shown_text(column)}", field="column")
    alone = file.detected and file.delimiter not in first.raw
    width = len(names) if has_heading else int(alone)
    return _Layout(file.delimiter, chosen, has_heading, width), file.detected


def _read_records(source: BinaryIO, name: str, layout: _Layout) -> Iterator[Row | BrokenRow]:
    """Return the records behind the heading."""
    source.seek(0)
    file = CsvFile(source, name=name, headings=(), delimiter=layout.delimiter, comments=True)
    heading = layout.heading
    try:
        for row in file:
            if heading and isinstance(row, Row):
                heading = False
            else:
                yield row
    finally:
        file.close()


def _require_certain(row: Row | BrokenRow, name: str, layout: _Layout, *, detected: bool) -> None:
    """Raise InvalidError for a record after which it is not certain what the user ids of the file are."""
    where = f"{name}, line {row.line}"
    if isinstance(row, BrokenRow):
        if row.misquoted:
            raise InvalidError(f"{where}: quotation marks do not match ({row.reason})", field="file")
        return
    if not detected:
        return
    if layout.width == 1 and len(row.fields) > 1:
        wrong = f"{_format_columns(row.fields)}, and the first line has one"
        raise InvalidError(f"{where} has {wrong}: --delimiter says what separates columns", field="delimiter")
    text = row.fields[layout.column] if layout.column < len(row.fields) else ""
    for character in DELIMITERS:
        if character in text and character != layout.delimiter:
            raise InvalidError(
                f"{where}: the user id {shown_value(text)} holds {character!r}: --delimiter says what separates"
                " columns",
                field="delimiter",
            )


def _to_listed_user(row: Row, layout: _Layout) -> ListedUser | UnusableLine:
    if "\0" in row.raw:
        return UnusableLine(row.line, "holds a NUL character; is it UTF-16?", row.raw)
    columns = _format_columns(row.fields)
    if layout.width and len(row.fields) > layout.width:
        return UnusableLine(row.line, f"has {columns}; the heading has {layout.width}", row.raw)
    if len(row.fields) <= layout.column:
        return UnusableLine(row.line, f"has {columns}; the id is in column {layout.column + 1}", row.raw)
    text = without_apostrophe(row.fields[layout.column].strip())
    if not text:
        return UnusableLine(row.line, "the user id is empty", row.raw)
    if '"' in text:
        return UnusableLine(row.line, f"the user id {shown_value(text)} holds a quotation mark", row.raw)
    try:
        return ListedUser(row.line, user_id(text), row.raw)
    except InvalidError as wrong:
        return UnusableLine(row.line, wrong.message, row.raw)


def _format_columns(fields: Sequence[str]) -> str:
    return f"{len(fields)} column{'' if len(fields) == 1 else 's'}"
