"""Records of a JSONL or CSV file, one after the other: memory does not grow with the file."""

import csv
import difflib
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from channel_adapter.errors import InvalidError
from channel_adapter.migration.records import BrokenRecord

LINE_CHARACTERS: Final = 262_144
"""Longer lines are broken: no record of any kind has so many."""

BLOCK_BYTES: Final = 1 << 16

SUFFIXES: Final = (".jsonl", ".csv")

_UNREADABLE: Final = f"longer than {LINE_CHARACTERS:,} characters, or not UTF-8"


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it stands in the file."""

    where: str
    values: dict[str, Any]
    raw: str


class LineReader:
    """Reads one file. `digest` is that of all bytes once the end was reached."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._hash.hexdigest()

    def read(self) -> Iterator[Line | BrokenRecord]:
        """Records and broken lines in the order of the file.

        Raises InvalidError for a CSV heading with unknown columns, OSError when the file cannot be read.
        """
        with self._path.open("rb") as source:
            if self._path.suffix == ".csv":
                yield from self._csv(source)
            else:
                yield from self._jsonl(source)

    def _jsonl(self, source: BinaryIO) -> Iterator[Line | BrokenRecord]:
        for number, text in self._lines(source):
            if text is None:
                yield self._broken(number, "", _UNREADABLE, "")
            elif text.strip():
                yield self._object(number, text)

    def _object(self, number: int, text: str) -> Line | BrokenRecord:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as wrong:
            return self._broken(number, "", f"no JSON: {wrong}", text)
        if not isinstance(value, dict):
            return self._broken(number, "", "no JSON object", text)
        unknown = [name for name in value if name not in self._columns]
        if unknown:
            return self._broken(number, unknown[0], self._unknown(unknown[0]), text)
        return Line(self._where(number), {name: held for name, held in value.items() if held is not None}, text)

    def _csv(self, source: BinaryIO) -> Iterator[Line | BrokenRecord]:
        columns: list[str] | None = None
        for number, row, raw in self._rows(_Turnback(self._lines(source))):
            if isinstance(row, str):
                yield self._broken(number, "", row, raw)
            elif not any(row):
                continue
            elif columns is None:
                columns = self._heading(row)
            else:
                line = Line(self._where(number), {}, raw)
                line.values.update((name, held) for name, held in zip(columns, row, strict=False) if held)
                yield line

    def _rows(self, lines: "_Turnback") -> Iterator[tuple[int, list[str] | str, str]]:
        """Number, fields or what is wrong, and text of every record.

        A quotation mark without a partner spoils its own line only: those behind it are read again without it.
        """
        width = 0
        for number, text in lines:
            used = [text or ""]

            def more(used: list[str] = used) -> Iterator[str]:
                yield used[0]
                for _, following in lines:
                    used.append(following or "\n")
                    yield used[-1]

            if text is None:
                yield number, _UNREADABLE, ""
                continue
            wrong = ""
            try:
                row = next(csv.reader(more(), strict=True)) if '"' in text else text.rstrip("\r\n").split(",")
            except csv.Error as error:
                row, wrong = [], f"no CSV: {error}"
            filled = any(row)
            if filled and width and len(row) != width:
                wrong = f"{len(row)} columns where the heading has {width}"
            if wrong:
                lines.back(number + 1, used[1:])
                yield number, wrong, used[0]
                continue
            width = width or len(row) * filled
            yield number, row, "".join(used)

    def _heading(self, row: Sequence[str]) -> list[str]:
        names = [name.strip().lower() for name in row]
        for name in names:
            if name not in self._columns:
                raise InvalidError(f"{self._where(1)}: {self._unknown(name)}", field=name)
        if len(set(names)) < len(names):
            raise InvalidError(f"{self._where(1)}: a column stands there twice", field=self._path.name)
        return names

    def _lines(self, source: BinaryIO) -> Iterator[tuple[int, str | None]]:
        """Lines with their numbers; None for one that is too long or not UTF-8."""
        bytes_ = BufferedReader(_Hashed(source, self._hash), BLOCK_BYTES)
        text = TextIOWrapper(bytes_, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
        number = 0
        while line := text.readline(LINE_CHARACTERS):
            number += 1
            whole = line.endswith("\n") or len(line) < LINE_CHARACTERS
            while not line.endswith("\n") and len(line) == LINE_CHARACTERS:
                line = text.readline(LINE_CHARACTERS)
            usable = whole and (line.isascii() or _is_utf8(line))
            yield number, line if usable else None
        text.detach()

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._columns, n=1)
        return f"unknown column {name!r}; " + (
            f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self._columns)}"
        )

    def _where(self, number: int) -> str:
        return f"{self._path.name}, line {number}"

    def _broken(self, number: int, field: str, reason: str, raw: str) -> BrokenRecord:
        return BrokenRecord(self._where(number), field, reason, raw.rstrip("\n"))


class _Turnback:
    """Numbered lines, some of which can be given back."""

    def __init__(self, lines: Iterator[tuple[int, str | None]]) -> None:
        self._lines = lines
        self._given_back: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> "_Turnback":
        return self

    def __next__(self) -> tuple[int, str | None]:
        return self._given_back.popleft() if self._given_back else next(self._lines)

    def back(self, first: int, lines: Sequence[str]) -> None:
        """Give lines back that were taken too many."""
        self._given_back.extendleft(reversed(list(enumerate(lines, start=first))))


class _Hashed(RawIOBase):
    """A stream of bytes that are hashed as they pass."""

    def __init__(self, source: BinaryIO, digest: "hashlib._Hash") -> None:
        self._source = source
        self._digest = digest

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        block = self._source.read(len(buffer))
        self._digest.update(block)
        buffer[: len(block)] = block
        return len(block)


def _is_utf8(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True
