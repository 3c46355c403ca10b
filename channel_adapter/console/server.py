"""The console on a socket of its own."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from channel_adapter.console.security import add_headers

_STOP_SECONDS: Final = 1.0
LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_headers(names: Iterable[str], port: int) -> frozenset[str]:
    """Return the Host headers of names on a port; a name with a port of its own stays as it is.

    An IPv6 address is in brackets and in its short form, as browsers send it.
    """
    found: set[str] = set()
    for name in names:
        lower = _format_host(name.lower())
        has_port = lower.rpartition(":")[2].isdecimal() and (lower.startswith("[") or lower.count(":") == 1)
        found |= {lower} if has_port else {lower, f"{lower}:{port}"}
    return frozenset(found)


def _format_host(name: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(name.removeprefix('[').removesuffix(']')).compressed}]"
    except ValueError:
        return name


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens; its port is known before the application is made. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


@asynccontextmanager
async def serve(app: web.Application, listening: socket.socket, base_path: str) -> AsyncIterator[None]:
    """Run a console on a socket, below `base_path`, for the length of a block. Nothing is logged of requests."""
    served = app
    if base_path:
        served = web.Application()
        served.on_response_prepare.append(add_headers)
        served.add_subapp(base_path, app)
    runner = web.AppRunner(served, handle_signals=False, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()
