"""Everything that a command writes: tables and sentences for users, one JSON document for programs.

Text of other parties reaches the terminal through here alone. Control, bidirectional and invisible characters are
escaped: in cells by `table.cell`, in JSON by `json_stream.encode`, in lines, notes, errors, questions, progress and
logs by `printable`.
"""

import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, BinaryIO, Protocol, TextIO

import typer

from channel_adapter.cli.json_stream import ArrayWriter, ObjectWriter, Sink, encode
from channel_adapter.cli.progress import Bar, Lines, Progress
from channel_adapter.cli.sources import interruptible
from channel_adapter.cli.table import Table, cell
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.text import printable


class Listing(Protocol):
    """Where the items of a list go."""

    @property
    def count(self) -> int:
        """How many there were."""

    def add(self, item: Any, *row: Any) -> None:
        """One more item: itself for machines, `row` for people."""


class Output:
    """Results go to stdout, everything else to stderr."""

    def __init__(
        self, *, json: bool = False, verbose: int = 0, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.json = json
        self.verbose = verbose
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._lost: OSError | None = None

    @property
    def binary(self) -> Sink:
        """Stdout for bytes."""
        return _Watched(self._stdout.buffer, self._watch)

    @property
    def to_terminal(self) -> bool:
        """Does somebody read stdout while it is written?"""
        return self._stdout.isatty()

    def one(self, value: Any, sentence: str | None = None) -> None:
        """One result: the document itself, or `sentence`, or else its fields, one a line."""
        if self.json:
            self.document(value)
            return
        if sentence is not None:
            self.line(sentence)
            return
        fields = _fields(value)
        width = max(map(len, fields), default=0)
        for name, held in fields.items():
            self.line(f"{name.ljust(width)}  {cell(held)}")

    def document(self, value: Any) -> None:
        """Write `value` as an indented JSON document, with and without --json."""
        self.binary.write(encode(value, indent=True) + b"\n")

    @contextmanager
    def items(self, columns: Sequence[str], empty: str = "none") -> Iterator[Listing]:
        """A list of any length. After a failure what was written is still a whole document."""
        if self.json:
            array = ArrayWriter(self.binary)
            try:
                yield _Array(array)
            except BaseException:
                array.abandon()
                raise
            array.close()
            self.binary.write(b"\n")
            return
        table = self.table(columns)
        try:
            yield _Rows(table)
        finally:
            table.close()
        if not table.count:
            self.note(empty)

    def table(self, columns: Sequence[str]) -> Table:
        """A table for people on stdout; on a terminal as wide as that."""
        return Table(columns, self._write, self._heading, self._columns())

    def report(self, array: str, before: Mapping[str, Any]) -> ObjectWriter | None:
        """One object with a long array in it; None for people, who read sentences."""
        return ObjectWriter(self.binary, array, before) if self.json else None

    def line(self, text: str) -> None:
        """Write one line of the result; a line break in `text` is escaped."""
        self._write(printable(text))

    def note(self, text: str) -> None:
        """A remark on stderr; machines get it with -v only."""
        if not self.json or self.verbose:
            self._write_error(text)

    def trace(self, text: str) -> None:
        """Write a traceback to stderr, with --json too."""
        for line in text.split("\n"):
            self._write_error(line)

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question on stderr. Returns False for no; Ctrl-C raises KeyboardInterrupt."""
        try:
            with interruptible():
                return typer.confirm(printable(question), err=True)
        except typer.Abort:
            raise KeyboardInterrupt from None

    def progress(self, what: str, total: int | None = None, *, beside_rows: bool = False) -> Progress:
        """How far a long job is, on stderr. Under --json only with -v, and then as lines.

        `beside_rows`: the job writes rows all the time; where they go to a terminal, they are progress enough.
        """
        quiet = (self.json and not self.verbose) or (beside_rows and self.to_terminal)
        if self._stderr.isatty() and not self.json and not quiet:
            return Bar(what, total, self._stderr)
        return Lines(what, total, self._write_error, quiet=quiet)

    @property
    def watched(self) -> bool:
        """Does a person look at stderr?"""
        return self._stderr.isatty() and not self.json

    def event(self, value: Any) -> None:
        """One JSON document in a line on stderr, for programs that watch a job."""
        self._write_error(encode(value).decode())

    def error(
        self,
        kind: str,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        size: int | None = None,
        code: int | None = None,
    ) -> None:
        """What went wrong, on stderr."""
        if not self.json:
            self._write_error(f"error: {message}")
            return
        named = {"kind": kind, "message": message, "field": field, "limit": limit, "size": size, "code": code}
        readable = {name: _without_surrogates(held) for name, held in named.items()}
        self._write_error(encode({"error": readable}).decode())

    def refusal(self, error: ChannelAdapterError, so_far: str = "") -> None:
        """An error of the library, and what was done before it."""
        message = f"{error.message}; {so_far}" if so_far else error.message
        self.error(error.kind, message, field=error.field, limit=error.limit, size=error.size, code=error.code)

    def flush(self) -> None:
        """Hand everything to the system; a reader that went away shows here."""
        with self._watch():
            self._stdout.flush()

    def trouble(self) -> OSError | None:
        """Why stdout takes no more; None while it does."""
        with suppress(OSError):
            self.flush()
        return self._lost

    @contextmanager
    def _watch(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._lost = error
            raise

    def lost(self, trouble: OSError, so_far: str = "") -> None:
        """The result cannot be written; nothing is said of a reader that went away."""
        if not isinstance(trouble, BrokenPipeError):
            sentence = f"stdout cannot be written: {trouble.strerror}"
            self.error("interrupted", f"{sentence}; {so_far}" if so_far else sentence)

    def _write(self, text: str) -> None:
        """Write a line to stdout whose parts have been escaped."""
        with self._watch():
            self._stdout.write(text + "\n")

    def _write_error(self, text: str) -> None:
        with suppress(OSError):  # what cannot be told must not hide the exit code
            self._stdout.flush()
        with suppress(OSError):
            self._stderr.write(printable(text) + "\n")
            self._stderr.flush()

    def _columns(self) -> int | None:
        return shutil.get_terminal_size().columns if self.to_terminal else None

    def _heading(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.to_terminal else text


class _Watched:
    def __init__(self, stream: BinaryIO, watch: Callable[[], AbstractContextManager[None]]) -> None:
        self._stream = stream
        self._watch = watch

    def write(self, data: bytes) -> None:
        with self._watch():
            self._stream.write(data)

    def flush(self) -> None:
        with self._watch():
            self._stream.flush()


class _Array:
    def __init__(self, array: ArrayWriter) -> None:
        self._array = array

    @property
    def count(self) -> int:
        return self._array.count

    def add(self, item: Any, *row: Any) -> None:
        self._array.add(item)


class _Rows:
    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def count(self) -> int:
        return self._table.count

    def add(self, item: Any, *row: Any) -> None:
        self._table.add(*row)


def _fields(value: Any) -> dict[str, Any]:
    """Names and values, those of a value inside a value as `outer.inner`."""
    if not dataclasses.is_dataclass(value):
        return dict(value)
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if dataclasses.is_dataclass(held):
            flat |= {f"{field.name}.{name}": inner for name, inner in _fields(held).items() if name != "kind"}
        else:
            flat[field.name] = held
    return flat


def _without_surrogates(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
