"""The group `migrate`, and what its commands share: options, where the journal is, bounds of a run."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.command import Run, group
from channel_adapter.cli.durations import DURATIONS, parse_duration
from channel_adapter.cli.exits import UsageError
from channel_adapter.errors import ConflictError

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.migration.budget import BudgetLimits
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.verify.findings import Baseline

app = group("migrate")

PLAN = Annotated[Path, typer.Argument(metavar="PLAN.json")]
DATABASE = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where the journal is; else where the migration is, else database_url of the settings, else"
        " PLAN.journal.db. A URL with a password belongs into the settings or the environment.",
    ),
]
MAX_CALLS = Annotated[int | None, typer.Option("--max-calls", min=1, help="Stop after so many calls: exit code 4.")]
MAX_DURATION = Annotated[
    str | None, typer.Option("--max-duration", metavar="TIME", help=f"Stop after {DURATIONS}: exit code 4.")
]
EXPLAINED = Annotated[
    list[Path] | None,
    typer.Option(
        "--explained",
        metavar="FILE.jsonl",
        help="Differences that were reviewed and are accepted: lines of an earlier verification, word by word.",
    ),
]


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """The files of a migration, beside its plan."""

    plan: Path

    @property
    def journal(self) -> Path:
        """The journal where neither option nor settings name a database."""
        return self.plan.with_suffix(".journal.db")

    @property
    def journal_url(self) -> str:
        return f"sqlite:///{self.journal}"

    @property
    def quarantine(self) -> Path:
        return self.plan.with_suffix(".quarantine.jsonl")

    @property
    def findings(self) -> Path:
        """Every finding of the last verification."""
        return self.plan.with_suffix(".verify.jsonl")

    @property
    def counts(self) -> Path:
        """The counts of the last verification, which the report reads."""
        return self.plan.with_suffix(".verify.json")

    @property
    def report(self) -> Path:
        return self.plan.with_suffix(".report.md")

    def require_other(self, *outputs: Path) -> None:
        """Raise UsageError for an output that would replace the plan or what other commands need."""
        taken = (self.plan, self.journal, self.quarantine, self.counts)
        for output in outputs:
            if output.resolve() in {each.resolve() for each in taken}:
                raise UsageError(f"--out would replace {output}, which the migration needs: name another", field="out")


async def find_journal(adapter: "ChannelAdapter", files: PlanFiles, plan: "Plan", database: str | None) -> str:
    """Return the URL of the journal of a plan: as given; else where the migration is; else as set, or beside the plan.

    Raises ConflictError for a migration in two journals, and for one that is in another journal than the given one.
    """
    held = adapter.settings.database_url
    own = held.get_secret_value() if held is not None else None
    names = {files.journal_url: str(files.journal)} | ({own: "database_url of the settings"} if own else {})
    others = {
        _resolve_location(url): url
        for url in names
        if database is None or _resolve_location(url) != _resolve_location(database)
    }
    if database is not None and await adapter.migration.has_journal(plan.migration, database):
        return database
    holding = [url for url in others.values() if await adapter.migration.has_journal(plan.migration, url)]
    if database is not None and holding:
        raise ConflictError(
            f"the journal of migration {plan.migration} is in {names[holding[0]]}, and not in the database that"
            " --database names: leave the option out",
            field="database",
        )
    if len(holding) > 1:
        raise ConflictError(
            f"migration {plan.migration} has two journals, in {' and in '.join(names[url] for url in holding)}:"
            " name the one to continue with --database, or move the file away",
            field="database",
        )
    return database or next(iter(holding), None) or own or files.journal_url


def _resolve_location(url: str) -> str | Path:
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)).resolve() if url.startswith(prefix) else url


def bounds_of(max_calls: int | None, max_duration: str | None) -> "BudgetLimits":
    """Return the bounds of a run. Raises UsageError."""
    from channel_adapter.migration.budget import BudgetLimits

    seconds = None if max_duration is None else parse_duration(max_duration, "max-duration")
    return BudgetLimits(calls=max_calls, seconds=seconds)


def accepted_in(files: list[Path] | None) -> "Baseline":
    """Read the differences that are accepted. Raises InvalidError, OSError."""
    from channel_adapter.migration.verify.findings import Baseline

    return Baseline(frozenset().union(*(Baseline.read(file).digests for file in files or ())))


@contextmanager
def stopping(run: Run) -> Iterator[list[str]]:
    """Collect in the list why the work in the block was stopped; empty when it was not."""
    from channel_adapter.migration.budget import BudgetExhausted

    stopped: list[str] = []
    try:
        yield stopped
    except BudgetExhausted as end:
        stopped.append(str(end))
        run.output.error("interrupted", f"stopped: {end}; run it again")
