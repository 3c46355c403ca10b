"""`migrate verify` and `migrate report`: source and target compared, and what has become of a migration."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.migrate.options import (
    DATABASE,
    EXPLAINED,
    MAX_CALLS,
    MAX_DURATION,
    PLAN,
    PlanFiles,
    accepted_in,
    app,
    bounds_of,
    find_journal,
    stopping,
)
from channel_adapter.cli.migrate.progress import CheckProgress
from channel_adapter.cli.output import counted
from channel_adapter.errors import InvalidError

if TYPE_CHECKING:
    from channel_adapter.cli.output import Output
    from channel_adapter.migration.verify.findings import VerificationResult


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
    """Read source and target again, and mark every profile field, post and subscriber. Changes nothing.

    `=` same, `-` missing here, `+` extra here, `*` differs, `!` unreadable: one a line in PLAN.verify.jsonl, the counts
    in PLAN.verify.json. A run that is stopped leaves both as they were. Exit code 0: all is the same, or as the plan's
    policies want it, or in a file that --explained names. 3: something is not.
    """
    from channel_adapter.concurrency.files import replace_file, replaced_file
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    files = PlanFiles(file)
    lines = out or files.findings
    files.require_other(lines)
    bounds, accepted = bounds_of(max_calls, max_duration), accepted_in(explained)
    async with run.adapter() as adapter:
        progress = CheckProgress(plan, adapter.settings, run.output, "verified")
        with stopping(run) as stopped, replaced_file(lines) as findings, progress:
            verdict = await adapter.migration.verify(
                plan, accepted=accepted, limits=bounds, on_progress=progress.add,
                on_finding=lambda finding: _write_line(findings, finding.to_json()),
            )  # fmt: skip
    if stopped:
        return Exit.INTERRUPTED
    replace_file(files.counts, orjson.dumps(verdict.to_json(), option=orjson.OPT_INDENT_2))
    _show_verdict(run.output, verdict, lines)
    return Exit.DONE if verdict.clean else Exit.PARTLY


def _write_line(file: Any, line: bytes) -> None:
    file.write(line)


def _show_verdict(output: "Output", verdict: "VerificationResult", lines: Path) -> None:
    from channel_adapter.migration.verify.findings import Mark, Subject

    if output.json:
        output.one({**verdict.to_json(), "findings": str(lines)})
        return
    table = output.table(("channel", "what", *Mark, "open"))
    for channel, tally in verdict.channels.items():
        for what in Subject:
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


def _read_counts(file: Path, migration: str) -> dict[str, Any] | None:
    """Return the counts of the last verification of a migration; None before the first one.

    The file of an earlier plan with the same name counts for nothing. Raises InvalidError for another file.
    """
    if not file.is_file():
        return None
    try:
        counts = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        counts = None
    if not isinstance(counts, dict) or not {"at", "clean", "open", "channels", "named"} <= counts.keys():
        raise InvalidError(f"{file} is no result of a verification: run `migrate verify` again", field="plan")
    return counts if counts.get("migration") == migration else None


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
    from channel_adapter.concurrency.files import replace_file
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    files = PlanFiles(file)
    verdict = _read_counts(files.counts, plan.migration)
    markdown = out or files.report
    document_file = markdown.with_suffix(".json")
    if markdown == document_file:
        raise UsageError(f"--out names the Markdown; the JSON is written beside it; got {out}", field="out")
    files.require_other(markdown, document_file)
    async with run.adapter() as adapter:
        url = await find_journal(adapter, files, plan, database)
        made = await adapter.migration.report(plan, database=url, verdict=verdict)
    replace_file(markdown, made.to_markdown())
    replace_file(document_file, made.to_json())
    run.output.one(made.document, f"{markdown} and {document_file.name}: migration {plan.migration}")
    document = made.document
    clean = document["verification"] is not None and document["verification"]["clean"]
    return Exit.DONE if document["complete"] and clean and not document["quarantine"] else Exit.PARTLY
