"""The group `migrate`, and what its commands share: options, where the journal is, bounds of a run."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.command import Run, group
from channel_adapter.cli.exits import UsageError

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.migration.budget import BudgetLimits
    from channel_adapter.migration.verify.findings import Baseline

app = group("migrate")

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
EXPLAINED = Annotated[
    list[Path] | None,
    typer.Option(
        "--explained",
        metavar="FILE.jsonl",
        help="Differences that were reviewed and are accepted: lines of an earlier verification, word by word.",
    ),
]


def journal_url(adapter: "ChannelAdapter", file: Path, database: str | None) -> str:
    """Return the URL of the journal of a plan: as given, as set, or a file beside the plan."""
    if database is not None:
        return database
    held = adapter.settings.database_url
    if held is not None:
        return held.get_secret_value()
    return f"sqlite:///{journal_beside(file)}"


def journal_beside(file: Path) -> Path:
    """Return the file of the journal of a plan where neither option nor settings name a database."""
    return file.with_suffix(".journal.db")


def bounds_of(max_calls: int | None, max_duration: str | None) -> "BudgetLimits":
    """Return the bounds of a run. Raises UsageError."""
    from channel_adapter.migration.budget import BudgetLimits

    seconds: float | None = None
    if max_duration is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", max_duration)
        if found is None or not float(found[1]):
            raise UsageError(f"--max-duration must be like 90s, 30m or 2h; got {max_duration!r}", field="max_duration")
        seconds = float(found[1]) * SECONDS_OF[found[2]]
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


def beside(file: Path, database: str | None) -> str | None:
    """Return the journal that apply left beside the plan where no database is given; else as it is given."""
    beside = file.with_suffix(".journal.db")
    return f"sqlite:///{beside}" if database is None and beside.is_file() else database
