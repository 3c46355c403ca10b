# ruff: noqa: SIM115, BLE001 - streams and errors of a program
"""`channel-adapter` and Python as programs that start quickly: forks of a process with the package imported.

Importing the package takes most of the time of a command, and the tests start hundreds. `start` starts one and returns
its process; `programs` returns a folder with the programs, for the path of a shell. A command ends with the process
that started it. That the installed program starts alone is tested in `tests/cli`.
"""

import atexit
import functools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent
CAN_FORK = hasattr(os, "pidfd_open")
"""Whether this system can wait for a process and a connection; otherwise the installed programs are started."""
PROGRAM = """#!{python} -SE
import json, os, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
request = json.dumps([[os.path.basename(sys.argv[0]), *sys.argv[1:]], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(request)
answers = connection.makefile()
command = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(command, number))
code = int(answers.readline() or 1)
os._exit(code if code >= 0 else 128 - code)
"""


class Forked:
    """A started command, with the interface of `subprocess.Popen` for one without pipes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb", buffering=0)
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the command is running."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the command and return its exit code."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            self.returncode = int(self._answers.readline())
            self._answers.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the command, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def start(
    words: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    stderr: IO[bytes] | None = None,
) -> "Forked | subprocess.Popen[bytes]":
    """Start `channel-adapter ...`, `python FILE ...` or `python -m MODULE ...` without input."""
    if not CAN_FORK:
        command = [SCRIPTS / words[0], *words[1:]]
        return subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    request = json.dumps([[str(word) for word in words], str(cwd), dict(os.environ if env is None else env)]).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(_server()))
    with Path(os.devnull).open("r+b") as nothing:
        out = nothing if isinstance(stdout, int) else stdout
        streams = [nothing.fileno(), out.fileno(), 2 if stderr is None else stderr.fileno()]
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], streams)
    connection.sendall(request)
    return Forked(connection)


@functools.cache
def programs() -> Path:
    """Return a folder with the programs `channel-adapter` and `python`."""
    if not CAN_FORK:
        return SCRIPTS
    address = _server()
    for name in ("channel-adapter", "python"):
        path = address.with_name(name)
        path.write_text(PROGRAM.format(python=sys.executable, address=str(address)), encoding="utf-8")
        path.chmod(0o755)
    return address.parent


@functools.cache
def _server() -> Path:
    """Start the server of this process, which ends with it, and return the address."""
    folder = tempfile.TemporaryDirectory(prefix="channel-adapter-forks-")
    address = Path(folder.name) / "socket"
    words = [sys.executable, "-m", "tests.forked", str(address)]
    server = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE)

    def end() -> None:
        server.kill()
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    while not address.exists():
        assert server.poll() is None, "the server of forks ended"
        time.sleep(0.01)
    return address


def serve(address: str) -> None:
    """Accept connections until the input ends, with a process for each."""
    import channel_adapter.webhooks  # noqa: F401, PLC0415 - what most commands need
    from channel_adapter import ChannelAdapter  # noqa: F401, PLC0415
    from channel_adapter.cli.main import main  # noqa: F401, PLC0415
    from channel_adapter.store import database  # noqa: F401, PLC0415

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen(64)
        Path(f"{address}.new").rename(address)
        supervisors: set[int] = set()
        while select.select([listening.fileno(), 0], [], [])[0] == [listening.fileno()]:
            connection, _ = listening.accept()
            supervisor = os.fork()
            if supervisor == 0:
                listening.close()
                _supervise(connection)
            connection.close()
            supervisors.add(supervisor)
            supervisors -= {each for each in supervisors if os.waitpid(each, os.WNOHANG)[0]}


def _supervise(connection: socket.socket) -> None:
    """Run one command in a process of its own, and report its process id and its exit code."""
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as request:
        words, folder, environment = json.loads(request.read(int.from_bytes(size, "big")))
    command = os.fork()
    if command == 0:
        connection.close()
        _run(streams, words, folder, environment)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{command}\n".encode())
    ended = os.pidfd_open(command)
    readable, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in readable:  # the process that started it was killed
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    with suppress(BrokenPipeError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(streams: list[int], words: list[str], folder: str, environment: dict[str, str]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max(streams) + 1)
    by_lines = 1 if environment.get("PYTHONUNBUFFERED") else -1
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8", buffering=by_lines)
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    code: object = 1
    try:
        code = _carry_out(*words)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _carry_out(program: str, *words: str) -> int:
    """Carry out a command in this process, and return its exit code."""
    if program == "channel-adapter":
        from channel_adapter.cli.main import main  # noqa: PLC0415

        sys.argv = [program, *words]
        return main(words)
    sys.path.insert(0, str(Path.cwd()))
    if words[0] == "-m":
        sys.argv = [*words[1:]]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [*words]
        runpy.run_path(words[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
