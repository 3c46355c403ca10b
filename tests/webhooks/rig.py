"""Receivers in separate processes: the command, with settings in a file."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from os import environ
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests import forked
from tests.webhooks.effects import TABLE
from tests.webhooks.sender import APP, TOKEN

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("channel-adapter")


def write_settings(folder: Path, url: str, webhooks: Any = None, **inbox: object) -> Path:
    """Write a settings file for receivers whose events need no service, and return its path."""
    path = folder / "adapter.toml"
    lines = [
        f'sdkappid = {APP}\nkey = "{"0" * 64}"\nbase_url = "http://127.0.0.1:9"\ndatabase_url = {json.dumps(url)}',
        f"[webhooks]\ntokens = [{json.dumps(TOKEN)}]\nlost_after_seconds = 0",
        *(f"{name} = {json.dumps(value)}" for name, value in (webhooks or {}).items()),
        "[inbox]",
        *(f"{name} = {json.dumps(value)}" for name, value in inbox.items()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Process:
    """A running receiver: its process and URL."""

    def __init__(self, process: "forked.Forked | subprocess.Popen[bytes]", url: str) -> None:
        self.process = process
        self.url = url

    def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended."""
        self.process.kill()
        self.process.wait()


def start(
    settings: Path,
    *,
    port: int = 0,
    handlers: str = "tests.webhooks.effects:register",
    more: Mapping[str, str] = {},
    open_files: int | None = None,
    stderr: Path | None = None,
    installed: bool = False,
) -> Process:
    """Start `webhooks serve` and wait until it listens. `open_files` is its soft limit of descriptors.

    With `installed` the installed program is started, as a user starts it, in place of a fork that starts quickly.
    """
    ready = settings.with_name(f"ready-{time.monotonic_ns()}.json")
    words = ["webhooks", "serve", "--port", str(port), "--handlers", handlers, "--ready-file", str(ready)]
    words += ["--config", str(settings)]
    process: forked.Forked | subprocess.Popen[bytes]
    with stderr.open("wb") if stderr is not None else nullcontext() as errors:
        if open_files is None and not installed:
            process = forked.start(["channel-adapter", *words], env={**environ, **more}, stderr=errors)
        else:
            limit = "true" if open_files is None else f"ulimit -S -n {open_files}"
            program: list[str | Path] = ["sh", "-c", f'{limit} && exec "$0" "$@"', COMMAND, *words]
            process = subprocess.Popen(
                program, cwd=ROOT, env={**environ, **more}, stdout=subprocess.DEVNULL, stderr=errors
            )
    end = time.monotonic() + 90
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError(f"the receiver ended with {process.wait()}")
        time.sleep(0.01)
    return Process(process, json.loads(ready.read_text(encoding="utf-8"))["url"])


@contextmanager
def receiver(settings: Path, **options: Any) -> Iterator[Process]:
    """Run a receiver during a block; terminate it afterwards, and kill it if it does not end."""
    running = start(settings, **options)
    try:
        yield running
        running.process.terminate()
        running.process.wait(60)
    finally:
        running.kill()


def engine_of(url: str) -> sa.Engine:
    """Return an engine of the effects database and create its table."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text(TABLE))
    return engine


def effects(engine: sa.Engine) -> list[tuple[str, str]]:
    """Return account and user of each effect."""
    with engine.connect() as connection:
        return [(str(row[0]), str(row[1])) for row in connection.execute(sa.text("SELECT account, who FROM effect"))]


def wait_for_effects(engine: sa.Engine, number: int, seconds: float = 90) -> list[tuple[str, str]]:
    """Return all effects once their number is reached."""
    end = time.monotonic() + seconds
    while len(found := effects(engine)) < number and time.monotonic() < end:
        time.sleep(0.05)
    return found


def wait_until_counted(engine: sa.Engine, name: str, number: int) -> None:
    """Wait until a receiver has stored this count; it stores its counts periodically."""
    end = time.monotonic() + 90
    found = None
    while time.monotonic() < end:
        with engine.connect() as connection:
            asked = sa.text("SELECT number FROM webhook_count WHERE name = :name")
            found = connection.scalar(asked, {"name": name})
        if found == number:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{name}: {found}")


def wait_until_settled(engine: sa.Engine, number: int) -> None:
    """Wait until this many events are stored and none of them is waiting."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with engine.connect() as connection:
            states = list(connection.scalars(sa.text("SELECT state FROM inbox_event")))
        if len(states) >= number and "waiting" not in states:
            return
        time.sleep(0.05)
    raise TimeoutError(f"the states are {states}")
