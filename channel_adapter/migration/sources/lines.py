"""Read records of a JSONL or CSV file one after the other; memory does not grow with the file."""

import codecs
import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from channel_adapter.errors import InvalidError
from channel_adapter.mapping.csv_file import (
    BLOCK_BYTES,
    FIELD_CHARACTERS,
    LINE_CHARACTERS,
    NOT_UTF8,
    BrokenRow,
    CsvFile,
    TextLines,
    buffered,
    column_name,
    escape_bytes,
    is_unicode,
    open_text,
)
from channel_adapter.migration.sources.source import BrokenRecord
from channel_adapter.quoting import shown_value

SUFFIXES: Final = (".jsonl", ".csv")

_BETWEEN_RECORDS: Final = re.compile(r"[\s,\[\]]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One record of a file."""

    where: str
    values: dict[str, Any]
    raw: str


class LineReader:
    """Read one file. `digest` is that of all bytes once the end was reached."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._hash.hexdigest()

    def read(self) -> Iterator[Line | BrokenRecord]:
        """Yield records and broken lines in the order of the file.

        Raises InvalidError for a file that cannot be read as a whole: a CSV heading with unknown columns, a JSON array
        that breaks off. Raises OSError when the file cannot be read.
        """
        with self._path.open("rb") as source:
            hashed = _Hashed(source, self._hash)
            yield from self._read_csv(hashed) if self._path.suffix == ".csv" else self._read_jsonl(hashed)

    def _read_jsonl(self, source: RawIOBase) -> Iterator[Line | BrokenRecord]:
        stream = buffered(source)
        text = open_text(stream, self._path.name)
        if _begins_with_bracket(stream):
            yield from self._read_json_array(text)
            return
        lines = TextLines(text)
        for line in lines:
            if line.problem:
                yield self._broken_record(lines.number, "", line.problem, escape_bytes(line.text))
            elif line.text.strip():
                yield self._parse_object(lines.number, line.text)

    def _read_json_array(self, text: TextIOWrapper) -> Iterator[Line | BrokenRecord]:
        """Read the elements of a JSON array, or of several, wherever their lines end."""
        decoder = json.JSONDecoder()
        number, block, position, closed = 1, text.read(BLOCK_BYTES), 0, False
        while True:
            wrong = "the JSON array has no end"
            between = block[position : _BETWEEN_RECORDS.match(block, position).end()]  # type: ignore[union-attr]
            number += between.count("\n")
            position += len(between)
            if brackets := between.strip(" \t\r\n,"):
                closed = brackets.endswith("]")
            if position < len(block):
                try:
                    _, end = decoder.raw_decode(block, position)
                except (json.JSONDecodeError, RecursionError) as error:
                    wrong = f"no JSON: {error.msg if isinstance(error, json.JSONDecodeError) else error}"
                else:
                    yield self._parse_object(number, block[position:end])
                    number += block.count("\n", position, end)
                    position, closed = end, False
                    continue
            more = text.read(BLOCK_BYTES) if len(block) - position < FIELD_CHARACTERS else ""
            if not more and closed and position == len(block):
                return
            if not more:
                raise InvalidError(f"{self._line_location(number)}: {wrong}", field=self._path.name)
            block, position = block[position:] + more, 0

    def _parse_object(self, number: int, text: str) -> Line | BrokenRecord:
        if len(text) > LINE_CHARACTERS:
            return self._broken_record(number, "", f"longer than {LINE_CHARACTERS:,} characters", "")
        if not is_unicode(text):
            return self._broken_record(number, "", NOT_UTF8, escape_bytes(text))
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as wrong:
            return self._broken_record(number, "", f"no JSON: {wrong}", text)
        if not isinstance(value, dict):
            return self._broken_record(number, "", "no JSON object", text)
        unknown = [name for name in value if name not in self._columns]
        if unknown:
            return self._broken_record(number, unknown[0], self._describe_unknown_column(unknown[0]), text)
        return Line(self._line_location(number), {name: held for name, held in value.items() if held is not None}, text)

    def _read_csv(self, source: RawIOBase) -> Iterator[Line | BrokenRecord]:
        columns: list[str] | None = None
        for row in CsvFile(source, name=self._path.name, headings=self._columns):
            if isinstance(row, BrokenRow):
                yield self._broken_record(row.line, "", row.reason, row.raw)
            elif columns is None:
                columns = self._parse_heading(row.line, row.fields)
            elif len(row.fields) > len(columns):
                wrong = f"{len(row.fields)} columns where the heading has {len(columns)}"
                yield self._broken_record(row.line, "", wrong, row.raw)
            else:
                values: dict[str, Any] = {name: held for name, held in zip(columns, row.fields, strict=False) if held}
                yield Line(self._line_location(row.line), values, row.raw)

    def _parse_heading(self, number: int, fields: Sequence[str]) -> list[str]:
        names = [column_name(field) for field in fields]
        for name in names:
            if name not in self._columns:
                raise InvalidError(f"{self._line_location(number)}: {self._describe_unknown_column(name)}", field=name)
        if len(set(names)) < len(names):
            raise InvalidError(f"{self._line_location(number)}: a column stands there twice", field=self._path.name)
        return names

    def _describe_unknown_column(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._columns, n=1)
        return f"unknown column {shown_value(name)}; " + (
            f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self._columns)}"
        )

    def _line_location(self, number: int) -> str:
        return f"{self._path.name}, line {number}"

    def _broken_record(self, number: int, field: str, reason: str, raw: str) -> BrokenRecord:
        return BrokenRecord(self._line_location(number), field, reason, raw.rstrip("\n"))


def _begins_with_bracket(stream: BufferedReader) -> bool:
    head = stream.peek()
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode()
    return head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


class _Hashed(RawIOBase):
    """A stream of bytes that are hashed as they pass."""

    def __init__(self, source: BinaryIO, digest: "hashlib._Hash") -> None:
        self._source = source
        self._digest = digest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes; return how many, 0 at the end."""
        block = self._source.read(len(buffer))
        self._digest.update(block)
        buffer[: len(block)] = block
        return len(block)
