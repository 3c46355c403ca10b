"""`webhooks serve`: the receiver as a program."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the client to be imported

import asyncio
import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.webhooks_group import app
from channel_adapter.cli.words import why_not_bound

if TYPE_CHECKING:
    import ssl

DEFAULT_PORT = 8080
_END_SECONDS = 1.9

_HANDLERS = Annotated[
    list[str] | None,
    typer.Option("--handlers", metavar="MODULE:FUNCTION", help="Called with the adapter to register; repeat it."),
]


@command(
    app, "webhooks", "serve", until_interrupted=True,
    example="channel-adapter webhooks serve --port 8080 --handlers my_app.channels:register\n"
    "channel-adapter webhooks serve --host 0.0.0.0 --path /hooks/im --cert chain.pem --key-file key.pem",
)  # fmt: skip
async def serve(
    run: Run,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 picks a free one.")] = DEFAULT_PORT,
    path: Annotated[str, typer.Option(help="Path of the URL that the console knows.")] = "/",
    handlers: _HANDLERS = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain in PEM, for https.")] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Gets one JSON line with the URL once it listens.")
    ] = None,
) -> None:
    """Receive webhooks until it is told to end, and hand their events to your handlers.

    MODULE is imported with the working directory on the path. FUNCTION gets the open adapter and registers what it
    wants with adapter.events.on and adapter.guard.on; it may be a coroutine. Several receivers may share one PostgreSQL
    database. SIGTERM and Ctrl-C end it within two seconds; the durable inbox goes on at its next start.
    """
    from channel_adapter.webhooks import serve as listen

    if not path.startswith("/"):
        raise UsageError("--path begins with /", field="path")
    registered = [_function(name) for name in handlers or ()]
    tls = _tls(cert, key_file)
    async with run.adapter() as adapter, _told_to_end() as ending:
        _show_logs(run)
        for register in registered:
            outcome = register(adapter)
            if inspect.isawaitable(outcome):
                await outcome
        try:
            async with listen(adapter, host=host, port=port, path=path, tls=tls) as (_, url):
                _tell(run, url, ready_file)
                await ending.wait()
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {why_not_bound(error)}", field="port") from None


def _show_logs(run: Run) -> None:
    """Show the logs of the receiver: warnings always, counts with -v, tracebacks of every failed attempt with -vv."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(run.output.verbose, logging.DEBUG)
    for name in ("channel_adapter.webhooks", "channel_adapter.durable"):
        logging.getLogger(name).setLevel(level)


def _tell(run: Run, url: str, ready_file: Path | None) -> None:
    import orjson

    if ready_file is not None:
        draft = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        draft.write_bytes(orjson.dumps({"url": url, "pid": os.getpid()}) + b"\n")
        draft.replace(ready_file)
    run.output.one({"url": url}, f"webhooks are received at {url}; Ctrl-C ends it")
    run.output.flush()


@asynccontextmanager
async def _told_to_end() -> AsyncIterator[asyncio.Event]:
    """Set by SIGTERM and Ctrl-C. The process ends soon then; what hangs is left behind: an inbox survives worse."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    last = threading.Timer(_END_SECONDS, _end_at_once)
    last.daemon = True

    def end() -> None:
        if not ending.is_set():
            ending.set()
            last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        yield ending
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _end_at_once() -> None:
    """Threads that wait for a database that does not answer would keep the process."""
    sys.stderr.write("ended without waiting any longer; what was under way goes on at the next start\n")
    sys.stderr.flush()
    os._exit(0)


def _function(name: str) -> Callable[[Any], Any]:
    """What `module:function` names. Raises UsageError when it is not there."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{name!r} is not MODULE:FUNCTION", field="handlers")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not (module_name == missing.name or module_name.startswith(f"{missing.name}.")):
            raise  # something that the module itself wants
        raise UsageError(f"there is no module {module_name!r} here: {here}", field="handlers") from None
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(f"{module_name} has no function {attribute!r}", field="handlers")
    return found  # type: ignore[no-any-return]


def _tls(cert: Path | None, key_file: Path | None) -> "ssl.SSLContext | None":
    if (cert is None) != (key_file is None):
        raise UsageError("--cert and --key-file belong together", field="cert")
    if cert is None or key_file is None:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key_file)
    except (OSError, ssl.SSLError) as wrong:
        raise UsageError(f"{cert} and {key_file} cannot be used: {wrong.strerror or wrong}", field="cert") from None
    return context
