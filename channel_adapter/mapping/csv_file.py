"""Rows of a CSV file, for migrations and for lists of users: encodings, delimiters and quotes by RFC 4180.

Every spelling that spreadsheets and databases write is read: UTF-8 with or without BOM, UTF-16 with BOM, lines that end
with LF, CRLF or CR, the delimiters `,` `;` tab and `|`, a first line `sep=;`, quoted fields over several lines, empty
columns behind the last one. Memory does not grow with the file.
"""

import codecs
import csv
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase, TextIOWrapper
from typing import BinaryIO, Final, cast

from channel_adapter.errors import InvalidError

DELIMITERS: Final = ",;\t|"
"""Those that are detected; any other character can be given."""

LINE_CHARACTERS: Final = 262_144
"""A record with a longer line is broken; the line is not held in memory."""

FIELD_CHARACTERS: Final = 1 << 22
"""Longest quoted field over several lines. A quotation mark without its partner is noticed after so many."""

SAMPLE_LINES: Final = 100
"""Lines that the delimiter is detected by."""

BLOCK_BYTES: Final = 1 << 16

NOT_UTF8: Final = "not UTF-8"

_COMPRESSED: Final = {
    b"\x1f\x8b": "compressed with gzip; decompress it first, for example with gunzip",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet such as .xlsx; save it as CSV first",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the number of its first line, its fields, its text. Empty fields at the end are left out."""

    line: int
    fields: list[str]
    raw: str


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A record that cannot be used. `misquoted`: where it ends is not certain, so the next line begins a new record."""

    line: int
    reason: str
    raw: str
    misquoted: bool = False


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line with its end. `problem` is why a record with it cannot be used."""

    text: str
    problem: str = ""


def buffered(source: BinaryIO | RawIOBase) -> BufferedReader:
    """Return a reader of `source` that closes it, unless it is detached."""
    return BufferedReader(cast("RawIOBase", source), BLOCK_BYTES)


def open_text(source: BufferedReader, name: str) -> TextIOWrapper:
    """Open UTF-8 or UTF-16 text, line ends as they are; bytes that are not UTF-8 become lone surrogates.

    Raises InvalidError for compressed files.
    """
    head = source.peek(4)
    for magic, kind in _COMPRESSED.items():
        if head.startswith(magic):
            raise InvalidError(f"{name} is {kind}", field="file")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return TextIOWrapper(source, encoding="utf-16", errors="replace", newline="")
    return TextIOWrapper(source, encoding="utf-8-sig", errors="surrogateescape", newline="")


class TextLines:
    """Lines of a text with their numbers, some of which can be given back."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._given_back: deque[TextLine] = deque()
        self.number = 0
        """Number of the line that was read last."""

    def __iter__(self) -> "TextLines":
        return self

    def __next__(self) -> TextLine:
        line = self._given_back.popleft() if self._given_back else self._read_line()
        self.number += 1
        return line

    def give_back(self, lines: Sequence[TextLine]) -> None:
        """Return the lines that were read last, so that they are read again."""
        self._given_back.extendleft(reversed(lines))
        self.number -= len(lines)

    def _read_line(self) -> TextLine:
        line = self._text.readline(LINE_CHARACTERS)
        if not line:
            raise StopIteration
        if len(line) == LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            while (rest := self._text.readline(LINE_CHARACTERS)) and not rest.endswith(("\n", "\r")):
                continue
            return TextLine("\n", f"longer than {LINE_CHARACTERS:,} characters")
        return TextLine(line, "" if is_unicode(line) else NOT_UTF8)


class CsvFile:
    """Reads one file once. `delimiter` is the one given, or the one detected."""

    def __init__(
        self,
        source: BinaryIO | RawIOBase,
        *,
        name: str,
        headings: Collection[str],
        delimiter: str = "",
        comments: bool = False,
    ) -> None:
        """`headings` are the names of columns that may stand in the first row, as `column_name` returns them.

        With `comments`, lines that begin with `#` are skipped. Raises InvalidError when the delimiter is not certain.
        """
        csv.field_size_limit(max(csv.field_size_limit(), FIELD_CHARACTERS))  # one limit for the process
        self._name = name
        self._comments = comments
        self._source = buffered(source)
        self._text = open_text(self._source, name)
        self._lines = TextLines(self._text)
        sample = [line for _, line in zip(range(SAMPLE_LINES), self._lines, strict=False)]
        self._lines.give_back(sample)
        declared = self._read_declared_delimiter(sample)
        self.detected = not (delimiter or declared)
        """Whether the delimiter was found out."""
        self.delimiter = delimiter or declared or self._detect_delimiter([line.text for line in sample], headings)

    def __iter__(self) -> Iterator[Row | BrokenRow]:
        """Return the records in the order of the file; blank ones are left out."""
        record = _Record(self._lines, comments=self._comments)
        rows = csv.reader(record, delimiter=self.delimiter, strict=True)
        while True:
            record.begin()
            try:
                fields = next(rows, None)
            except csv.Error as error:
                first, *following = record.lines
                self._lines.give_back(following)
                yield BrokenRow(record.number, f"no CSV: {error}", escape_bytes(first.text), misquoted=True)
                continue
            if fields is None:
                break
            raw = "".join(line.text for line in record.lines)
            problem = next((line.problem for line in record.lines if line.problem), "")
            columns = len(fields)
            while len(fields) > 1 and not fields[-1].strip():
                fields.pop()
            if problem:
                yield BrokenRow(record.number, problem, escape_bytes(raw))
            elif (fields and fields[-1].strip()) or (columns == 1 and raw.strip()):
                yield Row(record.number, fields, raw)
        self.close()

    def close(self) -> None:
        """Detach from the source, which stays open."""
        with suppress(ValueError):  # detached before
            self._text.detach()
            self._source.detach()

    def _read_declared_delimiter(self, sample: Sequence[TextLine]) -> str:
        """Skip a first line `sep=;`, which Excel writes and reads, and return its delimiter."""
        first = sample[0].text.rstrip("\r\n") if sample else ""
        if len(first) != len("sep=") + 1 or not first.lower().startswith("sep="):
            return ""
        next(self._lines)
        return first[-1]

    def _detect_delimiter(self, sample: Sequence[str], headings: Collection[str]) -> str:
        """Return the delimiter that splits the first row into known headings, else the only one in every row."""
        if self._comments:
            sample = [line for line in sample if not line.lstrip().startswith("#")]
        split = {delimiter: _split_sample(sample, delimiter) for delimiter in DELIMITERS}
        named = {
            delimiter: sum(column_name(field) in headings for field in rows[0])
            for delimiter, rows in split.items()
            if rows and len(rows[0]) > 1
        }
        best = max(named.values(), default=0)
        if best and list(named.values()).count(best) == 1:
            return max(named, key=lambda delimiter: named[delimiter])
        used = [delimiter for delimiter, rows in split.items() if any(len(row) > 1 for row in rows)]
        everywhere = [delimiter for delimiter in used if all(len(row) > 1 for row in split[delimiter])]
        if not used:
            return DELIMITERS[0]
        if len(everywhere) == 1:
            return everywhere[0]
        found = " and ".join(repr(delimiter) for delimiter in everywhere or used)
        where = "in every line" if everywhere else "in some lines only"
        raise InvalidError(
            f"{self._name}: what separates the columns is not certain, {found} found {where}: --delimiter says which",
            field="delimiter",
        )


class _Record:
    """The lines of one record, handed to `csv.reader`."""

    def __init__(self, lines: TextLines, *, comments: bool) -> None:
        self._source = lines
        self._comments = comments
        self.lines: list[TextLine] = []
        self.number = 0

    def begin(self) -> None:
        """Make the next line the first of a new record."""
        self.lines = []

    def __iter__(self) -> "_Record":
        return self

    def __next__(self) -> str:
        line = next(self._source)
        while self._comments and not self.lines and line.text.lstrip().startswith("#"):
            line = next(self._source)
        if not self.lines:
            self.number = self._source.number
        self.lines.append(line)
        return line.text


def column_name(field: str) -> str:
    """Return the name of a column as it is compared: `User-ID` is `user_id`."""
    return field.strip().lower().replace(" ", "_").replace("-", "_")


def _split_sample(sample: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split the sample into rows, up to one that is no CSV or that it breaks off in; blank rows are left out."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows.extend(row for row in csv.reader(sample, delimiter=delimiter, strict=True) if any(row))
    return rows


def is_unicode(text: str) -> bool:
    """Return whether a text of `open_text` has no bytes that are not UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape_bytes(text: str) -> str:
    r"""Return a text of `open_text` with bytes that are not UTF-8 written as `\xe4`, so that it can be stored."""
    return text if is_unicode(text) else text.encode(errors="surrogateescape").decode(errors="backslashreplace")
