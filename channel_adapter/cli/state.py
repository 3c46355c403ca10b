"""`state`: dump and load the state of a stub, and show the differences of two states."""

# ruff: noqa: PLC0415 - the stub and aiohttp are imported when a command runs, not for its help

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.output import counted, encode
from channel_adapter.cli.stub import DEFAULT_PORT
from channel_adapter.concurrency.files import replace_file
from channel_adapter.config.sources import STUB_TOKEN_VARIABLE
from channel_adapter.errors import PermissionDeniedError, RefusedError, UnavailableError
from channel_adapter.quoting import shown_text

app = group("state")

RUNNING = f"http://127.0.0.1:{DEFAULT_PORT}"
SECONDS = 120

_NO_CONFIG = "Not used: a stub is named by --url."
_URL = Annotated[str, typer.Option("--url", help="A running stub that was started with --control.")]
_TOKEN = Annotated[
    str | None,
    typer.Option("--token", envvar=STUB_TOKEN_VARIABLE, help="Its control token, when it is on another machine."),
]
_CA = Annotated[Path | None, typer.Option("--ca-file", metavar="FILE", help="PEM file to trust, for https.")]


@command(
    app, "state", "dump",
    example="channel-adapter state dump --url http://127.0.0.1:8900\n"
    "channel-adapter state dump stub.state --output readable.json",
    config_help=_NO_CONFIG,
)  # fmt: skip
async def dump(
    run: Run,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A saved state; else the running stub.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead of stdout.")
    ] = None,
    url: _URL = RUNNING,
    token: _TOKEN = None,
    ca_file: _CA = None,
) -> None:
    """Write the whole state of a stub, running or saved, as one JSON document.

    Accounts, groups, members, messages, official accounts, conversation groups; neither requests nor secrets. `state
    load` and `stub --state` take the document.
    """
    document = await _fetch_state(url, token, ca_file) if file is None else _read_state_file(file)
    text = encode(document, indent=True) + b"\n"
    if output is None:
        run.output.binary.write(text)
    else:
        replace_file(output, text)
        run.output.note(f"{output}: {counted(len(text), 'byte')}")


@command(
    app, "state", "load",
    example="channel-adapter state load stub.state --url http://127.0.0.1:8900",
    config_help=_NO_CONFIG,
)  # fmt: skip
async def load(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A saved state or a dump.")],
    url: _URL = RUNNING,
    token: _TOKEN = None,
    ca_file: _CA = None,
) -> None:
    """Replace the state of a running stub.

    Its settings, clock, faults and request log stay. A state that cannot be loaded changes nothing.
    """
    document = _read_state_file(file)
    await _send_request("PUT", url, token, ca_file, orjson.dumps(document))
    about = {name: len(document[name]) for name in ("accounts", "groups", "official_accounts")}
    accounts, groups = counted(about["accounts"], "account"), counted(about["groups"], "group")
    run.output.one(about, f"{_redact_url(url)} has {accounts} and {groups} now")


@command(
    app, "state", "diff",
    example="channel-adapter state diff before.json after.json\n"
    "channel-adapter state diff before.json --url http://127.0.0.1:8900",
    config_help=_NO_CONFIG,
)  # fmt: skip
async def diff(
    run: Run,
    first: Annotated[Path, typer.Argument(metavar="FILE", help="A saved state or a dump.")],
    second: Annotated[Path | None, typer.Argument(metavar="OTHER", help="Another one; else the running stub.")] = None,
    url: _URL = RUNNING,
    token: _TOKEN = None,
    ca_file: _CA = None,
) -> Exit:
    """List what two states differ in: accounts, groups, members, all messages, official accounts, conversation groups.

    Exit code 0 when they are the same, 1 when they differ. Ids yet to be drawn do not count.
    """
    one = _read_state_file(first)
    other = await _fetch_state(url, token, ca_file) if second is None else _read_state_file(second)
    with run.output.items(("where", "what", "first", "second"), empty="the same") as listing:
        for found in differences(one, other):
            listing.add(found._asdict(), found.where, found.what, _to_one_line(found.first), _to_one_line(found.second))
    return Exit.REFUSED if listing.count else Exit.DONE


def _read_state_file(path: Path) -> dict[str, Any]:
    from channel_adapter.stub.state_file import StateFileError, read_document

    try:
        return read_document(path)
    except StateFileError as error:
        raise UsageError(str(error), field="file") from None


async def _fetch_state(url: str, token: str | None, ca_file: Path | None) -> dict[str, Any]:
    from channel_adapter.stub.world.snapshot import SnapshotError, fold, unfold

    try:
        return fold(unfold(await _send_request("GET", url, token, ca_file)))
    except SnapshotError as error:
        raise RefusedError(f"{_redact_url(url)}: {error}") from None


async def _send_request(
    method: str, url: str, token: str | None, ca_file: Path | None, body: bytes | None = None
) -> Any:
    """Send a request to the control plane, and return its answer. Raises errors of one sentence without the token."""
    import ssl

    import aiohttp

    from channel_adapter.stub.control.plane import PREFIX

    try:
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
    except OSError as error:
        raise UsageError(f"{shown_text(ca_file)} cannot be read: {error.strerror or error}", field="ca_file") from None
    token = token.strip() if token else ""
    if not token.isprintable():
        raise UsageError("--token holds a line break or another control character", field="token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session,
            session.request(
                method, f"{url.rstrip('/')}{PREFIX}state", data=body, headers=headers, ssl=trust, allow_redirects=False
            ) as response,
        ):
            return _parse_reply(url, response.status, await response.read())
    except (aiohttp.InvalidURL, UnicodeError):  # the latter: a name of a host that is too long
        raise UsageError(f"{_redact_url(url)} is not an address", field="url") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnavailableError(f"the stub at {_redact_url(url)} cannot be reached: {type(error).__name__}") from None


def _redact_url(url: str) -> str:
    """Return the address without a password."""
    from channel_adapter.tencent.redaction import shown_url

    return shown_text(shown_url(url))


def _parse_reply(url: str, status: int, raw: bytes) -> Any:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise UnavailableError(f"{_redact_url(url)} is not the control plane of a stub: HTTP {status}") from None
    if isinstance(answer, dict) and "ActionStatus" in answer:
        raise RefusedError(f"the stub at {_redact_url(url)} has no control plane; start it with --control")
    if status == 200:
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    refused = PermissionDeniedError if status in (401, 403) else RefusedError
    raise refused(f"{_redact_url(url)}: {shown_text(error or f'HTTP {status}')}")


def _to_one_line(value: Any) -> Any:
    """Return objects and lists as JSON on one line."""
    return encode(value).decode() if isinstance(value, dict | list) else value


_NOT_SHOWN = frozenset({"members", "messages", "serial", "next_serial", "recent", "uncounted", "mutes"})
_BY_MEMBER = {"name_cards": "name card", "member_fields": "fields", "subscriber_strings": "custom string"}
_COLUMNS = {"roles": "role", "joined": "joined", "read": "read up to", "flags": "receive option"}
_ROLES = {1: "Member", 2: "Admin", 3: "Owner"}


class StateDifference(NamedTuple):
    """Holds one difference; None on the side where the thing does not exist."""

    where: str
    what: str
    first: Any
    second: Any


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[StateDifference]:
    """Return every difference of two documents, in the order of the first one."""
    yield from _compare_mappings("accounts", _account_fields(first), _account_fields(second))
    for kind, name, key in (
        ("group", "groups", "group_id"),
        ("official account", "official_accounts", "account_id"),
    ):
        yield from _compare_places(kind, _places_by_id(first[name], key), _places_by_id(second[name], key))
    yield from _compare_mappings("conversations", first["contacts"], second["contacts"])
    yield from _compare_mappings("one-to-one messages", _pair_messages_by_key(first), _pair_messages_by_key(second))


def _pair_messages_by_key(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the messages by sender, receiver and MsgKey."""
    return {
        f"{item['sender']} to {item['receiver']} {item['seq']}_{item['random']}_{item['time']}": item
        for item in document.get("one_to_one", ())
    }


def _account_fields(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    online, profiles = set(document["online"]), document["profiles"]
    return {
        user: {"imported": True, "online": user in online} | profiles.get(user, {}) for user in document["accounts"]
    }


def _places_by_id(places: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {place[key]: place for place in places}


def _compare_places(kind: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[StateDifference]:
    for name in {**first, **second}:
        where, one, other = f"{kind} {name}", first.get(name), second.get(name)
        if one is None or other is None:
            yield StateDifference(where, "exists", one is not None, other is not None)
            continue
        yield from _compare_mappings(where, _profile_fields(one), _profile_fields(other))
        yield from _compare_mappings(where, _member_fields(one), _member_fields(other), "member ")
        yield from _compare_mappings(where, _messages_by_seq(one), _messages_by_seq(other), "message ")


def _profile_fields(place: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if name not in _NOT_SHOWN and name not in _BY_MEMBER}


def _member_fields(place: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    columns = place["members"]
    beside = {label: place.get(name, {}) for name, label in _BY_MEMBER.items()} | {
        "muted until": place.get("mutes", {})
    }
    found = {}
    for row, user in enumerate(columns["users"]):
        shown = {label: columns[name][row] for name, label in _COLUMNS.items()}
        shown["role"] = _ROLES.get(shown["role"], shown["role"])
        found[user] = shown | {label: held[user] for label, held in beside.items() if user in held}
    return found


def _messages_by_seq(place: Mapping[str, Any]) -> dict[str, Any]:
    return {str(seq): message for seq, message in enumerate(place["messages"], 1)}


def _compare_mappings(
    where: str, first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = ""
) -> Iterator[StateDifference]:
    """Compare two mappings: what only one has is whole; of objects that both have, the fields that differ."""
    for name in {**first, **second}:
        one, other = first.get(name), second.get(name)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (
                StateDifference(where, f"{prefix}{name}: {field}", one.get(field), other.get(field))
                for field in {**one, **other}
                if one.get(field) != other.get(field)
            )
        else:
            yield StateDifference(where, f"{prefix}{name}", one, other)
