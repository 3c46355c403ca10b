"""Files that are replaced in one step: readers, and programs that start after a kill, see the old or the new one.

The new content is complete on disk before it gets the name.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

UNFINISHED: Final = ".new"
"""End of the name of a file that is being written; its name begins with a dot and the name of the file it replaces."""


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Replace a file with what the block writes; leave it when the block raises or writes nothing.

    Only its owner can read the new file. It is on disk when the block has ended. A symbolic link is followed. A device
    or a pipe, such as /dev/stdout, is written to and stays. Raises OSError that names `path`.
    """
    target = path.resolve()
    name = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as special:
                yield special
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=UNFINISHED, dir=target.parent)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            written = file.tell()
        if written:
            Path(name).replace(target)
            _sync_directory(target.parent)
    except OSError as wrong:
        if wrong.errno is not None and (name is None or wrong.filename in (None, name)):  # a full disk names no file
            raise OSError(wrong.errno, wrong.strerror, str(path)) from None
        raise
    finally:
        if name is not None:
            Path(name).unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file with `content`, as `replaced_file` does."""
    with replaced_file(path) as file:
        file.write(content)


def _sync_directory(directory: Path) -> None:
    """Write the new name to disk; file systems that cannot do that are ignored."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
