"""`worker`: run scheduled posts, migrations and what other commands have queued."""

import asyncio
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.metrics import METRICS_HOST, METRICS_PORT, monitoring
from channel_adapter.cli.migrate.options import MAX_CALLS, MAX_DURATION, bounds_of
from channel_adapter.cli.migrate.progress import WorkerProgress
from channel_adapter.cli.output import counted

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.migration.budget import BudgetLimits

app = single()


class JobKind(StrEnum):
    """What a worker runs."""

    SCHEDULE = "schedule"
    MIGRATION = "migration"
    JOBS = "jobs"


DATABASE = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where the jobs are; else database_url of the settings. A URL with a password belongs into the settings"
        " or the environment.",
    ),
]


ONLY = Annotated[
    list[JobKind] | None,
    typer.Option("--only", help="Run this kind of job alone; repeat it. Without it all kinds are run."),
]


@command(app, "worker", example="channel-adapter worker --config adapter.toml\nchannel-adapter worker --only schedule")
async def worker(
    run: Run, only: ONLY = None, database: DATABASE = None, max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None, metrics_host: METRICS_HOST = "127.0.0.1", metrics_port: METRICS_PORT = None,
) -> Exit:  # fmt: skip
    """Run jobs of a database until it is stopped: scheduled posts, migrations, conversation groups after a cutover.

    schedule: posts whose time has come. migration: channels of `migrate apply`, and their conversation groups.
    jobs: what other commands have queued, without migrations. Any number of workers share the work; when one dies,
    others go on with its jobs within seconds. With a --database other than that of the settings, migrations alone are
    run; in official-account mode there are none. --max-calls and --max-duration bound migrations.
    """
    kinds = set(only or JobKind)
    async with (
        monitoring(run, metrics_host, metrics_port) as monitored,
        run.adapter(monitored.telemetry) as adapter,
    ):
        if not only and not adapter.can.import_history:
            kinds -= {JobKind.MIGRATION}
        own = adapter.settings.database_url.get_secret_value() if adapter.settings.database_url else ""
        url = adapter.migration.journal_url(database) if JobKind.MIGRATION in kinds else database or own
        if url != own:
            kinds &= {JobKind.MIGRATION}
        if not kinds:
            raise UsageError("scheduled posts and jobs are in database_url of the settings", field="database")
        run.output.note("working; Ctrl-C ends it")
        beside = kinds - {JobKind.MIGRATION}
        if JobKind.MIGRATION in kinds:  # which fills conversation groups itself
            beside -= {JobKind.JOBS}
        if JobKind.SCHEDULE in kinds:
            await adapter.posts.schedule_status()  # creates the tables, so that the jobs begin now
        async with adapter.run_jobs(beside) if beside else nullcontext():
            monitored.begin_with_database(url)
            if JobKind.MIGRATION not in kinds:
                await asyncio.Event().wait()
            return await _work_on_migrations(run, adapter, url, bounds_of(max_calls, max_duration))


async def _work_on_migrations(run: Run, adapter: "ChannelAdapter", url: str, bounds: "BudgetLimits") -> Exit:
    with WorkerProgress(adapter.settings, run.output) as progress:
        run.output.describe_progress(
            lambda: f"{counted(progress.calls, 'call')} were made; others, or the next start, go on"
        )
        calls = await adapter.migration.work(database=url, limits=bounds, on_progress=progress.update)
    run.output.one({"calls": calls}, f"{counted(calls, 'call')} were made")
    return Exit.INTERRUPTED
