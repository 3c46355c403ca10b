"""`migrate apply`, `status`, `retry`: carrying a plan out."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.migrate_group import app
from channel_adapter.cli.migrate_posting import state_document, state_lines
from channel_adapter.cli.migrate_progress import Watching
from channel_adapter.cli.words import counted

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.migration.cutover.cutover import CutoverState
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.run.apply import Bounds, Status

SECONDS_OF = {"": 1, "s": 1, "m": 60, "h": 3_600}

PLAN = Annotated[Path, typer.Argument(metavar="PLAN.json")]
DATABASE = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where the journal is; else database_url of the settings, else beside the plan. A URL with a password"
        " belongs into the settings or the environment.",
    ),
]
MAX_CALLS = Annotated[int | None, typer.Option("--max-calls", min=1, help="Stop after so many calls: exit code 4.")]
MAX_DURATION = Annotated[
    str | None, typer.Option("--max-duration", metavar="TIME", help="Stop after 90s, 30m or 2h: exit code 4.")
]


@command(
    app, "migrate", "apply",
    example="channel-adapter migrate apply plan.json\nchannel-adapter migrate apply plan.json --max-duration 30m",
)  # fmt: skip
async def apply(
    run: Run, file: PLAN, database: DATABASE = None, max_calls: MAX_CALLS = None, max_duration: MAX_DURATION = None
) -> Exit:
    """Move what a plan names. Stops and starts at any instant; run again when it is done, it moves what has changed.

    Exit code 0: all is moved. 3: some could not go; PLAN.quarantine.jsonl says what, why, and what to do. 4: stopped,
    and to be run again. 7: the service failed; run again.
    """
    return await _carry_out(run, "apply", file, database, max_calls, max_duration)


@command(app, "migrate", "retry", example="channel-adapter migrate retry plan.json")
async def retry(
    run: Run, file: PLAN, database: DATABASE = None, max_calls: MAX_CALLS = None, max_duration: MAX_DURATION = None
) -> Exit:
    """Go on with channels that failed, and try again what is in the quarantine. What goes leaves it."""
    return await _carry_out(run, "retry", file, database, max_calls, max_duration)


@command(app, "migrate", "status", example="channel-adapter migrate status plan.json")
async def status(run: Run, file: PLAN, database: DATABASE = None) -> Exit:
    """Say how far a migration is, from its journal; and its cutover, with the conversation groups that are filled.

    Exit code 3 while it is not done, or something could not go: records in quarantine, or lines of the source that
    the plan could not read.
    """
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    async with run.adapter() as adapter:
        url = journal_url(adapter, file, database)
        found = await adapter.migration.status(plan.migration, database=url)
        cutover = await adapter.migration.cutover_state(plan)
    tell(run, found, plan, None, cutover)
    return Exit.DONE if found.complete and code_of(found, plan.broken_count) is Exit.DONE else Exit.PARTLY


async def _carry_out(
    run: Run, verb: str, file: Path, database: str | None, max_calls: int | None, max_duration: str | None
) -> Exit:
    from channel_adapter.migration.plan.document import read_plan
    from channel_adapter.migration.run.apply import journal_at
    from channel_adapter.migration.run.quarantine import write_quarantine

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    async with run.adapter() as adapter:
        url = journal_url(adapter, file, database)
        beside = journal_beside(file)
        remark = f"the journal is {beside}; keep it beside the plan until the migration is over"
        watching = Watching(plan, adapter.settings, first=remark if url == f"sqlite:///{beside}" else "")
        run.so_far = watching.so_far
        with watching.shown(run.output) as hear:
            begin = adapter.migration.apply if verb == "apply" else adapter.migration.retry
            found = await begin(plan, database=url, bounds=bounds, tell=hear)
        quarantine = file.with_suffix(".quarantine.jsonl")
        async with journal_at(url) as journal:
            left = write_quarantine(quarantine, await journal.store.quarantined(plan.migration))
    tell(run, found, plan, quarantine if left else None)
    return code_of(found, plan.broken_count)


def code_of(found: "Status", broken: int = 0) -> Exit:
    """The exit code for a state. `broken` lines of the source, which the plan could not read, could not go either."""
    if found.stopped and not found.complete:
        return Exit.INTERRUPTED
    if any(channel.transient for channel in found.failed):
        return Exit.SERVICE
    if found.failed:
        return Exit.PARTLY if found.done or found.posts or found.subscribers else Exit.REFUSED
    return Exit.PARTLY if broken or found.quarantined else Exit.DONE


def journal_url(adapter: "ChannelAdapter", file: Path, database: str | None) -> str:
    """Where the journal of this plan is: as given, as set, or a file beside the plan."""
    if database is not None:
        return database
    held = adapter.settings.database_url
    if held is not None:
        return held.get_secret_value()
    return f"sqlite:///{journal_beside(file)}"


def journal_beside(file: Path) -> Path:
    """The journal of a plan when nobody says where it is."""
    return file.with_suffix(".journal.db")


def bounds_of(max_calls: int | None, max_duration: str | None) -> "Bounds":
    """The bounds of a run. Raises UsageError."""
    from channel_adapter.migration.run.apply import Bounds

    seconds: float | None = None
    if max_duration is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", max_duration)
        if found is None or not float(found[1]):
            raise UsageError(f"--max-duration takes 90s, 30m or 2h, not {max_duration!r}", field="max_duration")
        seconds = float(found[1]) * SECONDS_OF[found[2]]
    return Bounds(calls=max_calls, seconds=seconds)


def tell(
    run: Run, found: "Status", plan: "Plan", quarantine: Path | None, cutover: "CutoverState | None" = None
) -> None:
    """The state as a document, or as a table and a sentence."""
    if run.output.json:
        run.output.one(_document(found, plan, quarantine) | {"cutover": state_document(cutover)})
        return
    table = run.output.table(("from", "to", "state", "subscribers", "posts", "reason"))
    for each in found.channels:
        state = each.state if each.standing == "done" else f"{each.standing}: {each.state}"
        table.add(each.source, each.target, state, each.subscribers, each.posts, each.reason)
    table.close()
    run.output.line("")
    kind = "moved" if found.round == 1 else f"brought up to date, run {found.round}"
    run.output.line(
        f"migration {found.migration}: {found.done:,} of {counted(len(found.channels), 'channel')} {kind};"
        f" {counted(found.subscribers, 'subscriber')}, {counted(found.posts, 'post')}, {counted(found.calls, 'call')}"
    )
    if found.quarantined or plan.broken_count:
        records, lines = counted(found.quarantined, "record"), counted(plan.broken_count, "broken line")
        run.output.line(f"could not go: {records}, {lines} of the source")
    if quarantine is not None:
        run.output.line(f"what could not go is in {quarantine}, with reasons")
    for line in state_lines(cutover):
        run.output.line(line)
    if found.stopped and not found.complete:
        run.output.line(f"stopped: {found.stopped}; the same command goes on from there")


def _document(found: "Status", plan: "Plan", quarantine: Path | None) -> dict[str, Any]:
    return {
        "migration": found.migration,
        "round": found.round,
        "complete": found.complete,
        "stopped": found.stopped or None,
        "channels": [
            {
                "source": each.source, "target": each.target, "state": each.state, "standing": each.standing,
                "subscribers": each.subscribers, "posts": each.posts, "removed": each.removed,
                "reason": each.reason or None,
            }
            for each in found.channels
        ],
        "subscribers": found.subscribers,
        "posts": found.posts,
        "quarantined": found.quarantined,
        "broken": plan.broken_count,
        "quarantine": str(quarantine) if quarantine else None,
        "calls": found.calls,
    }  # fmt: skip
