"""How the outcomes of a bulk call are shown, and what exit code they come to."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from channel_adapter.cli.command import Run
from channel_adapter.cli.exits import Exit, for_counts
from channel_adapter.domain.assignment import AssignmentStatus
from channel_adapter.domain.subscription import ChannelOutcome, Outcome, OutcomeKind

if TYPE_CHECKING:
    from channel_adapter.services.bulk import Bulk


async def list_outcomes(run: Run, bulk: "Bulk", *, assign: bool = True) -> Exit:
    """One row a person, as they come; without `assign` nothing is said of conversation groups."""
    counts: Counter[OutcomeKind] = Counter()
    run.so_far = lambda: f"{sum(counts.values()):,} outcomes came back" if counts else ""
    with run.output.items(("user", "outcome", *(["assignment"] if assign else []), "reason")) as listing:
        async for outcome in bulk:
            counts[outcome.kind] += 1
            if assign:
                listing.add(outcome, outcome.user, outcome.kind, *assignment_and_reason(outcome))
            else:
                document = {"user": outcome.user, "kind": outcome.kind, "reason": outcome.reason}
                listing.add(document, outcome.user, outcome.kind, outcome.reason)
    return for_counts(counts)


def list_channel_outcomes(run: Run, outcomes: Sequence[ChannelOutcome]) -> Exit:
    """One row a channel."""
    with run.output.items(("channel", "outcome", "assignment", "reason")) as listing:
        for outcome in outcomes:
            listing.add(outcome, outcome.channel, outcome.kind, *assignment_and_reason(outcome))
    return for_counts(Counter(outcome.kind for outcome in outcomes))


def assignment_and_reason(outcome: Outcome | ChannelOutcome) -> tuple[AssignmentStatus | None, str]:
    """What became of the conversation group, and the reasons for both."""
    assignment = outcome.assignment
    reasons = [outcome.reason, assignment.reason if assignment else ""]
    return assignment.status if assignment else None, "; ".join(reason for reason in reasons if reason)
