"""Everything that a command writes: tables and sentences for users, one JSON document for programs.

Text of other parties reaches the terminal through here alone. Control, bidirectional and invisible characters are
escaped: in cells by `cell`, in JSON by `encode`, in lines, notes, errors, questions, progress and
logs by `printable`.
"""

import dataclasses
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, date, datetime
from enum import Enum
from itertools import zip_longest
from typing import Any, BinaryIO, Protocol, TextIO

import orjson
import typer
from rich.cells import cell_len, chop_cells

from channel_adapter.cli.exits import Exit, UsageError, for_counts
from channel_adapter.cli.files import interruptible
from channel_adapter.cli.progress import SECONDS_BETWEEN_LINES, Bars, Lines, Progress, ProgressDisplay, ProgressSnapshot
from channel_adapter.domain.subscription import AssignmentStatus, ChannelOutcome, Outcome, OutcomeKind
from channel_adapter.errors import ChannelAdapterError, ThrottledError
from channel_adapter.mapping.text import printable, printable_json
from channel_adapter.quoting import shown_value


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 entry`, `1,003 entries`; `many` is `one` with an s unless it is given."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def why_not_bound(error: OSError | UnicodeError) -> str:
    """Return why an address cannot be listened on, without the address, which asyncio adds to the system's text.

    UnicodeError is Python's for a name of a host that is too long or has an empty part.
    """
    if isinstance(error, UnicodeError):
        return "that is no name of a host"
    found = error.errno
    return os.strerror(found) if found is not None and found > 0 else error.strerror or str(error)


def to_datetime(text: str, option: str, example: str) -> datetime:
    """Parse a date or a time, in UTC without an offset. Raises UsageError, which shows `example`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        field = option.lstrip("-").replace("-", "_")
        raise UsageError(f"{option} must be {example}; got {shown_value(text)}", field=field) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


class Sink(Protocol):
    """Accepts bytes."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""

    def flush(self) -> None:
        """Flush what was written."""


def encode(value: Any, *, indent: bool = False) -> bytes:
    """Return domain values by their attribute names: datetimes as ISO 8601 in UTC, enums by value, tuples as arrays.

    A field that is not in the repr of its value, because few values have it, is left out while it has its default.
    Characters that a terminal obeys or hides are escaped, so that a document can be shown as it is.
    """
    try:
        document = orjson.dumps(value, default=_to_json_value, option=_OPTIONS | (orjson.OPT_INDENT_2 if indent else 0))
    except orjson.JSONEncodeError:  # half a surrogate pair, as in a file name that is not UTF-8, or over 64 bits
        separators = None if indent else (",", ":")
        text = json.dumps(value, default=_to_json_builtin, indent=2 if indent else None, separators=separators)
        document = text.encode()
    return printable_json(document)


def _to_json_builtin(value: Any) -> Any:
    """Convert a value that the json module does not know."""
    found = _to_json_value(value)
    return orjson.loads(orjson.dumps(value, option=_OPTIONS)) if isinstance(value, date) else found


def _to_json_value(value: Any) -> Any:
    """Convert a value that orjson does not know."""
    if dataclasses.is_dataclass(value):
        shown = {}
        for each in dataclasses.fields(value):
            held = getattr(value, each.name)
            if each.repr or held != each.default:
                shown[each.name] = held
        return shown
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


class ArrayWriter:
    """Writes an array, an item a line; nothing before the first item or `close`."""

    def __init__(self, out: Sink, opening: bytes = b"[", closing: bytes = b"]") -> None:
        self._out = out
        self._opening = opening
        self._closing = closing
        self.count = 0
        self._opened = False

    def add(self, item: Any) -> None:
        """Write one more item."""
        self._out.write((b",\n" if self.count else self._begin_array() + b"\n") + encode(item))
        self.count += 1

    def close(self) -> None:
        """End the array; the document is complete then."""
        self._out.write((b"\n" if self.count else self._begin_array()) + self._closing)
        self._out.flush()

    def abandon(self) -> None:
        """Complete an array that was begun, after a failure."""
        if self._opened:
            self.close()

    def _begin_array(self) -> bytes:
        self._opened = True
        return self._opening


class ObjectWriter:
    """Writes an object with one long array: `before`, then the items, then what is known at the end."""

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


ROWS_BEFORE_WIDTHS = 200
GAP = "  "
NARROWEST = (10, 6, 3, 1)
"""Widths that columns are narrowed to, one after another until a row fits the terminal."""


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
    """Writes rows under a heading. Widths come from the first rows; a later, longer cell moves only its own line.

    With the `width` of a terminal the widest columns are narrowed until a row fits, and their cells go on in the lines
    below. Without it a row is one line.
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
        """Add a row."""
        self.count += 1
        row = tuple(cell(value) for value in values)
        if self._widths is not None:
            self._print_row(row, self._widths)
            return
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_BEFORE_WIDTHS:
            self._print_heading()

    def close(self) -> None:
        """Write the rows that are left; a table without rows has no heading either."""
        if self._waiting:
            self._print_heading()

    def _print_heading(self) -> None:
        rows, self._waiting = self._waiting, []
        columns = zip_longest(self._columns, *rows, fillvalue="")
        widths = [max(map(cell_len, column)) for column in columns]
        if self._width is not None:
            widths = _fit_widths(widths, self._width)
        self._widths = widths
        self._print_row(self._columns, widths, heading=True)
        for row in rows:
            self._print_row(row, widths)

    def _print_row(self, row: Sequence[str], widths: Sequence[int], *, heading: bool = False) -> None:
        """Write one row: a line, and on a terminal more of them below where a cell is wider than its column."""
        if self._width is None:
            lines = [tuple(row)]
        else:
            folded = [fold(text, width) for text, width in zip(row, widths, strict=True)]
            lines = list(zip_longest(*folded, fillvalue=""))
        for line in lines:
            cells = [text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)]
            text = GAP.join(cells).rstrip()
            self._write(self._heading(text) if heading else text)


def _fit_widths(widths: Sequence[int], room: int) -> list[int]:
    """Return widths with which a row fits into `room`; the widest columns are narrowed first."""
    fitted = [min(width, max(room, 1)) for width in widths]
    gaps = len(GAP) * (len(fitted) - 1)
    for narrowest in NARROWEST:
        while sum(fitted) + gaps > room and max(fitted) > narrowest:
            fitted[fitted.index(max(fitted))] -= 1
    return fitted


def fold(text: str, width: int) -> list[str]:
    """Split a text into lines that a terminal draws at most `width` wide: at spaces, and inside longer words.

    Nothing but the spaces at the breaks is left out. A character that is wider than `width` has a line of its own.
    """
    lines: list[str] = []
    line = ""
    for word in re.split(r"(?<=\s)(?=\S)", text):
        while cell_len((line + word).rstrip()) > width:
            if line:
                lines.append(line.rstrip())
                line = ""
                continue
            head = chop_cells(word, width)[0] or word[0]
            lines.append(head)
            word = word[len(head) :]  # noqa: PLW2901 - the rest of the word goes on in the next line
        line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


class Listing(Protocol):
    """Accepts the items of a list."""

    @property
    def count(self) -> int:
        """Return the number of items so far."""

    def add(self, item: Any, *row: Any) -> None:
        """Add an item: `item` goes into a JSON document, `row` into a table."""


class Output:
    """Writes results to stdout, everything else to stderr."""

    def __init__(
        self, *, json: bool = False, verbose: int = 0, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.json = json
        self.verbose = verbose
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._lost: OSError | None = None
        self._so_far: Callable[[], str] = lambda: ""

    @property
    def binary(self) -> Sink:
        """Return stdout for bytes, which come after the lines that were written before."""
        self.flush()
        return _Watched(self._stdout.buffer, self._record_write_error)

    @property
    def to_terminal(self) -> bool:
        """Return whether stdout is a terminal."""
        return self._stdout.isatty()

    def one(self, value: Any, *sentences: str) -> None:
        """Write one result: as a JSON document, or as sentences, one a line, or else its fields, one a line."""
        if self.json:
            self.document(value)
            return
        if sentences:
            for sentence in sentences:
                self.line(sentence)
            return
        fields = _flatten_fields(value)
        width = max(map(len, fields), default=0)
        for name, held in fields.items():
            self.line(f"{name.ljust(width)}  {cell(held)}")

    def document(self, value: Any) -> None:
        """Write `value` as an indented JSON document, with and without --json."""
        self.binary.write(encode(value, indent=True) + b"\n")

    @contextmanager
    def items(self, columns: Sequence[str], empty: str = "none") -> Iterator[Listing]:
        """Write a list of any length in the block; a JSON document is complete after a failure too."""
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
        """Return a table on stdout; on a terminal it is as wide as that."""
        return Table(columns, self._write_line, self._to_bold, self._terminal_width())

    def report(self, array: str, before: Mapping[str, Any]) -> ObjectWriter | None:
        """Return a writer of an object with a long array; None without --json."""
        return ObjectWriter(self.binary, array, before) if self.json else None

    def line(self, text: str) -> None:
        """Write one line of the result; a line break in `text` is escaped."""
        self._write_line(printable(text))

    def note(self, text: str) -> None:
        """Write a remark to stderr; with --json only with -v."""
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
            self._write_error("")  # ends the line of the question
            raise KeyboardInterrupt from None

    def progress(self, what: str, total: int | None = None, *, beside_rows: bool = False) -> Progress:
        """Return a display of how far a job is, on stderr; with --json only with -v, and then in lines.

        `beside_rows`: the job writes rows all the time; where they go to a terminal, they are progress enough.
        """
        quiet = (self.json and not self.verbose) or (beside_rows and self.to_terminal)
        if self.watched and not quiet:
            return Progress(what, total, Bars(self._stderr))
        return Progress(what, total, Lines(_ignore_snapshot if quiet else self._write_snapshot, self._write_error))

    def display(
        self,
        show: Callable[[ProgressSnapshot], None],
        *,
        every: float = SECONDS_BETWEEN_LINES,
        resumed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> ProgressDisplay:
        """Return a display of several counts on stderr: bars on a terminal, else `show` gets a snapshot periodically.

        `every` is the time between two snapshots in seconds; `resumed` says that an earlier run reached the first
        counts.
        """
        if self.watched:
            return Bars(self._stderr, resumed=resumed)
        return Lines(show, self._write_error, every=every, resumed=resumed, clock=clock)

    @property
    def watched(self) -> bool:
        """Return whether stderr is a terminal that shows no JSON."""
        return self._stderr.isatty() and not self.json

    def event(self, value: Any) -> None:
        """Write a JSON document in a line to stderr, for programs that watch a job."""
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
        retry_after: float | None = None,
    ) -> None:
        """Write an error to stderr."""
        if not self.json:
            self._write_error(f"error: {message}")
            return
        named = {
            "kind": kind, "message": message, "field": field, "limit": limit, "size": size, "code": code,
            "retry_after": retry_after,
        }  # fmt: skip
        readable = {name: _escape_surrogates(held) for name, held in named.items()}
        self._write_error(encode({"error": readable}).decode())

    def describe_progress(self, describe: Callable[[], str]) -> None:
        """Call `describe` for what an interruption or a failure adds: how far the job is; "" adds nothing."""
        self._so_far = describe

    def so_far(self) -> str:
        """Return how far the job is, "" when that is not known."""
        return self._so_far()

    def refusal(self, error: ChannelAdapterError) -> None:
        """Write an error of the library, and what was done before it."""
        so_far = self.so_far()
        message = f"{error.message}; {so_far}" if so_far else error.message
        self.error(
            error.kind, message, field=error.field, limit=error.limit, size=error.size, code=error.code,
            retry_after=error.retry_after if isinstance(error, ThrottledError) else None,
        )  # fmt: skip

    def flush(self) -> None:
        """Flush stdout. Raises OSError, BrokenPipeError for a reader that went away."""
        with self._record_write_error():
            self._stdout.flush()

    def trouble(self) -> OSError | None:
        """Return why stdout cannot be written; None while it can."""
        with suppress(OSError):
            self.flush()
        return self._lost

    @contextmanager
    def _record_write_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._lost = error
            raise

    def lost(self, trouble: OSError) -> None:
        """Report that the result cannot be written; nothing is written about a reader that went away."""
        if not isinstance(trouble, BrokenPipeError):
            so_far = self.so_far()
            sentence = f"stdout cannot be written: {trouble.strerror}"
            self.error("interrupted", f"{sentence}; {so_far}" if so_far else sentence)

    def _write_line(self, text: str) -> None:
        """Write a line to stdout whose parts have been escaped."""
        with self._record_write_error():
            self._stdout.write(text + "\n")

    def _write_snapshot(self, snapshot: ProgressSnapshot) -> None:
        self._write_error(snapshot.line())

    def _write_error(self, text: str) -> None:
        with suppress(OSError):  # a message that cannot be written must not hide the exit code
            self._stdout.flush()
        with suppress(OSError):
            self._stderr.write(printable(text) + "\n")
            self._stderr.flush()

    def _terminal_width(self) -> int | None:
        return shutil.get_terminal_size().columns if self.to_terminal else None

    def _to_bold(self, text: str) -> str:
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


def _ignore_snapshot(snapshot: ProgressSnapshot) -> None:
    """Show nothing."""


async def list_outcomes(output: Output, outcomes: AsyncIterable[Outcome], *, assign: bool = True) -> Exit:
    """Write one row for each user as it comes, and return the exit code; `assign` adds conversation groups."""
    counts: Counter[OutcomeKind] = Counter()
    output.describe_progress(lambda: f"{sum(counts.values()):,} outcomes came back" if counts else "")
    with output.items(("user", "outcome", *(["assignment"] if assign else []), "reason")) as listing:
        async for outcome in outcomes:
            counts[outcome.kind] += 1
            if assign:
                listing.add(outcome, outcome.user, outcome.kind, *_describe_assignment(outcome))
            else:
                document = {"user": outcome.user, "kind": outcome.kind, "reason": outcome.reason}
                listing.add(document, outcome.user, outcome.kind, outcome.reason)
    return for_counts(counts)


def list_channel_outcomes(output: Output, outcomes: Iterable[ChannelOutcome]) -> Exit:
    """Write one row for each channel, and return the exit code."""
    counts: Counter[OutcomeKind] = Counter()
    with output.items(("channel", "outcome", "assignment", "reason")) as listing:
        for outcome in outcomes:
            counts[outcome.kind] += 1
            listing.add(outcome, outcome.channel, outcome.kind, *_describe_assignment(outcome))
    return for_counts(counts)


def _describe_assignment(outcome: Outcome | ChannelOutcome) -> tuple[AssignmentStatus | None, str]:
    """Return what became of the conversation group, and the reasons for both."""
    assignment = outcome.assignment
    reasons = [outcome.reason, assignment.reason if assignment else ""]
    return assignment.status if assignment else None, "; ".join(reason for reason in reasons if reason)


def _flatten_fields(value: Any) -> dict[str, Any]:
    """Return names and values, those of a value inside a value as `outer.inner`."""
    if not dataclasses.is_dataclass(value):
        return dict(value)
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if not field.repr:
            continue
        if dataclasses.is_dataclass(held):
            flat |= {f"{field.name}.{name}": inner for name, inner in _flatten_fields(held).items() if name != "kind"}
        else:
            flat[field.name] = held
    return flat


def _escape_surrogates(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
