"""How the outcomes of a bulk call are shown, and what exit code they come to."""

from collections import Counter
from typing import TYPE_CHECKING

from channel_adapter.cli.command import Run
from channel_adapter.cli.exits import Exit, for_counts
from channel_adapter.domain.subscription import OutcomeKind

if TYPE_CHECKING:
    from channel_adapter.services.bulk import Bulk


async def list_outcomes(run: Run, bulk: "Bulk") -> Exit:
    """One row a person, as they come."""
    counts: Counter[OutcomeKind] = Counter()
    run.so_far = lambda: f"{sum(counts.values()):,} outcomes came back" if counts else ""
    with run.output.items(("user", "outcome", "reason")) as listing:
        async for outcome in bulk:
            counts[outcome.kind] += 1
            listing.add(outcome, outcome.user, outcome.kind, outcome.reason)
    return for_counts(counts)
