"""What the stub reports about itself: which commands it plays, where it guesses, which codes its tests exercise."""

from collections.abc import Callable
from typing import Final

from channel_adapter.cli.output import Output
from channel_adapter.stub.reports import coverage, divergences, played_commands


def show_commands(output: Output) -> None:
    """List every documented command and how much of it is played."""
    with output.items(("command", "played")) as listing:
        for row in played_commands():
            listing.add(row, row.command, row.played)


def show_divergences(output: Output) -> None:
    """Every point where the real service is unknown."""
    with output.items(("id", "switch", "the stub", "unknown", "source")) as listing:
        for entry in divergences():
            listing.add(entry, entry.id, entry.switch, entry.stub, entry.unknown, entry.source)


def show_coverage(output: Output) -> None:
    """Every command, and the sum of them for people."""
    rows = coverage()
    with output.items(("command", "implemented", "golden files", "codes", "in situation", "by fault")) as listing:
        for row in rows:
            golden = "unknown" if row.golden_files is None else row.golden_files
            codes = f"{row.exercised}/{row.documented}"
            listing.add(row, row.command, row.implemented, golden, codes, row.in_situation, row.by_fault)
    if not output.json:
        shown, listed = sum(row.exercised for row in rows), sum(row.documented for row in rows)
        played, natural = sum(row.implemented for row in rows), sum(row.in_situation for row in rows)
        output.line(
            f"{played} of {len(rows)} commands; tests exercise {shown} of {listed} documented codes "
            f"({shown / listed:.0%}), {natural} of them in their situation"
        )


REPORTS: Final[dict[str, Callable[[Output], None]]] = {
    "commands": show_commands,
    "divergences": show_divergences,
    "coverage": show_coverage,
}
