# ruff: noqa: SIM115, BLE001 - streams and errors of a program
"""`channel-adapter` as a program that starts quickly: each command is a fork of a process with the package imported.

    python -m tests.readme.forked_commands SOCKET

The blocks of the manuals run about a hundred commands, and importing the package takes most of the time of each. The
program `channel-adapter` of `program` passes its arguments, directory, environment and streams to the server at SOCKET.
A signal to the program reaches the command; a command ends with its program. That the installed program starts alone
is tested in `tests/cli`.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

PROGRAM = """#!{python} -SE
import json, os, signal, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(request)
answers = connection.makefile()
command = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(command, number))
os._exit(int(answers.readline() or 1))
"""


def program(folder: Path, address: Path) -> Path:
    """Write the program into a folder for the path of a shell; return the folder."""
    path = folder / "channel-adapter"
    path.write_text(PROGRAM.format(python=sys.executable, address=str(address)), encoding="utf-8")
    path.chmod(0o755)
    return folder


def serve(address: str) -> None:
    """Accept connections until the process is terminated, with a process for each."""
    import channel_adapter.webhooks  # noqa: F401, PLC0415 - what most commands need
    from channel_adapter import ChannelAdapter  # noqa: F401, PLC0415
    from channel_adapter.cli.main import main  # noqa: F401, PLC0415
    from channel_adapter.store import database  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for those of connections
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen(64)
        Path(f"{address}.new").rename(address)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _supervise(connection)
            connection.close()


def _supervise(connection: socket.socket) -> None:
    """Run one command in a process of its own, and report its process id and its exit code."""
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as request:
        arguments, folder, environment = json.loads(request.read(int.from_bytes(size, "big")))
    command = os.fork()
    if command == 0:
        connection.close()
        _run(streams, arguments, folder, environment)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{command}\n".encode())
    ended = os.pidfd_open(command)
    readable, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in readable:  # the program was killed
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    code = os.waitstatus_to_exitcode(status)
    connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


def _run(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    from channel_adapter.cli.main import main  # noqa: PLC0415

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.argv = ["channel-adapter", *arguments]
    code = 1
    try:
        code = main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
