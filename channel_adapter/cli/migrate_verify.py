"""`migrate verify`, `cutover`, `rollback`, `report`: looking, moving posting, going back, and telling."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.migrate_apply import (
    DATABASE,
    MAX_CALLS,
    MAX_DURATION,
    PLAN,
    SECONDS_OF,
    bounds_of,
    code_of,
    journal_url,
)
from channel_adapter.cli.migrate_group import app
from channel_adapter.cli.words import counted

if TYPE_CHECKING:
    from channel_adapter.cli.output import Output
    from channel_adapter.cli.progress import Progress
    from channel_adapter.migration.cutover import Cutover
    from channel_adapter.migration.findings import Verdict
    from channel_adapter.migration.plan import Plan
    from channel_adapter.migration.rollback import Rollback

SECONDS_BETWEEN_LINES: Final = 2.0
SECONDS_A_DAY: Final = 86_400


class OnBroadcast(StrEnum):
    """What becomes of broadcasts of an account that has moved."""

    REFUSE = "refuse"
    REDIRECT = "redirect"


@command(app, "migrate", "verify", example="channel-adapter migrate verify plan.json")
async def verify(
    run: Run,
    file: PLAN,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else PLAN.verify.jsonl.")] = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """Read source and target afresh, and mark every profile field, post and subscriber. Changes nothing.

    `=` same, `-` missing here, `+` extra here, `*` differs, `!` unreadable: one a line in PLAN.verify.jsonl, the counts
    in PLAN.verify.json. Exit code 0: all is the same, or as the plan's policies want it. 3: something is not.
    """
    from channel_adapter.migration.plan_file import read_plan, whole_file, write_whole

    plan = read_plan(file)
    lines = out or file.with_suffix(".verify.jsonl")
    bounds = bounds_of(max_calls, max_duration)
    async with run.adapter() as adapter:
        with whole_file(lines) as findings, _compared(run, plan, "verified") as tell, _stopping(run) as stopped:
            verdict = await adapter.migration.verify(
                plan, bounds=bounds, write=lambda finding: _write(findings, finding.to_json()), tell=tell
            )
    if stopped:
        return Exit.INTERRUPTED
    write_whole(lines.with_suffix(".json"), orjson.dumps(verdict.to_json(), option=orjson.OPT_INDENT_2))
    _tell_verdict(run.output, verdict, lines)
    return Exit.DONE if verdict.clean else Exit.PARTLY


@command(
    app, "migrate", "cutover",
    example='channel-adapter migrate cutover plan.json --window 7d --farewell "We have moved"\n'
    "channel-adapter migrate cutover plan.json --destroy-source",
)  # fmt: skip
async def cutover(
    run: Run,
    file: PLAN,
    window: Annotated[
        str,
        typer.Option("--window", metavar="TIME", help="How long posts are broadcast at the source too: 7d, 12h, 0."),
    ] = "7d",
    on_broadcast: Annotated[
        OnBroadcast, typer.Option("--on-broadcast", help="What the guard does with broadcasts of a moved account.")
    ] = OnBroadcast.REFUSE,
    farewell: Annotated[
        str, typer.Option("--farewell", metavar="TEXT", help="A last broadcast of every account.")
    ] = "",
    no_fill: Annotated[bool, typer.Option("--no-fill", help="Leave people's conversation groups as they are.")] = False,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Move posting in spite of what verify finds.")
    ] = False,
    destroy_source: Annotated[
        bool, typer.Option("--destroy-source", help="Destroy the accounts, after a clean verification.")
    ] = False,
    database: DATABASE = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """Move posting: a last delta, a verification, then all accounts at once. Run again, it goes on where it was.

    It needs `database_url` in the settings, where publishing and the guard find that posting has moved. Exit code 3:
    differences, and nothing has moved; or a last broadcast that is still to be sent. 4: stopped.
    """
    from channel_adapter.migration.cutover import CutoverOptions
    from channel_adapter.migration.plan_file import read_plan

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    options = CutoverOptions(
        window_seconds=_seconds(window), guard=on_broadcast.value, farewell=farewell, fill=not no_fill,
        destroy_source=destroy_source, accept_differences=accept_differences,
    )  # fmt: skip
    run.so_far = lambda: "the same command goes on from there"
    database = _beside(file, database)
    async with run.adapter() as adapter:
        with _compared(run, plan, "cutover") as tell:
            done = await adapter.migration.cutover(plan, options, database=database, bounds=bounds, tell=tell)
    _tell_cutover(run.output, done)
    return _cutover_code(done, filled=no_fill or done.fill_done)


@command(
    app, "migrate", "rollback",
    example="channel-adapter migrate rollback plan.json\nchannel-adapter migrate rollback plan.json --yes",
)  # fmt: skip
async def rollback(
    run: Run,
    file: PLAN,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what the list says; without it, only list.")] = False,
    database: DATABASE = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """List the channels of this migration that could go, and with --yes remove them. The source is only read.

    Channels with posts or subscribers of their own since stay, and so does what the source has no more. Exit code 3:
    some of the migration's channels stay.
    """
    from channel_adapter.migration.plan_file import read_plan

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    async with run.adapter() as adapter:
        url = journal_url(adapter, file, _beside(file, database))
        run.so_far = lambda: "what was removed is gone; the same command goes on"
        with run.output.progress("looked at", len(plan.channels)) as progress, _stopping(run) as stopped:
            done = await adapter.migration.rollback(
                plan, remove=yes, database=url, bounds=bounds, tell=lambda _, count: progress.advance(count)
            )
    if stopped:
        return Exit.INTERRUPTED
    _tell_rollback(run.output, done)
    return Exit.DONE if not yes or done.complete else Exit.PARTLY


@command(app, "migrate", "report", example="channel-adapter migrate report plan.json --out report.md")
async def report(
    run: Run,
    file: PLAN,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.md", help="Else PLAN.report.md.")] = None,
    database: DATABASE = None,
) -> Exit:
    """Write the final report as Markdown, and beside it as JSON. Asks the journal, and neither source nor target.

    The counts of the last `migrate verify` of this plan are in it. Exit code 3 while the migration is not complete,
    something is in quarantine, or the verification is not clean or missing.
    """
    from channel_adapter.migration.plan_file import read_plan, write_whole

    plan = read_plan(file)
    verified = file.with_suffix(".verify.json")
    verdict = orjson.loads(verified.read_bytes()) if verified.is_file() else None
    markdown = out or file.with_suffix(".report.md")
    async with run.adapter() as adapter:
        url = journal_url(adapter, file, _beside(file, database))
        made = await adapter.migration.report(plan, database=url, verdict=verdict)
    write_whole(markdown, made.to_markdown())
    write_whole(markdown.with_suffix(".json"), made.to_json())
    run.output.one(made.document, f"{markdown} and {markdown.with_suffix('.json').name}: migration {plan.migration}")
    told = made.document
    clean = told["verification"] is not None and told["verification"]["clean"]
    return Exit.DONE if told["complete"] and clean and not told["quarantine"] else Exit.PARTLY


def _beside(file: Path, database: str | None) -> str | None:
    """The journal that apply has left beside the plan, when no database was set; else as it is given."""
    beside = file.with_suffix(".journal.db")
    return f"sqlite:///{beside}" if database is None and beside.is_file() else database


def _write(file: Any, line: bytes) -> None:
    file.write(line)


def _seconds(text: str) -> float:
    """`7d`, `12h`, `30m`, `0`. Raises UsageError."""
    units = {**SECONDS_OF, "d": SECONDS_A_DAY}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "")
    if not number.isdecimal():
        raise UsageError(f"--window takes 7d, 12h, 30m or 0, not {text!r}", field="window")
    return float(int(number) * units[unit])


@contextmanager
def _stopping(run: Run) -> Iterator[list[str]]:
    """Why the work ended before its end; empty when it did not."""
    from channel_adapter.migration.metered import Stopped

    stopped: list[str] = []
    try:
        yield stopped
    except Stopped as end:
        stopped.append(str(end))
        run.output.error("interrupted", f"stopped: {end}; run it again")


@contextmanager
def _compared(run: Run, plan: "Plan", what: str) -> "Iterator[Any]":
    """What a verification tells: a bar on a terminal, a JSON line every two seconds elsewhere."""
    total = sum(
        each.source.people.subscribers + each.source.posts.reachable + each.source.posts.recalled
        + each.source.posts.expired for each in plan.channels
    )  # fmt: skip
    counts: dict[str, int] = {}
    began = spoke = time.monotonic()

    def tell(kind: str, count: int) -> None:
        nonlocal spoke
        counts[kind] = counts.get(kind, 0) + count
        if run.output.watched:
            if kind in ("posts", "people", "filled"):
                bar.advance(count)
            return
        now = time.monotonic()
        if now - spoke >= SECONDS_BETWEEN_LINES:
            spoke = now
            seconds = round(now - began, 1)
            rate = round(sum(counts.get(each, 0) for each in ("posts", "people", "filled")) / max(seconds, 0.1), 1)
            run.output.event({"event": what, **counts, "of": total, "per_second": rate, "seconds": seconds})

    bar: Progress = run.output.progress(what, total)
    with bar:
        yield tell


def _tell_verdict(output: "Output", verdict: "Verdict", lines: Path) -> None:
    from channel_adapter.migration.findings import Mark, What

    if output.json:
        output.one({**verdict.to_json(), "findings": str(lines)})
        return
    table = output.table(("channel", "what", *Mark, "open"))
    for channel, tally in verdict.channels.items():
        for what in What:
            table.add(channel, what.value, *(tally.count(mark, what) for mark in Mark), "")
        table.add(channel, "all", *(tally.count(mark) for mark in Mark), tally.open)
    table.close()
    output.line("")
    for finding in verdict.named:
        output.line(str(finding))
    if verdict.clean:
        explained = verdict.count(Mark.DIFFERS) + verdict.count(Mark.MISSING) + verdict.count(Mark.UNREADABLE)
        output.line(
            f"clean: {counted(verdict.count(Mark.SAME), 'item')} the same, {explained:,} as the policies want it"
        )
    else:
        output.line(f"not clean: {counted(verdict.open, 'finding')} that nothing explains, all in {lines}")


def _tell_cutover(output: "Output", done: "Cutover") -> None:
    if output.json:
        output.one(_cutover_document(done))
        return
    if done.verdict is not None and not done.verdict.clean:
        for finding in done.verdict.named:
            output.line(str(finding))
    moved = sum(bool(row.moved_at) for row in done.moved)
    output.line(f"posting has moved for {moved:,} of {counted(done.channels, 'channel')}")
    for said in done.farewells:
        if not said.sent:
            output.line(f"the last broadcast of {said.account} is still to be sent: {said.reason}")
    if done.posting_moved:
        state = "all" if done.fill_done else "so far"
        output.line(f"conversation groups filled: {done.filled:,} {state}, {counted(done.fill_problems, 'problem')}")
    if done.destroyed:
        output.line(f"destroyed at the source: {', '.join(done.destroyed)}")
    if done.stopped:
        output.line(f"stopped: {done.stopped}")


def _cutover_document(done: "Cutover") -> dict[str, Any]:
    return {
        "migration": done.migration,
        "posting_moved": done.posting_moved,
        "channels": [
            {"source": row.source, "target": row.channel, "moved_at": row.moved_at or None,
             "window_end": row.window_end or None, "destroyed_at": row.destroyed_at or None}
            for row in done.moved
        ],
        "verification": done.verdict.to_json() if done.verdict else None,
        "farewells": [
            {"account": each.account, "sent": each.sent, "key": each.key, "reason": each.reason}
            for each in done.farewells
        ],
        "filled": done.filled,
        "fill_problems": done.fill_problems,
        "fill_done": done.fill_done,
        "stopped": done.stopped or None,
    }  # fmt: skip


def _cutover_code(done: "Cutover", *, filled: bool) -> Exit:
    if done.status is not None and not done.status.complete:
        code = code_of(done.status)
        return code if code is not Exit.DONE else Exit.INTERRUPTED
    if done.verdict is not None and not done.verdict.clean and done.stopped:
        return Exit.PARTLY
    if done.stopped:
        return Exit.INTERRUPTED
    told = all(each.sent for each in done.farewells)
    return Exit.DONE if done.posting_moved and told and filled and not done.fill_problems else Exit.PARTLY


def _tell_rollback(output: "Output", done: "Rollback") -> None:
    if output.json:
        output.one({
            "migration": done.migration,
            "removed": done.acted,
            "complete": done.complete,
            "channels": [
                {"source": each.source, "target": each.target, "standing": each.standing.value, "posts": each.posts,
                 "subscribers": each.subscribers, "own_posts": each.own_posts,
                 "own_subscribers": each.own_subscribers, "reason": each.reason or None}
                for each in done.items
            ],
        })  # fmt: skip
        return
    table = output.table(("from", "to", "standing", "posts", "subscribers", "reason"))
    for each in done.items:
        table.add(each.source, each.target, each.standing.value, each.posts, each.subscribers, each.reason)
    table.close()
    output.line("")
    if done.acted:
        gone = sum(each.standing == "removed" for each in done.items)
        output.line(f"{counted(gone, 'channel')} removed; the source is as it was")
    else:
        could = sum(each.standing == "removable" for each in done.items)
        output.line(f"{counted(could, 'channel')} could go; nothing was removed: --yes removes")
