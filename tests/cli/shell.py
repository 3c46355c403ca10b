"""Runs of the command line, in a separate process or here, and their results. Each is searched for secrets."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from channel_adapter.cli.main import main
from channel_adapter.config.extras import installed_durable_fault
from tests import forked

PROGRAM = Path(sys.executable).with_name("channel-adapter")
KEY = "c1a5" * 16
WRONG_KEY = "d00d" * 16
SECRETS = re.compile(rf"{KEY}|{WRONG_KEY}|usersig=(?!\*)|\beJ[w-z][A-Za-z0-9*_-]{{60,}}")
TRACEBACK = "Traceback (most recent call last)"
DOCTOR = 1 if installed_durable_fault(sqlite=True) else 0  # exit code of a doctor with only this machine's fault
SECONDS = 120  # until a process counts as hanging: a busy machine may be slow


@dataclass(frozen=True)
class Result:
    """Exit code and output of a run."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout, which must be one JSON document."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """Return the last line of stderr, which must be an error as JSON with all its names."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        assert list(error) == ["kind", "message", "field", "limit", "size", "code", "retry_after"]
        return error


class Shell:
    """Runner of the command with one settings file, in one directory, with a clean environment."""

    def __init__(self, directory: Path, config: Path | None, variables: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.config = config
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CHANNEL_ADAPTER_")}
        self.environment = {**clean, **({"CHANNEL_ADAPTER_CONFIG": str(config)} if config else {}), **(variables or {})}

    def having(self, **variables: str) -> "Shell":
        """Return this shell with more environment variables."""
        return Shell(self.directory, self.config, {**self.environment, **variables})

    def file(self, name: str, content: str | bytes) -> str:
        """Write a file and return its path."""
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def start(self, *args: str, stdin: int = subprocess.DEVNULL, program: Path = PROGRAM) -> "subprocess.Popen[bytes]":
        """Start a run in the background."""
        return subprocess.Popen(
            [program, *args],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.directory, env=self.environment,
        )  # fmt: skip

    def start_forked(self, *args: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """Start a run in the background, as a fork of a process that has imported the package."""
        return self.start(*args, stdin=stdin, program=forked.programs() / "channel-adapter")

    def forked(self, *args: str, stdin: str | bytes = b"", code: int = 0) -> Result:
        """Run the command to its end, as a fork of a process that has imported the package."""
        program = forked.programs() / "channel-adapter"
        return self.installed(*args, stdin=stdin, code=code, program=program)

    def installed(self, *args: str, stdin: str | bytes = b"", code: int = 0, program: Path = PROGRAM) -> Result:
        """Run the installed command to its end, which must have exit code `code`."""
        given = stdin if isinstance(stdin, bytes) else stdin.encode()
        process = self.start(*args, stdin=subprocess.PIPE, program=program)
        out, err = process.communicate(given, timeout=SECONDS)
        return checked(process.returncode, out, err, code, debug="--debug" in args)

    def __call__(self, *args: str, code: int = 0) -> Result:
        """Run the command's entry point in this process, which is faster than a separate process."""
        out, err = io.BytesIO(), io.BytesIO()
        text = [io.TextIOWrapper(stream, encoding="utf-8") for stream in (out, err)]
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(text[0]), redirect_stderr(text[1]):
            patch.chdir(self.directory)
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            returned = main(args)
        for stream in text:
            stream.detach()
        return checked(returned, out.getvalue(), err.getvalue(), code, debug="--debug" in args)


def checked(code: int, out: bytes, err: bytes, expected: int, *, debug: bool = False) -> Result:
    """Return a finished run after checking that it has the expected code, no secret and no traceback."""
    result = Result(code, out.decode(), err.decode())
    everything = result.out + result.err
    assert code == expected, f"exit code {code} instead of {expected}\n{everything}"
    assert not SECRETS.search(everything), "a secret was told"
    assert debug or TRACEBACK not in everything, everything
    return result


def interrupted(process: "subprocess.Popen[bytes]", err_before: bytes = b"") -> Result:
    """Press Ctrl-C and wait for the end."""
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stderr is not None
    hanging = Timer(SECONDS, process.kill)
    hanging.start()
    try:
        with process.stdout, process.stderr, ThreadPoolExecutor(1) as reader:
            out = reader.submit(process.stdout.read)  # a process that writes to a full pipe does not end
            err = err_before + process.stderr.read()
            process.wait()
            return checked(process.returncode, out.result(), err, 4)
    finally:
        hanging.cancel()
