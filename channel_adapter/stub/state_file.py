"""The state of a stub in a file: loaded at the start, saved at the end and in between, always complete.

The file has one JSON value a line: a header with the version, the records of the state, and a last line with their
number. A document of the control plane, indented or not, is read too. Requests, settings and secrets are not in it. A
file is replaced in one step, so it is the old one or the new one, whatever ends the process.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from filelock import FileLock, Timeout

from channel_adapter.concurrency.files import UNFINISHED, replaced_file
from channel_adapter.quoting import shown_text
from channel_adapter.stub.world.snapshot import (
    VERSION,
    Record,
    SnapshotError,
    check_version,
    fold,
    unfold,
)
from channel_adapter.stub.world.stub_state import StubState

LOGGER: Final = logging.getLogger("channel_adapter.stub")
FORMAT: Final = "channel-adapter stub state"
SAVE_EVERY: Final = 30.0  # seconds
END: Final = "end"


class StateFileError(Exception):
    """The file cannot be loaded or saved; the text is one sentence that names the file."""


class StateFile:
    """The file in which the state is kept between two runs of the stub."""

    def __init__(self, path: Path, world: StubState) -> None:
        self.path = path
        self._world = world
        target = path.resolve()
        # The lock file stays when the lock is released: if it were removed, two stubs could lock two files of its name.
        self._lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0, mode=0o600, thread_local=False)
        self._saved: int | None = None  # world.changes when the file was last as the world is

    def open(self) -> None:
        """Lock the file until `close`, and load it or write a first one.

        It is loaded the first time only; later the state in memory counts. StateFileError, and the file as it was,
        when another stub has it open or it cannot be used.
        """
        try:
            self.path.resolve().parent.stat()  # the lock would make a folder that is missing
            self._lock.acquire()
        except Timeout:
            raise StateFileError(f"{self.path}: another stub uses this state; each needs a file of its own") from None
        except OSError as error:
            raise StateFileError(f"{shown_text(self.path)}: it cannot be locked: {error.strerror or error}") from None
        try:
            self._load_once()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file for other stubs. Does nothing when it is not open."""
        self._lock.release()

    def _load_once(self) -> None:
        if self._saved is not None:
            return
        try:
            _remove_unfinished(self.path.resolve())
            exists = self.path.exists()
        except OSError as error:
            raise StateFileError(f"{shown_text(self.path)}: {error.strerror or 'cannot be read'}") from None
        if not exists:
            self.save()
            return
        try:
            self._world.restore(read_records(self.path))
        except SnapshotError as error:
            raise StateFileError(f"{self.path}: {error}") from None
        self._saved = self._world.changes

    def save(self) -> None:
        """Write the state if it may have changed. StateFileError, and the file as it was, when that fails."""
        changes = self._world.changes
        if changes != self._saved:
            write_state(self.path, self._world)
            self._saved = changes

    async def keep(self, every: float) -> None:
        """Save each `every` seconds until cancelled; a failure is logged, and the next save tries again."""
        while True:
            await asyncio.sleep(every)
            try:
                self.save()
            except StateFileError as error:
                LOGGER.error("%s", error)  # noqa: TRY400 - the sentence is enough


def write_state(path: Path, world: StubState) -> None:
    """Replace the file by one with this state, readable by its owner only."""
    try:
        with replaced_file(path) as file:
            _write_lines(file, world)
    except OSError as error:
        raise StateFileError(f"{shown_text(path)}: the state cannot be saved: {error.strerror or error}") from None


def _write_lines(file: BinaryIO, world: StubState) -> None:
    count = 0
    file.write(_to_line({"format": FORMAT, "version": VERSION}))
    for record in world.records():
        file.write(_to_line(record))
        count += 1
    file.write(_to_line([END, count]))


def _to_line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _remove_unfinished(target: Path) -> None:
    """Remove the files of a stub that was killed while it saved."""
    for path in target.parent.iterdir():
        if path.name.startswith(f".{target.name}.") and path.name.endswith(UNFINISHED):
            path.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a file. SnapshotError when it holds none, StateFileError when it cannot be read.

    Records that were yielded before an error must not be used.
    """
    try:
        with path.open("rb") as file:
            first = file.readline()
            if _is_header(first):
                yield from _read_lines(file)
            else:
                yield from unfold(_parse_json(first + file.read(), "it is no state of the stub"))
    except OSError as error:
        raise StateFileError(f"{shown_text(path)}: {error.strerror or 'cannot be read'}") from None


def read_document(path: Path) -> dict[str, Any]:
    """Return the whole file as one document; StateFileError when it cannot be read or holds no state."""
    try:
        return fold(read_records(path))
    except SnapshotError as error:
        raise StateFileError(f"{path}: {error}") from None


def _is_header(line: bytes) -> bool:
    """Return whether this is the first line of a saved state; SnapshotError for an unknown version."""
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        return False
    check_version(header.get("version"))
    return True


def _read_lines(file: BinaryIO) -> Iterator[Record]:
    for count, line in enumerate(file):
        complaint = f"line {count + 2} is damaged"
        record = _parse_json(line, complaint)
        if not isinstance(record, list) or len(record) != 2 or not isinstance(record[0], str):
            raise SnapshotError(complaint)
        kind, data = record
        if kind == END:
            if data != count:
                raise SnapshotError(f"it holds {count} records of {data}")
            return
        yield kind, data
    raise SnapshotError("its end is missing")


def _parse_json(text: bytes, complaint: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise SnapshotError(complaint) from None
