"""`migrate report`: what has become of a migration."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from pathlib import Path
from typing import Annotated

import orjson
import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.migrate_apply import DATABASE, PLAN, journal_url
from channel_adapter.cli.migrate_cutover import beside
from channel_adapter.cli.migrate_group import app


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
    from channel_adapter.migration.plan.document import read_plan, write_whole

    plan = read_plan(file)
    verified = file.with_suffix(".verify.json")
    verdict = orjson.loads(verified.read_bytes()) if verified.is_file() else None
    markdown = out or file.with_suffix(".report.md")
    async with run.adapter() as adapter:
        url = journal_url(adapter, file, beside(file, database))
        made = await adapter.migration.report(plan, database=url, verdict=verdict)
    write_whole(markdown, made.to_markdown())
    write_whole(markdown.with_suffix(".json"), made.to_json())
    run.output.one(made.document, f"{markdown} and {markdown.with_suffix('.json').name}: migration {plan.migration}")
    told = made.document
    clean = told["verification"] is not None and told["verification"]["clean"]
    return Exit.DONE if told["complete"] and clean and not told["quarantine"] else Exit.PARTLY
