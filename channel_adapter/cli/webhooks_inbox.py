"""`webhooks list`, `retry`, `drop`, `tail`, `stats`: a look into the durable inbox, whether a receiver runs or not."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the database driver to be imported

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.json_stream import encode
from channel_adapter.cli.webhooks_group import app

if TYPE_CHECKING:
    from channel_adapter.webhooks.inbox_table import InboxTable, Row

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
    from channel_adapter.webhooks.inbox_schema import DEAD, TAKEN

    async with _table(run) as table:
        found = await table.rows([TAKEN if waiting else DEAD], limit=limit)
    columns = ("key", "received", "command", "channel", "attempts", "reason")
    with run.output.items(columns, empty="none waits" if waiting else "no dead letters") as rows:
        for row in found:
            rows.add(_shown(row), row.key, _when(row.received_at), row.command, row.channel, row.attempts, row.reason)


@command(app, "webhooks", "retry", example="channel-adapter webhooks retry --all")
async def retry(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Give dead letters new attempts; the next receiver with time for it handles them, steps that succeeded excepted.

    Receivers look every half second; without one that runs, the events wait for the next.
    """
    from channel_adapter.webhooks.reviving import Reviver

    async with _table(run) as table:
        reviver = Reviver(table, _url(run))
        try:
            return await _each(run, table, keys, every, reviver.revive, "given new attempts")
        finally:
            await reviver.close()


@command(app, "webhooks", "drop", example="channel-adapter webhooks drop --all")
async def drop(run: Run, keys: _KEYS = None, every: _ALL = False) -> Exit:
    """Forget dead letters. Should the service repeat such an event, it is still known as a repeat."""
    async with _table(run) as table:
        return await _each(run, table, keys, every, table.drop, "dropped")


@command(
    app, "webhooks", "tail", until_interrupted=True,
    example="channel-adapter webhooks tail\nchannel-adapter webhooks tail --json --past 20",
)  # fmt: skip
async def tail(
    run: Run,
    past: Annotated[int, typer.Option(min=0, max=_PAGE, help="Show the last so many first.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after this time, not with Ctrl-C.")] = None,
) -> None:
    """Print events as receivers handle them: one line each; with --json one object a line, with the service's body."""
    import time

    from channel_adapter.webhooks.inbox_schema import DEAD, HANDLED

    end = None if seconds is None else time.monotonic() + seconds
    async with _table(run) as table:
        place = await table.end_of([HANDLED, DEAD], before=past)
        while end is None or time.monotonic() < end:
            rows = await table.rows([HANDLED, DEAD], limit=_PAGE, after=place)
            for row in rows:
                place = (row.changed_at, row.key)
                _print(run, row)
            run.output.flush()
            if len(rows) < _PAGE:
                await asyncio.sleep(_POLL_SECONDS)


@command(app, "webhooks", "stats", example="channel-adapter webhooks stats --json")
async def stats(run: Run) -> None:
    """Show what all receivers of the database counted, what waits, and how long the oldest has waited."""
    import time

    from channel_adapter.webhooks.inbox_schema import DEAD, TAKEN

    async with _table(run) as table:
        counts, by_state, oldest = await table.stats()
    refused = {name.partition(".")[2]: n for name, n in sorted(counts.items()) if name.startswith("refused.")}
    lag = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    names = ("received", "stored", "decided", "duplicates", "handled", "failed", "dead")
    run.output.one(
        {
            **{name: counts.get(name, 0) for name in names},
            "refused": refused if run.output.json else ", ".join(f"{k} {n}" for k, n in refused.items()) or "none",
            "waiting": by_state.get(TAKEN, 0),
            "dead_letters": by_state.get(DEAD, 0),
            "lag_seconds": round(lag, 3),
        }
    )


async def _each(run: Run, table: "InboxTable", keys: list[str] | None, every: bool, do: Any, word: str) -> Exit:
    from channel_adapter.webhooks.inbox_schema import DEAD

    if bool(keys) == every:
        raise UsageError("name the keys, or give --all", field="keys")
    named = keys or [row.key for row in await table.rows([DEAD], limit=1_000_000)]
    done = 0
    with run.output.items(("key", "outcome"), empty="no dead letters") as rows:
        for key in named:
            found = await do(key)
            done += found
            rows.add({"key": key, "done": bool(found)}, key, word if found else "no such dead letter")
    return Exit.DONE if done == len(named) else Exit.PARTLY if done else Exit.REFUSED


@asynccontextmanager
async def _table(run: Run) -> "AsyncIterator[InboxTable]":
    """The table of the settings' inbox; it is not made here. Raises UsageError when no receiver has made it yet."""
    from channel_adapter.webhooks.opening import table_of

    table = table_of(run.settings())
    try:
        if not await table.is_there():
            raise UsageError("no receiver has run on this database yet", field="database_url")
        yield table
    finally:
        await table.database.close()


def _url(run: Run) -> str:
    from channel_adapter.webhooks.opening import database_of

    return database_of(run.settings())


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _shown(row: "Row") -> dict[str, Any]:
    import orjson

    return {
        "key": row.key,
        "state": row.state,
        "command": row.command,
        "channel": row.channel,
        "attempts": row.attempts,
        "reason": row.reason,
        "received_at": datetime.fromtimestamp(row.received_at, UTC),
        "body": orjson.loads(row.document)["body"],
    }


def _print(run: Run, row: "Row") -> None:
    if run.output.json:
        run.output.binary.write(encode(_shown(row)) + b"\n")
        return
    took = max(0.0, row.changed_at - row.received_at)
    outcome = row.state if row.reason is None or row.state != "dead" else f"dead: {row.reason}"
    run.output.line(f"{_when(row.received_at)}  {row.command}  {row.channel or '-'}  {outcome}  {took:.2f} s")
