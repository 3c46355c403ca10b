"""Files named on the command line, `-` for stdin."""

import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from channel_adapter.cli.exits import UsageError, read_option
from channel_adapter.concurrency.files import replace_file
from channel_adapter.quoting import shown_text

if TYPE_CHECKING:
    from channel_adapter.mapping.user_list import UserList

STDIN = "-"


def shown_name(name: str) -> str:
    """Return the name of a file as messages show it."""
    return "stdin" if name == STDIN else name


def certificate_files(cert: Path | None, key_file: Path | None) -> tuple[Path, Path] | None:
    """Return the files of --cert and --key-file, None without both. Raises UsageError for one, or a missing file."""
    if cert is None and key_file is None:
        return None
    if cert is None or key_file is None:
        raise UsageError("--cert and --key-file belong together", field="cert")
    for path in (cert, key_file):
        if not path.is_file():
            raise UsageError(f"{shown_text(path)} cannot be read: no such file", field="cert")
    return cert, key_file


def write_ready_file(path: Path | None, document: Mapping[str, object]) -> None:
    """Write one JSON line to the file of --ready-file, which its owner alone can read. Raises UsageError."""
    if path is None:
        return
    import orjson  # noqa: PLC0415 - not for help and usage errors

    try:
        replace_file(path, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise UsageError(
            f"{shown_text(path)} cannot be written: {error.strerror or error}", field="ready_file"
        ) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a read in the block; the event loop would only take note of it and go on waiting."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def read_all(source: BinaryIO) -> bytes:
    """Read to the end, which input from a terminal may never have; Ctrl-C interrupts it."""
    with interruptible():
        return source.read()


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open a file for bytes, or stdin for `-`. Raises UsageError when it cannot be read."""
    if "://" in name:
        raise UsageError(
            f"{shown_text(name)} is an address; fetch it first and give the file, or - for stdin", field="file"
        )
    if name == STDIN:
        # A stream of its own, and never closed: a thread may wait in it for ever, and closing waits for the thread.
        yield open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
        return
    try:
        source = Path(name).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{shown_text(name)} cannot be read: {error.strerror}", field="file") from None
    with source:
        yield source


@contextmanager
def opened_seekable(name: str) -> Iterator[BinaryIO]:
    """Open a file to be read more than once; stdin and pipes are copied to a temporary file first."""
    with opened(name) as source:
        if name != STDIN and source.seekable():
            yield source
            return
        with TemporaryFile() as copy:
            with interruptible():
                shutil.copyfileobj(source, copy)
            yield copy


def read_text(name: str, field: str) -> str:
    """Read a whole file as text. Raises UsageError when it is not UTF-8."""
    with opened(name) as source:
        try:
            return read_all(source).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not UTF-8 text", field=field) from None


HeadingOption = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Does the first line name columns? Found out if neither is given."),
]
DelimiterOption = Annotated[
    str, typer.Option("--delimiter", metavar="CHARACTER", help="Between columns, or tab. Found out if not given.")
]
ColumnOption = Annotated[
    str, typer.Option("--column", metavar="NAME_OR_NUMBER", help="The column of user ids; the first is 1.")
]


def users_in(
    source: BinaryIO, name: str = "the file", heading: bool | None = None, delimiter: str = "", column: str = ""
) -> "UserList":
    """Check a file of user ids as a whole, and return what is in it. Raises UsageError where it is not certain."""
    from channel_adapter.mapping.user_list import read_users  # noqa: PLC0415 - help must not wait for it

    with read_option():
        return read_users(source, name=shown_name(name), heading=heading, delimiter=delimiter, column=column)
