"""User ids from a CSV or text file: a stream of people and of lines that could not be used.

One line is one person. The id is in the first column, or in the one that a heading names; other columns are ignored.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from typing import BinaryIO

from channel_adapter.cli.words import counted
from channel_adapter.domain.ids import UserId
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.ids import user_id

HEADINGS = (
    "user", "users", "user_id", "userid", "account", "account_id", "id", "identifier", "uid", "subscriber",
    "subscriber_id", "member", "member_id", "member_account", "reader", "username", "user_name",
)  # fmt: skip
"""Names of the column of ids; where a file has several of them, the first in this order is meant."""

DELIMITERS = ",;\t"
LINE_CHARACTERS = 65_536
"""A longer line is no list of people; it is skipped without being held in memory."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on a line of the file."""

    line: int
    user: UserId


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that names nobody, and why."""

    line: int
    reason: str


def read_people(
    source: BinaryIO, *, heading: bool | None = None, remark: Callable[[str], None] = lambda _: None
) -> Iterator[Person | BrokenLine]:
    """People and broken lines in the order of the file; memory does not grow with it.

    Takes UTF-8 with or without BOM, any line ends, blank lines, `#` comments, quoted fields. `heading` says whether the
    first line names columns; None: it does when it holds a known name such as user, user_id, account, id. `remark` is
    told when that was a guess on a file of several columns.
    """
    lines = _numbered(source)
    first = next((found for found in lines if isinstance(found, BrokenLine) or _counts(found[1])), None)
    if first is None:
        return
    delimiter, column, is_heading = (",", 0, False) if isinstance(first, BrokenLine) else _layout(first[1], heading)
    if heading is None and not is_heading and isinstance(first, tuple) and delimiter in first[1]:
        remark(
            f"line {first[0]} names no column that is known (user, user_id, account, id), so the first column is taken"
            f" from line {first[0]} on; say --header when line {first[0]} is a heading, --no-header when it is not"
        )
    for found in lines if is_heading else chain([first], lines):
        if isinstance(found, BrokenLine):
            yield found
        elif _counts(found[1]):
            yield _person(*found, delimiter, column)


def _numbered(source: BinaryIO) -> Iterator[tuple[int, str] | BrokenLine]:
    """Lines with their numbers; one that is not UTF-8 or far too long comes as broken."""
    text = TextIOWrapper(source, encoding="utf-8-sig", errors="surrogateescape", newline=None)
    number = 0
    while line := text.readline(LINE_CHARACTERS):
        number += 1
        if not line.endswith("\n") and len(line) == LINE_CHARACTERS:
            while (rest := text.readline(LINE_CHARACTERS)) and not rest.endswith("\n"):
                continue
            yield BrokenLine(number, f"longer than {LINE_CHARACTERS:,} characters")
        elif not line.isascii() and not _is_utf8(line):
            yield BrokenLine(number, "not UTF-8")
        else:
            yield number, line.rstrip("\n")
    text.detach()


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _counts(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")


def _layout(first: str, heading: bool | None) -> tuple[str, int, bool]:
    """Delimiter, column of the id, and whether this line is a heading."""
    for delimiter in DELIMITERS:
        names = [name.strip().strip('"').lower().replace(" ", "_").replace("-", "_") for name in first.split(delimiter)]
        known = next((names.index(name) for name in HEADINGS if name in names), None)
        if known is not None and heading is not False:
            return delimiter, known, True
    return ("\t" if "\t" in first else ","), 0, bool(heading)


def _person(number: int, line: str, delimiter: str, column: int) -> Person | BrokenLine:
    if "\0" in line:
        return BrokenLine(number, "holds a NUL character; is it UTF-16?")
    if '"' not in line:
        fields = line.split(delimiter, column + 1)
    else:
        try:
            fields = next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            return BrokenLine(number, "a quotation mark without its partner; one line is one person")
    if len(fields) <= column:
        return BrokenLine(number, f"has {counted(len(fields), 'column')}; the id is in column {column + 1}")
    text = fields[column].strip()
    if not text:
        return BrokenLine(number, "the user id is empty")
    if '"' in text:
        return BrokenLine(number, f"the user id {text!r} holds a quotation mark")
    try:
        return Person(number, user_id(text))
    except InvalidError as wrong:
        return BrokenLine(number, wrong.message)
