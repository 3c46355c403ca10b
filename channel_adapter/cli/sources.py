"""Files named on the command line, `-` for stdin."""

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from channel_adapter.cli.exits import UsageError

STDIN = "-"


def shown_name(name: str) -> str:
    """Return the name of a file as messages show it."""
    return "stdin" if name == STDIN else name


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what waits for somebody here; the event loop would only make a note of it and wait on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def read_all(source: BinaryIO) -> bytes:
    """Everything to the end, which a person at a terminal may never reach."""
    with interruptible():
        return source.read()


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The file's bytes, or stdin's for `-`. Raises UsageError in one sentence when it cannot be read."""
    if "://" in name:
        raise UsageError(f"{name} is an address; fetch it first and give the file, or - for stdin", field="file")
    if name == STDIN:
        # A stream of its own, and never closed: a thread may wait in it for ever, and closing waits for the thread.
        yield open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115
        return
    try:
        source = Path(name).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", field="file") from None
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
    """A whole file as text. Raises UsageError when it is not UTF-8."""
    with opened(name) as source:
        try:
            return read_all(source).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not UTF-8 text", field=field) from None
