"""`console`: the web page for operators."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the console to be imported

import getpass
import logging
import os
import re
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from channel_adapter.cli.command import CommandGroup, Run, command, group
from channel_adapter.cli.ending import end_signal
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.files import interruptible, write_ready_file
from channel_adapter.cli.metrics import METRICS_HOST, METRICS_PORT, monitoring
from channel_adapter.cli.output import why_not_bound
from channel_adapter.quoting import shown_text

if TYPE_CHECKING:
    from aiohttp.web import Application

    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.console.auth import Authorise, Sessions
    from channel_adapter.console.playground import Playground
    from channel_adapter.observability.telemetry import Telemetry

DEFAULT_PORT = 8800


class ConsoleGroup(CommandGroup):
    """Runs `serve` where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `serve` before options."""
        if not args or args[0] not in self.list_commands(ctx):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


app = group("console", ConsoleGroup)

_DEMO = Annotated[
    bool, typer.Option("--demo", help="Start a stub with channels, readers and reactions; needs no settings.")
]
_USERS = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML with tables [[users]]: name, role (viewer, editor, admin), hash."),
]
_TRUSTED_HEADER = Annotated[
    str | None, typer.Option(metavar="NAME", help="Header of your proxy that names the operator; role viewer.")
]
_TRUSTED_ROLE_HEADER = Annotated[
    str | None, typer.Option(metavar="NAME", help="Header of your proxy that gives the role.")
]
_TRUSTED_PROXY = Annotated[
    list[str] | None,
    typer.Option(metavar="CIDR", help="Addresses of the proxy; repeat it. Without it: this machine."),
]
_ALLOWED_HOST = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Name under which browsers reach the console; repeat it."),
]
_BASE_PATH = Annotated[str, typer.Option(metavar="PATH", help="Path below which it is served, for example /channels.")]
_READY_FILE = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Gets one JSON line with url, token included, once it listens.")
]


@command(
    app, "console", "serve", until_interrupted=True,
    example="channel-adapter console serve --demo\n"
    "channel-adapter console serve --config adapter.toml --open\n"
    "channel-adapter console serve --host 0.0.0.0 --users users.toml --allowed-host console.example.org",
)  # fmt: skip
async def serve(
    run: Run,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 picks a free one.")] = DEFAULT_PORT,
    demo: _DEMO = False,
    users: _USERS = None,
    trusted_header: _TRUSTED_HEADER = None,
    trusted_role_header: _TRUSTED_ROLE_HEADER = None,
    trusted_proxy: _TRUSTED_PROXY = None,
    allowed_host: _ALLOWED_HOST = None,
    base_path: _BASE_PATH = "",
    ready_file: _READY_FILE = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the address in a browser.")] = False,
    metrics_host: METRICS_HOST = "127.0.0.1",
    metrics_port: METRICS_PORT = None,
) -> Exit | None:
    """Serve the web page for operators until SIGTERM or Ctrl-C, and print its address.

    Channels, posts with a live preview, reactions, subscribers. The address holds a token that works once and makes the
    browser an administrator for 12 hours. Other machines are served only with --users or --trusted-header. The command
    `console hash-password` makes the hashes of --users. Writes are logged on stderr as console.write. Scheduled posts
    and queued jobs of database_url are run too, except migrations. The name serve may be left out.
    """
    from channel_adapter.config.extras import needs_extra

    with needs_extra("the console", extra="console"):
        from channel_adapter.console import ConsoleOptions, application
        from channel_adapter.console import server as listen
    if trusted_role_header and not trusted_header:
        raise UsageError("--trusted-role-header needs --trusted-header", field="trusted_role_header")
    authorise, sessions = _open_sign_in(users, trusted_header, trusted_role_header, trusted_proxy)
    if not listen.is_loopback(host) and users is None and trusted_header is None:
        raise UsageError(f"{shown_text(host)} serves other machines: needs --users or --trusted-header", field="host")
    root = _parse_base_path(base_path)
    logging.getLogger("channel_adapter.console").setLevel(logging.INFO)
    try:
        listening = listen.listening_socket(host, port)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot listen on {shown_text(host)}:{port}: {why_not_bound(error)}", field="port") from None
    port = listening.getsockname()[1]
    url = _shown_url(host, port, root)
    async with AsyncExitStack() as stack:
        stack.callback(listening.close)
        ending = await stack.enter_async_context(end_signal())
        monitored = await stack.enter_async_context(monitoring(run, metrics_host, metrics_port))
        opened = _open_adapter(run, monitored.telemetry, url if demo else None)
        adapter, playground = await stack.enter_async_context(opened)
        hosts = listen.host_headers([*_allowed_hosts(adapter), host, *(allowed_host or ())], port)
        console = application(adapter, authorise, options=ConsoleOptions(hosts, sessions, playground))
        await stack.enter_async_context(listen.serve(console, listening, root))
        ending.report_lost(partial(_find_interrupted, console))
        if playground is not None:
            await playground.fill(f"{url}static/")
        if sessions is not None and sessions.token is not None:
            url = f"{url}?token={sessions.token}"
        database = adapter.settings.database_url
        monitored.begin_with_database(database.get_secret_value() if database is not None else None)
        _show_url(run, url, ready_file, open_it=open_it)
        await ending.wait()
        return ending.finish(run.output)


@command(app, "console", "hash-password", example='printf %s "$PASSWORD" | channel-adapter console hash-password')
async def hash_password(run: Run) -> None:
    """Print the Argon2 hash of a password, for a file of users. It is read from the terminal or from stdin."""
    from channel_adapter.config.extras import needs_extra

    with needs_extra("a file of users", extra="console"):
        from argon2 import PasswordHasher
    found = PasswordHasher().hash(_read_password())
    run.output.one({"hash": found}, found)


def _read_password() -> str:
    """Read a password from the terminal or a line of stdin; Ctrl-C interrupts it. Raises UsageError."""
    try:
        with interruptible():
            password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        password.encode()
    except EOFError:
        password = ""
    except UnicodeError:
        raise UsageError("the password is not UTF-8 text") from None
    if not password:
        raise UsageError("the password is empty")
    return password


def _open_sign_in(
    users: Path | None, header: str | None, role_header: str | None, proxies: list[str] | None
) -> "tuple[Authorise, Sessions | None]":
    """Return how operators are known, and the sessions that they begin here."""
    from channel_adapter.console.auth import Sessions, TrustedHeader, read_users

    if header is not None:
        if users is not None:
            raise UsageError("--users and --trusted-header are two ways to sign in: give one", field="users")
        return TrustedHeader(header, role_header, proxies or ("127.0.0.0/8", "::1/128")).authorise, None
    if proxies:
        raise UsageError("--trusted-proxy needs --trusted-header", field="trusted_proxy")
    sessions = Sessions(None if users is None else read_users(users))
    return sessions.authorise, sessions


@asynccontextmanager
async def _open_adapter(
    run: Run, telemetry: "Telemetry | None", demo_url: str | None
) -> "AsyncIterator[tuple[ChannelAdapter, Playground | None]]":
    if demo_url is None:
        async with run.adapter(telemetry) as adapter, run.jobs(adapter):
            yield adapter, None
        return
    if run.config:
        raise UsageError("--demo and --config are two services: give one", field="demo")
    from channel_adapter.console.playground import open_playground

    run.observer()
    with tempfile.TemporaryDirectory(prefix="channel-adapter-demo-") as directory:
        async with open_playground(Path(directory), telemetry, f"{demo_url}media") as playground:
            yield playground.adapter, playground


def _allowed_hosts(adapter: "ChannelAdapter") -> list[str]:
    """Return the names of this machine, and the host under which the console serves pictures to readers."""
    from channel_adapter.console.server import LOCAL_NAMES

    own = adapter.settings.console
    return [*LOCAL_NAMES, *([] if own.media_dir is None else [urlsplit(own.media_public_url or "").netloc])]


def _parse_base_path(base_path: str) -> str:
    path = base_path.rstrip("/")
    if path and not path.startswith("/"):
        raise UsageError("--base-path begins with /", field="base_path")
    if path and not re.fullmatch(r"(/[\w.~-]+)+", path, re.ASCII):
        raise UsageError(
            f"--base-path {shown_text(base_path)}: between slashes are letters, digits, _ . ~ and -", field="base_path"
        )
    return path


def _find_interrupted(console: "Application") -> str:
    from channel_adapter.console.app import has_local_work

    return "an import or a sync of users was interrupted" if has_local_work(console) else ""


def _shown_url(host: str, port: int, root: str) -> str:
    shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - not bound to
    return f"http://{shown}:{port}{root}/"


def _show_url(run: Run, url: str, ready_file: Path | None, *, open_it: bool) -> None:
    write_ready_file(ready_file, {"url": url, "pid": os.getpid()})
    run.output.one({"url": url}, f"Open {url}")
    run.output.flush()
    if open_it:
        webbrowser.open(url)
