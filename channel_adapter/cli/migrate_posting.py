"""Where posting is after a cutover, and how far conversation groups are: in words, and for machines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from channel_adapter.cli.words import counted

if TYPE_CHECKING:
    from channel_adapter.migration.cutover.cutover import CutoverState, Filling


def state_lines(state: "CutoverState | None") -> Iterator[str]:
    """Nothing before a cutover."""
    if state is None:
        return
    moved = sum(bool(row.moved_at) for row in state.moved)
    yield f"cutover: posting has moved for {moved:,} of {counted(len(state.moved), 'channel')}"
    if state.filling.wanted:
        yield filling_sentence(state.filling)


def state_document(state: "CutoverState | None") -> dict[str, Any] | None:
    """The same for machines."""
    if state is None:
        return None
    return {
        "moved": sum(bool(row.moved_at) for row in state.moved),
        "of": len(state.moved),
        "window_end": max(row.window_end for row in state.moved) or None,
        "conversation_groups": filling_document(state.filling),
    }


def filling_sentence(filling: "Filling") -> str:
    """How far people's conversation groups are."""
    left = f", {filling.left:,} to go" if filling.left else ""
    why = f": {filling.said}" if filling.said and not filling.done else ""
    problems = counted(filling.problems, "problem")
    return f"conversation groups: {filling.filled:,} filled{left}, {problems}, {filling.state}{why}"


def filling_document(filling: "Filling") -> dict[str, Any]:
    """The same for machines."""
    return {
        "state": filling.state, "filled": filling.filled, "left": filling.left, "problems": filling.problems,
        "reason": filling.said or None,
    }  # fmt: skip
