"""`webhooks list`, `retry`, `drop`, `tail`, `stats`: a look into the durable inbox, whether a receiver runs or not."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the database driver to be imported

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.json_stream import encode
from channel_adapter.cli.webhooks_group import app

if TYPE_CHECKING:
    from channel_adapter.store.database import Database
    from channel_adapter.store.inbox import InboxTable, ListedEvent

_POLL_SECONDS = 0.2
_PAGE = 500
_KEYS = Annotated[list[str] | None, typer.Argument(metavar="KEY", help="Keys as `webhooks list` shows them.")]
_ALL = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@command(app, "webhooks", "list", example="channel-adapter webhooks list\nchannel-adapter webhooks list --waiting")
async def list_(
    run: Run,
    waiting: Annotated[bool, typer.Option("--waiting", help="Those that are not handled yet instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
) -> None:
    """Show the dead letters: events whose attempts are used up, with the reason, oldest first."""
    from channel_adapter.store.marks import DEAD, WAITING

    async with _inbox(run) as (database, table):
        found = await database.read(table.rows, [WAITING if waiting else DEAD], limit)
    columns = ("key", "received", "command", "channel", "attempts", "reason")
    with run.output.items(columns, empty="none waits" if waiting else "no dead letters") as rows:
        for row in found:
            rows.add(_shown(row), row.key, _when(row.received), row.command, row.channel, row.attempts, row.reason)


@command(app, "webhooks", "retry", example="channel-adapter webhooks retry --all")
async def retry(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Give dead letters new attempts; the next receiver with time for it handles them, steps that succeeded excepted.

    Receivers look within a second; without one that runs, the events wait for the next.
    """
    named = _named(keys, every)
    async with _inbox(run) as (database, table):
        found = await database.write(table.retry, named, time.time())
    return _report(run, named, [key for key, _, _ in found], "given new attempts")


@command(app, "webhooks", "drop", example="channel-adapter webhooks drop --all")
async def drop(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Forget dead letters. Should the service repeat such an event, it is still known as a repeat."""
    named = _named(keys, every)
    async with _inbox(run) as (database, table):
        found = await database.write(table.drop, named, time.time())
    return _report(run, named, found, "dropped")


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

    The body of a handled event is not stored any more; that of a dead letter is.
    """
    from channel_adapter.store.marks import DEAD, HANDLED

    async with _inbox(run) as (database, table):
        end = None if seconds is None else time.monotonic() + seconds
        place = await database.read(table.end_of, [HANDLED, DEAD], past)
        while end is None or time.monotonic() < end:
            rows = await database.read(table.rows, [HANDLED, DEAD], _PAGE, place)
            for row in rows:
                place = (row.changed, row.key)
                _print(run, row)
            run.output.flush()
            if len(rows) < _PAGE:
                await asyncio.sleep(_POLL_SECONDS)


@command(app, "webhooks", "stats", example="channel-adapter webhooks stats --json")
async def stats(run: Run) -> None:
    """Show what all receivers of the database counted, what waits, and how long the oldest has waited."""
    from channel_adapter.store.marks import DEAD, WAITING

    async with _inbox(run) as (database, table):
        counts, by_state, oldest = await database.read(table.stats)
    refused = {name.partition(".")[2]: n for name, n in sorted(counts.items()) if name.startswith("refused.")}
    lag = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    names = ("received", "stored", "decided", "duplicates", "handled", "failed", "dead")
    run.output.one(
        {
            **{name: counts.get(name, 0) for name in names},
            "refused": refused if run.output.json else ", ".join(f"{k} {n}" for k, n in refused.items()) or "none",
            "waiting": by_state.get(WAITING, 0),
            "dead_letters": by_state.get(DEAD, 0),
            "lag_seconds": round(lag, 3),
        }
    )


def _named(keys: list[str] | None, every: bool) -> list[str] | None:
    """Return the keys that were given; None for all. Raises UsageError."""
    if bool(keys) == every:
        raise UsageError("name the keys, or give --all", field="keys")
    return list(dict.fromkeys(keys)) if keys else None


def _report(run: Run, named: list[str] | None, found: list[str], word: str) -> Exit:
    keys = sorted(found) if named is None else named
    with run.output.items(("key", "outcome"), empty="no dead letters") as rows:
        for key in keys:
            done = key in found
            rows.add({"key": key, "done": done}, key, word if done else "no such dead letter")
    return Exit.DONE if len(found) == len(keys) else Exit.PARTLY if found else Exit.REFUSED


@asynccontextmanager
async def _inbox(run: Run) -> "AsyncIterator[tuple[Database, InboxTable]]":
    """Open the database of the settings' inbox, and create nothing. Raises UsageError if no receiver has created it."""
    from channel_adapter.webhooks.inbox import database_of, needs_durable_inbox

    settings = run.settings()
    if settings.inbox.kind == "memory":
        raise UsageError("a memory inbox cannot be looked into from outside", field="inbox.kind")
    with needs_durable_inbox(settings):
        from channel_adapter.store.database import Database
        from channel_adapter.store.inbox import InboxTable
        from channel_adapter.store.leases import Leases
    async with Database.shared(database_of(settings)) as database:
        table = InboxTable(database, Leases(database, "command line", seconds=0.0))
        is_there = not database.is_sqlite or await asyncio.to_thread(Path(database.url.database or "").is_file)
        if not is_there or not await database.read(table.exists):
            raise UsageError("no receiver has run on this database yet", field="database_url")
        yield database, table


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _shown(row: "ListedEvent") -> dict[str, Any]:
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


def _print(run: Run, row: "ListedEvent") -> None:
    if run.output.json:
        run.output.binary.write(encode(_shown(row)) + b"\n")
        return
    took = max(0.0, row.changed - row.received)
    outcome = row.state if row.reason is None or row.state != "dead" else f"dead: {row.reason}"
    run.output.line(f"{_when(row.received)}  {row.command}  {row.channel or '-'}  {outcome}  {took:.2f} s")
