"""Files named on the command line, `-` for stdin, read without stopping the calls that are under way."""

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from channel_adapter.cli.exits import UsageError

T = TypeVar("T")

STDIN = "-"
BATCH = 100
BATCHES_AHEAD = 4
BLOCK_BYTES = 1 << 20


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


def read_text(name: str, field: str) -> str:
    """A whole file as text. Raises UsageError when it is not UTF-8."""
    with opened(name) as source:
        try:
            return read_all(source).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not UTF-8 text", field=field) from None


def count_lines(name: str) -> int | None:
    """Lines of a file, for telling how much is left; None for stdin and what else cannot be read twice."""
    path = Path(name)
    if name == STDIN or not path.is_file():
        return None
    with path.open("rb") as source:
        return sum(block.count(b"\n") for block in iter(lambda: source.read(BLOCK_BYTES), b""))


async def without_blocking(items: Iterator[T]) -> AsyncIterator[T]:
    """`items`, drawn in a thread a little ahead of their use: a slow pipe must not hold up the calls under way."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[list[T] | BaseException] = asyncio.Queue()
    room = threading.Semaphore(BATCHES_AHEAD)

    def hand_over(batch: list[T] | BaseException) -> bool:
        try:
            loop.call_soon_threadsafe(arrived.put_nowait, batch)
        except RuntimeError:  # the loop was closed: nobody waits any more
            return False
        return True

    def draw() -> None:
        try:
            while True:
                room.acquire()
                batch = list(islice(items, BATCH))
                if not hand_over(batch) or not batch:
                    return
        except Exception as error:  # noqa: BLE001 - carried over to the reader, who raises it
            hand_over(error)

    # Not the loop's executor: that one is waited for at the end, and a pipe may never end.
    threading.Thread(target=draw, name="reading", daemon=True).start()
    while batch := await arrived.get():
        if isinstance(batch, BaseException):
            raise batch
        room.release()
        for item in batch:
            yield item
