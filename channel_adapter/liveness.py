"""Who still lives: a lock that a process holds while it runs, and that the system lets go of when it dies.

Loaded with the database drivers, never before durable work starts.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, Protocol

import psycopg

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_QUIET_SECONDS: Final = 5  # a server asks a silent connection after this time, twice more a second apart
_CONNECT_SECONDS: Final = 5
SURE_SECONDS: Final = 3.0
"""How long a lock on a server must be free before its owner is dead: whoever lost its connection takes it again."""


class Liveness(Protocol):
    """Proof that this executor lives, and a way to prove that another one does not."""

    def renew(self) -> None:
        """Make sure that the lock is still held."""
        ...

    def proof_of_death(self, executor: str) -> AbstractContextManager[bool]:
        """True inside the block when `executor` is dead; nobody else has the same proof at the same time."""
        ...

    def release(self) -> None:
        """Let go: from now on this executor counts as dead."""
        ...


def liveness_of(url: Any, executor: str) -> Liveness:
    """The lock of `executor`, held from now on, in the way that suits the database."""
    if url.get_backend_name() == "sqlite":
        return FileLiveness(Path(f"{url.database}-running"), executor)
    return PostgresLiveness(url.set(drivername="postgresql").render_as_string(hide_password=False), executor)


class FileLiveness:
    """Locked files beside the database.

    Where files cannot be locked (Windows), no other process counts as dead: its work waits until that process runs it.
    """

    def __init__(self, directory: Path, executor: str) -> None:
        self._directory = directory
        self._path = directory / executor
        self._file: IO[bytes] | None = None
        while self._file is None:
            file = self._create()
            try:
                if _lock_at(self._path, file) or fcntl is None:
                    self._file = file
            finally:
                if self._file is None:  # another process has just cleared the folder, or locking failed
                    file.close()

    def _create(self) -> IO[bytes]:
        while True:
            with suppress(FileExistsError):
                self._directory.mkdir()
            with suppress(FileNotFoundError):  # the folder was removed in between
                return self._path.open("wb")

    def renew(self) -> None:
        """Nothing to do: the system keeps the lock until the process ends."""

    @contextmanager
    def proof_of_death(self, executor: str) -> Iterator[bool]:
        """See Liveness. The file of a dead executor is removed in the end."""
        path = self._directory / executor
        with path.open("ab") as file:
            dead = _lock_at(path, file)
            try:
                yield dead
            finally:
                if dead:
                    path.unlink(missing_ok=True)

    def release(self) -> None:
        """See Liveness. Removes the files of killed executors too, and the folder when no executor is left."""
        if self._file is None:
            return
        self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        with suppress(OSError):  # another process is using, or has removed, what is left
            for path in self._directory.iterdir():
                with path.open("ab") as file:
                    if _lock_at(path, file):
                        path.unlink(missing_ok=True)
            self._directory.rmdir()


def _lock_at(path: Path, file: IO[bytes]) -> bool:
    """Lock an open file. Returns False if another process holds the lock, or has removed the file from `path`.

    Only the holder of this lock removes the file, so no two processes hold locks for one path.
    """
    try:
        return _try_lock(file) and os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(file: IO[bytes]) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as taken:
        if taken.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


class PostgresLiveness:
    """An advisory lock, held by a connection that the server gives up soon after its client is gone."""

    def __init__(self, url: str, executor: str, now: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._executor = executor
        self._now = now
        self._free_since: dict[str, float] = {}
        self._held = False
        self._connection = self._connect()

    def renew(self) -> None:
        """Ask the server; after a lost connection take the lock again. Raises OSError while that fails."""
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            self._connection.close()
            self._held = False
            self._connection = self._connect()
        if not self._held:  # somebody was just asking whether we live
            self._held = _lock(self._connection, self._executor)

    @contextmanager
    def proof_of_death(self, executor: str) -> Iterator[bool]:
        """See Liveness. Dead is whose lock was free some time ago and is still."""
        free = _lock(self._connection, executor)
        if not free:
            self._free_since.pop(executor, None)
            yield False
            return
        dead = self._now() - self._free_since.setdefault(executor, self._now()) >= SURE_SECONDS
        if dead:
            del self._free_since[executor]
        try:
            yield dead
        finally:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (_key(executor),))

    def release(self) -> None:
        """See Liveness."""
        self._connection.close()

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_SECONDS)
            try:
                connection.execute(
                    f"SET tcp_keepalives_idle = {_QUIET_SECONDS}; SET tcp_keepalives_interval = 1; "
                    "SET tcp_keepalives_count = 2"
                )
                self._held = _lock(connection, self._executor)
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as lost:
            raise ConnectionError(" ".join(str(lost).split())) from None
        return connection


def _lock(connection: "psycopg.Connection[tuple[Any, ...]]", executor: str) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_key(executor),)).fetchone()
    return bool(row and row[0])


def _key(executor: str) -> int:
    return int.from_bytes(sha256(f"channel_adapter:{executor}".encode()).digest()[:8], "big", signed=True)
