"""From a URL to a row of the catalog, and the answer to URLs without one."""

import difflib
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from channel_adapter.stub.world.refusal import Refusal, not_played
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import COMMANDS, Command

USERSIG: Final = "usersig"  # name in the query string [doc 34620]
REDACTED: Final = "[redacted]"
METHOD: Final = "POST"
VERSION: Final = "v4"
_SHOWN: Final = 64  # characters of an unknown name that an answer repeats

_BY_PATH: Final = {f"/{VERSION}/{row.path}": row for row in COMMANDS.values()}


class RequestTarget(NamedTuple):
    """What a request line asks for; `command` is None when the catalog has no such command."""

    service: str
    name: str
    command: Command[Any, Any] | None
    query: dict[str, str]


def read_target(method: str, url: str) -> RequestTarget:
    """Parse a request line. Refusal 60002 unless it is `POST /v4/{service}/{command}?...`."""
    if method != METHOD:
        raise Refusal(codes.BAD_URL, f"method {method[:_SHOWN]} is not {METHOD}")
    path, _, query = url.partition("?")
    command = _BY_PATH.get(path)
    if command is not None:
        return RequestTarget(command.service, command.name, command, read_query(query))
    parts = path.split("/")
    if len(parts) != 4 or parts[0] or parts[1] != VERSION or not parts[2] or not parts[3]:
        raise Refusal(codes.BAD_URL, f"the path is not /{VERSION}/servicename/command")
    values = read_query(query)
    secret = values.get(USERSIG, "")
    return RequestTarget(_to_printable(parts[2], secret), _to_printable(parts[3], secret), None, values)


def read_query(query: str) -> dict[str, str]:
    """Return names and values of a query string; of a repeated name the first value."""
    pairs = [part.partition("=") for part in query.split("&")]
    if "%" in query or "+" in query:
        return {name: unquote_plus(value) for name, _, value in reversed(pairs)}
    return {name: value for name, _, value in reversed(pairs)}


def find(name: str) -> Command[Any, Any] | None:
    """Return the catalog row of a command by path, or by name where only one service has it."""
    row = _BY_PATH.get(f"/{VERSION}/{name}")
    if row is not None:
        return row
    named = [row for (_, known), row in COMMANDS.items() if known == name]
    return named[0] if len(named) == 1 else None


def check_name(command: str) -> None:
    """Raise ValueError with the most similar name for one that no command has; accept any `service/command`."""
    names = [name for _, name in COMMANDS]
    if "/" not in command and command not in names:
        found = difflib.get_close_matches(command, names, n=1)
        raise ValueError(f"no command is named {command!r}" + (f"; did you mean {found[0]!r}?" if found else ""))


def unknown_command(target: RequestTarget) -> Refusal:
    """Return the refusal of a service or command that the catalog does not have; it names the nearest one."""
    known = nearest(target.service, target.name)
    return not_played(f"/{VERSION}/{target.service}/{target.name}", hint=f"did you mean {known}?" if known else "")


def nearest(service: str, name: str) -> str | None:
    """Return the path of the most similar command; the same name in another service comes first."""
    for (other, known), row in COMMANDS.items():
        if known == name and other != service:
            return f"/{VERSION}/{row.path}"
    found = difflib.get_close_matches(f"/{VERSION}/{service}/{name}", _BY_PATH, n=1, cutoff=0.5)
    return found[0] if found else None


def _to_printable(name: str, secret: str) -> str:
    """Return a name that an answer and a log may hold: short, not the signature, valid JSON text."""
    if secret and secret in name:
        return REDACTED
    return name[:_SHOWN].encode("ascii", "backslashreplace").decode()
