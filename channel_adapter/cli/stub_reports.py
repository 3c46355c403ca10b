"""What the stub says about itself: where it guesses, and how much of the documentation it plays."""

from channel_adapter.cli.output import Output
from channel_adapter.stub.coverage import coverage
from channel_adapter.stub.divergences import divergences


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
