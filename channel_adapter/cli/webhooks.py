"""`webhooks`: what comes in from the service."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the client to be imported

import asyncio
import gc
import inspect
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.ending import end_signal
from channel_adapter.cli.exits import Exit, UsageError, read_option
from channel_adapter.cli.files import certificate_files, write_ready_file
from channel_adapter.cli.metrics import METRICS_HOST, METRICS_PORT, monitoring
from channel_adapter.cli.output import encode, why_not_bound
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import ConfigurationError
from channel_adapter.mapping.text import require_text
from channel_adapter.quoting import shown_text, shown_value

if TYPE_CHECKING:
    import ssl

    from pydantic import SecretStr

    from channel_adapter.store.inbox import ListedEvent
    from channel_adapter.webhooks.stored_inbox import StoredInbox


app = group("webhooks")


_POLL_SECONDS = 0.2
_PAGE = 500
_MAX_LISTED = 1_000_000
_CLOCK_SECONDS = 1.0  # by which times of one clock may be out of order
_REMEMBERED = 10_000  # events that `tail` does not show again after a clock was set back
_KEYS = Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Keys as `webhooks list` shows them.")]
_ALL = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@command(app, "webhooks", "list", example="channel-adapter webhooks list\nchannel-adapter webhooks list --waiting")
async def list_(
    run: Run,
    waiting: Annotated[bool, typer.Option("--waiting", help="Show events that are not handled yet instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=_MAX_LISTED, help="How many at most.")] = 100,
) -> None:
    """Show the dead letters: events whose attempts are used up, with the reason, oldest first."""
    from channel_adapter.store.marks import DEAD, WAITING

    async with _open_inbox(run) as (database, table):
        found = await database.read(table.rows, [WAITING if waiting else DEAD], limit)
    columns = ("key", "received", "command", "channel", "attempts", "reason")
    with run.output.items(columns, empty="none waits" if waiting else "no dead letters") as rows:
        for row in found:
            rows.add(
                _event_document(row),
                row.key,
                _format_time(row.received),
                row.command,
                row.channel,
                row.attempts,
                row.reason,
            )


@command(app, "webhooks", "retry", example="channel-adapter webhooks retry --all")
async def retry(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Give dead letters new attempts; the next receiver with time for it handles them, steps that succeeded excepted.

    Receivers look within a second; without one that runs, the events wait for the next.
    """
    named = _parse_keys(keys, every)
    async with _open_inbox(run) as (database, table):
        found = await database.write(table.retry, named, time.time())
    return _report_dead_letters(run, named, [key for key, _, _ in found], "given new attempts")


@command(app, "webhooks", "drop", example="channel-adapter webhooks drop --all")
async def drop(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Drop dead letters. An event that the service repeats later is still known as a repeat."""
    named = _parse_keys(keys, every)
    async with _open_inbox(run) as (database, table):
        found = await database.write(table.drop, named, time.time())
    return _report_dead_letters(run, named, found, "dropped")


@command(
    app, "webhooks", "tail", until_interrupted=True,
    example="channel-adapter webhooks tail\nchannel-adapter webhooks tail --json --past 20",
)  # fmt: skip
async def tail(
    run: Run,
    past: Annotated[int, typer.Option(min=0, max=_PAGE, help="Show the last so many first.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after this time, not with Ctrl-C.")] = None,
) -> None:
    """Print events as receivers handle them: one line each; with --json one object a line.

    The body of a handled event is not stored any more; that of a dead letter is. After a clock was set back, events of
    the time that comes again may be shown twice.
    """
    from cachetools import LRUCache

    from channel_adapter.store.marks import DEAD, HANDLED

    states = [HANDLED, DEAD]
    async with _open_inbox(run) as (database, table):
        end = None if seconds is None else time.monotonic() + seconds
        place = await database.read(table.end_of, states, past)
        rows = await database.read(table.rows, states, past, place)
        shown: LRUCache[str, float] = LRUCache(_REMEMBERED)
        while True:
            for row in rows:
                place = (row.changed, row.key)
                if shown.get(row.key) != row.changed:
                    _print_event(run, row)
                    shown[row.key] = row.changed
            run.output.flush()
            if end is not None and time.monotonic() >= end:
                return
            if len(rows) < _PAGE:
                await asyncio.sleep(_POLL_SECONDS)
            now = await database.read(database.time, time.time())
            if place[0] > now + _CLOCK_SECONDS:  # the clock was set back
                place = (now - _CLOCK_SECONDS, "")
            following = await database.read(table.rows, states, _PAGE, place)
            rows = [row for row in following if row.changed <= now + _CLOCK_SECONDS]


@command(app, "webhooks", "stats", example="channel-adapter webhooks stats --json")
async def stats(run: Run) -> None:
    """Show what all receivers of the database counted, what waits, and how long the oldest has waited."""
    from channel_adapter.store.marks import DEAD, WAITING
    from channel_adapter.webhooks.counters import COUNTS

    async with _open_inbox(run) as (database, table):
        counts, by_state, oldest = await database.read(table.stats)
    refused = {name.partition(".")[2]: n for name, n in sorted(counts.items()) if name.startswith("refused.")}
    lag = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    run.output.one(
        {
            **{name: counts.get(name, 0) for name in COUNTS},
            "refused": refused if run.output.json else ", ".join(f"{k} {n}" for k, n in refused.items()) or "none",
            "waiting": by_state.get(WAITING, 0),
            "dead_letters": by_state.get(DEAD, 0),
            "lag_seconds": round(lag, 3),
        }
    )


def _parse_keys(keys: list[str] | None, every: bool) -> list[str] | None:
    """Return the keys that were given; None for all. Raises UsageError."""
    if bool(keys) == every:
        raise UsageError("name the keys, or give --all", field="keys")
    with read_option("keys"):
        return [require_text(key, "KEY") for key in dict.fromkeys(keys)] if keys else None


def _report_dead_letters(run: Run, named: list[str] | None, found: list[str], word: str) -> Exit:
    keys, known = sorted(found) if named is None else named, set(found)
    with run.output.items(("key", "outcome"), empty="no dead letters") as rows:
        for key in keys:
            done = key in known
            rows.add({"key": key, "done": done}, key, word if done else "no such dead letter")
    return Exit.DONE if len(found) == len(keys) else Exit.PARTLY if found else Exit.REFUSED


@asynccontextmanager
async def _open_inbox(run: Run) -> "AsyncIterator[StoredInbox]":
    """Open the database of the settings' inbox, and create nothing. Raises UsageError if no receiver has created it."""
    from channel_adapter.webhooks.stored_inbox import open_stored_inbox

    settings = run.settings()
    if settings.inbox.kind == "memory":
        raise UsageError("a memory inbox cannot be looked into from outside", field="inbox.kind")
    async with open_stored_inbox(settings, "command line") as inbox:
        if inbox is None:
            raise UsageError("no receiver has run on this database yet", field="database_url")
        yield inbox


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _event_document(row: "ListedEvent") -> dict[str, Any]:
    import orjson

    return {
        "key": row.key,
        "state": row.state,
        "command": row.command,
        "channel": row.channel,
        "attempts": row.attempts,
        "reason": row.reason,
        "received_at": datetime.fromtimestamp(row.received, UTC),
        "body": orjson.loads(row.body)["body"] if row.body else None,
    }


def _print_event(run: Run, row: "ListedEvent") -> None:
    if run.output.json:
        run.output.binary.write(encode(_event_document(row)) + b"\n")
        return
    took = max(0.0, row.changed - row.received)
    outcome = row.state if row.reason is None or row.state != "dead" else f"dead: {row.reason}"
    run.output.line(f"{_format_time(row.received)}  {row.command}  {row.channel or '-'}  {outcome}  {took:.2f} s")


DEFAULT_PORT = 8080

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
    metrics_host: METRICS_HOST = "127.0.0.1",
    metrics_port: METRICS_PORT = None,
) -> Exit | None:
    """Receive webhooks until SIGTERM or Ctrl-C, and call your handlers with their events.

    With database_url, scheduled posts are published and queued jobs are run, too, except migrations.

    MODULE is imported with the working directory on the path. FUNCTION gets the open adapter and registers what it
    wants with adapter.events.on and adapter.guard.on; it may be a coroutine. Several receivers may share one PostgreSQL
    database. SIGTERM and Ctrl-C end it within two seconds; the durable inbox goes on at its next start. With a memory
    inbox, exit code 4 says that events may be lost.
    """
    from channel_adapter.webhooks import serve as listen

    if not path.startswith("/"):
        raise UsageError("--path begins with /", field="path")
    registered = [_load_function(name) for name in handlers or ()]
    tls = _load_tls_context(cert, key_file)
    async with (
        end_signal() as ending,
        monitoring(run, metrics_host, metrics_port) as monitored,
        run.adapter(monitored.telemetry) as adapter,
    ):
        if in_memory := adapter.settings.inbox.kind == "memory":
            ending.report_lost(lambda: "events that had not been handled are lost: the inbox is in memory")
        _show_logs(run)
        for register in registered:
            outcome = register(adapter)
            if inspect.isawaitable(outcome):
                await outcome
        adapter.reactions.start()
        async with AsyncExitStack() as stack:
            try:
                opened = listen(adapter, host=host, port=port, path=path, tls=tls)
                receiver, url = await stack.enter_async_context(opened)
            except (OSError, UnicodeError) as error:
                message = f"cannot listen on {shown_text(host)}:{port}: {why_not_bound(error)}"
                raise UsageError(message, field="port") from None
            monitored.begin(inbox=receiver.inbox.backlog)
            _show_url(run, url, monitored.url, ready_file)
            async with run.jobs(adapter):  # after the receiver: a process that takes over begins with events
                _exclude_from_collection()
                await ending.wait()
            waits = in_memory and (await receiver.inbox.backlog()).waiting
            return ending.finish(run.output) if waits else None


def _exclude_from_collection() -> None:
    """Exclude what is loaded by now from garbage collection: a full one delays answers by 75 ms otherwise."""
    gc.freeze()


def _show_logs(run: Run) -> None:
    """Show the logs of the receiver: warnings always, counts with -v, tracebacks of every failed attempt with -vv."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(run.output.verbose, logging.DEBUG)
    for name in ("channel_adapter.webhooks", "channel_adapter.durable", "channel_adapter.schedule"):
        logging.getLogger(name).setLevel(level)


def _show_url(run: Run, url: str, metrics_url: str | None, ready_file: Path | None) -> None:
    about = {"url": url} if metrics_url is None else {"url": url, "metrics_url": metrics_url}
    write_ready_file(ready_file, {**about, "pid": os.getpid()})
    run.output.one(about, f"webhooks are received at {url}; Ctrl-C ends it")
    run.output.flush()


def _load_function(name: str) -> Callable[[Any], Any]:
    """Return the function that `module:function` names. Raises UsageError when it does not exist."""
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute) or module_name.startswith("."):
        raise UsageError(f"{shown_value(name)} is not MODULE:FUNCTION", field="handlers")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not (module_name == missing.name or module_name.startswith(f"{missing.name}.")):
            raise  # something that the module itself wants
        raise UsageError(f"there is no module {shown_value(module_name)} here: {here}", field="handlers") from None
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(f"{shown_text(module_name)} has no function {shown_value(attribute)}", field="handlers")
    return found  # type: ignore[no-any-return]


def _load_tls_context(cert: Path | None, key_file: Path | None) -> "ssl.SSLContext | None":
    files = certificate_files(cert, key_file)
    if files is None:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(*files)
    except (OSError, ssl.SSLError) as wrong:
        raise UsageError(
            f"{shown_text(cert)} and {shown_text(key_file)} cannot be used: {wrong.strerror or wrong}", field="cert"
        ) from None
    return context


_EVENT = Annotated[
    str | None,
    typer.Argument(metavar="EVENT", help="Subscribed, PostDraft, Group.CallbackAfterSendMsg; --list shows all."),
]


@command(
    app, "webhooks", "trigger",
    example="channel-adapter webhooks trigger Subscribed --url http://127.0.0.1:8080/\n"
    "channel-adapter webhooks trigger PostPublished --url http://127.0.0.1:8080/ --channel harbor_news "
    """--set '{"MsgSeq": 7}'""",
)  # fmt: skip
async def trigger(
    run: Run,
    event: _EVENT = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="The receiver's address.")] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="CHANNEL", help="What it is about; else a channel of the sample.")
    ] = None,
    changes: Annotated[
        str, typer.Option("--set", metavar="JSON", help="Members of the body to change; null takes one out.")
    ] = "{}",
    platform: Annotated[
        str, typer.Option("--platform", metavar="NAME", help="OptPlatform: iOS, Android, Web, RESTAPI ...")
    ] = "iOS",
    sdkappid: Annotated[int | None, typer.Option(min=1, help="The app; that of the settings unless given.")] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Do not sign, whatever token is set.")] = False,
    times: Annotated[int, typer.Option(min=1, max=1000, help="Send it so often, as a repeat of itself.")] = 1,
    listing: Annotated[bool, typer.Option("--list", help="Show every event and its command, send nothing.")] = False,
) -> Exit | None:
    """Send a realistic webhook to a receiver, signed with the first token of the settings, and show its answer.

    With --sdkappid no settings are needed; the token is then that of the settings if there are any. A receiver of this
    program hands events to its handlers only for channels that exist: name one with --channel. The name of a request
    (PostDraft) asks the guard of the receiver.
    """
    import time

    from channel_adapter.webhooks.trigger import trigger as send

    if listing:
        _list_commands(run)
        return None
    if event is None or url is None:
        raise UsageError("EVENT and --url are needed; --list shows the events", field="url" if event else "event")
    app_id, token, mode = _read_sender(run, sdkappid)
    body = _parse_changes(changes, channel, mode)
    key = None if unsigned else token
    now = time.time()
    with read_option():
        require_text(platform, "platform")
        sent = [
            await send(url, event, body, sdkappid=app_id, token=key, platform=platform, mode=mode, now=now)
            for _ in range(times)
        ]
    last = sent[-1]
    took = f"{last.seconds * 1000:.0f} ms"
    run.output.one(last, f"{last.command}: HTTP {last.status}, {_format_answer(last.answer)}, {took}")
    return None if all(each.accepted for each in sent) else Exit.REFUSED


def _list_commands(run: Run) -> None:
    """List every command that is known, with its event or request."""
    from channel_adapter.tencent.wire.callback_samples import samples
    from channel_adapter.webhooks.trigger import names_of_commands

    names = {command: name for mode in Mode for name, command in names_of_commands(mode).items()}
    with run.output.items(("event", "command")) as rows:
        for name in samples():
            rows.add({"event": names.get(name, ""), "command": name}, names.get(name, ""), name)


def _read_sender(run: Run, sdkappid: int | None) -> "tuple[int, SecretStr | None, Mode]":
    """Return the app and the token to send as, and the mode. Raises ConfigurationError when no app is named."""
    try:
        settings = run.settings()
    except ConfigurationError:
        if sdkappid is None:
            raise
        return sdkappid, None, Mode.COMMUNITY
    token = next(iter(settings.webhooks.tokens), None)
    return settings.sdkappid if sdkappid is None else sdkappid, token, settings.mode


def _parse_changes(text: str, channel: str | None, mode: Mode) -> dict[str, object]:
    """Return the members that --channel and --set name; the latter is stronger."""
    import orjson

    from channel_adapter.mapping.ids import SCHEMES
    from channel_adapter.tencent.wire.callbacks_group import GroupCallback
    from channel_adapter.tencent.wire.callbacks_official import OfficialCallback

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"--set is not JSON: {wrong}", field="set") from None
    if not isinstance(value, dict):
        raise UsageError("--set must be a JSON object", field="set")
    if channel is not None:
        official = mode is Mode.OFFICIAL
        field = (
            OfficialCallback.model_fields["official_account"] if official else GroupCallback.model_fields["group_id"]
        )
        return {str(field.alias): SCHEMES[mode].channel(channel), **value}
    return value


def _format_answer(answer: object) -> str:
    import orjson

    return "no JSON" if answer is None else orjson.dumps(answer).decode()
