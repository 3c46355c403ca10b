"""`migrate verify`: source and target, compared."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.migrate_apply import MAX_CALLS, MAX_DURATION, PLAN, bounds_of
from channel_adapter.cli.migrate_checking import Checking
from channel_adapter.cli.migrate_group import app
from channel_adapter.cli.words import counted

if TYPE_CHECKING:
    from channel_adapter.cli.output import Output
    from channel_adapter.migration.verify.findings import Accepted, Verdict

EXPLAINED = Annotated[
    list[Path] | None,
    typer.Option(
        "--explained",
        metavar="FILE.jsonl",
        help="Differences that somebody has looked at and accepts: lines of an earlier verification, word by word.",
    ),
]


@command(
    app, "migrate", "verify",
    example="channel-adapter migrate verify plan.json\n"
    "channel-adapter migrate verify plan.json --explained reviewed.jsonl",
)  # fmt: skip
async def verify(
    run: Run,
    file: PLAN,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else PLAN.verify.jsonl.")] = None,
    explained: EXPLAINED = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """Read source and target afresh, and mark every profile field, post and subscriber. Changes nothing.

    `=` same, `-` missing here, `+` extra here, `*` differs, `!` unreadable: one a line in PLAN.verify.jsonl, the counts
    in PLAN.verify.json. Exit code 0: all is the same, or as the plan's policies want it, or in a file that --explained
    names. 3: something is not.
    """
    from channel_adapter.migration.plan.document import read_plan, whole_file, write_whole

    plan = read_plan(file)
    lines = out or file.with_suffix(".verify.jsonl")
    bounds, accepted = bounds_of(max_calls, max_duration), accepted_in(explained)
    async with run.adapter() as adapter:
        checking = Checking(plan, adapter.settings, "verified")
        with whole_file(lines) as findings, checking.shown(run.output) as tell, stopping(run) as stopped:
            verdict = await adapter.migration.verify(
                plan, accepted=accepted, bounds=bounds, tell=tell,
                write=lambda finding: _write(findings, finding.to_json()),
            )  # fmt: skip
    if stopped:
        return Exit.INTERRUPTED
    write_whole(lines.with_suffix(".json"), orjson.dumps(verdict.to_json(), option=orjson.OPT_INDENT_2))
    _tell_verdict(run.output, verdict, lines)
    return Exit.DONE if verdict.clean else Exit.PARTLY


def _write(file: Any, line: bytes) -> None:
    file.write(line)


def accepted_in(files: list[Path] | None) -> "Accepted":
    """What somebody has looked at. Raises InvalidError, OSError."""
    from channel_adapter.migration.verify.findings import Accepted

    return Accepted(frozenset().union(*(Accepted.read(file).digests for file in files or ())))


@contextmanager
def stopping(run: Run) -> Iterator[list[str]]:
    """Why the work in the block ended before its end; empty when it did not."""
    from channel_adapter.migration.budget import Stopped

    stopped: list[str] = []
    try:
        yield stopped
    except Stopped as end:
        stopped.append(str(end))
        run.output.error("interrupted", f"stopped: {end}; run it again")


def _tell_verdict(output: "Output", verdict: "Verdict", lines: Path) -> None:
    from channel_adapter.migration.verify.findings import Mark, What

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
        explained += verdict.count(Mark.EXTRA) - verdict.accepted
        by_hand = f", {verdict.accepted:,} accepted by hand" if verdict.accepted else ""
        output.line(
            f"clean: {counted(verdict.count(Mark.SAME), 'item')} the same, {explained:,} as they have to be{by_hand}"
        )
    else:
        output.line(f"not clean: {counted(verdict.open, 'finding')} that nothing explains, all in {lines}")
    for words in verdict.not_compared:
        output.line(f"not compared: {words}")
