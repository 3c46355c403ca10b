"""`worker`: run jobs that other commands have queued."""

from typing import Annotated

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.migrate.options import MAX_CALLS, MAX_DURATION, bounds_of
from channel_adapter.cli.migrate.progress import WorkerProgress
from channel_adapter.cli.output import counted

app = single()

DATABASE = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where the jobs are; else database_url of the settings. A URL with a password belongs into the settings"
        " or the environment.",
    ),
]


@command(app, "worker", example="channel-adapter worker --config adapter.toml")
async def worker(
    run: Run, database: DATABASE = None, max_calls: MAX_CALLS = None, max_duration: MAX_DURATION = None
) -> Exit:
    """Run jobs that are queued in a database until it is stopped: channels of `migrate apply`, conversation groups.

    All workers share the app's calls per second evenly. When one dies, others go on with its jobs within seconds.
    Conversation groups are filled after a cutover, by workers on the adapter's own database.
    """
    async with run.adapter() as adapter:
        migration = adapter.migration
        url = migration.journal_url(database)
        run.output.note("working; Ctrl-C ends it")
        with WorkerProgress(adapter.settings, run.output) as progress:
            run.output.describe_progress(
                lambda: f"{counted(progress.calls, 'call')} were made; others, or the next start, go on"
            )
            bounds = bounds_of(max_calls, max_duration)
            calls = await migration.work(database=url, limits=bounds, on_progress=progress.update)
    run.output.one({"calls": calls}, f"{counted(calls, 'call')} were made")
    return Exit.INTERRUPTED
